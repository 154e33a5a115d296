//! The client: a session core without sockets or clocks, the library for applications over it, and a thin blocking driver.
//!
//! [`aio`] is what applications use: an asynchronous [`aio::Client`] on tokio; [`recipes`] build on it. [`Session`] is the
//! core: both drivers and the
//! simulation run the same one. Its inputs are time, bytes and requests, its outputs are [`Effect`]s. [`Client`] is the
//! blocking driver for tests and tools: one thread, one socket, calls that wait.
#![forbid(unsafe_code)]

/// The Rust example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

mod address;
pub mod aio;
mod calls;
mod chroot;
mod driver;
mod effect;
mod order;
mod prepared;
pub mod recipes;
mod session;
mod texts;
mod watches;

pub use address::{AddressError, Chroot, ConnectString, DEFAULT_PORT, Host};
pub use calls::{Answer, CreateMode, MultiAnswer};
pub use driver::{Client, ClientError};
pub use effect::{
    Cause, Config, Effect, LinkId, RawReply, RequestError, RequestId, SET_WATCHES_BYTES_MAX, SessionState, SubmitError,
    WatchEvent,
};
pub use prepared::Prepared;
pub use session::{PING_INTERVAL_MAX_MS, RETRY_WAIT_MAX_MS, Session};
pub use watches::{WatchKind, Watches};
