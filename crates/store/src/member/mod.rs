//! What an ensemble member needs beyond a standalone server (ensemble.md sections 1.3 and 8, rules.md 1.2 and 1.6).
//!
//! [`EpochFiles`] holds its promises.

mod epochs;

pub use epochs::{EpochFiles, Epochs};
