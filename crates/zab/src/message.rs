//! The messages between a learner and its leader (E§5), as far as they are zab's business.
//!
//! Their bytes are the node's business: it translates them from and to Apache's packets.

use crate::Payload;
use alloc::boxed::Box;
use ostler_model::{Ensemble, ServerId, Zxid};

/// One message on a quorum connection.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// FOLLOWERINFO or OBSERVERINFO: a learner introduces itself.
    LearnerInfo {
        /// Who.
        server: ServerId,
        /// True for OBSERVERINFO: it wants INFORM instead of PROPOSAL and COMMIT.
        observer: bool,
        /// The highest epoch it accepted.
        accepted_epoch: u32,
        /// The version of the ensemble it has in force.
        config_version: i64,
    },
    /// The leader proposes an epoch.
    LeaderInfo {
        /// The new epoch.
        epoch: u32,
    },
    /// The learner promises never to follow an older one.
    AckEpoch {
        /// The last transaction of its history.
        last: Zxid,
        /// The epoch of its history, or none if it had promised this one already ("does not count").
        current_epoch: Option<u32>,
    },
    /// Synchronisation: the learner's history is a prefix of the leader's; what is missing follows.
    Diff {
        /// The leader's last commit; informational (BUG-16).
        zxid: Zxid,
    },
    /// Synchronisation: cut everything behind this transaction.
    Trunc {
        /// The last one that stays.
        zxid: Zxid,
    },
    /// Synchronisation: a whole tree follows as raw bytes.
    Snap {
        /// The zxid of that tree.
        zxid: Zxid,
    },
    /// End of the history that the learner must have to belong to this epoch.
    NewLeader {
        /// The established epoch.
        epoch: u32,
        /// The ensemble the leader has seen last; none if it does not parse or was not sent.
        config: Option<Box<Ensemble>>,
    },
    /// The epoch is established: serve clients.
    UpToDate,
    /// A transaction is proposed.
    Proposal {
        /// Its zxid.
        zxid: Zxid,
        /// Header, body and digest.
        payload: Payload,
        /// The ensemble that it puts into force.
        reconfig: Option<Box<Ensemble>>,
    },
    /// The learner has everything up to this transaction on disk, or (counter 0) the whole history of the epoch.
    Ack {
        /// Which.
        zxid: Zxid,
    },
    /// The transaction is committed.
    Commit {
        /// Which.
        zxid: Zxid,
    },
    /// A reconfiguration is committed.
    CommitAndActivate {
        /// Which.
        zxid: Zxid,
        /// The leader from now on.
        designated: ServerId,
    },
    /// Proposed and committed, for observers.
    Inform {
        /// Its zxid.
        zxid: Zxid,
        /// Header, body and digest.
        payload: Payload,
    },
    /// A reconfiguration proposed and committed, for observers.
    InformAndActivate {
        /// Its zxid.
        zxid: Zxid,
        /// The leader from now on.
        designated: ServerId,
        /// Header, body and digest.
        payload: Payload,
        /// The ensemble that it puts into force.
        reconfig: Option<Box<Ensemble>>,
    },
    /// The leader is alive; the learner answers (its answer carries sessions, which the node reads).
    Ping {
        /// The last proposed transaction.
        zxid: Zxid,
    },
    /// REQUEST and REVALIDATE from a learner. (What a leader answers to them its node sends by itself, and the
    /// learner's node takes for itself: zab sees only that the link is alive.)
    App {
        /// An encoded packet.
        bytes: Payload,
    },
    /// A packet of an unknown kind: ignored, as Apache does.
    Unknown,
}

impl Message {
    /// Bytes of the transaction or request in it.
    pub(crate) fn payload_bytes(&self) -> usize {
        match self {
            Message::Proposal { payload, .. }
            | Message::Inform { payload, .. }
            | Message::InformAndActivate { payload, .. }
            | Message::App { bytes: payload } => payload.len(),
            _ => 0,
        }
    }
}
