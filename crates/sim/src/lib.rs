//! Deterministic simulation of Ostler: whole servers and clients in one event heap, one thread, one seed.
//!
//! A [`world::World`] holds machines with the real Replica, Shards and store (on the store's faulty disk), clients with
//! the real session core, a network of byte streams and a schedule of faults. Nothing reads a clock or a random source:
//! the same seed makes the same run, event by event. While it runs everything a client is told is compared with a naive
//! model at the zxid it names ([`checks`]). docs/simulation.md tells a newcomer how to use it.
#![forbid(unsafe_code)]

mod access;
pub mod checks;
mod clients;
mod clock;
mod contenders;
mod faults;
mod frames;
mod heap;
mod judge;
mod model;
pub mod mutants;
mod net;
pub mod report;
mod server;
pub mod settings;
mod tap;
mod workload;
pub mod world;
