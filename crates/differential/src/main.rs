//! One seeded generator sends the same requests to Apache ZooKeeper 3.9 and to Ostler, and every answer is compared:
//! replies with their zxids and Stats, watch events and their order, handshakes, closed connections, whole trees.
//!
//! Both servers must be standalone, freshly started on empty directories, with `extendedTypesEnabled`, `enforceQuota`,
//! `reconfigEnabled`, `superDigest` of super:test, no limit of connections, and container and TTL sweeps out of the way.
//! See `interop/differential`, which starts them so.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod connection;
mod coverage;
mod deviations;
mod generate;
mod hazards;
mod logs;
mod pools;
mod report;
mod run;
mod side;

use clap::Parser;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Compares a server with Apache ZooKeeper, request by request.
#[derive(Debug, Parser)]
struct Args {
    /// Apache, HOST:PORT.
    #[arg(required_unless_present = "differences")]
    a: Option<String>,
    /// The server to compare with it, HOST:PORT.
    #[arg(required_unless_present = "differences")]
    b: Option<String>,
    /// The same seed sends the same requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests to send to each.
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// Do not stop at the first difference, but at the hundredth.
    #[arg(long)]
    keep_going: bool,
    /// Do not fail when a reachable pair of operation and error code was never produced.
    #[arg(long)]
    partial: bool,
    /// Data directory of A: compare the transaction logs too (with --log-b).
    #[arg(long, requires = "log_b")]
    log_a: Option<PathBuf>,
    /// Data directory of B.
    #[arg(long, requires = "log_a")]
    log_b: Option<PathBuf>,
    /// Print what differs on purpose or by chance and is therefore not sent, and end.
    #[arg(long)]
    differences: bool,
    /// Afterwards send B the requests that Apache does not survive (they never go to A).
    #[arg(long)]
    hazards: bool,
}

/// Differences after which a run that keeps going gives up.
const MISMATCHES_MAX: usize = 100;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.differences {
        for deviation in deviations::DEVIATIONS {
            println!("{}\n    {}", deviation.what, deviation.reason);
        }
        return ExitCode::SUCCESS;
    }
    let (Some(a), Some(b)) = (resolve(args.a.as_deref()), resolve(args.b.as_deref())) else { return ExitCode::from(2) };
    let began = Instant::now();
    let mut run = match run::Run::start(a, b, args.seed, args.keep_going) {
        Ok(run) => run,
        Err(failure) => {
            eprintln!("differential: {failure}\n  hint: both servers must be freshly started on empty directories");
            return ExitCode::from(2);
        }
    };
    let mut failure = None;
    while run.requests < args.requests && failure.is_none() && run.mismatches.len() < MISMATCHES_MAX {
        failure = run.round().err();
    }
    if failure.is_none() {
        failure = run.compare_trees().err();
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{}", run.coverage.table());
    let (refused, all) = run.coverage.refused();
    println!(
        "seed {}: {} requests to each server in {seconds:.1} s ({:.0} per second), {:.0}% of the answers errors",
        args.seed,
        run.requests,
        run.requests as f64 / seconds,
        100.0 * refused as f64 / all.max(1) as f64
    );
    let mut good = true;
    for mismatch in &run.mismatches {
        eprintln!("\n{mismatch}");
        good = false;
    }
    if let Some(failure) = failure {
        eprintln!("differential: {failure}");
        good = false;
    }
    if let (Some(a), Some(b)) = (&args.log_a, &args.log_b) {
        good &= compare_logs(a, b);
    }
    if args.hazards {
        match hazards::run(b) {
            Ok((lines, right)) => {
                println!("requests that Apache does not survive, to B alone:\n  {}", lines.join("\n  "));
                good &= right;
            }
            Err(error) => {
                eprintln!("differential: B: {error}\n  hint: did the last of these requests kill it?");
                good = false;
            }
        }
    }
    let missing = run.coverage.missing();
    if !missing.is_empty() {
        eprintln!("differential: never produced: {}", missing.join(", "));
        good &= args.partial;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare_logs(a: &Path, b: &Path) -> bool {
    match (logs::read(a), logs::read(b)) {
        (Ok(a), Ok(b)) => {
            let a = logs::without_reused_zxids(a);
            let differences = logs::differences(&a, &b);
            println!("transaction logs: {} records, {} differences", a.len(), differences.len());
            for difference in &differences {
                eprintln!("{difference}");
            }
            differences.is_empty()
        }
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("differential: transaction logs: {error}\n  hint: --log-a and --log-b are the servers' dataDir");
            false
        }
    }
}

fn resolve(text: Option<&str>) -> Option<SocketAddr> {
    let text = text.unwrap_or_default();
    let address = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    if address.is_none() {
        eprintln!("differential: {text:?} is no address\n  hint: HOST:PORT, as in 127.0.0.1:2181");
    }
    address
}
