//! The part of the tree that a cache holds, without I/O: what to read next, and what a reply changes.
//!
//! One rule for everything: an event only marks a path, which is then read, and what was read is true. Replies are handed
//! in in the order of their requests. A load reads the tree from the root down; what was held before and is not met is
//! read again, too, so that nothing is taken away on suspicion. Since the watch is set before the first read, and servers
//! tell of a change before they show it, a change that a read did not show marks its path afterwards.

use crate::recipes::names::{join, last};
use ostler_model::Stat;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What an entry costs besides its path and data, bytes.
const ENTRY_BYTES: usize = 160;

/// A znode as a cache holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// Its data.
    pub data: Vec<u8>,
    /// Its Stat, of the same moment.
    pub stat: Stat,
}

impl Entry {
    /// The last component of the path.
    pub fn name(&self) -> &str {
        last(&self.path)
    }

    fn bytes(&self) -> usize {
        self.path.len() + self.data.len() + ENTRY_BYTES
    }
}

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Created(Arc<Entry>),
    Changed {
        new: Arc<Entry>,
        old: Arc<Entry>,
    },
    Deleted(Arc<Entry>),
    /// All that was there when the load began is here.
    Loaded,
}

/// A znode to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Read {
    pub path: String,
    /// The names of its children, too.
    pub names: bool,
}

/// What a read found; `None`: no such znode.
pub(crate) type Found = Option<(Vec<u8>, Stat, Vec<String>)>;

/// Why a path is to be read.
#[derive(Clone, Copy, Default, Debug)]
struct Want {
    names: bool,
    /// The load waits for it.
    load: bool,
}

/// The most that a cache holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    pub entries: usize,
    pub bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Mirror {
    root: String,
    /// Levels below the root.
    depth: usize,
    bounds: Bounds,
    entries: BTreeMap<String, Arc<Entry>>,
    bytes: usize,
    wants: BTreeMap<String, Want>,
    /// Paths of `wants` that are not being read, in the order they are to be.
    order: VecDeque<String>,
    reading: BTreeMap<String, Want>,
    /// Paths that the load has not met.
    unmet: BTreeSet<String>,
    /// Paths that the load waits for.
    waits: usize,
    loading: bool,
    loaded: bool,
}

impl Mirror {
    pub fn new(root: &str, depth: usize, bounds: Bounds) -> Mirror {
        Mirror {
            root: root.to_owned(),
            depth,
            bounds,
            entries: BTreeMap::new(),
            bytes: 0,
            wants: BTreeMap::new(),
            order: VecDeque::new(),
            reading: BTreeMap::new(),
            unmet: BTreeSet::new(),
            waits: 0,
            loading: false,
            loaded: false,
        }
    }

    pub fn get(&self, path: &str) -> Option<&Arc<Entry>> {
        self.entries.get(path)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Direct children, in the order of their paths, without a look at what is below them.
    pub fn children(&self, path: &str) -> Vec<Arc<Entry>> {
        let prefix = join(path, "");
        let (mut from, mut found) = (prefix.clone(), Vec::new());
        while let Some((key, entry)) = self.entries.range(from..).next() {
            let Some(rest) = key.strip_prefix(&prefix) else { break };
            from = match rest.find('/') {
                // '0' follows '/'.
                Some(slash) => format!("{prefix}{}0", &rest[..slash]),
                None => {
                    if !rest.is_empty() {
                        found.push(Arc::clone(entry));
                    }
                    format!("{key}\0")
                }
            };
        }
        found
    }

    /// True once a load was finished.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// True if it holds more, or has to read more, than it may.
    pub fn is_too_large(&self) -> bool {
        let entries = self.entries.len().max(self.wants.len().saturating_sub(self.entries.len()));
        entries > self.bounds.entries || self.bytes > self.bounds.bytes
    }

    /// Everything is to be read: at the beginning, and when events may have been missed.
    pub fn load(&mut self) {
        for want in self.wants.values_mut().chain(self.reading.values_mut()) {
            want.load = false;
        }
        self.loading = true;
        self.waits = 0;
        self.unmet = self.entries.keys().cloned().collect();
        self.unmet.remove(&self.root);
        self.want(self.root.clone(), Want { names: self.depth > 0, load: true });
    }

    /// An event about a path: it may have come, changed or gone.
    pub fn event(&mut self, path: &str) {
        if self.level(path).is_some_and(|level| level <= self.depth) {
            self.want(path.to_owned(), Want::default());
        }
    }

    /// How far below the root.
    fn level(&self, path: &str) -> Option<usize> {
        if path == self.root {
            return Some(0);
        }
        let below = if self.root == "/" { path } else { path.strip_prefix(&self.root)? };
        below.starts_with('/').then(|| below.matches('/').count())
    }

    fn want(&mut self, path: String, mut want: Want) {
        // The load is served by a read on its way, if that is of the same load; an event is not.
        if want.load && self.reading.get(&path).is_some_and(|on_its_way| on_its_way.load) {
            return;
        }
        match self.wants.get_mut(&path) {
            Some(old) => {
                self.waits += usize::from(want.load && !old.load);
                old.names |= want.names;
                old.load |= want.load;
            }
            None => {
                want.names &= want.load;
                self.waits += usize::from(want.load);
                self.wants.insert(path.clone(), want);
                self.order.push_back(path);
            }
        }
    }

    /// The next znode to read. No znode is read twice at a time.
    pub fn next_read(&mut self) -> Option<Read> {
        let at = self.order.iter().position(|path| !self.reading.contains_key(path))?;
        let path = self.order.remove(at).expect("it was just found");
        let want = self.wants.remove(&path).expect("what is in order is wanted");
        self.reading.insert(path.clone(), want);
        Some(Read { path, names: want.names })
    }

    /// A read got no answer: it is to be done again.
    pub fn failed(&mut self, path: &str) {
        let want = self.reading.remove(path).expect("it was being read");
        self.waits -= usize::from(want.load);
        self.want(path.to_owned(), want);
    }

    /// What a read found; the changes that follow from it, in order.
    pub fn found(&mut self, path: &str, found: Found) -> Vec<Change> {
        let want = self.reading.remove(path).expect("it was being read");
        self.waits -= usize::from(want.load);
        self.unmet.remove(path);
        let mut changes = Vec::new();
        match found {
            None => self.remove(path, &mut changes),
            Some((data, stat, names)) => {
                self.put(Entry { path: path.to_owned(), data, stat }, &mut changes);
                let level = self.level(path).expect("only what is below the root is read");
                if want.load && level < self.depth {
                    let deeper = Want { names: level + 1 < self.depth, load: true };
                    names.iter().for_each(|name| self.want(join(path, name), deeper));
                }
            }
        }
        if self.loading && self.waits == 0 {
            for path in std::mem::take(&mut self.unmet) {
                self.want(path, Want { names: false, load: true });
            }
            if self.waits == 0 {
                self.loading = false;
                self.loaded = true;
                changes.push(Change::Loaded);
            }
        }
        changes
    }

    fn put(&mut self, entry: Entry, changes: &mut Vec<Change>) {
        let new = Arc::new(entry);
        self.bytes += new.bytes();
        let old = self.entries.insert(new.path.clone(), Arc::clone(&new));
        let Some(old) = old else { return changes.push(Change::Created(new)) };
        self.bytes -= old.bytes();
        if old.stat.czxid != new.stat.czxid {
            changes.extend([Change::Deleted(old), Change::Created(new)]);
        } else if old.stat.mzxid != new.stat.mzxid {
            changes.push(Change::Changed { new, old });
        }
    }

    /// Takes a znode away with all below it, from the bottom up, as it must have gone.
    fn remove(&mut self, path: &str, changes: &mut Vec<Change>) {
        let prefix = join(path, "");
        let below = self.entries.range(prefix.clone()..).map(|(key, _)| key);
        let below: Vec<String> = below.take_while(|key| key.starts_with(&prefix)).cloned().collect();
        for gone in below.iter().map(String::as_str).rev().chain([path]) {
            self.unmet.remove(gone);
            if let Some(old) = self.entries.remove(gone) {
                self.bytes -= old.bytes();
                changes.push(Change::Deleted(old));
            }
        }
    }
}

#[cfg(test)]
mod tests;
