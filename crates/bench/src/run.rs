//! A run from beginning to end: nodes, connections, load, report.

use crate::args::{Args, Workload};
use crate::load::Load;
use crate::process;
use crate::report::{Latency, Report};
use crate::setup;
use ostler_client::ClientError;
use std::io;
use std::time::Instant;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum BenchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("bench: cannot connect to {address}: {source}\nhint: is a server running there?")]
    Connect { address: String, source: io::Error },
    #[error("bench: the server did not take a session\nhint: its maxClientCnxns may be below --clients")]
    NoSession,
    #[error("bench: a connection was lost: {0}")]
    Lost(io::Error),
    #[error("bench: the server closed a connection in the middle of the run\nhint: look into its log")]
    Closed,
    #[error("bench: a request was answered with error {0}; a run with errors is not reported")]
    Refused(i32),
    #[error("bench: reply {got} came where {expected} was due")]
    OutOfOrder { expected: i32, got: i32 },
    #[error("bench: a reply of {0} bytes")]
    Malformed(i32),
    #[error(
        "bench: {0} requests were not answered within {1} s after the end\nhint: is the rate beyond what the server can do?"
    )]
    Unanswered(usize, u64),
    #[error(
        "bench: cannot read /proc/{pid}: {source}\nhint: --pid wants the id of the server's process on this machine"
    )]
    Process { pid: u32, source: io::Error },
    #[error("bench: {0}")]
    System(io::Error),
    #[error("bench: {0} must be at least 1")]
    Zero(&'static str),
}

/// Carries the options out. Fill and clear report their count and time as one operation after the other.
///
/// # Errors
/// Anything but an undisturbed run: no connection, an error reply, a lost connection.
pub fn run(args: &Args) -> Result<Report, BenchError> {
    for (name, value) in [("--clients", args.clients), ("--depth", args.depth), ("--keys", args.keys)] {
        if value == 0 {
            return Err(BenchError::Zero(name));
        }
    }
    match args.workload {
        Workload::Fill => steady(args, setup::fill),
        Workload::Clear => steady(args, setup::clear),
        Workload::Get | Workload::Set | Workload::Create | Workload::Mixed => {
            setup::make_keys(args)?;
            let report = Load::new(args)?.run()?;
            if args.workload == Workload::Create {
                setup::clear(args)?;
            }
            Ok(report)
        }
    }
}

fn steady(args: &Args, work: fn(&Args) -> Result<u64, BenchError>) -> Result<Report, BenchError> {
    let cost = Cost::new(args.pid)?;
    let started = Instant::now();
    let operations = work(args)?;
    let seconds = started.elapsed().as_secs_f64();
    let (server_cpu_seconds, own_cpu_seconds) = cost.until_now()?;
    Ok(Report {
        args: args.clone(),
        operations,
        seconds,
        latency: Latency::default(),
        server_cpu_seconds,
        server_rss_bytes: rss_bytes(args.pid)?,
        own_cpu_seconds,
        listings: None,
    })
}

/// CPU time from some moment on.
pub(crate) struct Cost {
    pid: Option<u32>,
    server_ns: u64,
    own_ns: u64,
}

impl Cost {
    pub(crate) fn new(pid: Option<u32>) -> Result<Cost, BenchError> {
        Ok(Cost { pid, server_ns: pid.map_or(Ok(0), cpu_ns)?, own_ns: cpu_ns(std::process::id())? })
    }

    /// Seconds of the server, if there is a pid, and of this process.
    pub(crate) fn until_now(&self) -> Result<(Option<f64>, f64), BenchError> {
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64 / 1e9;
        let server = match self.pid {
            Some(pid) => Some(since(cpu_ns(pid)?, self.server_ns)),
            None => None,
        };
        Ok((server, since(cpu_ns(std::process::id())?, self.own_ns)))
    }
}

fn cpu_ns(pid: u32) -> Result<u64, BenchError> {
    process::cpu_ns(pid).map_err(|source| BenchError::Process { pid, source })
}

pub(crate) fn rss_bytes(pid: Option<u32>) -> Result<Option<u64>, BenchError> {
    let rss = |pid| process::rss_bytes(pid).map_err(|source| BenchError::Process { pid, source });
    pid.map(rss).transpose()
}
