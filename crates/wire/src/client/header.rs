//! The headers of requests and replies (client-protocol.md section 5).

use crate::jute::{DecodeError, Reader};
use ostler_model::Zxid;

/// xid and operation of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct RequestHeader {
    pub xid: i32,
    pub op: i32,
}

impl RequestHeader {
    /// Splits a frame's payload into header and body.
    ///
    /// # Errors
    /// Fewer than 8 bytes: close the connection.
    #[inline]
    pub fn split(payload: &[u8]) -> Result<(RequestHeader, &[u8]), DecodeError> {
        let mut reader = Reader::new(payload, 0);
        let header = RequestHeader { xid: reader.int()?, op: reader.int()? };
        Ok((header, reader.rest()))
    }
}

/// Header of every reply and event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ReplyHeader {
    pub xid: i32,
    pub zxid: Zxid,
    pub err: i32,
}

impl ReplyHeader {
    /// The xid of watch events.
    pub const EVENT_XID: i32 = -1;
    /// The xid of every reply to a ping.
    pub const PING_XID: i32 = -2;

    /// Splits a frame's payload into header and body.
    ///
    /// # Errors
    /// Fewer than 16 bytes.
    #[inline]
    pub fn split(payload: &[u8]) -> Result<(ReplyHeader, &[u8]), DecodeError> {
        let mut reader = Reader::new(payload, 0);
        let header = ReplyHeader { xid: reader.int()?, zxid: Zxid(reader.long()?), err: reader.int()? };
        Ok((header, reader.rest()))
    }
}
