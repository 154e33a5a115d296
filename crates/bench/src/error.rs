//! Why a run gives no report.

use ostler_client::ClientError;
use std::io;

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
    #[error("bench: a watcher was told more often than the node was set\nhint: does somebody else write below --root?")]
    Surplus,
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
    #[error(
        "bench: the {0} nodes to delete were used up after {1:.1} s, before anything was measured\nhint: raise --nodes or lower --warmup"
    )]
    UsedUp(usize, f64),
    #[error("bench: cannot write {path}: {source}", path = .path.display())]
    File { path: std::path::PathBuf, source: io::Error },
    #[error("bench: nothing to compare\nhint: --compare A B")]
    NoPair,
    #[error("bench: {0} must be at least 1")]
    Zero(&'static str),
}
