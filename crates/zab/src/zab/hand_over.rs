//! Leaving on request (DEV-20): a leader commits what is proposed, lets its learners go, and votes for the follower that
//! has everything. So the others need no time-out to notice, and the next leader is clear from the first vote.

use super::{Resignation, Role, Running};
use crate::leader::{Stage, Step};
use crate::{Effect, Event, PeerState, RoleEnd, Trace, Vote};

/// How long a hand-over may take.
const HAND_OVER_MS: u64 = 1_000;

impl Running {
    pub(super) fn resign(&mut self) -> Step {
        if self.resignation.is_some() {
            return Ok(());
        }
        self.resignation = Some(Resignation { until_ms: self.state.now_ms + HAND_OVER_MS, successor: None });
        match &mut self.role {
            Role::Leading(leader) if leader.stage() == Stage::Broadcast => {
                leader.resign();
                leader.look_at_resignation(&self.state)
            }
            _ => {
                self.retire();
                Ok(())
            }
        }
    }

    /// The successor leads: this server is not needed any more.
    pub(super) fn hear_successor(&mut self, event: &Event) {
        if let (Some(Resignation { successor: Some(successor), .. }), Event::Notified { from, notification }) =
            (self.resignation, event)
            && *from == successor
            && notification.state == PeerState::Leading
        {
            self.retire();
        }
    }

    /// An election with one vote: for the successor.
    pub(super) fn look_for_successor(&mut self) {
        let state = &mut self.state;
        let Some(leader) = self.resignation.and_then(|resignation| resignation.successor) else {
            self.retire();
            return;
        };
        let vote = Vote { leader, zxid: state.history.last(), peer_epoch: i64::from(state.epochs.current) };
        let decided = self.election.start_with(state.now_ms, vote, &state.configs, &mut state.effects);
        if decided.is_some() {
            self.retire();
        }
    }

    /// Ends everything.
    pub(super) fn retire(&mut self) {
        let state = &mut self.state;
        match &mut self.role {
            Role::Leading(leader) => {
                leader.leave(state);
                state.trace(Trace::RoleLeft { state: PeerState::Leading, why: RoleEnd::Resigned });
            }
            Role::Learning(learner) => {
                learner.leave(state);
                state.trace(Trace::RoleLeft { state: self.election.state(), why: RoleEnd::Resigned });
            }
            Role::Looking | Role::Leaving => {}
            Role::Retired => return,
        }
        for link in core::mem::take(&mut self.waiting).into_keys() {
            state.close(link, crate::CloseWhy::RoleEnded);
        }
        self.role = Role::Retired;
        state.emit(Effect::Resigned);
    }
}
