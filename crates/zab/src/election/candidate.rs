//! What goes into an election and what comes out of it.

use crate::Vote;
use ostler_model::{ServerId, Zxid};

/// What a voter says whose data directory is not trusted (E§4.6).
pub(crate) const UNTRUSTED: Zxid = Zxid(-1);

/// If and how this server takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Voting {
    /// Its vote counts.
    Voter,
    /// It only wants to know whom to observe.
    Observer,
    /// It stands in no ensemble: it follows without a vote (E§1.1).
    Unlisted,
}

/// What this server has to offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    /// The last transaction in its log (INV-22).
    pub(crate) last: Zxid,
    /// The epoch of its history.
    pub(crate) current_epoch: u32,
    /// False: the data directory may have lost what it once promised to keep (E§4.6).
    pub(crate) trusted: bool,
    /// Its role in the ensemble.
    pub(crate) voting: Voting,
}

/// What this server is going to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Try to lead.
    Lead,
    /// Follow this server.
    Follow(ServerId),
    /// Observe this server.
    Observe(ServerId),
}

/// The end of an election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Decided {
    /// What to do.
    pub(crate) decision: Decision,
    /// The vote that won.
    pub(crate) vote: Vote,
    /// The round it won in.
    pub(crate) round: i64,
}

impl Candidate {
    /// The vote that this server begins with. Servers without a vote have no candidate to offer.
    pub(super) fn initial_vote(&self, me: ServerId) -> Vote {
        let own = Vote {
            leader: me,
            zxid: if self.trusted { self.last } else { UNTRUSTED },
            peer_epoch: i64::from(self.current_epoch),
        };
        match self.voting {
            Voting::Voter => own,
            Voting::Observer => Vote { leader: ServerId::NONE, zxid: Zxid(i64::MIN), peer_epoch: i64::MIN },
            Voting::Unlisted => Vote { leader: ServerId::NONE, ..own },
        }
    }
}
