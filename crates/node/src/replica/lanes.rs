//! The lane of a connection: its requests that are at the replica, strictly in order (rules.md section 2).
//!
//! The head of a lane is always a transaction that is proposed and not yet applied, or a sync that waits for the
//! leader: what stands behind it waits for exactly that, everything else runs at once.

use ostler_model::{AuthIds, OpCode, SessionId, Zxid};
use std::collections::VecDeque;

/// A request that makes no transaction of its own.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// A read of the tree.
    Read { op: OpCode, xid: i32, body: Vec<u8>, ids: AuthIds },
    /// Only its place in the order matters; the shard does it.
    Local,
    /// A write that does not decode.
    Undecodable,
    /// Nothing: its session was ending when it came.
    Dropped,
}

/// One place in a lane.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Proposed (or a closeSession that will be, or a request on its way to the leader), not yet applied.
    Write,
    /// A sync: runs when it is first and the tree contains this transaction; `None` while the leader's answer is
    /// awaited.
    Sync(Option<Zxid>),
    /// Waits for the writes before it.
    Behind(Work),
}

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// The session the connection holds, or 0.
    pub(super) session: SessionId,
    pub(super) places: VecDeque<(u64, Place)>,
    /// The connection is gone: nothing is executed for it, the lane ends when it is empty.
    pub(super) gone: bool,
}
