//! One learner's connection, seen by the leader.

use super::fresh::Pings;
use ostler_model::{ServerId, Zxid};

/// How far a learner is. The order is that of its life; only `Active` lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum LinkStage {
    /// It has not said who it is.
    Introducing,
    /// It has; the epoch is not fixed yet.
    Waiting,
    /// It was told the epoch and has not promised it.
    Proposed,
    /// It promised. What it needs is not decided: the leader, or what it wants to send, is not ready.
    Ready,
    /// The log is being sent, up to `Link::sent`. Where synchronisation ends is decided when it is out.
    SendingHistory,
    /// A tree is being sent, that contains everything up to `Link::sent`. As with the log (BUG-13).
    SendingTree,
    /// NEWLEADER was sent behind `Link::sent`.
    Acking,
    /// It has the whole history up to `Link::sent` on disk; the epoch is not established.
    Acked,
    /// UPTODATE was sent, and everything since as it happened: participants get proposals up to the last one,
    /// observers what is committed.
    Active,
}

/// Who a learner says it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Introduction {
    pub(crate) server: ServerId,
    pub(crate) observer: bool,
    pub(crate) accepted_epoch: u32,
    pub(crate) config_version: i64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link {
    /// Set by its introduction.
    pub(crate) server: Option<ServerId>,
    /// It wants INFORM. (Whether it votes is a question for the ensemble.)
    pub(crate) observer: bool,
    pub(crate) stage: LinkStage,
    /// Of the ensemble that is in force for it, as it introduced itself.
    pub(crate) config_version: i64,
    /// The last transaction it reported when it promised the epoch.
    pub(crate) last: Zxid,
    /// It reported nothing in order to get a tree (DEV-10).
    pub(crate) wants_tree: bool,
    /// Everything up to here is in the pipe or on its disk; the window keeps what is behind, until it is sent.
    pub(crate) sent: Zxid,
    /// When it is given up, unless it goes on.
    pub(crate) close_at_ms: u64,
    /// It counts as alive until then.
    pub(crate) alive_until_ms: u64,
    /// Since when it owes an acknowledgement.
    pub(crate) owes_since_ms: Option<u64>,
    /// What it was asked, and what it answered.
    pub(super) pings: Pings,
}

impl Link {
    pub(crate) fn new(close_at_ms: u64, alive_until_ms: u64) -> Link {
        Link {
            server: None,
            observer: false,
            stage: LinkStage::Introducing,
            config_version: 0,
            last: Zxid::ZERO,
            wants_tree: false,
            sent: Zxid::ZERO,
            close_at_ms,
            alive_until_ms,
            owes_since_ms: None,
            pings: Pings::default(),
        }
    }

    /// It said something: it counts as alive a while longer.
    pub(crate) fn heard(&mut self, until_ms: u64) {
        self.alive_until_ms = self.alive_until_ms.max(until_ms);
        if self.stage == LinkStage::Active {
            self.close_at_ms = until_ms;
        }
    }

    /// What the window must keep for it: everything behind this point.
    pub(crate) fn needs_after(&self) -> Option<Zxid> {
        match self.stage {
            LinkStage::Introducing | LinkStage::Waiting | LinkStage::Proposed | LinkStage::Ready => None,
            LinkStage::SendingHistory
            | LinkStage::SendingTree
            | LinkStage::Acking
            | LinkStage::Acked
            | LinkStage::Active => Some(self.sent),
        }
    }

    /// It gets what is committed as it happens.
    pub(crate) fn is_active(&self) -> bool {
        self.stage == LinkStage::Active
    }
}
