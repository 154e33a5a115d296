//! The settings that slow clients down or turn them away, and those of group commit, on the real binary. What they
//! decide is tested in `node` with logical time; here stands that they arrive there.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use std::io::Write;
use std::time::{Duration, Instant};

fn mntr(server: &Server, key: &str) -> u64 {
    let text = server.word("mntr");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("zk_{key}\t"))).unwrap();
    line.parse().unwrap()
}

#[test]
fn handshakes_beyond_the_tokens_are_closed() {
    let dir = TempDir::new();
    let settings =
        ["connection_throttle_tokens=3", "connection_throttle_fill_time=1000000", "4lw.commands.whitelist=*"];
    let server = Server::start(&dir.0, &settings.map(|setting| ["--set", setting]).concat());
    let _kept: Vec<Session> = (0..3).map(|_| server.session(10_000)).collect();
    assert_eq!(server.exchange(&connect_frame(10_000, 0, &[0; 16])), b"");
    // The numbers that Apache 3.9.3 gives for the same.
    assert_eq!(mntr(&server, "connection_rejected"), 1);
    assert_eq!(mntr(&server, "connection_request_count"), 3);
    assert_eq!(mntr(&server, "sum_connection_token_deficit"), 6);
    until("a line in the log", || server.find("too many handshakes at a time"));
    server.stop();
}

#[test]
fn large_requests_beyond_the_total_are_closed() {
    let dir = TempDir::new();
    let settings = ["largeRequestThreshold=100", "largeRequestMaxBytes=250", "4lw.commands.whitelist=*"];
    let server = Server::start(&dir.0, &settings.map(|setting| ["--set", setting]).concat());
    let mut session = server.session(10_000);
    assert_eq!(session.create("/a", &[1; 150], 0), 0);
    session.stream.write_all(&request(2, 1, &create_body("/b", &[1; 300], 0))).unwrap();
    assert_eq!(read_to_end(&mut session.stream), b"");
    assert_eq!(mntr(&server, "large_requests_rejected"), 1);
    assert_eq!(server.session(10_000).get("/b"), None);
    until("a line in the log", || server.find("does not fit beside the other large ones"));
    server.stop();
}

#[test]
fn requests_that_waited_too_long_are_refused() {
    let dir = TempDir::new();
    let settings = ["request_throttle_max_requests=1", "throttled_op_wait_time=1", "4lw.commands.whitelist=*"];
    let server = Server::start(&dir.0, &settings.map(|setting| ["--set", setting]).concat());
    let mut session = server.session(30_000);
    // One write at a time, each with a sync of its own: the end of a long pipeline waits for milliseconds.
    let count = 2_000;
    let frames: Vec<u8> = (1..=count).flat_map(|xid| request(xid, 1, &create_body("/n-", &[7; 100], 2))).collect();
    session.stream.write_all(&frames).unwrap();
    let codes: Vec<i32> = (0..count).map(|_| session.receive().unwrap().err).collect();
    assert!(codes.iter().all(|code| [0, -127].contains(code)), "{codes:?}");
    let refused = codes.iter().filter(|code| **code == -127).count() as u64;
    assert!(refused > 0, "nothing waited for more than a millisecond");
    assert_eq!(mntr(&server, "throttled_ops"), refused);
    assert!(mntr(&server, "request_throttle_wait_count") > 0);
    server.stop();
}

#[test]
fn a_flush_delay_makes_larger_batches() {
    let dir = TempDir::new();
    let settings = ["flushDelay=100", "maxWriteQueuePollTime=100", "4lw.commands.whitelist=*"];
    let server = Server::start(&dir.0, &settings.map(|setting| ["--set", setting]).concat());
    let mut sessions: Vec<Session> = (0..10).map(|_| server.session(30_000)).collect();
    server.word("srst");
    let begin = Instant::now();
    for round in 0..4 {
        for (number, session) in sessions.iter_mut().enumerate() {
            session.stream.write_all(&request(round, 1, &create_body(&format!("/n{number}-"), b"", 2))).unwrap();
        }
        for session in &mut sessions {
            assert_eq!(session.receive().unwrap().err, 0);
        }
    }
    // Without patience 40 records of 10 clients take at least 4 commits, and mostly many more; with it the commits
    // are 100 ms apart, so that even a slow machine has few of them for the time that went by.
    let commits = mntr(&server, "cnt_sync_processor_batch_size");
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(250), "nobody waited: {took:?}");
    assert!(commits <= 2 + took.as_millis() as u64 / 100, "{commits} commits in {took:?}");
    server.stop();
}
