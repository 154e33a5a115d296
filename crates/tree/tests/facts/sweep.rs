//! Section 16: deleteContainer, which only the server itself asks for.

use super::*;

fn sweep(path: &str) -> Request<'_> {
    Request::DeleteContainer { path: text(path) }
}

fn swept() -> Server {
    let mut server = Server::extended();
    server.create(Create { op: CreateOp::Container, ..flagged("/wire/c", 4) }).unwrap();
    server.make("/wire/c/x");
    assert_eq!(server.code(&delete("/wire/c/x", -1)), 0);
    server.create(ttl("/wire/t", 5, 100)).unwrap();
    server.session = SessionId::NONE;
    server
}

#[test]
fn the_order_of_its_checks() {
    let mut server = swept();
    assert_eq!(server.code(&Request::DeleteContainer { path: None }), -5);
    for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "wire"] {
        assert_eq!(server.code(&sweep(path)), -8, "{path}");
    }
    assert_eq!(server.code(&sweep("/none/x")), -101);
    assert_eq!(server.code(&sweep("/wire")), -111, "children before the kind");
    server.session = SESSION;
    server.create(flagged("/wire/e", 1)).unwrap();
    server.session = SessionId::NONE;
    assert_eq!(server.code(&sweep("/wire/e")), -103);
}

#[test]
fn it_deletes_without_session_and_permission() {
    let mut server = swept();
    server.ids.push(id("super", ""));
    assert_eq!(server.code(&set_acl("/wire", world(0), -1)), 0);
    server.ids.clear();
    let (header, prepared) = server.prepare(&sweep("/wire/c"));
    assert_eq!(prepared.txn, Txn::DeleteContainer { path: "/wire/c".into() });
    assert_eq!(server.apply(&header, &prepared), TxnResult::Deleted);
    assert_eq!(server.changes.len(), 1, "watches fire as for a delete");
    assert_eq!(server.stat("/wire").pzxid, header.zxid);
}

/// Apache deletes it: a hole that 3.9.6 closed for clients. The sweeper never means it.
#[test]
fn a_persistent_leaf_stays() {
    let mut server = swept();
    server.session = SESSION;
    server.make("/wire/p");
    server.session = SessionId::NONE;
    assert_eq!(server.code(&sweep("/wire/p")), -103);
}

/// The sweeper looked at another one, which was deleted and made again before its turn. Apache deletes the new one.
#[test]
fn a_container_that_was_just_made_stays() {
    let mut server = swept();
    assert_eq!(server.code(&sweep("/wire/c")), 0);
    server.session = SESSION;
    server.create(Create { op: CreateOp::Container, ..flagged("/wire/c", 4) }).unwrap();
    server.session = SessionId::NONE;
    assert_eq!(server.code(&sweep("/wire/c")), -103);
    server.policy.container_max_never_used_ms = 100;
    server.time_ms += 100;
    assert_eq!(server.code(&sweep("/wire/c")), -103, "not yet");
    server.time_ms += 1;
    assert_eq!(server.code(&sweep("/wire/c")), 0);
}

#[test]
fn a_ttl_node_is_looked_at_again() {
    let mut server = swept();
    server.time_ms += 100;
    assert_eq!(server.code(&sweep("/wire/t")), -103, "not yet: it must be older than its ttl");
    server.time_ms += 1;
    let (first, set) = server.prepare(&set_data("/wire/t", Some(b"alive"), -1));
    let (second, refused) = server.prepare(&sweep("/wire/t"));
    assert_eq!(refused.txn, Txn::Error(ErrorCode::BadVersion), "a pending setData saves it");
    server.apply(&first, &set);
    server.apply(&second, &refused);
    server.time_ms += 101;
    assert_eq!(server.code(&sweep("/wire/t")), 0);
}

#[test]
fn a_pending_child_saves_its_container() {
    let mut server = swept();
    let (_, _) = server.prepare(&Request::Create(node("/wire/c/child")));
    let (_, refused) = server.prepare(&sweep("/wire/c"));
    assert_eq!(refused.txn, Txn::Error(ErrorCode::NotEmpty));
}
