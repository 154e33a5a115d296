//! Read-only mode: a member that finds no quorum lets clients look at what it holds (client-protocol.md section 18).
//!
//! What they see is the tree as it stands between two roles: after a role exactly what was committed, after a start
//! everything that the log holds, so perhaps transactions at its end that never will be committed (as in Apache), but
//! never anything that this server does not hold. A tree that is no state of the history, because it was received
//! while it changed or differs from what its leader foresaw, is shown to nobody.
//!
//! Nothing here can reach tree, log or window (BUG-18): the tree is borrowed for reading, and whatever takes a zxid
//! asserts that it was not called in this role. The sessions made here are this server's own and end with the role.

use super::lanes::Work;
use super::{Replica, Role};
use crate::{ConnId, Item, NodeEvent, Now, Origin, Stream, SubmitItem};
use ostler_model::SessionId;
use ostler_tree::Tree;

/// Apache waits as long, however short its ticks: most elections are over by then.
const LOOKING_MIN_MS: u64 = 2_000;

impl Replica {
    /// How long a member looks for a leader before it serves read-only clients; `None`: it never does.
    pub(crate) fn read_only_after_ms(&self) -> Option<u64> {
        self.config.read_only_mode.then_some(self.config.tick_time_ms.max(LOOKING_MIN_MS))
    }

    /// True while only reads are answered, because there is no quorum.
    pub fn is_read_only(&self) -> bool {
        self.role == Role::ReadOnly
    }

    /// Begins to serve clients that are content with reading. False: the tree is not fit to be shown.
    /// [`Replica::stop_serving`] ends it.
    pub(crate) fn serve_read_only(&mut self, now: Now, tree: &Tree, streams: &mut [Stream]) -> bool {
        assert_eq!(self.role, Role::Idle, "a role begins when the one before has ended");
        if !self.settled || self.differs {
            return false;
        }
        self.role = Role::ReadOnly;
        self.last_tick_ms = now.mono_ms;
        for stream in streams {
            stream.push(Item::StartReadOnly { zxid: tree.zxid() });
        }
        true
    }

    /// The tree is not the one that its leader has.
    pub(crate) fn distrust_tree(&mut self) {
        self.differs = true;
    }

    /// A handshake. (That the session is no global one, as far as the tree knows, the shard has checked.)
    pub(super) fn attach_read_only(
        &mut self,
        now: Now,
        tree: &Tree,
        streams: &mut [Stream],
        origin: Origin,
        (session, password_ok, timeout_ms): (SessionId, bool, i32),
    ) {
        let conn = origin.conn;
        if session == SessionId::NONE {
            let session = self.new_session_id(tree);
            self.sessions.open(session, timeout_ms, Some(conn), now.mono_ms);
            self.events.push(NodeEvent::SessionCreated { session, conn, timeout_ms });
            return self.attach_to(streams, conn, session, Some(timeout_ms));
        }
        if let Some(old) = self.sessions.get_mut(session).and_then(|state| state.conn.take()) {
            streams[old.shard()].push(Item::Evict(old));
            self.probed_conn_gone(session);
        }
        let accepted = match self.sessions.get_mut(session) {
            Some(state) if password_ok => {
                state.conn = Some(conn);
                state.timeout_ms = timeout_ms;
                self.sessions.touch(session, now.mono_ms);
                true
            }
            // Without local sessions Apache takes any that it does not know to be global: perhaps another read-only
            // server's.
            None if password_ok && !self.config.local_sessions => {
                self.sessions.open(session, timeout_ms, Some(conn), now.mono_ms);
                true
            }
            _ => false,
        };
        self.events.push(if accepted {
            NodeEvent::SessionReattached { session, conn, timeout_ms }
        } else {
            NodeEvent::SessionRefused { session, conn }
        });
        self.attach_to(streams, conn, session, accepted.then_some(timeout_ms));
    }

    fn attach_to(&mut self, streams: &mut [Stream], conn: ConnId, session: SessionId, timeout_ms: Option<i32>) {
        if timeout_ms.is_some() {
            self.lane_mut(conn).session = session;
        }
        streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms });
    }

    /// What a shard does not answer by itself: the end of a session, and what stands behind that.
    pub(super) fn request_read_only(
        &mut self,
        tree: &Tree,
        streams: &mut [Stream],
        (session, origin): (SessionId, Origin),
        item: SubmitItem,
    ) {
        let work = match item {
            SubmitItem::Close { .. } => {
                self.sessions.remove(session);
                self.events.push(NodeEvent::SessionClosed { session });
                Work::Local
            }
            SubmitItem::Read { op, xid, body, ids } => Work::Read { op, xid, body, ids },
            SubmitItem::Local => Work::Local,
            // Refused where they arrived.
            _ => Work::Dropped,
        };
        self.place(tree, streams, origin, work);
    }

    /// Nothing was heard of a session in time: nobody but its connection ever knew of it.
    pub(super) fn expire_read_only(&mut self, streams: &mut [Stream], session: SessionId) {
        let Some(state) = self.sessions.remove(session) else { return };
        self.stats.expired += 1;
        self.events.push(NodeEvent::SessionExpired { session, timeout_ms: state.timeout_ms });
        if let Some(conn) = state.conn {
            streams[conn.shard()].push(Item::Evict(conn));
        }
    }
}
