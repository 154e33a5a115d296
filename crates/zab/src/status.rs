//! What a server says about itself: for the node, the four-letter words and the metrics (E§18).

use crate::{LinkId, PeerState};
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};

/// The phases of the paper (E§1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZabPhase {
    /// A leader is looked for.
    Election,
    /// The epoch is being agreed on.
    Discovery,
    /// Histories are being made equal.
    Synchronisation,
    /// The epoch is established.
    Broadcast,
}

/// How far one learner of this leader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LearnerPhase {
    /// It has not promised the epoch.
    Introducing,
    /// It is being brought up to date.
    Syncing,
    /// It gets everything as it happens.
    Active,
}

/// One learner of this leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnerStatus {
    /// Its connection.
    pub link: LinkId,
    /// Its id; none before it introduced itself.
    pub server: Option<ServerId>,
    /// It gets INFORM.
    pub observer: bool,
    /// It is a voter of the ensemble in force.
    pub voter: bool,
    /// How far it is.
    pub phase: LearnerPhase,
}

/// A snapshot of [`Zab`](crate::Zab).
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// What it tells others in elections.
    pub peer_state: PeerState,
    /// Where its role is.
    pub phase: ZabPhase,
    /// It serves: [`Effect::Serve`](crate::Effect::Serve) was given and not taken back.
    pub is_serving: bool,
    /// Whom it follows, or itself when it leads.
    pub leader: Option<ServerId>,
    /// The epoch of the role, once it is known; otherwise the current epoch on disk.
    pub epoch: u32,
    /// The logical clock of elections.
    pub round: i64,
    /// What the next proposal must be numbered; none if this server may not propose.
    pub next_zxid: Option<Zxid>,
    /// The end of the history.
    pub last: Zxid,
    /// The last transaction that the tree was told to apply.
    pub committed: Zxid,
    /// As leader.
    pub learners: Vec<LearnerStatus>,
}
