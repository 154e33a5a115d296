//! Frames, handshakes, refusals, authentication, limits (client-protocol.md sections 2, 3, 9, 13, 19, 20).

use super::client::*;
use crate::harness::Harness;
use crate::{CloseReason, NodeConfig, NodeEvent};
use ostler_model::{OpCode, SessionId, limits};
use ostler_wire::client::ConnectResponse;
use ostler_wire::jute::Reader;

fn with(change: impl FnOnce(&mut NodeConfig)) -> Harness {
    let mut config = NodeConfig::default();
    change(&mut config);
    Harness::new(config)
}

/// Sends bytes on a fresh connection: what comes back, and whether the server closed it.
fn fresh(harness: &mut Harness, bytes: &[u8]) -> (Vec<u8>, bool) {
    let conn = harness.open(0);
    harness.send(conn, bytes);
    harness.run();
    (harness.receive(conn), harness.is_closed(conn))
}

#[test]
fn an_old_client_gets_no_read_only_byte() {
    let mut harness = Harness::standard(1);
    let new = handshake(SessionId::NONE, [0; 16], 10_000, 0);
    let mut old = new[..new.len() - 1].to_vec();
    old[3] -= 1;
    assert_eq!(fresh(&mut harness, &new).0.len(), 4 + 37);
    let (answer, closed) = fresh(&mut harness, &old);
    assert_eq!((answer.len(), closed), (4 + 36, false));
    assert_eq!(ConnectResponse::decode(&answer[4..]).unwrap().read_only, None);
}

#[test]
fn frame_lengths_are_judged_before_their_bytes_come() {
    for length in [-1, i32::MIN, limits::FRAME_BYTES_MAX as i32 + 1, i32::MAX] {
        let mut harness = Harness::standard(1);
        assert_eq!(fresh(&mut harness, &length.to_be_bytes()), (vec![], true), "{length} before the handshake");
        let (conn, _) = harness.session(0);
        assert_eq!(harness.ask(conn, &[length.to_be_bytes().to_vec()]), []);
        assert!(harness.is_closed(conn), "{length} after the handshake");
    }
    for length in [0, 7] {
        let mut harness = Harness::standard(1);
        let (conn, _) = harness.session(0);
        harness.ask(conn, &[i32::to_be_bytes(length).to_vec()]);
        assert!(harness.is_closed(conn), "{length}: no room for a header");
    }
}

#[test]
fn the_largest_frame_is_accepted() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let empty = create(1, "/big", b"", 0);
    let data = vec![7; limits::FRAME_BYTES_MAX + 4 - empty.len()];
    let frame = create(1, "/big", &data, 0);
    assert_eq!(frame.len(), limits::FRAME_BYTES_MAX + 4);
    assert_eq!(harness.one(conn, frame).err, 0);
    assert!(!harness.is_closed(conn));
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut harness = Harness::standard(1);
    let conn = harness.open(0);
    let frames = [handshake(SessionId::NONE, [0; 16], 10_000, 0), create(1, "/a", b"x", 0), ping()].concat();
    for byte in frames {
        harness.send(conn, &[byte]);
        harness.run();
    }
    assert_eq!(payloads(&harness.receive(conn)).len(), 3);
}

#[test]
fn a_client_that_saw_more_is_closed_without_an_answer() {
    let mut harness = Harness::standard(1);
    assert_eq!(fresh(&mut harness, &handshake(SessionId::NONE, [0; 16], 10_000, 1)), (vec![], true));
    let (answer, closed) = fresh(&mut harness, &handshake(SessionId::NONE, [0; 16], 10_000, -5));
    assert_eq!((answer.len(), closed), (41, false));
    assert_eq!(fresh(&mut harness, &handshake(SessionId::NONE, [0; 16], 10_000, 1)).0.len(), 41, "now it is at 1");
}

#[test]
fn time_outs_are_clamped() {
    let mut harness = Harness::standard(1);
    for (asked, given) in [(0, 4_000), (-1, 4_000), (5_000, 5_000), (i32::MAX, 40_000)] {
        let (answer, _) = fresh(&mut harness, &handshake(SessionId::NONE, [0; 16], asked, 0));
        assert_eq!(ConnectResponse::decode(&answer[4..]).unwrap().timeout_ms, given);
    }
}

#[test]
fn four_letter_words_come_before_a_session_only() {
    let mut harness = Harness::standard(1);
    let conn = harness.open(0);
    harness.send(conn, b"ruok\n");
    harness.hang_up(conn);
    harness.run();
    assert!(!harness.is_closed(conn), "the answer is still owed");
    let command = harness.commands.pop().unwrap();
    assert_eq!((command.conn, &command.word), (conn, b"ruok"));
    harness.shards[0].answer(conn, b"imok");
    harness.run();
    assert_eq!((harness.receive(conn), harness.is_closed(conn)), (b"imok".to_vec(), true));
    assert_eq!(fresh(&mut harness, b"xxxx"), (vec![], true), "an unknown word is a length");
    assert_eq!(fresh(&mut harness, &[0xff, 0xf4, 0xff, 0xfd]), (vec![], true));
    let (conn, _) = harness.session(0);
    harness.ask(conn, &[b"ruok".to_vec()]);
    assert!(harness.is_closed(conn) && harness.commands.is_empty());
}

#[test]
fn stmk_waits_for_its_mask() {
    let mut harness = Harness::standard(1);
    let conn = harness.open(0);
    harness.send(conn, b"stmk\0\0\0\0");
    harness.run();
    assert!(harness.commands.is_empty());
    harness.send(conn, &[0, 0, 1, 50]);
    harness.run();
    assert_eq!(harness.commands.pop().unwrap().argument, Some(306));
    let conn = harness.open(0);
    harness.send(conn, b"stmk");
    harness.hang_up(conn);
    harness.run();
    assert!(harness.is_closed(conn) && harness.commands.is_empty());
}

#[test]
fn a_silent_connection_is_closed_after_ten_to_twenty_seconds() {
    let mut harness = Harness::standard(1);
    let (silent, half) = (harness.open(0), harness.open(0));
    harness.send(half, &[0, 0, 0, 45, 0]);
    harness.advance(10_000);
    assert!(!harness.is_closed(silent) && !harness.is_closed(half));
    harness.advance(10_000);
    assert!(harness.is_closed(silent) && harness.is_closed(half));
}

#[test]
fn connections_of_one_address_are_bounded() {
    let mut harness = with(|config| config.connections_per_address_max = 2);
    let first = harness.try_open(0, [10, 0, 0, 1]).unwrap();
    assert!(harness.try_open(0, [10, 0, 0, 1]).is_some());
    assert!(harness.try_open(0, [10, 0, 0, 1]).is_none());
    assert!(harness.try_open(0, [10, 0, 0, 2]).is_some());
    harness.shards[0].broken(first);
    assert!(harness.try_open(0, [10, 0, 0, 1]).is_some());
    assert_eq!(harness.shards[0].stats().refused, 1);
}

#[test]
fn unknown_operations_are_refused_in_their_turn_and_end_the_connection() {
    for op in [0, -1, 10, 13, 23, 99, 1_000, OpCode::CreateSession.code()] {
        let mut harness = Harness::standard(1);
        let (conn, _) = harness.session(0);
        let replies = harness.ask(conn, &[create(1, "/a", b"", 0), raw_frame(2, op, |_| {}), ping()]);
        let seen: Vec<(i32, i64, i32)> = replies.iter().map(|reply| (reply.xid, reply.zxid, reply.err)).collect();
        assert_eq!(seen, [(1, 2, 0), (2, -1, -6)], "op {op}");
        assert!(harness.is_closed(conn), "op {op}");
    }
}

#[test]
fn a_client_cannot_delete_containers() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.must(conn, create(1, "/a", b"", 0));
    assert_eq!(harness.ask(conn, &[of_path(2, OpCode::DeleteContainer, "/a")]), []);
    assert!(harness.is_closed(conn));
    assert!(harness.tree.node("/a").is_some());
}

#[test]
fn what_does_not_decode_consumes_no_zxid_but_a_multi_does() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let cut = |op| frame(7, op, |frame| frame.int(100));
    for op in [OpCode::Create, OpCode::Delete, OpCode::SetData, OpCode::SetAcl, OpCode::Reconfig] {
        let reply = harness.one(conn, cut(op));
        assert_eq!((reply.xid, reply.zxid, reply.err), (7, 1, -5), "{op:?}");
    }
    let reply = harness.one(conn, cut(OpCode::Multi));
    assert_eq!((reply.zxid, reply.err), (2, -5));
    let null_acl = frame(8, OpCode::Multi, |frame| {
        frame.multi_header(1, false, -1);
        frame.text(Some("/a"));
        frame.buffer(None);
        frame.int(-1);
        frame.int(0);
        frame.multi_header(-1, true, -1);
    });
    let reply = harness.one(conn, null_acl);
    assert_eq!((reply.zxid, reply.err), (2, -5));
    for op in [OpCode::GetData, OpCode::GetChildren, OpCode::Sync, OpCode::AddWatch, OpCode::SetWatches] {
        assert_eq!(harness.one(conn, cut(op)).err, -5, "{op:?}");
    }
    assert!(!harness.is_closed(conn));
}

#[test]
fn an_undecodable_write_keeps_its_place() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let replies =
        harness.ask(conn, &[create(1, "/a", b"", 0), frame(2, OpCode::Delete, |_| {}), create(3, "/b", b"", 0)]);
    let seen: Vec<(i32, i64, i32)> = replies.iter().map(|reply| (reply.xid, reply.zxid, reply.err)).collect();
    assert_eq!(seen, [(1, 2, 0), (2, 2, -5), (3, 3, 0)]);
}

fn identities(harness: &mut Harness, conn: crate::ConnId) -> Vec<(String, String)> {
    let reply = harness.must(conn, frame(90, OpCode::WhoAmI, |_| {}));
    let mut body = Reader::new(&reply.body, 1 << 20);
    let mut ids: Vec<(String, String)> = (0..body.int().unwrap())
        .map(|_| (body.text().unwrap().unwrap().into_owned(), body.text().unwrap().unwrap().into_owned()))
        .collect();
    ids.sort();
    ids
}

#[test]
fn identities_accumulate_and_super_needs_its_digest() {
    let mut harness = with(|config| config.super_digest = Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".to_owned()));
    let (conn, _) = harness.session(0);
    for packet in [auth(-4, "digest", b"bob:x"), auth(-4, "ip", b""), auth(-4, "digest", b"super:admin")] {
        let reply = harness.must(conn, packet);
        assert_eq!((reply.xid, reply.zxid, reply.body.len()), (-4, 0, 0));
    }
    let expected = [("digest", "bob"), ("digest", "super"), ("ip", "127.0.0.1"), ("super", "")];
    let expected: Vec<(String, String)> = expected.map(|(scheme, user)| (scheme.to_owned(), user.to_owned())).to_vec();
    assert_eq!(identities(&mut harness, conn), expected);
}

#[test]
fn one_connection_proves_a_bounded_number_of_identities() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    // The address is the first identity.
    let frames: Vec<Vec<u8>> =
        (1..1_024).map(|xid| auth(xid, "digest", format!("user{xid}:password").as_bytes())).collect();
    let replies = harness.ask(conn, &frames);
    assert!(replies.len() == 1_023 && replies.iter().all(|reply| reply.err == 0));
    let last = harness.ask(conn, &[auth(2_000, "digest", b"one:more")]);
    assert_eq!(last.iter().map(|reply| reply.err).collect::<Vec<_>>(), [-115]);
    assert!(harness.is_closed(conn));
}

#[test]
fn failed_authentication_is_answered_and_ends_the_connection() {
    for scheme in ["kerberos", "world", "super", "sasl", "ensemble"] {
        let mut harness = Harness::standard(1);
        let (conn, _) = harness.session(0);
        let reply = harness.one(conn, auth(5, scheme, b"x"));
        assert_eq!((reply.xid, reply.zxid, reply.err), (5, 0, -115), "{scheme}");
        assert!(harness.is_closed(conn), "{scheme}");
    }
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    assert_eq!(harness.ask(conn, &[frame(5, OpCode::Auth, |frame| frame.int(0))]), []);
    assert!(harness.is_closed(conn), "a truncated packet is not answered");
}

#[test]
fn sasl_without_a_login_answers_a_null_token() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let reply = harness.must(conn, frame(3, OpCode::Sasl, |frame| frame.buffer(Some(b""))));
    assert_eq!((reply.zxid, reply.body), (0, vec![0xff; 4]));
    assert_eq!(harness.ask(conn, &[frame(3, OpCode::Sasl, |frame| frame.buffer(None))]), []);
    assert!(harness.is_closed(conn));
}

#[test]
fn the_ensemble_scheme_compares_names() {
    let mut harness = with(|config| {
        config.policy.schemes.ensemble = true;
        config.ensemble_names = vec!["prod".to_owned()];
    });
    let (conn, _) = harness.session(0);
    harness.must(conn, auth(1, "ensemble", b"prod"));
    harness.must(conn, auth(1, "ensemble", b""));
    assert_eq!(harness.ask(conn, &[auth(1, "ensemble", b"test")]), []);
    assert!(harness.is_closed(conn));
}

#[test]
fn enforced_authentication_refuses_everything_else() {
    let new = || with(|config| config.enforced_schemes = vec!["digest".to_owned()]);
    for request in [ping(), close(4), create(4, "/a", b"", 0), raw_frame(4, 77, |_| {})] {
        let mut harness = new();
        let (conn, _) = harness.session(0);
        let reply = harness.one(conn, request);
        assert_eq!((reply.zxid, reply.err), (0, -124));
        assert!(harness.is_closed(conn));
        assert_eq!(harness.tree.zxid().0, 1, "nothing but the session");
    }
    let mut harness = new();
    let (conn, _) = harness.session(0);
    let replies = harness.ask(conn, &[auth(-4, "digest", b"a:b"), create(4, "/a", b"", 0)]);
    assert_eq!(replies.iter().map(|reply| reply.err).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn auth_overtakes_what_is_away_and_later_requests_see_it() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    harness.send(conn, &[create(1, "/a", b"", 0), auth(-4, "digest", b"bob:x")].concat());
    harness.send(conn, &frame(2, OpCode::WhoAmI, |_| {}));
    harness.turn(0);
    harness.flush(0);
    assert_eq!(harness.replies(conn).iter().map(|reply| reply.xid).collect::<Vec<_>>(), [-4]);
    harness.run();
    let replies = harness.replies(conn);
    assert_eq!(replies.iter().map(|reply| reply.xid).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(Reader::new(&replies[1].body, 100).int().unwrap(), 2, "whoAmI behind the write knows both ids");
}

#[test]
fn a_deep_pipeline_is_answered_in_order_and_input_stays_bounded() {
    let mut harness = with(|config| config.outstanding_max = 7);
    let (conn, _) = harness.session(0);
    let frames: Vec<Vec<u8>> = (1..=20_000)
        .map(|xid| if xid % 3 == 0 { read(xid, OpCode::GetData, "/", false) } else { create(xid, "/s-", &[1; 40], 2) })
        .collect();
    let bytes = frames.concat();
    let mut sent = 0;
    let mut received = Vec::new();
    let mut refused = 0;
    while sent < bytes.len() {
        if harness.shards[0].wants_read(conn) {
            let end = (sent + 65_536).min(bytes.len());
            harness.send(conn, &bytes[sent..end]);
            sent = end;
        } else {
            refused += 1;
            harness.run();
        }
        received.extend(harness.receive(conn));
    }
    harness.run();
    received.extend(harness.receive(conn));
    assert!(refused > 0, "the socket was not read while requests waited");
    let xids: Vec<i32> = replies(&received).iter().map(|reply| reply.xid).collect();
    assert_eq!(xids, (1..=20_000).collect::<Vec<_>>());
}

#[test]
fn the_shell_is_told_when_reading_goes_on() {
    let mut harness = Harness::standard(1);
    let (conn, _) = harness.session(0);
    let frames = vec![ping(); 20_000].concat();
    harness.send(conn, &frames[..120_000]);
    assert!(!harness.shards[0].wants_read(conn));
    let mut resumed = Vec::new();
    for _ in 0..1_000 {
        let mut outbox = crate::Outbox::default();
        harness.shards[0].turn(harness.now, &harness.tree, &mut harness.streams[0], &mut outbox);
        resumed.extend(outbox.resumed);
    }
    assert_eq!(resumed, [conn]);
}

#[test]
fn one_pipeline_does_not_starve_the_others() {
    let mut harness = Harness::standard(1);
    let (deep, _) = harness.session(0);
    let (shallow, _) = harness.session(0);
    harness.send(deep, &vec![ping(); 5_000].concat());
    harness.send(shallow, &ping());
    harness.turn(0);
    harness.flush(0);
    assert_eq!(harness.replies(deep).len(), limits::TURN_REQUESTS_MAX);
    assert_eq!(harness.replies(shallow).len(), 1);
}

#[test]
fn a_reader_that_never_reads_is_not_served_and_then_closed() {
    let mut harness = Harness::standard(1);
    let (writer, _) = harness.session(0);
    harness.must(writer, create(1, "/big", &[1; 500_000], 0));
    let (slow, _) = harness.session(0);
    // Its output is never taken: nobody calls flush for it.
    let turn_without_flush = |harness: &mut Harness| {
        for _ in 0..50 {
            harness.turn(0);
            harness.deliver(0, usize::MAX);
        }
    };
    harness.send(slow, &vec![read(1, OpCode::GetData, "/big", false); 40].concat());
    turn_without_flush(&mut harness);
    let waiting = harness.shards[0].output(slow).len();
    assert!((1 << 20..2 << 20).contains(&waiting), "{waiting} bytes: three replies, then it is not read any more");
    // Events come all the same, up to the hard bound.
    harness.run();
    harness.receive(slow);
    let path_length = 2_000;
    let long = format!("/{}", "n".repeat(path_length));
    harness.must(slow, of_path_and_int(1, OpCode::AddWatch, "/", 1));
    harness.events.clear();
    for xid in 0..10_000 {
        let request = if xid % 2 == 0 { create(xid, &long, b"", 0) } else { delete(xid, &long) };
        harness.send(writer, &request);
        turn_once(&mut harness);
        let taken = harness.shards[0].output(writer).len();
        harness.shards[0].wrote(writer, taken);
        if harness.shards[0].output(slow).is_empty() {
            break;
        }
    }
    let slow_reader = |event: &NodeEvent| matches!(event, NodeEvent::ConnectionClosed { conn, reason: CloseReason::SlowReader, .. } if *conn == slow);
    assert!(harness.events.iter().any(slow_reader), "{:?}", harness.events);
}

/// The loop without the sockets' writing.
fn turn_once(harness: &mut Harness) {
    for _ in 0..3 {
        harness.turn(0);
        harness.deliver(0, usize::MAX);
        harness.sync(ostler_model::Zxid(i64::MAX));
        harness.apply();
    }
}

#[test]
fn what_was_sent_before_the_client_hung_up_is_still_done() {
    let mut harness = with(|config| config.outstanding_max = 2);
    let (conn, _) = harness.session(0);
    harness.send(conn, &(0..50).map(|xid| create(xid, &format!("/n{xid}"), b"", 0)).collect::<Vec<_>>().concat());
    harness.hang_up(conn);
    harness.run();
    assert!(harness.is_closed(conn));
    assert_eq!(harness.tree.node("/").unwrap().num_children(), 51);
    assert_eq!(harness.shards[0].stats().outstanding, 0, "credits come back from the dead");
}

#[test]
fn figures_are_counted() {
    let mut harness = Harness::standard(1);
    let (conn, session) = harness.session(0);
    harness.must(conn, create(1, "/a", b"", 0));
    harness.must(conn, read(2, OpCode::GetData, "/a", true));
    let stats = harness.shards[0].connections()[0];
    assert_eq!((stats.conn, stats.session, stats.session_timeout_ms), (conn, session, 10_000));
    assert_eq!((stats.received, stats.sent, stats.last_op, stats.last_cxid), (3, 3, Some(4), Some(2)));
    assert_eq!(stats.last_zxid, Some(ostler_model::Zxid(2)));
    assert_eq!(harness.shards[0].watches(), [("/a".to_owned(), vec![session])]);
    let shard = harness.shards[0].stats();
    assert_eq!((shard.packets_received, shard.packets_sent, shard.connections, shard.watches), (3, 3, 1, 1));
    let replies = harness.ask(conn, &[set(3, "/a", b"1")]);
    assert_eq!(replies.iter().map(|reply| reply.xid).collect::<Vec<_>>(), [-1, 3], "the event comes first");
    assert_eq!((harness.shards[0].watches(), harness.shards[0].watching_sessions()), (vec![], vec![session]));
}
