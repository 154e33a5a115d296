//! Sessions and when they end (client-protocol.md section 4).
//!
//! Alone and on a leader all sessions; on a learner those whose clients are here, which never end by themselves.
//!
//! Expiry times are rounded up to ticks, so that sessions expire in buckets and a touch within the same tick changes
//! nothing.

use super::SessionBucket;
use crate::ConnId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ostler_model::SessionId;
use ostler_zab::LinkId;
use std::collections::{BTreeMap, BTreeSet};

/// Through which server the requests of a session come (E§10.1). The end of a connection changes nothing: what a
/// client sent through another server before may still be on its way, and must not overtake what it sent since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The first that sends something for it.
    Unknown,
    /// This one.
    Here,
    /// A learner.
    Learner(LinkId),
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// Alive until its expiry time.
    Open,
    /// It is due, and its shard has been asked whether its connection was silent (rules.md 1.8).
    Probing,
    /// Its closeSession is prepared, or it is being emptied first. Nothing more is accepted from it.
    Closing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) timeout_ms: i32,
    /// Time of its bucket.
    expires_ms: u64,
    pub(super) conn: Option<ConnId>,
    /// On a leader: through which server its requests come.
    pub(super) owner: Owner,
    pub(super) life: Life,
    /// It ends because nothing was heard of it, not because its client asked.
    pub(super) expired: bool,
}

/// The sessions that this server answers for.
#[derive(Debug)]
pub(super) struct Sessions {
    table: HashMap<SessionId, Session, FixedState>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
    tick_ms: u64,
}

impl Sessions {
    pub(super) fn new(tick_ms: u64, seed: u64) -> Sessions {
        assert!(tick_ms > 0, "tickTime is at least 1 ms");
        Sessions { table: HashMap::with_hasher(FixedState::with_seed(seed)), buckets: BTreeMap::new(), tick_ms }
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.buckets.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, session: SessionId) -> Option<&Session> {
        self.table.get(&session)
    }

    pub(super) fn get_mut(&mut self, session: SessionId) -> Option<&mut Session> {
        self.table.get_mut(&session)
    }

    /// Adds a session, alive from `mono_ms` on.
    pub(super) fn open(&mut self, session: SessionId, timeout_ms: i32, conn: Option<ConnId>, mono_ms: u64) {
        let expires_ms = self.bucket_of(mono_ms, timeout_ms);
        let owner = if conn.is_some() { Owner::Here } else { Owner::Unknown };
        let value = Session { timeout_ms, expires_ms, conn, owner, life: Life::Open, expired: false };
        let before = self.table.insert(session, value);
        assert!(before.is_none(), "session {session} opened twice");
        self.buckets.entry(expires_ms).or_default().insert(session);
    }

    /// The session was heard of: it lives for another time-out.
    pub(super) fn touch(&mut self, session: SessionId, mono_ms: u64) {
        let tick_ms = self.tick_ms;
        let Some(state) = self.table.get_mut(&session) else { return };
        let expires_ms = expiry_bucket(mono_ms, state.timeout_ms, tick_ms);
        match state.life {
            Life::Closing => return,
            Life::Open if state.expires_ms == expires_ms => return,
            Life::Open => remove_from(&mut self.buckets, state.expires_ms, session),
            Life::Probing => state.life = Life::Open,
        }
        state.expires_ms = expires_ms;
        self.buckets.entry(expires_ms).or_default().insert(session);
    }

    /// Takes the session out of the buckets: it is being asked after, or closes.
    pub(super) fn leave_bucket(&mut self, session: SessionId, life: Life) {
        assert!(life != Life::Open, "an open session has a bucket");
        let Some(state) = self.table.get_mut(&session) else { return };
        if state.life == Life::Open {
            remove_from(&mut self.buckets, state.expires_ms, session);
        }
        state.life = life;
    }

    /// Nobody answers the question any more: the session is due again at once.
    pub(super) fn unprobe(&mut self, session: SessionId) {
        let Some(state) = self.table.get_mut(&session).filter(|state| state.life == Life::Probing) else { return };
        state.life = Life::Open;
        self.buckets.entry(state.expires_ms).or_default().insert(session);
    }

    /// Its closeSession is applied.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Session> {
        let state = self.table.remove(&session)?;
        if state.life == Life::Open {
            remove_from(&mut self.buckets, state.expires_ms, session);
        }
        Some(state)
    }

    /// Open sessions whose time is over.
    pub(super) fn due(&self, mono_ms: u64) -> Vec<SessionId> {
        self.buckets.range(..=mono_ms).flat_map(|(_, sessions)| sessions.iter().copied()).collect()
    }

    /// When the next bucket is due.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(at, _)| *at)
    }

    pub(super) fn buckets(&self) -> Vec<SessionBucket> {
        let bucket = |(at, sessions): (&u64, &BTreeSet<SessionId>)| SessionBucket {
            expires_mono_ms: *at,
            sessions: sessions.iter().copied().collect(),
        };
        self.buckets.iter().map(bucket).collect()
    }

    fn bucket_of(&self, mono_ms: u64, timeout_ms: i32) -> u64 {
        expiry_bucket(mono_ms, timeout_ms, self.tick_ms)
    }
}

fn remove_from(buckets: &mut BTreeMap<u64, BTreeSet<SessionId>>, at: u64, session: SessionId) {
    let bucket = buckets.get_mut(&at).expect("an open session is in its bucket");
    bucket.remove(&session);
    if bucket.is_empty() {
        buckets.remove(&at);
    }
}

/// The end of the first whole tick behind the time-out: between time-out and time-out + tick after `mono_ms`.
pub(crate) fn expiry_bucket(mono_ms: u64, timeout_ms: i32, tick_ms: u64) -> u64 {
    let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
    ((mono_ms + timeout_ms) / tick_ms + 1) * tick_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    #[test]
    fn expiry_lies_between_timeout_and_timeout_plus_tick() {
        for now in 0..5_000 {
            let at = expiry_bucket(now, 4_000, 2_000);
            assert!(at > now + 4_000 && at <= now + 6_000 && at.is_multiple_of(2_000), "{now}: {at}");
        }
    }

    #[test]
    fn touched_sessions_move_to_a_later_bucket() {
        let mut sessions = Sessions::new(2_000, 0);
        sessions.open(A, 4_000, None, 0);
        sessions.open(B, 4_000, None, 0);
        assert_eq!(sessions.due(5_999), []);
        sessions.touch(B, 2_500);
        assert_eq!(sessions.due(6_000), [A]);
        sessions.leave_bucket(A, Life::Closing);
        sessions.touch(A, 7_000);
        assert_eq!(sessions.due(100_000), [B], "a closing session is not revived");
        assert!(sessions.remove(A).is_some() && sessions.remove(A).is_none());
        assert_eq!(sessions.next_due_ms(), Some(8_000));
    }

    #[test]
    fn a_touch_ends_a_probe() {
        let mut sessions = Sessions::new(2_000, 0);
        sessions.open(A, 4_000, None, 0);
        sessions.leave_bucket(A, Life::Probing);
        assert_eq!(sessions.due(100_000), []);
        sessions.touch(A, 7_000);
        assert_eq!(sessions.due(12_000), [A]);
    }
}
