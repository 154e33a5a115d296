//! The loop that loads the server: one thread over all connections, paced by a timer if there is a rate.

use crate::args::{Args, Workload};
use crate::cost::{Cost, rss_bytes};
use crate::error::BenchError;
use crate::meter::Meter;
use crate::progress::Progress;
use crate::report::{Latency, Report};
use crate::requests::Requests;
use crate::traffic::Traffic;
use crate::visitors::Visitors;
use crate::watchers::Watchers;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const TIMER: Token = Token(usize::MAX);
const PING_EVERY_NS: u64 = 5_000_000_000;
/// How long after the end answers are awaited, seconds.
const DRAIN_SECONDS: u64 = 10;
const READ_BYTES: usize = 256 << 10;

pub(crate) struct Load<'a, T> {
    args: &'a Args,
    poll: Poll,
    timer: OwnedFd,
    traffic: T,
    meter: Meter,
    progress: Option<Progress<'a>>,
    /// Operations made due so far, with a rate.
    due: u64,
}

/// Connects, warms up, measures, waits for the last answers.
pub(crate) fn run(args: &Args) -> Result<Report, BenchError> {
    let poll = Poll::new().map_err(BenchError::System)?;
    match args.workload {
        Workload::Watch => {
            let watchers = Watchers::new(args, poll.registry())?;
            Ok(Load::new(args, poll, watchers)?.run()?.0)
        }
        Workload::Session => {
            let visitors = Visitors::new(args, poll.registry())?;
            Ok(Load::new(args, poll, visitors)?.run()?.0)
        }
        _ => {
            let requests = Requests::new(args, poll.registry())?;
            let (report, requests) = Load::new(args, poll, requests)?.run()?;
            Ok(Report { listings: requests.listings(), ..report })
        }
    }
}

impl<'a, T: Traffic> Load<'a, T> {
    fn new(args: &'a Args, poll: Poll, traffic: T) -> Result<Load<'a, T>, BenchError> {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)
            .map_err(|error| BenchError::System(error.into()))?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)
            .map_err(BenchError::System)?;
        let progress = Progress::new(args)?;
        let meter = Meter::new(args, progress.is_some());
        Ok(Load { args, poll, timer, traffic, meter, progress, due: 0 })
    }

    fn run(mut self) -> Result<(Report, T), BenchError> {
        self.meter.started = Instant::now();
        if self.meter.refills {
            self.traffic.begin(&mut self.meter)?;
        }
        self.load_until(self.meter.window.begin_ns)?;
        if self.traffic.is_used_up() {
            return Err(BenchError::UsedUp(self.args.nodes(), self.meter.started.elapsed().as_secs_f64()));
        }
        let cost = Cost::new(&self.args.pid)?;
        let measured_from = Instant::now();
        self.load_until(self.meter.window.end_ns)?;
        let seconds = measured_from.elapsed().as_secs_f64();
        let operations = self.meter.operations;
        let (server_cpu_seconds, own_cpu_seconds) = cost.until_now()?;
        let server_rss_bytes = rss_bytes(&self.args.pid)?;
        self.drain()?;
        if let Some(progress) = &self.progress {
            progress.end();
        }
        let Meter { histogram, kinds, all_operations, .. } = self.meter;
        let report = Report {
            args: self.args.clone(),
            operations,
            all_operations,
            seconds,
            latency: Latency::of(&histogram),
            kinds: kinds.iter().map(|(kind, one)| (*kind, one.len(), Latency::of(one))).collect(),
            histogram: Some(histogram),
            server_cpu_seconds,
            server_rss_bytes,
            own_cpu_seconds,
            listings: None,
        };
        Ok((report, self.traffic))
    }

    fn load_until(&mut self, end_ns: u64) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        let mut next_ping_ns = self.meter.now_ns() + PING_EVERY_NS;
        loop {
            let now_ns = self.meter.now_ns();
            // First, so that what was due before the end is asked however late this thread comes to it.
            self.send_due(now_ns, end_ns)?;
            if now_ns >= end_ns || self.traffic.is_used_up() && self.traffic.unanswered() == 0 {
                return Ok(());
            }
            if now_ns >= next_ping_ns {
                next_ping_ns += PING_EVERY_NS;
                self.traffic.ping()?;
            }
            let mut wait_ns = end_ns - now_ns;
            if let Some(progress) = &mut self.progress {
                wait_ns = wait_ns.min(progress.tell(now_ns, &mut self.meter)?);
            }
            self.poll.poll(&mut events, Some(Duration::from_nanos(wait_ns))).map_err(BenchError::System)?;
            self.handle(&events, &mut buffer)?;
        }
    }

    /// Answers to what was sent; nothing new is sent but what was due.
    fn drain(&mut self) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        self.meter.refills = false;
        let give_up = Instant::now() + Duration::from_secs(DRAIN_SECONDS);
        loop {
            let unanswered = self.traffic.unanswered();
            if unanswered == 0 {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(BenchError::Unanswered(unanswered, DRAIN_SECONDS));
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).map_err(BenchError::System)?;
            self.handle(&events, &mut buffer)?;
        }
    }

    fn handle(&mut self, events: &Events, buffer: &mut [u8]) -> Result<(), BenchError> {
        for event in events {
            match event.token() {
                TIMER => {
                    // Only its edge matters; reading it rearms the edge.
                    let _ = rustix::io::read(&self.timer, &mut [0; 8]);
                }
                Token(number) => self.traffic.ready(number, event.is_readable(), buffer, &mut self.meter)?,
            }
        }
        Ok(())
    }

    /// Open loop: sends what has become due, and sets the timer to the next.
    fn send_due(&mut self, now_ns: u64, end_ns: u64) -> Result<(), BenchError> {
        let Some(rate) = self.args.rate else { return Ok(()) };
        let due_at = |number: u64| (number as f64 * 1e9 / rate) as u64;
        while due_at(self.due) <= now_ns {
            let due_ns = due_at(self.due);
            if due_ns >= end_ns {
                return Ok(());
            }
            self.traffic.due(self.due, due_ns, &mut self.meter)?;
            self.due += 1;
        }
        self.set_timer(due_at(self.due).saturating_sub(self.meter.now_ns()).max(1))
    }

    fn set_timer(&self, wait_ns: u64) -> Result<(), BenchError> {
        let it_value = Timespec { tv_sec: (wait_ns / 1_000_000_000) as i64, tv_nsec: (wait_ns % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .map_err(|error| BenchError::System(error.into()))?;
        Ok(())
    }
}
