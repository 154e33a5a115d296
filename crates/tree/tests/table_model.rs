//! The table against a naive model: a sorted map of paths, everything counted anew each time.
//!
//! Random transactions, most of which fit the tree and many of which do not (as in replay over a fuzzy snapshot):
//! both sides must answer the same, report the same changes and hold the same nodes, counters, usage and digest.
#![allow(clippy::unwrap_used, reason = "a test")]

mod naive;

use naive::{Naive, NaiveNode};
use ostler_model::{Acl, AclList, CreateOp, CreateTxn, ErrorCode, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{ChildCursor, Tree, TreeConfig};
use proptest::prelude::*;
use std::sync::Arc;

fn path() -> impl Strategy<Value = String> {
    let name =
        || prop_oneof![4 => Just("a"), 3 => Just("b"), 2 => Just("\u{fc}"), 1 => Just("a-rather-long-name-for-a-node")];
    let special = prop_oneof![
        Just("/"),
        Just("/zookeeper/config"),
        Just("/zookeeper/x"),
        Just("/zookeeper/zookeeper_limits"),
        Just("/zookeeper/quota/zookeeper_limits"),
        Just("/zookeeper/quota/zookeeper_stats"),
        Just("/zookeeper/quota/a"),
        Just("/zookeeper/quota/a/b"),
        Just("/zookeeper/quota/a/zookeeper_limits"),
        Just("/zookeeper/quota/a/zookeeper_stats"),
        Just("/zookeeper/quota/a/b/zookeeper_limits"),
        Just("/zookeeper/quota/a/b/zookeeper_stats"),
        Just("/missing/x"),
        Just("/a/"),
        Just("//a"),
        Just("a"),
    ];
    prop_oneof![
        4 => proptest::collection::vec(name(), 1..4).prop_map(|names| format!("/{}", names.join("/"))),
        3 => special.prop_map(str::to_owned),
    ]
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(b"count=5,bytes=7".to_vec())),
        1 => Just(Some(b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3".to_vec())),
        1 => Just(Some(b"junk".to_vec())),
        4 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(Some),
        1 => (4_050..4_110_usize).prop_map(|n| Some(vec![n as u8; n])),
    ]
}

fn acl() -> impl Strategy<Value = AclList> {
    prop_oneof![
        2 => Just(open_acl()),
        1 => Just(Arc::from([])),
        2 => (0..3_i32).prop_map(|perms| Arc::from([Acl { perms, scheme: "digest".into(), id: "u:p".into() }])),
    ]
}

fn create() -> impl Strategy<Value = Txn> {
    let op = prop_oneof![
        4 => Just(CreateOp::Create),
        2 => Just(CreateOp::Create2),
        1 => Just(CreateOp::Container),
        1 => Just(CreateOp::Ttl)
    ];
    let cversion = prop_oneof![4 => 0..20_i32, 2 => Just(-1), 1 => Just(i32::MAX)];
    (op, path(), data(), acl(), any::<bool>(), cversion, 1..1_000_i64).prop_map(
        |(op, path, data, acl, ephemeral, parent_cversion, ttl)| {
            Txn::Create(CreateTxn { op, path, data, acl, ephemeral, parent_cversion, ttl })
        },
    )
}

fn plain() -> impl Strategy<Value = Txn> {
    prop_oneof![
        8 => create(),
        3 => path().prop_map(|path| Txn::Delete { path }),
        1 => path().prop_map(|path| Txn::DeleteContainer { path }),
        3 => (path(), data(), any::<i32>()).prop_map(|(path, data, version)| Txn::SetData { path, data, version }),
        1 => (path(), data()).prop_map(|(path, data)| Txn::Reconfig { path, data, version: -1 }),
        2 => (path(), acl(), any::<i32>()).prop_map(|(path, acl, version)| Txn::SetAcl { path, acl, version }),
        1 => path().prop_map(|path| Txn::Check { path, version: 0 }),
    ]
}

fn txn() -> impl Strategy<Value = Txn> {
    prop_oneof![
        16 => plain(),
        1 => (1..100_i32).prop_map(|timeout_ms| Txn::CreateSession { timeout_ms }),
        1 => proptest::option::of(proptest::collection::vec(path(), 0..3)).prop_map(|paths| Txn::CloseSession { paths }),
        1 => Just(Txn::Error(ErrorCode::NoNode)),
        2 => proptest::collection::vec(plain(), 0..4).prop_map(Txn::Multi),
        1 => proptest::collection::vec(plain(), 0..2).prop_map(|mut parts| {
            parts.extend([Txn::Error(ErrorCode::BadVersion), Txn::UnknownError(-2)]);
            Txn::Multi(parts)
        }),
    ]
}

/// Transactions with their headers; now and then the zxid steps back, as it may in replay.
fn history(len: usize) -> impl Strategy<Value = Vec<(TxnHeader, Txn)>> {
    let time = prop_oneof![8 => 1_700_000_000_000..1_700_000_000_100_i64, 1 => any::<i64>()];
    let step = (1..4_i64, time, prop_oneof![8 => 1..5_i64, 1 => -3..1_i64], txn());
    proptest::collection::vec(step, 1..len).prop_map(|steps| {
        let mut zxid = 0;
        steps
            .into_iter()
            .map(|(session, time_ms, advance, txn)| {
                zxid = (zxid + advance).max(1);
                (TxnHeader { session: SessionId(session), cxid: 1, zxid: Zxid(zxid), time_ms }, txn)
            })
            .collect()
    })
}

fn same(tree: &Tree, model: &Naive) -> Result<(), TestCaseError> {
    prop_assert_eq!(tree.digest(), model.digest());
    prop_assert_eq!(tree.node_count(), model.nodes.len());
    prop_assert_eq!(tree.approximate_data_size(), model.approximate_data_size());
    prop_assert_eq!(
        tree.sessions().collect::<Vec<_>>(),
        model.sessions.iter().map(|(s, t)| (*s, *t)).collect::<Vec<_>>()
    );
    let mut ephemerals = 0;
    for session in (1..4).map(SessionId) {
        let mut paths = tree.ephemerals(session);
        paths.sort();
        ephemerals += paths.len();
        prop_assert_eq!(tree.ephemeral_owners().contains(&session), !paths.is_empty());
        prop_assert_eq!(paths, model.ephemerals(session));
    }
    prop_assert_eq!(tree.ephemerals_count(), ephemerals);
    for (path, node) in &model.nodes {
        same_node(tree, model, path, node)?;
    }
    Ok(())
}

fn same_node(tree: &Tree, model: &Naive, path: &str, node: &NaiveNode) -> Result<(), TestCaseError> {
    let found = tree.node(path);
    prop_assert!(found.is_some(), "{} is missing", path);
    let found = found.unwrap();
    prop_assert_eq!(found.path(), path);
    prop_assert_eq!(found.stored(), node.stat, "stat of {}", path);
    prop_assert_eq!(found.data(), node.data.as_deref(), "data of {}", path);
    prop_assert_eq!(found.acl(), &node.acl, "ACL of {}", path);
    let (below, bytes) = model.below(path);
    prop_assert_eq!((found.descendants(), found.bytes_below()), (below, bytes), "below {}", path);
    let mut names = Vec::new();
    let mut cursor = ChildCursor::default();
    while !found.list(&mut cursor, |name| {
        names.push(name.to_owned());
        names.len() % 2 == 0
    }) {}
    names.sort();
    prop_assert_eq!(names.len(), found.num_children());
    prop_assert_eq!(names, model.children(path), "children of {}", path);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(history in history(60), seed in any::<u64>()) {
        let mut tree = Tree::new(TreeConfig { seed, digest: true });
        let mut model = Naive::new();
        same(&tree, &model)?;
        for (header, txn) in &history {
            let mut changes = Vec::new();
            let result = tree.apply(header, txn, &mut changes);
            let (expected, expected_changes) = model.apply(header, txn);
            prop_assert_eq!(result, expected, "{:?}", txn);
            prop_assert_eq!(changes, expected_changes, "{:?}", txn);
            same(&tree, &model)?;
        }
        prop_assert_eq!(tree.zxid().0, history.iter().map(|(header, _)| header.zxid.0).max().unwrap());
    }

    #[test]
    fn without_digests_everything_else_is_the_same(history in history(40)) {
        let mut with = Tree::new(TreeConfig { seed: 1, digest: true });
        let mut without = Tree::new(TreeConfig { seed: 2, digest: false });
        for (header, txn) in &history {
            let (mut changes, mut other_changes) = (Vec::new(), Vec::new());
            prop_assert_eq!(with.apply(header, txn, &mut changes), without.apply(header, txn, &mut other_changes));
            prop_assert_eq!(changes, other_changes);
        }
        prop_assert_eq!(without.digest(), 0);
        prop_assert_eq!(with.node_count(), without.node_count());
    }
}
