//! What a run measures: the clock, the measured part of it, and histograms of latencies.

use crate::args::Args;
use crate::kind::Kind;
use hdrhistogram::Histogram;
use std::time::Instant;

const HISTOGRAM_MAX_NS: u64 = 600_000_000_000;

/// The times of a run, ns since its start.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) begin_ns: u64,
    pub(crate) end_ns: u64,
}

impl Window {
    fn holds(&self, at_ns: u64) -> bool {
        (self.begin_ns..self.end_ns).contains(&at_ns)
    }
}

/// Clock and counters.
pub(crate) struct Meter {
    pub(crate) started: Instant,
    pub(crate) window: Window,
    /// Closed loop, and not draining: an answer makes room for the next request.
    pub(crate) refills: bool,
    open_loop: bool,
    pub(crate) histogram: Histogram<u64>,
    /// By kind, if there are several.
    pub(crate) kinds: Vec<(Kind, Histogram<u64>)>,
    /// Since the last progress line, if they are wanted.
    pub(crate) recent: Option<Histogram<u64>>,
    /// Operations answered in the measured time.
    pub(crate) operations: u64,
    /// Operations answered from the first to the last.
    pub(crate) all_operations: u64,
}

impl Meter {
    pub(crate) fn new(args: &Args, with_progress: bool) -> Meter {
        let begin_ns = args.warmup.as_nanos() as u64;
        let mix = args.mix();
        let kinds = Kind::ALL.into_iter().filter(|&kind| mix.is_mixed() && mix.has(kind));
        Meter {
            started: Instant::now(),
            window: Window { begin_ns, end_ns: begin_ns + args.duration.as_nanos() as u64 },
            refills: args.rate.is_none(),
            open_loop: args.rate.is_some(),
            histogram: histogram(),
            kinds: kinds.map(|kind| (kind, histogram())).collect(),
            recent: with_progress.then(histogram),
            operations: 0,
            all_operations: 0,
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    /// An operation that began at `since_ns` is done. Throughput counts what was answered in the window; latency counts, in
    /// an open loop, what was due in it, however late the answer came.
    pub(crate) fn done(&mut self, since_ns: u64, now_ns: u64, kind: Kind) {
        self.all_operations += 1;
        let in_time = self.window.holds(now_ns);
        self.operations += u64::from(in_time);
        let latency_ns = now_ns.saturating_sub(since_ns).max(1);
        if if self.open_loop { self.window.holds(since_ns) } else { in_time } {
            self.histogram.saturating_record(latency_ns);
            if let Some((_, histogram)) = self.kinds.iter_mut().find(|(other, _)| *other == kind) {
                histogram.saturating_record(latency_ns);
            }
        }
        if let Some(recent) = &mut self.recent {
            recent.saturating_record(latency_ns);
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HISTOGRAM_MAX_NS, 3).expect("constant bounds are sound")
}
