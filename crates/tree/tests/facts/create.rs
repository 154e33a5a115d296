//! Section 10.1 and the created node of section 12.

use super::*;

#[test]
fn flags_come_first() {
    let mut server = Server::new();
    for flags in [-1, 7, 9] {
        assert_eq!(server.create(flagged("/wire/a", flags)), Err(-8), "{flags}");
        assert_eq!(server.create(Create { acl: None, ..flagged("no slash", flags) }), Err(-8));
    }
    // Even before the session: step 2 against step 5.
    server.session = SessionId(99);
    assert_eq!(server.create(flagged("/wire/a", 9)), Err(-8));
    assert_eq!(server.create(ttl("/wire/a", 5, 1)), Err(-6));
    assert_eq!(server.create(node("/wire/a")), Err(-112));
    assert_eq!(server.create(Create { path: None, ..node("") }), Err(-112), "and the session before the path");
}

#[test]
fn paths_are_not_created_deeper_than_their_bound() {
    let mut server = Server::new();
    let mut path = String::new();
    for depth in 1..=ostler_model::limits::PATH_PARTS_MAX {
        path.push_str("/d");
        assert!(server.create(node(&path)).is_ok(), "{depth}");
    }
    assert_eq!(server.create(node(&format!("{path}/d"))), Err(-8));
    // A sequence number is no part of its own.
    let last = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    assert!(server.create(flagged(&format!("{last}/s-"), 2)).is_ok());
}

#[test]
fn ttl_modes_need_the_extended_types() {
    let mut server = Server::new();
    for op in [CreateOp::Create, CreateOp::Create2, CreateOp::Container, CreateOp::Ttl] {
        for flags in [5, 6] {
            assert_eq!(server.create(Create { op, ttl: 5, ..flagged("/wire/t", flags) }), Err(-6));
        }
    }
    let mut server = Server::extended();
    for op in [CreateOp::Create, CreateOp::Create2, CreateOp::Container] {
        for flags in [5, 6] {
            assert_eq!(server.create(Create { op, ..flagged("/wire/t", flags) }), Err(-8), "they carry no ttl");
        }
    }
}

#[test]
fn the_time_to_live_is_bounded() {
    let mut server = Server::extended();
    for bad in [0, -1, i64::MIN, 1 << 40, i64::MAX] {
        assert_eq!(server.create(ttl("/wire/t", 5, bad)), Err(-8), "{bad}");
    }
    assert_eq!(server.create(ttl("/wire/short", 5, 1)), Ok("/wire/short".into()));
    assert_eq!(server.create(ttl("/wire/t", 6, (1 << 40) - 1)), Ok("/wire/t0000000001".into()));
    assert_eq!(server.stat("/wire/t0000000001").ephemeral_owner, 0);
    server.make("/wire/short/child");
}

/// Section 20, row 2: Apache's server dies of the negative ones.
#[test]
fn create_ttl_without_a_ttl_mode_is_a_bad_argument() {
    for mut server in [Server::new(), Server::extended()] {
        for flags in 0..=4 {
            for time in [-1, -5, 0, 5] {
                assert_eq!(server.create(ttl("/wire/t", flags, time)), Err(-8), "flags {flags}, ttl {time}");
            }
        }
    }
}

#[test]
fn paths_that_are_refused_before_anything_is_looked_up() {
    let mut server = Server::new();
    let before = server.zxid;
    assert_eq!(server.create(Create { path: None, ..node("") }), Err(-5));
    assert_eq!(server.tree.zxid(), Zxid(before + 1), "a zxid is consumed");
    for path in ["", "wire", "/wire/\0", "/none/\0"] {
        assert_eq!(server.create(node(path)), Err(-8), "{path:?}");
    }
    assert_eq!(server.create(Create { acl: Some(vec![]), ..node("wire") }), Err(-8), "before the ACL");
}

#[test]
fn a_bad_acl_beats_a_missing_parent() {
    let mut server = Server::new();
    for acl in [None, Some(vec![]), Some(vec![entry(31, "world", "other")])] {
        assert_eq!(server.create(Create { acl, ..node("/none/a") }), Err(-114));
    }
    let acl = Some(vec![WireAcl { perms: 31, scheme: Some("world".into()), id: None }]);
    assert_eq!(server.create(Create { acl, ..node("/none/a") }), Err(-5));
}

#[test]
fn a_missing_parent_and_a_missing_permission_beat_an_illegal_name() {
    let mut server = Server::new();
    assert_eq!(server.create(node("/none/\u{1}")), Err(-101));
    server.create(Create { acl: restricted(), ..node("/wire/r") }).unwrap();
    assert_eq!(server.create(node("/wire/r/\u{1}")), Err(-102));
    assert_eq!(server.create(node("/wire/r/x")), Err(-102));
    server.ids.push(id("digest", "u:p"));
    server.make("/wire/r/x");
    server.ids.pop();
    assert_eq!(server.create(node("/wire/r/x")), Err(-102), "and it beats the node that exists");
}

#[test]
fn slashes() {
    let mut server = Server::new();
    assert_eq!(server.create(node("/wire/")), Err(-8));
    assert_eq!(server.create(node("/none/")), Err(-101));
    assert_eq!(server.create(node("/wire//a")), Err(-101), "its parent is '/wire/'");
    assert_eq!(server.create(node("//a")), Err(-8), "its parent is '/', the root");
    assert_eq!(server.create(node("/")), Err(-110));
    assert_eq!(server.create(flagged("/wire/", 2)), Ok("/wire/0000000000".into()));
    assert_eq!(server.create(flagged("/", 2)), Ok("/0000000001".into()));
}

#[test]
fn names_that_are_illegal_or_only_look_it() {
    let mut server = Server::new();
    for name in [".", "..", "\u{1}", "\u{1f}", "\u{7f}", "\u{9f}", "\u{e000}", "\u{fffd}", "\u{1f600}"] {
        assert_eq!(server.create(node(&format!("/wire/{name}"))), Err(-8), "{name:?}");
    }
    for name in ["..x", ".x", "x.", "\u{e9}\u{4e2d}", "\u{2028}", " "] {
        server.make(&format!("/wire/{name}"));
    }
}

#[test]
fn sequential_names_count_the_parents_creations() {
    let mut server = Server::new();
    server.make("/wire/a");
    assert_eq!(server.delete("/wire/a"), 0);
    assert_eq!(server.create(flagged("/wire/.", 0)), Err(-8), "a failed create does not count");
    assert_eq!(server.create(flagged("/wire/s-", 2)), Ok("/wire/s-0000000001".into()));
    assert_eq!(server.create(flagged("/wire/es-", 3)), Ok("/wire/es-0000000002".into()));
    assert_eq!(server.stat("/wire/es-0000000002").ephemeral_owner, SESSION.0);
    assert_eq!(server.stat("/wire").cversion, 4, "three creations and a deletion");
    server.make("/wire/s-0000000005");
    server.make("/wire/b");
    assert_eq!(server.create(flagged("/wire/s-", 2)), Err(-110), "the name is taken");
    assert_eq!(server.create(flagged("/wire/t-", 2)), Ok("/wire/t-0000000005".into()));
}

#[test]
fn existing_nodes_and_ephemeral_parents() {
    let mut server = Server::new();
    assert_eq!(server.create(node("/wire")), Err(-110));
    server.create(flagged("/wire/e", 1)).unwrap();
    assert_eq!(server.create(node("/wire/e/x")), Err(-108));
    assert_eq!(server.create(flagged("/wire/e/x", 2)), Err(-108));
    assert_eq!(server.create(node("/wire/e/.")), Err(-8), "the name is looked at before");
}

#[test]
fn the_operation_decides_about_the_kind_of_node() {
    let mut server = Server::new();
    let owner = |server: &Server, path: &str| server.tree.node(path).unwrap().owner();
    for (flags, path, made) in [
        (0, "/wire/c0", "/wire/c0"),
        (1, "/wire/c1", "/wire/c1"),
        (2, "/wire/c", "/wire/c0000000002"),
        (4, "/wire/c4", "/wire/c4"),
    ] {
        let create = Create { op: CreateOp::Container, ..flagged(path, flags) };
        assert_eq!(server.create(create), Ok(made.into()));
        assert_eq!(owner(&server, made), ostler_model::Owner::Container, "op 19 makes a container whatever the flags");
        assert_eq!(server.stat(made).ephemeral_owner, 0);
    }
    for op in [CreateOp::Create, CreateOp::Create2] {
        let path = format!("/wire/p-{op:?}");
        server.create(Create { op, ..flagged(&path, 4) }).unwrap();
        assert_eq!(owner(&server, &path), ostler_model::Owner::Persistent, "flags 4 on {op:?}");
    }
    assert_eq!(server.code(&Request::CloseSession), 0);
    assert!(server.has("/wire/c1"), "the ephemeral flag of a container means nothing");
}

#[test]
fn null_data_stays_null_and_empty_data_empty() {
    let mut server = Server::new();
    server.create(Create { data: None, ..node("/wire/null") }).unwrap();
    server.make("/wire/empty");
    assert_eq!(server.tree.node("/wire/null").unwrap().data(), None);
    assert_eq!(server.tree.node("/wire/empty").unwrap().data(), Some(&b""[..]));
    assert_eq!((server.stat("/wire/null").data_length, server.stat("/wire/empty").data_length), (0, 0));
}

#[test]
fn what_is_made_and_what_the_answer_says() {
    let mut server = Server::new();
    server.time_ms = 5_000;
    let request = Request::Create(Create { data: Some(b"four"), ..flagged("/wire/e", 1) });
    let result = server.ask(&request);
    let zxid = Zxid(server.zxid);
    let expected = Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: 5_000,
        mtime: 5_000,
        ephemeral_owner: SESSION.0,
        data_length: 4,
        ..Stat::default()
    };
    assert_eq!(result, TxnResult::Created { op: CreateOp::Create2, path: "/wire/e".into(), stat: expected });
    assert_eq!(server.stat("/wire/e"), expected);
    let parent = server.stat("/wire");
    assert_eq!((parent.cversion, parent.pzxid, parent.num_children, parent.version), (1, zxid, 1, 0));
    assert!(parent.mzxid < zxid);
    let kinds: Vec<_> = server.changes.iter().map(|change| (change.kind, change.path.to_string())).collect();
    assert_eq!(kinds, [(ostler_tree::ChangeKind::Created, "/wire/e".to_owned())]);
}
