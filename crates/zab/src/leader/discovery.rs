//! Phase 1, discovery: a new epoch, promised by a quorum whose histories are not newer than the leader's (E§6).

use super::link::Introduction;
use super::{Leader, LinkStage, Stage, Step};
use crate::election::UNTRUSTED;
use crate::state::State;
use crate::{CloseWhy, DiskOp, Epochs, LinkId, Message, Trace};
use ostler_model::Zxid;

/// Epochs are signed 32 bits on the wire and the high half of a signed zxid.
const EPOCH_MAX: u32 = i32::MAX as u32;

impl Leader {
    pub(super) fn introduce_self(&mut self, state: &mut State) {
        self.epoch = state.epochs.accepted.saturating_add(1);
        if state.settings.quirks.epoch_from_zxid {
            self.epoch = state.history.last().epoch() + 1;
        }
        self.introduced.insert(state.settings.me);
        self.fix_epoch(state);
    }

    /// FOLLOWERINFO or OBSERVERINFO.
    pub(super) fn on_introduction(&mut self, state: &mut State, id: LinkId, said: Introduction) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if link.stage != LinkStage::Introducing || said.accepted_epoch >= EPOCH_MAX || said.server == state.settings.me
        {
            self.drop_link(state, id, CloseWhy::Protocol);
            return Ok(());
        }
        link.server = Some(said.server);
        link.observer = said.observer;
        link.config_version = said.config_version;
        link.stage = LinkStage::Waiting;
        link.close_at_ms = u64::MAX;
        // What it has in force and we have seen is in force.
        if said.config_version > state.configs.last_seen.version() {
            self.drop_link(state, id, CloseWhy::NewerEnsemble);
            return Ok(());
        }
        let is_older = |(other, link): (&LinkId, &super::Link)| {
            (*other != id && link.server == Some(said.server)).then_some(*other)
        };
        if let Some(older) = self.links.iter().find_map(is_older) {
            self.drop_link(state, older, CloseWhy::Replaced);
        }
        if self.stage > Stage::SavingAccepted {
            self.tell_epoch(state, id);
            return Ok(());
        }
        if self.stage == Stage::Introductions {
            if !state.settings.quirks.epoch_from_zxid {
                self.epoch = self.epoch.max(said.accepted_epoch + 1);
            }
            if state.configs.is_voter(said.server) || state.settings.quirks.count_observers {
                self.introduced.insert(said.server);
            }
            self.fix_epoch(state);
        }
        Ok(())
    }

    /// With a quorum the epoch is fixed, and saved before anybody hears of it.
    fn fix_epoch(&mut self, state: &mut State) {
        let quirks = &state.settings.quirks;
        if !state.configs.is_quorum(quirks, |server| self.introduced.contains(&server)) {
            return;
        }
        self.stage = Stage::SavingAccepted;
        self.stage_until_ms = state.now_ms + state.ticks(state.settings.init_limit);
        state.trace(Trace::EpochProposed { epoch: self.epoch });
        let accepted = self.epoch.max(state.epochs.accepted);
        state.disk(DiskOp::SaveEpochs(Epochs { accepted, current: state.epochs.current }));
    }

    pub(super) fn on_epochs_saved(&mut self, state: &mut State) -> Step {
        match self.stage {
            Stage::SavingAccepted => {
                self.stage = Stage::Promises;
                self.promised.insert(state.settings.me);
                let waiting = self.links.iter().filter(|(_, link)| link.stage == LinkStage::Waiting);
                for id in waiting.map(|(id, _)| *id).collect::<alloc::vec::Vec<_>>() {
                    self.tell_epoch(state, id);
                }
                self.count_promises(state);
                Ok(())
            }
            Stage::SavingCurrent => self.begin_synchronisation(state),
            Stage::Introductions | Stage::Promises | Stage::Synchronisation | Stage::Broadcast => {
                unreachable!("no epoch was being saved")
            }
        }
    }

    fn tell_epoch(&mut self, state: &mut State, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = LinkStage::Proposed;
        link.close_at_ms = state.now_ms + state.ticks(state.settings.init_limit);
        state.send(id, Message::LeaderInfo { epoch: self.epoch });
    }

    /// ACKEPOCH.
    pub(super) fn on_promise(&mut self, state: &mut State, id: LinkId, last: Zxid, current: Option<u32>) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let (LinkStage::Proposed, Some(server)) = (link.stage, link.server) else {
            self.drop_link(state, id, CloseWhy::Protocol);
            return Ok(());
        };
        link.stage = LinkStage::Ready;
        link.last = last;
        link.wants_tree = current.is_none() && last <= Zxid::ZERO;
        // A wait for the others is bounded by the leader's own stage.
        link.close_at_ms = u64::MAX;
        if let Some(current) = current
            && self.stage < Stage::Broadcast
        {
            let is_ahead = (current, last) > (self.own_epoch, self.initial) && !state.settings.quirks.skip_ahead_check;
            // Who votes only in an ensemble of which it does not know that it is in force cannot be elected in this leader's
            // place. Nor is what it has beyond this leader committed: all that was proposed before that ensemble was in
            // force needs a quorum of the one before as well (INV-24), and whoever acknowledged what was proposed later
            // knows that it is. So its promise counts, and it is cut.
            let (committed, next) = (&state.configs.committed, &state.configs.last_seen);
            let waits = next.is_voter(server) && !committed.is_voter(server) && link.config_version < next.version();
            if is_ahead && !waits {
                self.drop_link(state, id, CloseWhy::Ahead);
                return Ok(());
            }
            // The promise of a disk that may have lost something says nothing about what was committed (BUG-23).
            let is_trusted = last != UNTRUSTED || state.settings.quirks.count_untrusted;
            let is_voter = state.configs.is_voter(server) || state.settings.quirks.count_observers;
            if is_trusted && is_voter {
                self.promised.insert(server);
            }
        }
        match self.stage {
            Stage::Promises => self.count_promises(state),
            Stage::Synchronisation | Stage::Broadcast => {
                self.note_reported(state, id)?;
                self.synchronise_ready(state);
            }
            Stage::Introductions | Stage::SavingAccepted | Stage::SavingCurrent => {}
        }
        Ok(())
    }

    fn count_promises(&mut self, state: &mut State) {
        let quirks = &state.settings.quirks;
        if !state.configs.is_quorum(quirks, |server| self.promised.contains(&server)) {
            return;
        }
        self.stage = Stage::SavingCurrent;
        state.trace(Trace::EpochAccepted { epoch: self.epoch });
        state.disk(DiskOp::SaveEpochs(Epochs { accepted: state.epochs.accepted, current: self.epoch }));
    }
}
