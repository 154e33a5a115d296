//! From one ensemble to the next, between two roles: the leader that a reconfiguration names, and what is heard of
//! ensembles while this server looks for a leader (E§16.6, E§4.3).

use super::{Role, Running};
use crate::PeerState;
use crate::election::Decision;
use ostler_model::{Ensemble, ServerId};

impl Running {
    /// The next role, without an election: who leads was decided with the reconfiguration. If it does not come about,
    /// an election follows as always.
    pub(super) fn take_appointment(&mut self, leader: ServerId) {
        let state = &self.state;
        let me = state.settings.me;
        let (peer_state, decision) = match () {
            () if leader == me => (PeerState::Leading, Decision::Lead),
            () if state.configs.observes(me) => (PeerState::Observing, Decision::Observe(leader)),
            () => (PeerState::Following, Decision::Follow(leader)),
        };
        self.election.appointed(peer_state, leader, state.history.last());
        self.begin_role(decision);
    }

    /// A server that missed a reconfiguration hears of it from those that did not. Only who looks for a leader takes it
    /// from there: the others have a leader who tells them.
    pub(super) fn hear_ensemble(&mut self, ensemble: &Ensemble) {
        if matches!(self.role, Role::Looking) && self.resignation.is_none() && self.state.put_in_force(ensemble) {
            // Those who vote, and who may be voted for, are others now.
            self.look();
        }
    }
}
