//! Recipes on the asynchronous library: what applications build from znodes, done once and right.

mod lock;

pub use lock::{Lock, LockGuard};
