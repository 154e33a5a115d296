//! The shell of the server: everything that waits. Configuration, sockets, threads, signals, four-letter words, logs.
//!
//! What decides lives in `ostler-node` and below; here the world becomes inputs and outputs become system calls
//! (architecture.md sections 5 and 7).
#![forbid(unsafe_code)]

pub mod config;
