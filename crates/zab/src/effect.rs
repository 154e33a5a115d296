//! What the state machine wants done: one value per effect, to be carried out in order (rules.md section 5).
//!
//! Effects on one link are items of one pipe: messages, history and trees leave in the order they were given. Effects
//! on the disk pass through one FIFO and complete in order; each carries the generation of the role that wants it.

use crate::{Barrier, Epochs, Generation, LinkId, Message, Notification, Payload, Trace};
use alloc::boxed::Box;
use ostler_model::{Ensemble, ServerId, Zxid};

/// Something is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Put this into the mailbox of a server: it replaces what was not sent yet, and wakes a connection.
    Notify {
        /// Whom.
        to: ServerId,
        /// What.
        notification: Notification,
    },
    /// Connect to the quorum port of the leader, again and again until it works or the time is over.
    DialLeader {
        /// Whom.
        leader: ServerId,
        /// Until when, in the milliseconds of `step`.
        until_ms: u64,
    },

    /// Send a message.
    Send {
        /// Where.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Send PROPOSAL and COMMIT of every record behind `after` up to `upto` from the log, then report
    /// [`Event::HistorySent`](crate::Event::HistorySent).
    SendHistory {
        /// Where.
        link: LinkId,
        /// Exclusive; a boundary of the log.
        after: Zxid,
        /// Inclusive; durable.
        upto: Zxid,
    },
    /// Send SNAP and the whole tree, then report [`Event::TreeSent`](crate::Event::TreeSent).
    SendTree {
        /// Where.
        link: LinkId,
        /// The SNAP packet names the tree's zxid or this, whichever is greater (DEV-6).
        at_least: Zxid,
    },
    /// The learner is about to send a tree: take its bytes from the link and put it in place of the own tree, then
    /// report [`Event::TreeReceived`](crate::Event::TreeReceived). The next message on the link stands behind it.
    ReceiveTree {
        /// From where.
        link: LinkId,
        /// The zxid that the tree will have.
        label: Zxid,
    },
    /// Close a connection after what was sent on it.
    CloseLink {
        /// Which.
        link: LinkId,
        /// For the log.
        why: CloseWhy,
    },
    /// A message of a learner that is not zab's business, in order with everything else.
    Deliver {
        /// From where.
        link: LinkId,
        /// The learner.
        from: ServerId,
        /// An encoded packet.
        bytes: Payload,
    },
    /// Answer the leader's PING with the sessions heard of since the last one (E§10.2).
    AnswerPing {
        /// To where.
        link: LinkId,
        /// Echoed.
        zxid: Zxid,
    },

    /// Something durable.
    Disk {
        /// Of the role that wants it; the completion carries the same.
        generation: Generation,
        /// What.
        op: DiskOp,
    },

    /// Everything up to here is committed: apply it. What is committed before [`Effect::Serve`] is provisional.
    Commit {
        /// The last one.
        upto: Zxid,
    },
    /// Apply this transaction to the tree that was just received: it belongs to the snapshot that will be installed and
    /// is not written to the log.
    Replay {
        /// Its zxid.
        zxid: Zxid,
        /// Header, body and digest.
        payload: Payload,
    },
    /// The transactions behind this zxid that were appended and not applied are gone: forget them.
    Forget {
        /// The last one that stays.
        after: Zxid,
    },
    /// The tree contains what the history does not (any more): build it anew from disk, up to this zxid, then report
    /// [`Event::Reloaded`](crate::Event::Reloaded).
    Reload {
        /// For the completion.
        generation: Generation,
        /// The last transaction to be contained.
        upto: Zxid,
    },
    /// Everything that was proposed before this barrier is committed, and a quorum was heard since (DEV-18). Comes behind the [`Effect::Send`]s of those
    /// commits, so that an answer sent now stands behind them on every link.
    Reached {
        /// The question.
        token: Barrier,
    },
    /// This server serves clients from now on. As a leader `zxid` is where numbering starts: everything up to here is
    /// committed (and its Commit was given before).
    Serve {
        /// As what.
        role: ServingRole,
        /// The established epoch.
        epoch: u32,
    },
    /// It does not serve any more: all clients are let go, what they had under way is unknown.
    StopServing,
    /// This ensemble is in force.
    Activate {
        /// The ensemble.
        ensemble: Box<Ensemble>,
    },
    /// The answer to [`Event::Resign`](crate::Event::Resign): nothing keeps this server any more.
    Resigned,
    /// Something worth a line in the log, a counter, or a look in tests.
    Trace(Trace),
}

/// A durable effect. All pass through one FIFO.
#[derive(Clone, PartialEq, Debug)]
pub enum DiskOp {
    /// Add a record to the log; [`DiskDone::Synced`](crate::DiskDone::Synced) reports groups of them. Also the node's
    /// sign that the transaction is now pending.
    Append {
        /// Its zxid.
        zxid: Zxid,
        /// Header, body and digest.
        payload: Payload,
    },
    /// Write the epoch files.
    SaveEpochs(Epochs),
    /// Cut the log behind this zxid.
    Truncate {
        /// The last record that stays.
        to: Zxid,
    },
    /// Write the tree as it is now (it stands still until this is done) as a snapshot named `zxid`, then remove the
    /// logs and snapshots of the old history (BUG-3).
    Install {
        /// Its name.
        zxid: Zxid,
    },
    /// Nothing but a completion: everything before is durable.
    Fence,
    /// Write the files of an ensemble. One that is seen stands before the record of its transaction.
    SaveConfig {
        /// Which.
        ensemble: Box<Ensemble>,
        /// In force: whatever was only seen is forgotten, this is the newest. Else: only seen.
        committed: bool,
    },
}

/// What a server serves as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServingRole {
    /// Orders writes.
    Leader,
    /// Forwards writes, votes, acknowledges.
    Follower,
    /// Forwards writes.
    Observer,
}

/// Why a quorum connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseWhy {
    /// The role that needed it ended.
    RoleEnded,
    /// This server does not lead.
    NotLeading,
    /// The other side said something that cannot be said at this point.
    Protocol,
    /// It said nothing for too long.
    Silent,
    /// It did not read for too long, or is too far behind.
    Slow,
    /// A newer connection of the same server replaces it (BUG-49).
    Replaced,
    /// The learner has seen a newer history than the leader's (E§6.4).
    Ahead,
    /// The learner has seen a newer ensemble than the leader's.
    NewerEnsemble,
    /// The leader's epoch is older than one this server accepted (BUG-42).
    OldEpoch,
    /// The log could not be read for it.
    HistoryUnreadable,
    /// There is a hole in what the leader sends, or it does not fit: synchronise anew.
    Discontinuous,
    /// The received tree is damaged.
    BadTree,
}
