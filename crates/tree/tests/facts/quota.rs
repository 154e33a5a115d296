//! Section 17, and the quota rows of section 20.

use super::*;

/// /wire/q with the bytes `data`, and a quota on it with these limits.
fn with_quota(data: &str, limits: &str) -> Server {
    let mut server = Server::new();
    server.policy.enforce_quota = true;
    server.make_with("/wire/q", data);
    server.make("/zookeeper/quota/wire");
    server.make("/zookeeper/quota/wire/q");
    server.make_with("/zookeeper/quota/wire/q/zookeeper_limits", limits);
    server.make_with("/zookeeper/quota/wire/q/zookeeper_stats", "count=0,bytes=0");
    server
}

const STATS: &str = "/zookeeper/quota/wire/q/zookeeper_stats";
const LIMITS: &str = "/zookeeper/quota/wire/q/zookeeper_limits";

#[test]
fn stats_are_initialised_and_follow_without_a_trace() {
    let mut server = with_quota("abc", "count=-1,bytes=-1");
    assert_eq!(server.text(STATS), "count=1,bytes=3");
    let before = server.stat(STATS);
    server.make_with("/wire/q/1", "four");
    assert_eq!(server.text(STATS), "count=2,bytes=7");
    assert_eq!(server.stat(STATS), before, "no version, no zxid, no time");
    assert!(server.changes.iter().all(|change| &*change.path == "/wire/q/1"), "no watch");
}

#[test]
fn count() {
    let mut server = with_quota("", "count=-1,bytes=-1=;countHardLimit=3");
    server.make("/wire/q/1");
    server.make("/wire/q/2");
    assert_eq!(server.create(node("/wire/q/3")), Err(-125));
    assert_eq!(server.set("/wire/q/1", "any length"), 0, "setData adds no node");
    assert_eq!(server.delete("/wire/q/1"), 0);
    server.make("/wire/q/3");
}

#[test]
fn bytes() {
    let mut server = with_quota("abc", "count=-1,bytes=-1=;byteHardLimit=10");
    assert_eq!(server.create(Create { data: Some(b"12345678"), ..node("/wire/q/1") }), Err(-125));
    assert_eq!(server.set("/wire/q", "12345678901"), -125);
    assert_eq!(server.set("/wire/q", "1234567890"), 0, "the limit itself is fine");
    server.make("/wire/q/empty");
    assert_eq!(server.create(Create { data: Some(b"1"), ..node("/wire/q/1") }), Err(-125));
}

#[test]
fn the_quota_comes_before_the_version_and_behind_the_rest() {
    let mut server = with_quota("abc", "byteHardLimit=3;countHardLimit=1");
    assert_eq!(server.code(&set_data("/wire/q", Some(b"four"), 7)), -125);
    assert_eq!(server.create(node("/wire/q")), Err(-110));
    assert_eq!(server.create(node("/wire/q/.")), Err(-8));
    assert_eq!(server.create(node("/wire/q/a")), Err(-125));
    let four = || MultiOp::SetData(SetData { path: text("/wire/q"), data: Some(b"four"), version: -1 });
    assert_eq!(server.refused(vec![four()]), [-125]);
}

#[test]
fn above_the_limit_even_a_smaller_value_is_refused() {
    let mut server = with_quota("1234567890", "byteHardLimit=3");
    assert_eq!(server.set("/wire/q", "123456789"), -125);
    assert_eq!(server.set("/wire/q", "123"), 0);
}

#[test]
fn soft_limits_refuse_nothing() {
    let mut server = with_quota("abc", "count=1,bytes=1");
    server.make_with("/wire/q/1", "much more");
}

#[test]
fn nothing_is_refused_unless_it_is_switched_on() {
    let mut server = with_quota("abc", "countHardLimit=0;byteHardLimit=0");
    assert_eq!(server.create(node("/wire/q/1")), Err(-125));
    server.policy.enforce_quota = false;
    server.make("/wire/q/1");
    assert_eq!(server.set(LIMITS, "nonsense"), 0);
    server.make("/wire/q/2");
}

#[test]
fn only_the_deepest_quota_counts() {
    let mut server = with_quota("", "countHardLimit=1");
    server.make_with("/zookeeper/quota/wire/zookeeper_limits", "countHardLimit=100");
    server.make("/zookeeper/quota/wire/zookeeper_stats");
    assert_eq!(server.create(node("/wire/q/1")), Err(-125));
    server.make("/wire/other");
    server.make("/wire/qq");
    assert_eq!(server.delete(LIMITS), 0);
    server.make("/wire/q/1");
}

#[test]
fn changed_limits_count_at_once_and_committed() {
    let mut server = with_quota("", "countHardLimit=1");
    assert_eq!(server.create(node("/wire/q/1")), Err(-125));
    let (first, raised) = server.prepare(&set_data(LIMITS, Some(b"countHardLimit=9"), -1));
    let (second, refused) = server.prepare(&Request::Create(node("/wire/q/1")));
    assert_eq!(refused.txn, Txn::Error(ErrorCode::QuotaExceeded), "pending limits are not looked at");
    server.apply(&first, &raised);
    server.apply(&second, &refused);
    server.make("/wire/q/1");
}

#[test]
fn checks_use_committed_usage_so_a_multi_can_overshoot() {
    let mut server = with_quota("", "countHardLimit=2");
    let make = |path| MultiOp::Create(node(path));
    let both = Request::Multi(vec![make("/wire/q/1"), make("/wire/q/2")]);
    assert!(matches!(server.ask(&both), TxnResult::Multi(_)));
    assert_eq!(server.text(STATS), "count=3,bytes=0");
    assert_eq!(server.create(node("/wire/q/3")), Err(-125));
}

#[test]
fn unreadable_limits_or_stats_refuse_everything_below() {
    let mut server = with_quota("abc", "countHardLimit=x");
    assert_eq!(server.create(node("/wire/q/1")), Err(-5));
    assert_eq!(server.set("/wire/q", "x"), -5);
    let make = MultiOp::Create(node("/wire/q/1"));
    assert_eq!(server.ask(&Request::Multi(vec![make])), TxnResult::Error(-5), "a multi as a whole");
    assert_eq!(server.set(LIMITS, "countHardLimit=9;byteHardLimit=9"), 0);
    server.make("/wire/q/1");
    assert_eq!(server.set(STATS, "nonsense"), 0);
    assert_eq!(server.create(node("/wire/q/2")), Err(-5));
    assert_eq!(server.set("/wire/q", "x"), -5);
}

/// Each tried on Apache 3.9.3: what a node below answers to a longer value and to a new child.
#[test]
fn odd_limits() {
    let mut server = with_quota("1234567890", "");
    for (limits, code) in [
        ("countHardLimit=", -5),
        ("countHardLimit==5", 0),
        ("=5", 0),
        ("=", -5),
        ("a", -5),
        ("a=", -5),
        ("", 0),
        (",", 0),
        (",count=5", -5),
        ("count=5;", 0),
        ("byteHardLimit=3=4", -125),
        ("x=1,byteHardLimit=3", -125),
        ("count=1=;byteHardLimit=3", -125),
        ("count= 1", -5),
        ("count=+5", 0),
    ] {
        assert_eq!(server.set(LIMITS, limits), 0);
        assert_eq!(server.set("/wire/q", "longer than before"), code, "{limits}");
        let made = server.create(Create { data: Some(b"1"), ..node("/wire/q/x") });
        assert_eq!(made.map_or_else(|code| code, |_| 0), code, "{limits}");
        // An equally long value is not weighed, and an empty node neither; but the limits are read.
        let same_length = server.text("/wire/q").replace(' ', "_");
        assert_eq!(server.set("/wire/q", &same_length), if code == -5 { -5 } else { 0 }, "{limits}");
        server.policy.enforce_quota = false;
        server.delete("/wire/q/x");
        server.set("/wire/q", "1234567890");
        server.policy.enforce_quota = true;
    }
    assert_eq!(server.code(&set_data(LIMITS, None, -1)), 0);
    assert_eq!(server.create(node("/wire/q/x")), Err(-5), "null limits");
}

#[test]
fn what_a_client_writes_into_the_stats_is_the_new_base() {
    let mut server = with_quota("abc", "countHardLimit=11");
    assert_eq!(server.set(STATS, "count=10,bytes=100"), 0);
    server.make_with("/wire/q/1", "x");
    assert_eq!(server.text(STATS), "count=11,bytes=101");
    assert_eq!(server.create(node("/wire/q/2")), Err(-125));
}

/// Section 20, row 3: Apache's server dies of it, and of every restart.
#[test]
fn there_is_no_quota_on_the_root() {
    let mut server = Server::new();
    server.policy.enforce_quota = true;
    server.make_with("/zookeeper/quota/zookeeper_limits", "countHardLimit=0;byteHardLimit=0");
    server.make_with("/zookeeper/quota/zookeeper_stats", "count=0,bytes=0");
    server.make("/wire/a");
    assert_eq!(server.text("/zookeeper/quota/zookeeper_stats"), "count=0,bytes=0");
}

/// Section 20, row 5: Apache's server dies of the next change below.
#[test]
fn unreadable_stats_are_counted_anew() {
    let mut server = with_quota("abc", "");
    server.policy.enforce_quota = false;
    for text in ["nonsense", ""] {
        assert_eq!(server.set(STATS, text), 0);
        server.make_with("/wire/q/1", "x");
        assert_eq!(server.delete("/wire/q/1"), 0);
    }
    assert_eq!(server.code(&set_data(STATS, None, -1)), 0);
    server.make_with("/wire/q/1", "x");
    assert_eq!(server.text(STATS), "count=2,bytes=4");
}
