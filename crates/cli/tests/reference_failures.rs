//! The failures of the reference server that must not be reproduced (client-protocol.md section 20), one by one, on
//! the real binary: what kills Apache is answered, and the log that it leaves is read again after a kill.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use std::io::Write;

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const SET_DATA: i32 = 5;
const MULTI: i32 = 14;
const DELETE_CONTAINER: i32 = 20;
const CREATE_TTL: i32 = 21;
const CREATE_SESSION: i32 = -10;

fn delete_body(path: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, path);
    body.extend((-1_i32).to_be_bytes());
    body
}

fn null_data_body(path: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, path);
    body.extend((-1_i32).to_be_bytes());
    body.extend((-1_i32).to_be_bytes());
    body
}

/// The server still takes writes, and after a kill it reads what the trigger left in the log and takes writes again.
fn goes_on(server: Server, dir: &TempDir) -> Server {
    assert_eq!(server.session(10_000).create("/alive-", b"", 2), 0);
    server.kill();
    let server = Server::start(&dir.0, &[]);
    assert_eq!(server.session(10_000).create("/alive-", b"", 2), 0);
    server
}

/// Row 1. In an ensemble Apache proposes an error under a zxid that is taken, and all writes hang.
#[test]
fn an_undecodable_write_is_refused_and_proposes_nothing() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut session = server.session(10_000);
    let before = session.call(CREATE, &create_body("/a", b"", 0)).zxid;
    let whole = create_body("/b", b"data", 0);
    for cut in [0, 3, 8, whole.len() - 1] {
        let reply = session.call(CREATE, &whole[..cut]);
        assert_eq!((reply.err, reply.zxid), (-5, before), "{cut} bytes of {}", whole.len());
    }
    for op in [DELETE, SET_DATA, 7, 15, 19, CREATE_TTL] {
        assert_eq!(session.call(op, &[0, 0, 0, 9]).err, -5, "op {op}");
    }
    // A multi with one create whose list of ACLs is null.
    let mut multi = Vec::new();
    multi.extend(CREATE.to_be_bytes());
    multi.extend([0, 0xff, 0xff, 0xff, 0xff]);
    text(&mut multi, "/c");
    multi.extend(0_i32.to_be_bytes());
    multi.extend((-1_i32).to_be_bytes());
    multi.extend(0_i32.to_be_bytes());
    multi.extend((-1_i32).to_be_bytes());
    multi.extend([1, 0xff, 0xff, 0xff, 0xff]);
    let reply = session.call(MULTI, &multi);
    assert_eq!((reply.err, reply.zxid), (-5, before));
    assert_eq!(session.call(CREATE, &whole).zxid, before + 1, "nothing was proposed meanwhile");
    goes_on(server, &dir).stop();
}

/// Row 2. Apache's process dies, and dies again when it reads its log.
#[test]
fn create_ttl_without_a_ttl_mode_is_a_bad_argument() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut session = server.session(10_000);
    for flags in 0..=4 {
        let mut body = create_body("/t", b"", flags);
        body.extend((-1_i64).to_be_bytes());
        assert_eq!(session.call(CREATE_TTL, &body).err, -8, "flags {flags}");
    }
    let server = goes_on(server, &dir);
    assert_eq!(server.session(10_000).get("/t"), None);
    server.stop();
}

/// Rows 3 and 4. Apache dies of an empty quota path, now and at every restart.
#[test]
fn quota_names_in_odd_places_are_plain_nodes() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut session = server.session(10_000);
    assert_eq!(session.create("/zookeeper/quota/zookeeper_limits", b"count=1,bytes=-1", 0), 0);
    assert_eq!(session.create("/zookeeper/quota/zookeeper_stats", b"", 0), 0);
    for path in ["/zookeeper/zookeeper_limits", "/zookeeper_x", "/zookeeper_x/zookeeper_limits"] {
        assert_eq!(session.create(path, b"", 0), 0, "{path}");
    }
    for path in ["/zookeeper/zookeeper_limits", "/zookeeper_x/zookeeper_limits"] {
        assert_eq!(session.call(DELETE, &delete_body(path)).err, 0, "{path}");
    }
    let server = goes_on(server, &dir);
    let mut session = server.session(10_000);
    assert_eq!(session.get("/zookeeper/quota/zookeeper_limits"), Some(b"count=1,bytes=-1".to_vec()));
    assert_eq!(session.get("/zookeeper/zookeeper_limits"), None);
    assert_eq!(session.call(DELETE, &delete_body("/zookeeper/quota/zookeeper_limits")).err, 0);
    goes_on(server, &dir).stop();
}

/// Row 5. Apache dies at the next write below the quota, and at every restart.
#[test]
fn unreadable_quota_statistics_are_counted_anew() {
    let stats = "/zookeeper/quota/q/zookeeper_stats";
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, &[]);
    let mut session = server.session(10_000);
    assert_eq!(session.create("/q", b"12345", 0), 0);
    assert_eq!(session.create("/zookeeper/quota/q", b"", 0), 0);
    assert_eq!(session.create("/zookeeper/quota/q/zookeeper_limits", b"count=100,bytes=-1", 0), 0);
    assert_eq!(session.create(stats, b"", 0), 0);
    assert_eq!(session.get(stats), Some(b"count=1,bytes=5".to_vec()));
    let bad = [set_body(stats, b"not a number"), set_body(stats, b"count=x,bytes=1"), null_data_body(stats)];
    for (round, body) in bad.iter().enumerate() {
        let mut session = server.session(10_000);
        assert_eq!(session.call(SET_DATA, body).err, 0);
        assert_eq!(session.create(&format!("/q/{round}"), b"1", 0), 0);
        let count = 2 + round;
        assert_eq!(session.get(stats), Some(format!("count={count},bytes={}", 5 + round + 1).into_bytes()));
        assert_eq!(session.call(SET_DATA, body).err, 0);
        assert_eq!(session.set(&format!("/q/{round}"), b"2"), 0);
        assert_eq!(session.call(SET_DATA, body).err, 0);
        assert_eq!(session.create("/q/gone", b"", 0), 0);
        assert_eq!(session.call(SET_DATA, body).err, 0);
        assert_eq!(session.call(DELETE, &delete_body("/q/gone")).err, 0);
        assert_eq!(session.call(SET_DATA, body).err, 0);
        server = goes_on(server, &dir);
    }
    server.stop();
}

/// Row 6. Apache 3.9.3 carries them out: anybody can delete any leaf, and the second answer cannot be parsed.
#[test]
fn internal_operations_of_a_client_are_not_executed() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut session = server.session(10_000);
    assert_eq!(session.create("/leaf", b"", 0), 0);
    let mut path = Vec::new();
    text(&mut path, "/leaf");
    session.send(DELETE_CONTAINER, &path);
    assert_eq!(read_to_end(&mut session.stream), b"");
    let mut session = server.session(10_000);
    assert_eq!(session.get("/leaf"), Some(Vec::new()));
    let reply = session.call(CREATE_SESSION, &30_000_i32.to_be_bytes());
    assert_eq!((reply.err, reply.zxid), (-6, -1));
    assert_eq!(read_to_end(&mut session.stream), b"");
    // Inside a multi neither.
    for op in [DELETE_CONTAINER, CREATE_SESSION] {
        let mut session = server.session(10_000);
        let mut multi = Vec::new();
        multi.extend(op.to_be_bytes());
        multi.extend([0, 0xff, 0xff, 0xff, 0xff]);
        multi.extend(&path);
        multi.extend([0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(session.call(MULTI, &multi).err, -5, "op {op}");
    }
    let server = goes_on(server, &dir);
    assert_eq!(server.session(10_000).get("/leaf"), Some(Vec::new()));
    server.stop();
}

/// Row 7 is about members of ensembles (crates/node/src/tests/read_only.rs): `readonlymode.enabled` changes nothing for a
/// server that has its quorum in itself, so a client that asks for read-only gets an ordinary session.
#[test]
fn a_read_only_handshake_gets_an_ordinary_session() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "readonlymode.enabled=true"]);
    let mut stream = server.connect();
    let mut hello = connect_frame(10_000, 0, &[0; 16]);
    *hello.last_mut().unwrap() = 1;
    stream.write_all(&hello).unwrap();
    let answer = read_frame(&mut stream).unwrap();
    assert_eq!((answer.len(), answer.last()), (37, Some(&0)), "a session, and the server is not read-only");
    assert_eq!(server.word("isro"), "rw");
    server.stop();
}
