//! Recipes on the asynchronous library: what applications build from znodes, done once and right.
//!
//! Paths, names and data of the znodes are Curator's, or kazoo's where Curator has none, so that programs of both can
//! take part. How each looks, and how safe it is: `docs/recipes.md`.

mod candidate;
pub mod contender;
mod hold;
mod latch;
mod lock;
mod names;
mod place;

pub use candidate::{Candidate, Standing};
pub use hold::{Hold, Holds};
pub use latch::{LeaderLatch, Leadership};
pub use lock::{Lock, LockGuard};
pub use place::Participant;
