//! A thousand lock holders and election candidates in processes that are killed, paused and cut off, on three servers that are
//! killed and paused: no two hold at a time, and fencing tokens grow.
//! `cargo run --release -p ostler-client --example chaos -- --seconds 60 --holders 1000`.
//!
//! Each holder writes to a witness on the servers' side when it comes in and when it goes out (`witness.rs`). Workers reach each
//! server through a door of their own, which is shut and cut. Sessions last 2 s, pauses are longer and shorter than that. In
//! the end everything is healed, every queue must have moved, and nothing may be left in them. `--sabotage` lets
//! holders write unfenced, as programs without fencing do: the run must then fail.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that asserts; a failure ends it"
)]

mod faults;
mod servers;
mod witness;
mod worker;

use faults::{Worker, World};
use ostler_client::{Client, CreateMode};
use ostler_model::{Dice, open_acl};
use ostler_test::Door;
use servers::{Process, Server};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use worker::Plan;

const USAGE: &str =
    "usage: chaos [--seconds 60] [--holders 1000] [--seed 0] [--binary target/release/ostler] [--dir target/chaos]";
const PATIENCE: Duration = Duration::from_secs(120);
/// Sessions of one process.
const SESSIONS: usize = 10;
/// Contenders for one lock or election.
const CROWD: usize = 20;

struct Args {
    seconds: u64,
    holders: usize,
    seed: u64,
    binary: PathBuf,
    dir: PathBuf,
    sabotage: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let (binary, dir) = (PathBuf::from("target/release/ostler"), PathBuf::from("target/chaos"));
    let mut args = Args { seconds: 60, holders: 1_000, seed: 0, binary, dir, sabotage: false };
    while let Some(word) = words.next() {
        if word == "--sabotage" {
            args.sabotage = true;
            continue;
        }
        let value = words.next()?;
        match word.as_str() {
            "--seconds" => args.seconds = value.parse().ok()?,
            "--holders" => args.holders = value.parse().ok()?,
            "--seed" => args.seed = value.parse().ok()?,
            "--binary" => args.binary = value.into(),
            "--dir" => args.dir = value.into(),
            _ => return None,
        }
    }
    Some(args)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--worker") {
        Plan::parse(&words[1..]).expect("the parent names all arguments").run();
        return ExitCode::SUCCESS;
    }
    let Some(args) = parse(words.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    servers::end_children_on_panic();
    let started = Instant::now();
    let servers = servers::start(&args.binary, &args.dir);
    let address = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect::<Vec<_>>().join(",");
    let queues = (args.holders / CROWD).max(2);
    let (elections, locks) = ((queues / 5).max(1), queues - (queues / 5).max(1));
    let witnesses: Vec<String> = (0..locks)
        .map(|lock| format!("/witness/lock-{lock}"))
        .chain((0..elections).map(|election| format!("/witness/election-{election}")))
        .collect();
    prepare(&address, &witnesses);
    let spread = |number| spread(&args, &servers, number, locks, elections);
    let workers = (0..(args.holders / (SESSIONS * 10)).max(1)).map(spread).collect();
    let mut world = World::new(servers, workers, Dice::new(args.seed));
    let end = Instant::now() + Duration::from_secs(args.seconds);
    while Instant::now() < end {
        world.fault(spawn);
        for worker in &mut world.workers {
            assert!(worker.process.0.try_wait().unwrap().is_none(), "{}", output(worker));
        }
    }
    let sums = stop(&mut world);
    let turns = look(&address, &witnesses);
    let happened: Vec<_> = world.happened.iter().map(|(fault, times)| format!("{fault:?} {times}")).collect();
    let [through, late, sessions] = sums;
    println!("faults: {}", happened.join(", "));
    println!(
        "of workers that were there in the end: {through} turns in and out, {late} refused because the holder's time was up, {sessions} sessions"
    );
    println!(
        "{} holders, {turns} turns at {} locks and elections in {} s: none overlapped, all tokens grew",
        args.holders,
        witnesses.len(),
        started.elapsed().as_secs()
    );
    ExitCode::SUCCESS
}

/// Plans one process and starts it, with doors of its own.
fn spread(args: &Args, servers: &[Server], number: usize, locks: usize, elections: usize) -> Worker {
    let doors: Vec<Door> = servers.iter().map(|server| Door::to(server.port)).collect();
    let address = doors.iter().map(Door::address).collect::<Vec<_>>().join(",");
    let direct = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect::<Vec<_>>().join(",");
    let contenders = (args.holders / SESSIONS).clamp(1, 10);
    let sabotage = args.sabotage;
    let plan = Plan { address, direct, number, sessions: SESSIONS, contenders, locks, elections, sabotage };
    Worker { process: spawn(&plan), plan, doors }
}

fn spawn(plan: &Plan) -> Process {
    let own = std::env::current_exe().unwrap();
    Process(Command::new(own).args(plan.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

fn prepare(address: &str, witnesses: &[String]) {
    let mut client = Client::connect(address, PATIENCE).unwrap();
    let paths = ["/witness"].into_iter().chain(witnesses.iter().map(String::as_str));
    paths.for_each(|path| drop(client.create(path, b"", &open_acl(), CreateMode::Persistent).unwrap()));
    client.close();
}

fn output(worker: &mut Worker) -> String {
    let mut text = String::new();
    worker.process.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Ends all workers in order; what they count, added up.
fn stop(world: &mut World) -> [u64; 3] {
    world.wait_until_all_serve();
    let mut sums = [0; 3];
    world.workers.iter_mut().for_each(|worker| drop(worker.process.0.stdin.take()));
    for worker in &mut world.workers {
        let end = Instant::now() + PATIENCE;
        while worker.process.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "worker {} does not end", worker.plan.number);
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = output(worker);
        let counts = text.trim().strip_prefix("done ").unwrap_or_else(|| panic!("{text}"));
        sums.iter_mut().zip(counts.split(' ')).for_each(|(sum, count)| *sum += count.parse::<u64>().unwrap());
    }
    sums
}

/// Every queue has moved, and nothing is left in any once the sessions of the killed are over. Returns the number of turns.
fn look(address: &str, witnesses: &[String]) -> u64 {
    let mut client = Client::connect(address, PATIENCE).unwrap();
    let mut turns = 0;
    let mut still: BTreeMap<&str, i32> = BTreeMap::new();
    for path in witnesses {
        let version = client.exists(path, false).unwrap().unwrap().version;
        turns += version as u64 / 2;
        if version == 0 {
            still.insert(path, version);
        }
    }
    assert!(still.is_empty(), "nobody ever held these: {still:?}");
    let end = Instant::now() + PATIENCE;
    for parent in ["/locks", "/elections"] {
        // The queues themselves are containers, which may be gone.
        for queue in client.get_children(parent, false).unwrap_or_default() {
            let path = format!("{parent}/{queue}");
            while client.get_children(&path, false).is_ok_and(|names| !names.is_empty()) {
                assert!(Instant::now() < end, "left behind: {:?}", client.get_children(&path, false));
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    client.close();
    turns
}
