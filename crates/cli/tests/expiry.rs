//! No false expiry (rules.md 1.8): a server that was stopped for longer than the sessions' time-outs reads its sockets
//! before it ends anybody.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use std::time::{Duration, Instant};

#[test]
fn sessions_whose_pings_wait_in_a_socket_survive_a_stopped_server() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "tickTime=500", "--set", "maxClientCnxns=0"]);
    let timeout_ms = 2_000;
    let mut living: Vec<Session> = (0..100).map(|_| server.session(timeout_ms)).collect();
    for (number, session) in living.iter_mut().enumerate() {
        assert_eq!(session.create(&format!("/living{number}"), b"", 1), 0);
    }
    let mut silent: Vec<Session> = (0..20).map(|_| server.session(timeout_ms)).collect();
    for (number, session) in silent.iter_mut().enumerate() {
        assert_eq!(session.create(&format!("/silent{number}"), b"", 1), 0);
    }
    server.signal("STOP");
    let begin = Instant::now();
    // The clients ping as clients do, into sockets that nobody reads.
    while begin.elapsed() < Duration::from_millis(timeout_ms as u64 * 3 / 2) {
        for session in &mut living {
            session.ping_only();
        }
        std::thread::sleep(Duration::from_millis(timeout_ms as u64 / 3));
    }
    server.signal("CONT");
    for session in &mut living {
        session.ping_only();
    }
    // Those who were silent end in time; those who pinged do not.
    let mut observer = server.session(10_000);
    let end = Instant::now() + Duration::from_millis(timeout_ms as u64 + 1_500);
    let mut silent_left = 20;
    while Instant::now() < end || silent_left > 0 {
        assert!(Instant::now() < end + PATIENCE, "{silent_left} silent sessions live for ever");
        for session in &mut living {
            session.ping_only();
        }
        for number in 0..100 {
            assert!(observer.get(&format!("/living{number}")).is_some(), "session {number} expired falsely");
        }
        silent_left = (0..20).filter(|number| observer.get(&format!("/silent{number}")).is_some()).count();
        std::thread::sleep(Duration::from_millis(200));
    }
    // Each of them has its line, with the cause.
    for session in &silent {
        let line = format!("Expiring session 0x{:x}: nothing heard of it for 2000 ms", session.id);
        until(&line, || server.find(&line));
    }
    server.stop();
}
