//! The audit log, against lines that Apache 3.9.3 wrote for the same requests.

use super::client::*;
use crate::harness::Harness;
use crate::{AuditRecord, ConnId, NodeConfig, NodeEvent};
use ostler_model::OpCode;
use ostler_wire::client::FrameWriter;

fn audited() -> Harness {
    Harness::new(NodeConfig { audit: true, ..NodeConfig::default() })
}

/// The records since the last call.
fn records(harness: &mut Harness) -> Vec<AuditRecord> {
    let events = std::mem::take(&mut harness.events);
    let record = |event| match event {
        NodeEvent::Audit(record) => Some(*record),
        _ => None,
    };
    events.into_iter().filter_map(record).collect()
}

/// Their lines without the session, and without user and address, which are the same in all.
fn lines(harness: &mut Harness) -> Vec<String> {
    let lines = records(harness).into_iter().map(|record| record.line("root"));
    let short = |line: String| {
        let fields: Vec<&str> = line.split('\t').filter(|field| !field.starts_with("session=")).collect();
        fields.join(" ").replace("user=127.0.0.1,bob ip=127.0.0.1 ", "")
    };
    lines.map(short).collect()
}

fn acl(xid: i32, path: &str) -> Vec<u8> {
    frame(xid, OpCode::SetAcl, |frame| {
        frame.text(Some(path));
        frame.int(2);
        frame.acl_entry(31, Some("world"), Some("anyone"));
        frame.acl_entry(9, Some("digest"), Some("a:b"));
        frame.int(-1);
    })
}

fn part(frame: &mut FrameWriter<'_>, op: OpCode, body: impl FnOnce(&mut FrameWriter<'_>)) {
    frame.multi_header(op.code(), false, -1);
    body(frame);
}

fn ttl(xid: i32, path: &str, flags: i32) -> Vec<u8> {
    frame(xid, OpCode::CreateTtl, |frame| {
        put_create(frame, path, b"", flags);
        frame.long(100_000);
    })
}

fn bob(harness: &mut Harness) -> ConnId {
    let (conn, _) = harness.session(0);
    harness.must(conn, auth(1, "digest", b"bob:pw"));
    conn
}

#[test]
fn every_write_has_its_line() {
    let mut harness = audited();
    let conn = bob(&mut harness);
    let requests = [
        create(2, "/a", b"x", 0),
        create(3, "/a", b"x", 0),
        create(4, "/s-", b"x", 2),
        create_as(5, OpCode::Create2, "/es-", b"x", 3),
        create(6, "/e", b"x", 1),
        create_as(7, OpCode::CreateContainer, "/c", b"x", 4),
        create(8, "/c4", b"x", 4),
        ttl(9, "/t", 5),
        ttl(10, "/ts", 6),
        set(11, "/a", b"1"),
        set(12, "/nope", b"1"),
        acl(13, "/a"),
        acl(14, "/nope"),
        delete(15, "/a"),
        delete(16, "/a"),
        create(17, "bad\npath", b"x", 0),
        frame(18, OpCode::Create, |frame| frame.text(Some("/x"))),
        read(19, OpCode::GetData, "/e", false),
    ];
    harness.ask(conn, &requests);
    assert_eq!(
        lines(&mut harness),
        [
            "operation=create znode=/a znode_type=persistent result=success",
            "operation=create znode=/a znode_type=persistent result=failure",
            "operation=create znode=/s-0000000001 znode_type=persistent_sequential result=success",
            "operation=create znode=/es-0000000002 znode_type=ephemeral_sequential result=success",
            "operation=create znode=/e znode_type=ephemeral result=success",
            "operation=create znode=/c znode_type=container result=success",
            "operation=create znode=/c4 znode_type=container result=success",
            // Apache is silent about TTL nodes.
            "operation=create znode=/t znode_type=persistent_with_ttl result=success",
            "operation=create znode=/ts0000000007 znode_type=persistent_sequential_with_ttl result=success",
            "operation=setData znode=/a result=success",
            "operation=setData znode=/nope result=failure",
            // Apache puts nothing between the entries.
            "operation=setAcl znode=/a acl=world:anyone:cdrwa,digest:a:b:dr result=success",
            "operation=setAcl znode=/nope acl=world:anyone:cdrwa,digest:a:b:dr result=failure",
            "operation=delete znode=/a result=success",
            "operation=delete znode=/a result=failure",
            "operation=create znode=bad\\npath znode_type=persistent result=failure",
            "operation=create result=failure",
        ]
    );
    harness.must(conn, close(20));
    let mut ended = lines(&mut harness);
    ended.sort();
    assert_eq!(
        ended,
        [
            "user=root operation=ephemeralZNodeDeletionOnSessionCloseOrExpire znode=/e result=success",
            "user=root operation=ephemeralZNodeDeletionOnSessionCloseOrExpire znode=/es-0000000002 result=success",
        ]
    );
    assert!(harness.shards[0].nothing_waits_for_audit());
}

#[test]
fn a_good_multi_tells_its_parts_and_a_failed_one_itself() {
    let mut harness = audited();
    let conn = bob(&mut harness);
    let good = frame(2, OpCode::Multi, |frame| {
        part(frame, OpCode::Create, |frame| put_create(frame, "/m1", b"", 0));
        part(frame, OpCode::Check, |frame| {
            frame.text(Some("/m1"));
            frame.int(0);
        });
        part(frame, OpCode::Create2, |frame| put_create(frame, "/m2", b"", 2));
        part(frame, OpCode::Delete, |frame| {
            frame.text(Some("/m1"));
            frame.int(-1);
        });
        frame.multi_header(-1, true, -1);
    });
    let bad = frame(3, OpCode::Multi, |frame| {
        part(frame, OpCode::Create, |frame| put_create(frame, "/m9", b"", 0));
        part(frame, OpCode::Delete, |frame| {
            frame.text(Some("/nope"));
            frame.int(-1);
        });
        frame.multi_header(-1, true, -1);
    });
    harness.ask(conn, &[good, bad]);
    assert_eq!(
        lines(&mut harness),
        [
            "operation=create znode=/m1 znode_type=persistent result=success",
            "operation=create znode=/m20000000001 znode_type=persistent_sequential result=success",
            "operation=delete znode=/m1 result=success",
            "operation=multiOperation result=failure",
        ]
    );
}

#[test]
fn who_hangs_up_is_audited_too() {
    let mut harness = audited();
    let conn = bob(&mut harness);
    harness.send(conn, &create(2, "/a", b"", 0));
    harness.turn(0);
    harness.deliver(0, 9);
    harness.shards[0].broken(conn);
    harness.run();
    let records = records(&mut harness);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        records[0].line("root").split_once('\t').map(|(_, rest)| rest),
        Some("user=127.0.0.1,bob\tip=127.0.0.1\toperation=create\tznode=/a\tznode_type=persistent\tresult=success")
    );
    assert!(records[0].line("root").starts_with("session=0x"));
}

#[test]
fn nothing_is_told_unless_it_is_switched_on() {
    let mut harness = Harness::standard(1);
    let conn = bob(&mut harness);
    harness.must(conn, create(2, "/e", b"", 1));
    harness.must(conn, close(3));
    assert_eq!(records(&mut harness), []);
}

#[test]
fn what_the_server_does_itself() {
    assert_eq!(
        AuditRecord::of_server("serverStop", "invoked").line("root"),
        "user=root\toperation=serverStop\tresult=invoked"
    );
}
