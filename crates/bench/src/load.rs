//! The loop that loads the server: one thread over all connections, paced by a timer if there is a rate.

use crate::args::Args;
use crate::connection::Connection;
use crate::frames::Frames;
use crate::report::{Latency, Report};
use crate::run::{BenchError, Cost, rss_bytes};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use ostler_model::{Request, SessionId, Zxid};
use ostler_wire::client::{ConnectRequest, ConnectResponse};
use ostler_wire::peer;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const TIMER: Token = Token(usize::MAX);
const LISTER: Token = Token(usize::MAX - 2);
const SESSION_TIMEOUT_MS: i32 = 30_000;
const PING_EVERY_NS: u64 = 5_000_000_000;
/// How long after the end answers are awaited, seconds.
const DRAIN_SECONDS: u64 = 10;
/// Length, xid, zxid and error code of a reply.
const HEAD_BYTES: usize = 20;
const READ_BYTES: usize = 256 << 10;
const HISTOGRAM_MAX_NS: u64 = 60_000_000_000;

pub(crate) struct Load<'a> {
    args: &'a Args,
    poll: Poll,
    timer: OwnedFd,
    connections: Vec<Connection>,
    lister: Option<Lister>,
    started: Instant,
    histogram: Histogram<u64>,
    /// Operations answered in the measured time.
    operations: u64,
    /// Requests made due so far, with a rate.
    due: u64,
}

/// The times of a run, ns since its start.
#[derive(Clone, Copy)]
struct Window {
    begin_ns: u64,
    end_ns: u64,
}

impl<'a> Load<'a> {
    /// Connects everybody.
    pub(crate) fn new(args: &'a Args) -> Result<Load<'a>, BenchError> {
        let poll = Poll::new().map_err(BenchError::System)?;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)
            .map_err(|error| BenchError::System(error.into()))?;
        let register = |stream: &mut TcpStream, token| {
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(stream, token, both).map_err(BenchError::System)
        };
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)
            .map_err(BenchError::System)?;
        let mut connections = Vec::new();
        for (number, address) in (0..args.clients).zip(args.address.split(',').cycle()) {
            let mut stream = open(address)?;
            register(&mut stream, Token(number))?;
            connections.push(Connection::new(stream, Frames::new(args, number)));
        }
        let mut lister = args.list.as_deref().map(|path| Lister::new(args, path)).transpose()?;
        if let Some(lister) = &mut lister {
            register(&mut lister.stream, LISTER)?;
        }
        Ok(Load {
            args,
            poll,
            timer,
            connections,
            lister,
            started: Instant::now(),
            histogram: Histogram::new_with_bounds(1, HISTOGRAM_MAX_NS, 3).expect("constant bounds are sound"),
            operations: 0,
            due: 0,
        })
    }

    /// Warms up, measures, waits for the last answers.
    pub(crate) fn run(mut self) -> Result<Report, BenchError> {
        self.started = Instant::now();
        let begin_ns = self.args.warmup.as_nanos() as u64;
        let window = Window { begin_ns, end_ns: begin_ns + self.args.duration.as_nanos() as u64 };
        if self.args.rate.is_none() {
            for number in 0..self.connections.len() {
                self.refill(number)?;
            }
        }
        self.load_until(window.begin_ns, window)?;
        let cost = Cost::new(&self.args.pid)?;
        let measured_from = Instant::now();
        self.load_until(window.end_ns, window)?;
        let seconds = measured_from.elapsed().as_secs_f64();
        let operations = self.operations;
        let (server_cpu_seconds, own_cpu_seconds) = cost.until_now()?;
        let server_rss_bytes = rss_bytes(&self.args.pid)?;
        self.drain(window)?;
        Ok(Report {
            args: self.args.clone(),
            operations,
            seconds,
            latency: Latency::of(&self.histogram),
            server_cpu_seconds,
            server_rss_bytes,
            own_cpu_seconds,
            listings: self.lister.map(|lister| (lister.count, lister.bytes)),
        })
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }

    fn load_until(&mut self, end_ns: u64, window: Window) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        let mut next_ping_ns = self.now_ns() + PING_EVERY_NS;
        loop {
            let now_ns = self.now_ns();
            if now_ns >= end_ns {
                return Ok(());
            }
            if now_ns >= next_ping_ns {
                next_ping_ns += PING_EVERY_NS;
                for connection in &mut self.connections {
                    connection.ping();
                    connection.flush()?;
                }
            }
            self.send_due(now_ns, end_ns)?;
            self.poll.poll(&mut events, Some(Duration::from_nanos(end_ns - now_ns))).map_err(BenchError::System)?;
            self.handle(&events, &mut buffer, window, self.args.rate.is_none())?;
        }
    }

    /// Answers to what was sent; nothing new is sent but what was due.
    fn drain(&mut self, window: Window) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = vec![0; READ_BYTES];
        let give_up = Instant::now() + Duration::from_secs(DRAIN_SECONDS);
        loop {
            let unanswered: usize =
                self.connections.iter().map(|connection| connection.since_ns.len() + connection.overdue_ns.len()).sum();
            if unanswered == 0 {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(BenchError::Unanswered(unanswered, DRAIN_SECONDS));
            }
            self.poll.poll(&mut events, Some(Duration::from_millis(100))).map_err(BenchError::System)?;
            self.handle(&events, &mut buffer, window, false)?;
        }
    }

    fn handle(&mut self, events: &Events, buffer: &mut [u8], window: Window, refill: bool) -> Result<(), BenchError> {
        for event in events {
            let number = match event.token() {
                TIMER => {
                    // Only its edge matters; reading it rearms the edge.
                    let _ = rustix::io::read(&self.timer, &mut [0; 8]);
                    continue;
                }
                LISTER => {
                    if let Some(lister) = &mut self.lister {
                        lister.read(buffer)?;
                    }
                    continue;
                }
                Token(number) => number,
            };
            if event.is_readable() {
                self.read(number, buffer, window)?;
                if refill {
                    self.refill(number)?;
                } else {
                    self.send_overdue(number);
                }
            }
            self.connections[number].flush()?;
        }
        Ok(())
    }

    fn read(&mut self, number: usize, buffer: &mut [u8], window: Window) -> Result<(), BenchError> {
        let (started, histogram) = (self.started, &mut self.histogram);
        let open_loop = self.args.rate.is_some();
        let mut now_ns = 0;
        let mut answered = 0;
        self.connections[number].read(buffer, |since_ns| {
            if now_ns == 0 {
                now_ns = started.elapsed().as_nanos() as u64;
            }
            let in_time = (window.begin_ns..window.end_ns).contains(&now_ns);
            answered += u64::from(in_time);
            let counts = if open_loop { (window.begin_ns..window.end_ns).contains(&since_ns) } else { in_time };
            if counts {
                histogram.saturating_record(now_ns.saturating_sub(since_ns).max(1));
            }
        })?;
        self.operations += answered;
        Ok(())
    }

    /// Closed loop: every connection keeps its depth.
    fn refill(&mut self, number: usize) -> Result<(), BenchError> {
        let connection = &mut self.connections[number];
        if connection.since_ns.len() >= self.args.depth {
            return Ok(());
        }
        let now_ns = self.started.elapsed().as_nanos() as u64;
        while connection.since_ns.len() < self.args.depth {
            connection.ask(now_ns);
        }
        connection.flush()
    }

    /// Open loop: what was due while the depth was reached goes as soon as there is room.
    fn send_overdue(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        while connection.since_ns.len() < self.args.depth
            && let Some(due_ns) = connection.overdue_ns.pop_front()
        {
            connection.ask(due_ns);
        }
    }

    /// Open loop: sends what has become due, round the connections, and sets the timer to the next.
    fn send_due(&mut self, now_ns: u64, end_ns: u64) -> Result<(), BenchError> {
        let Some(rate) = self.args.rate else { return Ok(()) };
        let due_at = |number: u64| (number as f64 * 1e9 / rate) as u64;
        while due_at(self.due) <= now_ns {
            let due_ns = due_at(self.due);
            if due_ns >= end_ns {
                return Ok(());
            }
            let number = (self.due % self.connections.len() as u64) as usize;
            self.due += 1;
            self.connections[number].overdue_ns.push_back(due_ns);
            self.send_overdue(number);
            self.connections[number].flush()?;
        }
        self.set_timer(due_at(self.due).saturating_sub(self.now_ns()).max(1))
    }

    fn set_timer(&self, wait_ns: u64) -> Result<(), BenchError> {
        let it_value = Timespec { tv_sec: (wait_ns / 1_000_000_000) as i64, tv_nsec: (wait_ns % 1_000_000_000) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .map_err(|error| BenchError::System(error.into()))?;
        Ok(())
    }
}

/// Connects and shakes hands, blocking.
fn open(address: &str) -> Result<TcpStream, BenchError> {
    let failed = |source| BenchError::Connect { address: address.into(), source };
    let mut stream = std::net::TcpStream::connect(address).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let mut bytes = Vec::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: SESSION_TIMEOUT_MS,
        session: SessionId::NONE,
        password: vec![0; 16],
        read_only: Some(false),
    }
    .encode(&mut bytes);
    stream.write_all(&bytes).map_err(failed)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).map_err(|_| BenchError::NoSession)?;
    let mut payload = vec![0; u32::from_be_bytes(length).min(1_024) as usize];
    stream.read_exact(&mut payload).map_err(|_| BenchError::NoSession)?;
    match ConnectResponse::decode(&payload) {
        Ok(response) if response.timeout_ms > 0 => (),
        _ => return Err(BenchError::NoSession),
    }
    stream.set_nonblocking(true).map_err(failed)?;
    Ok(TcpStream::from_std(stream))
}

/// The connection that lists the children of a path again and again.
struct Lister {
    stream: TcpStream,
    request: Vec<u8>,
    head: Vec<u8>,
    left: u64,
    count: u64,
    bytes: u64,
}

impl Lister {
    fn new(args: &Args, path: &str) -> Result<Lister, BenchError> {
        let mut request = Vec::new();
        peer::encode_request(&mut request, 1, &Request::GetChildren { path: Some(path.into()), watch: false });
        let stream = open(args.address.split(',').next().unwrap_or_default())?;
        let mut lister = Lister { stream, request, head: Vec::new(), left: 0, count: 0, bytes: 0 };
        lister.ask()?;
        Ok(lister)
    }

    fn ask(&mut self) -> Result<(), BenchError> {
        self.stream.write_all(&self.request).map_err(BenchError::Lost)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), BenchError> {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(BenchError::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(BenchError::Lost(error)),
            };
            self.take(&buffer[..count])?;
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), BenchError> {
        while !bytes.is_empty() {
            let head = (HEAD_BYTES - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if head > 0 && self.head.len() == HEAD_BYTES {
                let int = |at: usize| i32::from_be_bytes([0, 1, 2, 3].map(|byte| self.head[at + byte]));
                if int(16) != 0 {
                    return Err(BenchError::Refused(int(16)));
                }
                self.bytes = int(0) as u64;
                self.left = (self.bytes + 4).saturating_sub(HEAD_BYTES as u64);
            }
            let taken = self.left.min(bytes.len() as u64);
            self.left -= taken;
            bytes = &bytes[taken as usize..];
            if self.left == 0 && self.head.len() == HEAD_BYTES {
                self.head.clear();
                self.count += 1;
                self.ask()?;
            }
        }
        Ok(())
    }
}
