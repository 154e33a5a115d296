//! The one place that decides: sessions, the order of writes, what is applied (rules.md section 2, REPLICA).
//!
//! A write becomes a transaction in [`Replica::receive`] and takes effect in [`Replica::apply`], which publishes it to
//! all shards before anybody can see it. In between it is committed: alone, the log gets it by
//! [`Replica::take_appends`] and [`Replica::synced`] says that it is durable; in an ensemble zab gets it by
//! [`Replica::take_outbound`], and [`Replica::commit`] says that a quorum has it. A learner sends its writes away and
//! gets all transactions by [`Replica::proposed`].

mod apply;
mod expiry;
mod forward;
mod lanes;
mod learners;
mod propose;
mod read_only;
mod receive;
mod reconfig;
mod role;
mod sessions;
mod sweep;

use crate::{ConnId, Distribution, NodeConfig, NodeEvent, Now, Origin, Stream};
use expiry::Hold;
use foldhash::fast::FixedState;
use forward::Forwarding;
pub use forward::{Forward, Outbound};
use hashbrown::HashMap;
use lanes::Lane;
use ostler_model::{SessionId, Txn, TxnHeader, Zxid};
use ostler_tree::{Found, Overlay, Tree};
use ostler_zab::LinkId;
pub(crate) use receive::watched_path;
pub use reconfig::Membership;
pub(crate) use reconfig::ensemble_in;
use role::Role;
use sessions::Sessions;
pub(crate) use sessions::expiry_bucket;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use sweep::{Drain, Sweep};

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
    /// More are committed: call again (after the shards had their turn, if streams are full).
    pub more: bool,
    /// The first transaction after which a learner's tree was not the one its leader foresaw.
    pub diverged: Option<Zxid>,
}

/// Figures of the replica, plain counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplicaStats {
    /// Requests of shards, and ends of sessions that they reported.
    pub received: u64,
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
    /// As a leader: sizes of the records proposed.
    pub proposal_bytes: Option<ProposalBytes>,
}

/// Sizes of proposals, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the words of mntr")]
pub struct ProposalBytes {
    pub last: u64,
    pub min: u64,
    pub max: u64,
}

/// Sessions that expire together, for `dump`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionBucket {
    /// [`Now::mono_ms`] of the expiry.
    pub expires_mono_ms: u64,
    /// Sorted.
    pub sessions: Vec<SessionId>,
}

/// A transaction that is proposed and not yet applied.
#[derive(Debug)]
struct Proposed {
    header: TxnHeader,
    txn: Txn,
    /// The tree's digest behind it, as prepare foresaw it.
    digest: Option<i64>,
    /// What prepare found; only while the role lasts in which it was prepared.
    found: Option<Found>,
    origin: Option<Origin>,
}

/// Sessions, expiry, the window of proposed transactions, the lanes of connections.
#[derive(Debug)]
pub struct Replica {
    config: Arc<NodeConfig>,
    overlay: Overlay,
    sessions: Sessions,
    next_session: SessionId,
    lanes: HashMap<ConnId, Lane, FixedState>,
    /// In zxid order, without a hole.
    window: VecDeque<Proposed>,
    role: Role,
    /// Alone: what becomes a record of the log.
    appends: Vec<Append>,
    /// In an ensemble: what is to be sent.
    outbound: Vec<Outbound>,
    forwarding: Forwarding,
    /// As a leader.
    membership: Option<Membership>,
    /// Learners that ask after sessions whose end is proposed.
    asked_after: BTreeMap<SessionId, Vec<LinkId>>,
    /// Shards that have not said yet that they let their connections go: what they submitted before is void.
    stopping: Vec<bool>,
    last_proposed: Zxid,
    /// Up to where transactions may be applied.
    committed: Zxid,
    /// The tree's digest is that of its transactions (see [`Replica::tree_replaced`]).
    settled: bool,
    /// The tree is not the one that its leader foresaw.
    differs: bool,
    /// Not told yet: see [`Applied::diverged`].
    diverged: Option<Zxid>,
    /// Set while nothing may expire.
    hold: Option<Hold>,
    last_tick_ms: u64,
    sweep: Sweep,
    /// Closing sessions with too many ephemerals for one transaction.
    drains: VecDeque<Drain>,
    stats: ReplicaStats,
    propagation: Distribution,
    events: Vec<NodeEvent>,
    #[cfg(any(test, feature = "mutants"))]
    unpublished: Vec<VecDeque<crate::Item>>,
}

impl Replica {
    /// Takes over a recovered tree: its sessions get a fresh time-out from `now` on, the next write gets the zxid
    /// behind the tree's.
    pub fn new(config: Arc<NodeConfig>, tree: &Tree, now: Now) -> Replica {
        let mut sessions = Sessions::new(config.tick_time_ms, config.seed);
        for (session, timeout_ms) in tree.sessions() {
            sessions.open(session, timeout_ms, None, now.mono_ms);
        }
        Replica {
            role: Role::Alone,
            outbound: Vec::new(),
            forwarding: Forwarding::default(),
            membership: None,
            asked_after: BTreeMap::new(),
            stopping: Vec::new(),
            overlay: Overlay::new(config.seed),
            sessions,
            next_session: SessionId::first_of(config.server_id, now.wall_ms),
            lanes: HashMap::with_hasher(FixedState::with_seed(config.seed)),
            window: VecDeque::new(),
            appends: Vec::new(),
            last_proposed: tree.zxid(),
            committed: tree.zxid(),
            settled: true,
            differs: false,
            diverged: None,
            hold: None,
            last_tick_ms: now.mono_ms,
            sweep: Sweep::starting(now.mono_ms + config.container_check_interval_ms),
            drains: VecDeque::new(),
            stats: ReplicaStats::default(),
            propagation: Distribution::default(),
            events: Vec::new(),
            #[cfg(any(test, feature = "mutants"))]
            unpublished: Vec::new(),
            config,
        }
    }

    /// A member of an ensemble, between two roles, over the provisional tree that it recovered (rules.md 1.2).
    pub fn member(config: Arc<NodeConfig>, tree: &Tree, now: Now) -> Replica {
        let mut replica = Replica::new(config, tree, now);
        replica.role = Role::Idle;
        replica.sessions.clear();
        replica
    }

    /// Records to be written, in zxid order; handed out once.
    pub fn take_appends(&mut self) -> Vec<Append> {
        std::mem::take(&mut self.appends)
    }

    /// Alone: everything up to `zxid` is durable, and so committed.
    pub fn synced(&mut self, zxid: Zxid) {
        assert_eq!(self.role, Role::Alone, "in an ensemble the quorum decides");
        assert!(zxid <= self.last_proposed, "{zxid} cannot be durable: it was never proposed");
        self.committed = self.committed.max(zxid);
    }

    /// When `tick` has something to do, in [`Now::mono_ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        if !self.role.ends_sessions() {
            return None;
        }
        let sessions = if self.hold.is_some() { None } else { self.sessions.next_due_ms() };
        let sweep = if self.role.orders_writes() { self.sweep_deadline() } else { None };
        [sweep, sessions].into_iter().flatten().min()
    }

    /// The last transaction proposed.
    pub fn last_proposed(&self) -> Zxid {
        self.last_proposed
    }

    /// True if nothing is proposed and unapplied (for an orderly stop).
    pub fn is_idle(&self) -> bool {
        self.window.is_empty() && self.drains.is_empty()
    }

    /// Figures.
    pub fn stats(&self) -> ReplicaStats {
        ReplicaStats { sessions: self.sessions.len(), outstanding: self.window.len(), ..self.stats }
    }

    /// Milliseconds from the proposal of each transaction until it was applied.
    pub fn propagation(&self) -> &Distribution {
        &self.propagation
    }

    /// `srst`.
    pub fn reset_stats(&mut self) {
        self.stats = ReplicaStats::default();
        self.propagation = Distribution::default();
    }

    /// Sessions by expiry time, for `dump`; ascending.
    pub fn session_buckets(&self) -> Vec<SessionBucket> {
        self.sessions.buckets()
    }

    /// The connection that holds a session.
    pub fn session_conn(&self, session: SessionId) -> Option<ConnId> {
        self.sessions.get(session)?.conn
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.events)
    }

    /// These sessions were heard of.
    pub fn touch(&mut self, now: Now, sessions: &[SessionId]) {
        for session in sessions {
            self.sessions.touch(*session, now.mono_ms);
            if self.role == Role::Learner {
                self.note_touch(*session);
            }
        }
    }

    /// Connections that have a lane.
    #[cfg(test)]
    pub(crate) fn lane_conns(&self) -> std::collections::BTreeSet<ConnId> {
        self.lanes.keys().copied().collect()
    }

    /// Up to where transactions may be applied.
    #[cfg(test)]
    pub(crate) fn committed(&self) -> Zxid {
        self.committed
    }

    #[cfg(test)]
    pub(crate) fn set_last_proposed(&mut self, zxid: Zxid) {
        self.last_proposed = zxid;
    }

    #[cfg(any(test, feature = "mutants"))]
    #[allow(dead_code, reason = "used by the harness")]
    pub(crate) fn set_config(&mut self, config: Arc<NodeConfig>) {
        self.config = config;
    }

    /// Expires sessions, sweeps containers and TTL nodes. Call it in every iteration of the loop: a gap between two
    /// calls longer than a tick means that the process stood still, and then nothing expires before all sockets were
    /// read.
    /// (A learner leaves all that to its leader.)
    pub fn tick(&mut self, now: Now, tree: &Tree, streams: &mut [Stream]) {
        if !self.role.ends_sessions() {
            return;
        }
        self.notice_gap(now, streams);
        if self.hold.is_none() {
            self.expire_due(now, tree, streams);
        }
        if !self.role.orders_writes() {
            return;
        }
        self.sweep_due(now, tree);
        self.drain_sessions(now, tree);
    }
}
