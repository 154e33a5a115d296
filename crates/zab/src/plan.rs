//! How a learner is brought to the leader's history: DIFF, TRUNC or SNAP (E§7.2, with DEV-6).
//!
//! A pure function of what the leader has and what the learner reported. The rules differ from Apache's where Apache's
//! are known to go wrong: DIFF only from a point that is proved to be in the leader's own history (BUG-19, BUG-22),
//! TRUNC only while the epoch is not established, because it relies on what the learner's log looks like (BUG-2), and
//! SNAP only under a name that no record of the learner's old log lies behind (BUG-3).

use crate::History;
use ostler_model::Zxid;

/// What the decision depends on.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    /// The leader's.
    pub(crate) history: &'a History,
    /// What lies behind a point before this one cannot be sent.
    pub(crate) sendable_from: Zxid,
    /// The learner is brought this far: the end of the initial history, or the last commit of an established epoch.
    pub(crate) upto: Zxid,
    /// The epoch, if it is established.
    pub(crate) established: Option<u32>,
    /// The last transaction of the learner, as it reported.
    pub(crate) last: Zxid,
    /// The learner reported nothing on purpose: it wants a tree (DEV-10).
    pub(crate) wants_tree: bool,
    /// Without this learner there is no quorum to establish the epoch.
    pub(crate) is_needed: bool,
    /// `forceSnapshotSync`.
    pub(crate) force_snapshot: bool,
    /// BUG-22.
    pub(crate) diff_unknown_zxid: bool,
}

/// What is sent first; everything from the named point up to the end of synchronisation follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plan {
    /// The learner has nothing that the leader has not; `after` is the same point as the learner's last, in the
    /// leader's history.
    Diff { after: Zxid },
    /// The learner cuts its history here.
    Trunc { to: Zxid },
    /// The tree, under no name below this one.
    Snap { at_least: Zxid },
    /// Nothing is right before the leader has committed more, or established its epoch.
    Wait,
}

impl Question<'_> {
    pub(crate) fn decide(&self) -> Plan {
        // Not under a name below records of the learner's log (BUG-3): what it has beyond that is for the rules below.
        let is_forced = self.force_snapshot && self.last <= self.upto.max(self.at_least());
        if is_forced || (self.wants_tree && self.upto > Zxid::ZERO) {
            return self.snap();
        }
        if let Some(after) = self.point() {
            // What the learner has beyond the last commit is in our history, but nobody may take it for committed yet.
            return match after {
                after if after > self.upto => Plan::Wait,
                after if after < self.sendable_from => self.snap(),
                after => Plan::Diff { after },
            };
        }
        if self.established.is_some() {
            return self.snap();
        }
        let is_sendable = |to: &Zxid| *to >= self.sendable_from;
        match self.history.floor(self.last).filter(is_sendable) {
            Some(to) if to.epoch() == self.last.epoch() => Plan::Trunc { to },
            // The tree would bear a name below records of the learner's log.
            _ if self.last > self.upto && !self.is_needed => Plan::Wait,
            Some(to) if self.last > self.upto => Plan::Trunc { to },
            _ => self.snap(),
        }
    }

    /// The learner's last transaction as a point of our history, if it is proved to be one.
    fn point(&self) -> Option<Zxid> {
        let History { spans, .. } = self.history;
        if self.history.contains(self.last) {
            return Some(self.last);
        }
        // A snapshot made when an epoch began bears the epoch with counter 0. It is the point before the first
        // transaction of that epoch, which therefore must be there; or the end, if that is the epoch that is established
        // here and it has had none yet.
        let begins = |zxid: Zxid| {
            let in_epoch = spans.iter().find(|span| span.first.epoch() == zxid.epoch());
            in_epoch.map_or(self.established == Some(zxid.epoch()), |span| span.first.counter() == 1)
        };
        if self.last.counter() == 0 && self.last > self.history.base && begins(self.last) {
            return self.history.floor(self.last);
        }
        if self.diff_unknown_zxid && self.last <= self.history.last() {
            return self.history.floor(self.last);
        }
        None
    }

    fn snap(&self) -> Plan {
        Plan::Snap { at_least: self.at_least() }
    }

    fn at_least(&self) -> Zxid {
        self.established.map_or(Zxid::ZERO, |epoch| Zxid::new(epoch, 0))
    }
}

#[cfg(test)]
mod tests;
