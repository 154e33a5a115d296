//! The mirror against a naive server: whatever happens in whatever order, in the end it holds what the tree holds, and its
//! changes tell exactly how it came there.

use super::*;
use ostler_model::Zxid;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds { entries: 1_000, bytes: 1 << 20 };

/// A tree of at most three levels below `/r`, the events that were sent, and reads in their order.
#[derive(Debug, Default)]
struct Naive {
    zxid: i64,
    nodes: BTreeMap<String, (Vec<u8>, Zxid, Zxid)>,
    events: VecDeque<String>,
    asked: VecDeque<Read>,
    replies: VecDeque<(String, Found)>,
}

impl Naive {
    fn parent(path: &str) -> &str {
        &path[..path.rfind('/').unwrap()]
    }

    fn change(&mut self, kind: u8, path: &str) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let has_children = self.nodes.keys().any(|other| Naive::parent(other) == path);
        let has_parent = path == "/r" || self.nodes.contains_key(Naive::parent(path));
        match (kind % 3, self.nodes.get_mut(path)) {
            (0, None) if has_parent => drop(self.nodes.insert(path.into(), (vec![kind], zxid, zxid))),
            (1, Some(node)) => *node = (vec![kind], node.1, zxid),
            (2, Some(_)) if !has_children => drop(self.nodes.remove(path)),
            _ => return,
        }
        self.events.push_back(path.into());
    }

    fn answer(&mut self) {
        let Some(read) = self.asked.pop_front() else { return };
        let found = self.nodes.get(&read.path).map(|(data, czxid, mzxid)| {
            let prefix = format!("{}/", read.path);
            let names = self.nodes.keys().filter_map(|path| path.strip_prefix(&prefix));
            let names = names.filter(|name| read.names && !name.contains('/')).map(str::to_owned).collect();
            (data.clone(), Stat { czxid: *czxid, mzxid: *mzxid, ..Stat::default() }, names)
        });
        self.replies.push_back((read.path, found));
    }
}

/// What somebody holds who follows the changes alone.
fn follow(held: &mut BTreeMap<String, Arc<Entry>>, changes: Vec<Change>) -> bool {
    let mut loaded = false;
    for change in changes {
        match change {
            Change::Created(new) => {
                assert!(held.insert(new.path.clone(), new).is_none());
            }
            Change::Changed { new, old } => {
                assert_eq!(new.stat.czxid, old.stat.czxid, "another znode of the same path");
                assert_eq!(held.insert(new.path.clone(), new), Some(old));
            }
            Change::Deleted(old) => assert_eq!(held.remove(&old.path), Some(old)),
            Change::Loaded => loaded = true,
        }
    }
    loaded
}

fn paths() -> impl Strategy<Value = String> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("a-b")];
    prop_oneof![
        1 => Just("/r".to_owned()),
        3 => name().prop_map(|one| format!("/r/{one}")),
        3 => (name(), name()).prop_map(|(one, two)| format!("/r/{one}/{two}")),
        2 => (name(), name(), name()).prop_map(|(one, two, three)| format!("/r/{one}/{two}/{three}")),
    ]
}

#[derive(Clone, Debug)]
enum Do {
    Change(u8, String),
    Ask,
    Answer,
    HearEvent,
    HearReply,
    /// The connection is lost: what was on its way is gone.
    Cut,
}

fn what() -> impl Strategy<Value = Do> {
    prop_oneof![
        8 => (any::<u8>(), paths()).prop_map(|(kind, path)| Do::Change(kind, path)),
        5 => Just(Do::Ask),
        5 => Just(Do::Answer),
        5 => Just(Do::HearEvent),
        5 => Just(Do::HearReply),
        1 => Just(Do::Cut),
    ]
}

struct World {
    naive: Naive,
    mirror: Mirror,
    held: BTreeMap<String, Arc<Entry>>,
    loads: u32,
}

impl World {
    fn run(&mut self, what: Do) {
        let World { naive, mirror, held, loads } = self;
        match what {
            Do::Change(kind, path) => naive.change(kind, &path),
            Do::Ask => naive.asked.extend(mirror.next_read()),
            Do::Answer => naive.answer(),
            Do::HearEvent => naive.events.pop_front().iter().for_each(|path| mirror.event(path)),
            Do::HearReply => {
                if let Some((path, found)) = naive.replies.pop_front() {
                    *loads += u32::from(follow(held, mirror.found(&path, found)));
                }
            }
            Do::Cut => {
                // Replies that came before are heard; what was asked is lost with the events.
                while !naive.replies.is_empty() {
                    let (path, found) = naive.replies.pop_front().unwrap();
                    *loads += u32::from(follow(held, mirror.found(&path, found)));
                }
                naive.asked.drain(..).for_each(|read| mirror.failed(&read.path));
                naive.events.clear();
                mirror.load();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_holds_in_the_end_what_the_tree_holds(
        before in prop::collection::vec((any::<u8>(), paths()), 0..20),
        steps in prop::collection::vec(what(), 0..200),
        depth in 0..4_usize,
    ) {
        let mirror = Mirror::new("/r", depth, BOUNDS);
        let mut world = World { naive: Naive::default(), mirror, held: BTreeMap::new(), loads: 0 };
        before.iter().for_each(|(kind, path)| world.naive.change(*kind, path));
        world.naive.events.clear();
        world.mirror.load();
        steps.into_iter().for_each(|step| world.run(step));
        for _ in 0..200 {
            [Do::Ask, Do::Answer, Do::HearEvent, Do::HearReply].into_iter().for_each(|step| world.run(step));
        }
        assert!(world.loads > 0 && world.mirror.is_loaded());
        let level = |path: &str| path.matches('/').count() - 1;
        let tree = world.naive.nodes.iter().filter(|(path, _)| level(path) <= depth);
        let expected: Vec<_> = tree.map(|(path, (data, czxid, _))| (path.clone(), data.clone(), *czxid)).collect();
        let of = |entry: &Arc<Entry>| (entry.path.clone(), entry.data.clone(), entry.stat.czxid);
        assert_eq!(world.mirror.entries().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(world.held.values().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(world.mirror.bytes, world.held.values().map(|entry| entry.bytes()).sum::<usize>());
        assert!(world.mirror.wants.is_empty() && world.mirror.reading.is_empty() && world.mirror.waits == 0);
        for path in world.naive.nodes.keys().filter(|path| level(path) < depth) {
            let children: Vec<_> = world.mirror.children(path).iter().map(|entry| entry.path.clone()).collect();
            let expected: Vec<_> =
                world.naive.nodes.keys().filter(|other| Naive::parent(other) == path.as_str()).cloned().collect();
            assert_eq!(children, expected);
        }
    }
}

#[test]
fn a_root_has_its_level_and_its_children() {
    let mirror = Mirror::new("/", 1, BOUNDS);
    assert_eq!(["/", "/a", "/a/b"].map(|path| mirror.level(path)), [Some(0), Some(1), Some(2)]);
    let mirror = Mirror::new("/a", 1, BOUNDS);
    assert_eq!(["/a", "/a/b", "/ab"].map(|path| mirror.level(path)), [Some(0), Some(1), None]);
}

#[test]
fn what_is_too_large_is_noticed() {
    let found =
        |names: &[&str]| Some((vec![0; 50], Stat::default(), names.iter().map(|name| (*name).into()).collect()));
    let mut mirror = Mirror::new("/", 1, Bounds { entries: 2, bytes: 1_000 });
    mirror.load();
    mirror.next_read();
    mirror.found("/", found(&["a", "b", "c"]));
    assert!(!mirror.is_too_large());
    mirror.next_read();
    mirror.found("/a", found(&[]));
    assert!(!mirror.is_too_large());
    mirror.next_read();
    mirror.found("/b", found(&[]));
    assert!(mirror.is_too_large());
    let mut mirror = Mirror::new("/", 1, Bounds { entries: 10, bytes: 300 });
    mirror.load();
    mirror.next_read();
    mirror.found("/", found(&["a"]));
    mirror.next_read();
    mirror.found("/a", found(&[]));
    assert!(mirror.is_too_large());
}
