//! Whether what was decided still makes sense, until the epoch is established (DEV-14).
//!
//! Between the decision and the establishment of the epoch lie waits of up to `initLimit`. If a voter changes its mind
//! meanwhile, or dies, those that stayed would wait in vain, for many seconds: a leader for followers that look for
//! another one (BUG-32), a follower for a leader that does not know it was elected. Both can be heard on the election
//! port, and then it is better to begin again at once.

use super::Election;
use crate::configs::Configs;
use crate::{Notification, PeerState};
use alloc::collections::BTreeSet;
use ostler_model::ServerId;

/// Who stands by the decision of this server.
#[derive(Clone, Debug, Default)]
pub(super) struct Support {
    /// The voters that made this server the leader; none: the leader was appointed, all voters are expected.
    pub(super) backers: Option<BTreeSet<ServerId>>,
    /// Those that were heard to want something else since.
    pub(super) doubters: BTreeSet<ServerId>,
    /// The election link to the chosen leader was down when it was chosen, on the word of others: that it is down says
    /// nothing new.
    pub(super) leader_was_down: bool,
}

impl Support {
    fn note(&mut self, from: ServerId, stands_by: bool) {
        if stands_by {
            self.doubters.remove(&from);
            if let Some(backers) = &mut self.backers {
                backers.insert(from);
            }
        } else {
            self.doubters.insert(from);
        }
    }
}

impl Election {
    /// Notes what voters say after the decision.
    pub(super) fn hear_afterwards(&mut self, from: ServerId, n: &Notification, configs: &Configs) {
        let Some(settled) = self.settled.filter(|_| configs.is_voter(from)) else { return };
        let stands_by = match (self.state, n.state) {
            (PeerState::Leading, PeerState::Looking) => n.vote == settled.vote && n.round == settled.round,
            (PeerState::Leading, PeerState::Following) => n.vote.leader == self.me,
            (PeerState::Leading, PeerState::Leading | PeerState::Observing) => false,
            _ if from != settled.vote.leader => return,
            // In the same round it has not counted all votes yet. From an older one it may have said so long ago; if
            // it started anew, its connections tell.
            (_, PeerState::Looking) => n.round <= settled.round,
            (_, state) => state == PeerState::Leading,
        };
        self.support.note(from, stands_by);
    }

    /// True if the leadership that was decided will not come about: a leader has no quorum of voters left that may
    /// still come, a learner's leader does not lead or died. `is_linked` holds for servers whose connection on the quorum
    /// port stands, and that introduced themselves if they are learners. To be asked until the epoch is established, or
    /// was heard of from the leader.
    pub(crate) fn is_forsaken(&self, configs: &Configs, is_linked: impl Fn(ServerId) -> bool) -> bool {
        let Some(settled) = self.settled else { return false };
        let Support { backers, doubters, leader_was_down } = &self.support;
        match self.state {
            PeerState::Looking => false,
            PeerState::Leading => !configs.is_quorum(&self.quirks, |server| {
                let is_backer = backers.as_ref().is_none_or(|backers| backers.contains(&server));
                let is_lost = doubters.contains(&server) || self.down.contains(&server);
                server == self.me || is_linked(server) || (is_backer && !is_lost)
            }),
            PeerState::Following | PeerState::Observing => {
                let leader = settled.vote.leader;
                let has_died = self.down.contains(&leader) && !leader_was_down && !is_linked(leader);
                doubters.contains(&leader) || has_died
            }
        }
    }

    /// True if the chosen leader may well be dead: it is not worth the full time of connecting.
    pub(crate) fn leader_was_down(&self) -> bool {
        self.support.leader_was_down
    }
}
