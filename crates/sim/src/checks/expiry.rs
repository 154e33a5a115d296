//! No session ends before its time (zab-invariants.md INV-39, rules.md 1.8): requests of its connection that reached the
//! server's machine whole count, whether the process has read them or not.

use super::{Referee, Verdict, broken};
use crate::clock::DRIFT_PER_MILLE;
use crate::heap::Micros;
use ostler_model::SessionId;

const CHECK: &str = "expiry";

impl Referee {
    /// A request of a session's connection reached the machine of the server that holds it.
    pub fn heard_of(&mut self, session: SessionId, at: Micros) {
        let heard = self.heard.entry(session).or_default();
        *heard = (*heard).max(at);
    }

    /// A server ends a session because it was silent. `granted_at`: since when this server has been in charge.
    pub fn expires(&self, server: usize, session: SessionId, now: Micros, granted_at: Micros) -> Verdict {
        let Some(timeout_ms) = self.state.sessions.get(&session) else { return Ok(()) };
        let heard = self.heard.get(&session).copied().unwrap_or_default().max(granted_at);
        let timeout_us = u64::try_from(*timeout_ms).unwrap_or_default() * 1_000;
        let least_us = timeout_us - timeout_us * DRIFT_PER_MILLE / 1_000;
        let silent_us = now.saturating_sub(heard);
        // The clocks show whole milliseconds.
        if silent_us + 2_000 < least_us {
            return Err(broken(
                CHECK,
                format!(
                    "INV-39: server {server} ends session {session} after {} ms of silence, its time-out is {timeout_ms} ms",
                    silent_us / 1_000
                ),
            ));
        }
        Ok(())
    }
}
