//! The watches that this client has on its server: what to set again after a reconnect (client-protocol.md 14).
//!
//! A server forgets watches with the connection. One-shot watches leave the registry when their event arrives,
//! persistent and recursive ones when they are removed. Paths are the server's (with the chroot).

use ostler_model::{ErrorCode, EventType, Request, WatcherType};
use std::collections::BTreeMap;

/// A kind of watch as setWatches2 lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum WatchKind {
    /// One-shot on the data of a node that exists (getData, exists).
    Data,
    /// One-shot on a node that did not exist (exists).
    Exist,
    /// One-shot on the children (getChildren).
    Child,
    /// Stays, for the node and its children's comings and goings.
    Persistent,
    /// Stays, for the node and everything below it.
    Recursive,
}

impl WatchKind {
    /// All kinds in the order of setWatches2's lists.
    pub const ALL: [WatchKind; 5] =
        [WatchKind::Data, WatchKind::Exist, WatchKind::Child, WatchKind::Persistent, WatchKind::Recursive];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

const DATA: u8 = WatchKind::Data.bit();
const EXIST: u8 = WatchKind::Exist.bit();
const CHILD: u8 = WatchKind::Child.bit();
const PERSISTENT: u8 = WatchKind::Persistent.bit();
const RECURSIVE: u8 = WatchKind::Recursive.bit();

/// What the reply to a request changes in the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum WatchIntent {
    Add(String, WatchKind),
    /// exists with a watch: on the data if the node is there, on its creation if it is not.
    Exists(String),
    Remove(String, WatcherType),
}

impl WatchIntent {
    /// `None` for a request that has nothing to do with watches.
    pub(crate) fn of(request: &Request<'_>) -> Option<WatchIntent> {
        let (path, intent): (_, fn(String) -> WatchIntent) = match request {
            Request::Exists { path, watch: true } => (path, WatchIntent::Exists),
            Request::GetData { path, watch: true } => (path, |path| WatchIntent::Add(path, WatchKind::Data)),
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true } => {
                (path, |path| WatchIntent::Add(path, WatchKind::Child))
            }
            Request::AddWatch { path, recursive: false } => {
                (path, |path| WatchIntent::Add(path, WatchKind::Persistent))
            }
            Request::AddWatch { path, recursive: true } => (path, |path| WatchIntent::Add(path, WatchKind::Recursive)),
            Request::RemoveWatches { path: Some(path), kind } => {
                return Some(WatchIntent::Remove(path.to_string(), *kind));
            }
            _ => return None,
        };
        path.as_ref().map(|path| intent(path.to_string()))
    }
}

/// Which watches this client believes its server holds for it. Iterates in path order, the same on every run.
#[derive(Clone, Debug, Default)]
pub struct Watches {
    by_path: BTreeMap<String, u8>,
}

impl Watches {
    /// A request with this intent was answered with this error code (0: done).
    pub(crate) fn answered(&mut self, intent: &WatchIntent, err: i32) {
        const NO_NODE: i32 = ErrorCode::NoNode.code();
        match (intent, err) {
            (WatchIntent::Add(path, kind), 0) => self.add(path.clone(), *kind),
            (WatchIntent::Exists(path), 0) => self.add(path.clone(), WatchKind::Data),
            (WatchIntent::Exists(path), NO_NODE) => self.add(path.clone(), WatchKind::Exist),
            (WatchIntent::Remove(path, kind), 0) => self.remove(path, *kind),
            _ => (),
        }
    }

    /// Adds a watch; adding it again changes nothing.
    pub fn add(&mut self, path: String, kind: WatchKind) {
        *self.by_path.entry(path).or_default() |= kind.bit();
    }

    /// Takes away the watches that a removeWatches of this kind took away at the server.
    pub fn remove(&mut self, path: &str, kind: WatcherType) {
        self.clear(
            path,
            match kind {
                WatcherType::Children => CHILD,
                WatcherType::Data => DATA | EXIST,
                WatcherType::Any => DATA | EXIST | CHILD | PERSISTENT | RECURSIVE,
                WatcherType::Persistent => PERSISTENT,
                WatcherType::PersistentRecursive => RECURSIVE,
            },
        );
    }

    /// An event arrived: spends the one-shot watches it fires. False if no watch matches it, as for the second of
    /// two catch-up events of one node (section 14.3 does not join them).
    pub fn fire(&mut self, path: &str, event: EventType) -> bool {
        let one_shot = match event {
            EventType::NodeCreated | EventType::NodeDataChanged => DATA | EXIST,
            EventType::NodeDeleted => DATA | EXIST | CHILD,
            EventType::NodeChildrenChanged => CHILD,
        };
        let here = self.by_path.get(path).copied().unwrap_or(0);
        let recursive = event != EventType::NodeChildrenChanged && self.recursive_at_or_above(path);
        self.clear(path, one_shot);
        here & (one_shot | PERSISTENT) != 0 || recursive
    }

    /// True if this watch is registered.
    pub fn holds(&self, path: &str, kind: WatchKind) -> bool {
        self.by_path.get(path).is_some_and(|bits| bits & kind.bit() != 0)
    }

    /// Number of paths with a watch.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// True without any watch.
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Cuts the registry into packets of at most `bytes_max` bytes of paths (at least one path each), lists in
    /// the order of [`WatchKind::ALL`].
    pub fn packets(&self, bytes_max: usize) -> Vec<[Vec<&str>; 5]> {
        let mut packets: Vec<[Vec<&str>; 5]> = Vec::new();
        let mut bytes = usize::MAX;
        for (path, bits) in &self.by_path {
            for kind in WatchKind::ALL.into_iter().filter(|kind| bits & kind.bit() != 0) {
                let cost = path.len() + 4;
                if bytes.saturating_add(cost) > bytes_max {
                    packets.push(Default::default());
                    bytes = 0;
                }
                bytes += cost;
                packets.last_mut().expect("pushed above before the first path")[kind as usize].push(path);
            }
        }
        packets
    }

    fn recursive_at_or_above(&self, path: &str) -> bool {
        if self.holds("/", WatchKind::Recursive) {
            return true;
        }
        let mut at = path;
        while !at.is_empty() {
            if self.holds(at, WatchKind::Recursive) {
                return true;
            }
            at = &at[..at.rfind('/').unwrap_or(0)];
        }
        false
    }

    fn clear(&mut self, path: &str, bits: u8) {
        if let Some(here) = self.by_path.get_mut(path) {
            *here &= !bits;
            if *here == 0 {
                self.by_path.remove(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shot_watches_fire_once() {
        let mut watches = Watches::default();
        watches.add("/a".into(), WatchKind::Data);
        watches.add("/a".into(), WatchKind::Child);
        assert!(watches.fire("/a", EventType::NodeDataChanged));
        assert!(!watches.fire("/a", EventType::NodeDataChanged));
        assert!(watches.fire("/a", EventType::NodeDeleted));
        assert!(watches.is_empty());
    }

    #[test]
    fn a_deletion_spends_data_and_child_watches_together() {
        let mut watches = Watches::default();
        watches.add("/a".into(), WatchKind::Data);
        watches.add("/a".into(), WatchKind::Child);
        assert!(watches.fire("/a", EventType::NodeDeleted));
        assert!(watches.is_empty());
    }

    #[test]
    fn persistent_watches_stay_and_see_their_children() {
        let mut watches = Watches::default();
        watches.add("/a".into(), WatchKind::Persistent);
        assert!(watches.fire("/a", EventType::NodeChildrenChanged));
        assert!(watches.fire("/a", EventType::NodeDeleted));
        assert!(!watches.fire("/a/b", EventType::NodeCreated));
        watches.remove("/a", WatcherType::Data);
        assert!(watches.holds("/a", WatchKind::Persistent));
        watches.remove("/a", WatcherType::Persistent);
        assert!(watches.is_empty());
    }

    #[test]
    fn recursive_watches_see_everything_below_but_no_child_events() {
        let mut watches = Watches::default();
        watches.add("/a".into(), WatchKind::Recursive);
        assert!(watches.fire("/a/b/c", EventType::NodeCreated));
        assert!(watches.fire("/a", EventType::NodeDataChanged));
        assert!(!watches.fire("/a", EventType::NodeChildrenChanged));
        assert!(!watches.fire("/ab", EventType::NodeCreated));
        watches.add("/".into(), WatchKind::Recursive);
        assert!(watches.fire("/ab", EventType::NodeCreated));
    }

    #[test]
    fn packets_hold_every_watch_once_within_the_bound() {
        let mut watches = Watches::default();
        for n in 0..100 {
            watches.add(format!("/node-{n:04}"), WatchKind::ALL[n % 5]);
        }
        watches.add("/node-0000".into(), WatchKind::Recursive);
        let packets = watches.packets(100);
        assert!(packets.iter().all(|lists| lists.iter().flatten().map(|path| path.len() + 4).sum::<usize>() <= 100));
        assert_eq!(packets.iter().flatten().flatten().count(), 101);
        assert_eq!(Watches::default().packets(100).len(), 0);
        assert_eq!(watches.packets(1).len(), 101, "a path longer than the bound has a packet of its own");
    }
}
