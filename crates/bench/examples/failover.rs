//! How long an ensemble takes no writes when its leader is killed, and whether anything acknowledged is lost:
//! `cargo run --release -p ostler-bench --example failover -- --kills 30`.
//!
//! Three servers run with their defaults (fsync on). One writer is tied to each server with one write at a time, and a
//! fourth keeps a pipeline at whichever server takes it; all of them reconnect at once. A round kills the leader with
//! SIGKILL and measures from the last success before it was dead to the first success of a write that was sent after
//! that, over all writers. The log lines of the new leader split this time. Then the killed server is started again,
//! and each server must hold what was acknowledged: of each writer's node the data (the number of the write) and the
//! version (how many writes there were). No session may have expired.
//! With `--orderly` the leader is stopped with SIGTERM and hands over (DEV-20); measured is then the longest time between two successes.
//! `--sabotage` wipes the disks of all servers in the last round: the run must then fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "a program that asserts; a failure ends it"
)]

use clap::Parser;
use ostler_client::{Client, CreateMode};
use ostler_model::{Request, SetData, open_acl};
use ostler_wire::peer;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SERVERS: usize = 3;
const SESSION_TIMEOUT: Duration = Duration::from_secs(40);
/// The shortest that the servers grant is 4 s; a failover must fit into this one with room.
const QUIET_TIMEOUT: Duration = Duration::from_secs(8);
/// Between two attempts of a writer to connect.
const RETRY: Duration = Duration::from_millis(1);
/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
const LOAD_DEPTH: usize = 32;
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[derive(Parser)]
struct Args {
    /// How often the leader is killed.
    #[arg(long, default_value_t = 30)]
    kills: u64,
    #[arg(long, env = "OSTLER", default_value = "target/release/ostler")]
    binary: PathBuf,
    /// Emptied first, kept afterwards for its logs.
    #[arg(long, default_value = "target/failover")]
    dir: PathBuf,
    /// Fail if the p99 is longer than this.
    #[arg(long)]
    limit_ms: Option<f64>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stop the leader with SIGTERM instead.
    #[arg(long)]
    orderly: bool,
    #[arg(long)]
    sabotage: bool,
}

/// Waits until `done` answers something.
fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server process that does not outlive this program, however it ends.
struct Server {
    number: usize,
    port: u16,
    dir: PathBuf,
    binary: PathBuf,
    child: Child,
}

fn spawn(binary: &Path, dir: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("server.log")).unwrap();
    Command::new(binary)
        .arg(dir.join("zoo.cfg"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}\nhint: name the server with --binary", binary.display()))
}

/// Three servers, each with a folder, its ports chosen while all of them are held.
fn start_all(args: &Args) -> Vec<Server> {
    let held: Vec<TcpListener> = (0..3 * SERVERS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(held);
    let mut members = String::new();
    for number in 1..=SERVERS {
        let at = 3 * (number - 1);
        let _ = writeln!(members, "server.{number}=127.0.0.1:{}:{}", ports[at + 1], ports[at + 2]);
    }
    let start = |number: usize| {
        let (dir, port) = (args.dir.join(format!("server-{number}")), ports[3 * (number - 1)]);
        std::fs::create_dir_all(&dir).unwrap();
        let dir = dir.canonicalize().unwrap();
        std::fs::write(dir.join("myid"), format!("{number}\n")).unwrap();
        let data = dir.display();
        let config = format!("tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={data}\nclientPort={port}\n{members}");
        std::fs::write(dir.join("zoo.cfg"), config).unwrap();
        Server { number, port, binary: args.binary.clone(), child: spawn(&args.binary, &dir), dir }
    };
    (1..=SERVERS).map(start).collect()
}

impl Server {
    fn mode(&self) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(b"srvr").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
    }

    fn serves(&mut self) -> Option<String> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("server {} ended with {status}: see {}", self.number, self.dir.join("server.log").display());
        }
        self.mode()
    }

    /// Asks for an orderly stop.
    fn terminate(&self) {
        let sent =
            Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is part of every system");
        assert!(sent.success(), "the server is ours");
    }

    fn kill(&mut self) {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server is ours");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("server.log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What all writers report into: when the leader was dead, and the successes next to that.
#[derive(Default)]
struct Gap {
    dead: Option<Instant>,
    last_before: Option<Instant>,
    first_after: Option<(Instant, u64)>,
    /// The last success, and the longest time between two.
    last: Option<Instant>,
    longest: Duration,
}

/// What one writer sent and what was acknowledged: numbers, which are also counts.
#[derive(Default)]
struct Count {
    /// The number of the newest write sent.
    sent: AtomicU64,
    /// The number of the newest write acknowledged.
    acked: AtomicU64,
    /// How many writes were acknowledged.
    successes: AtomicU64,
}

#[derive(Default)]
struct Shared {
    gap: Mutex<Gap>,
    counts: [Count; SERVERS + 1],
    stop: AtomicBool,
    /// The first thing that a writer must not meet.
    trouble: Mutex<Option<String>>,
}

struct Writer {
    number: usize,
    /// Tried in turn.
    ports: Vec<u16>,
    depth: usize,
    session: Vec<u8>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        for attempt in 0.. {
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let port = self.ports[attempt % self.ports.len()];
            // Whatever ends a connection, the next attempt tells more.
            let _ = self.connect(port).and_then(|stream| self.write(stream));
            std::thread::sleep(RETRY);
        }
    }

    fn connect(&mut self, port: u16) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        // Protocol version, zxid seen, time-out, session (eight bytes of id, the password with its length), read-only.
        let mut request = vec![0; 12];
        request.extend((SESSION_TIMEOUT.as_millis() as i32).to_be_bytes());
        request.extend(&self.session);
        request.push(0);
        stream.write_all(&[&(request.len() as u32).to_be_bytes(), &request[..]].concat())?;
        let answer = read_frame(&mut stream)?;
        if answer[8..16] == [0; 8] {
            self.trouble("its session expired");
            self.session = no_session();
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.session = answer[8..36].to_vec();
        Ok(stream)
    }

    fn trouble(&self, what: &str) {
        let what = format!("writer {}: {what}", self.number);
        self.shared.trouble.lock().unwrap().get_or_insert(what);
    }

    /// Writes until the connection is lost.
    fn write(&self, mut stream: TcpStream) -> io::Result<()> {
        let count = &self.shared.counts[self.number];
        let path = format!("/w{}", self.number);
        let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let mut out = Vec::new();
            while waiting.len() < self.depth {
                let number = count.sent.fetch_add(1, Ordering::SeqCst) + 1;
                let text = number.to_string();
                let set = SetData { path: Some(path.as_str().into()), data: Some(text.as_bytes()), version: -1 };
                peer::encode_request(&mut out, number as i32, &Request::SetData(set));
                waiting.push_back((number, Instant::now()));
            }
            stream.write_all(&out)?;
            let answer = read_frame(&mut stream)?;
            let now = Instant::now();
            let (number, sent) = waiting.pop_front().expect("filled above");
            let field = |at: usize| i32::from_be_bytes(answer[at..at + 4].try_into().unwrap());
            let (xid, err) = (field(0), field(12));
            assert_eq!(xid, number as i32, "writer {}: answers out of order", self.number);
            match err {
                0 => {}
                // Moved: a connection of ours that it has not seen the end of; expired: noticed when reconnecting.
                -118 | -112 => return Ok(()),
                _ => {
                    self.trouble(&format!("refused with error {err}"));
                    return Ok(());
                }
            }
            count.acked.store(number, Ordering::SeqCst);
            count.successes.fetch_add(1, Ordering::SeqCst);
            let mut gap = self.shared.gap.lock().unwrap();
            let since = gap.last.replace(now).map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
            gap.longest = gap.longest.max(since);
            match gap.dead {
                None => gap.last_before = Some(now),
                Some(dead) if sent > dead && gap.first_after.is_none() => gap.first_after = Some((now, wall_ms())),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn no_session() -> Vec<u8> {
    let mut bytes = vec![0; 28];
    bytes[11] = 16;
    bytes
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    assert!((16..ANSWER_BYTES_MAX).contains(&length), "an answer of {length} bytes");
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Milliseconds of the day of a log line, `2026-11-24T07:36:26.951Z ...`.
fn line_ms(line: &str) -> Option<u64> {
    let number = |from: usize, to: usize| line.get(from..to)?.parse::<u64>().ok();
    Some(((number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?) * 1000 + number(20, 23)?)
}

/// Where the time of one round went, milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    total: f64,
    detection: f64,
    election: f64,
    synchronisation: f64,
    /// The leader serves; a writer has to notice, to reconnect and to be answered.
    first_commit: f64,
}

type Part = fn(&Split) -> f64;

const PARTS: [(&str, Part); 5] = [
    ("without writes", |split| split.total),
    ("  detection", |split| split.detection),
    ("  election", |split| split.election),
    ("  discovery, sync", |split| split.synchronisation),
    ("  first commit", |split| split.first_commit),
];

/// Splits with the new leader's log since the kill or the request to stop.
fn split(log: &str, killed_ms: u64, first_ms: u64, total: f64) -> Split {
    const DAY_MS: u64 = 86_400_000;
    let since = |ms: u64| ((ms + DAY_MS - killed_ms % DAY_MS) % DAY_MS) as f64;
    let times = |text: &str| -> Vec<f64> {
        log.lines().filter(|line| line.contains(text)).filter_map(line_ms).map(since).collect()
    };
    let noticed = *times(" no longer ").first().unwrap_or_else(|| panic!("not in the new leader's log: {log}"));
    let elected = *times("state=leading").last().expect("it leads");
    let serving = *times("serving clients as leader").last().expect("it leads");
    Split {
        total,
        detection: noticed,
        election: elected - noticed,
        synchronisation: serving - elected,
        first_commit: since(first_ms % DAY_MS) - serving,
    }
}

fn stop_leader(servers: &mut [Server], shared: &Shared, orderly: bool) -> (usize, Split) {
    let leader = until("one leads, all serve", || {
        let modes: Option<Vec<String>> = servers.iter_mut().map(Server::serves).collect();
        modes?.iter().position(|mode| mode == "leader")
    });
    let logged: Vec<usize> = servers.iter().map(|server| server.log().len()).collect();
    *shared.gap.lock().unwrap() = Gap::default();
    until("a write before the kill", || shared.gap.lock().unwrap().last_before);
    let killed_ms = wall_ms();
    if orderly {
        servers[leader].terminate();
    } else {
        // From here on it takes nothing in. That it is gone from the table of processes may take longer than a failover.
        servers[leader].child.kill().expect("the server is ours");
        shared.gap.lock().unwrap().dead = Some(Instant::now());
    }
    let status = servers[leader].child.wait().expect("the server is ours");
    assert_eq!(status.success(), orderly, "the server's own end");
    if orderly {
        shared.gap.lock().unwrap().dead = Some(Instant::now());
    }
    let (first, first_ms) = until("a write after the kill", || shared.gap.lock().unwrap().first_after);
    let next = until("another leads", || {
        (0..SERVERS).find(|&at| at != leader && servers[at].serves().is_some_and(|mode| mode == "leader"))
    });
    let gap = shared.gap.lock().unwrap();
    let killed = first - gap.last_before.expect("awaited above");
    let total = if orderly { gap.longest } else { killed }.as_secs_f64() * 1e3;
    drop(gap);
    (leader, split(&servers[next].log()[logged[next]..], killed_ms, first_ms, total))
}

/// Everything acknowledged by now must be at each server; answers what is missing.
fn check(servers: &[Server], shared: &Shared) -> Result<(), String> {
    let load = |value: &AtomicU64| value.load(Ordering::SeqCst);
    let known: Vec<(u64, u64)> =
        shared.counts.iter().map(|count| (load(&count.acked), load(&count.successes))).collect();
    for server in servers {
        let mut client = Client::connect(&format!("127.0.0.1:{}", server.port), SESSION_TIMEOUT).unwrap();
        client.sync("/").unwrap();
        for (number, &(acked, successes)) in known.iter().enumerate() {
            let (data, stat) = client
                .get_data(&format!("/w{number}"), false)
                .map_err(|error| format!("server {}, writer {number}: {error}", server.number))?;
            let found: u64 = String::from_utf8(data.unwrap()).unwrap().parse().unwrap();
            let (version, sent) = (stat.version as u64, load(&shared.counts[number].sent));
            let fits = (acked..=sent).contains(&found) && (successes..=sent).contains(&version);
            if !fits {
                return Err(format!(
                    "server {}, writer {number}: found {found} after {version} writes; acknowledged {acked} after \
                     {successes} writes, sent {sent}",
                    server.number
                ));
            }
        }
        client.close();
    }
    for (number, &(acked, _)) in known.iter().enumerate() {
        until("each writer writes again", || {
            let writes = load(&shared.counts[number].acked) > acked;
            (writes || shared.trouble.lock().unwrap().is_some()).then_some(())
        });
    }
    shared.trouble.lock().unwrap().take().map_or(Ok(()), Err)
}

/// A session that only pings, with an ephemeral node, until told to stop. False: it expired.
fn quiet(mut client: Client, stop: &AtomicBool) -> bool {
    let session = client.session_id();
    while !stop.load(Ordering::Relaxed) && !client.session().has_ended() {
        client.run_for(Duration::from_millis(100));
    }
    client.session_id() == session && client.exists("/quiet", false).is_ok_and(|stat| stat.is_some())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let _ = std::fs::remove_dir_all(&args.dir);
    let mut servers = start_all(&args);
    for server in &mut servers {
        until("the server serves", || server.serves());
    }
    let ports: Vec<u16> = servers.iter().map(|server| server.port).collect();
    let all: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut client = Client::connect(&all.join(","), QUIET_TIMEOUT).unwrap();
    for number in 0..=SERVERS {
        client.create(&format!("/w{number}"), b"0", open_acl().as_ref(), CreateMode::Persistent).unwrap();
    }
    client.create("/quiet", b"", open_acl().as_ref(), CreateMode::Ephemeral).unwrap();
    let shared = Arc::new(Shared::default());
    let watched = Arc::clone(&shared);
    let quiet = std::thread::spawn(move || quiet(client, &watched.stop));
    let writers: Vec<_> = (0..=SERVERS)
        .map(|number| {
            let (ports, depth) = ports.get(number).map_or((ports.clone(), LOAD_DEPTH), |port| (vec![*port], 1));
            let writer = Writer { number, ports, depth, session: no_session(), shared: Arc::clone(&shared) };
            std::thread::spawn(move || writer.run())
        })
        .collect();
    let mut random = args.seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let (mut rounds, mut failure) = (Vec::new(), None);
    for round in 1..=args.kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Different moments of the load, with time to settle after the last round.
        std::thread::sleep(Duration::from_millis(300 + random % 700));
        let (killed, split) = stop_leader(&mut servers, &shared, args.orderly);
        rounds.push(split);
        if args.sabotage && round == args.kills {
            for server in &mut servers {
                server.kill();
                std::fs::remove_dir_all(server.dir.join("version-2")).unwrap();
                server.child = spawn(&server.binary, &server.dir);
            }
        } else {
            servers[killed].child = spawn(&servers[killed].binary, &servers[killed].dir);
        }
        for server in &mut servers {
            until("the restarted server serves", || server.serves());
        }
        let parts: Vec<String> =
            PARTS.iter().map(|(name, part)| format!("{} {:.0}", name.trim(), part(&split))).collect();
        eprintln!("kill {round} of {} (server {}): {} ms", args.kills, killed + 1, parts.join(", "));
        if let Err(what) = check(&servers, &shared) {
            failure = Some(what);
            break;
        }
    }
    shared.stop.store(true, Ordering::Relaxed);
    if !quiet.join().unwrap() && failure.is_none() {
        failure = Some("the session that only pinged expired".to_owned());
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let p99 = report(&rounds);
    let successes: u64 = shared.counts.iter().map(|count| count.successes.load(Ordering::Relaxed)).sum();
    println!("{} kills, {successes} writes acknowledged", rounds.len());
    if failure.is_none() && args.limit_ms.is_some_and(|limit| p99 > limit) {
        failure = Some(format!("the p99 is {p99:.0} ms"));
    }
    match failure {
        None => ExitCode::SUCCESS,
        Some(what) => {
            println!("FAILED: {what}\nhint: the servers' logs and data are in {}", args.dir.display());
            ExitCode::FAILURE
        }
    }
}

/// Prints the table; answers the p99 of the whole.
fn report(rounds: &[Split]) -> f64 {
    println!("{:<18} {:>8} {:>8} {:>8} {:>8}  (ms)", "", "p50", "p90", "p99", "max");
    let mut p99 = 0.0;
    for (index, (name, part)) in PARTS.iter().enumerate() {
        let mut times: Vec<f64> = rounds.iter().map(part).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let [p50, p90, high, max] = [50, 90, 99, 100].map(|percent| at(percent).unwrap_or(0.0));
        println!("{name:<18} {p50:>8.1} {p90:>8.1} {high:>8.1} {max:>8.1}");
        if index == 0 {
            p99 = high;
        }
    }
    p99
}
