//! What shards ask for: REPLICA.receive of rules.md section 2.

use super::lanes::{Lane, Place, Work};
use super::sessions::{Life, Owner};
use super::{Forward, Replica, Role};
use crate::reads::{ListingMax, ReadOutcome, Reader};
use crate::stream::WatchOn;
use crate::{ConnId, Done, DoneBody, Item, NodeEvent, Now, Origin, Stream, Submit, SubmitItem};
use ostler_model::{AuthId, AuthIds, OpCode, Request, SessionId};
use ostler_tree::Tree;
use ostler_wire::client::decode_request;
use ostler_wire::jute::DecodeError;
use std::sync::Arc;

impl Replica {
    /// Takes one message of a shard. Never waits; what cannot be answered at once is answered by `apply`.
    pub fn receive(&mut self, now: Now, tree: &Tree, streams: &mut [Stream], submit: Submit) {
        let Submit { origin, item } = submit;
        if let SubmitItem::Stopped { shard } = item {
            self.stopping[shard] = false;
            return;
        }
        // A member that does not serve, or a shard that does not know yet that the role it speaks to has ended.
        if self.role == Role::Idle || self.stopping.get(origin.conn.shard()) == Some(&true) {
            return;
        }
        self.stats.received += 1;
        match item {
            SubmitItem::Connect { session, password_ok, timeout_ms } => {
                self.lanes.insert(origin.conn, Lane::default());
                if self.role == Role::ReadOnly {
                    self.attach_read_only(now, tree, streams, origin, (session, password_ok, timeout_ms));
                } else if session == SessionId::NONE {
                    self.create_session(now, tree, origin, timeout_ms);
                } else if self.role == Role::Learner {
                    self.ask_leader(streams, origin, session, password_ok, timeout_ms);
                } else {
                    self.reattach(now, streams, origin, session, password_ok, timeout_ms);
                }
            }
            SubmitItem::Gone => self.conn_gone(origin.conn),
            SubmitItem::Silent { session } => self.session_silent(now, tree, streams, origin.conn, session),
            SubmitItem::HaveRead { shard } => self.shard_has_read(shard, streams),
            SubmitItem::Stopped { .. } => {}
            SubmitItem::Write { .. }
            | SubmitItem::Sync
            | SubmitItem::Read { .. }
            | SubmitItem::Local
            | SubmitItem::Close { .. } => self.request(now, tree, streams, origin, item),
        }
    }

    fn request(&mut self, now: Now, tree: &Tree, streams: &mut [Stream], origin: Origin, item: SubmitItem) {
        let Some(session) = self.admitted(streams, origin) else {
            self.drop_request(tree, streams, origin);
            return;
        };
        if self.role == Role::ReadOnly {
            return self.request_read_only(tree, streams, (session, origin), item);
        }
        let work = match item {
            SubmitItem::Write { op, xid, body, ids } if self.role == Role::Learner => {
                // Nothing malformed leaves this server (BUG-1, DEV-8).
                if decode_request(op, &body, self.config.frame_bytes_max).is_ok() {
                    self.forward(origin, Forward { session, cxid: xid, op, body, ids: Some(ids) });
                    return;
                }
                Work::Undecodable
            }
            SubmitItem::Write { op, xid, body, ids } => {
                match self.write(now, tree, (session, xid), op, &body, &ids, origin) {
                    Some(work) => work,
                    None => {
                        self.lane_mut(origin.conn).places.push_back((origin.seq, Place::Write));
                        return;
                    }
                }
            }
            SubmitItem::Close { xid } if self.role == Role::Learner => {
                self.sessions.leave_bucket(session, Life::Closing);
                let (op, ids) = (OpCode::CloseSession, None);
                self.forward(origin, Forward { session, cxid: xid, op, body: Vec::new(), ids });
                return;
            }
            SubmitItem::Close { xid } => {
                self.lane_mut(origin.conn).places.push_back((origin.seq, Place::Write));
                self.close_session(now, tree, session, Some((Some(origin), xid)));
                return;
            }
            SubmitItem::Sync => {
                self.sync(tree, streams, session, origin);
                return;
            }
            SubmitItem::Read { op, xid, body, ids } => Work::Read { op, xid, body, ids },
            _ => Work::Local,
        };
        self.place(tree, streams, origin, work);
    }

    /// A request that is not carried out still has its place: behind what this connection asked before.
    fn drop_request(&mut self, tree: &Tree, streams: &mut [Stream], origin: Origin) {
        match self.lanes.get_mut(&origin.conn).filter(|lane| !lane.places.is_empty()) {
            Some(lane) => lane.places.push_back((origin.seq, Place::Behind(Work::Dropped))),
            None => {
                let done = Done { origin, zxid: tree.zxid(), body: DoneBody::Dropped };
                streams[origin.conn.shard()].push(Item::Done(done));
            }
        }
    }

    /// The session of the connection, if its requests are to be carried out (rules.md 1.5).
    fn admitted(&mut self, streams: &mut [Stream], origin: Origin) -> Option<SessionId> {
        let lane = self.lanes.get(&origin.conn).filter(|lane| !lane.gone)?;
        let session = lane.session;
        match self.sessions.get(session) {
            Some(state) if state.life == Life::Closing => None,
            Some(state) if state.conn == Some(origin.conn) => Some(session),
            Some(_) => {
                streams[origin.conn.shard()].push(Item::Evict(origin.conn));
                None
            }
            None => None,
        }
    }

    /// Proposes a write, or says what stands in its place.
    #[allow(clippy::too_many_arguments, reason = "a request with its circumstances")]
    fn write(
        &mut self,
        now: Now,
        tree: &Tree,
        caller: (SessionId, i32),
        op: OpCode,
        body: &[u8],
        ids: &AuthIds,
        origin: Origin,
    ) -> Option<Work> {
        match decode_request(op, body, self.config.frame_bytes_max) {
            Ok(request) => self.propose(now, tree, caller, ids, &request, Some(origin)),
            // Of what does not decode, only a multi consumes a zxid, and not for a null ACL vector (section 20).
            Err(error) if op == OpCode::Multi && error != DecodeError::MultiNullAcl => {
                self.propose_malformed(now, caller, origin);
            }
            Err(_) => return Some(Work::Undecodable),
        }
        None
    }

    /// Puts work into its lane, or does it if nothing is before it.
    pub(super) fn place(&mut self, tree: &Tree, streams: &mut [Stream], origin: Origin, work: Work) {
        let lane = self.lane_mut(origin.conn);
        if lane.places.is_empty() {
            let session = lane.session;
            let done = self.execute(tree, session, origin, work);
            streams[origin.conn.shard()].push(Item::Done(done));
        } else {
            lane.places.push_back((origin.seq, Place::Behind(work)));
        }
    }

    pub(super) fn lane_mut(&mut self, conn: ConnId) -> &mut Lane {
        self.lanes.get_mut(&conn).expect("an admitted connection has a lane")
    }

    /// Does work that stands at the head of its lane, at the tree's zxid.
    pub(super) fn execute(&self, tree: &Tree, session: SessionId, origin: Origin, work: Work) -> Done {
        let body = match work {
            Work::Local => DoneBody::Local,
            Work::Undecodable => DoneBody::Undecodable,
            Work::Dropped => DoneBody::Dropped,
            Work::Read { op, xid, body, ids } => self.read(tree, session, (op, xid), &body, &ids),
        };
        Done { origin, zxid: tree.zxid(), body }
    }

    fn read(&self, tree: &Tree, session: SessionId, (op, xid): (OpCode, i32), body: &[u8], ids: &[AuthId]) -> DoneBody {
        let Ok(request) = decode_request(op, body, self.config.frame_bytes_max) else {
            return DoneBody::Undecodable;
        };
        let reader = Reader { tree, policy: &self.config.policy, ids, session, xid, zxid: tree.zxid() };
        let mut frame = Vec::with_capacity(256);
        let outcome = reader.run(&request, ListingMax::NONE, &mut frame);
        let watch = match (outcome, watched_path(&request)) {
            (ReadOutcome::Watchable(table), Some(path)) => Some(WatchOn { table, path: Arc::from(path) }),
            _ => None,
        };
        DoneBody::Reply { frame, watch }
    }

    /// The next id, counted up. After a restart with a clock that went back, ids of recovered sessions are skipped.
    pub(super) fn new_session_id(&mut self, tree: &Tree) -> SessionId {
        loop {
            let session = self.next_session;
            self.next_session = SessionId(session.0.wrapping_add(1));
            if session != SessionId::NONE && self.timeout_of(tree, session).is_none() {
                return session;
            }
        }
    }

    fn create_session(&mut self, now: Now, tree: &Tree, origin: Origin, timeout_ms: i32) {
        let session = self.new_session_id(tree);
        self.sessions.open(session, timeout_ms, Some(origin.conn), now.mono_ms);
        self.lane_mut(origin.conn).session = session;
        if self.role == Role::Learner {
            let (op, body) = (OpCode::CreateSession, timeout_ms.to_be_bytes().to_vec());
            self.forward(origin, Forward { session, cxid: 0, op, body, ids: None });
            return;
        }
        self.lane_mut(origin.conn).places.push_back((origin.seq, Place::Write));
        let nobody: AuthIds = Arc::from([]);
        self.propose(now, tree, (session, 0), &nobody, &Request::CreateSession { timeout_ms }, Some(origin));
    }

    /// As `reattach`, on a learner: a connection here is closed, the leader decides.
    fn ask_leader(
        &mut self,
        streams: &mut [Stream],
        origin: Origin,
        session: SessionId,
        password_ok: bool,
        timeout_ms: i32,
    ) {
        let conn = origin.conn;
        if let Some(old) = self.sessions.get_mut(session).and_then(|state| state.conn.take()) {
            streams[old.shard()].push(Item::Evict(old));
        }
        if password_ok {
            self.revalidate(streams, session, origin, timeout_ms);
        } else {
            self.events.push(NodeEvent::SessionRefused { session, conn });
            streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms: None });
        }
    }

    /// A handshake that names a session. Another connection of this server that holds it is closed first, whatever
    /// the password (client-protocol.md section 3, check 9b).
    fn reattach(
        &mut self,
        now: Now,
        streams: &mut [Stream],
        origin: Origin,
        session: SessionId,
        password_ok: bool,
        timeout_ms: i32,
    ) {
        let conn = origin.conn;
        let state = self.sessions.get_mut(session);
        if let Some(old) = state.and_then(|state| state.conn.take()) {
            streams[old.shard()].push(Item::Evict(old));
            self.probed_conn_gone(session);
        }
        if password_ok && self.sessions.get(session).is_some_and(|state| state.life == Life::Closing) {
            // Its end may never be committed: no answer, the client asks again.
            streams[conn.shard()].push(Item::Evict(conn));
            streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms: None });
            return;
        }
        let valid = match self.sessions.get_mut(session) {
            Some(state) if password_ok => {
                state.conn = Some(conn);
                state.owner = Owner::Here;
                state.timeout_ms = timeout_ms;
                true
            }
            _ => false,
        };
        if valid {
            self.sessions.touch(session, now.mono_ms);
            self.lane_mut(conn).session = session;
            self.events.push(NodeEvent::SessionReattached { session, conn, timeout_ms });
        } else {
            self.events.push(NodeEvent::SessionRefused { session, conn });
        }
        let timeout_ms = valid.then_some(timeout_ms);
        streams[conn.shard()].push(Item::Attached { conn, session, timeout_ms });
    }

    fn conn_gone(&mut self, conn: ConnId) {
        let Some(lane) = self.lanes.get_mut(&conn) else { return };
        lane.gone = true;
        let session = lane.session;
        if lane.places.is_empty() {
            self.lanes.remove(&conn);
        }
        if let Some(state) = self.sessions.get_mut(session).filter(|state| state.conn == Some(conn)) {
            state.conn = None;
            self.probed_conn_gone(session);
        }
        if self.role == Role::Learner && self.sessions.get(session).is_some_and(|state| state.conn.is_none()) {
            self.sessions.remove(session);
        }
    }
}

/// The path that a read asks to watch.
pub(crate) fn watched_path<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    match request {
        Request::GetData { path, watch: true }
        | Request::Exists { path, watch: true }
        | Request::GetChildren { path, watch: true }
        | Request::GetChildren2 { path, watch: true } => path.as_deref(),
        _ => None,
    }
}
