//! The record that all packets are: kind, zxid, a buffer whose meaning depends on the kind, and the identities of a
//! client (REQUEST only).

use crate::jute::{self, DecodeError, Reader};
use ostler_model::limits::{QUORUM_AUTH_BYTES_MAX, QUORUM_AUTH_IDS_MAX};
use ostler_model::{AuthId, AuthIds, Text, Zxid};
use std::borrow::Cow;

/// The numbers of the kinds.
pub(super) mod kind {
    pub(crate) const REQUEST: i32 = 1;
    pub(crate) const PROPOSAL: i32 = 2;
    pub(crate) const ACK: i32 = 3;
    pub(crate) const COMMIT: i32 = 4;
    pub(crate) const PING: i32 = 5;
    pub(crate) const REVALIDATE: i32 = 6;
    pub(crate) const SYNC: i32 = 7;
    pub(crate) const INFORM: i32 = 8;
    pub(crate) const COMMIT_AND_ACTIVATE: i32 = 9;
    pub(crate) const NEW_LEADER: i32 = 10;
    pub(crate) const FOLLOWER_INFO: i32 = 11;
    pub(crate) const UP_TO_DATE: i32 = 12;
    pub(crate) const DIFF: i32 = 13;
    pub(crate) const TRUNC: i32 = 14;
    pub(crate) const SNAP: i32 = 15;
    pub(crate) const OBSERVER_INFO: i32 = 16;
    pub(crate) const LEADER_INFO: i32 = 17;
    pub(crate) const ACK_EPOCH: i32 = 18;
    pub(crate) const INFORM_AND_ACTIVATE: i32 = 19;
}

/// The zxid of packets in which it means nothing.
pub(super) const NO_ZXID: Zxid = Zxid(-1);
/// Kind, zxid and the length of the buffer.
const HEAD_BYTES: usize = 16;

/// The most bytes that an unfinished packet can need before it is decoded or refused, when buffers up to `data_max`
/// are allowed: nobody has to buffer more than this for one packet.
pub const fn packet_bytes_max(data_max: usize) -> usize {
    // Identities are counted when they are complete; the one that goes beyond the bound is the last.
    HEAD_BYTES + data_max + 2 * QUORUM_AUTH_BYTES_MAX
}

/// A packet of which only the frame was read.
pub(super) struct Packet<'a> {
    pub(super) kind: i32,
    pub(super) zxid: Zxid,
    pub(super) data: Option<&'a [u8]>,
    /// A whole vector of identities.
    auth: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes the packet at the front of `bytes`, with its length; `None` while it is not complete.
    pub(super) fn split(bytes: &'a [u8], data_max: usize) -> Result<Option<(Packet<'a>, usize)>, DecodeError> {
        match Packet::take(bytes, data_max) {
            Ok(found) => Ok(Some(found)),
            Err(DecodeError::Truncated) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(bytes: &'a [u8], data_max: usize) -> Result<(Packet<'a>, usize), DecodeError> {
        let mut r = Reader::of_server(bytes, data_max);
        let (kind, zxid, data) = (r.int()?, Zxid(r.long()?), r.buffer()?);
        let rest = r.rest();
        let auth = &rest[..auth_bytes(rest)?];
        Ok((Packet { kind, zxid, data, auth }, bytes.len() - rest.len() + auth.len()))
    }

    /// The buffer. A null and an empty one mean the same.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.data.unwrap_or_default()
    }

    /// Fields of the buffer. Bytes behind the last one are ignored.
    pub(super) fn fields(&self) -> Reader<'a> {
        Reader::of_server(self.bytes(), self.bytes().len())
    }

    /// The epoch in the zxid of a packet about an epoch.
    pub(super) fn epoch(&self) -> Result<u32, DecodeError> {
        if self.zxid.0 < 0 {
            return Err(DecodeError::BadValue((self.zxid.0 >> 32) as i32));
        }
        Ok(self.zxid.epoch())
    }

    /// The identities, null strings as empty ones.
    pub(super) fn auth(&self) -> Result<AuthIds, DecodeError> {
        let owned = |text: Text<'a>| text.map_or_else(String::new, Cow::into_owned);
        let ids = Reader::of_server(self.auth, QUORUM_AUTH_BYTES_MAX)
            .vector(|r| Ok(AuthId { scheme: owned(r.text()?), id: owned(r.text()?) }))?;
        Ok(ids.unwrap_or_default().into())
    }
}

/// The length of the vector of identities at the front of `bytes`.
fn auth_bytes(bytes: &[u8]) -> Result<usize, DecodeError> {
    let mut r = Reader::of_server(bytes, QUORUM_AUTH_BYTES_MAX);
    let count = r.int()?;
    if usize::try_from(count).is_ok_and(|count| count > QUORUM_AUTH_IDS_MAX) {
        return Err(DecodeError::BadLength(count));
    }
    for _ in 0..count.max(0) {
        r.buffer()?;
        r.buffer()?;
        let length = bytes.len() - r.rest().len();
        if length > QUORUM_AUTH_BYTES_MAX {
            return Err(DecodeError::BadLength(i32::try_from(length).unwrap_or(i32::MAX)));
        }
    }
    Ok(bytes.len() - r.rest().len())
}

/// Appends a packet without identities; `data` is a null buffer if it is `None`.
pub(super) fn put(out: &mut Vec<u8>, kind: i32, zxid: Zxid, data: Option<&[u8]>) {
    put_head(out, kind, zxid);
    jute::put_buffer(out, data);
    put_auth(out, &[]);
}

/// Appends a packet whose buffer `data` appends.
pub(super) fn put_with(out: &mut Vec<u8>, kind: i32, zxid: Zxid, auth: &[AuthId], data: impl FnOnce(&mut Vec<u8>)) {
    put_head(out, kind, zxid);
    jute::put_sized(out, data);
    put_auth(out, auth);
}

fn put_head(out: &mut Vec<u8>, kind: i32, zxid: Zxid) {
    jute::put_int(out, kind);
    jute::put_long(out, zxid.0);
}

/// No identities are a null vector, as Apache sends it.
fn put_auth(out: &mut Vec<u8>, auth: &[AuthId]) {
    if auth.is_empty() {
        jute::put_int(out, -1);
        return;
    }
    jute::put_length(out, auth.len());
    for id in auth {
        jute::put_text(out, Some(&id.scheme));
        jute::put_text(out, Some(&id.id));
    }
}
