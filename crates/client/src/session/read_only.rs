//! A session at a server without a quorum: it looks for a server that can write, and moves there.
//!
//! A session that began there is known to that server alone, so the next handshake asks for a new one. A server is asked
//! what it is by the four-letter word `isro`, over a connection of its own that the shell makes.

use super::{Phase, Session};
use crate::effect::{Cause, Effect, SessionState};
use ostler_model::{OpCode, SessionId};

/// The first question after this time, ms; then each twice as late as the one before, up to the bound.
const PROBE_WAIT_MIN_MS: u64 = 100;
/// See there.
const PROBE_WAIT_MAX_MS: u64 = 5_000;

/// The search for a server that can write.
#[derive(Debug)]
pub(super) struct Search {
    /// The next question; `None` while one waits for its answer.
    at_ms: Option<u64>,
    wait_ms: u64,
    /// A server that can write: taken as soon as nothing is in flight.
    found: Option<usize>,
}

impl Session {
    /// The session to present: one that a quorum knows, or none.
    pub(super) fn lasting_id(&self) -> SessionId {
        if self.is_lasting { self.id } else { SessionId::NONE }
    }

    /// The handshake was answered by a server that can write, or that cannot.
    pub(super) fn begin_search(&mut self, now_ms: u64) {
        self.search = self.read_only.then_some(Search {
            at_ms: Some(now_ms + PROBE_WAIT_MIN_MS),
            wait_ms: PROBE_WAIT_MIN_MS,
            found: None,
        });
    }

    /// When the next server is asked.
    pub(super) fn next_probe_ms(&self) -> Option<u64> {
        self.search.as_ref()?.at_ms
    }

    pub(super) fn probe_due(&mut self, now_ms: u64) {
        let Some(search) = self.search.as_mut().filter(|search| search.at_ms.is_some_and(|at| at <= now_ms)) else {
            return;
        };
        search.at_ms = None;
        self.effects.push_back(Effect::Probe { server: self.order.next_to_probe() });
    }

    /// The answer to [`Effect::Probe`]: whether this server can write.
    pub fn probed(&mut self, now_ms: u64, server: usize, can_write: bool) {
        let Some(search) = self.search.as_mut().filter(|search| search.at_ms.is_none()) else { return };
        if can_write {
            search.found = Some(server);
            self.move_if_idle(now_ms);
        } else {
            search.wait_ms = (search.wait_ms * 2).min(PROBE_WAIT_MAX_MS);
            search.at_ms = Some(now_ms + search.wait_ms);
        }
    }

    /// True while a better server is known: nothing more is sent to this one.
    pub(super) fn is_moving(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.found.is_some())
    }

    /// Goes to the server that was found, once everything that was asked here is answered. What was not sent yet is
    /// sent there.
    pub(super) fn move_if_idle(&mut self, now_ms: u64) {
        let Some(server) = self.search.as_ref().and_then(|search| search.found) else { return };
        let Phase::Connected { link } = self.phase else { return };
        if !self.in_flight.is_empty() || !self.auths_sent.is_empty() || self.closing {
            return;
        }
        self.search = None;
        self.effects.push_back(Effect::Disconnect { link });
        self.partial = Vec::new();
        self.order.prefer(server);
        self.phase = Phase::Idle { until_ms: now_ms };
        self.effects.push_back(Effect::State(SessionState::Suspended(Cause::Moving)));
    }
}

/// What a server without a quorum answers; it refuses the rest with replies that may overtake others (section 18).
pub(super) fn is_allowed(op: OpCode) -> bool {
    !matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
            | OpCode::Check
            | OpCode::Sync
    )
}
