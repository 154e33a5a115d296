//! Containers and TTL nodes that are due.
#![allow(clippy::unwrap_used, reason = "a test")]

use ostler_model::{CreateOp, CreateTxn, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{SweepCursor, Tree, TreeConfig};

fn apply(tree: &mut Tree, time_ms: i64, txn: &Txn) {
    let zxid = Zxid(tree.zxid().0 + 1);
    tree.apply(&TxnHeader { session: SessionId(1), cxid: 0, zxid, time_ms }, txn, &mut Vec::new());
}

fn create(tree: &mut Tree, time_ms: i64, op: CreateOp, path: &str, ttl: i64) {
    let (path, acl) = (path.to_owned(), open_acl());
    apply(
        tree,
        time_ms,
        &Txn::Create(CreateTxn { op, path, data: None, acl, ephemeral: false, parent_cversion: -1, ttl }),
    );
}

fn due(tree: &Tree, now_ms: i64, max_never_used_ms: i64) -> Vec<String> {
    let (mut cursor, mut due) = (SweepCursor::default(), Vec::new());
    while !cursor.is_done() {
        due.extend(tree.sweep(&mut cursor, now_ms, max_never_used_ms));
    }
    due.sort();
    due
}

#[test]
fn containers_are_due_when_they_lost_their_last_child_or_were_never_used() {
    let mut tree = Tree::new(TreeConfig { seed: 1, digest: true });
    create(&mut tree, 100, CreateOp::Container, "/used", 0);
    create(&mut tree, 100, CreateOp::Container, "/never", 0);
    create(&mut tree, 100, CreateOp::Container, "/full", 0);
    create(&mut tree, 100, CreateOp::Create, "/used/x", 0);
    create(&mut tree, 100, CreateOp::Create, "/full/x", 0);
    create(&mut tree, 100, CreateOp::Create, "/plain", 0);
    assert!(due(&tree, 1_000_000, 0).is_empty());
    apply(&mut tree, 100, &Txn::Delete { path: "/used/x".into() });
    assert_eq!(due(&tree, 100, 0), ["/used"]);
    assert_eq!(due(&tree, 200, 100), ["/used"]);
    assert_eq!(due(&tree, 201, 100), ["/never", "/used"]);
    apply(&mut tree, 100, &Txn::DeleteContainer { path: "/used".into() });
    assert!(due(&tree, 1_000_000, 0).is_empty());
}

#[test]
fn ttl_nodes_are_due_when_idle_and_childless() {
    let mut tree = Tree::new(TreeConfig { seed: 1, digest: true });
    create(&mut tree, 100, CreateOp::Ttl, "/t", 50);
    assert!(due(&tree, 150, 0).is_empty());
    assert_eq!(due(&tree, 151, 0), ["/t"]);
    apply(&mut tree, 140, &Txn::SetData { path: "/t".into(), data: None, version: 1 });
    assert!(due(&tree, 190, 0).is_empty());
    create(&mut tree, 190, CreateOp::Create, "/t/x", 0);
    assert!(due(&tree, 1_000, 0).is_empty());
    apply(&mut tree, 500, &Txn::Delete { path: "/t/x".into() });
    assert_eq!(due(&tree, 501, 0), ["/t"]);
}

#[test]
fn a_round_looks_at_a_bounded_number_at_a_time_and_at_all_of_them() {
    let mut tree = Tree::new(TreeConfig { seed: 1, digest: false });
    for i in 0..3_000 {
        let ttl = if i % 3 == 0 { 1_000 } else { 10 };
        create(&mut tree, 0, CreateOp::Ttl, &format!("/{i}"), ttl);
    }
    let mut cursor = SweepCursor::default();
    let mut found = 0;
    let mut calls = 0;
    while !cursor.is_done() {
        let due = tree.sweep(&mut cursor, 100, 0);
        assert!(due.len() <= 1_024);
        found += due.len();
        calls += 1;
        assert!(calls < 10, "the round does not end");
        // Deleting what was found, as the sweeper does, must not upset the round.
        for path in due {
            apply(&mut tree, 100, &Txn::DeleteContainer { path });
        }
    }
    assert_eq!((found, calls, tree.node_count()), (2_000, 3, 1_004));
}
