//! Tests of replica and shards together, through bytes (see [`crate::harness`]).

mod any_bytes;
mod auditing;
mod client;
mod cluster;
mod coming_and_going;
mod connections;
mod ensemble;
mod ephemerals;
mod figures;
mod garbage;
mod learners;
mod read_only;
mod read_path;
mod reads;
mod reconfiguration;
mod sessions;
mod throttling;
mod watching;
