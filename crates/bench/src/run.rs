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
    let cost = Cost::new(&args.pid)?;
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
        server_rss_bytes: rss_bytes(&args.pid)?,
        own_cpu_seconds,
        listings: None,
    })
}

/// CPU time from some moment on.
pub(crate) struct Cost<'a> {
    pids: &'a [u32],
    servers_ns: u64,
    own_ns: u64,
}

impl Cost<'_> {
    pub(crate) fn new(pids: &[u32]) -> Result<Cost<'_>, BenchError> {
        Ok(Cost { pids, servers_ns: sum(pids, process::cpu_ns)?, own_ns: sum(&[std::process::id()], process::cpu_ns)? })
    }

    /// Seconds of the servers, if there are any whose processes are known, and of this process.
    pub(crate) fn until_now(&self) -> Result<(Option<f64>, f64), BenchError> {
        let now = Cost::new(self.pids)?;
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64 / 1e9;
        let servers = since(now.servers_ns, self.servers_ns);
        Ok(((!self.pids.is_empty()).then_some(servers), since(now.own_ns, self.own_ns)))
    }
}

/// What `of` says of each process, together.
fn sum(pids: &[u32], of: fn(u32) -> io::Result<u64>) -> Result<u64, BenchError> {
    let of = |&pid: &u32| of(pid).map_err(|source| BenchError::Process { pid, source });
    pids.iter().map(of).sum()
}

pub(crate) fn rss_bytes(pids: &[u32]) -> Result<Option<u64>, BenchError> {
    Ok(if pids.is_empty() { None } else { Some(sum(pids, process::rss_bytes)?) })
}
