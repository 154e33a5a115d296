//! The few records that the session core itself writes and reads: handshake, headers, auth, setWatches, events
//! (client-protocol.md sections 2, 3, 5, 6). Bodies of ordinary requests and replies pass through as bytes.

use ostler_model::{EventType, OpCode, SessionId, Zxid};

/// xid of watch events.
pub(crate) const EVENT_XID: i32 = -1;
/// xid of pings.
pub(crate) const PING_XID: i32 = -2;
/// xid of auth packets.
pub(crate) const AUTH_XID: i32 = -4;
/// xid of setWatches packets.
pub(crate) const SET_WATCHES_XID: i32 = -8;

/// Appends one frame: length, request header, then what `body` appends.
pub(crate) fn request(out: &mut Vec<u8>, xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
    frame(out, |out| {
        int(out, xid);
        int(out, op.code());
        body(out);
    });
}

/// Appends the first frame of a connection.
pub(crate) fn connect(
    out: &mut Vec<u8>,
    seen: Zxid,
    timeout_ms: i32,
    session: SessionId,
    password: &[u8; 16],
    read_only: bool,
) {
    frame(out, |out| {
        int(out, 0);
        long(out, seen.0);
        int(out, timeout_ms);
        long(out, session.0);
        buffer(out, password);
        out.push(u8::from(read_only));
    });
}

/// Appends an auth packet.
pub(crate) fn auth(out: &mut Vec<u8>, scheme: &str, auth: &[u8]) {
    request(out, AUTH_XID, OpCode::Auth, |out| {
        int(out, 0);
        buffer(out, scheme.as_bytes());
        buffer(out, auth);
    });
}

/// Appends setWatches2, or setWatches where no list needs the newer one, which servers before 3.6 do not know.
pub(crate) fn set_watches(out: &mut Vec<u8>, since: Zxid, lists: &[Vec<&str>; 5]) -> OpCode {
    let old = lists[3].is_empty() && lists[4].is_empty();
    let op = if old { OpCode::SetWatches } else { OpCode::SetWatches2 };
    request(out, SET_WATCHES_XID, op, |out| {
        long(out, since.0);
        for list in &lists[..if old { 3 } else { 5 }] {
            int(out, list.len() as i32);
            for path in list {
                buffer(out, path.as_bytes());
            }
        }
    });
    op
}

fn frame(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    int(out, 0);
    payload(out);
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    int(out, bytes.len() as i32);
    out.extend_from_slice(bytes);
}

/// A server's answer to the handshake.
pub(crate) struct Welcome {
    pub(crate) timeout_ms: i32,
    pub(crate) session: SessionId,
    pub(crate) password: [u8; 16],
    pub(crate) read_only: bool,
}

/// Reads the answer to the handshake; `None` if it is malformed.
pub(crate) fn welcome(payload: &[u8]) -> Option<Welcome> {
    let mut fields = Fields(payload);
    fields.int()?;
    let timeout_ms = fields.int()?;
    let session = SessionId(fields.long()?);
    let password = fields.buffer()?.try_into().ok()?;
    let read_only = fields.take(1).is_some_and(|byte| byte[0] != 0);
    Some(Welcome { timeout_ms, session, password, read_only })
}

/// Reads a reply's header: xid, zxid, error; and the body behind it.
pub(crate) fn reply(payload: &[u8]) -> Option<(i32, Zxid, i32, &[u8])> {
    let mut fields = Fields(payload);
    Some((fields.int()?, Zxid(fields.long()?), fields.int()?, fields.0))
}

/// Reads the body of a watch event; `None` if it is malformed or of a type that servers do not send.
pub(crate) fn event(body: &[u8]) -> Option<(EventType, &str)> {
    let mut fields = Fields(body);
    let kind = match fields.int()? {
        1 => EventType::NodeCreated,
        2 => EventType::NodeDeleted,
        3 => EventType::NodeDataChanged,
        4 => EventType::NodeChildrenChanged,
        _ => return None,
    };
    fields.int()?;
    Some((kind, core::str::from_utf8(fields.buffer()?).ok()?))
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    fn long(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    fn buffer(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.int()?).ok()?;
        self.take(length)
    }
}
