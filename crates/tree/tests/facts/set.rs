//! Sections 10.3 (setData) and 10.4 (setACL).

use super::*;

const BAD_PATHS: [&str; 9] = ["", "wire", "/wire/", "//", "/wire//a", "/.", "/wire/..", "/wire/\0", "/\u{e000}"];

#[test]
fn set_data_moves_version_time_and_length_only() {
    let mut server = Server::new();
    let before = server.stat("/wire");
    server.time_ms = 9_000;
    let result = server.ask(&set_data("/wire", Some(b"x"), 0));
    let zxid = Zxid(server.zxid);
    let expected = Stat { mzxid: zxid, mtime: 9_000, version: 1, data_length: 1, ..before };
    assert_eq!(result, TxnResult::DataSet { stat: expected });
    assert_eq!(server.code(&set_data("/wire", None, 1)), 0);
    assert_eq!(server.tree.node("/wire").unwrap().data(), None);
    assert_eq!(server.stat("/wire").version, 2);
    assert_eq!(server.stat("/").pzxid, before.czxid, "the parent does not hear of it");
}

#[test]
fn the_order_of_set_data() {
    let mut server = Server::new();
    assert_eq!(server.code(&Request::SetData(SetData { path: None, data: None, version: -1 })), -8);
    for path in BAD_PATHS {
        assert_eq!(server.set(path, ""), -8, "{path:?}");
    }
    assert_eq!(server.set("/none", ""), -101);
    server.create(Create { acl: restricted(), ..node("/wire/r") }).unwrap();
    assert_eq!(server.code(&set_data("/wire/r", None, 7)), -102, "permission before version");
    assert_eq!(server.code(&set_data("/wire", None, 7)), -103);
    assert_eq!(server.code(&set_data("/wire", None, -2)), -103);
    assert_eq!(server.set("/zookeeper/config", ""), -102);
    server.session = SessionId(99);
    assert_eq!(server.set("", ""), -112, "the session before the path");
}

#[test]
fn versions_wrap_through_minus_one() {
    let mut server = Server::new();
    let header = |zxid| TxnHeader { zxid: Zxid(zxid), ..TxnHeader::default() };
    for (stored, next) in [(i32::MAX, i32::MIN), (-2, -1), (-1, 0)] {
        server.zxid += 1;
        let txn = Txn::SetData { path: "/wire".into(), data: None, version: stored };
        server.tree.apply(&header(server.zxid), &txn, &mut Vec::new());
        if stored != -1 {
            assert_eq!(server.code(&set_data("/wire", None, 5)), -103);
            assert_eq!(server.code(&set_data("/wire", None, stored)), 0);
        } else {
            assert_eq!(server.set("/wire", ""), 0);
        }
        assert_eq!(server.stat("/wire").version, next);
    }
}

#[test]
fn the_order_of_set_acl() {
    let mut server = Server::new();
    let null_path = Request::SetAcl(SetAcl { path: None, acl: None, version: -1 });
    assert_eq!(server.code(&null_path), -8);
    for path in BAD_PATHS {
        assert_eq!(server.code(&set_acl(path, None, -1)), -8, "{path:?}: the path before the list");
    }
    for bad in [None, Some(vec![]), Some(vec![entry(31, "nonsense", "a")])] {
        assert_eq!(server.code(&set_acl("/none", bad, -1)), -114, "the list before the node");
    }
    assert_eq!(server.code(&set_acl("/none", world(31), -1)), -101);
    server.create(Create { acl: world(15), ..node("/wire/a") }).unwrap();
    assert_eq!(server.code(&set_acl("/wire/a", world(31), 7)), -102, "permission before version");
    assert_eq!(server.code(&set_acl("/wire", world(31), 7)), -103);
    server.session = SessionId(99);
    assert_eq!(server.code(&null_path), -112);
}

#[test]
fn set_acl_moves_the_aversion_only_and_fires_nothing() {
    let mut server = Server::new();
    let before = server.stat("/wire");
    let result = server.ask(&set_acl("/wire", world(perms::READ | perms::ADMIN), 0));
    assert_eq!(result, TxnResult::AclSet { stat: Stat { aversion: 1, ..before } });
    assert!(server.changes.is_empty());
    assert_eq!(server.acl("/wire")[0].perms, perms::READ | perms::ADMIN);
    assert_eq!(server.code(&set_acl("/wire", world(31), 0)), -103, "it is the aversion that counts");
    assert_eq!(server.code(&set_acl("/wire", world(31), 1)), 0);
    assert_eq!(server.stat("/zookeeper/config").aversion, -1);
    server.ids.push(id("super", ""));
    assert_eq!(server.code(&set_acl("/zookeeper/config", world(31), -1)), 0);
    assert_eq!(server.stat("/zookeeper/config").aversion, 0);
}

#[test]
fn the_root_can_be_set() {
    let mut server = Server::new();
    assert_eq!(server.set("/", "root"), 0);
    assert_eq!(server.code(&set_acl("/", world(perms::ALL & !perms::CREATE), -1)), 0);
    assert_eq!(server.create(node("/a")), Err(-102));
    assert_eq!((server.stat("/").version, server.stat("/").aversion), (1, 1));
}

/// Section 10.7 for a standalone server.
#[test]
fn reconfig() {
    let mut server = Server::new();
    let request = Request::Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 };
    assert_eq!(server.code(&request), -123);
    server.policy.reconfig_enabled = true;
    assert_eq!(server.code(&request), -6);
    server.session = SessionId(99);
    assert_eq!(server.code(&request), -112);
    server.policy.reconfig_enabled = false;
    assert_eq!(server.code(&request), -123);
}

#[test]
fn the_lists_of_the_parent_are_nothing_to_set_data() {
    let mut server = Server::new();
    server.create(Create { acl: world(perms::WRITE | perms::READ), ..node("/wire/a") }).unwrap();
    // The write is prepared while the parent's new list is still on its way into the tree.
    let (first, close) = server.prepare(&set_acl("/wire", world(perms::ADMIN), -1));
    let (second, write) = server.prepare(&set_data("/wire/a", Some(b"x"), -1));
    assert_eq!(write.txn, Txn::SetData { path: "/wire/a".into(), data: Some(b"x".to_vec()), version: 1 });
    let (third, open) = server.prepare(&set_acl("/wire", world(perms::ALL), -1));
    server.apply(&first, &close);
    let mut changes = Vec::new();
    server.tree.apply(&second, &write.txn, &mut changes);
    let told: Vec<_> = changes.iter().map(|change| (&*change.path, change.acl[0].perms)).collect();
    assert_eq!(told, [("/wire/a", perms::WRITE | perms::READ)], "the node alone says who may hear of it");
    server.apply(&third, &open);
}
