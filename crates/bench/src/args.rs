//! The options of `ostler bench`.

use crate::kind::{Kind, Mix};
use std::path::PathBuf;
use std::time::Duration;

/// What the clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Workload {
    /// getData of random keys.
    Get,
    /// setData of random keys.
    Set,
    /// create of new persistent nodes, removed after the run.
    Create,
    /// delete of --nodes nodes that are made before, a share for each connection; the run ends early when one has no more.
    Delete,
    /// getChildren2 of random parents, --keys of them with --fan-out children each.
    Children,
    /// getData and setData, --reads percent of them getData; or what --mix says.
    Mixed,
    /// multi of --batch setData each.
    Multi,
    /// All --clients watch one node and another connection sets it: an operation is one notification.
    Watch,
    /// Each operation is a connection: handshake, an ephemeral node, orderly close; --clients of them at a time.
    Session,
    /// Creates --nodes nodes in order, on one connection, and leaves them.
    Fill,
    /// Deletes everything below --root, and --root.
    Clear,
}

impl Workload {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Get => "get",
            Workload::Set => "set",
            Workload::Create => "create",
            Workload::Delete => "delete",
            Workload::Children => "children",
            Workload::Mixed => "mixed",
            Workload::Multi => "multi",
            Workload::Watch => "watch",
            Workload::Session => "session",
            Workload::Fill => "fill",
            Workload::Clear => "clear",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  ostler bench                                            gets at 127.0.0.1:2181, 10 connections, one request each
  ostler bench -w set -c 128 -d 10 --pid $(pgrep ostler)  pipelined sets, with what they cost the server
  ostler bench -w get --rate 5000 -c 50 -d 100            open loop: late requests count from when they were due
  ostler bench -w mixed --mix get=70,set=20,create=5,delete=5
  ostler bench -w watch -c 1000                           how fast a change reaches a thousand watchers
  ostler bench -w session -c 20                           connections opened and closed per second
  ostler bench --compare host1:2181 host2:2181 --rounds 5 two servers in turn, and their ratio
  ostler bench -w fill --nodes 1000000 --fan-out 10       then: ostler bench -w clear

Exit codes: 0 there is a report, 1 there is none (no connection, an error reply, a lost connection), 2 bad invocation.";

/// Load a server and measure throughput, latency and, with --pid, what an operation costs it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The server to load; several, separated by commas: connections go to them in turn.
    #[arg(default_value = "127.0.0.1:2181")]
    pub address: String,
    /// What the clients do.
    #[arg(long, short, value_enum, default_value = "get")]
    pub workload: Workload,
    /// Connections, each with a session.
    #[arg(long, short, default_value_t = 10)]
    pub clients: usize,
    /// Requests that each connection keeps unanswered.
    #[arg(long, short, default_value_t = 1)]
    pub depth: usize,
    /// Bytes of data in each node.
    #[arg(long, short, default_value_t = 100)]
    pub size: usize,
    /// Nodes that get, set, multi and children choose from.
    #[arg(long, short, default_value_t = 1_000)]
    pub keys: usize,
    /// Percent of getData in the mixed workload.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub reads: u32,
    /// The mixed workload in percent: get, set, create, delete, children, multi. A delete takes a node that its connection
    /// created before (and creates one if there is none), so there must be as many creates.
    #[arg(long, value_name = "KIND=PERCENT,...", conflicts_with = "reads")]
    pub mix: Option<Mix>,
    /// Operations in each multi.
    #[arg(long, default_value_t = 5)]
    pub batch: usize,
    /// Operations per second over all connections; without it each connection sends as soon as it can.
    #[arg(long, short, value_parser = rate)]
    pub rate: Option<f64>,
    /// Seconds measured.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds before that.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub warmup: Duration,
    /// The server's process: its CPU time per operation and its memory are reported; of several, separated by commas,
    /// the sums.
    #[arg(long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Where the nodes are made.
    #[arg(long, default_value = "/ostler-bench")]
    pub root: String,
    /// Nodes that the fill workload creates (1000000 unless given) or the delete workload deletes (200000).
    #[arg(long)]
    pub nodes: Option<usize>,
    /// Children of each node of the fill workload (0 unless given: all under one parent), of each parent of the children
    /// workload (10).
    #[arg(long)]
    pub fan_out: Option<usize>,
    /// Another connection lists the children of this path again and again during the run.
    #[arg(long)]
    pub list: Option<String>,
    /// Load two servers in turn, --rounds times each, and report both with their ratio.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "address")]
    pub compare: Option<Vec<String>>,
    /// With --compare: runs of each server.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// With --compare: the process of B, as --pid is that of A.
    #[arg(long, value_delimiter = ',', requires = "compare")]
    pub other_pid: Vec<u32>,
    /// Write the distribution of latencies (us) to this file, in the format that HdrHistogram's plotters read.
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub hdr: Option<PathBuf>,
    /// A progress line each second on stderr even if that is no terminal.
    #[arg(long)]
    pub progress: bool,
    /// The report as one JSON object.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The requests of this run, with their shares.
    pub(crate) fn mix(&self) -> Mix {
        match self.workload {
            Workload::Set => Mix::only(Kind::Set),
            Workload::Create => Mix::only(Kind::Create),
            Workload::Delete => Mix::only(Kind::Delete),
            Workload::Children => Mix::only(Kind::Children),
            Workload::Multi => Mix::only(Kind::Multi),
            Workload::Mixed => self.mix.clone().unwrap_or_else(|| Mix::reads(self.reads)),
            Workload::Get | Workload::Watch | Workload::Session | Workload::Fill | Workload::Clear => {
                Mix::only(Kind::Get)
            }
        }
    }

    /// Nodes for fill and delete.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.unwrap_or(if self.workload == Workload::Delete { 200_000 } else { 1_000_000 })
    }

    /// Children for fill and children.
    pub(crate) fn fan_out(&self) -> usize {
        self.fan_out.unwrap_or(if self.workload == Workload::Fill { 0 } else { 10 })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err(format!("{text:?} is not a number of operations per second above 0")),
    }
}
