//! Section 13, as far as it takes a tree; the rest stands beside `access.rs`.

use super::*;

#[test]
fn lists_are_stored_as_given_without_duplicates() {
    let mut server = Server::new();
    let twice = Some(vec![entry(31, "world", "anyone"), entry(1, "world", "anyone"), entry(31, "world", "anyone")]);
    server.create(Create { acl: twice, ..node("/wire/a") }).unwrap();
    assert_eq!(server.acl("/wire/a").iter().map(|entry| entry.perms).collect::<Vec<_>>(), [31, 1]);
    for perms in [0, 255, -1] {
        assert_eq!(server.code(&set_acl("/wire/a", world(perms | 16), -1)), 0);
        assert_eq!(server.acl("/wire/a")[0].perms, perms | 16);
    }
    server.create(Create { acl: Some(vec![entry(31, "ip", "10.0.0.0/8")]), ..node("/wire/ip") }).unwrap();
    assert_eq!(server.acl("/wire/ip")[0].id, "10.0.0.0/8");
}

#[test]
fn auth_is_expanded_before_it_is_stored() {
    let mut server = Server::new();
    let auth = || Some(vec![entry(31, "auth", "")]);
    assert_eq!(server.create(Create { acl: auth(), ..node("/wire/a") }), Err(-114), "an address is no proof");
    server.ids.extend([id("digest", "u:p"), id("super", ""), id("digest", "v:q")]);
    server.create(Create { acl: auth(), ..node("/wire/a") }).unwrap();
    let stored: Vec<_> = server.acl("/wire/a").iter().map(|entry| format!("{}:{}", entry.scheme, entry.id)).collect();
    assert_eq!(stored, ["digest:u:p", "digest:v:q"]);
}

#[test]
fn super_passes_every_list() {
    let mut server = Server::new();
    server.create(Create { acl: world(0), ..node("/wire/a") }).unwrap();
    assert_eq!(server.set("/wire/a", "x"), -102);
    server.ids.push(id("super", ""));
    assert_eq!(server.set("/wire/a", "x"), 0);
    assert_eq!(server.code(&set_acl("/wire/a", world(31), -1)), 0);
}

#[test]
fn a_pending_list_already_counts() {
    let mut server = Server::new();
    let (first, close) = server.prepare(&set_acl("/wire", world(perms::ADMIN), -1));
    let (second, refused) = server.prepare(&Request::Create(node("/wire/a")));
    assert_eq!(refused.txn, Txn::Error(ErrorCode::NoAuth));
    server.apply(&first, &close);
    server.apply(&second, &refused);
    assert!(server.overlay.is_empty());
}
