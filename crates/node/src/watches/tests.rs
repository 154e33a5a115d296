//! Facts of section 14 one by one, then the tables against a model that is a plain set.

use super::*;
use ostler_model::open_acl;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn change(kind: ChangeKind, path: &str) -> Change {
    Change { kind, path: Arc::from(path), acl: open_acl(), parent_acl: open_acl() }
}

fn fired(tables: &mut WatchTables, kind: ChangeKind, path: &str) -> Vec<(Slot, EventType, String)> {
    let mut events = Vec::new();
    tables.fire(&change(kind, path), |event| events.push((event.slot, event.kind, event.path.to_owned())));
    events
}

use ChangeKind::{Created, DataChanged, Deleted};
use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

#[test]
fn a_standard_watch_fires_once() {
    let mut tables = WatchTables::new(1);
    tables.add(3, "/a", Table::Data, WatchMode::Standard);
    assert_eq!(fired(&mut tables, DataChanged, "/a"), [(3, NodeDataChanged, "/a".to_owned())]);
    assert_eq!(fired(&mut tables, DataChanged, "/a"), []);
    assert!(tables.is_empty());
}

#[test]
fn data_and_child_watch_on_a_deleted_node_give_one_event_and_both_are_spent() {
    let mut tables = WatchTables::new(1);
    tables.add(3, "/a", Table::Data, WatchMode::Standard);
    tables.add(3, "/a", Table::Child, WatchMode::Standard);
    assert_eq!(fired(&mut tables, Deleted, "/a"), [(3, NodeDeleted, "/a".to_owned())]);
    assert!(tables.is_empty());
}

#[test]
fn a_recursive_watcher_suppresses_its_own_child_watch() {
    let mut tables = WatchTables::new(1);
    tables.add_persistent(3, "/", true);
    tables.add(3, "/a/b", Table::Child, WatchMode::Standard);
    assert_eq!(fired(&mut tables, Deleted, "/a/b"), [(3, NodeDeleted, "/a/b".to_owned())]);
    assert!(!tables.check(3, "/a/b", WatcherType::Children));
    assert!(tables.check(3, "/", WatcherType::PersistentRecursive));
}

#[test]
fn recursive_and_child_watch_together_see_a_create_twice() {
    let mut tables = WatchTables::new(1);
    tables.add_persistent(3, "/a", true);
    tables.add(3, "/a/b", Table::Child, WatchMode::Standard);
    let expected = [(3, NodeCreated, "/a/b/c".to_owned()), (3, NodeChildrenChanged, "/a/b".to_owned())];
    assert_eq!(fired(&mut tables, Created, "/a/b/c"), expected);
    assert_eq!(fired(&mut tables, Created, "/a/b/d"), [(3, NodeCreated, "/a/b/d".to_owned())]);
}

#[test]
fn a_persistent_watch_sees_its_path_and_its_children_but_not_grandchildren() {
    let mut tables = WatchTables::new(1);
    tables.add_persistent(1, "/a", false);
    for _ in 0..2 {
        assert_eq!(fired(&mut tables, DataChanged, "/a"), [(1, NodeDataChanged, "/a".to_owned())]);
        assert_eq!(fired(&mut tables, Created, "/a/b"), [(1, NodeChildrenChanged, "/a".to_owned())]);
        assert_eq!(fired(&mut tables, Created, "/a/b/c"), []);
        assert_eq!(fired(&mut tables, DataChanged, "/a/b"), []);
    }
    assert!(!tables.check(1, "/a", WatcherType::Data), "a persistent watch is not a data watch");
    assert!(tables.remove(1, "/a", WatcherType::Persistent));
    assert!(tables.is_empty());
}

#[test]
fn a_null_path_can_be_watched_and_never_fires() {
    let mut tables = WatchTables::new(1);
    tables.add_persistent(1, NULL_PATH, true);
    assert!(tables.check(1, NULL_PATH, WatcherType::Any));
    assert_eq!(fired(&mut tables, Created, "/null"), []);
}

#[test]
fn many_watchers_of_one_path() {
    let mut tables = WatchTables::new(1);
    for slot in 0..1_000 {
        tables.add(slot, "/a", Table::Data, WatchMode::Standard);
    }
    assert_eq!(tables.len(), 1_000);
    tables.remove_conn(17);
    let mut slots: Vec<Slot> = fired(&mut tables, DataChanged, "/a").iter().map(|event| event.0).collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..1_000).filter(|slot| *slot != 17).collect::<Vec<_>>());
    assert!(tables.is_empty());
}

/// The rules of section 14 over a set of (connection, path, table, mode).
#[derive(Default)]
struct Naive(BTreeSet<(Slot, &'static str, u8, u8)>);

const DATA: u8 = 0;
const CHILD: u8 = 1;

impl Naive {
    fn fire(&mut self, table: u8, node: &str, pass_over: &BTreeSet<Slot>) -> BTreeSet<Slot> {
        let under = |top: &str| top == "/" && node != "/" || node.starts_with(&format!("{top}/"));
        let hits = |(_, path, at, mode): &&(Slot, &str, u8, u8)| {
            *at == table && (*path == node || *mode == RECURSIVE && under(path))
        };
        let slots: BTreeSet<Slot> = self.0.iter().filter(hits).map(|watch| watch.0).collect();
        self.0.retain(|(_, path, at, mode)| !(*at == table && *path == node && *mode == STANDARD));
        slots.difference(pass_over).copied().collect()
    }

    fn change(&mut self, kind: ChangeKind, node: &str) -> Vec<(Slot, EventType, String)> {
        let mut events = Vec::new();
        let mut push = |slots: &BTreeSet<Slot>, kind, path: &str| {
            events.extend(slots.iter().map(|slot| (*slot, kind, path.to_owned())));
        };
        let none = BTreeSet::new();
        match kind {
            Created => push(&self.fire(DATA, node, &none), NodeCreated, node),
            DataChanged => push(&self.fire(DATA, node, &none), NodeDataChanged, node),
            Deleted => {
                let told = self.fire(DATA, node, &none);
                push(&told, NodeDeleted, node);
                push(&self.fire(CHILD, node, &told), NodeDeleted, node);
            }
        }
        if kind != DataChanged && node != "/" {
            let parent = path::parent(node).expect("an absolute path");
            push(&self.fire(CHILD, parent, &none), NodeChildrenChanged, parent);
        }
        events
    }

    fn matching(&self, slot: Slot, path: &str, kind: WatcherType, remove: bool) -> Vec<(Slot, &'static str, u8, u8)> {
        let wanted = |watch: &&(Slot, &str, u8, u8)| {
            watch.0 == slot
                && watch.1 == path
                && match kind {
                    WatcherType::Children => watch.2 == CHILD && watch.3 == STANDARD,
                    WatcherType::Data => watch.2 == DATA && watch.3 == STANDARD,
                    WatcherType::Any => true,
                    WatcherType::Persistent => watch.3 == PERSISTENT && (remove || watch.2 == DATA),
                    WatcherType::PersistentRecursive => watch.3 == RECURSIVE,
                }
        };
        self.0.iter().filter(wanted).copied().collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Slot, usize, u8),
    Change(ChangeKind, usize),
    Check(Slot, usize, u8),
    Remove(Slot, usize, u8),
    Gone(Slot),
}

const PATHS: [&str; 6] = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/a/d"];
const KINDS: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::PersistentRecursive,
];

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..4_u32;
    let at = 0..PATHS.len();
    let kind = prop_oneof![Just(Created), Just(Deleted), Just(DataChanged)];
    prop_oneof![
        4 => (slot.clone(), at.clone(), 0..4_u8).prop_map(|(slot, at, how)| Step::Add(slot, at, how)),
        4 => (kind, at.clone()).prop_map(|(kind, at)| Step::Change(kind, at)),
        1 => (slot.clone(), at.clone(), 0..5_u8).prop_map(|(slot, at, kind)| Step::Check(slot, at, kind)),
        1 => (slot.clone(), at, 0..5_u8).prop_map(|(slot, at, kind)| Step::Remove(slot, at, kind)),
        1 => slot.prop_map(Step::Gone),
    ]
}

proptest! {
    #[test]
    fn tables_do_what_a_plain_set_does(steps in prop::collection::vec(step(), 1..200)) {
        let mut tables = WatchTables::new(7);
        let mut naive = Naive::default();
        for step in steps {
            match step {
                Step::Add(slot, at, 0) => {
                    tables.add(slot, PATHS[at], Table::Data, WatchMode::Standard);
                    naive.0.insert((slot, PATHS[at], DATA, STANDARD));
                }
                Step::Add(slot, at, 1) => {
                    tables.add(slot, PATHS[at], Table::Child, WatchMode::Standard);
                    naive.0.insert((slot, PATHS[at], CHILD, STANDARD));
                }
                Step::Add(slot, at, 2) => {
                    tables.add_persistent(slot, PATHS[at], false);
                    naive.0.insert((slot, PATHS[at], DATA, PERSISTENT));
                    naive.0.insert((slot, PATHS[at], CHILD, PERSISTENT));
                }
                Step::Add(slot, at, _) => {
                    tables.add_persistent(slot, PATHS[at], true);
                    naive.0.insert((slot, PATHS[at], DATA, RECURSIVE));
                }
                Step::Change(kind, at) => {
                    let mut got = fired(&mut tables, kind, PATHS[at]);
                    let mut want = naive.change(kind, PATHS[at]);
                    // The order among connections is free; per connection it is not.
                    got.sort_by_key(|event| event.0);
                    want.sort_by_key(|event| event.0);
                    prop_assert_eq!(got, want);
                }
                Step::Check(slot, at, kind) => {
                    let kind = KINDS[kind as usize];
                    let want = !naive.matching(slot, PATHS[at], kind, false).is_empty();
                    prop_assert_eq!(tables.check(slot, PATHS[at], kind), want);
                }
                Step::Remove(slot, at, kind) => {
                    let kind = KINDS[kind as usize];
                    let gone = naive.matching(slot, PATHS[at], kind, true);
                    for watch in &gone {
                        naive.0.remove(watch);
                    }
                    prop_assert_eq!(tables.remove(slot, PATHS[at], kind), !gone.is_empty());
                }
                Step::Gone(slot) => {
                    tables.remove_conn(slot);
                    naive.0.retain(|watch| watch.0 != slot);
                }
            }
            let pairs: BTreeSet<_> = naive.0.iter().map(|watch| (watch.0, watch.1, watch.2)).collect();
            prop_assert_eq!(tables.len(), pairs.len());
            let recursive = naive.0.iter().filter(|watch| watch.3 == RECURSIVE).count();
            prop_assert_eq!(tables.data.recursive, recursive);
        }
    }
}
