//! Votes and notifications (E§3, E§4.2).

use core::cmp::Ordering;
use ostler_model::{PeerState, ServerId, Zxid};

/// A candidate, with what makes it better or worse than another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vote {
    /// The server voted for.
    pub leader: ServerId,
    /// The last transaction of its history, when the vote was made.
    pub zxid: Zxid,
    /// The epoch of its history; after an election that of the established leadership (E§8.4). Observers say
    /// `i64::MIN`.
    pub peer_epoch: i64,
}

impl Vote {
    /// The order of candidates: epoch, then zxid, then id (E§4.2).
    pub fn rank(&self, other: &Vote) -> Ordering {
        let key = |vote: &Vote| (vote.peer_epoch, vote.zxid, vote.leader);
        key(self).cmp(&key(other))
    }

    /// True if this candidate wins against `other`.
    pub fn beats(&self, other: &Vote) -> bool {
        self.rank(other) == Ordering::Greater
    }
}

/// One message of the election port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// What the sender is doing.
    pub state: PeerState,
    /// Its vote.
    pub vote: Vote,
    /// The round of the election (logical clock).
    pub round: i64,
    /// Of the message format: 0 from very old servers, which do not know `peer_epoch` (E§4.4).
    pub version: u32,
    /// The version of the ensemble that the sender has in force. The ensemble itself is the node's business: it
    /// attaches its own to what leaves, and offers a newer one that arrives.
    pub config_version: i64,
}
