//! What an ensemble member needs beyond a standalone server (ensemble.md sections 1.3 and 8, rules.md 1.2 and 1.6).
//!
//! [`EpochFiles`] holds its promises. [`truncate`] and [`install`] change its history as the leader says, all or nothing;
//! [`crate::Log::truncate`] and [`crate::Log::install`] do the same in the order of the log. [`crate::recover_member`] reads
//! it all at boot.

mod epochs;
mod install;
pub(crate) mod pending;
#[cfg(test)]
mod tests;
mod truncate;

pub use epochs::{EpochFiles, Epochs};
pub use install::install;
pub use truncate::{Truncation, truncate};
