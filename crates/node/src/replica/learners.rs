//! A leader's side of its learners' clients: their requests, who owns a session, who was heard of (E§10).

use super::sessions::{Life, Owner};
use super::{Forward, Replica, Role};
use crate::{Item, Now, Stream};
use ostler_model::{AuthIds, ErrorCode, OpCode, Request, SessionId};
use ostler_tree::{Prepared, Tree};
use ostler_wire::client::decode_request;
use ostler_zab::LinkId;
use std::sync::Arc;

impl Replica {
    /// A request that a learner sends for one of its clients: it becomes exactly one transaction, whatever it is.
    pub fn learner_request(&mut self, now: Now, tree: &Tree, streams: &mut [Stream], link: LinkId, request: Forward) {
        assert_eq!(self.role, Role::Leader, "only a leader is asked");
        let Forward { session, cxid, op, body, ids } = request;
        let ids: AuthIds = ids.unwrap_or_else(|| Arc::from([]));
        match op {
            OpCode::CreateSession => match body.first_chunk::<4>() {
                Some(timeout) => {
                    self.create_for_learner(now, tree, streams, link, session, i32::from_be_bytes(*timeout));
                }
                None => self.propose_error(now, (session, cxid), ErrorCode::MarshallingError),
            },
            OpCode::CloseSession => {
                // Whoever asks, and even if it is closing already: the learner waits for a transaction.
                if self.sessions.get(session).is_some_and(|state| state.life != Life::Closing) {
                    self.close_session(now, tree, session, Some((None, cxid)));
                } else {
                    self.propose_close(now, tree, session, Some((None, cxid)));
                }
            }
            _ => match self.claim(streams, link, session) {
                Err(code) => self.propose_error(now, (session, cxid), code),
                // Parsed before a zxid is taken, and refused with a fresh one (BUG-1).
                Ok(()) => match decode_request(op, &body, self.config.frame_bytes_max) {
                    Ok(request) => self.propose(now, tree, (session, cxid), &ids, &request, None),
                    Err(_) => self.propose_error(now, (session, cxid), ErrorCode::MarshallingError),
                },
            },
        }
    }

    /// Any id is accepted, and one that exists is created again: the server that made it answers for it (E§10).
    fn create_for_learner(
        &mut self,
        now: Now,
        tree: &Tree,
        streams: &mut [Stream],
        link: LinkId,
        session: SessionId,
        timeout_ms: i32,
    ) {
        if self.sessions.get(session).is_none() {
            self.sessions.open(session, timeout_ms, None, now.mono_ms);
        }
        self.hand_to(streams, link, session);
        let nobody: AuthIds = Arc::from([]);
        self.propose(now, tree, (session, 0), &nobody, &Request::CreateSession { timeout_ms }, None);
    }

    /// The session's requests come through this link, unless another one has it.
    fn claim(&mut self, streams: &mut [Stream], link: LinkId, session: SessionId) -> Result<(), ErrorCode> {
        let state = self.sessions.get(session).filter(|state| state.life != Life::Closing);
        let state = state.ok_or(ErrorCode::SessionExpired)?;
        match state.owner {
            Owner::Here => Err(ErrorCode::SessionMoved),
            Owner::Learner(owner) if owner != link => Err(ErrorCode::SessionMoved),
            Owner::Learner(_) => Ok(()),
            Owner::Unknown => {
                self.hand_to(streams, link, session);
                Ok(())
            }
        }
    }

    /// From now on the session belongs to this learner; a connection of ours that had it is closed.
    fn hand_to(&mut self, streams: &mut [Stream], link: LinkId, session: SessionId) {
        let Some(state) = self.sessions.get_mut(session) else { return };
        state.owner = Owner::Learner(link);
        if let Some(conn) = state.conn.take() {
            streams[conn.shard()].push(Item::Evict(conn));
            self.probed_conn_gone(session);
        }
    }

    /// A client came to a learner with its session: true if it lives; it belongs there from now on (E§10.3). `None`:
    /// its end is proposed, and the answer is [`Outbound::Ended`](crate::Outbound::Ended) once that is committed, because a
    /// leader that dies before leaves a session that lives.
    pub fn revalidate_for(
        &mut self,
        now: Now,
        streams: &mut [Stream],
        link: LinkId,
        session: SessionId,
        timeout_ms: i32,
    ) -> Option<bool> {
        let life = self.sessions.get(session).map(|state| state.life);
        if life == Some(Life::Closing) {
            self.asked_after.entry(session).or_default().push(link);
            return None;
        }
        let valid = life.is_some();
        if valid {
            self.hand_to(streams, link, session);
            self.touched_by_learner(now, session, timeout_ms);
        }
        Some(valid)
    }

    /// A learner heard of this session since its last report (E§10.2).
    pub fn touched_by_learner(&mut self, now: Now, session: SessionId, timeout_ms: i32) {
        if let Some(state) = self.sessions.get_mut(session) {
            state.timeout_ms = timeout_ms;
            self.sessions.touch(session, now.mono_ms);
        }
    }

    fn propose_error(&mut self, now: Now, caller: (SessionId, i32), code: ErrorCode) {
        let header = self.next_header(now, caller.0, caller.1);
        self.push(header, Prepared::refused(code), None);
    }
}
