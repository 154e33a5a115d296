//! Phase 1, discovery: introduce oneself, promise the leader's epoch, report one's history (E§6).

use super::{DIALS_MAX, Learner, Phase};
use crate::election::UNTRUSTED;
use crate::leader::Step;
use crate::state::State;
use crate::{CloseWhy, DiskOp, Effect, Epochs, LinkId, Message, RoleEnd};
use ostler_model::{ServerId, Zxid};

/// The pause before connecting after a role that came to nothing; it doubles with each further one.
const PAUSE_MIN_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 2_000;
/// How long a leader is dialled that may be dead.
const DOUBTFUL_MS: u64 = 1_000;

impl Learner {
    /// Connects, after a pause if the last roles came to nothing: a leader that cannot be followed, because it is older
    /// than what this server has promised or because it refuses this server, is not asked as fast as the network can.
    pub(super) fn dial_in_time(&mut self, state: &mut State) {
        let Some(doublings) = state.fruitless.checked_sub(1) else {
            self.dial(state);
            return;
        };
        // The leader itself may be waiting for this server, for `initLimit`.
        let longest = PAUSE_MAX_MS.min(state.ticks(state.settings.init_limit) / 4);
        self.dial_at_ms = Some(state.now_ms + (PAUSE_MIN_MS << doublings.min(10)).min(longest));
    }

    pub(super) fn dial(&mut self, state: &mut State) {
        let settings = &state.settings;
        let limit = if settings.connect_limit > 0 { settings.connect_limit } else { settings.init_limit };
        let full_ms = state.ticks(limit);
        let until_ms = state.now_ms + if self.is_doubtful { full_ms.min(DOUBTFUL_MS) } else { full_ms };
        self.phase = Phase::Dialing;
        self.dial_at_ms = None;
        self.dials += 1;
        // The caller reports that it failed; a tick more, in case that is late.
        self.give_up_at_ms = until_ms + state.ticks(1);
        state.emit(Effect::DialLeader { leader: self.leader, until_ms });
    }

    /// Connects anew, without an election, to say that only a tree helps (DEV-10).
    pub(super) fn dial_for_tree(&mut self, state: &mut State) -> Step {
        if let Some(link) = self.link.take() {
            state.close(link, CloseWhy::Discontinuous);
        }
        if self.dials >= DIALS_MAX {
            return Err(RoleEnd::BadLeader);
        }
        self.inbox.clear();
        self.dial(state);
        Ok(())
    }

    pub(crate) fn dial_failed(&self, leader: ServerId) -> Step {
        if leader == self.leader && self.phase == Phase::Dialing { Err(RoleEnd::LeaderLost) } else { Ok(()) }
    }

    /// The connection stands.
    pub(crate) fn link_up(&mut self, state: &mut State, link: LinkId) {
        // Before this role has dialled, the connection is one that an older role asked for.
        if self.phase != Phase::Dialing || self.dial_at_ms.is_some() {
            state.close(link, CloseWhy::Replaced);
            return;
        }
        self.link = Some(link);
        self.phase = Phase::Introduced;
        self.rearm(state);
        let message = Message::LearnerInfo {
            server: state.settings.me,
            observer: self.observer,
            accepted_epoch: state.epochs.accepted,
            config_version: state.configs.committed.version(),
        };
        state.send(link, message);
    }

    /// LEADERINFO.
    pub(super) fn on_epoch(&mut self, state: &mut State, link: LinkId, epoch: u32) -> Step {
        self.epoch = epoch;
        let accepted = state.epochs.accepted;
        if state.settings.quirks.epoch_from_zxid {
            self.promise(state, link, Some(state.epochs.current));
        } else if epoch < accepted {
            return self.refuse(state, CloseWhy::OldEpoch);
        } else if epoch == accepted {
            self.promise(state, link, None);
        } else {
            self.phase = Phase::SavingAccepted;
            state.disk(DiskOp::SaveEpochs(Epochs { accepted: epoch, current: state.epochs.current }));
        }
        Ok(())
    }

    pub(super) fn on_epochs_saved(&mut self, state: &mut State) -> Step {
        match (self.phase, self.link) {
            (Phase::SavingAccepted, Some(link)) => {
                assert_eq!(state.epochs.accepted, self.epoch, "INV-2: what is promised is durable");
                self.promise(state, link, Some(state.epochs.current));
                Ok(())
            }
            (Phase::SavingCurrent, _) => self.on_current_saved(state),
            _ => Ok(()),
        }
    }

    /// ACKEPOCH. The history is reported as it is in the log (INV-22), unless only a tree helps. An empty directory that
    /// may have lost something reports -1: its promise counts for nothing (E§4.6, BUG-23).
    fn promise(&mut self, state: &mut State, link: LinkId, current_epoch: Option<u32>) {
        self.phase = Phase::Promised;
        self.rearm(state);
        let asks_for_tree = state.needs_snapshot && current_epoch.is_none();
        self.has_asked_for_tree |= asks_for_tree;
        let last = match () {
            () if asks_for_tree => Zxid::ZERO,
            () if !state.history.trusted => UNTRUSTED,
            () => state.history.last(),
        };
        state.send(link, Message::AckEpoch { last, current_epoch });
    }
}
