//! A line on stderr each second of a run, so that nobody looks at a silent terminal.

use crate::args::Args;
use crate::cost::Cost;
use crate::error::BenchError;
use crate::meter::Meter;
use crate::report::Latency;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};

const EVERY_NS: u64 = 1_000_000_000;

pub(crate) struct Progress<'a> {
    pids: &'a [u32],
    cost: Cost<'a>,
    is_terminal: bool,
    last_ns: u64,
}

impl<'a> Progress<'a> {
    /// `None` if nobody would see it.
    pub(crate) fn new(args: &'a Args) -> Result<Option<Progress<'a>>, BenchError> {
        let is_terminal = std::io::stderr().is_terminal();
        if !is_terminal && !args.progress {
            return Ok(None);
        }
        Ok(Some(Progress { pids: &args.pid, cost: Cost::new(&args.pid)?, is_terminal, last_ns: 0 }))
    }

    /// Tells what is new if it is time; returns how long until the next time, ns.
    pub(crate) fn tell(&mut self, now_ns: u64, meter: &mut Meter) -> Result<u64, BenchError> {
        let next_ns = self.last_ns + EVERY_NS;
        if now_ns < next_ns {
            return Ok(next_ns - now_ns);
        }
        let seconds = (now_ns - self.last_ns) as f64 / 1e9;
        self.last_ns = now_ns;
        let Some(recent) = &mut meter.recent else { return Ok(EVERY_NS) };
        let latency = Latency::of(recent);
        let phase = if now_ns < meter.window.begin_ns { "warm-up" } else { "measured" };
        let mut line = format!(
            "{:>5.0} s  {phase:<8}  {:>9.0} operations/s   p50 {:.0} us   p99 {:.0} us",
            now_ns as f64 / 1e9,
            recent.len() as f64 / seconds,
            latency.p50,
            latency.p99
        );
        let (server, _) = self.cost.until_now()?;
        if let Some(server) = server {
            let us = server * 1e6 / recent.len().max(1) as f64;
            write!(line, "   server {us:.2} us/operation").expect("a string takes everything");
        }
        self.cost = Cost::new(self.pids)?;
        recent.reset();
        // Whoever closed stderr does not want it.
        let _ = if self.is_terminal {
            write!(std::io::stderr(), "\r{line}\x1b[K")
        } else {
            writeln!(std::io::stderr(), "{line}")
        };
        Ok(EVERY_NS)
    }

    /// Leaves the terminal's line as it was.
    pub(crate) fn end(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
