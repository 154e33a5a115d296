//! One typed stream of what an operator, a metric or a test wants to know (architecture.md section 8).

use crate::{CloseWhy, LinkId, PeerState, Vote};
use ostler_model::{ServerId, Zxid};

/// Something happened inside.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum Trace {
    /// A new round of election, with the own candidate.
    ElectionStarted { round: i64, vote: Vote },
    /// The vote changed because a better one was heard.
    VoteChanged { round: i64, vote: Vote, heard_from: ServerId },
    /// A quorum agrees.
    Elected { round: i64, vote: Vote, state: PeerState },
    /// A role begins.
    RoleEntered { state: PeerState, leader: ServerId },
    /// A role ends.
    RoleLeft { state: PeerState, why: RoleEnd },
    /// Leader: the new epoch is fixed.
    EpochProposed { epoch: u32 },
    /// Leader: a quorum promised it.
    EpochAccepted { epoch: u32 },
    /// Leader: how a learner is brought up to date.
    Syncing { server: ServerId, link: LinkId, with: SyncKind, from: Zxid, to: Zxid },
    /// Leader: a learner has the whole history.
    Synced { server: ServerId, link: LinkId },
    /// Learner: how it is brought up to date.
    SyncStarted { leader: ServerId, with: SyncKind, zxid: Zxid },
    /// Leader: a quorum has the history: the epoch is established. Learner: UPTODATE.
    Established { epoch: u32, last: Zxid },
    /// A learner's connection was closed.
    LinkClosed { server: Option<ServerId>, link: LinkId, why: CloseWhy },
}

/// How a learner is brought up to date.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum SyncKind {
    Diff,
    Trunc,
    Snap,
}

/// Why a role ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleEnd {
    /// Leader: voters that are alive are no quorum any more.
    NoQuorum,
    /// Leader: no quorum of voters came, agreed or synchronised in time.
    EstablishmentTimeout,
    /// Leader: the counter of the epoch is used up.
    CounterExhausted,
    /// Leader: it handed over, on request.
    Resigned,
    /// Leader: too many voters look for another leader (DEV-14).
    Deserted,
    /// Learner: the leader's connection ended or could not be made.
    LeaderLost,
    /// Learner: nothing was heard of the leader in time.
    LeaderSilent,
    /// Learner: what the leader sent does not fit.
    BadLeader,
    /// Learner: the tree differed from the leader's.
    Diverged,
    /// A reconfiguration changed the role or the leader.
    Reconfigured,
}
