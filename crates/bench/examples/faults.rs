//! The checking client of `interop/ensemble/faults.py`, which starts it beside an ensemble whose network it breaks.
//!
//! Writers ([`checker`]) go on through every lost connection, each with its one session. Each server has one that is tied to
//! it, so that a majority always has somebody who writes; the others move. Watchers read a register again only when its watch fired. Commands come on stdin, one a line, and each is
//! answered with a line: `progress` says how many writes were acknowledged; `check` stops the writers, compares what
//! every server has with every other and with what was acknowledged, and lets them go on; `end` ends after a check.
//! Whatever is wrong ends the program with a panic.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that asserts; a failure ends it")]

mod checker;

use checker::{Found, Writer};
use clap::Parser;
use ostler_client::{Client, ClientError, RequestError};
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After the network is whole nothing takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    /// host:port of each server.
    #[arg(long, value_delimiter = ',', required = true)]
    servers: Vec<String>,
    #[arg(long, default_value_t = 6)]
    writers: usize,
    #[arg(long, default_value_t = 3)]
    watchers: usize,
    /// Unanswered requests of each writer.
    #[arg(long, default_value_t = 8)]
    depth: usize,
    /// Between two answers of a writer, ms.
    #[arg(long, default_value_t = 5)]
    pause_ms: u64,
    #[arg(long, default_value_t = 30_000)]
    session_timeout_ms: u64,
}

/// Repeats what failed because a connection was lost.
fn again<T>(what: &str, mut call: impl FnMut() -> Result<T, ClientError>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match call() {
            Ok(value) => return value,
            Err(
                error @ (ClientError::Request(RequestError::ConnectionLoss { .. }) | ClientError::NotConnected { .. }),
            ) => {
                assert!(Instant::now() < until, "{what}: {error}");
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// Writes until told to stop, over any number of connections. Then its own session has seen the outcome of all of it.
fn write(writer: &mut Writer, args: &Args, stop: &AtomicBool, progress: &AtomicU64) {
    loop {
        writer.write(args.depth, Duration::from_millis(args.pause_ms), stop, progress);
        // The network may be broken for as long as it likes while nobody asks for a check.
        loop {
            match writer.check_own() {
                Ok(()) => break,
                Err(ClientError::Request(RequestError::ConnectionLoss { .. })) if !stop.load(Ordering::SeqCst) => {}
                Err(ClientError::Request(RequestError::ConnectionLoss { .. })) => {
                    return again("the last look of a writer", || writer.check_own());
                }
                Err(error) => panic!("a writer's own look: {error}"),
            }
        }
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Reads the register only when told that it changed; `seen` never goes back, whichever server it is at.
fn watch(mut client: Client, path: &str, seen: &AtomicU64) {
    loop {
        let value = match client.get_data(path, true) {
            Ok((data, _)) => String::from_utf8(data.unwrap()).unwrap().parse::<u64>().unwrap(),
            Err(ClientError::Request(RequestError::ConnectionLoss { .. })) => continue,
            Err(error) => panic!("watcher of {path}: {error}"),
        };
        let before = seen.swap(value, Ordering::SeqCst);
        assert!(value >= before, "watcher of {path}: read {value} after {before}");
        while client.next_event(Duration::from_millis(100)).is_none() {
            assert!(!client.session().has_ended(), "watcher of {path}: its session ended");
        }
    }
}

/// All servers have the same, the watchers have seen it, and it is what the writers were told.
fn check(args: &Args, writers: &[Writer], watched: &[Arc<AtomicU64>]) -> u64 {
    let mut first: Option<Vec<Found>> = None;
    for server in &args.servers {
        let mut client = again(server, || Client::connect(server, Duration::from_millis(args.session_timeout_ms)));
        let found: Vec<Found> = again(server, || {
            client.sync("/")?;
            writers.iter().map(|writer| writer.found(&mut client)).collect()
        });
        client.close();
        for (number, writer) in writers.iter().enumerate() {
            writer.agrees(&found[number]);
        }
        let first = first.get_or_insert_with(|| found.clone());
        assert_eq!(*first, found, "{server} has something else than {}", args.servers[0]);
    }
    let until = Instant::now() + PATIENCE;
    for (number, seen) in watched.iter().enumerate() {
        let last = writers[number].last_set();
        while seen.load(Ordering::SeqCst) != last {
            let seen = seen.load(Ordering::SeqCst);
            assert!(Instant::now() < until, "watcher {number} saw {seen} and was never told of {last}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    writers.iter().map(|writer| writer.successes).sum()
}

fn main() {
    let args = Args::parse();
    let timeout = Duration::from_millis(args.session_timeout_ms);
    let addresses = args.servers.join(",");
    let mut writers: Vec<Writer> = (0..args.writers)
        .map(|number| Writer::new(args.servers.get(number).unwrap_or(&addresses), number, timeout).unwrap())
        .collect();
    let sessions: Vec<_> = writers.iter().map(|writer| writer.client.session_id()).collect();
    let watched: Vec<Arc<AtomicU64>> = (0..args.watchers.min(args.writers)).map(|_| Arc::default()).collect();
    for (number, seen) in watched.iter().enumerate() {
        let (seen, client) = (Arc::clone(seen), Client::connect(&addresses, timeout).unwrap());
        std::thread::spawn(move || watch(client, &format!("/w{number}-set"), &seen));
    }
    println!("ready");
    let (progress, mut commands, mut ended) = (AtomicU64::new(0), std::io::stdin().lock().lines(), false);
    while !ended {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(|| write(writer, &args, &stop, &progress));
            }
            loop {
                match commands.next().map(|line| line.unwrap()).as_deref() {
                    Some("progress") => println!("{}", progress.load(Ordering::Relaxed)),
                    Some("check") => break,
                    Some("end") | None => break ended = true,
                    Some(other) => panic!("no such command: {other}"),
                }
            }
            stop.store(true, Ordering::SeqCst);
        });
        for (writer, session) in writers.iter().zip(&sessions) {
            assert_eq!(writer.client.session_id(), *session, "a session was lost");
        }
        println!("checked {}", check(&args, &writers, &watched));
        for writer in &mut writers {
            again("removing what was created", || writer.remove());
        }
    }
}
