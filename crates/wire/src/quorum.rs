//! The packets between a learner and its leader, on the leader's quorum port (ensemble.md section 5).
//!
//! The connection is a plain sequence of records without lengths around them. Each direction has its own enum, so
//! that nobody can send what only the other side may say: [`ToLeader`] and [`ToLearner`]. Both decode from the front
//! of whatever has arrived and say how many bytes the packet took; they never look behind it. That matters for
//! [`ToLearner::Snap`], which is followed by the raw bytes of a snapshot (section 7.4): those stay the caller's.
//!
//! A kind of packet that does not exist, or that belongs to the other direction, is `Unknown`: Apache ignores such
//! packets, and so do the roles.

mod packet;
mod to_leader;
mod to_learner;

pub use packet::packet_bytes_max;
pub use to_leader::{LearnerInfo, ToLeader, Touch};
pub use to_learner::ToLearner;

/// The version of the protocol that all servers since 3.4 speak (LEADERINFO, LearnerInfo).
pub const PROTOCOL_VERSION: i32 = 0x1_0000;
