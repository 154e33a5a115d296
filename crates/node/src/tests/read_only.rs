//! Read-only mode: what a member without a quorum lets clients see, and that nothing of it reaches what is replicated.

use super::client::{close, create, of_path, of_path_and_int, ping, raw_frame, read, set};
use super::cluster::Cluster;
use ostler_model::{Dice, OpCode, SessionId, session_password};
use ostler_wire::client::{ConnectRequest, ConnectResponse};

/// Apache's code for it.
const NOT_READ_ONLY: i32 = -119;
/// From the loss of a leader until read-only mode: noticing takes syncLimit ticks, the mode waits for one more.
const UNTIL_READ_ONLY_MS: u64 = 15_000;

fn hello(session: SessionId, read_only: Option<bool>) -> Vec<u8> {
    let mut out = Vec::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: ostler_model::Zxid(0),
        timeout_ms: 10_000,
        session,
        password: session_password(session).to_vec(),
        read_only,
    }
    .encode(&mut out);
    out
}

/// Server 0 of three, alone after something was written; and a session that was made then.
fn alone(local_sessions: bool) -> (Cluster, SessionId) {
    let mut cluster = Cluster::read_only(3, local_sessions);
    (0..3).for_each(|index| cluster.start(index));
    cluster.settle();
    cluster.advance(1_000);
    let (conn, session) = cluster.attach(0, SessionId::NONE, 30_000);
    assert_eq!(cluster.ask(0, conn, &[create(1, "/a", b"x", 0), create(2, "/a/b", b"", 0)])[1].err, 0);
    cluster.crash(1);
    cluster.crash(2);
    cluster.advance(UNTIL_READ_ONLY_MS);
    assert!(cluster.is_read_only(0));
    (cluster, session.unwrap())
}

fn welcome(cluster: &mut Cluster) -> (crate::ConnId, ConnectResponse) {
    let (conn, answers) = cluster.dial(0, &hello(SessionId::NONE, Some(true)));
    assert_eq!(answers.len(), 1);
    (conn, ConnectResponse::decode(&answers[0]).unwrap())
}

#[test]
fn it_begins_two_seconds_after_the_search_for_a_leader_and_not_before() {
    let mut cluster = Cluster::read_only(3, false);
    cluster.start(0);
    cluster.advance(1_900);
    assert!(!cluster.is_read_only(0));
    let (early, answers) = cluster.dial(0, &hello(SessionId::NONE, Some(true)));
    let (writer, none) = cluster.dial(0, &hello(SessionId::NONE, Some(false)));
    assert!(answers.is_empty() && none.is_empty(), "both wait");
    assert!(cluster.is_open(0, early) && cluster.is_open(0, writer));
    cluster.advance(200);
    assert!(cluster.is_read_only(0) && !cluster.is_serving(0));
    assert!(cluster.is_open(0, early));
    assert!(!cluster.is_open(0, writer), "who wants to write looks elsewhere");
}

#[test]
fn without_the_setting_nobody_is_served() {
    let mut cluster = Cluster::new(3);
    cluster.start(0);
    cluster.advance(20_000);
    assert!(!cluster.is_read_only(0));
    assert_eq!(cluster.dial(0, &hello(SessionId::NONE, Some(true))).1, Vec::<Vec<u8>>::new());
}

#[test]
fn who_is_let_in() {
    let (mut cluster, global) = alone(false);
    let (conn, answer) = welcome(&mut cluster);
    assert_eq!((answer.timeout_ms, answer.read_only), (10_000, Some(true)));
    assert_eq!(answer.session.0 >> 56, 1, "an id of this server");
    assert_eq!(answer.password, session_password(answer.session));
    assert!(cluster.is_open(0, conn));
    for refused in [hello(SessionId::NONE, Some(false)), hello(SessionId::NONE, None), hello(global, Some(true))] {
        let (conn, answers) = cluster.dial(0, &refused);
        assert!(answers.is_empty() && !cluster.is_open(0, conn), "closed without a word");
    }
    let mut ahead = ConnectRequest::decode(&hello(SessionId::NONE, Some(true))[4..], 1 << 20).unwrap();
    ahead.last_zxid_seen = cluster.zxid_and_digest(0).0.next().unwrap();
    let mut bytes = Vec::new();
    ahead.encode(&mut bytes);
    let (conn, answers) = cluster.dial(0, &bytes);
    assert!(answers.is_empty() && !cluster.is_open(0, conn), "it has seen more than there is here");
}

#[test]
fn writes_are_refused_in_their_place_and_reads_answered() {
    let (mut cluster, _) = alone(false);
    let before = cluster.replicated(0);
    let (conn, _) = welcome(&mut cluster);
    let zxid = cluster.zxid_and_digest(0).0.0;
    let write = |xid, op: OpCode| raw_frame(xid, op.code(), |_| {});
    let answers = cluster.ask(
        0,
        conn,
        &[
            read(1, OpCode::GetData, "/a", true),
            create(2, "/new", b"", 1),
            read(3, OpCode::Exists, "/new", false),
            of_path(4, OpCode::Sync, "/"),
            set(5, "/a", b"y"),
            write(6, OpCode::Create2),
            write(7, OpCode::CreateContainer),
            write(8, OpCode::CreateTtl),
            write(9, OpCode::Delete),
            write(10, OpCode::SetAcl),
            write(11, OpCode::Multi),
            write(12, OpCode::Reconfig),
            write(13, OpCode::Check),
            write(14, OpCode::DeleteContainer),
            of_path_and_int(15, OpCode::AddWatch, "/", 1),
            raw_frame(16, OpCode::WhoAmI.code(), |_| {}),
            read(17, OpCode::GetChildren, "/a", false),
            of_path(18, OpCode::GetEphemerals, "/"),
            ping(),
        ],
    );
    let seen: Vec<(i32, i32)> = answers.iter().map(|answer| (answer.xid, answer.err)).collect();
    let mut expected = vec![(1, 0), (2, NOT_READ_ONLY), (3, -101)];
    expected.extend((4..=14).map(|xid| (xid, NOT_READ_ONLY)));
    expected.extend([(15, 0), (16, 0), (17, 0), (18, 0), (-2, 0)]);
    assert_eq!(seen, expected);
    assert!(answers.iter().all(|answer| answer.zxid == zxid));
    assert!(answers.iter().all(|answer| answer.err != NOT_READ_ONLY || answer.body.is_empty()), "no body");
    assert_eq!(cluster.replicated(0), before);
}

#[test]
fn closing_ends_a_session_of_this_server_and_only_that() {
    let (mut cluster, _) = alone(false);
    let before = cluster.replicated(0);
    let zxid = cluster.zxid_and_digest(0).0.0;
    let (conn, mine) = welcome(&mut cluster);
    let answers = cluster.ask(0, conn, &[close(1), read(2, OpCode::Exists, "/a", false)]);
    assert_eq!(answers.iter().map(|it| (it.xid, it.zxid, it.err)).collect::<Vec<_>>(), [(1, zxid, 0)]);
    assert!(!cluster.is_open(0, conn));
    // Without local sessions whatever nobody here knows to be global is taken, if the password is right.
    let (conn, answers) = cluster.dial(0, &hello(SessionId(5), Some(true)));
    assert_eq!(ConnectResponse::decode(&answers[0]).unwrap().session, SessionId(5));
    let answers = cluster.ask(0, conn, &[close(1), read(2, OpCode::Exists, "/a", false)]);
    assert_eq!(answers.iter().map(|it| it.err).collect::<Vec<_>>(), [NOT_READ_ONLY, 0], "it may be somebody's");
    let mut wrong = hello(SessionId(5), Some(true));
    wrong[40] ^= 1;
    let (other, answers) = cluster.dial(0, &wrong);
    let expired = ConnectResponse::decode(&answers[0]).unwrap();
    assert_eq!((expired.timeout_ms, expired.session, expired.read_only), (0, SessionId::NONE, Some(true)));
    assert!(!cluster.is_open(0, other) && !cluster.is_open(0, conn), "as everywhere: the old connection goes first");
    assert_ne!(mine.session, SessionId(5));
    assert_eq!(cluster.replicated(0), before);
}

#[test]
fn with_local_sessions_only_those_of_this_server_come_back() {
    let (mut cluster, _) = alone(true);
    let (first, mine) = welcome(&mut cluster);
    let (second, answers) = cluster.dial(0, &hello(mine.session, Some(true)));
    let again = ConnectResponse::decode(&answers[0]).unwrap();
    assert_eq!((again.session, again.read_only), (mine.session, Some(true)));
    assert!(!cluster.is_open(0, first) && cluster.is_open(0, second));
    assert_eq!(cluster.ask(0, second, &[close(1)])[0].err, 0);
    let (_, answers) = cluster.dial(0, &hello(SessionId(5), Some(true)));
    assert_eq!(ConnectResponse::decode(&answers[0]).unwrap().timeout_ms, 0, "expired");
}

#[test]
fn silent_clients_go_and_pinging_ones_stay() {
    let (mut cluster, _) = alone(true);
    let before = cluster.replicated(0);
    let (silent, gone) = welcome(&mut cluster);
    let (loud, _) = welcome(&mut cluster);
    for _ in 0..13 {
        cluster.advance(1_000);
        assert_eq!(cluster.ask(0, loud, &[ping()]).len(), 1);
    }
    assert!(!cluster.is_open(0, silent) && cluster.is_open(0, loud));
    let (_, answers) = cluster.dial(0, &hello(gone.session, Some(true)));
    assert_eq!(ConnectResponse::decode(&answers[0]).unwrap().timeout_ms, 0, "expired");
    assert_eq!(cluster.replicated(0), before);
}

#[test]
fn all_go_when_a_quorum_is_there_and_nothing_of_them_is_left() {
    let (mut cluster, global) = alone(false);
    let (conn, mine) = welcome(&mut cluster);
    assert_eq!(cluster.ask(0, conn, &[read(1, OpCode::GetData, "/a", true)])[0].err, 0);
    cluster.start(1);
    cluster.advance(3_000);
    assert!(cluster.is_serving(0) && cluster.is_serving(1) && !cluster.is_read_only(0));
    assert!(!cluster.is_open(0, conn));
    let (writer, answer) = cluster.attach(0, SessionId::NONE, 10_000);
    assert!(answer.is_some_and(|session| session != mine.session), "no id is given out twice");
    assert_eq!(cluster.ask(0, writer, &[set(1, "/a", b"y")])[0].err, 0);
    let (_, answer) = cluster.attach(1, mine.session, 10_000);
    assert_eq!(answer, Some(SessionId::NONE), "the ensemble never heard of it");
    let (_, answer) = cluster.attach(1, global, 10_000);
    assert_eq!(answer, Some(global), "the session that was there before lives");
    assert_eq!(cluster.zxid_and_digest(0), cluster.zxid_and_digest(1));
    cluster.crash(1);
    cluster.advance(UNTIL_READ_ONLY_MS);
    let (conn, _) = welcome(&mut cluster);
    let data = cluster.ask(0, conn, &[read(1, OpCode::GetData, "/a", false)]).remove(0).body;
    assert_eq!(data[..5], [0, 0, 0, 1, b'y'], "again, with what was written meanwhile");
}

#[test]
fn a_tree_that_is_no_state_of_the_history_is_shown_to_nobody() {
    let mut cluster = Cluster::read_only(3, false);
    cluster.start(0);
    cluster.unsettle(0);
    cluster.advance(10_000);
    assert!(!cluster.is_read_only(0));
    assert!(cluster.dial(0, &hello(SessionId::NONE, Some(true))).1.is_empty());
}

#[test]
fn whatever_clients_send_nothing_replicated_changes() {
    for seed in 0..30 {
        let (mut cluster, global) = alone(seed % 2 == 0);
        let before = cluster.replicated(0);
        let zxid = cluster.zxid_and_digest(0).0.0;
        let dice = &mut Dice::new(seed);
        let mut conns = Vec::new();
        let mut sessions = vec![SessionId::NONE, global, SessionId(77)];
        for step in 0..200 {
            match dice.index(8) {
                0 | 1 => {
                    let session = sessions[dice.index(sessions.len())];
                    let flag = [Some(true), Some(true), Some(false), None][dice.index(4)];
                    let (conn, answers) = cluster.dial(0, &hello(session, flag));
                    if let Some(answer) = answers.first().map(|answer| ConnectResponse::decode(answer).unwrap()) {
                        assert_eq!((flag, answer.read_only), (Some(true), Some(true)), "seed {seed}");
                        sessions.push(answer.session);
                        conns.push(conn);
                    }
                }
                2 => cluster.advance([10, 500, 3_000][dice.index(3)]),
                _ if conns.is_empty() => {}
                _ => {
                    let conn = conns[dice.index(conns.len())];
                    let frames: Vec<Vec<u8>> = (0..1 + dice.index(4))
                        .map(|_| {
                            let op = [
                                -11, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
                                100, 101, 103, 104, 105, 106, 107,
                            ][dice.index(30)];
                            let body: Vec<u8> = (0..dice.index(30)).map(|_| dice.index(4) as u8).collect();
                            match dice.index(4) {
                                0 => create(step, "/x", b"", dice.index(4) as i32),
                                1 => set(step, "/a", b""),
                                _ => raw_frame(step, op, |frame| body.iter().for_each(|byte| frame.bool(*byte > 0))),
                            }
                        })
                        .collect();
                    for answer in cluster.ask(0, conn, &frames) {
                        assert!([zxid, -1].contains(&answer.zxid), "seed {seed}, step {step}: {answer:?}");
                    }
                }
            }
            assert!(cluster.is_read_only(0));
            assert_eq!(cluster.replicated(0), before, "seed {seed}, step {step}");
        }
        cluster.start(2);
        cluster.advance(3_000);
        let (conn, _) = cluster.attach(0, SessionId::NONE, 10_000);
        assert_eq!(cluster.ask(0, conn, &[create(1, "/after", b"", 0)])[0].err, 0, "seed {seed}");
        assert_eq!(cluster.zxid_and_digest(0), cluster.zxid_and_digest(2), "seed {seed}");
    }
}
