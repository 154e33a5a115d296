//! The load generator behind `ostler bench`: one thread, raw frames, little CPU of its own.
//!
//! It speaks the client protocol in frames made once before the run and reads no more of a reply than its header,
//! so that it does not compete with the server that it shares a machine with. [`run`] makes the nodes it needs, warms
//! up, measures, and refuses to report if any reply was an error. With a fixed rate it is an open loop: a request's
//! latency counts from when it was due, whether or not it could be sent then.
#![forbid(unsafe_code)]

mod args;
mod compare;
mod connection;
mod cost;
mod error;
mod frames;
mod hdr;
mod kind;
mod lister;
mod load;
mod meter;
mod process;
mod progress;
mod report;
mod requests;
mod run;
mod setup;
mod traffic;
mod visitors;
mod watchers;

pub use args::{Args, Workload};
pub use compare::Comparison;
pub use error::BenchError;
pub use kind::{Kind, Mix};
pub use report::{Latency, Report};
pub use run::run;

/// Carries out what the options say, a single run or a comparison, and returns what to print.
///
/// # Errors
/// As [`run`].
pub fn output(args: &Args) -> Result<String, BenchError> {
    Ok(match (&args.compare, args.json) {
        (None, false) => run(args)?.to_string(),
        (None, true) => format!("{}\n", run(args)?.json()),
        (Some(_), false) => Comparison::run(args)?.to_string(),
        (Some(_), true) => format!("{}\n", Comparison::run(args)?.json()),
    })
}
