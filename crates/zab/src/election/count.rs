//! How votes are counted: which of them agree, whose count, and who must have confirmed the leader (E§4.4).

use crate::configs::Configs;
use crate::{Notification, PeerState, Quirks, Vote};
use alloc::collections::BTreeMap;
use ostler_model::ServerId;

/// A vote as it was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    pub(super) vote: Vote,
    pub(super) round: i64,
    pub(super) state: PeerState,
    /// Of the message format. Votes counted in the own round are kept with version 0: see [`Heard::agrees`].
    pub(super) version: u32,
}

impl Heard {
    pub(super) fn from(n: &Notification) -> Heard {
        Heard { vote: n.vote, round: n.round, state: n.state, version: n.version }
    }

    /// The vote of a server that is looking, the own one included.
    pub(super) fn looking(vote: Vote, round: i64) -> Heard {
        Heard { vote, round, state: PeerState::Looking, version: 0 }
    }

    /// If these two votes are for the same leadership.
    ///
    /// While one of them is still looking, everything must be equal. Between servers that have settled, the zxid and
    /// the round say nothing: the zxid is that of the day of the election, and members of one ensemble may have come
    /// to it in different rounds (BUG-31). Messages of version 0 do not know the epoch, so the leader alone must do
    /// there; this also holds between the probe and votes kept in the own round, which Apache stores without version.
    fn agrees(&self, probe: &Heard) -> bool {
        if self.state == PeerState::Looking || probe.state == PeerState::Looking {
            return self.vote == probe.vote && self.round == probe.round;
        }
        let one_is_old = (self.version > 0) != (probe.version > 0);
        self.vote.leader == probe.vote.leader && (one_is_old || self.vote.peer_epoch == probe.vote.peer_epoch)
    }
}

/// The last vote of each server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Votes(BTreeMap<ServerId, Heard>);

impl Votes {
    /// A later vote of the same server replaces the earlier one, which may be a leftover of an older election (BUG-38).
    pub(super) fn record(&mut self, from: ServerId, heard: Heard, quirks: Quirks) {
        if quirks.first_vote_stays {
            self.0.entry(from).or_insert(heard);
        } else {
            self.0.insert(from, heard);
        }
    }

    /// What this server said is not its vote any more.
    pub(super) fn forget(&mut self, from: ServerId) {
        self.0.remove(&from);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// True if this server's vote agrees.
    pub(super) fn agrees(&self, server: ServerId, probe: &Heard) -> bool {
        self.0.get(&server).is_some_and(|heard| heard.agrees(probe))
    }

    /// True if this server has settled on this leader: no other vote of it will come.
    pub(super) fn has_settled_on(&self, server: ServerId, leader: ServerId) -> bool {
        self.0.get(&server).is_some_and(|heard| heard.state != PeerState::Looking && heard.vote.leader == leader)
    }

    /// True if the votes that agree are a quorum of the ensemble in force and, if there is a newer one, of that too.
    pub(super) fn are_quorum(&self, probe: &Heard, configs: &Configs, quirks: Quirks) -> bool {
        configs.is_quorum(&quirks, |server| self.agrees(server, probe))
    }

    /// True if the server itself said that it leads. Without that a crowd of followers of a dead leader would keep
    /// drawing newcomers to it.
    pub(super) fn confirms_leader(&self, leader: ServerId) -> bool {
        self.0.get(&leader).is_some_and(|heard| heard.state == PeerState::Leading)
    }
}
