//! Figures of runs, and what is printed of them.

use crate::heap::Micros;

/// What happened in one run, or in many.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct Tally {
    pub seeds: u64,
    pub events: u64,
    pub virtual_us: Micros,
    pub asked: u64,
    pub answered: u64,
    pub txns: u64,
    pub faults: u64,
    pub deaths: u64,
    pub boots: u64,
    pub snapshots: u64,
    pub sessions: u64,
    pub expired: u64,
    pub connections: u64,
    pub watch_events: u64,
    pub lock_turns: u64,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, other: &Tally) {
        self.seeds += 1;
        self.events += other.events;
        self.virtual_us += other.virtual_us;
        self.asked += other.asked;
        self.answered += other.answered;
        self.txns += other.txns;
        self.faults += other.faults;
        self.deaths += other.deaths;
        self.boots += other.boots;
        self.snapshots += other.snapshots;
        self.sessions += other.sessions;
        self.expired += other.expired;
        self.connections += other.connections;
        self.watch_events += other.watch_events;
        self.lock_turns += other.lock_turns;
    }

    /// One line.
    pub fn line(&self, real_s: f64) -> String {
        let virtual_s = self.virtual_us as f64 / 1e6;
        format!(
            "{} seeds: {} requests, {} answered, {} transactions, {} watch events, {} turns at a lock; {} faults, {} deaths, {} starts, \
             {} snapshots; {} sessions ({} expired), {} connections; {:.0} s simulated in {real_s:.1} s, {:.0} x real time",
            self.seeds,
            self.asked,
            self.answered,
            self.txns,
            self.watch_events,
            self.lock_turns,
            self.faults,
            self.deaths,
            self.boots,
            self.snapshots,
            self.sessions,
            self.expired,
            self.connections,
            virtual_s,
            virtual_s / real_s.max(1e-9),
        )
    }
}

/// A line of the trace.
#[allow(clippy::print_stdout, reason = "a trace is what was asked for")]
pub fn say(line: &str) {
    println!("{line}");
}
