//! How a leadership ends before it is lost: handed over on request (DEV-20).

use super::{Leader, LinkStage, Stage, Step};
use crate::RoleEnd;
use crate::state::State;
use ostler_model::ServerId;

impl Leader {
    /// Proposes nothing more (DEV-20).
    pub(crate) fn resign(&mut self) {
        self.is_resigning = true;
    }

    /// The role is over when everything that was proposed is committed.
    pub(crate) fn look_at_resignation(&self, state: &State) -> Step {
        let is_done = self.stage != Stage::Broadcast || self.committed == state.history.last();
        if self.is_resigning && is_done { Err(RoleEnd::Resigned) } else { Ok(()) }
    }

    /// The follower that has everything and will win the next election: the highest id among equals. None before
    /// everything is committed, or if nobody has it.
    pub(crate) fn successor(&self, state: &State) -> Option<ServerId> {
        let has_all = |server: &ServerId| self.acked.get(server).is_some_and(|acked| *acked >= state.history.last());
        let active = self.links.values().filter(|link| link.stage == LinkStage::Active && !link.observer);
        let voters = active.filter_map(|link| link.server).filter(|server| state.configs.committed.is_voter(*server));
        voters.filter(has_all).max()
    }
}
