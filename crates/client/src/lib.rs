//! The client: a session core without sockets or clocks, and a thin blocking driver over it.
//!
//! [`Session`] is the core: the driver, the simulation and later the asynchronous library run the same one. Its
//! inputs are time, bytes and requests, its outputs are [`Effect`]s. [`Client`] is the driver for tests and tools: one
//! thread, one socket, calls that wait. The library for applications comes on top of the same core.
#![forbid(unsafe_code)]

mod address;
mod calls;
mod chroot;
mod driver;
mod effect;
mod order;
mod session;
mod watches;

pub use address::{AddressError, Chroot, ConnectString, DEFAULT_PORT, Host};
pub use calls::{Answer, CreateMode, MultiAnswer};
pub use driver::{Client, ClientError};
pub use effect::{
    Cause, Config, Effect, LinkId, RawReply, RequestError, RequestId, SET_WATCHES_BYTES_MAX, SessionState, SubmitError,
    WatchEvent,
};
pub use session::{PING_INTERVAL_MAX_MS, RETRY_WAIT_MAX_MS, Session};
pub use watches::{WatchKind, Watches};
