//! Records of the client protocol, both directions (client-protocol.md sections 3, 5, 6, 15).

use crate::jute::DecodeError;
use ostler_model::{Acl, AuthId, ErrorCode, EventType, OpCode, Request, SessionId, Stat, Zxid};

/// The first frame of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ConnectRequest {
    pub protocol_version: i32,
    pub last_zxid_seen: Zxid,
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Vec<u8>,
    /// `None`: the client is too old to send the byte, and must not be answered with one.
    pub read_only: Option<bool>,
}

/// The first frame of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ConnectResponse {
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: [u8; 16],
    pub read_only: Option<bool>,
}

/// xid and operation of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct RequestHeader {
    pub xid: i32,
    pub op: i32,
}

/// Header of every reply and event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ReplyHeader {
    pub xid: i32,
    pub zxid: Zxid,
    pub err: i32,
}

/// Decodes the body of a request. Bytes behind the last field are ignored.
///
/// # Errors
/// Anything malformed (answer -5), or an opcode without a record.
pub fn decode_request<'a>(op: OpCode, body: &'a [u8], length_max: usize) -> Result<Request<'a>, DecodeError> {
    let _ = (op, body, length_max);
    todo!()
}

/// Builds one frame at the end of `out`: length prefix, reply header, body. The writer methods append body fields;
/// dropping it without [`FrameWriter::finish`] is a bug.
pub struct FrameWriter<'a> {
    #[allow(dead_code, reason = "skeleton")]
    out: &'a mut Vec<u8>,
    #[allow(dead_code, reason = "skeleton")]
    start: usize,
}

impl<'a> FrameWriter<'a> {
    /// Starts a reply frame.
    pub fn reply(out: &'a mut Vec<u8>, header: ReplyHeader) -> Self {
        let _ = (out, header);
        todo!()
    }
    /// Appends an int.
    pub fn int(&mut self, _value: i32) {
        todo!()
    }
    /// Appends a long.
    pub fn long(&mut self, _value: i64) {
        todo!()
    }
    /// Appends a string or null.
    pub fn text(&mut self, _value: Option<&str>) {
        todo!()
    }
    /// Appends a buffer or null.
    pub fn buffer(&mut self, _value: Option<&[u8]>) {
        todo!()
    }
    /// Appends a Stat, 68 bytes.
    pub fn stat(&mut self, _stat: &Stat) {
        todo!()
    }
    /// Appends a vector of ACL entries.
    pub fn acl(&mut self, _acl: &[Acl]) {
        todo!()
    }
    /// Appends the header of one result of a multi.
    pub fn multi_header(&mut self, _op: i32, _done: bool, _err: i32) {
        todo!()
    }
    /// Reserves an int to be set later (count of a vector written piecemeal); returns its position.
    pub fn reserve_int(&mut self) -> usize {
        todo!()
    }
    /// Sets a reserved int.
    pub fn set_int(&mut self, _at: usize, _value: i32) {
        todo!()
    }
    /// Writes the length prefix.
    pub fn finish(self) {
        todo!()
    }
}

/// Appends a whole watch event frame.
pub fn encode_event(_out: &mut Vec<u8>, _zxid: Zxid, _event: EventType, _path: &str) {
    todo!()
}

/// Appends a whole reply frame without a body.
pub fn encode_error(_out: &mut Vec<u8>, _xid: i32, _zxid: Zxid, _err: Option<ErrorCode>) {
    todo!()
}

/// Appends the answer to whoAmI's list: scheme and user of each id.
pub fn who_am_i_user(_id: &AuthId) -> &str {
    todo!()
}
