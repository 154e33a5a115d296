//! The load generator does what it says: each workload against a real server, with what the server counts; an open loop
//! against a server that stalls.

use clap::Parser;
use ostler_bench::{Args, Comparison, Kind, Report};
use ostler_client::{Client, ConnectString};
use ostler_test::TestServer;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(address: &str, words: &str) -> Args {
    let mut words = format!("bench {address} {words}");
    for (option, value) in [("--warmup", "0.05"), ("--duration", "0.2"), ("--keys", "8")] {
        if !words.contains(option) {
            words.push_str(&format!(" {option} {value}"));
        }
    }
    Line::parse_from(words.split_whitespace()).args
}

fn run(address: &str, words: &str) -> Report {
    let report = ostler_bench::run(&args(address, words)).unwrap_or_else(|error| panic!("{words}: {error}"));
    assert!(report.operations > 0 && report.all_operations >= report.operations, "{words}: {report}");
    let histogram = report.histogram.as_ref().expect("a load has latencies");
    assert!(report.args.rate.is_some() || histogram.len() == report.operations, "{words}: {report}");
    report
}

fn client(server: &TestServer) -> Client {
    assert!(ConnectString::parse(&server.address()).is_ok());
    Client::connect(&server.address(), Duration::from_secs(10)).expect("it serves")
}

fn versions(server: &TestServer) -> u64 {
    let mut client = client(server);
    let names = client.get_children("/ostler-bench", false).expect("it is there");
    let version = |name: &String| {
        client.exists(&format!("/ostler-bench/{name}"), false).expect("it answers").expect("it is there").version as u64
    };
    names.iter().map(version).sum()
}

#[test]
fn every_set_is_a_version_at_the_server() {
    let server = TestServer::start();
    let sets = run(&server.address(), "-w set -c 3 -d 4").all_operations;
    assert_eq!(versions(&server), sets);
    let multis = run(&server.address(), "-w multi -c 2 -d 3 --batch 5").all_operations;
    assert_eq!(versions(&server), sets + 5 * multis);
    let mixed = run(&server.address(), "-w mixed --reads 50 -c 2 -d 3");
    let of = |kind| mixed.kinds.iter().find(|(other, ..)| *other == kind).expect("both kinds").1;
    assert_eq!(of(Kind::Get) + of(Kind::Set), mixed.operations);
    let written = versions(&server) - sets - 5 * multis;
    assert!(of(Kind::Set) <= written && written <= mixed.all_operations, "{written}: {mixed}");
}

#[test]
fn creates_and_deletes_come_in_the_numbers_that_are_reported() {
    let server = TestServer::start();
    let mut client = client(&server);
    client.create("/outside", b"", &ostler_model::open_acl(), ostler_client::CreateMode::Persistent).expect("new");
    let zxid = |server: &TestServer| {
        let text = server.word("srvr");
        let hex = text.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("srvr has a zxid").to_owned();
        u64::from_str_radix(&hex, 16).expect("hexadecimal")
    };
    let before = zxid(&server);
    let creates = run(&server.address(), "-w create -c 2 -d 2").all_operations;
    // Two sessions of the load and two of the setup begin and end; the root, 8 keys; all of it is deleted again.
    let transactions = zxid(&server) - before;
    assert!((2 * creates + 18..=2 * creates + 30).contains(&transactions), "{transactions} for {creates} creates");
    let report = run(&server.address(), "-w delete -c 1 -d 2 --nodes 500 --warmup 0 --duration 60");
    assert_eq!((report.all_operations, report.operations), (500, 500));
    assert!(report.seconds < 60.0, "it ends when nothing is left: {report}");
    assert_eq!(client.exists("/ostler-bench", false).expect("it answers"), None);
    let error = ostler_bench::run(&args(&server.address(), "-w delete --nodes 5 --warmup 60")).expect_err("used up");
    assert!(error.to_string().contains("hint: raise --nodes"), "{error}");
}

#[test]
fn a_mix_and_lists_are_served_without_errors() {
    let server = TestServer::start();
    run(&server.address(), "-w get -c 2 -d 8");
    run(&server.address(), "-w children -c 2 --fan-out 7");
    let mut client = client(&server);
    assert_eq!(client.get_children("/ostler-bench/p0000000003", false).expect("it is there").len(), 7);
    let mix = "-w mixed --mix get=40,set=10,create=20,delete=20,children=5,multi=5 -c 2 -d 4 --progress";
    let report = run(&server.address(), mix);
    assert_eq!(report.kinds.len(), 6);
    assert_eq!(report.kinds.iter().map(|(_, count, _)| count).sum::<u64>(), report.operations);
    assert!(report.json()["kinds"]["multi"]["latency_us"]["p99"].is_number(), "{}", report.json());
}

#[test]
fn every_watcher_is_told_of_every_write() {
    let server = TestServer::start();
    let report = run(&server.address(), "-w watch -c 7 --pid 1");
    assert_eq!(report.all_operations % 7, 0);
    assert_eq!(versions(&server), report.all_operations / 7);
    let report = run(&server.address(), "-w watch -c 5 -d 10 --rate 100 --root /paced");
    // 25 writes are due in 0.25 s, 20 of them in the measured part.
    assert_eq!(report.all_operations, 5 * 25);
    assert_eq!(report.histogram.expect("latencies").len(), 5 * 20);
}

#[test]
fn sessions_come_and_go() {
    let server = TestServer::start();
    let before = server.word("srvr");
    let report = run(&server.address(), "-w session -c 4");
    let zxid = |text: &str| {
        let hex = text.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("a zxid").to_owned();
        u64::from_str_radix(&hex, 16).expect("hexadecimal")
    };
    // A session is three transactions: its beginning, its node, its end. The setup has three of its own.
    assert_eq!(zxid(&server.word("srvr")) - zxid(&before), 3 * report.all_operations + 3);
    let mut client = client(&server);
    assert_eq!(client.get_children("/ostler-bench", false).expect("it is there"), Vec::<String>::new());
    let paced = run(&server.address(), "-w session -c 4 --rate 200");
    assert_eq!(paced.all_operations, 50);
}

#[test]
fn what_is_filled_can_be_cleared() {
    let server = TestServer::start();
    let steady = |words: &str| ostler_bench::run(&args(&server.address(), words)).expect("it serves").operations;
    assert_eq!(steady("-w fill --nodes 50 --fan-out 3"), 50);
    assert_eq!(client(&server).all_children_number("/ostler-bench").expect("it is there"), 50);
    assert_eq!(steady("-w clear"), 51);
    assert_eq!(client(&server).exists("/ostler-bench", false).expect("it answers"), None);
}

#[test]
fn two_servers_take_turns() {
    let (a, b) = (TestServer::start(), TestServer::start());
    let words = format!("bench --compare {} {} --rounds 2 -w set --warmup 0 --duration 0.1", a.address(), b.address());
    let comparison = Comparison::run(&Line::parse_from(words.split_whitespace()).args).expect("both serve");
    let sums = |side: usize| comparison.rounds.iter().map(|round| round[side].all_operations).sum::<u64>();
    assert_eq!((versions(&a), versions(&b)), (sums(0), sums(1)));
    let json = comparison.json();
    assert_eq!(json["rounds"].as_array().expect("rounds").len(), 2);
    assert!(json["medians"]["p99 us"]["ratio"].is_number(), "{json}");
    assert!(comparison.to_string().contains(&format!("A = {}, B = {}", a.address(), b.address())), "{comparison}");
}

/// Answers everything with a Stat-less success, and nothing at all for `stall` after `stall_at`.
struct Stalling {
    address: String,
    requests: Arc<AtomicU64>,
}

fn stalling(stall_at: Duration, stall: Duration) -> Stalling {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    // Counts from the first request of the load, which is the first getData.
    let begun = Arc::new(Mutex::new(None));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (counter, begun) = (Arc::clone(&counter), Arc::clone(&begun));
            std::thread::spawn(move || serve(stream, &counter, &begun, stall_at, stall));
        }
    });
    Stalling { address, requests }
}

fn serve(
    mut stream: TcpStream,
    counter: &AtomicU64,
    begun: &Mutex<Option<Instant>>,
    stall_at: Duration,
    stall: Duration,
) {
    stream.set_nodelay(true).expect("a socket");
    let mut handshake = true;
    let mut length = [0; 4];
    while stream.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).expect("a whole frame");
        let mut reply = Vec::new();
        if std::mem::take(&mut handshake) {
            // Protocol, time-out, session, password, read-only.
            reply.extend_from_slice(&[0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x75, 0x30, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16]);
            reply.extend_from_slice(&[0; 17]);
        } else {
            if frame[4..8] == [0, 0, 0, 4] {
                counter.fetch_add(1, Ordering::Relaxed);
                let since = *begun.lock().expect("sound").get_or_insert_with(Instant::now);
                let from = since + stall_at;
                let now = Instant::now();
                if (from..from + stall).contains(&now) {
                    std::thread::sleep(from + stall - now);
                }
            }
            reply.extend_from_slice(&[0, 0, 0, 16]);
            reply.extend_from_slice(&frame[..4]);
            reply.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        }
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

#[test]
fn an_open_loop_counts_the_wait_of_requests_that_could_not_be_sent() {
    // 1,000 requests per second for 1 s; the server stands still for 400 ms of it. The loop has room for one unanswered
    // request on each of two connections: all others that are due meanwhile wait, and their wait counts.
    for depth in [1, 1_000] {
        let server = stalling(Duration::from_millis(200), Duration::from_millis(400));
        let words = format!("-w get -c 2 -d {depth} --rate 1000 --warmup 0 --duration 1");
        let report = run(&server.address, &words);
        assert_eq!(report.all_operations, 1_000, "each that was due is asked");
        assert_eq!(server.requests.load(Ordering::Relaxed), 1_000);
        let histogram = report.histogram.as_ref().expect("latencies");
        assert_eq!(histogram.len(), 1_000, "and counts");
        // Due evenly over the stall: those of its first half wait for more than 200 ms.
        let late = histogram.count_between(200_000_000, u64::MAX);
        assert!((150..=450).contains(&late), "depth {depth}: {late} waited long: {report}");
        assert!(histogram.max() > 350_000_000, "depth {depth}: {report}");
    }
    // A closed loop does not see it: that is what omission means.
    let server = stalling(Duration::from_millis(200), Duration::from_millis(400));
    let report = run(&server.address, "-w get -c 2 -d 1 --warmup 0 --duration 1");
    let histogram = report.histogram.as_ref().expect("latencies");
    assert_eq!(server.requests.load(Ordering::Relaxed), report.all_operations);
    assert_eq!(histogram.count_between(200_000_000, u64::MAX), 2, "{report}");
}
