//! The options of `ostler bench`.

use std::time::Duration;

/// What the clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Workload {
    /// getData of random keys.
    Get,
    /// setData of random keys.
    Set,
    /// create of new persistent nodes.
    Create,
    /// getData and setData, --reads percent of them getData.
    Mixed,
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
            Workload::Mixed => "mixed",
            Workload::Fill => "fill",
            Workload::Clear => "clear",
        }
    }
}

/// Load a server and measure throughput, latency and, with --pid, what an operation costs it.
#[derive(Clone, Debug, clap::Args)]
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
    /// Nodes that get and set choose from.
    #[arg(long, short, default_value_t = 1_000)]
    pub keys: usize,
    /// Percent of getData in the mixed workload.
    #[arg(long, default_value_t = 80)]
    pub reads: u32,
    /// Operations per second over all connections; without it each connection sends as soon as it can.
    #[arg(long, short)]
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
    /// Nodes that the fill workload creates.
    #[arg(long, default_value_t = 1_000_000)]
    pub nodes: usize,
    /// Children of each node of the fill workload; 0: all under one parent.
    #[arg(long, default_value_t = 0)]
    pub fan_out: usize,
    /// Another connection lists the children of this path again and again during the run.
    #[arg(long)]
    pub list: Option<String>,
    /// The report as one JSON object.
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
