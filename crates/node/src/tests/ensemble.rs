//! Members of an ensemble, through bytes on all sides (see [`super::cluster`]).

use super::client::{create, delete, of_path, read, set};
use super::cluster::Cluster;
use ostler_model::{OpCode, SessionId};

fn three() -> Cluster {
    let mut cluster = Cluster::new(3);
    for index in 0..3 {
        cluster.start(index);
    }
    cluster.settle();
    cluster.advance(1_000);
    assert!((0..3).all(|index| cluster.is_serving(index)), "three connected servers serve");
    cluster
}

#[test]
fn the_greatest_id_leads_a_fresh_ensemble() {
    assert_eq!(three().leader(), Some(2));
}

#[test]
fn what_is_written_at_one_member_is_read_at_the_others() {
    let mut cluster = three();
    for writer in 0..3 {
        let (conn, session) = cluster.attach(writer, SessionId::NONE, 10_000);
        assert!(session.is_some_and(|session| session.0 >> 56 == writer as i64 + 1), "an id of this server");
        let path = format!("/from-{writer}");
        let answers = cluster.ask(writer, conn, &[create(1, &path, b"x", 0), set(2, &path, b"y"), delete(3, "/none")]);
        let errors: Vec<i32> = answers.iter().map(|answer| answer.err).collect();
        assert_eq!(errors, [0, 0, -101]);
        for reader in 0..3 {
            let (conn, _) = cluster.attach(reader, SessionId::NONE, 10_000);
            let answers =
                cluster.ask(reader, conn, &[of_path(1, OpCode::Sync, "/"), read(2, OpCode::GetData, &path, false)]);
            assert_eq!(answers[1].err, 0);
            assert_eq!(answers[1].body[..5], [0, 0, 0, 1, b'y']);
        }
    }
    assert_eq!(cluster.zxid_and_digest(0), cluster.zxid_and_digest(1));
    assert_eq!(cluster.zxid_and_digest(1), cluster.zxid_and_digest(2));
}

#[test]
fn reads_and_syncs_keep_their_place_between_writes_at_a_follower() {
    reads_and_syncs_keep_their_place(0);
}

#[test]
fn reads_and_syncs_keep_their_place_between_writes_at_the_leader() {
    reads_and_syncs_keep_their_place(2);
}

fn reads_and_syncs_keep_their_place(server: usize) {
    let mut cluster = three();
    let (conn, _) = cluster.attach(server, SessionId::NONE, 10_000);
    let frames: Vec<Vec<u8>> = (0..50)
        .flat_map(|turn| {
            let path = format!("/n{turn}");
            [
                create(4 * turn + 1, &path, b"", 0),
                read(4 * turn + 2, OpCode::GetData, &path, false),
                of_path(4 * turn + 3, OpCode::Sync, &path),
                read(4 * turn + 4, OpCode::Exists, &path, false),
            ]
        })
        .collect();
    let answers = cluster.ask(server, conn, &frames);
    assert_eq!(answers.iter().map(|answer| answer.xid).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.err == 0));
    assert!(answers.windows(2).all(|pair| pair[0].zxid <= pair[1].zxid));
}

#[test]
fn a_session_moves_between_members_and_its_ephemerals_live_with_it() {
    let mut cluster = three();
    let (conn, session) = cluster.attach(0, SessionId::NONE, 10_000);
    let session = session.unwrap();
    assert_eq!(cluster.ask(0, conn, &[create(1, "/e", b"", 1)])[0].err, 0);
    for server in [1, 2, 0, 2] {
        let (conn, answer) = cluster.attach(server, session, 10_000);
        assert_eq!(answer, Some(session), "server {server}");
        assert_eq!(cluster.ask(server, conn, &[set(1, "/e", b"")])[0].err, 0, "server {server}");
    }
    // The last one holds it; what comes through an older connection is refused and that connection closed.
    let (conn, answer) = cluster.attach(1, SessionId(12345), 10_000);
    assert_eq!(answer, Some(SessionId::NONE), "nobody knows this session");
    let _ = conn;
}

#[test]
fn a_silent_session_ends_everywhere_and_a_pinging_one_lives() {
    let mut cluster = three();
    let (silent, session) = cluster.attach(0, SessionId::NONE, 4_000);
    assert_eq!(cluster.ask(0, silent, &[create(1, "/silent", b"", 1)])[0].err, 0);
    let (loud, _) = cluster.attach(1, SessionId::NONE, 4_000);
    assert_eq!(cluster.ask(1, loud, &[create(1, "/loud", b"", 1)])[0].err, 0);
    for _ in 0..12 {
        cluster.advance(1_000);
        assert_eq!(cluster.ask(1, loud, &[super::client::ping()]).len(), 1);
    }
    for server in 0..3 {
        let (conn, _) = cluster.attach(server, SessionId::NONE, 10_000);
        let frames = [read(1, OpCode::Exists, "/silent", false), read(2, OpCode::Exists, "/loud", false)];
        let answers = cluster.ask(server, conn, &frames);
        assert_eq!((answers[0].err, answers[1].err), (-101, 0), "server {server}");
        let (_, answer) = cluster.attach(server, session.unwrap(), 4_000);
        assert_eq!(answer, Some(SessionId::NONE), "the session is over on server {server}");
    }
}

#[test]
fn the_leader_dies_and_nothing_acknowledged_is_lost() {
    let mut cluster = three();
    let mut names = Vec::new();
    for round in 0..6 {
        let leader = cluster.leader().unwrap();
        let writer = (leader + 1) % 3;
        let (conn, _) = cluster.attach(writer, SessionId::NONE, 30_000);
        for number in 0..5 {
            let path = format!("/r{round}-{number}");
            assert_eq!(cluster.ask(writer, conn, &[create(number, &path, b"", 0)])[0].err, 0);
            names.push(path);
        }
        cluster.crash(leader);
        cluster.settle();
        cluster.advance(2_000);
        let next = cluster.leader().expect("two of three lead on");
        assert_ne!(next, leader);
        cluster.start(leader);
        cluster.advance(2_000);
        assert!((0..3).all(|index| cluster.is_serving(index)), "round {round}");
        for server in 0..3 {
            let (conn, _) = cluster.attach(server, SessionId::NONE, 10_000);
            let frames: Vec<Vec<u8>> = names.iter().map(|path| read(1, OpCode::Exists, path, false)).collect();
            assert!(cluster.ask(server, conn, &frames).iter().all(|answer| answer.err == 0), "server {server}");
        }
    }
    assert_eq!(cluster.zxid_and_digest(0), cluster.zxid_and_digest(1));
    assert_eq!(cluster.zxid_and_digest(1), cluster.zxid_and_digest(2));
}

#[test]
fn alone_nobody_serves() {
    let mut cluster = three();
    let leader = cluster.leader().unwrap();
    let (conn, _) = cluster.attach(leader, SessionId::NONE, 10_000);
    cluster.crash((leader + 1) % 3);
    cluster.crash((leader + 2) % 3);
    cluster.advance(15_000);
    assert_eq!(cluster.leader(), None);
    cluster.send(leader, conn, &[create(1, "/x", b"", 0)]);
    cluster.settle();
    assert_eq!(cluster.received(leader, conn), []);
    cluster.start((leader + 1) % 3);
    cluster.advance(3_000);
    assert!(cluster.leader().is_some(), "two of three serve again");
}

#[test]
fn what_is_committed_when_a_role_ends_is_applied() {
    let mut cluster = three();
    let (conn, _) = cluster.attach(0, SessionId::NONE, 30_000);
    cluster.send(0, conn, &[create(1, "/x", b"", 0)]);
    let committed = cluster.until_unapplied(0);
    assert!(cluster.is_serving(0));
    cluster.crash(cluster.leader().unwrap());
    assert!(!cluster.is_serving(0), "without its leader the role is over");
    assert_eq!(cluster.zxid_and_digest(0).0, committed);
}

#[test]
fn a_sync_at_a_leader_whose_epoch_has_no_transaction_yet_is_answered() {
    let mut cluster = three();
    let old = cluster.leader().unwrap();
    let follower = (old + 1) % 3;
    let (_, session) = cluster.attach(follower, SessionId::NONE, 30_000);
    cluster.crash(old);
    cluster.advance(3_000);
    let new = cluster.leader().unwrap();
    let (conn, session) = cluster.attach(new, session.unwrap(), 30_000);
    assert!(session.is_some());
    assert_eq!(cluster.ask(new, conn, &[of_path(1, OpCode::Sync, "/")]).len(), 1);
    let answers = cluster.ask(new, conn, &[of_path(2, OpCode::Sync, "/"), create(3, "/a", b"", 0)]);
    assert_eq!(answers.iter().map(|answer| answer.err).collect::<Vec<_>>(), [0, 0]);
}

/// DEV-18: what is read behind a sync is not older than the sync.
#[test]
fn a_leader_that_is_cut_off_answers_no_sync() {
    let mut cluster = three();
    let old = cluster.leader().unwrap();
    let (conn, _) = cluster.attach(old, SessionId::NONE, 30_000);
    assert_eq!(cluster.ask(old, conn, &[create(1, "/a", b"old", 0), of_path(2, OpCode::Sync, "/a")]).len(), 2);
    cluster.cut_off(old);
    let read_behind_sync = [of_path(3, OpCode::Sync, "/a"), read(4, OpCode::GetData, "/a", false)];
    cluster.send(old, conn, &read_behind_sync);
    for _ in 0..60 {
        cluster.advance(500);
        assert_eq!(cluster.received(old, conn), []);
    }
    assert!(!cluster.is_open(old, conn));
    let next = (0..3).filter(|server| *server != old).find(|server| cluster.is_serving(*server)).expect("two of three");
    let (conn, _) = cluster.attach(next, SessionId::NONE, 30_000);
    assert_eq!(cluster.ask(next, conn, &[set(1, "/a", b"new")])[0].err, 0);
}
