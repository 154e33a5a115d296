//! Usage kept in stats nodes, and the texts and places that kill Apache's server (client-protocol.md sections 17 and 20).

#![allow(clippy::unwrap_used, reason = "a test")]

use ostler_model::{CreateOp, CreateTxn, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{Loader, Tree, TreeConfig, TxnResult, limits_path, stats_path};

const CONFIG: TreeConfig = TreeConfig { seed: 11, digest: true };

fn apply(tree: &mut Tree, txn: &Txn) {
    let zxid = Zxid(tree.zxid().0 + 1);
    let header = TxnHeader { session: SessionId(5), cxid: 0, zxid, time_ms: 7 };
    let result = tree.apply(&header, txn, &mut Vec::new());
    assert!(!matches!(result, TxnResult::Error(_)), "{txn:?}: {result:?}");
}

fn create(tree: &mut Tree, path: &str, data: &str) {
    let (path, acl, data) = (path.to_owned(), open_acl(), Some(data.into()));
    let (op, ephemeral, parent_cversion, ttl) = (CreateOp::Create, false, -1, 0);
    apply(tree, &Txn::Create(CreateTxn { op, path, data, acl, ephemeral, parent_cversion, ttl }));
}

fn set(tree: &mut Tree, path: &str, data: Option<&str>) {
    apply(tree, &Txn::SetData { path: path.to_owned(), data: data.map(Into::into), version: 1 });
}

fn delete(tree: &mut Tree, path: &str) {
    apply(tree, &Txn::Delete { path: path.to_owned() });
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.node(path).unwrap().data().unwrap().to_vec()).unwrap()
}

/// /a with two children and a quota on it.
fn tree() -> (Tree, String) {
    let mut tree = Tree::new(CONFIG);
    for path in ["/a", "/a/b", "/a/c", "/zookeeper/quota/a"] {
        create(&mut tree, path, "four");
    }
    create(&mut tree, &limits_path("/a"), "count=100,bytes=-1");
    create(&mut tree, &stats_path("/a"), "count=0,bytes=0");
    (tree, stats_path("/a"))
}

#[test]
fn usage_follows_creates_deletes_and_lengths() {
    let (mut tree, stats) = tree();
    assert_eq!(text(&tree, &stats), "count=3,bytes=12", "a new stats node tells the usage, not what the client wrote");
    let before = tree.node(&stats).unwrap().stored();
    create(&mut tree, "/a/b/x", "seven77");
    assert_eq!(text(&tree, &stats), "count=4,bytes=19");
    set(&mut tree, "/a/c", None);
    assert_eq!(text(&tree, &stats), "count=4,bytes=15");
    delete(&mut tree, "/a/b/x");
    assert_eq!(text(&tree, &stats), "count=3,bytes=8");
    create(&mut tree, "/ab", "not under it");
    assert_eq!(text(&tree, &stats), "count=3,bytes=8");
    assert_eq!(tree.node(&stats).unwrap().stored(), before, "only the data changes");
}

#[test]
fn a_base_written_by_a_client_is_kept_with_what_else_it_says() {
    let (mut tree, stats) = tree();
    set(&mut tree, &stats, Some("count=50,bytes=50=;byteHardLimit=9"));
    create(&mut tree, "/a/d", "xy");
    assert_eq!(text(&tree, &stats), "count=51,bytes=52=;byteHardLimit=9");
}

#[test]
fn a_stats_node_that_makes_no_sense_is_counted_anew() {
    for nonsense in [Some("junk"), Some("count=,bytes=x"), None] {
        let (mut tree, stats) = tree();
        set(&mut tree, &stats, nonsense);
        create(&mut tree, "/a/d", "xy");
        assert_eq!(text(&tree, &stats), "count=4,bytes=14");
        set(&mut tree, &stats, nonsense);
        delete(&mut tree, "/a/d");
        assert_eq!(text(&tree, &stats), "count=3,bytes=12");
    }
}

#[test]
fn only_the_deepest_quota_counts() {
    let (mut tree, stats) = tree();
    create(&mut tree, "/zookeeper/quota/a/b", "");
    create(&mut tree, &limits_path("/a/b"), "");
    create(&mut tree, "/a/b/x", "y");
    assert_eq!(text(&tree, &stats), "count=3,bytes=12");
    delete(&mut tree, &limits_path("/a/b"));
    create(&mut tree, "/a/b/z", "y");
    assert_eq!(text(&tree, &stats), "count=4,bytes=13");
    delete(&mut tree, &limits_path("/a"));
    create(&mut tree, "/a/b/zz", "y");
    assert_eq!(text(&tree, &stats), "count=4,bytes=13", "without limits the stats freeze");
}

#[test]
fn there_is_no_quota_on_the_root_or_elsewhere() {
    let mut tree = Tree::new(CONFIG);
    for parent in ["/zookeeper/quota", "/zookeeper", ""] {
        for name in ["zookeeper_limits", "zookeeper_stats"] {
            create(&mut tree, &format!("{parent}/{name}"), "plain");
        }
    }
    create(&mut tree, "/a", "x");
    assert_eq!(tree.quota_root("/a"), None);
    for parent in ["/zookeeper/quota", "/zookeeper", ""] {
        assert_eq!(text(&tree, &format!("{parent}/zookeeper_stats")), "plain");
        delete(&mut tree, &format!("{parent}/zookeeper_limits"));
    }
}

#[test]
fn usage_is_counted_anew_after_loading() {
    let (mut tree, stats) = tree();
    set(&mut tree, &stats, Some("count=50,bytes=50"));
    let mut walk = tree.walk();
    let mut loader = Loader::new(CONFIG, walk.zxid);
    while !walk.step(&tree, 100, |image| loader.node(&image).unwrap()) {}
    let mut loaded = loader.finish();
    assert_eq!(text(&loaded, &stats), "count=3,bytes=12");
    create(&mut loaded, "/a/d", "xy");
    assert_eq!(text(&loaded, &stats), "count=4,bytes=14");
    assert_eq!(loaded.quota_root("/a/b/c"), Some("/a"));
    assert_eq!(loaded.quota_root("/ab"), None);
}
