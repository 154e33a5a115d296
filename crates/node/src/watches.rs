//! The watch tables of a shard: who is told of which change (client-protocol.md section 14).
//!
//! Two tables, data and child, map a path to the connections that watch it, each with a set of modes. When nobody
//! watches anything, a change costs one comparison; when nobody watches recursively, ancestors are not looked at.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use ostler_model::{AclList, EventType, WatchMode, WatcherType, path};
use ostler_tree::{Change, ChangeKind};
use std::sync::Arc;

/// A connection's index in its shard.
pub(crate) type Slot = u32;

/// What a null path is filed under. Clients may watch and un-watch it, and it never fires: no znode's path contains
/// U+0000.
pub(crate) const NULL_PATH: &str = "\0null";

/// Watchers of one path above this number are kept in a map, so that thousands of clients on one path stay cheap.
const FEW_WATCHERS_MAX: usize = 32;

/// Which table a watch stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Table {
    /// getData, exists, persistent and recursive watches.
    Data,
    /// getChildren and persistent watches.
    Child,
}

const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

const fn bit(mode: WatchMode) -> u8 {
    match mode {
        WatchMode::Standard => STANDARD,
        WatchMode::Persistent => PERSISTENT,
        WatchMode::Recursive => RECURSIVE,
    }
}

/// An event for one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) slot: Slot,
    pub(crate) kind: EventType,
    pub(crate) path: &'a str,
    /// Who cannot read under this ACL is not told.
    pub(crate) acl: &'a AclList,
}

/// The connections that watch one path, with their modes.
#[derive(Debug)]
enum Watchers {
    Few(Vec<(Slot, u8)>),
    Many(HashMap<Slot, u8, FixedState>),
}

impl Watchers {
    fn modes(&self, slot: Slot) -> u8 {
        match self {
            Watchers::Few(list) => list.iter().find(|(at, _)| *at == slot).map_or(0, |(_, modes)| *modes),
            Watchers::Many(map) => map.get(&slot).copied().unwrap_or(0),
        }
    }

    /// Replaces the modes of a connection; 0 removes it.
    fn set(&mut self, slot: Slot, modes: u8) {
        match self {
            Watchers::Few(list) => {
                let at = list.iter().position(|(at, _)| *at == slot);
                match (at, modes) {
                    (Some(at), 0) => {
                        list.swap_remove(at);
                    }
                    (Some(at), _) => list[at].1 = modes,
                    (None, 0) => {}
                    (None, _) => list.push((slot, modes)),
                }
                if list.len() > FEW_WATCHERS_MAX {
                    // Keyed by small dense numbers of our own: no seed needed.
                    let mut map = HashMap::with_capacity_and_hasher(list.len() * 2, FixedState::default());
                    map.extend(list.drain(..));
                    *self = Watchers::Many(map);
                }
            }
            Watchers::Many(map) => {
                if modes == 0 {
                    map.remove(&slot);
                } else {
                    map.insert(slot, modes);
                }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Watchers::Few(list) => list.len(),
            Watchers::Many(map) => map.len(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Slot, u8)> + '_ {
        let (few, many) = match self {
            Watchers::Few(list) => (Some(list.iter().copied()), None),
            Watchers::Many(map) => (None, Some(map.iter().map(|(slot, modes)| (*slot, *modes)))),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }
}

#[derive(Debug)]
struct PathTable {
    paths: HashMap<Arc<str>, Watchers, FixedState>,
    /// (path, connection) pairs.
    pairs: usize,
    /// Pairs with a recursive watch.
    recursive: usize,
}

impl PathTable {
    fn new(seed: u64) -> PathTable {
        PathTable { paths: HashMap::with_hasher(FixedState::with_seed(seed)), pairs: 0, recursive: 0 }
    }

    fn modes(&self, path: &str, slot: Slot) -> u8 {
        self.paths.get(path).map_or(0, |watchers| watchers.modes(slot))
    }

    fn set(&mut self, path: &Arc<str>, slot: Slot, modes: u8) {
        let before = match self.paths.get_mut(path) {
            Some(watchers) => {
                let before = watchers.modes(slot);
                watchers.set(slot, modes);
                if watchers.len() == 0 {
                    self.paths.remove(path);
                }
                before
            }
            None if modes != 0 => {
                self.paths.insert(path.clone(), Watchers::Few(vec![(slot, modes)]));
                0
            }
            None => 0,
        };
        self.pairs = self.pairs + usize::from(modes != 0) - usize::from(before != 0);
        self.recursive = self.recursive + usize::from(modes & RECURSIVE != 0) - usize::from(before & RECURSIVE != 0);
    }
}

/// The watches of all connections of a shard.
#[derive(Debug)]
pub(crate) struct WatchTables {
    data: PathTable,
    child: PathTable,
    /// The paths each connection watches, in either table: what to forget when it goes.
    by_conn: HashMap<Slot, HashSet<Arc<str>, FixedState>, FixedState>,
    seed: u64,
    /// The last firing that met a connection: one event per firing, however many watches match.
    met: Vec<u64>,
    firing: u64,
    /// Connections met by the firing under way.
    hits: Vec<Slot>,
    /// One-shot watches spent by the firing under way.
    spent: Vec<Slot>,
}

impl WatchTables {
    pub(crate) fn new(seed: u64) -> WatchTables {
        WatchTables {
            data: PathTable::new(seed),
            child: PathTable::new(seed),
            by_conn: HashMap::with_hasher(FixedState::default()),
            seed,
            met: Vec::new(),
            firing: 0,
            hits: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// True if no connection watches anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.data.pairs == 0 && self.child.pairs == 0
    }

    /// Pairs of path and connection in both tables.
    pub(crate) fn len(&self) -> usize {
        self.data.pairs + self.child.pairs
    }

    /// Registers a watch; registering again changes nothing.
    pub(crate) fn add(&mut self, slot: Slot, path: &str, table: Table, mode: WatchMode) {
        let before = self.table(table).modes(path, slot);
        if before & bit(mode) != 0 {
            return;
        }
        let paths = self.by_conn.entry(slot).or_insert_with(|| HashSet::with_hasher(FixedState::with_seed(self.seed)));
        let key = match paths.get(path) {
            Some(key) => key.clone(),
            None => {
                let shared = match self.data.paths.get_key_value(path).or_else(|| self.child.paths.get_key_value(path))
                {
                    Some((key, _)) => key.clone(),
                    None => Arc::from(path),
                };
                paths.insert(shared.clone());
                shared
            }
        };
        self.table_mut(table).set(&key, slot, before | bit(mode));
    }

    /// addWatch: persistent watches stand in both tables, recursive ones in data only.
    pub(crate) fn add_persistent(&mut self, slot: Slot, path: &str, recursive: bool) {
        if recursive {
            self.add(slot, path, Table::Data, WatchMode::Recursive);
        } else {
            self.add(slot, path, Table::Data, WatchMode::Persistent);
            self.add(slot, path, Table::Child, WatchMode::Persistent);
        }
    }

    /// checkWatches: true if the connection has such a watch.
    pub(crate) fn check(&self, slot: Slot, path: &str, kind: WatcherType) -> bool {
        let (data, child) = (self.data.modes(path, slot), self.child.modes(path, slot));
        match kind {
            WatcherType::Children => child & STANDARD != 0,
            WatcherType::Data => data & STANDARD != 0,
            WatcherType::Any => data | child != 0,
            WatcherType::Persistent => data & PERSISTENT != 0,
            WatcherType::PersistentRecursive => data & RECURSIVE != 0,
        }
    }

    /// removeWatches: true if there was such a watch.
    pub(crate) fn remove(&mut self, slot: Slot, path: &str, kind: WatcherType) -> bool {
        let (data, child) = match kind {
            WatcherType::Children => (0, STANDARD),
            WatcherType::Data => (STANDARD, 0),
            WatcherType::Any => (u8::MAX, u8::MAX),
            WatcherType::Persistent => (PERSISTENT, PERSISTENT),
            WatcherType::PersistentRecursive => (RECURSIVE, 0),
        };
        let before = (self.data.modes(path, slot), self.child.modes(path, slot));
        if before.0 & data == 0 && before.1 & child == 0 {
            return false;
        }
        let key = self.by_conn.get(&slot).and_then(|paths| paths.get(path)).expect("a watch's path is filed").clone();
        self.data.set(&key, slot, before.0 & !data);
        self.child.set(&key, slot, before.1 & !child);
        self.forget_if_unwatched(slot, &key);
        true
    }

    /// The connection is gone.
    pub(crate) fn remove_conn(&mut self, slot: Slot) {
        for path in self.by_conn.remove(&slot).into_iter().flatten() {
            self.data.set(&path, slot, 0);
            self.child.set(&path, slot, 0);
        }
    }

    /// Fires what a change fires, in order (section 14.2); one-shot watches are spent.
    pub(crate) fn fire(&mut self, change: &Change, mut emit: impl FnMut(Event<'_>)) {
        if self.is_empty() {
            return;
        }
        let node = change.path.as_ref();
        let parent = path::parent(node).filter(|_| node != "/");
        match change.kind {
            ChangeKind::Created => {
                self.fire_table(Table::Data, node, false, EventType::NodeCreated, &change.acl, &mut emit);
            }
            ChangeKind::Deleted => {
                self.fire_table(Table::Data, node, false, EventType::NodeDeleted, &change.acl, &mut emit);
                // Who has heard of it through the data table is not told again; its child watch is spent all the same.
                self.fire_table(Table::Child, node, true, EventType::NodeDeleted, &change.acl, &mut emit);
            }
            ChangeKind::DataChanged => {
                self.fire_table(Table::Data, node, false, EventType::NodeDataChanged, &change.acl, &mut emit);
                return;
            }
        }
        if let Some(parent) = parent {
            let (kind, acl) = (EventType::NodeChildrenChanged, &change.parent_acl);
            self.fire_table(Table::Child, parent, false, kind, acl, &mut emit);
        }
    }

    /// One firing. `same`: connections met by the firing before are passed over.
    fn fire_table(
        &mut self,
        table: Table,
        node: &str,
        same: bool,
        kind: EventType,
        acl: &AclList,
        emit: &mut impl FnMut(Event<'_>),
    ) {
        if !same {
            self.firing += 1;
        }
        self.hits.clear();
        self.spent.clear();
        let tables = match table {
            Table::Data => &self.data,
            Table::Child => &self.child,
        };
        let mut meet = Meet { met: &mut self.met, firing: self.firing, hits: &mut self.hits };
        if let Some((key, watchers)) = tables.paths.get_key_value(node) {
            for (slot, modes) in watchers.iter() {
                meet.with(slot);
                if modes & STANDARD != 0 {
                    self.spent.push(slot);
                }
            }
            if !self.spent.is_empty() {
                let key = key.clone();
                self.meet_ancestors(table, node);
                self.spend(table, &key);
                self.emit_hits(kind, node, acl, emit);
                return;
            }
        }
        self.meet_ancestors(table, node);
        self.emit_hits(kind, node, acl, emit);
    }

    fn meet_ancestors(&mut self, table: Table, node: &str) {
        if table == Table::Child || self.data.recursive == 0 {
            return;
        }
        let mut meet = Meet { met: &mut self.met, firing: self.firing, hits: &mut self.hits };
        let mut at = node;
        while at != "/" {
            let Some(parent) = path::parent(at) else { return };
            at = parent;
            for (slot, _) in
                self.data.paths.get(at).iter().flat_map(|watchers| watchers.iter()).filter(|(_, m)| m & RECURSIVE != 0)
            {
                meet.with(slot);
            }
        }
    }

    fn spend(&mut self, table: Table, key: &Arc<str>) {
        let mut spent = std::mem::take(&mut self.spent);
        for slot in spent.drain(..) {
            let modes = self.table(table).modes(key, slot) & !STANDARD;
            self.table_mut(table).set(key, slot, modes);
            self.forget_if_unwatched(slot, key);
        }
        self.spent = spent;
    }

    fn emit_hits(&self, kind: EventType, path: &str, acl: &AclList, emit: &mut impl FnMut(Event<'_>)) {
        for slot in &self.hits {
            emit(Event { slot: *slot, kind, path, acl });
        }
    }

    fn forget_if_unwatched(&mut self, slot: Slot, path: &Arc<str>) {
        if self.data.modes(path, slot) == 0
            && self.child.modes(path, slot) == 0
            && let Some(paths) = self.by_conn.get_mut(&slot)
        {
            paths.remove(path);
        }
    }

    fn table(&self, table: Table) -> &PathTable {
        match table {
            Table::Data => &self.data,
            Table::Child => &self.child,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut PathTable {
        match table {
            Table::Data => &mut self.data,
            Table::Child => &mut self.child,
        }
    }

    /// The data table: each path with its connections, for the four-letter words.
    pub(crate) fn data_watches(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Slot> + '_)> + '_ {
        self.data.paths.iter().map(|(path, watchers)| (path.as_ref(), watchers.iter().map(|(slot, _)| slot)))
    }

    /// Connections that watch or have watched something.
    pub(crate) fn watching(&self) -> impl Iterator<Item = Slot> + '_ {
        self.by_conn.keys().copied()
    }
}

/// Collects each connection once per firing.
struct Meet<'a> {
    met: &'a mut Vec<u64>,
    firing: u64,
    hits: &'a mut Vec<Slot>,
}

impl Meet<'_> {
    fn with(&mut self, slot: Slot) {
        let at = slot as usize;
        if at >= self.met.len() {
            self.met.resize(at + 1, 0);
        }
        if self.met[at] != self.firing {
            self.met[at] = self.firing;
            self.hits.push(slot);
        }
    }
}

#[cfg(test)]
mod tests;
