//! Building a frame at the end of an output buffer, without an allocation of its own.

use super::{ReplyHeader, RequestHeader};
use crate::jute;
use ostler_model::{Acl, Stat};

/// Builds one frame at the end of `out`: length prefix, header, body. The writer methods append body fields;
/// dropping it without [`FrameWriter::finish`] leaves a frame without its length and is a bug.
#[must_use = "a frame without finish() has no length"]
#[derive(Debug)]
pub struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the frame's length prefix stands in `out`.
    start: usize,
    /// Replies carry supplementary characters as surrogates, requests as UTF-8 (section 1).
    surrogates: bool,
}

impl<'a> FrameWriter<'a> {
    /// Starts a frame with no header (handshake).
    pub fn bare(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        FrameWriter { out, start, surrogates: true }
    }

    /// Starts a reply frame.
    #[inline]
    pub fn reply(out: &'a mut Vec<u8>, header: ReplyHeader) -> Self {
        let start = out.len();
        let mut bytes = [0; 20];
        bytes[4..8].copy_from_slice(&header.xid.to_be_bytes());
        bytes[8..16].copy_from_slice(&header.zxid.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&header.err.to_be_bytes());
        out.extend_from_slice(&bytes);
        FrameWriter { out, start, surrogates: true }
    }

    /// Starts a request frame, with any opcode.
    #[inline]
    pub fn request(out: &'a mut Vec<u8>, header: RequestHeader) -> Self {
        let start = out.len();
        let mut bytes = [0; 12];
        bytes[4..8].copy_from_slice(&header.xid.to_be_bytes());
        bytes[8..12].copy_from_slice(&header.op.to_be_bytes());
        out.extend_from_slice(&bytes);
        FrameWriter { out, start, surrogates: false }
    }

    /// Appends an int.
    #[inline]
    pub fn int(&mut self, value: i32) {
        jute::put_int(self.out, value);
    }

    /// Appends a long.
    #[inline]
    pub fn long(&mut self, value: i64) {
        jute::put_long(self.out, value);
    }

    /// Appends a boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        jute::put_bool(self.out, value);
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends a string or null.
    #[inline]
    pub fn text(&mut self, value: Option<&str>) {
        if self.surrogates {
            jute::put_reply_text(self.out, value);
        } else {
            jute::put_text(self.out, value);
        }
    }

    /// Appends a buffer or null.
    #[inline]
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        jute::put_buffer(self.out, value);
    }

    /// Appends a Stat, 68 bytes.
    #[inline]
    pub fn stat(&mut self, stat: &Stat) {
        jute::put_stat(self.out, stat);
    }

    /// Appends one ACL entry.
    pub fn acl_entry(&mut self, perms: i32, scheme: Option<&str>, id: Option<&str>) {
        self.int(perms);
        self.text(scheme);
        self.text(id);
    }

    /// Appends a vector of ACL entries.
    pub fn acl(&mut self, acl: &[Acl]) {
        jute::put_length(self.out, acl.len());
        for entry in acl {
            self.acl_entry(entry.perms, Some(&entry.scheme), Some(&entry.id));
        }
    }

    /// Appends a vector, or null: its count, then what `element` writes for each item.
    pub fn vector<T>(&mut self, items: Option<&[T]>, mut element: impl FnMut(&mut Self, &T)) {
        match items {
            Some(items) => {
                jute::put_length(self.out, items.len());
                for item in items {
                    element(self, item);
                }
            }
            None => self.int(-1),
        }
    }

    /// Appends the header of one operation or result of a multi.
    #[inline]
    pub fn multi_header(&mut self, op: i32, done: bool, err: i32) {
        self.int(op);
        self.bool(done);
        self.int(err);
    }

    /// Reserves an int to be set later (count of a vector written piecemeal); returns its position.
    pub fn reserve_int(&mut self) -> usize {
        let at = self.out.len();
        self.int(0);
        at
    }

    /// Sets a reserved int.
    ///
    /// # Panics
    /// `at` is not a position that [`FrameWriter::reserve_int`] returned.
    pub fn set_int(&mut self, at: usize, value: i32) {
        self.out[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// Bytes of the frame so far, the length prefix included.
    pub fn frame_bytes(&self) -> usize {
        self.out.len() - self.start
    }

    /// Writes the length prefix.
    #[inline]
    pub fn finish(self) {
        let length = self.out.len() - self.start - 4;
        let length = u32::try_from(length).expect("a frame is bounded far below 4 GiB");
        self.out[self.start..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::Zxid;

    #[test]
    fn frames_follow_each_other_with_their_own_lengths() {
        let mut out = Vec::new();
        FrameWriter::reply(&mut out, ReplyHeader { xid: 7, zxid: Zxid(0x100), err: -101 }).finish();
        let mut frame = FrameWriter::reply(&mut out, ReplyHeader { xid: -1, zxid: Zxid(1), err: 0 });
        let count = frame.reserve_int();
        frame.text(Some("ab"));
        frame.set_int(count, 1);
        frame.finish();
        let first = [0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0x9b];
        let second = [0, 0, 0, 26, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let body = [0, 0, 0, 1, 0, 0, 0, 2, b'a', b'b'];
        assert_eq!(out, [&first[..], &second[..], &body[..]].concat());
    }
}
