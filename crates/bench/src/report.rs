//! What a run found, for people and for programs.

use crate::args::Args;
use crate::kind::Kind;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt;

/// Latencies of a run, microseconds.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "percentiles by their names")]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Latency {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1e3,
        }
    }

    fn json(&self) -> Value {
        json!({"mean": self.mean, "p50": self.p50, "p90": self.p90, "p95": self.p95, "p99": self.p99, "p99.9": self.p999,
            "p99.99": self.p9999, "max": self.max})
    }
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub args: Args,
    /// Operations answered in the measured time.
    pub operations: u64,
    /// Operations answered from the first to the last, warm-up and the end of the run among them.
    pub all_operations: u64,
    /// The measured time, seconds.
    pub seconds: f64,
    /// From when a request was due (with a rate) or sent.
    pub latency: Latency,
    /// The same for each kind of request, if there are several, with their number.
    pub kinds: Vec<(Kind, u64, Latency)>,
    /// All latencies, ns; none for fill and clear.
    pub histogram: Option<Histogram<u64>>,
    /// CPU time of the server in the measured time, seconds, with --pid.
    pub server_cpu_seconds: Option<f64>,
    /// Resident memory of the server at the end, bytes, with --pid.
    pub server_rss_bytes: Option<u64>,
    /// CPU time of the load generator itself, seconds.
    pub own_cpu_seconds: f64,
    /// Listings finished and the bytes of the last, with --list.
    pub listings: Option<(u64, u64)>,
}

impl Report {
    /// Operations per second.
    pub fn throughput(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    /// Server CPU time for one operation, microseconds.
    pub fn server_us_per_operation(&self) -> Option<f64> {
        self.server_cpu_seconds.map(|seconds| seconds * 1e6 / self.operations as f64)
    }

    /// The report as one JSON object.
    pub fn json(&self) -> Value {
        let kind = |(kind, count, latency): &(Kind, u64, Latency)| {
            (kind.name().to_owned(), json!({"operations": count, "latency_us": latency.json()}))
        };
        let kinds = (!self.kinds.is_empty()).then(|| self.kinds.iter().map(kind).collect::<serde_json::Map<_, _>>());
        json!({
            "address": self.args.address,
            "kinds": kinds,
            "workload": self.args.workload.name(),
            "clients": self.args.clients,
            "depth": self.args.depth,
            "size": self.args.size,
            "keys": self.args.keys,
            "rate": self.args.rate,
            "operations": self.operations,
            "seconds": self.seconds,
            "operations_per_second": self.throughput(),
            "latency_us": self.latency.json(),
            "server_cpu_seconds": self.server_cpu_seconds,
            "server_cpu_us_per_operation": self.server_us_per_operation(),
            "server_rss_bytes": self.server_rss_bytes,
            "own_cpu_us_per_operation": self.own_cpu_seconds * 1e6 / self.operations as f64,
            "listings": self.listings.map(|(count, _)| count),
            "listing_bytes": self.listings.map(|(_, bytes)| bytes),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { args, latency, .. } = self;
        let rate = args.rate.map(|rate| format!(", {rate} per second")).unwrap_or_default();
        writeln!(
            f,
            "{} {} clients x depth {}, {} bytes, {} keys{rate}",
            args.workload.name(),
            args.clients,
            args.depth,
            args.size,
            args.keys
        )?;
        writeln!(
            f,
            "throughput   {:>12.0} operations/s   ({} in {:.1} s)",
            self.throughput(),
            self.operations,
            self.seconds
        )?;
        writeln!(
            f,
            "latency us   {:>12.0} p50   {:.0} p90   {:.0} p99   {:.0} p99.9   {:.0} max   {:.0} mean",
            latency.p50, latency.p90, latency.p99, latency.p999, latency.max, latency.mean
        )?;
        for (kind, count, latency) in &self.kinds {
            writeln!(
                f,
                "  {:<10} {count:>12} operations   {:.0} p50   {:.0} p90   {:.0} p99   {:.0} p99.9   {:.0} max",
                kind.name(),
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p999,
                latency.max
            )?;
        }
        if let (Some(us), Some(rss)) = (self.server_us_per_operation(), self.server_rss_bytes) {
            let rss = rss as f64 / f64::from(1 << 20);
            writeln!(f, "server       {us:>12.2} us CPU per operation   {rss:.1} MiB resident")?;
        }
        if let Some((count, bytes)) = self.listings {
            writeln!(f, "listings     {count:>12} of {bytes} bytes")?;
        }
        let own = self.own_cpu_seconds * 1e6 / self.operations as f64;
        writeln!(f, "generator    {own:>12.2} us CPU per operation")
    }
}
