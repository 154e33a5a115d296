//! A client of bytes: encodes requests, takes replies apart.

use crate::harness::Harness;
use crate::{ConnId, NodeConfig};
use ostler_model::{OpCode, SessionId, Zxid, session_password};
use ostler_wire::client::{ConnectRequest, ConnectResponse, FrameWriter, ReplyHeader, RequestHeader};
use ostler_wire::jute::Reader;

/// One frame of the server, header taken off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reply {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) err: i32,
    pub(super) body: Vec<u8>,
}

/// A watch event, as (type, path).
pub(super) type Event = (i32, String);

impl Reply {
    pub(super) fn event(&self) -> Event {
        assert_eq!(self.xid, -1, "{self:?} is no event");
        let mut body = Reader::new(&self.body, 1 << 20);
        let kind = body.int().unwrap();
        assert_eq!(body.int().unwrap(), 3);
        (kind, body.text().unwrap().unwrap().into_owned())
    }

    /// The names of a listing, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Reader::new(&self.body, 1 << 20)
            .texts()
            .unwrap()
            .unwrap()
            .into_iter()
            .map(|name| name.unwrap().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// A request frame.
pub(super) fn frame(xid: i32, op: OpCode, body: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<u8> {
    raw_frame(xid, op.code(), body)
}

pub(super) fn raw_frame(xid: i32, op: i32, body: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frame = FrameWriter::request(&mut out, RequestHeader { xid, op });
    body(&mut frame);
    frame.finish();
    out
}

pub(super) fn ping() -> Vec<u8> {
    frame(-2, OpCode::Ping, |_| {})
}

pub(super) fn close(xid: i32) -> Vec<u8> {
    frame(xid, OpCode::CloseSession, |_| {})
}

pub(super) fn create(xid: i32, path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    create_as(xid, OpCode::Create, path, data, flags)
}

pub(super) fn create_as(xid: i32, op: OpCode, path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    frame(xid, op, |frame| put_create(frame, path, data, flags))
}

pub(super) fn put_create(frame: &mut FrameWriter<'_>, path: &str, data: &[u8], flags: i32) {
    frame.text(Some(path));
    frame.buffer(Some(data));
    frame.int(1);
    frame.acl_entry(31, Some("world"), Some("anyone"));
    frame.int(flags);
}

pub(super) fn delete(xid: i32, path: &str) -> Vec<u8> {
    frame(xid, OpCode::Delete, |frame| {
        frame.text(Some(path));
        frame.int(-1);
    })
}

pub(super) fn set(xid: i32, path: &str, data: &[u8]) -> Vec<u8> {
    frame(xid, OpCode::SetData, |frame| {
        frame.text(Some(path));
        frame.buffer(Some(data));
        frame.int(-1);
    })
}

/// exists, getData, getChildren, getChildren2.
pub(super) fn read(xid: i32, op: OpCode, path: &str, watch: bool) -> Vec<u8> {
    frame(xid, op, |frame| {
        frame.text(Some(path));
        frame.bool(watch);
    })
}

/// Operations whose record is one path.
pub(super) fn of_path(xid: i32, op: OpCode, path: &str) -> Vec<u8> {
    frame(xid, op, |frame| frame.text(Some(path)))
}

/// Operations whose record is a path and a number: addWatch, checkWatches, removeWatches.
pub(super) fn of_path_and_int(xid: i32, op: OpCode, path: &str, value: i32) -> Vec<u8> {
    frame(xid, op, |frame| {
        frame.text(Some(path));
        frame.int(value);
    })
}

pub(super) fn auth(xid: i32, scheme: &str, auth: &[u8]) -> Vec<u8> {
    frame(xid, OpCode::Auth, |frame| {
        frame.int(0);
        frame.text(Some(scheme));
        frame.buffer(Some(auth));
    })
}

pub(super) fn handshake(session: SessionId, password: [u8; 16], timeout_ms: i32, seen: i64) -> Vec<u8> {
    let mut out = Vec::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(seen),
        timeout_ms,
        session,
        password: password.to_vec(),
        read_only: Some(false),
    }
    .encode(&mut out);
    out
}

/// Splits what a server sent into payloads.
pub(super) fn payloads(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut rest = bytes;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (payload, tail) = tail.split_at(i32::from_be_bytes(*length) as usize);
        payloads.push(payload.to_vec());
        rest = tail;
    }
    assert!(rest.is_empty(), "half a length: {rest:?}");
    payloads
}

pub(super) fn replies(bytes: &[u8]) -> Vec<Reply> {
    let reply = |payload: Vec<u8>| {
        let (header, body) = ReplyHeader::split(&payload).unwrap();
        Reply { xid: header.xid, zxid: header.zxid.0, err: header.err, body: body.to_vec() }
    };
    payloads(bytes).into_iter().map(reply).collect()
}

impl Harness {
    /// A server with these many shards and Apache's defaults.
    pub(super) fn standard(shards: usize) -> Harness {
        Harness::new(NodeConfig { shards, ..NodeConfig::default() })
    }

    /// Opens a connection with a new session of 10 s.
    pub(super) fn session(&mut self, shard: usize) -> (ConnId, SessionId) {
        let conn = self.open(shard);
        let answer = self.attach(conn, SessionId::NONE, [0; 16]);
        assert_eq!(answer.timeout_ms, 10_000);
        (conn, answer.session)
    }

    /// Sends a handshake and takes the answer.
    pub(super) fn attach(&mut self, conn: ConnId, session: SessionId, password: [u8; 16]) -> ConnectResponse {
        self.send(conn, &handshake(session, password, 10_000, 0));
        self.run();
        let received = self.receive(conn);
        let answers = payloads(&received);
        assert_eq!(answers.len(), 1, "one answer to the handshake: {answers:?}");
        ConnectResponse::decode(&answers[0]).unwrap()
    }

    /// Reconnects a session through a new connection.
    pub(super) fn reattach(&mut self, shard: usize, session: SessionId) -> (ConnId, ConnectResponse) {
        let conn = self.open(shard);
        let answer = self.attach(conn, session, session_password(session));
        (conn, answer)
    }

    /// Sends frames and takes everything that comes back.
    pub(super) fn ask(&mut self, conn: ConnId, frames: &[Vec<u8>]) -> Vec<Reply> {
        self.send(conn, &frames.concat());
        self.run();
        self.replies(conn)
    }

    /// Sends one frame and takes its one reply.
    pub(super) fn one(&mut self, conn: ConnId, frame: Vec<u8>) -> Reply {
        let mut replies = self.ask(conn, &[frame]);
        assert_eq!(replies.len(), 1, "one reply: {replies:?}");
        replies.remove(0)
    }

    pub(super) fn replies(&mut self, conn: ConnId) -> Vec<Reply> {
        let received = self.receive(conn);
        replies(&received)
    }

    /// Sends a request that must succeed.
    pub(super) fn must(&mut self, conn: ConnId, frame: Vec<u8>) -> Reply {
        let reply = self.one(conn, frame);
        assert_eq!(reply.err, 0, "{reply:?}");
        reply
    }
}
