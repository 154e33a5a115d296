//! What is in a data directory, said in words: for operators at night and for scripts.
//!
//! [`log`] dumps, verifies and cuts transaction logs, [`snapshot`] shows, counts, compares, verifies and converts snapshots,
//! [`doctor`] tells what a server would make of a whole directory, without changing anything: it runs the server's own
//! recovery over a [`dry::DryDisk`], which keeps every change in memory. Apache's files and ours are the same.
#![forbid(unsafe_code)]

pub mod doctor;
pub mod dry;
mod error;
pub mod log;
pub mod snapshot;
mod text;

pub use error::InspectError;

/// Strings, buffers and records above this are taken for damage, bytes: far more than any jute.maxbuffer that makes sense, because a
/// tool that looks must not refuse what a server with another setting wrote, and little enough to be allocated in vain.
pub const LENGTH_MAX: usize = 256 << 20;
