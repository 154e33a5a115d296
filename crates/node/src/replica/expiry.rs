//! The end of sessions: closed by their client, or not heard of in time. No false expiry (rules.md 1.8).

use super::Replica;
use super::sessions::Life;
use super::sweep::Drain;
use crate::{ConnId, Item, Now, Origin, Stream};
use ostler_model::{AuthIds, Request, SessionId, limits};
use ostler_tree::Tree;
use std::sync::Arc;

/// How often all shards read their sockets after a gap: once for the connections they have, once more for what was
/// just accepted.
const READ_ROUNDS: usize = 2;

/// Who asked for the end of a session: the connection (none for a learner's client), and its xid.
pub(super) type Asker = (Option<Origin>, i32);

/// Nothing expires until all shards have read their sockets.
#[derive(Debug)]
pub(super) struct Hold {
    waiting: Vec<bool>,
    rounds: usize,
}

impl Replica {
    /// If the process stood still, pings may wait in sockets: nothing expires before they were read.
    pub(super) fn notice_gap(&mut self, now: Now, streams: &mut [Stream]) {
        let gap_ms = now.mono_ms.saturating_sub(self.last_tick_ms);
        self.last_tick_ms = now.mono_ms;
        if gap_ms > self.config.tick_time_ms && self.hold.is_none() && self.sessions.len() > 0 {
            self.hold = Some(Hold { waiting: vec![true; streams.len()], rounds: READ_ROUNDS });
            for stream in streams {
                stream.push(Item::ReadOnce);
            }
        }
    }

    pub(super) fn shard_has_read(&mut self, shard: usize, streams: &mut [Stream]) {
        let Some(hold) = &mut self.hold else { return };
        hold.waiting[shard] = false;
        if hold.waiting.contains(&true) {
            return;
        }
        hold.rounds -= 1;
        if hold.rounds == 0 {
            self.hold = None;
            return;
        }
        hold.waiting.fill(true);
        for stream in streams {
            stream.push(Item::ReadOnce);
        }
    }

    /// Sessions whose time is over: those without a connection end now, the others if their shard confirms that
    /// nothing was heard.
    pub(super) fn expire_due(&mut self, now: Now, tree: &Tree, streams: &mut [Stream]) {
        for session in self.sessions.due(now.mono_ms) {
            match self.sessions.get(session).and_then(|state| state.conn) {
                Some(conn) => {
                    self.sessions.leave_bucket(session, Life::Probing);
                    streams[conn.shard()].push(Item::Probe { conn, session });
                }
                None => self.expire(now, tree, streams, session),
            }
        }
    }

    /// A shard's answer to a probe.
    pub(super) fn session_silent(
        &mut self,
        now: Now,
        tree: &Tree,
        streams: &mut [Stream],
        conn: ConnId,
        session: SessionId,
    ) {
        let silent = |life, at| life == Life::Probing && at == Some(conn);
        if self.sessions.get(session).is_some_and(|state| silent(state.life, state.conn)) {
            self.expire(now, tree, streams, session);
        }
    }

    /// The connection of a session that was being asked after is gone: nobody will answer, so the session gets its
    /// bucket back and is due at the next tick.
    pub(super) fn probed_conn_gone(&mut self, session: SessionId) {
        if self.sessions.get(session).is_some_and(|state| state.life == Life::Probing) {
            self.sessions.unprobe(session);
        }
    }

    fn expire(&mut self, now: Now, tree: &Tree, streams: &mut [Stream], session: SessionId) {
        if self.is_read_only() {
            return self.expire_read_only(streams, session);
        }
        if let Some(state) = self.sessions.get_mut(session) {
            state.expired = true;
        }
        self.close_session(now, tree, session, None);
    }

    /// Begins the end of a session: one transaction, unless it has so many ephemerals that they go first.
    pub(super) fn close_session(&mut self, now: Now, tree: &Tree, session: SessionId, request: Option<Asker>) {
        self.sessions.leave_bucket(session, Life::Closing);
        if is_too_much(&self.overlay.ephemerals(tree, session)) {
            self.drains.push_back(Drain::new(session, request, self.last_proposed));
        } else {
            self.propose_close(now, tree, session, request);
        }
    }

    pub(super) fn propose_close(&mut self, now: Now, tree: &Tree, session: SessionId, request: Option<Asker>) {
        let nobody: AuthIds = Arc::from([]);
        let (origin, cxid) = request.unwrap_or((None, 0));
        self.propose(now, tree, (session, cxid), &nobody, &Request::CloseSession, origin);
    }
}

/// True if these ephemerals are too much for one closeSession transaction (BUG-24).
pub(super) fn is_too_much(paths: &[String]) -> bool {
    let bytes: usize = paths.iter().map(|path| path.len() + 4).sum();
    paths.len() > limits::CLOSE_SESSION_PATHS_MAX || bytes > limits::CLOSE_SESSION_BYTES_MAX
}
