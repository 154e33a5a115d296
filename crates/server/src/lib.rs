//! The shell of the server: everything that waits. Configuration, sockets, threads, signals, four-letter words, logs.
//!
//! What decides lives in `ostler-node` and below; here the world becomes inputs and outputs become system calls
//! (architecture.md sections 5 and 7). [`serve`] is the whole server; [`turn`](crate) its one loop.
#![forbid(unsafe_code)]

mod audit;
mod batching;
mod boot;
mod clock;
pub mod config;
mod doorbell;
mod error;
mod events;
mod listener;
mod log_thread;
pub mod logging;
mod metrics;
mod move_clients;
mod open_port;
mod peers;
mod progress;
mod purge_thread;
mod signals;
mod snapshot_thread;
mod sockets;
mod turn;
mod words;

pub use boot::{Embedded, serve};
pub use error::ServerError;
pub use words::VERSION;
