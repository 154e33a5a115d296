//! A bar on stderr while something takes long, if somebody looks: how far, how many, how fast.

use crate::output::{Mode, Output};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two looks at it; what is done sooner shows none.
const EVERY: Duration = Duration::from_millis(200);
const WIDTH: u64 = 24;

/// How far something is.
#[derive(Debug)]
pub struct Progress {
    out: Option<Output>,
    total: Option<u64>,
    done: u64,
    begun: Instant,
    drawn: Instant,
    is_drawn: bool,
}

impl Progress {
    /// A bar for so many things, if their number is known.
    pub fn new(out: &Output, total: Option<u64>) -> Progress {
        let is_seen = out.mode() == Mode::People && std::io::stderr().is_terminal();
        let now = Instant::now();
        Progress { out: is_seen.then(|| out.clone()), total, done: 0, begun: now, drawn: now, is_drawn: false }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        let Some(out) = &self.out else { return };
        if self.drawn.elapsed() >= EVERY {
            self.drawn = Instant::now();
            self.is_drawn = true;
            out.over(&line(self.done, self.total, self.begun.elapsed()));
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
        if let Some(out) = self.out.take().filter(|_| self.is_drawn) {
            out.over("");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(done: u64, total: Option<u64>, time: Duration) -> String {
    let speed = done as f64 / time.as_secs_f64().max(0.001);
    match total {
        Some(total) if total > 0 => {
            let filled = (done * WIDTH / total).min(WIDTH) as usize;
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH as usize - filled));
            format!("[{bar}] {done} of {total} znodes, {speed:.0} a second")
        }
        _ => format!("{done} znodes, {speed:.0} a second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_itself() {
        let time = Duration::from_secs(2);
        assert_eq!(line(6, Some(24), time), "[######..................] 6 of 24 znodes, 3 a second");
        assert!(line(99, Some(24), time).starts_with("[########################] 99 of 24"));
        assert_eq!(line(4, None, time), "4 znodes, 2 a second");
    }
}
