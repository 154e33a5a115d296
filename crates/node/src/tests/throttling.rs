//! Clients slowed down or turned away as an operator asked for: requests, handshakes, large requests.

use super::client::*;
use crate::harness::Harness;
use crate::{
    CloseReason, ConnId, ConnectionThrottle, ConnectionWeights, LargeRequests, NodeConfig, NodeEvent, RequestThrottle,
};
use ostler_model::{OpCode, SessionId, Zxid};

const THROTTLED: i32 = -127;

fn with(edit: impl FnOnce(&mut NodeConfig)) -> Harness {
    let mut config = NodeConfig::default();
    edit(&mut config);
    Harness::new(config)
}

fn closed_because(harness: &Harness, conn: ConnId, wanted: CloseReason) -> bool {
    let is_it = |event: &NodeEvent| matches!(event, NodeEvent::ConnectionClosed { conn: of, reason, .. } if *of == conn && *reason == wanted);
    harness.events.iter().any(is_it)
}

/// Shards and replica, while the disk takes nothing.
fn turn_without_disk(harness: &mut Harness) {
    harness.turn(0);
    harness.deliver(0, usize::MAX);
    harness.turn(0);
}

fn codes(replies: &[Reply]) -> Vec<i32> {
    replies.iter().map(|reply| reply.err).collect()
}

#[test]
fn no_more_requests_are_under_way_than_the_throttle_allows() {
    let mut harness = with(|config| config.request_throttle.requests_max = 3);
    let (conn, _) = harness.session(0);
    harness.send(conn, &(1..=10).map(|xid| create(xid, &format!("/n{xid}"), b"", 0)).collect::<Vec<_>>().concat());
    turn_without_disk(&mut harness);
    assert_eq!(harness.shards[0].stats().outstanding, 3);
    assert_eq!(harness.replica.stats().outstanding, 3);
    harness.run();
    assert_eq!(codes(&harness.replies(conn)), [0; 10]);
    let stats = harness.shards[0].stats();
    assert!(stats.throttle_waits >= 1 && stats.throttled_ops == 0, "{stats:?}");
}

#[test]
fn an_operation_that_waited_too_long_is_refused_in_its_place() {
    let mut harness = with(|config| {
        config.request_throttle = RequestThrottle { requests_max: 1, wait_ms_max: 500, ..RequestThrottle::default() };
    });
    let (conn, session) = harness.session(0);
    harness.must(conn, create(1, "/a", b"0", 0));
    let before = harness.tree.zxid();
    let frames = [
        set(2, "/a", b"1"),
        set(3, "/a", b"2"),
        read(4, OpCode::GetData, "/a", true),
        of_path(5, OpCode::Sync, "/a"),
        ping(),
        close(7),
    ];
    harness.send(conn, &frames.concat());
    turn_without_disk(&mut harness);
    harness.jump(501);
    harness.run();
    let replies = harness.replies(conn);
    assert_eq!(replies.iter().map(|reply| reply.xid).collect::<Vec<_>>(), [2, 3, 4, 5, -2, 7], "in order");
    // Pings and closeSession are never refused.
    assert_eq!(codes(&replies), [0, THROTTLED, THROTTLED, THROTTLED, 0, 0]);
    let after = Zxid(before.0 + 1);
    assert_eq!(replies[1].zxid, after.0, "no transaction of its own");
    assert!(replies.iter().all(|reply| reply.err == 0 || reply.body.is_empty()));
    assert_eq!(harness.tree.node("/a").unwrap().data(), Some(&b"1"[..]));
    assert_eq!(harness.shards[0].stats().throttled_ops, 3);
    assert_eq!(harness.shards[0].stats().watches, 0, "a refused read leaves no watch");
    assert!(harness.replica.session_conn(session).is_none());
}

#[test]
fn requests_are_as_old_as_their_last_byte() {
    let mut harness = with(|config| config.request_throttle.wait_ms_max = 500);
    let (conn, _) = harness.session(0);
    let frame = create(1, "/a", b"", 0);
    // A slow sender is not a request that waits.
    harness.send(conn, &frame[..10]);
    harness.run();
    harness.jump(1_000);
    harness.send(conn, &frame[10..]);
    harness.run();
    assert_eq!(codes(&harness.replies(conn)), [0]);
    // Bytes that were read while the process did nothing else are old.
    harness.send(conn, &read(2, OpCode::Exists, "/a", false));
    harness.jump(501);
    harness.run();
    assert_eq!(codes(&harness.replies(conn)), [THROTTLED]);
    // What is no operation for clients gets its own answer.
    harness.send(conn, &raw_frame(3, 999, |_| {}));
    harness.jump(501);
    harness.run();
    assert_eq!(codes(&harness.replies(conn)), [-6]);
}

#[test]
fn a_stale_request_is_dropped_with_its_connection() {
    let stale = |drop_stale| {
        with(|config| {
            config.request_throttle =
                RequestThrottle { requests_max: 1, drop_stale, stale_latency_check: true, wait_ms_max: 0 };
        })
    };
    let mut harness = stale(true);
    let (conn, session) = harness.session(0);
    harness.send(conn, &[create(1, "/a", b"", 0), create(2, "/b", b"", 0)].concat());
    turn_without_disk(&mut harness);
    harness.jump(10_001);
    harness.run();
    assert!(harness.is_closed(conn) && closed_because(&harness, conn, CloseReason::StaleRequest));
    assert!(harness.tree.node("/a").is_some() && harness.tree.node("/b").is_none());
    let stats = harness.shards[0].stats();
    assert_eq!((stats.stale_requests, stats.stale_requests_dropped), (1, 1));
    assert!(harness.replica.stats().sessions == 1, "session {session} lives on");
    // Without dropping it is only counted.
    let mut harness = stale(false);
    let (conn, _) = harness.session(0);
    harness.send(conn, &[create(1, "/a", b"", 0), create(2, "/b", b"", 0)].concat());
    turn_without_disk(&mut harness);
    harness.jump(10_001);
    harness.run();
    assert_eq!(codes(&harness.replies(conn)), [0, 0]);
    let stats = harness.shards[0].stats();
    assert_eq!((stats.stale_requests, stats.stale_requests_dropped), (1, 0));
}

#[test]
fn handshakes_beyond_the_tokens_are_closed_without_an_answer() {
    let mut harness = with(|config| {
        config.connection_throttle = ConnectionThrottle {
            tokens_max: 5,
            fill_time_ms: 10_000_000,
            weights: ConnectionWeights { new_session: 2, renewal: 1 },
            ..ConnectionThrottle::default()
        };
    });
    let (first, session) = harness.session(0);
    harness.session(0);
    let late = harness.open(0);
    harness.send(late, &handshake(SessionId::NONE, [0; 16], 10_000, 0));
    harness.run();
    assert!(harness.is_closed(late) && harness.receive(late).is_empty());
    assert!(closed_because(&harness, late, CloseReason::ConnectionThrottle));
    // A renewal costs less, and the last token is enough.
    let (moved, answer) = harness.reattach(0, session);
    assert_eq!(answer.session, session);
    assert!(harness.is_closed(first) && !harness.is_closed(moved));
    let stats = harness.shards[0].stats();
    assert_eq!((stats.handshakes, stats.handshakes_throttled), (3, 1));
    let deficit = stats.token_deficit;
    assert_eq!((deficit.count, deficit.min, deficit.max), (3, 2, 5));
    // Time fills the bucket again.
    harness.jump(20_000_000);
    harness.run();
    harness.session(0);
}

#[test]
fn large_requests_have_a_bound_together() {
    let mut harness = with(|config| {
        config.large_requests = LargeRequests { above_bytes: Some(100), total_bytes_max: 500 };
    });
    let (one, _) = harness.session(0);
    let (two, _) = harness.session(0);
    let (three, _) = harness.session(0);
    // Under way: counted until it is answered.
    harness.send(one, &create(1, "/one", &[7; 250], 0));
    turn_without_disk(&mut harness);
    // The length alone decides, and small requests pass.
    let second = create(1, "/two", &[7; 250], 0);
    harness.send(two, &second[..4]);
    harness.send(three, &create(1, "/three", b"small", 0));
    turn_without_disk(&mut harness);
    assert!(closed_because(&harness, two, CloseReason::LargeRequest(second.len() - 4)));
    harness.run();
    assert!(harness.is_closed(two) && harness.receive(two).is_empty());
    assert_eq!(codes(&harness.replies(one)), [0]);
    assert_eq!(codes(&harness.replies(three)), [0]);
    assert_eq!(harness.shards[0].stats().large_requests_rejected, 1);
    // Answered, read, or gone with its connection: the room is free again.
    for round in 0..5 {
        let (conn, _) = harness.session(0);
        let frame = create(1, &format!("/n{round}"), &[7; 300], 0);
        harness.send(conn, &frame[..200]);
        turn_without_disk(&mut harness);
        if round % 2 == 0 {
            harness.shards[0].broken(conn);
        } else {
            harness.send(conn, &frame[200..]);
            harness.run();
            assert_eq!(codes(&harness.replies(conn)), [0]);
            harness.send(conn, &set(2, &format!("/n{round}"), &[8; 300]));
            turn_without_disk(&mut harness);
            harness.shards[0].broken(conn);
            harness.run();
        }
    }
    // A read that is answered at once gives its room back at once.
    let (reader, _) = harness.session(0);
    for xid in 1..=5 {
        assert_eq!(harness.one(reader, read(xid, OpCode::GetData, &"/x".repeat(150), false)).err, -101);
    }
    // Alone it may be as large as all together, not larger.
    let (conn, _) = harness.session(0);
    let overhead = create(1, "/last", b"", 0).len() - 4;
    harness.must(conn, create(1, "/last", &vec![1; 500 - overhead], 0));
    harness.send(conn, &create(2, "/over", &vec![1; 501 - overhead], 0));
    harness.run();
    assert!(harness.is_closed(conn) && harness.tree.node("/over").is_none());
}
