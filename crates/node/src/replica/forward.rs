//! A learner's way to its leader: requests that are sent there, and how their outcomes find back (rules.md 1.5, E§9.5).

use super::lanes::Place;
use super::sessions::Life;
use super::{Replica, Role};
use crate::{ConnId, Done, DoneBody, Item, NodeEvent, Now, Origin, Stream};
use ostler_model::{AuthIds, Ensemble, ErrorCode, OpCode, SessionId, Txn, TxnHeader, Zxid};
use ostler_tree::Tree;
use ostler_zab::LinkId;
use std::collections::{BTreeMap, VecDeque};

/// A request for the leader, as the REQUEST packet carries it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// Whose.
    pub session: SessionId,
    /// The client's xid.
    pub cxid: i32,
    /// Which.
    pub op: OpCode,
    /// Without header; checked to decode (BUG-1).
    pub body: Vec<u8>,
    /// Identities of the connection; none for the server's own requests.
    pub ids: Option<AuthIds>,
}

/// What a replica wants to be sent, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outbound {
    /// Leader: propose this to the ensemble.
    Propose {
        /// Its place in the order.
        zxid: Zxid,
        /// Header, body and digest.
        record: Vec<u8>,
        /// The ensemble that it puts into force.
        reconfig: Option<Box<Ensemble>>,
    },
    /// Leader: a client of this server asks for a sync. Answered by [`Replica::sync_answered`].
    Barrier,
    /// Leader: tell this learner that the session it asked after has ended.
    Ended {
        /// The learner.
        link: LinkId,
        /// The session.
        session: SessionId,
    },
    /// Learner: send this to the leader.
    Request(Forward),
    /// Learner: ask the leader whether this session lives, and that it belongs here from now on.
    Revalidate {
        /// Which.
        session: SessionId,
        /// Its time-out from now on, milliseconds.
        timeout_ms: i32,
    },
}

/// A write that was sent and whose proposal has not come back.
#[derive(Clone, Copy, Debug)]
struct Sent {
    origin: Origin,
    session: SessionId,
    cxid: i32,
}

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    /// In the order sent: the leader answers every one of them with exactly one transaction, in this order.
    writes: VecDeque<Sent>,
    /// In the order sent: each is answered by one SYNC, on a leader by its own zab. There with what had been proposed before.
    syncs: VecDeque<(Origin, Option<Zxid>)>,
    /// Answered syncs that wait until the tree has caught up, ascending.
    due: VecDeque<(Zxid, ConnId)>,
    /// Handshakes that wait for the leader's word.
    revalidating: BTreeMap<SessionId, Revalidating>,
    /// Sessions heard of since the leader was last told, with their time-outs.
    touched: BTreeMap<SessionId, i32>,
}

#[derive(Clone, Copy, Debug)]
struct Revalidating {
    origin: Origin,
    timeout_ms: i32,
}

impl Forwarding {
    pub(super) fn clear(&mut self) {
        *self = Forwarding::default();
    }
}

impl Replica {
    /// What is to be sent, in order; handed out once.
    pub fn take_outbound(&mut self) -> Vec<Outbound> {
        std::mem::take(&mut self.outbound)
    }

    /// A learner: sessions heard of since the last call, for the answer to a PING.
    pub fn take_touches(&mut self) -> BTreeMap<SessionId, i32> {
        std::mem::take(&mut self.forwarding.touched)
    }

    pub(super) fn note_touch(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.get(session) {
            self.forwarding.touched.insert(session, state.timeout_ms);
        }
    }

    /// Sends a write to the leader. It has been checked to decode.
    pub(super) fn forward(&mut self, origin: Origin, forward: Forward) {
        let sent = Sent { origin, session: forward.session, cxid: forward.cxid };
        self.forwarding.writes.push_back(sent);
        self.lane_mut(origin.conn).places.push_back((origin.seq, Place::Write));
        self.outbound.push(Outbound::Request(forward));
    }

    /// A sync: on a learner the leader is asked; a leader asks whether it still is one (DEV-18), and waits until what had
    /// been proposed is applied.
    pub(super) fn sync(&mut self, tree: &Tree, streams: &mut [Stream], session: SessionId, origin: Origin) {
        let ready = match self.role {
            Role::Learner => {
                self.forwarding.syncs.push_back((origin, None));
                let (op, ids) = (OpCode::Sync, None);
                self.outbound.push(Outbound::Request(Forward { session, cxid: 0, op, body: Vec::new(), ids }));
                None
            }
            Role::Leader => {
                // Not `last_proposed`: in a new epoch that is its beginning, which no transaction has.
                let proposed = self.window.back().map_or(tree.zxid(), |last| last.header.zxid);
                self.forwarding.syncs.push_back((origin, Some(proposed)));
                self.outbound.push(Outbound::Barrier);
                None
            }
            // Alone, a sync is nothing but its place in the order.
            Role::Alone | Role::Idle | Role::ReadOnly => Some(Zxid::ZERO),
        };
        self.lane_mut(origin.conn).places.push_back((origin.seq, Place::Sync(ready)));
        self.run_lane_now(tree, streams, origin.conn);
    }

    /// The oldest sync is answered: on a learner everything that the leader had committed is committed here.
    pub fn sync_answered(&mut self, tree: &Tree, streams: &mut [Stream]) {
        let Some((origin, proposed)) = self.forwarding.syncs.pop_front() else { return };
        let committed = proposed.unwrap_or(self.committed);
        if let Some(lane) = self.lanes.get_mut(&origin.conn) {
            for (seq, place) in &mut lane.places {
                if *seq == origin.seq {
                    *place = Place::Sync(Some(committed));
                }
            }
        }
        self.forwarding.due.push_back((committed, origin.conn));
        self.run_lane_now(tree, streams, origin.conn);
    }

    /// Connections whose sync the tree has caught up with.
    pub(super) fn next_due_sync(&mut self, applied: Zxid) -> Option<ConnId> {
        let (_, conn) = self.forwarding.due.front().filter(|(ready, _)| *ready <= applied).copied()?;
        self.forwarding.due.pop_front();
        Some(conn)
    }

    /// Asks the leader about a session whose client came here.
    pub(super) fn revalidate(&mut self, streams: &mut [Stream], session: SessionId, origin: Origin, timeout_ms: i32) {
        let asked = self.forwarding.revalidating.insert(session, Revalidating { origin, timeout_ms });
        if let Some(before) = asked {
            // It is closed without an answer: that its session is gone would not be true.
            let conn = before.origin.conn;
            streams[conn.shard()].push(Item::Evict(conn));
            streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms: None });
        }
        self.outbound.push(Outbound::Revalidate { session, timeout_ms });
    }

    /// The leader's word about a session.
    pub fn revalidated(&mut self, now: Now, streams: &mut [Stream], session: SessionId, valid: bool) {
        let Some(Revalidating { origin, timeout_ms }) = self.forwarding.revalidating.remove(&session) else { return };
        let conn = origin.conn;
        if valid && self.lanes.get(&conn).is_some_and(|lane| !lane.gone) {
            self.lane_mut(conn).session = session;
            match self.sessions.get_mut(session) {
                Some(state) => {
                    state.conn = Some(conn);
                    state.timeout_ms = timeout_ms;
                    state.life = Life::Open;
                }
                None => self.sessions.open(session, timeout_ms, Some(conn), now.mono_ms),
            }
            self.note_touch(session);
            self.events.push(NodeEvent::SessionReattached { session, conn, timeout_ms });
        } else {
            self.events.push(NodeEvent::SessionRefused { session, conn });
        }
        let timeout_ms = valid.then_some(timeout_ms);
        streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms });
    }

    /// Whose request a proposal is: the oldest that was sent, if it is that one's, else somebody's on another server.
    ///
    /// An answer "session moved" says that this or another server's connection of the session is stale; which of them
    /// cannot be told (BUG-45), so ours is closed, and its client asks again.
    pub(super) fn match_own(
        &mut self,
        tree: &Tree,
        streams: &mut [Stream],
        header: &TxnHeader,
        txn: &Txn,
    ) -> Option<Origin> {
        let is_its = |sent: &Sent| sent.session == header.session && sent.cxid == header.cxid;
        if *txn == Txn::Error(ErrorCode::SessionMoved) {
            let stale = self.forwarding.writes.iter().find(|sent| is_its(sent)).map(|sent| sent.origin.conn);
            if let Some(conn) = stale {
                streams[conn.shard()].push(Item::Evict(conn));
                self.drop_lane(tree, streams, conn);
            }
            return None;
        }
        let origin = self.forwarding.writes.front().filter(|sent| is_its(sent))?.origin;
        self.forwarding.writes.pop_front();
        Some(origin)
    }

    /// Nobody waits for the answers of this connection any more; those that come are foreign.
    fn drop_lane(&mut self, tree: &Tree, streams: &mut [Stream], conn: ConnId) {
        self.forwarding.writes.retain(|sent| sent.origin.conn != conn);
        for proposed in &mut self.window {
            proposed.origin = proposed.origin.filter(|origin| origin.conn != conn);
        }
        let Some(lane) = self.lanes.remove(&conn) else { return };
        for (seq, _) in lane.places {
            let done = Done { origin: Origin { conn, seq }, zxid: tree.zxid(), body: DoneBody::Dropped };
            streams[conn.shard()].push(Item::Done(done));
        }
        if let Some(state) = self.sessions.get_mut(lane.session).filter(|state| state.conn == Some(conn)) {
            state.conn = None;
        }
    }
}
