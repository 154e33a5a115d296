//! Recent transactions in memory: the end of the history, without a hole.
//!
//! The tail that is not known to be committed always stays; committed transactions stay as long as there is room, for
//! learners that come back after a short absence, and as long as a learner that is being synchronised needs them.

use crate::Payload;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use ostler_model::{Ensemble, Zxid};

/// One transaction.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) zxid: Zxid,
    pub(crate) payload: Payload,
    /// The ensemble that it puts into force.
    pub(crate) reconfig: Option<Box<Ensemble>>,
}

/// The transactions behind `base`, all of them.
#[derive(Debug)]
pub(crate) struct Window {
    /// What the first entry follows; the last zxid of the history when there is none.
    base: Zxid,
    /// Each follows the one before it (BUG-5).
    entries: VecDeque<Entry>,
    /// Of all payloads.
    bytes: usize,
}

impl Window {
    /// Nothing behind `base`.
    pub(crate) fn new(base: Zxid) -> Window {
        Window { base, entries: VecDeque::new(), bytes: 0 }
    }

    /// The window knows every transaction behind this point.
    pub(crate) fn base(&self) -> Zxid {
        self.base
    }

    /// The last transaction, or `base`.
    pub(crate) fn last(&self) -> Zxid {
        self.entries.back().map_or(self.base, |entry| entry.zxid)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next transaction.
    ///
    /// # Panics
    /// There is a hole before it (BUG-5).
    pub(crate) fn push(&mut self, entry: Entry) {
        let last = self.last();
        assert!(last.is_followed_by(entry.zxid), "{} does not follow {last}: a hole in the window", entry.zxid);
        self.bytes += entry.payload.len();
        self.entries.push_back(entry);
    }

    /// Everything behind `zxid`, in order.
    ///
    /// # Panics
    /// The window does not reach back that far.
    pub(crate) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &Entry> {
        assert!(zxid >= self.base, "the window begins behind {}, not at {zxid}", self.base);
        let start = self.entries.partition_point(|entry| entry.zxid <= zxid);
        self.entries.range(start..)
    }

    /// Drops everything behind `zxid`.
    pub(crate) fn truncate(&mut self, zxid: Zxid) {
        while self.entries.back().is_some_and(|entry| entry.zxid > zxid) {
            self.bytes -= self.entries.pop_back().map_or(0, |entry| entry.payload.len());
        }
        self.base = self.base.min(zxid);
    }

    /// Drops the oldest transactions that are above both limits, but none behind `keep_after`.
    pub(crate) fn evict(&mut self, keep_after: Zxid, txns_max: usize, bytes_max: usize) {
        while (self.entries.len() > txns_max || self.bytes > bytes_max)
            && self.entries.front().is_some_and(|entry| entry.zxid <= keep_after)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= entry.payload.len();
                self.base = entry.zxid;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn entry(epoch: u32, counter: u32) -> Entry {
        Entry { zxid: Zxid::new(epoch, counter), payload: Payload::from([0; 10]), reconfig: None }
    }

    fn window() -> Window {
        let mut window = Window::new(Zxid::new(1, 7));
        for next in [entry(1, 8), entry(1, 9), entry(3, 1), entry(3, 2)] {
            window.push(next);
        }
        window
    }

    fn zxids(window: &Window, after: Zxid) -> Vec<Zxid> {
        window.after(after).map(|entry| entry.zxid).collect()
    }

    #[test]
    fn everything_behind_a_point() {
        let window = window();
        assert_eq!(zxids(&window, Zxid::new(1, 7)).len(), 4);
        assert_eq!(zxids(&window, Zxid::new(1, 9)), [Zxid::new(3, 1), Zxid::new(3, 2)]);
        assert_eq!(zxids(&window, Zxid::new(3, 0)), [Zxid::new(3, 1), Zxid::new(3, 2)]);
        assert_eq!(zxids(&window, Zxid::new(3, 2)), []);
        assert_eq!(window.bytes(), 40);
    }

    #[test]
    #[should_panic(expected = "a hole in the window")]
    fn a_hole_is_not_taken() {
        window().push(entry(3, 4));
    }

    #[test]
    #[should_panic(expected = "the window begins behind")]
    fn what_is_gone_is_not_given() {
        let _ = window().after(Zxid::new(1, 6)).count();
    }

    #[test]
    fn the_end_is_cut() {
        let mut window = window();
        window.truncate(Zxid::new(2, 5));
        assert_eq!((window.last(), window.len(), window.bytes()), (Zxid::new(1, 9), 2, 20));
        window.truncate(Zxid::new(1, 2));
        assert_eq!((window.last(), window.base(), window.len()), (Zxid::new(1, 2), Zxid::new(1, 2), 0));
    }

    #[test]
    fn the_beginning_goes_when_there_is_no_room_and_nobody_needs_it() {
        let mut window = window();
        window.evict(Zxid::new(3, 2), 100, 100);
        assert_eq!(window.len(), 4);
        window.evict(Zxid::new(1, 8), 1, 100);
        assert_eq!((window.len(), window.base()), (3, Zxid::new(1, 8)), "the rest is needed");
        window.evict(Zxid::new(3, 2), 100, 15);
        assert_eq!((window.len(), window.base(), window.bytes()), (1, Zxid::new(3, 1), 10));
    }
}
