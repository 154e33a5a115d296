//! Fuzzy snapshots: a walk interleaved with transactions, loaded and replayed, gives the live tree.
#![allow(clippy::unwrap_used, reason = "a test")]

use ostler_model::{Acl, AclList, CreateOp, CreateTxn, SessionId, StoredStat, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{ChildCursor, LoadError, Loader, NodeImage, Tree, TreeConfig, TxnResult};
use proptest::prelude::*;
use std::sync::Arc;

const CONFIG: TreeConfig = TreeConfig { seed: 11, digest: true };

/// Few names at two levels: directories of some size in which much comes and goes.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => "/[a-d]",
        3 => "/[a-d]/[a-h]",
        1 => "/[a-d]/[a-h]/[a-c]",
        1 => Just("/zookeeper/quota/a/zookeeper_limits".to_owned()),
        1 => Just("/zookeeper/quota/a/zookeeper_stats".to_owned()),
        1 => Just("/zookeeper/quota/a".to_owned()),
    ]
}

fn acl() -> impl Strategy<Value = AclList> {
    let own = |id: String| -> AclList { Arc::from([Acl { perms: 31, scheme: "digest".into(), id }]) };
    prop_oneof![1 => Just(open_acl()), 1 => "[a-e]".prop_map(own)]
}

fn txn() -> impl Strategy<Value = Txn> {
    let data = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let create = (path(), data(), acl(), any::<bool>()).prop_map(|(path, data, acl, ephemeral)| {
        let (op, parent_cversion, ttl) = (CreateOp::Create, 0, 0);
        Txn::Create(CreateTxn { op, path, data, acl, ephemeral, parent_cversion, ttl })
    });
    let plain = prop_oneof![
        6 => create,
        3 => path().prop_map(|path| Txn::Delete { path }),
        2 => (path(), data(), any::<i32>()).prop_map(|(path, data, version)| Txn::SetData { path, data, version }),
        1 => (path(), acl(), any::<i32>()).prop_map(|(path, acl, version)| Txn::SetAcl { path, acl, version }),
    ];
    prop_oneof![
        12 => plain.clone(),
        1 => (1..100_i32).prop_map(|timeout_ms| Txn::CreateSession { timeout_ms }),
        1 => Just(Txn::CloseSession { paths: None }),
        1 => proptest::collection::vec(plain, 0..4).prop_map(Txn::Multi),
    ]
}

fn histories() -> impl Strategy<Value = Vec<(TxnHeader, Txn)>> {
    proptest::collection::vec((1..4_i64, txn()), 1..150).prop_map(|txns| {
        let header = |i: usize, session| TxnHeader {
            session: SessionId(session),
            cxid: 0,
            zxid: Zxid(i as i64 + 1),
            time_ms: 1_000 + i as i64,
        };
        fitting(txns.into_iter().enumerate().map(|(i, (session, txn))| (header(i, session), txn)))
    })
}

/// The transactions as a server logs them: what does not fit the tree is left out (in a multi too), the parent's
/// counter counts, and the end of a session lists its ephemerals.
fn fitting(history: impl Iterator<Item = (TxnHeader, Txn)>) -> Vec<(TxnHeader, Txn)> {
    let mut tree = Tree::new(CONFIG);
    let fitted = history.filter_map(|(header, txn)| match txn {
        Txn::Multi(parts) => {
            let parts = parts.into_iter().filter_map(|part| logged(&mut tree, &header, part)).collect();
            Some((header, Txn::Multi(parts)))
        }
        txn => Some((header, logged(&mut tree, &header, txn)?)),
    });
    fitted.collect()
}

fn logged(tree: &mut Tree, header: &TxnHeader, mut txn: Txn) -> Option<Txn> {
    match &mut txn {
        Txn::Create(create) => {
            let parent = tree.node(create.path.rsplit_once('/')?.0)?;
            if parent.owner().is_ephemeral() || tree.node(&create.path).is_some() {
                return None;
            }
            create.parent_cversion = parent.stored().cversion + 1;
        }
        Txn::Delete { path } if tree.node(path)?.num_children() > 0 => return None,
        Txn::CloseSession { paths } => *paths = Some(tree.ephemerals(header.session)),
        _ => {}
    }
    let result = tree.apply(header, &txn, &mut Vec::new());
    (!matches!(result, TxnResult::Error(_))).then_some(txn)
}

#[derive(Clone, PartialEq, Debug)]
struct Seen {
    path: String,
    data: Option<Vec<u8>>,
    acl: AclList,
    stat: StoredStat,
    children: usize,
    descendants: u64,
}

/// All of a tree, sorted. The data of stats nodes is left out: after a restart usage is counted anew.
fn content(tree: &Tree) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let node = tree.node(&path).unwrap();
        node.list(&mut ChildCursor::default(), |name| {
            open.push(format!("{path}/{name}"));
            true
        });
        seen.push(Seen {
            data: node.data().filter(|_| !path.ends_with("/zookeeper_stats")).map(<[u8]>::to_vec),
            acl: node.acl().clone(),
            stat: node.stored(),
            children: node.num_children(),
            descendants: node.descendants(),
            path,
        });
    }
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    seen
}

/// What a snapshot file carries.
struct Snapshot {
    zxid: Zxid,
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, AclList)>,
    nodes: Vec<(String, Option<Vec<u8>>, i64, StoredStat)>,
}

impl Snapshot {
    /// Loads it in batches of so many nodes, after each of them guessing that there will be so many in all.
    fn load(&self, batch: usize, guess: u64) -> Result<Tree, LoadError> {
        let mut loader = Loader::new(CONFIG, self.zxid);
        self.sessions.iter().for_each(|(session, timeout_ms)| loader.session(*session, *timeout_ms));
        self.acls.iter().for_each(|(id, list)| loader.acl(*id, list));
        for nodes in self.nodes.chunks(batch) {
            let image = |node| {
                let (path, data, acl_id, stat): &(String, Option<Vec<u8>>, i64, StoredStat) = node;
                NodeImage { path, data: data.as_deref(), acl_id: *acl_id, stat: *stat }
            };
            loader.nodes(&nodes.iter().map(image).collect::<Vec<_>>())?;
            loader.expect(guess);
        }
        Ok(loader.finish())
    }

    /// Other orders with parents before children: level by level, or sorted. Of copies, the last stays the last.
    fn sort(&mut self, order: u8) {
        match order {
            0 => {}
            1 => self.nodes.sort_by_key(|node| node.0.matches('/').count()),
            _ => self.nodes.sort_by(|a, b| a.0.cmp(&b.0)),
        }
    }
}

/// Applies the first `before` transactions, then walks in steps with the others in between, as many at a time as
/// `pace` says.
fn walk_while_applying(tree: &mut Tree, history: &[(TxnHeader, Txn)], before: usize, pace: &[(u8, u8)]) -> Snapshot {
    let mut txns = history.iter();
    let mut apply = |tree: &mut Tree, count: usize| {
        for (header, txn) in txns.by_ref().take(count) {
            tree.apply(header, txn, &mut Vec::new());
        }
    };
    apply(tree, before);
    let mut walk = tree.begin_walk();
    let mut nodes = Vec::new();
    for (steps, count) in pace.iter().cycle() {
        if !walk.gather(tree, usize::from(*steps)) {
            apply(tree, usize::from(*count));
            continue;
        }
        let done = walk.step(tree, usize::from(*steps), |image| {
            nodes.push((image.path.to_owned(), image.data.map(<[u8]>::to_vec), image.acl_id, image.stat));
        });
        if done {
            break;
        }
        apply(tree, usize::from(*count));
    }
    apply(tree, usize::MAX);
    Snapshot { zxid: walk.zxid, sessions: walk.sessions.clone(), acls: walk.acls.clone(), nodes }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn a_fuzzy_snapshot_and_the_log_behind_it_give_the_live_tree(
        history in histories(),
        before in 0..100_usize,
        pace in proptest::collection::vec((1..6_u8, 0..4_u8), 1..10),
        (batch, guess, order) in (1..70_usize, 0..2_000_000_u64, 0..3_u8),
    ) {
        let mut live = Tree::new(CONFIG);
        let mut snapshot = walk_while_applying(&mut live, &history, before, &pace);
        prop_assert!(snapshot.nodes.iter().all(|(_, _, _, stat)| stat.czxid <= snapshot.zxid));
        // An Apache server that reads a node with an ACL that is not listed ends.
        let listed = |acl_id: i64| acl_id == -1 || snapshot.acls.iter().any(|(id, _)| *id == acl_id);
        prop_assert!(snapshot.nodes.iter().all(|(_, _, acl_id, _)| listed(*acl_id)));
        snapshot.sort(order);
        let mut loaded = snapshot.load(batch, guess).unwrap();
        for (header, txn) in history.iter().filter(|(header, _)| header.zxid > snapshot.zxid) {
            loaded.apply(header, txn, &mut Vec::new());
        }
        loaded.finish_replay().unwrap();
        prop_assert_eq!(loaded.zxid(), live.zxid());
        prop_assert_eq!(content(&loaded), content(&live));
        prop_assert_eq!(loaded.digest(), live.digest());
        prop_assert_eq!(loaded.sessions().collect::<Vec<_>>(), live.sessions().collect::<Vec<_>>());
        for session in (1..4).map(SessionId) {
            let sorted = |mut paths: Vec<String>| { paths.sort(); paths };
            prop_assert_eq!(sorted(loaded.ephemerals(session)), sorted(live.ephemerals(session)));
        }
        prop_assert_eq!(loaded.orphan_ephemerals().len(), live.orphan_ephemerals().len());
    }
}

fn create(tree: &mut Tree, zxid: i64, path: &str, data: &str, ephemeral: bool) {
    let header = TxnHeader { session: SessionId(5), cxid: 0, zxid: Zxid(zxid), time_ms: 7 };
    let parent_cversion = tree.node(path.rsplit_once('/').unwrap().0).unwrap().stored().cversion + 1;
    let (op, acl, data) = (CreateOp::Create, open_acl(), Some(data.into()));
    let txn = Txn::Create(CreateTxn { op, path: path.into(), data, acl, ephemeral, parent_cversion, ttl: 0 });
    let result = tree.apply(&header, &txn, &mut Vec::new());
    assert!(matches!(result, TxnResult::Created { .. }), "{result:?}");
}

fn image(path: &str, acl_id: i64) -> NodeImage<'_> {
    NodeImage { path, data: Some(b""), acl_id, stat: StoredStat::default() }
}

#[test]
fn a_walk_at_rest_visits_every_node_once_parents_first() {
    let mut tree = Tree::new(CONFIG);
    for i in 0..20 {
        create(&mut tree, 2 * i + 1, &format!("/d{i}"), "x", false);
        create(&mut tree, 2 * i + 2, &format!("/d{i}/leaf"), "y", false);
    }
    let mut walk = tree.walk();
    let mut paths: Vec<String> = Vec::new();
    while !walk.step(&tree, 3, |image| {
        let parent = image.path.rsplit_once('/').map(|(parent, _)| parent);
        assert!(parent.is_none_or(|parent| paths.iter().any(|path| path == parent)), "{}", image.path);
        paths.push(image.path.to_owned());
    }) {}
    assert_eq!(paths.len(), tree.node_count());
    assert_eq!(paths[0], "");
}

#[test]
fn nodes_without_parent_and_bad_paths_are_refused() {
    let mut loader = Loader::new(CONFIG, Zxid(1));
    loader.node(&image("", -1)).unwrap();
    let error = loader.node(&image("/a/b", -1)).unwrap_err();
    assert_eq!(error, LoadError::NoParent { path: "/a/b".into() });
    assert!(error.to_string().contains("\n  hint: "));
    assert!(matches!(loader.node(&image("/a/", -1)), Err(LoadError::BadPath { .. })));
    assert!(matches!(loader.node(&image("a", -1)), Err(LoadError::BadPath { .. })));
}

#[test]
fn of_two_images_of_a_path_the_last_wins() {
    let mut loader = Loader::new(CONFIG, Zxid(9));
    loader.node(&image("", -1)).unwrap();
    for owner in [SessionId(3), SessionId(4)] {
        let stat = StoredStat { ephemeral_owner: owner.0, version: owner.0 as i32, ..StoredStat::default() };
        loader.node(&NodeImage { path: "/e", data: Some(b"x"), acl_id: -1, stat }).unwrap();
    }
    let tree = loader.finish();
    assert_eq!(tree.node("/e").unwrap().stored().version, 4);
    assert_eq!(tree.ephemeral_owners(), [SessionId(4)]);
    assert_eq!(tree.node_count(), 5);
}

#[test]
fn missing_built_in_nodes_are_added() {
    let mut loader = Loader::new(CONFIG, Zxid(1));
    loader.node(&image("", -1)).unwrap();
    let tree = loader.finish();
    assert_eq!(tree.digest(), 1_371_985_504);
    assert_eq!(content(&tree), content(&Tree::new(CONFIG)));
}

#[test]
fn an_acl_that_the_snapshot_does_not_explain_comes_from_the_replay_or_is_refused() {
    let own: AclList = Arc::from([Acl { perms: 1, scheme: "digest".into(), id: "u:p".into() }]);
    let loaded = || {
        let mut loader = Loader::new(CONFIG, Zxid(1));
        loader.acl(3, &own);
        ["", "/a", "/b", "/c"].iter().zip([-1, 9, 9, 3]).for_each(|(path, acl_id)| {
            loader.node(&image(path, acl_id)).unwrap();
        });
        loader.finish()
    };
    let header = |zxid| TxnHeader { zxid: Zxid(zxid), ..TxnHeader::default() };
    let mut tree = loaded();
    assert_eq!(tree.node("/c").unwrap().acl(), &own);
    assert_eq!(tree.node("/a").unwrap().acl()[0].perms, 0, "nobody may use a node with an unknown ACL");
    tree.apply(&header(2), &Txn::SetAcl { path: "/a".into(), acl: open_acl(), version: 1 }, &mut Vec::new());
    let error = tree.finish_replay().unwrap_err();
    assert_eq!(error, LoadError::UnknownAcl { count: 1, path: "/b".into() });

    let again = Txn::Create(CreateTxn {
        op: CreateOp::Create,
        path: "/b".into(),
        data: None,
        acl: own.clone(),
        ephemeral: false,
        parent_cversion: 1,
        ttl: 0,
    });
    tree.apply(&header(3), &again, &mut Vec::new());
    tree.finish_replay().unwrap();
    assert_eq!(tree.node("/b").unwrap().acl(), &own);

    let mut tree = loaded();
    for path in ["/a", "/b"] {
        tree.apply(&header(2), &Txn::Delete { path: path.into() }, &mut Vec::new());
    }
    tree.finish_replay().unwrap();
}

#[test]
fn orphan_ephemerals_go_and_move_their_parents() {
    let mut tree = Tree::new(CONFIG);
    let open = TxnHeader { session: SessionId(6), zxid: Zxid(1), ..TxnHeader::default() };
    tree.apply(&open, &Txn::CreateSession { timeout_ms: 10 }, &mut Vec::new());
    create(&mut tree, 2, "/p", "", false);
    create(&mut tree, 3, "/p/e", "", true);
    create(&mut tree, 4, "/q", "", false);
    assert_eq!(tree.delete_orphan_ephemerals(), ["/p/e"]);
    assert_eq!(tree.node("/p").unwrap().stored().pzxid, Zxid(4));
    assert_eq!(tree.ephemerals_count(), 0);
    assert_eq!(tree.session_timeout_ms(SessionId(6)), Some(10));
}
