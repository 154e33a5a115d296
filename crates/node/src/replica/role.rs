//! What a server is at the moment, and the changes between that (rules.md 1.2, 1.6).
//!
//! A standalone server is always [`Role::Alone`]. A member starts [`Role::Idle`]; zab's effects call
//! [`Replica::serve`], [`Replica::commit`], [`Replica::proposed`] and [`Replica::stop_serving`]. While it is idle nobody
//! looks at the tree: what is committed then is provisional, is applied without being published, and may be taken back
//! by replacing the tree. (The one exception, read-only mode, ends before anything of that happens.)

use super::{Proposed, Replica, Sweep};
use crate::{Item, Now, Stream};
use ostler_model::{SessionId, Zxid};
use ostler_tree::{Overlay, Tree};
use ostler_wire::txn::{DIGEST_VERSION, TxnRecord};
use ostler_zab::ServingRole;

/// Who orders writes, as seen from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// This server, and nobody else: what is durable is committed.
    Alone,
    /// A member between two roles: no clients.
    Idle,
    /// A member between two roles that lets clients read what it holds.
    ReadOnly,
    /// This server, with a quorum.
    Leader,
    /// Another one: writes are sent there, and come back as proposals.
    Learner,
}

impl Role {
    /// True if requests become transactions here.
    pub(super) fn orders_writes(self) -> bool {
        matches!(self, Role::Alone | Role::Leader)
    }

    /// True if sessions expire here.
    pub(super) fn ends_sessions(self) -> bool {
        self.orders_writes() || self == Role::ReadOnly
    }
}

impl Replica {
    /// Begins to serve clients in an established epoch. Everything committed is applied first, so that numbering,
    /// prepare and the shards start from the same tree.
    ///
    /// As a leader there is nothing behind what is committed; a learner may have proposals that wait for their commit.
    pub fn serve(&mut self, now: Now, role: ServingRole, epoch: u32, tree: &mut Tree, streams: &mut [Stream]) {
        assert_eq!(self.role, Role::Idle, "a role begins when the one before has ended");
        self.apply_quietly(tree);
        // Whatever a fuzzy snapshot contained too early or lacked is in its place now: what follows must agree.
        self.settled = true;
        self.role = if role == ServingRole::Leader { Role::Leader } else { Role::Learner };
        self.last_tick_ms = now.mono_ms;
        self.sweep = Sweep::starting(now.mono_ms + self.config.container_check_interval_ms);
        for stream in streams.iter_mut() {
            stream.push(Item::Start { zxid: tree.zxid(), epoch });
        }
        if role != ServingRole::Leader {
            return;
        }
        assert!(self.window.is_empty(), "a leader begins with everything applied");
        self.overlay = Overlay::new(self.config.seed);
        self.last_proposed = Zxid::new(epoch, 0);
        assert!(tree.zxid() <= self.last_proposed, "{}: the tree is ahead of epoch {epoch}", tree.zxid());
        for (session, timeout_ms) in tree.sessions() {
            self.sessions.open(session, timeout_ms, None, now.mono_ms);
        }
        // Only transactions change the tree (BUG-26): what an owner without session left behind goes by its end.
        for owner in tree.ephemeral_owners() {
            if tree.session_timeout_ms(owner).is_none() {
                self.propose_close(now, tree, owner, None);
            }
        }
    }

    /// The role ends: clients are let go, what they had under way is unknown to them. Transactions that are appended
    /// and not committed stay in the window.
    pub fn stop_serving(&mut self, streams: &mut [Stream]) {
        if matches!(self.role, Role::Alone | Role::Idle) {
            return;
        }
        self.role = Role::Idle;
        self.sessions.clear();
        self.lanes.clear();
        self.forwarding.clear();
        self.membership = None;
        self.outbound.clear();
        self.asked_after.clear();
        self.drains.clear();
        self.hold = None;
        for proposed in &mut self.window {
            (proposed.origin, proposed.found) = (None, None);
        }
        self.stopping = vec![true; streams.len()];
        for stream in streams {
            stream.push(Item::Stop);
        }
    }

    /// Everything up to here is committed.
    pub fn commit(&mut self, upto: Zxid) {
        assert_ne!(self.role, Role::Alone, "alone, the disk decides");
        assert_ne!(self.role, Role::ReadOnly, "nothing happens to what read-only clients look at");
        self.committed = self.committed.max(upto);
    }

    /// A learner: the leader proposes this transaction, and it is (or is being) appended here.
    pub fn proposed(&mut self, tree: &Tree, streams: &mut [Stream], record: TxnRecord) {
        assert_ne!(self.role, Role::ReadOnly, "nothing is proposed without a leader");
        let TxnRecord { header, txn, digest } = record;
        let last = self.window.back().map_or(tree.zxid(), |last| last.header.zxid);
        assert!(header.zxid > last, "{} is proposed behind {last}", header.zxid);
        let digest = digest.filter(|digest| self.config.digest && digest.version == DIGEST_VERSION);
        let origin = self.match_own(tree, streams, &header, &txn);
        self.stats.proposed += 1;
        self.last_proposed = header.zxid;
        self.window.push_back(Proposed {
            header,
            txn,
            digest: digest.map(|digest| digest.tree_digest),
            found: None,
            origin,
        });
    }

    /// Transactions behind `after` that were not applied are gone.
    pub fn forget(&mut self, after: Zxid) {
        assert_eq!(self.role, Role::Idle, "nothing that was proposed while serving is forgotten");
        while self.window.back().is_some_and(|last| last.header.zxid > after) {
            self.window.pop_back();
        }
        self.committed = self.committed.min(after);
    }

    /// The tree was replaced: by one that was received, or built anew from disk. Not `settled`: it is that of a fuzzy
    /// snapshot whose transactions are still to come, so that its digest says nothing before this member serves.
    pub fn tree_replaced(&mut self, tree: &Tree, settled: bool) {
        (self.settled, self.differs) = (settled, false);
        assert_eq!(self.role, Role::Idle, "nobody may look at a tree that is replaced");
        self.window.retain(|proposed| proposed.header.zxid > tree.zxid());
        self.committed = tree.zxid();
        self.overlay = Overlay::new(self.config.seed);
    }

    /// Between roles: applies what is committed, for nobody to see yet. True if the digests agree.
    pub fn apply_quietly(&mut self, tree: &mut Tree) -> bool {
        assert_eq!(self.role, Role::Idle, "who serves publishes what it applies");
        let mut changes = Vec::new();
        let mut agrees = true;
        while self.window.front().is_some_and(|next| next.header.zxid <= self.committed)
            && let Some(proposed) = self.window.pop_front()
        {
            tree.apply(&proposed.header, &proposed.txn, &mut changes);
            changes.clear();
            self.stats.applied += 1;
            agrees &= self.digest_agrees(tree, &proposed);
        }
        agrees
    }

    /// True if this server orders writes for an ensemble.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// True if clients are served by a quorum.
    pub fn is_serving(&self) -> bool {
        !matches!(self.role, Role::Idle | Role::ReadOnly)
    }

    /// The time-out of a session that this server knows as its own or from the tree.
    pub(super) fn timeout_of(&self, tree: &Tree, session: SessionId) -> Option<i32> {
        self.sessions.get(session).map(|state| state.timeout_ms).or_else(|| tree.session_timeout_ms(session))
    }
}
