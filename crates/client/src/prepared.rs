//! A request encoded when it is made and numbered when it is sent: a caller's data is copied once, and a request can wait
//! without borrowing from its caller.

use crate::chroot;
use crate::watches::WatchIntent;
use ostler_model::{OpCode, Request};
use ostler_wire::peer;

/// Where the xid stands in a frame: behind the length.
const XID: std::ops::Range<usize> = 4..8;

/// Length, xid, operation, lengths of path and data, flags.
const HEAD_BYTES: usize = 32;
/// One entry of an ACL, with its scheme and id.
const ACL_BYTES: usize = 48;

/// An encoded request without its number.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) op: OpCode,
    pub(crate) watch: Option<WatchIntent>,
    pub(crate) frame: Frame,
}

/// A whole frame whose xid is not set yet.
#[derive(Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    pub(crate) fn with_xid(mut self, xid: i32) -> Vec<u8> {
        self.0[XID].copy_from_slice(&xid.to_be_bytes());
        self.0
    }
}

impl Prepared {
    /// Encodes a request. Paths are the server's.
    pub fn new(request: &Request<'_>) -> Prepared {
        let mut frame = Vec::with_capacity(capacity(request));
        peer::encode_request(&mut frame, 0, request);
        Prepared { op: peer::op_code(request), watch: WatchIntent::of(request), frame: Frame(frame) }
    }

    /// Bytes of its frame behind the length, which is what servers limit.
    pub fn bytes(&self) -> usize {
        self.frame.0.len() - 4
    }
}

/// Enough for most requests, so that a frame is allocated once.
fn capacity(request: &Request<'_>) -> usize {
    let data = match request {
        Request::Create(create) => create.data.map_or(0, <[u8]>::len) + ACL_BYTES,
        Request::SetData(set) => set.data.map_or(0, <[u8]>::len),
        _ => 0,
    };
    HEAD_BYTES + chroot::first(request).len() + data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_set_later_is_the_same_as_one_set_at_once() {
        let request = Request::GetData { path: Some("/a".into()), watch: true };
        let mut at_once = Vec::new();
        peer::encode_request(&mut at_once, 77, &request);
        let prepared = Prepared::new(&request);
        assert_eq!(prepared.bytes() + 4, at_once.len());
        assert!(prepared.frame.0.capacity() < at_once.len() + HEAD_BYTES, "allocated once");
        assert_eq!(prepared.watch, Some(WatchIntent::Add("/a".into(), crate::WatchKind::Data)));
        assert_eq!(prepared.frame.with_xid(77), at_once);
    }
}
