//! Section 12: counters of fresh and of worn trees.

use super::*;

#[test]
fn a_fresh_server() {
    let server =
        Server { tree: Tree::new(TreeConfig { seed: 1, digest: true }), overlay: Overlay::new(2), ..Server::new() };
    assert_eq!(server.stat("/").cversion, -1);
    assert_eq!(server.stat("/zookeeper").cversion, -2);
    assert_eq!(server.stat("/zookeeper/config").aversion, -1);
    assert_eq!(server.acl("/zookeeper/config")[0].perms, perms::READ);
    for path in ["/", "/zookeeper", "/zookeeper/quota"] {
        assert_eq!(server.acl(path)[0].perms, perms::ALL, "{path}");
        assert_eq!(server.tree.node(path).unwrap().data(), Some(&b""[..]), "{path}");
    }
}

#[test]
fn below_zookeeper_everybody_may_create() {
    let mut server = Server::new();
    server.make("/zookeeper/x");
    assert_eq!(server.delete("/zookeeper/x"), 0);
    assert_eq!(server.create(node("/zookeeper/config/x")), Err(-102), "but its list says world:r");
}

#[test]
fn the_creation_counter_stops_at_its_end_and_the_pzxid_with_it() {
    let mut server = Server::new();
    server.zxid += 1;
    let create = ostler_model::CreateTxn {
        op: CreateOp::Create,
        path: "/wire/last".into(),
        data: None,
        acl: ostler_model::open_acl(),
        ephemeral: false,
        parent_cversion: i32::MAX - 1,
        ttl: -1,
    };
    let header = TxnHeader { zxid: Zxid(server.zxid), ..TxnHeader::default() };
    server.tree.apply(&header, &Txn::Create(create), &mut Vec::new());
    assert_eq!(server.create(flagged("/wire/s", 2)), Ok("/wire/s2147483646".into()));
    let full = server.stat("/wire");
    assert_eq!(server.create(flagged("/wire/s", 2)), Ok("/wire/s2147483647".into()));
    assert_eq!(server.create(flagged("/wire/s", 2)), Err(-110));
    server.make("/wire/plain");
    let after = server.stat("/wire");
    assert_eq!(after.pzxid, full.pzxid);
    assert_eq!(after.cversion, full.cversion.wrapping_sub(2), "two more children, no more creations");
}

#[test]
fn every_refused_write_takes_a_zxid_and_changes_nothing() {
    let mut server = Server::new();
    let (before, digest) = (server.stat("/wire"), server.tree.digest());
    for request in [delete("/wire", 5), set_data("/none", None, -1), Request::Create(node("/none/a"))] {
        let (header, prepared) = server.prepare(&request);
        assert!(prepared.txn.is_error());
        assert_eq!(prepared.digest, None, "an error carries no digest");
        server.apply(&header, &prepared);
        assert_eq!(server.tree.zxid(), header.zxid);
    }
    assert_eq!(server.stat("/wire"), before);
    assert_eq!(server.tree.digest(), digest);
    assert!(server.changes.is_empty());
}

#[test]
fn what_is_no_write_becomes_no_transaction_but_an_error() {
    let mut server = Server::new();
    assert_eq!(server.code(&Request::Ping), -6);
    assert_eq!(server.code(&Request::Sync { path: None }), -6);
    assert_eq!(Prepared::malformed().txn, Txn::Error(ErrorCode::MarshallingError));
}

#[test]
fn without_digests_nothing_carries_one() {
    let mut server =
        Server { tree: Tree::new(TreeConfig { seed: 1, digest: false }), overlay: Overlay::new(2), ..Server::new() };
    server.zxid = 0;
    let (_, prepared) = server.prepare(&Request::CreateSession { timeout_ms: 4_000 });
    assert_eq!(prepared.digest, None);
    let (_, prepared) = server.prepare(&Request::Create(node("/a")));
    assert!(!prepared.txn.is_error());
    assert_eq!(prepared.digest, None);
}
