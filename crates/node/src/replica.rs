//! The one place that decides: sessions, the order of writes, what is applied.

use crate::{ConnId, NodeConfig, NodeEvent, Now, Stream, Submit};
use ostler_model::{SessionId, Zxid};
use ostler_tree::Tree;
use std::sync::Arc;

/// A record for the transaction log, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// Its transaction.
    pub zxid: Zxid,
    /// Header, body and digest.
    pub record: Vec<u8>,
}

/// What one call of [`Replica::apply`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Transactions applied.
    pub txns: usize,
    /// More are durable: call again (after the shards had their turn, if streams are full).
    pub more: bool,
}

/// Figures of the replica, plain counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplicaStats {
    /// Transactions proposed.
    pub proposed: u64,
    /// Transactions applied.
    pub applied: u64,
    /// Sessions known.
    pub sessions: usize,
    /// Sessions expired so far.
    pub expired: u64,
    /// Proposed and not yet applied.
    pub outstanding: usize,
}

/// Sessions that expire together, for `dump`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionBucket {
    /// [`Now::mono_ms`] of the expiry.
    pub expires_mono_ms: u64,
    /// Sorted.
    pub sessions: Vec<SessionId>,
}

/// Sessions, expiry, the window of proposed transactions, the lanes of connections.
#[derive(Debug)]
pub struct Replica {}

impl Replica {
    /// Takes over a recovered tree: its sessions get a fresh time-out from `now` on, the next write gets the zxid
    /// behind the tree's.
    pub fn new(config: Arc<NodeConfig>, tree: &Tree, now: Now) -> Replica {
        let _ = (config, tree, now);
        todo!()
    }
    /// Takes one message of a shard. Never waits; what cannot be answered at once is answered by `apply`.
    pub fn receive(&mut self, now: Now, tree: &Tree, streams: &mut [Stream], submit: Submit) {
        let _ = (now, tree, streams, submit);
        todo!()
    }
    /// These sessions were heard of.
    pub fn touch(&mut self, now: Now, sessions: &[SessionId]) {
        let _ = (now, sessions);
        todo!()
    }
    /// Records to be written, in zxid order; handed out once.
    pub fn take_appends(&mut self) -> Vec<Append> {
        todo!()
    }
    /// Everything up to `zxid` is durable.
    pub fn synced(&mut self, zxid: Zxid) {
        let _ = zxid;
        todo!()
    }
    /// Applies durable transactions (R1-R3 of rules.md section 2): at most 64, none if a stream is full.
    pub fn apply(&mut self, now: Now, tree: &mut Tree, streams: &mut [Stream]) -> Applied {
        let _ = (now, tree, streams);
        todo!()
    }
    /// Expires sessions, sweeps containers and TTL nodes. Call it in every iteration of the loop.
    pub fn tick(&mut self, now: Now, tree: &Tree, streams: &mut [Stream]) {
        let _ = (now, tree, streams);
        todo!()
    }
    /// When `tick` has something to do, in [`Now::mono_ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        todo!()
    }
    /// The last transaction proposed.
    pub fn last_proposed(&self) -> Zxid {
        todo!()
    }
    /// True if nothing is proposed and unapplied (for an orderly stop).
    pub fn is_idle(&self) -> bool {
        todo!()
    }
    /// Figures.
    pub fn stats(&self) -> ReplicaStats {
        todo!()
    }
    /// Sessions by expiry time, for `dump`; ascending.
    pub fn session_buckets(&self) -> Vec<SessionBucket> {
        todo!()
    }
    /// The connection that holds a session.
    pub fn session_conn(&self, session: SessionId) -> Option<ConnId> {
        let _ = session;
        todo!()
    }
    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<NodeEvent> {
        todo!()
    }
}
