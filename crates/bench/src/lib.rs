//! The load generator behind `ostler bench`: one thread, raw frames, little CPU of its own.
//!
//! It speaks the client protocol in frames made once before the run and reads no more of a reply than its header,
//! so that it does not compete with the server that it shares a machine with. [`run`] makes the nodes it needs, warms
//! up, measures, and refuses to report if any reply was an error. With a fixed rate it is an open loop: a request's
//! latency counts from when it was due, whether or not it could be sent then.
#![forbid(unsafe_code)]

mod args;
mod connection;
mod frames;
mod load;
mod process;
mod report;
mod run;
mod setup;

pub use args::{Args, Workload};
pub use report::{Latency, Report};
pub use run::{BenchError, run};
