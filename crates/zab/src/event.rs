//! What reaches the state machine: one value per thing that can happen (rules.md section 5).
//!
//! Time comes with each call of [`Zab::step`](crate::Zab::step), never from here. A completion names the generation of
//! the effect it belongs to; one of an older generation is ignored.

use crate::{Barrier, Epochs, Generation, History, LinkId, Message, Notification, Payload};
use alloc::boxed::Box;
use ostler_model::{Ensemble, ServerId, Zxid};

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// What the disk held when the process started. The first event, once.
    Boot(Box<Boot>),
    /// Nothing but time passed: [`Zab::next_deadline`](crate::Zab::next_deadline) is reached.
    Tick,

    /// The election port heard from a server. Its id is that of the connection, not of a field.
    Notified {
        /// Who sent it.
        from: ServerId,
        /// What.
        notification: Notification,
    },
    /// A server has this ensemble in force (its notifications carry the text). Comes before the notification itself.
    Gossip {
        /// Its ensemble.
        ensemble: Box<Ensemble>,
    },
    /// There is an election connection to this server now.
    ElectionUp {
        /// The other end.
        peer: ServerId,
    },
    /// There is none any more, or a dial failed: the server is known not to answer (DEV-19).
    ElectionDown {
        /// The other end.
        peer: ServerId,
    },

    /// Somebody connected to the quorum port.
    LearnerUp {
        /// The connection.
        link: LinkId,
    },
    /// The connection asked for by [`Effect::DialLeader`](crate::Effect::DialLeader) stands.
    LeaderUp {
        /// The connection.
        link: LinkId,
    },
    /// The leader could not be reached within its time.
    DialFailed {
        /// The server that was dialled.
        leader: ServerId,
    },
    /// A quorum connection ended, for whatever reason.
    LinkDown {
        /// The connection.
        link: LinkId,
    },
    /// A whole message arrived. The caller has checked that payloads decode.
    Received {
        /// The connection.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// More bytes wait on this link than a slow peer may cause: the leader gives the learner up (DEV-11).
    PipeFull {
        /// The connection.
        link: LinkId,
    },
    /// The history asked for by [`Effect::SendHistory`](crate::Effect::SendHistory) is in the pipe as a whole, or could
    /// not be read.
    HistorySent {
        /// The connection.
        link: LinkId,
        /// False: the log could not be read that far; the link is to be closed.
        complete: bool,
    },
    /// The tree asked for by [`Effect::SendTree`](crate::Effect::SendTree) is in the pipe as a whole.
    TreeSent {
        /// The connection.
        link: LinkId,
        /// What the SNAP packet named.
        label: Zxid,
        /// The tree's zxid when the walk began: everything after it may or may not be contained.
        from: Zxid,
    },
    /// The tree announced by a SNAP packet was received and is in place, or was not what it should be.
    TreeReceived {
        /// The connection.
        link: LinkId,
        /// False: damaged; the tree must be reloaded.
        complete: bool,
    },

    /// A durable effect is done.
    Disk {
        /// Of the effect.
        generation: Generation,
        /// What is durable.
        done: DiskDone,
    },
    /// The tree asked for by [`Effect::Reload`](crate::Effect::Reload) is in place.
    Reloaded {
        /// Of the effect.
        generation: Generation,
        /// The zxid it stands at.
        zxid: Zxid,
    },
    /// The tree has applied everything up to here.
    Applied {
        /// The last one.
        zxid: Zxid,
    },
    /// The tree after this transaction is not the one the leader foresaw: discard it and start from a snapshot.
    Diverged {
        /// The transaction.
        zxid: Zxid,
    },

    /// The leader's own node proposes the next transaction.
    Propose {
        /// Must be [`Status::next_zxid`](crate::Status).
        zxid: Zxid,
        /// Header, body and digest.
        payload: Payload,
        /// The ensemble that a reconfig puts into force.
        reconfig: Option<Box<Ensemble>>,
    },
    /// Tell me when everything proposed so far is committed, and a quorum was heard since ([`Effect::Reached`](crate::Effect::Reached)).
    Barrier {
        /// Names the question.
        token: Barrier,
    },
    /// A learner's node sends its leader something that is not zab's business (REQUEST, REVALIDATE). Dropped when
    /// there is no leader.
    ToLeader {
        /// An encoded packet.
        bytes: Payload,
    },
    /// The operator stops this server: hand leadership over, then stop (DEV-20). Answered by
    /// [`Effect::Resigned`](crate::Effect::Resigned).
    Resign,
}

/// What a server knows about itself when it starts.
#[derive(Clone, PartialEq, Debug)]
pub struct Boot {
    /// The epoch files.
    pub epochs: Epochs,
    /// What the log and the snapshot hold. The tree that stands for it is provisional (rules.md 1.2).
    pub history: History,
    /// The ensemble in force.
    pub committed: Ensemble,
    /// The newest one seen, equal to `committed` if no reconfiguration is under way.
    pub last_seen: Ensemble,
}

/// Completions of [`DiskOp`](crate::DiskOp)s, in their order.
#[derive(Clone, PartialEq, Debug)]
pub enum DiskDone {
    /// Every record up to this one is durable.
    Synced {
        /// The last.
        zxid: Zxid,
    },
    /// The epoch files are durable.
    EpochsSaved(Epochs),
    /// The log ends where it was asked to end.
    Truncated,
    /// It cannot be cut there: the zxid is no boundary of what the disk holds. Nothing was changed.
    CannotTruncate,
    /// The tree is on disk as a snapshot, the old history is gone.
    Installed {
        /// Of the snapshot.
        zxid: Zxid,
    },
    /// Everything before is durable.
    Fenced,
    /// The files of the ensemble are durable.
    ConfigSaved,
}
