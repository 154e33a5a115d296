//! getEphemerals of a session with many of them: in pages, corrected by what goes meanwhile (rules.md 1.10).

use super::client::*;
use crate::ConnId;
use crate::harness::Harness;
use ostler_model::{OpCode, limits};

const EPHEMERALS: usize = 3_000;
const EPHEMERAL: i32 = 1;

/// A session with many ephemerals, and another one.
fn owner() -> (Harness, ConnId, ConnId) {
    let mut harness = Harness::standard(1);
    let (owner, _) = harness.session(0);
    let (other, _) = harness.session(0);
    harness.must(other, create(1, "/d", b"", 0));
    for batch in 0..EPHEMERALS / 500 {
        let path = |at| format!("/d/e{}", batch * 500 + at);
        let frames: Vec<Vec<u8>> = (0..500).map(|at| create(1, &path(at), b"", EPHEMERAL)).collect();
        harness.ask(owner, &frames);
    }
    harness.must(other, create(2, "/d/theirs", b"", EPHEMERAL));
    (harness, owner, other)
}

fn expected(prefix: &str) -> Vec<String> {
    let paths = (0..EPHEMERALS).map(|at| format!("/d/e{at}"));
    let mut paths: Vec<String> = paths.filter(|path| path.starts_with(prefix)).collect();
    paths.sort();
    paths
}

fn turn(harness: &mut Harness) {
    harness.turn(0);
    harness.deliver(0, usize::MAX);
    harness.sync(ostler_model::Zxid(i64::MAX));
    harness.apply();
    harness.flush(0);
}

#[test]
fn many_ephemerals_take_several_turns_and_others_go_on() {
    for (prefix, paths) in [("/", expected("")), ("/d/e17", expected("/d/e17")), ("/none", Vec::new())] {
        let (mut harness, owner, other) = owner();
        harness.send(owner, &[of_path(1, OpCode::GetEphemerals, prefix), ping()].concat());
        let (mut turns, mut replies) = (0, Vec::new());
        while replies.is_empty() {
            harness.send(other, &ping());
            harness.turn(0);
            harness.flush(0);
            assert_eq!(harness.replies(other).len(), 1, "the other connection is served in every turn");
            replies = harness.replies(owner);
            turns += 1;
            assert!(turns < 100);
        }
        assert_eq!(replies[0].names(), paths, "{prefix}");
        assert!(turns >= 2, "{turns}");
    }
}

#[test]
fn what_is_deleted_meanwhile_is_not_listed() {
    let (mut harness, owner, other) = owner();
    // Made right before it, and behind it in the pipeline: the first is listed, the second is not.
    let own = [
        create(1, "/d/first", b"", EPHEMERAL),
        of_path(2, OpCode::GetEphemerals, "/d"),
        create(3, "/d/second", b"", EPHEMERAL),
    ];
    harness.send(owner, &own.concat());
    let mut gone = Vec::new();
    for at in [0, EPHEMERALS - 1, 1_000, 7, 2_000] {
        let path = format!("/d/e{at}");
        harness.send(other, &delete(1, &path));
        if at == 1_000 {
            // The path lives on, but is nobody's ephemeral.
            harness.send(other, &create(1, &path, b"", 0));
        }
        turn(&mut harness);
        gone.push(path);
    }
    harness.run();
    let replies = harness.replies(owner);
    let listing = replies.iter().find(|reply| reply.xid == 2).unwrap();
    let names = listing.names();
    // As of the zxid it names, which is that of the last change it knows.
    let deleted_after = gone.iter().filter(|path| names.contains(path)).count();
    let last_zxid = replies.iter().map(|reply| reply.zxid).max().unwrap();
    assert!(listing.zxid < last_zxid);
    assert!(names.contains(&"/d/first".to_owned()) && !names.contains(&"/d/second".to_owned()));
    assert!(gone.len() - deleted_after >= 2, "some went while it was under way");
    assert_eq!(names.len(), EPHEMERALS + 1 - (gone.len() - deleted_after));
    // And now all of them are gone from it.
    let mut paths = expected("");
    paths.retain(|path| !gone.contains(path));
    paths.extend(["/d/first".to_owned(), "/d/second".to_owned()]);
    paths.sort();
    let now = harness.must(owner, of_path(4, OpCode::GetEphemerals, ""));
    assert_eq!(now.names(), paths);
}

#[test]
fn one_hold_applies_a_bounded_amount_of_work() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.must(conn, create(1, "/a", b"", 0));
    let data = vec![1; 20 * limits::APPLY_WORK_BYTES];
    for _ in 0..20 {
        harness.send(conn, &set(2, "/a", &data));
        harness.turn(0);
    }
    harness.deliver(0, usize::MAX);
    harness.sync(ostler_model::Zxid(i64::MAX));
    let mut applied = Vec::new();
    while applied.iter().sum::<usize>() < 20 {
        applied.push(harness.apply());
    }
    assert!(applied.iter().all(|txns| (1..=3).contains(txns)), "21 of 64 units each: {applied:?}");
}
