//! Bytes, clients and floods that no client should send: closed or answered as Apache does, while others are served and
//! memory stays bounded (client-protocol.md section 20, issue item 8).
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn bad_frames_are_closed_without_an_answer() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut bystander = server.session(10_000);
    let before = [
        ("negative length", vec![0xff, 0xff, 0xff, 0xff]),
        ("huge length", vec![0x7f, 0xff, 0xff, 0xff]),
        ("one above the limit", 0x10_0000_u32.to_be_bytes().to_vec()),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a TLS hello", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("an empty handshake", frame(&[])),
        ("a truncated handshake", frame(&[0; 20])),
        ("a password of negative length", {
            let mut bytes = connect_frame(5000, 0, &[0; 16]);
            bytes[28..32].copy_from_slice(&(-2_i32).to_be_bytes());
            bytes
        }),
    ];
    for (what, bytes) in before {
        assert_eq!(server.exchange(&bytes), b"", "{what}");
    }
    let after = [
        ("negative length", vec![0x80, 0, 0, 0]),
        ("huge length", vec![0x7f, 0xff, 0xff, 0xff]),
        ("length 0", frame(&[])),
        ("length 7", frame(&[0; 7])),
        ("four-letter word", b"ruok".to_vec()),
    ];
    for (what, bytes) in after {
        let mut session = server.session(10_000);
        session.stream.write_all(&bytes).unwrap();
        assert_eq!(read_to_end(&mut session.stream), b"", "{what}");
    }
    // An unknown opcode gets -6 with zxid -1, then the end.
    for op in [0, -1, 13, 999, -10] {
        let mut session = server.session(10_000);
        let reply = session.call(op, &[]);
        assert_eq!((reply.err, reply.zxid), (-6, -1), "op {op}");
        assert_eq!(read_to_end(&mut session.stream), b"", "op {op}");
    }
    // deleteContainer is the server's own: closed without a reply, and nothing is deleted (as 3.9.6 does).
    let mut session = server.session(10_000);
    assert_eq!(session.create("/plain", b"", 0), 0);
    session.send(20, &path_watch("/plain"));
    assert_eq!(read_to_end(&mut session.stream), b"");
    assert_eq!(bystander.get("/plain"), Some(Vec::new()));
    assert_eq!(bystander.create("/still-here", b"", 0), 0);
    server.stop();
}

#[test]
fn a_frame_of_exactly_the_limit_is_served_and_a_slow_sender_too() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "jute.maxbuffer=5000"]);
    let mut session = server.session(10_000);
    let overhead = 8 + create_body("/a", b"", 0).len();
    assert_eq!(session.create("/a", &vec![7; 5000 - overhead], 0), 0);
    let mut slow = server.session(10_000);
    let bytes = request(1, 4, &path_watch("/a"));
    for byte in &bytes {
        slow.stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(slow.receive().unwrap().err, 0);
    assert_eq!(session.send(1, &create_body("/b", &vec![7; 5001 - overhead], 0)), 2);
    assert_eq!(read_to_end(&mut session.stream), b"");
    server.stop();
}

#[test]
fn half_open_floods_end_and_others_are_served() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "nio.sessionlessCnxnTimeout=1000", "--set", "maxClientCnxns=0"]);
    let mut bystander = server.session(30_000);
    let begin = Instant::now();
    let mut flood: Vec<TcpStream> = (0..300).map(|_| server.connect()).collect();
    // Half of them send the beginning of a handshake.
    for stream in flood.iter_mut().step_by(2) {
        stream.write_all(&connect_frame(5000, 0, &[0; 16])[..10]).unwrap();
    }
    for round in 0..50 {
        assert_eq!(bystander.create(&format!("/n{round}"), b"", 0), 0);
    }
    for stream in &mut flood {
        assert_eq!(read_to_end(stream), b"");
    }
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900), "closed too early: {took:?}");
    assert_eq!(bystander.get("/n49"), Some(Vec::new()));
    server.stop();
}

#[test]
fn connections_over_the_limits_are_closed_at_once() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "maxClientCnxns=3"]);
    let kept: Vec<Session> = (0..3).map(|_| server.session(10_000)).collect();
    assert_eq!(read_to_end(&mut server.connect()), b"");
    until("the refusal is logged", || server.find("Too many connections from 127.0.0.1"));
    drop(kept);
    // Those who left make room.
    until("room", || Session::open(&server, 10_000, 0, &[0; 16]));
    server.stop();
    let server = Server::start(&dir.join("total"), &["--set", "maxCnxns=2"]);
    let _kept: Vec<Session> = (0..2).map(|_| server.session(10_000)).collect();
    assert_eq!(read_to_end(&mut server.connect()), b"");
    server.stop();
}

#[test]
fn readers_that_never_read_are_stopped_and_memory_stays_bounded() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut bystander = server.session(30_000);
    assert_eq!(bystander.create("/big", &vec![1; 1_000_000], 0), 0);
    // Ten connections ask for gigabytes and read nothing.
    let get = request(1, 4, &path_watch("/big"));
    let mut greedy: Vec<Session> = (0..10).map(|_| server.session(30_000)).collect();
    for session in &mut greedy {
        session.stream.set_nonblocking(true).unwrap();
        for _ in 0..300 {
            if session.stream.write_all(&get).is_err() {
                break;
            }
        }
    }
    let begin = Instant::now();
    for _ in 0..200 {
        assert!(bystander.call(3, &path_watch("/big")).err == 0);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "others wait: {:?}", begin.elapsed());
    let rss = server.rss_kb();
    assert!(rss < 200_000, "{rss} kB for ten readers that do not read");
    // One of them reads after all, and gets everything it asked for.
    let mut one = greedy.pop().unwrap();
    one.stream.set_nonblocking(false).unwrap();
    for _ in 0..20 {
        assert_eq!(one.receive().unwrap().body.len(), 4 + 1_000_000 + 68);
    }
    drop(greedy);
    server.stop();
}

#[test]
fn a_deep_pipeline_is_answered_in_order() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &[]);
    let mut session = server.session(30_000);
    let mut bytes = Vec::new();
    for xid in 1..=2_000 {
        let body = if xid % 2 == 1 { create_body("/s-", b"", 2) } else { path_watch("/") };
        bytes.extend(request(xid, if xid % 2 == 1 { 1 } else { 8 }, &body));
    }
    let mut writer = session.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    let mut last_zxid = 0;
    for xid in 1..=2_000 {
        let reply = session.receive().unwrap();
        assert_eq!((reply.xid, reply.err), (xid, 0));
        assert!(reply.zxid >= last_zxid);
        last_zxid = reply.zxid;
        if xid % 2 == 0 {
            // The listing behind a create shows it.
            let count = i32::from_be_bytes(reply.body[..4].try_into().unwrap());
            assert!(count > xid / 2, "{count} children after {} creates", xid / 2);
        }
    }
    sender.join().unwrap();
    server.stop();
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let dir = TempDir::new();
    let server = Server::spawn(command_after("ulimit -n 40", &dir.0, &["--set", "maxClientCnxns=0"]));
    let mut bystander = server.session(30_000);
    let flood: Vec<TcpStream> = (0..60).map(|_| server.connect()).collect();
    until("the failure is logged", || server.find("cannot accept connections"));
    assert_eq!(bystander.create("/a", b"", 0), 0);
    drop(flood);
    let mut late = until("room", || Session::open(&server, 10_000, 0, &[0; 16]));
    assert_eq!(late.get("/a"), Some(Vec::new()));
    server.stop();
}

#[test]
fn garbage_of_every_length_never_ends_the_server() {
    let dir = TempDir::new();
    let server = Server::start(&dir.0, &["--set", "maxClientCnxns=0"]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..300 {
        let mut session = server.session(10_000);
        let length = (random() % 200) as usize;
        let junk: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        // A header with a known operation, then junk as its body; or junk all over.
        let bytes = if round % 2 == 0 { request(1, (random() % 25) as i32, &junk) } else { junk };
        session.stream.write_all(&bytes).unwrap();
        session.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = session.stream.read_to_end(&mut rest);
    }
    assert_eq!(server.session(10_000).create("/alive", b"", 0), 0);
    server.stop();
}
