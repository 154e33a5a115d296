//! Tests of replica and shards together, through bytes (see [`crate::harness`]).

mod client;
mod connections;
mod read_path;
mod reads;
mod sessions;
mod watching;
