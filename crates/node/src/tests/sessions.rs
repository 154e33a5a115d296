//! Sessions: made, moved, closed, expired, swept (client-protocol.md sections 3, 4 and 16; rules.md 1.5 and 1.8).

use super::client::*;
use crate::harness::Harness;
use crate::{CloseReason, NodeConfig, NodeEvent};
use ostler_model::{OpCode, SessionId, Txn, Zxid, session_password};

#[test]
fn sessions_count_up_from_server_and_time() {
    let mut harness = Harness::standard(1);
    let (_, first) = harness.session(0);
    let (_, second) = harness.session(0);
    assert_eq!(first, SessionId::first_of(1, harness.now.wall_ms));
    assert_eq!(second.0, first.0 + 1);
    assert_eq!(harness.tree.session_timeout_ms(first), Some(10_000));
}

#[test]
fn a_session_moves_and_its_old_connection_is_closed() {
    for shard in [0, 1] {
        let mut harness = Harness::standard(2);
        let (old, session) = harness.session(0);
        let (new, answer) = harness.reattach(shard, session);
        assert_eq!((answer.session, answer.timeout_ms), (session, 10_000));
        assert_eq!(answer.password, session_password(session));
        assert!(harness.is_closed(old) && !harness.is_closed(new));
        harness.must(new, create(1, "/a", b"", 1));
        assert_eq!(harness.replica.session_conn(session), Some(new));
    }
}

#[test]
fn a_wrong_password_closes_the_old_connection_but_not_the_session() {
    let mut harness = Harness::standard(1);
    let (old, session) = harness.session(0);
    let liar = harness.open(0);
    let answer = harness.attach(liar, session, [1; 16]);
    assert_eq!((answer.session, answer.timeout_ms, answer.password), (SessionId::NONE, 0, [0; 16]));
    assert!(harness.is_closed(old) && harness.is_closed(liar));
    let (new, answer) = harness.reattach(0, session);
    assert_eq!(answer.session, session);
    harness.must(new, create(1, "/a", b"", 1));
}

#[test]
fn an_unknown_session_gets_the_expired_answer() {
    let mut harness = Harness::standard(1);
    let (conn, answer) = harness.reattach(0, SessionId(77));
    assert_eq!((answer.session, answer.timeout_ms, answer.password), (SessionId::NONE, 0, [0; 16]));
    assert!(harness.is_closed(conn));
}

#[test]
fn what_the_old_connection_still_sends_is_not_done() {
    let mut harness = Harness::standard(2);
    let (old, session) = harness.session(0);
    // Its request is with the replica's shard, not yet delivered, when the session moves.
    harness.send(old, &create(1, "/late", b"", 0));
    harness.turn(0);
    let new = harness.open(1);
    harness.send(new, &handshake(session, session_password(session), 10_000, 0));
    harness.turn(1);
    harness.deliver(1, 10);
    harness.run();
    assert!(harness.is_closed(old));
    assert!(harness.tree.node("/late").is_none());
    assert_eq!(harness.shards[0].stats().outstanding, 0);
    assert_eq!(payloads(&harness.receive(new)).len(), 1);
    harness.must(new, create(1, "/a", b"", 0));
}

#[test]
fn closing_tells_of_own_ephemerals_then_replies_then_ends() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    harness.must(conn, create(1, "/e", b"", 1));
    harness.must(conn, read(2, OpCode::GetData, "/e", true));
    let replies = harness.ask(conn, &[create(3, "/p", b"", 0), close(4), create(5, "/dropped", b"", 0)]);
    let seen: Vec<(i32, i64, i32)> = replies.iter().map(|reply| (reply.xid, reply.zxid, reply.err)).collect();
    assert_eq!(seen, [(3, 3, 0), (-1, 4, 0), (4, 4, 0)]);
    assert_eq!(replies[1].event(), (2, "/e".to_owned()));
    assert!(harness.is_closed(conn));
    assert!(harness.tree.node("/dropped").is_none() && harness.tree.node("/e").is_none());
    assert_eq!(harness.tree.session_timeout_ms(session), None);
    assert_eq!(harness.replica.stats().sessions, 0);
    let (_, answer) = harness.reattach(0, session);
    assert_eq!(answer.session, SessionId::NONE);
}

#[test]
fn a_silent_session_expires_without_a_message_and_a_pinging_one_does_not() {
    let mut harness = Harness::standard(1);
    let (silent, lost) = harness.session(0);
    let (alive, kept) = harness.session(0);
    harness.must(silent, create(1, "/e", b"", 1));
    for _ in 0..20 {
        harness.advance(1_000);
        assert_eq!(harness.one(alive, ping()).xid, -2);
    }
    assert!(harness.is_closed(silent) && !harness.is_closed(alive));
    assert_eq!(harness.receive(silent), b"");
    assert!(harness.tree.node("/e").is_none());
    assert_eq!((harness.tree.session_timeout_ms(lost), harness.tree.session_timeout_ms(kept)), (None, Some(10_000)));
    let expired = NodeEvent::SessionExpired { session: lost, timeout_ms: 10_000 };
    assert!(harness.events.contains(&expired));
    let closed = |event: &NodeEvent| matches!(event, NodeEvent::ConnectionClosed { reason: CloseReason::Expired, .. });
    assert!(harness.events.iter().any(closed));
    assert_eq!(harness.replica.stats().expired, 1);
}

/// Found by the simulation: a client that had just come back and proved who it is was taken for silent.
#[test]
fn a_client_that_says_who_it_is_was_heard() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    for _ in 0..20 {
        harness.advance(1_000);
        let reply = harness.one(conn, auth(-4, "digest", b"ann:secret"));
        assert_eq!((reply.xid, reply.err), (-4, 0));
    }
    assert!(!harness.is_closed(conn));
    assert_eq!(harness.tree.session_timeout_ms(session), Some(10_000));
}

#[test]
fn expiry_comes_between_timeout_and_timeout_plus_tick() {
    let mut harness = Harness::standard(1);
    let (_, session) = harness.session(0);
    let start_ms = harness.now.mono_ms;
    while harness.tree.session_timeout_ms(session).is_some() {
        harness.advance(100);
    }
    let lived_ms = harness.now.mono_ms - start_ms;
    assert!((10_000..=12_100).contains(&lived_ms), "{lived_ms}");
}

#[test]
fn a_process_that_stood_still_expires_nobody_whose_ping_waits() {
    let mut harness = Harness::standard(2);
    let (waiting, kept) = harness.session(0);
    let (other, _) = harness.session(1);
    let (_, silent) = harness.session(1);
    let (gone, unattached) = harness.session(1);
    harness.shards[1].broken(gone);
    harness.run();
    // SIGSTOP for one and a half time-outs; the pings of two clients wait in their sockets, and a third client has
    // connected anew: its handshake waits, too.
    harness.jump(15_000);
    harness.tick();
    harness.turn(0);
    harness.turn(1);
    harness.deliver(0, 10);
    harness.send(waiting, &ping());
    harness.send(other, &ping());
    harness.tick();
    harness.turn(0);
    harness.turn(1);
    let back = harness.open(1);
    harness.send(back, &handshake(unattached, session_password(unattached), 10_000, 0));
    harness.run();
    assert_eq!((harness.replies(waiting).len(), harness.replies(other).len()), (1, 1));
    assert_eq!(harness.tree.session_timeout_ms(kept), Some(10_000));
    assert_eq!(payloads(&harness.receive(back)).len(), 1);
    assert!(!harness.is_closed(back) && !harness.is_closed(waiting) && !harness.is_closed(other));
    assert_eq!(harness.tree.session_timeout_ms(unattached), Some(10_000));
    // The one that really was silent goes.
    harness.advance(2_000);
    assert_eq!(harness.tree.session_timeout_ms(silent), None);
}

#[test]
fn sessions_survive_a_restart_with_a_fresh_time_out() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    harness.must(conn, create(1, "/e", b"", 1));
    let zxid = harness.tree.zxid();
    let mut harness = Harness::with_tree(NodeConfig::default(), harness.tree);
    let (conn, answer) = harness.reattach(0, session);
    assert_eq!(answer.session, session);
    let reply = harness.must(conn, create(2, "/p", b"", 0));
    assert_eq!(reply.zxid, zxid.0 + 1, "zxids go on");
    harness.shards[0].broken(conn);
    harness.advance(14_000);
    assert!(harness.tree.node("/e").is_none(), "and it expires like any other");
}

#[test]
fn a_session_with_very_many_ephemerals_is_emptied_first() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    let count = 10_500;
    harness.ask(conn, &(0..count).map(|at| create(at, &format!("/e{at}"), b"", 1)).collect::<Vec<_>>());
    assert_eq!(harness.tree.ephemerals_count(), count as usize);
    // Two more are pending when the session closes.
    let replies = harness.ask(conn, &[create(1, "/x", b"", 1), create(2, "/y", b"", 1), close(3)]);
    assert_eq!(replies.iter().map(|reply| (reply.xid, reply.err)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 0)]);
    assert!(harness.is_closed(conn));
    assert_eq!(harness.tree.ephemerals_count(), 0);
    assert_eq!(harness.tree.session_timeout_ms(session), None);
    let largest = harness.log.iter().map(|append| append.record.len()).max();
    assert!(largest < Some(1_000), "{largest:?}: no transaction names them all");
}

#[test]
fn a_listless_end_of_a_session_carries_no_digest() {
    for (close_session_paths, length_of_end) in [(true, 32 + 4 + 4 + 2 + 12), (false, 32)] {
        let mut config = NodeConfig::default();
        config.policy.close_session_paths = close_session_paths;
        let mut harness = Harness::new(config);
        let (conn, _) = harness.session(0);
        harness.must(conn, create(1, "/e", b"", 1));
        harness.must(conn, close(2));
        let records: Vec<usize> = harness.log.iter().map(|append| append.record.len()).collect();
        assert_eq!(records.last(), Some(&length_of_end), "header, list, digest: {records:?}");
        assert!(harness.tree.node("/e").is_none());
    }
}

#[test]
fn ten_thousand_ephemerals_go_in_one_transaction() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.ask(conn, &(0..10_000).map(|at| create(at, &format!("/e{at}"), b"", 1)).collect::<Vec<_>>());
    let before = harness.log.len();
    harness.must(conn, close(1));
    assert_eq!(harness.log.len(), before + 1);
}

#[test]
fn containers_and_ttl_nodes_are_swept() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.must(conn, create_as(1, OpCode::CreateContainer, "/used", b"", 4));
    harness.must(conn, create_as(1, OpCode::CreateContainer, "/unused", b"", 4));
    harness.must(conn, create(1, "/used/c", b"", 0));
    harness.must(conn, delete(1, "/used/c"));
    let ttl = frame(1, OpCode::CreateTtl, |frame| {
        put_create(frame, "/ttl", b"", 5);
        frame.long(5_000);
    });
    harness.must(conn, ttl);
    harness.must(conn, read(1, OpCode::Exists, "/ttl", true));
    for _ in 0..70 {
        harness.advance(1_000);
        harness.ask(conn, &[ping()]);
    }
    assert!(harness.tree.node("/used").is_none() && harness.tree.node("/ttl").is_none());
    assert!(harness.tree.node("/unused").is_some(), "never used: never swept by default");
    let swept: Vec<(SessionId, i32)> = harness
        .log
        .iter()
        .map(|append| ostler_wire::txn::decode(&append.record, 1 << 20).unwrap())
        .filter(|record| matches!(record.txn, Txn::DeleteContainer { .. }))
        .map(|record| (record.header.session, record.header.cxid))
        .collect();
    assert_eq!(swept, [(SessionId::NONE, 0); 2]);
}

#[test]
fn the_zxid_counter_continues_in_a_new_epoch_when_it_is_used_up() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.replica.set_last_proposed(Zxid::new(0, u32::MAX - 1));
    harness.send(conn, &[create(1, "/a", b"", 0), create(2, "/b", b"", 0)].concat());
    harness.turn(0);
    harness.deliver(0, 10);
    let appends = harness.replica.take_appends();
    let zxids: Vec<Zxid> = appends.iter().map(|append| append.zxid).collect();
    assert_eq!(zxids, [Zxid::new(0, u32::MAX), Zxid::new(1, 1)]);
}

#[test]
fn a_clock_that_went_back_makes_no_second_session_of_one_id() {
    let mut harness = Harness::standard(1);
    let (_, first) = harness.session(0);
    let mut harness = Harness::with_tree(NodeConfig::default(), harness.tree);
    let (_, second) = harness.session(0);
    assert_eq!(second.0, first.0 + 1, "the first id is taken by the recovered session");
}

#[test]
fn a_client_whose_request_waits_in_the_server_does_not_expire() {
    let mut harness = Harness::new(NodeConfig { outstanding_max: 1, ..NodeConfig::default() });
    let (first, _) = harness.session(0);
    let (second, kept) = harness.session(0);
    // The disk stands still: the first write takes the only credit, the second waits as bytes in its connection.
    harness.send(first, &create(1, "/a", b"", 0));
    harness.send(second, &create(1, "/b", b"", 0));
    for _ in 0..150 {
        harness.jump(100);
        harness.turn(0);
        harness.deliver(0, 10);
        harness.tick();
    }
    harness.run();
    assert_eq!(harness.replies(second).iter().map(|reply| reply.err).collect::<Vec<_>>(), [0]);
    assert_eq!(harness.tree.session_timeout_ms(kept), Some(10_000));
}

/// Found by the simulation: the answer to the late request overtook the write before it.
#[test]
fn what_comes_while_the_session_ends_is_dropped_in_its_place() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    // A write waits for the disk while the session expires.
    harness.send(conn, &create(1, "/a", b"", 0));
    harness.turn(0);
    harness.deliver(0, 10);
    for _ in 0..10 {
        harness.jump(2_000);
        harness.tick();
        let mut outbox = crate::Outbox::default();
        // The sockets are read, and there is nothing in them.
        harness.shards[0].turn(harness.now, &harness.tree, &mut harness.streams[0], &mut outbox);
        harness.submits[0].extend(outbox.submits);
        harness.deliver(0, 10);
    }
    harness.send(conn, &[create(2, "/late", b"", 0), read(3, OpCode::GetData, "/a", false)].concat());
    harness.run();
    assert!(harness.tree.node("/a").is_some() && harness.tree.node("/late").is_none());
    assert!(harness.is_closed(conn) && harness.tree.session_timeout_ms(session).is_none());
    assert_eq!(harness.shards[0].stats().outstanding, 0);
}

/// Found by the simulation (three servers, seed 91): the answer to a ping overtook a write that was dropped.
#[test]
fn nothing_is_answered_behind_what_was_dropped() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let turn = |harness: &mut Harness| {
        harness.turn(0);
        harness.deliver(0, 10);
        harness.turn(0);
    };
    // The end of the session is proposed and waits for the disk.
    for _ in 0..10 {
        harness.jump(2_000);
        harness.tick();
        turn(&mut harness);
    }
    harness.send(conn, &create(1, "/late", b"", 0));
    turn(&mut harness);
    harness.send(conn, &[ping(), read(2, OpCode::GetData, "/", false)].concat());
    turn(&mut harness);
    harness.flush(0);
    assert!(!harness.is_closed(conn), "the end is not durable yet");
    assert_eq!(harness.receive(conn), b"");
    harness.run();
    assert!(harness.is_closed(conn) && harness.receive(conn).is_empty());
}

/// Found by the simulation: a request that waited for a credit did not count as a sign of life.
#[test]
fn requests_that_were_read_keep_the_session_alive_though_their_connection_broke() {
    let config = NodeConfig { outstanding_max: 1, ..NodeConfig::default() };
    let mut harness = Harness::new(config);
    let (busy, _) = harness.session(0);
    let (conn, session) = harness.session(0);
    harness.advance(9_000);
    // The only credit is taken, so that the other request waits.
    harness.send(busy, &create(1, "/a", b"", 0));
    harness.turn(0);
    harness.send(conn, &create(1, "/b", b"", 0));
    harness.turn(0);
    harness.shards[0].broken(conn);
    harness.advance(9_000);
    assert!(harness.tree.session_timeout_ms(session).is_some(), "it was heard of 9 of 10 seconds ago");
}

/// Found by the simulation: the shard took its own time for that of the answer, so that requests in its tick moved nothing.
#[test]
fn a_request_directly_behind_a_late_answer_to_the_handshake_counts() {
    for offset_ms in (0..2_000).step_by(100) {
        let mut harness = Harness::standard(1);
        let (_, session) = harness.session(0);
        harness.advance(offset_ms);
        let conn = harness.open(0);
        harness.send(conn, &handshake(session, session_password(session), 10_000, 0));
        harness.turn(0);
        harness.deliver(0, 10);
        harness.jump(300);
        harness.turn(0);
        harness.flush(0);
        assert_eq!(payloads(&harness.receive(conn)).len(), 1);
        assert_eq!(harness.one(conn, ping()).xid, -2);
        harness.shards[0].broken(conn);
        harness.advance(9_900);
        assert!(
            harness.tree.session_timeout_ms(session).is_some(),
            "{offset_ms}: it was heard of 9.9 of 10 seconds ago"
        );
    }
}
