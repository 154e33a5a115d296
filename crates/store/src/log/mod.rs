//! The transaction log (storage.md section 3): [`Log`] writes it.

mod writer;

pub use writer::{Appended, Commit, Log, LogConfig};
