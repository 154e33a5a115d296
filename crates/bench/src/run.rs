//! A run from beginning to end: nodes, connections, load, report.

use crate::args::{Args, Workload};
use crate::cost::{Cost, rss_bytes};
use crate::error::BenchError;
use crate::load;
use crate::report::{Latency, Report};
use crate::setup;
use std::time::Instant;

/// Carries the options out against one server. Fill and clear report their count and time as one operation after the other.
///
/// # Errors
/// Anything but an undisturbed run: no connection, an error reply, a lost connection.
pub fn run(args: &Args) -> Result<Report, BenchError> {
    let numbers =
        [("--clients", args.clients), ("--depth", args.depth), ("--keys", args.keys), ("--batch", args.batch)];
    if let Some((name, _)) = numbers.into_iter().find(|(_, value)| *value == 0) {
        return Err(BenchError::Zero(name));
    }
    let report = match args.workload {
        Workload::Fill => steady(args, setup::fill)?,
        Workload::Clear => steady(args, setup::clear)?,
        _ => {
            setup::make_nodes(args)?;
            let report = load::run(args)?;
            if setup::leaves_much(args) {
                setup::clear(args)?;
            }
            report
        }
    };
    if let (Some(path), Some(histogram)) = (&args.hdr, &report.histogram) {
        let failed = |source| BenchError::File { path: path.clone(), source };
        std::fs::write(path, crate::hdr::distribution(histogram)).map_err(failed)?;
    }
    Ok(report)
}

fn steady(args: &Args, work: fn(&Args) -> Result<u64, BenchError>) -> Result<Report, BenchError> {
    let cost = Cost::new(&args.pid)?;
    let started = Instant::now();
    let operations = work(args)?;
    let seconds = started.elapsed().as_secs_f64();
    let (server_cpu_seconds, own_cpu_seconds) = cost.until_now()?;
    Ok(Report {
        args: args.clone(),
        operations,
        all_operations: operations,
        seconds,
        latency: Latency::default(),
        kinds: Vec::new(),
        histogram: None,
        server_cpu_seconds,
        server_rss_bytes: rss_bytes(&args.pid)?,
        own_cpu_seconds,
        listings: None,
    })
}
