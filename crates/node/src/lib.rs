//! Replica and Shard: what the server and the simulation both run (rules.md sections 1 and 2).
//!
//! One [`Replica`] decides: sessions, the order of writes, what becomes durable, what is applied. N [`Shard`]s own
//! connections, their input and output bytes, their watches and reads. Each shard hears one [`Stream`] of applied
//! entries. Nothing here reads clocks, files, sockets or random numbers, nothing locks or waits: time comes in as
//! [`Now`], the [`Tree`](ostler_tree::Tree) and the streams belong to the shell that calls.
//!
//! A loop in one thread looks like this:
//! ```text
//! poll sockets -> shard.open / shard.input / shard.hung_up
//! shard.turn(now, &tree, &mut stream, &mut outbox)
//! replica.touch(now, &outbox.touches); for submit in outbox.submits: replica.receive(now, &tree, &mut streams, submit)
//! replica.tick(now, &tree, &mut streams)
//! replica.take_appends() -> log thread;  log thread -> replica.synced(zxid)
//! while replica.apply(now, &mut tree, &mut streams).more { .. }
//! shard.settle(later); for conn in shard.take_dirty(): write shard.output(conn) to its socket until it is empty;
//! shard.wrote(conn, n) after each write
//! ```
#![forbid(unsafe_code)]

// Tests that the fuzz targets share name this crate as they do.
#[cfg(test)]
extern crate self as ostler_node;

mod audit;
mod config;
mod digest_algorithm;
mod event;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
mod ids;
mod member;
mod reads;
mod replica;
mod reply;
mod shard;
mod stream;
mod submit;
mod summary;
mod throttle;
mod watches;

pub use audit::AuditRecord;
pub use config::{Mutant, NodeConfig};
pub use digest_algorithm::DigestAlgorithm;
pub use event::{CloseReason, NodeEvent};
pub use ids::{ConnId, Now};
pub use member::{Member, Order, Parts, Port};
pub use replica::{
    Append, Applied, Forward, Membership, Outbound, ProposalBytes, Replica, ReplicaStats, SessionBucket,
};
pub use shard::{Command, ConnStats, ConnStatus, ResponseSizes, Shard, ShardStats, Turn};
pub use stream::{Batch, Done, DoneBody, Entry, Item, Origin, Stream, WatchOn};
pub use submit::{Outbox, Submit, SubmitItem};
pub use summary::{Distribution, Summary};
pub use throttle::{ConnectionThrottle, ConnectionWeights, LargeRequests, ONE, RequestThrottle};

#[cfg(test)]
mod tests;
