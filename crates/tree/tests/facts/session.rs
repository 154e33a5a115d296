//! Section 4 as prepare sees it, and rules.md 4.3: what the end of a session deletes.

use super::*;

fn closing(prepared: &Prepared) -> Vec<String> {
    let Txn::CloseSession { paths: Some(paths) } = &prepared.txn else { panic!("{:?}", prepared.txn) };
    let mut paths = paths.clone();
    paths.sort();
    paths
}

#[test]
fn ephemerals_go_with_their_session_under_one_zxid() {
    let mut server = Server::new();
    for path in ["/wire/a", "/wire/b"] {
        server.create(flagged(path, 1)).unwrap();
    }
    server.session = OTHER;
    server.create(flagged("/wire/other", 1)).unwrap();
    server.session = SESSION;
    let (header, prepared) = server.prepare(&Request::CloseSession);
    assert_eq!(closing(&prepared), ["/wire/a", "/wire/b"]);
    assert_eq!(server.apply(&header, &prepared), TxnResult::SessionClosed);
    assert_eq!(prepared.digest, Some(server.tree.digest()));
    assert_eq!(server.stat("/wire").pzxid, header.zxid);
    assert_eq!(server.stat("/wire").num_children, 1);
    assert_eq!(server.changes.len(), 2);
    assert!(server.has("/wire/other"));
}

#[test]
fn without_its_list_the_end_of_a_session_deletes_the_same() {
    let mut server = Server::new();
    server.policy.close_session_paths = false;
    server.create(flagged("/wire/a", 1)).unwrap();
    let pending = server.prepare(&Request::Create(flagged("/wire/b", 1)));
    let (header, prepared) = server.prepare(&Request::CloseSession);
    assert_eq!(prepared.txn, Txn::CloseSession { paths: None });
    server.apply(&pending.0, &pending.1);
    assert_eq!(server.apply(&header, &prepared), TxnResult::SessionClosed);
    assert!(!server.has("/wire/a") && !server.has("/wire/b"));
    assert_eq!(prepared.digest, Some(server.tree.digest()));
}

#[test]
fn pending_creates_go_too_and_pending_deletes_do_not_go_twice() {
    let mut server = Server::new();
    server.create(flagged("/wire/committed", 1)).unwrap();
    server.create(flagged("/wire/deleted", 1)).unwrap();
    server.create(flagged("/wire/reborn", 1)).unwrap();
    server.create(flagged("/wire/set", 1)).unwrap();
    let requests = [
        Request::Create(flagged("/wire/pending", 1)),
        delete("/wire/deleted", -1),
        delete("/wire/reborn", -1),
        Request::Create(node("/wire/reborn")),
        Request::Create(flagged("/wire/brief", 1)),
        delete("/wire/brief", -1),
        set_data("/wire/set", Some(b"x"), -1),
        Request::CloseSession,
    ];
    let prepared: Vec<_> = requests.iter().map(|request| server.prepare(request)).collect();
    assert_eq!(closing(&prepared[7].1), ["/wire/committed", "/wire/pending", "/wire/set"]);
    for (header, prepared) in &prepared {
        assert!(!matches!(server.apply(header, prepared), TxnResult::Error(_)));
    }
    assert!(server.overlay.is_empty());
    assert!(server.has("/wire/reborn") && !server.has("/wire/pending"));
    assert_eq!(server.stat("/wire").num_children, 1);
}

#[test]
fn a_session_is_closing_as_soon_as_its_end_is_prepared() {
    let mut server = Server::new();
    let (header, close) = server.prepare(&Request::CloseSession);
    for request in [
        Request::Create(flagged("/wire/late", 1)),
        Request::Create(node("/wire/late")),
        delete("/wire", -1),
        set_data("/wire", None, -1),
        set_acl("/wire", world(31), -1),
    ] {
        let (_, refused) = server.prepare(&request);
        assert_eq!(refused.txn, Txn::Error(ErrorCode::SessionExpired), "{request:?}");
    }
    server.apply(&header, &close);
    assert_eq!(server.code(&set_data("/wire", None, -1)), -112, "and once it is gone");
    server.session = OTHER;
    assert_eq!(server.set("/wire", ""), 0);
}

#[test]
fn a_second_end_is_not_refused_and_deletes_nothing() {
    let mut server = Server::new();
    server.create(flagged("/wire/a", 1)).unwrap();
    let (first, close) = server.prepare(&Request::CloseSession);
    let (second, again) = server.prepare(&Request::CloseSession);
    assert_eq!((closing(&close).len(), closing(&again).len()), (1, 0));
    server.apply(&first, &close);
    server.apply(&second, &again);
    assert!(server.overlay.is_empty());
    server.session = SessionId(99);
    assert_eq!(server.ask(&Request::CloseSession), TxnResult::SessionClosed, "nor that of a session nobody knows");
}

#[test]
fn a_new_session_counts_while_it_is_pending() {
    let mut server = Server::new();
    server.session = SessionId(5);
    let (first, open) = server.prepare(&Request::CreateSession { timeout_ms: 7_000 });
    assert_eq!(open.txn, Txn::CreateSession { timeout_ms: 7_000 });
    assert_eq!(open.digest, Some(server.tree.digest()), "it carries the digest as it is");
    let (second, create) = server.prepare(&Request::Create(flagged("/wire/a", 1)));
    assert!(!create.txn.is_error());
    assert_eq!(server.overlay.session_timeout_ms(&server.tree, SessionId(5)), Some(7_000));
    server.apply(&first, &open);
    server.apply(&second, &create);
    assert_eq!(server.tree.session_timeout_ms(SessionId(5)), Some(7_000));
    assert!(server.overlay.is_empty());
}

#[test]
fn a_session_opened_again_outlives_the_end_of_the_first() {
    let mut server = Server::new();
    let requests = [Request::CloseSession, Request::CreateSession { timeout_ms: 9_000 }];
    let prepared: Vec<_> = requests.iter().map(|request| server.prepare(request)).collect();
    server.apply(&prepared[0].0, &prepared[0].1);
    assert_eq!(server.overlay.session_timeout_ms(&server.tree, SESSION), Some(9_000));
    server.apply(&prepared[1].0, &prepared[1].1);
    assert!(server.overlay.is_empty());
}
