//! Tests of replica and shards together, through bytes (see [`crate::harness`]).

mod client;
mod coming_and_going;
mod connections;
mod dice;
mod read_path;
mod reads;
mod sessions;
mod watching;
