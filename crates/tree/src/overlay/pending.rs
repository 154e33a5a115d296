//! The nodes that pending transactions changed, by path, with the order in which they may be forgotten.
//!
//! Each node here knows the last transaction that touched it; a queue of (zxid, node) says when to look whether the
//! table has caught up. While a multi is prepared, the state each node had before it is kept too, so that a refusal
//! takes everything back: nodes, parents and the queue.

use crate::table::NodeId;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use ostler_model::{AclList, Owner, SessionId, StoredStat, Zxid};
use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;

/// What pending transactions made of a path.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Deleted,
    Node(PendingNode),
}

/// A node as it will be, without its data.
#[derive(Clone, Debug)]
pub(super) struct PendingNode {
    /// Its place in the table. It stays there as long as the node is here: whoever deletes it is pending before.
    pub committed: Option<NodeId>,
    pub stat: StoredStat,
    pub data_length: usize,
    pub num_children: usize,
    pub acl: AclList,
    /// CRC of path and data, for the digest.
    pub crc: u32,
}

impl Pending {
    fn owner(&self) -> Option<SessionId> {
        match self {
            Pending::Deleted => None,
            Pending::Node(node) => match Owner::from_raw(node.stat.ephemeral_owner) {
                Owner::Session(session) => Some(session),
                _ => None,
            },
        }
    }
}

/// A path, hashed and looked up once. Within one transaction entries stay where they are.
#[derive(Clone, Copy)]
pub(super) struct Key<'p> {
    pub path: &'p str,
    hash: u64,
    /// `None`: it was not here then.
    slot: Option<u32>,
}

#[derive(Debug)]
struct Entry {
    path: Box<str>,
    hash: u64,
    state: Pending,
    /// The last transaction that touched it.
    changed: Zxid,
}

/// What a multi must restore if it is refused.
#[derive(Debug)]
struct Before {
    slot: u32,
    /// `None`: the path was not pending.
    state: Option<(Pending, Zxid)>,
}

/// Where to go back to.
#[derive(Debug)]
#[must_use]
pub(crate) struct Savepoint {
    changes: usize,
    digest: u64,
}

impl Savepoint {
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }
}

#[derive(Debug)]
pub(super) struct PendingNodes {
    hasher: FixedState,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_path: HashTable<u32>,
    /// Which entries are ephemerals of which session.
    ephemerals: BTreeSet<(SessionId, u32)>,
    /// Which transaction touched which entry, oldest first; once per transaction and entry.
    changes: VecDeque<(Zxid, u32)>,
    /// The states before the multi that is being prepared, one for each of its elements of `changes`.
    journal: Option<Vec<Before>>,
}

impl PendingNodes {
    pub(super) fn new(seed: u64) -> PendingNodes {
        PendingNodes {
            hasher: FixedState::with_seed(seed),
            entries: Vec::new(),
            free: Vec::new(),
            by_path: HashTable::new(),
            ephemerals: BTreeSet::new(),
            changes: VecDeque::new(),
            journal: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    pub(super) fn key<'p>(&self, path: &'p str) -> Key<'p> {
        let hash = self.hasher.hash_one(path);
        Key { path, hash, slot: self.find(hash, path) }
    }

    fn find(&self, hash: u64, path: &str) -> Option<u32> {
        self.by_path.find(hash, |slot| &*entry(&self.entries, *slot).path == path).copied()
    }

    fn slot(&self, key: Key<'_>) -> Option<u32> {
        key.slot.or_else(|| self.find(key.hash, key.path))
    }

    pub(super) fn get(&self, key: Key<'_>) -> Option<&Pending> {
        self.slot(key).map(|slot| &entry(&self.entries, slot).state)
    }

    /// Paths of the nodes here that are ephemerals of `session`.
    pub(super) fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        let slots = self.ephemerals.range((session, 0)..=(session, u32::MAX));
        slots.map(|(_, slot)| &*entry(&self.entries, *slot).path)
    }

    /// The node at `key` for change by transaction `zxid`; `committed` makes it of its committed self if it is not
    /// here yet. The owner must not be changed through this.
    pub(super) fn change(
        &mut self,
        key: Key<'_>,
        zxid: Zxid,
        committed: impl FnOnce() -> PendingNode,
    ) -> &mut PendingNode {
        let slot = match self.slot(key) {
            Some(slot) => {
                self.touch(slot, zxid);
                slot
            }
            None => self.add(key, zxid, Pending::Node(committed())),
        };
        match &mut entry_mut(&mut self.entries, slot).state {
            Pending::Node(node) => node,
            Pending::Deleted => unreachable!("apply changes only nodes that it found"),
        }
    }

    /// Puts `state` at `key`, whatever was there.
    pub(super) fn replace(&mut self, key: Key<'_>, zxid: Zxid, state: Pending) {
        match self.slot(key) {
            Some(slot) => {
                self.touch(slot, zxid);
                self.set_state(slot, state);
            }
            None => {
                self.add(key, zxid, state);
            }
        }
    }

    fn add(&mut self, key: Key<'_>, zxid: Zxid, state: Pending) -> u32 {
        let hash = key.hash;
        let owner = state.owner();
        let new = Some(Entry { path: key.path.into(), hash, state, changed: zxid });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = new;
                slot
            }
            None => {
                self.entries.push(new);
                u32::try_from(self.entries.len() - 1).expect("pending changes are bounded by the requests in flight")
            }
        };
        let entries = &self.entries;
        self.by_path.insert_unique(hash, slot, |slot| entry(entries, *slot).hash);
        self.ephemerals.extend(owner.map(|owner| (owner, slot)));
        self.changes.push_back((zxid, slot));
        if let Some(journal) = &mut self.journal {
            journal.push(Before { slot, state: None });
        }
        slot
    }

    /// Notes that `zxid` changes this entry; the first time, its state before is kept for a roll-back.
    fn touch(&mut self, slot: u32, zxid: Zxid) {
        let entry = entry_mut(&mut self.entries, slot);
        if entry.changed == zxid {
            return;
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Before { slot, state: Some((entry.state.clone(), entry.changed)) });
        }
        entry.changed = zxid;
        self.changes.push_back((zxid, slot));
    }

    fn set_state(&mut self, slot: u32, state: Pending) {
        let entry = entry_mut(&mut self.entries, slot);
        let (before, after) = (entry.state.owner(), state.owner());
        entry.state = state;
        if before != after {
            if let Some(owner) = before {
                self.ephemerals.remove(&(owner, slot));
            }
            self.ephemerals.extend(after.map(|owner| (owner, slot)));
        }
    }

    fn forget(&mut self, slot: u32) {
        let entry = self.entries[slot as usize].take().expect("a listed slot is taken");
        let found = self.by_path.find_entry(entry.hash, |listed| *listed == slot);
        found.expect("every entry is in the index").remove();
        if let Some(owner) = entry.state.owner() {
            self.ephemerals.remove(&(owner, slot));
        }
        self.free.push(slot);
    }

    /// Forgets the entries that no transaction after `zxid` touched.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        while let Some((changed, slot)) = self.changes.front().copied() {
            if changed > zxid {
                break;
            }
            self.changes.pop_front();
            // Touched again later, perhaps by a transaction that is applied too: a later element stands for it.
            if entry(&self.entries, slot).changed == changed {
                self.forget(slot);
            }
        }
        if self.by_path.is_empty() {
            self.shrink();
        }
    }

    /// A burst must not leave its memory behind for ever.
    fn shrink(&mut self) {
        const KEPT: usize = 4_096;
        self.entries.clear();
        self.free.clear();
        self.entries.shrink_to(KEPT);
        self.free.shrink_to(KEPT);
        self.changes.shrink_to(KEPT);
        self.by_path.shrink_to(KEPT, |_| unreachable!("the index is empty"));
    }

    /// From here on states are kept, until `release` or `roll_back`.
    pub(super) fn savepoint(&mut self, digest: u64) -> Savepoint {
        assert!(self.journal.is_none(), "multis do not nest");
        self.journal = Some(Vec::new());
        Savepoint { changes: self.changes.len(), digest }
    }

    pub(super) fn release(&mut self, savepoint: &Savepoint) {
        let journal = self.journal.take().expect("a savepoint opened the journal");
        assert_eq!(self.changes.len(), savepoint.changes + journal.len(), "a change escaped the journal");
    }

    pub(super) fn roll_back(&mut self, savepoint: &Savepoint) {
        let journal = self.journal.take().expect("a savepoint opened the journal");
        assert_eq!(self.changes.len(), savepoint.changes + journal.len(), "a change escaped the journal");
        for before in journal.into_iter().rev() {
            match before.state {
                None => self.forget(before.slot),
                Some((state, changed)) => {
                    self.set_state(before.slot, state);
                    entry_mut(&mut self.entries, before.slot).changed = changed;
                }
            }
        }
        self.changes.truncate(savepoint.changes);
    }
}

fn entry(entries: &[Option<Entry>], slot: u32) -> &Entry {
    entries[slot as usize].as_ref().expect("a listed slot is taken")
}

fn entry_mut(entries: &mut [Option<Entry>], slot: u32) -> &mut Entry {
    entries[slot as usize].as_mut().expect("a listed slot is taken")
}
