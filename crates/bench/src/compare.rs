//! Two servers loaded in turn, A B then B A, so that what else the machine does meets both alike.

use crate::args::Args;
use crate::error::BenchError;
use crate::report::Report;
use crate::run::run;
use serde_json::{Value, json};
use std::fmt;

/// What is compared: its name, and where it stands in a report.
type Measure = (&'static str, fn(&Report) -> Option<f64>);

/// The runs of both.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// A and B of each round.
    pub rounds: Vec<[Report; 2]>,
}

impl Comparison {
    /// Carries out all rounds.
    ///
    /// # Errors
    /// As [`run`]; the first run that fails ends it.
    pub fn run(args: &Args) -> Result<Comparison, BenchError> {
        let Some([a, b]) = args.compare.as_deref() else { return Err(BenchError::NoPair) };
        if args.rounds == 0 {
            return Err(BenchError::Zero("--rounds"));
        }
        let side = |address: &str, pid: &[u32]| Args {
            address: address.into(),
            pid: pid.into(),
            compare: None,
            ..args.clone()
        };
        let (a, b) = (side(a, &args.pid), side(b, &args.other_pid));
        let mut rounds = Vec::new();
        for round in 0..args.rounds {
            rounds.push(if round % 2 == 0 {
                [run(&a)?, run(&b)?]
            } else {
                let second = run(&b)?;
                [run(&a)?, second]
            });
        }
        Ok(Comparison { rounds })
    }

    fn median(&self, side: usize, of: fn(&Report) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(|round| of(&round[side])).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            count if count % 2 == 1 => Some(values[middle]),
            _ => Some(f64::midpoint(values[middle - 1], values[middle])),
        }
    }

    fn measures() -> [Measure; 5] {
        [
            ("operations/s", |report| Some(report.throughput())),
            ("p50 us", |report| Some(report.latency.p50)),
            ("p99 us", |report| Some(report.latency.p99)),
            ("server CPU us/operation", Report::server_us_per_operation),
            ("server RSS MiB", |report| report.server_rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))),
        ]
    }

    /// Everything as one JSON object: each report, the medians and their ratio (B to A).
    pub fn json(&self) -> Value {
        let rounds: Vec<Value> = self.rounds.iter().map(|[a, b]| json!({"a": a.json(), "b": b.json()})).collect();
        let measure = |(name, of): (&str, fn(&Report) -> Option<f64>)| {
            let (a, b) = (self.median(0, of), self.median(1, of));
            let ratio = a.zip(b).map(|(a, b)| b / a);
            (name.to_owned(), json!({"a": a, "b": b, "ratio": ratio}))
        };
        let medians: serde_json::Map<_, _> = Comparison::measures().into_iter().map(measure).collect();
        json!({"rounds": rounds, "medians": medians})
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some([a, b]) = self.rounds.first() else { return Ok(()) };
        let args = &a.args;
        writeln!(
            f,
            "{} {} clients x depth {}, {} rounds",
            args.workload.name(),
            args.clients,
            args.depth,
            self.rounds.len()
        )?;
        writeln!(f, "A = {}, B = {}", args.address, b.args.address)?;
        writeln!(f, "{:<24} {:>14} {:>14} {:>8}   A, B of each round", "median", "A", "B", "B / A")?;
        for (name, of) in Comparison::measures() {
            let (a, b) = (self.median(0, of), self.median(1, of));
            if a.is_none() && b.is_none() {
                continue;
            }
            let cell = |value: Option<f64>| value.map_or_else(|| "-".into(), short);
            let ratio = a.zip(b).map_or_else(|| "-".into(), |(a, b)| format!("{:.2}x", b / a));
            let each: Vec<String> =
                self.rounds.iter().map(|[a, b]| format!("{}, {}", cell(of(a)), cell(of(b)))).collect();
            writeln!(f, "{name:<24} {:>14} {:>14} {ratio:>8}   {}", cell(a), cell(b), each.join("; "))?;
        }
        Ok(())
    }
}

/// Three digits or whole numbers.
fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
