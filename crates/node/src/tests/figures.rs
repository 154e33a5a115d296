//! What is measured is what happened: latencies, sizes of replies, watchers told, waits.

use super::client::*;
use crate::harness::Harness;
use crate::{NodeConfig, Now, ResponseSizes, Summary};
use ostler_model::{OpCode, SessionId};

fn one(value: u64) -> Summary {
    Summary { count: 1, sum: value, min: value, max: value }
}

#[test]
fn a_write_is_as_old_as_its_wait_and_a_read_as_old_as_its_turn() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    assert_eq!(harness.shards[0].update_latency().summary(), one(0), "the new session");
    assert_eq!(harness.shards[0].read_latency().summary().count, 0);
    // A write that the disk takes after 70 ms.
    harness.send(conn, &create(1, "/a", b"", 0));
    harness.turn(0);
    harness.deliver(0, 9);
    harness.jump(70);
    harness.run();
    assert_eq!(harness.replies(conn).len(), 1);
    harness.must(conn, read(2, OpCode::GetData, "/a", false));
    let shard = &harness.shards[0];
    let updates = shard.update_latency();
    assert_eq!((updates.summary().count, updates.summary().max, updates.percentile(990)), (2, 70, 70));
    assert_eq!(shard.read_latency().summary(), one(0));
    assert_eq!(harness.replica.propagation().summary(), Summary { count: 2, sum: 70, min: 0, max: 70 });
    // A turn of 30 ms: its read is that old, for the shard and for the connection.
    harness.send(conn, &read(3, OpCode::GetData, "/a", false));
    harness.turn(0);
    let later = Now { mono_ms: harness.now.mono_ms + 30, ..harness.now };
    harness.shards[0].settle(later);
    harness.flush(0);
    assert_eq!(harness.replies(conn).len(), 1);
    let shard = &harness.shards[0];
    assert_eq!(shard.read_latency().summary(), Summary { count: 2, sum: 30, min: 0, max: 30 });
    assert_eq!(shard.stats().latency_ms, Summary { count: 4, sum: 100, min: 0, max: 70 });
    let stats = shard.connections()[0];
    assert_eq!((stats.last_latency_ms, stats.max_latency_ms, stats.avg_latency_ms), (30, 70, 25));
    // The next turn is not the slow one.
    harness.must(conn, read(4, OpCode::GetData, "/a", false));
    assert_eq!(harness.shards[0].connections()[0].last_latency_ms, 0);
}

#[test]
fn sizes_of_replies_are_apaches() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    // Handshakes are not counted.
    assert_eq!(harness.shards[0].stats().response_sizes, None);
    harness.must(conn, ping());
    let stats = harness.shards[0].stats();
    assert_eq!(stats.response_sizes, Some(ResponseSizes { last: 16, min: 16, max: 16 }));
    assert_eq!(stats.response_bytes, 0, "pings are left out");
    // The numbers that Apache 3.9.3 gave for the same requests.
    harness.must(conn, create(1, "/ro", b"x", 0));
    harness.one(conn, create(2, "/no/x", b"x", 0));
    harness.must(conn, create(3, "/a", b"xyz", 0));
    let stats = harness.shards[0].stats();
    assert_eq!(stats.response_sizes, Some(ResponseSizes { last: 22, min: 16, max: 23 }));
    assert_eq!(stats.response_bytes, 61);
    harness.must(conn, read(4, OpCode::GetData, "/a", true));
    harness.ask(conn, &[set(5, "/a", b"1")]);
    let stats = harness.shards[0].stats();
    assert_eq!(stats.response_sizes, Some(ResponseSizes { last: 84, min: 16, max: 91 }));
    assert_eq!((stats.response_bytes, stats.watch_bytes), (236, 30));
}

#[test]
fn watchers_of_each_kind_of_event_are_counted() {
    let mut harness = Harness::standard(1);
    let (writer, _) = harness.session(0);
    let (first, _) = harness.session(0);
    let (second, _) = harness.session(0);
    harness.must(writer, create(1, "/unwatched", b"", 0));
    for conn in [first, second] {
        harness.one(conn, read(1, OpCode::Exists, "/a", true));
        harness.must(conn, read(2, OpCode::GetChildren, "/", true));
    }
    harness.must(writer, create(2, "/a", b"", 0));
    assert_eq!(harness.replies(first).len(), 2, "both events");
    harness.must(first, read(3, OpCode::GetData, "/a", true));
    harness.must(writer, set(3, "/a", b"1"));
    assert_eq!(harness.replies(first).len(), 1);
    harness.must(first, of_path_and_int(4, OpCode::AddWatch, "/a", 0));
    harness.must(writer, delete(4, "/a"));
    let stats = harness.shards[0].stats();
    let two = Summary { count: 1, sum: 2, min: 2, max: 2 };
    assert_eq!((stats.created_watchers, stats.children_watchers), (two, two));
    assert_eq!((stats.changed_watchers, stats.deleted_watchers), (one(1), one(1)));
}

#[test]
fn waits_for_a_credit_are_measured() {
    let mut harness = Harness::new(NodeConfig { outstanding_max: 1, ..NodeConfig::default() });
    let (conn, _) = harness.session(0);
    harness.send(conn, &[create(1, "/a", b"", 0), create(2, "/b", b"", 0)].concat());
    harness.turn(0);
    harness.deliver(0, 9);
    harness.jump(40);
    harness.run();
    let waits = harness.shards[0].request_waits();
    assert_eq!(waits.summary(), Summary { count: 2, sum: 40, min: 0, max: 40 });
    assert_eq!(harness.shards[0].stats().throttle_waits, 0, "only the throttle's own waits count there");
}

#[test]
fn peers_that_leave_without_closing_are_drops_and_late_answers_are_stale() {
    let mut harness = Harness::standard(1);
    let (orderly, _) = harness.session(0);
    harness.must(orderly, close(1));
    assert_eq!(harness.shards[0].stats().dropped, 0);
    let (hung_up, _) = harness.session(0);
    harness.hang_up(hung_up);
    harness.run();
    assert_eq!(harness.shards[0].stats().dropped, 1);
    let (broken, _) = harness.session(0);
    harness.send(broken, &create(1, "/a", b"", 0));
    harness.turn(0);
    harness.deliver(0, 9);
    harness.shards[0].broken(broken);
    harness.run();
    let stats = harness.shards[0].stats();
    assert_eq!((stats.dropped, stats.stale_replies), (2, 1));
}

#[test]
fn ensemble_names_are_counted_by_outcome() {
    let mut config = NodeConfig { ensemble_names: vec!["foo".to_owned()], ..NodeConfig::default() };
    config.policy.schemes.ensemble = true;
    let mut harness = Harness::new(config);
    let (conn, _) = harness.session(0);
    harness.must(conn, auth(1, "ensemble", b"foo"));
    harness.must(conn, auth(2, "ensemble", b""));
    assert!(harness.ask(conn, &[auth(3, "ensemble", b"bar")]).is_empty() && harness.is_closed(conn));
    let stats = harness.shards[0].stats();
    assert_eq!((stats.ensemble_auth_success, stats.ensemble_auth_skip, stats.ensemble_auth_fail), (1, 1, 1));
}

#[test]
fn a_reset_clears_everything_but_what_is() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    harness.must(conn, create(1, "/a", b"", 0));
    harness.must(conn, read(2, OpCode::GetData, "/a", true));
    assert_ne!(session, SessionId::NONE);
    harness.shards[0].reset_stats();
    harness.replica.reset_stats();
    let stats = harness.shards[0].stats();
    assert_eq!((stats.packets_sent, stats.latency_ms.count, stats.response_sizes), (0, 0, None));
    assert_eq!((stats.connections, stats.watches), (1, 1));
    assert_eq!(harness.replica.stats().proposed, 0);
    assert_eq!(harness.replica.stats().sessions, 1);
    assert_eq!(harness.replica.propagation().summary().count, 0);
    assert_eq!(harness.shards[0].request_waits().summary().count, 0);
}
