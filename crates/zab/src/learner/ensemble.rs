//! The ensemble, as the leader tells of it: proposed with a reconfiguration, in force with its commit; or at NEWLEADER and
//! UPTODATE, the newest of the history that the learner took over (E§8.3, E§8.4, E§16.6).

use super::Learner;
use crate::RoleEnd;
use crate::leader::{Step, stays_where_it_is};
use crate::state::State;
use alloc::boxed::Box;
use ostler_model::{Ensemble, ServerId, Zxid};

impl Learner {
    /// The ensemble that a proposal would put into force.
    pub(super) fn proposed_ensemble(&self, state: &State, zxid: Zxid) -> Option<Box<Ensemble>> {
        let unlogged = self.unlogged.iter().find(|entry| entry.zxid == zxid);
        let in_window = || state.window.after(state.window.base()).find(|entry| entry.zxid == zxid);
        unlogged.or_else(in_window)?.reconfig.clone()
    }

    /// NEWLEADER: our history is the leader's now, and so is the newest ensemble in it. One that was proposed to us in
    /// another history is forgotten.
    pub(super) fn see_leaders_ensemble(&mut self, state: &mut State, config: Option<Box<Ensemble>>) {
        let seen = Zxid(state.configs.last_seen.version());
        let is_pending = !self.is_direct && state.history.contains(seen);
        let told = config.as_ref().map_or(0, |config| config.version());
        if told < seen.0 && !is_pending {
            state.forget_seen_ensemble();
        }
        if let Some(config) = &config
            && (told > seen.0 || !is_pending)
        {
            state.see_ensemble(config);
        }
        self.config = config;
    }

    /// UPTODATE: what NEWLEADER named is in force. Apache also names what is only proposed: its commit will follow.
    pub(super) fn take_leaders_ensemble(&mut self, state: &mut State) -> Step {
        let committed = self.committed.max(Zxid::new(self.epoch, 0)).0;
        let config = self.config.take().filter(|config| config.version() <= committed);
        self.activate(state, config, None)
    }

    /// An ensemble is in force. If this server has another part in it, or another one leads, this role is over.
    pub(super) fn activate(
        &self,
        state: &mut State,
        ensemble: Option<Box<Ensemble>>,
        designated: Option<ServerId>,
    ) -> Step {
        let Some(ensemble) = ensemble else { return Ok(()) };
        let before = state.configs.committed.clone();
        if !state.put_in_force(&ensemble) {
            return Ok(());
        }
        let leader = designated.unwrap_or(self.leader);
        // Nobody was named: the leader stays if it is found where it was.
        let leads = designated.is_some()
            || stays_where_it_is(&before, &ensemble, leader)
            || before.is_voter(leader) && ensemble.member(leader).is_none();
        if leader == self.leader && leads && self.observer == state.configs.observes(state.settings.me) {
            return Ok(());
        }
        state.appointed = leads.then_some(leader);
        Err(RoleEnd::Reconfigured)
    }
}
