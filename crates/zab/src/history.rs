//! What a server has on disk, as far as synchronisation needs to know (E§7, rules.md section 5).

use alloc::vec::Vec;
use ostler_model::Zxid;

/// The two epoch files (E§1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Epochs {
    /// The highest epoch this server promised to a leader.
    pub accepted: u32,
    /// The epoch of the last leader whose whole initial history it has.
    pub current: u32,
}

/// The transactions of one epoch that a history contains: all from the first to the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first; its counter is 1, unless the history begins in the middle of this epoch.
    pub first: Zxid,
    /// The last of the same epoch.
    pub last: Zxid,
}

/// A provably contiguous history: everything in `spans`, in order, with nothing missing behind `base`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// The history is known from here on: the zxid of the snapshot or of the record that everything in `spans`
    /// follows. Zero for a history that begins at the very first transaction.
    pub base: Zxid,
    /// Ascending, one per epoch that has transactions behind `base`.
    pub spans: Vec<Span>,
    /// False for an empty data directory that is not known to be new (`db.autocreate=false`): its server votes as
    /// zxid -1 and never decides an election (E§4.6).
    pub trusted: bool,
}

impl History {
    /// The last transaction, or `base` if there is none behind it.
    pub fn last(&self) -> Zxid {
        self.spans.last().map_or(self.base, |span| span.last)
    }

    /// True if `zxid` is in the history: a transaction of it, or the point where it begins.
    pub fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.base || self.spans.iter().any(|span| span.first <= zxid && zxid <= span.last)
    }

    /// Adds the next transaction.
    ///
    /// # Panics
    /// If there is a hole between it and the last one (INV-7).
    pub fn push(&mut self, zxid: Zxid) {
        let last = self.last();
        assert!(
            last.is_followed_by(zxid) || (last == self.base && zxid > last),
            "{zxid} does not follow {last}: there would be a hole in the history"
        );
        match self.spans.last_mut() {
            Some(span) if span.last.epoch() == zxid.epoch() => span.last = zxid,
            _ => self.spans.push(Span { first: zxid, last: zxid }),
        }
    }

    /// Drops everything behind `zxid`, which must be contained.
    pub fn truncate(&mut self, zxid: Zxid) {
        assert!(self.contains(zxid), "{zxid} is no point of the history {self:?}");
        while let Some(span) = self.spans.last_mut() {
            if span.first > zxid {
                self.spans.pop();
            } else {
                span.last = span.last.min(zxid);
                return;
            }
        }
    }

    /// The last transaction that is not behind `zxid`: `zxid` itself if it is contained.
    pub fn floor(&self, zxid: Zxid) -> Option<Zxid> {
        let in_spans = self.spans.iter().rev().find(|span| span.first <= zxid).map(|span| span.last.min(zxid));
        in_spans.or((self.base <= zxid).then_some(self.base))
    }
}
