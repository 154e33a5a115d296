//! The jute binary encoding (client-protocol.md section 1, storage.md section 2).
//!
//! [`Reader`] takes fields off the front of a slice and borrows from it; the `put_` functions append fields to a
//! `Vec<u8>`. Everything is big-endian; -1 as a length or count is null. Reading is exactly as tolerant as Apache:
//! a count below -1 is an empty vector, malformed UTF-8 becomes U+FFFD, bytes behind the last field are nobody's
//! business.

use crate::utf8;
use ostler_model::{Acl, Blob, Stat, Text, WireAcl, Zxid};
use std::borrow::Cow;

/// Elements that a vector reserves room for before it has read any: what a peer claims is not what it sent.
const VECTOR_RESERVE_MAX: usize = 256;
/// Length of an encoded Stat, bytes.
pub const STAT_BYTES: usize = 68;

/// Why bytes could not be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The input ended inside a field.
    #[error("the record ends inside a field")]
    Truncated,
    /// A length is below -1 or beyond the allowed size.
    #[error(
        "unreasonable length {0} of a string or buffer\n  hint: a larger jute.maxbuffer is needed if it is genuine"
    )]
    BadLength(i32),
    /// A field's value is outside its enumeration (watch mode, watcher type, create flags inside a multi).
    #[error("value {0} is outside the field's enumeration")]
    BadValue(i32),
    /// The opcode or transaction type has no such record.
    #[error("there is no record for type {0}")]
    UnknownOp(i32),
    /// A field that must not be null is null (path inside a multi, path of a transaction).
    #[error("a field that must not be null is null")]
    Null,
    /// A create inside a multi has a null ACL vector: unlike other malformed multis it consumes no zxid (section 15).
    #[error("a create inside a multi has a null ACL")]
    MultiNullAcl,
    /// Whoever dialed an election port does not speak this protocol.
    #[error(
        "unknown protocol version {0} on the election port\n  hint: is the peer a ZooKeeper server, and is TLS set \
         alike on both?"
    )]
    UnknownProtocol(i64),
    /// The address in a handshake of the election port is none.
    #[error("an election address is not host:port\n  hint: look at the server lines of the peer's configuration")]
    BadAddress,
}

/// Reads fields off the front of a byte slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length_max: usize,
    /// Take two surrogates for the character they stand for.
    join_surrogates: bool,
}

impl<'a> Reader<'a> {
    /// Reads what a client wrote. Strings and buffers above `length_max` bytes are refused.
    pub fn new(bytes: &'a [u8], length_max: usize) -> Self {
        Reader { rest: bytes, length_max, join_surrogates: false }
    }

    /// Reads what a server wrote: logs, snapshots, replies. Apache writes supplementary characters as surrogate
    /// pairs, which it cannot read back; here they are the character they stand for.
    pub fn of_server(bytes: &'a [u8], length_max: usize) -> Self {
        Reader { rest: bytes, length_max, join_surrogates: true }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// 4 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], here and in all other methods.
    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        self.take().map(i32::from_be_bytes)
    }

    /// 8 bytes.
    ///
    /// # Errors
    /// The input is too short.
    #[inline]
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        self.take().map(i64::from_be_bytes)
    }

    /// 1 byte, any non-zero value is true.
    ///
    /// # Errors
    /// The input is too short.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.take::<1>().map(|[byte]| byte != 0)
    }

    /// A buffer, `None` for null.
    ///
    /// # Errors
    /// The length is below -1, above the limit, or beyond the input.
    #[inline]
    pub fn buffer(&mut self) -> Result<Blob<'a>, DecodeError> {
        let length = self.int()?;
        if length < 0 {
            return if length == -1 { Ok(None) } else { Err(DecodeError::BadLength(length)) };
        }
        if length as usize > self.length_max {
            return Err(DecodeError::BadLength(length));
        }
        let (head, rest) = self.rest.split_at_checked(length as usize).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(Some(head))
    }

    /// A string, `None` for null; malformed UTF-8 becomes U+FFFD, as often as Java makes it.
    ///
    /// # Errors
    /// As [`Reader::buffer`].
    #[inline]
    pub fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        Ok(self.buffer()?.map(|bytes| utf8::decode(bytes, self.join_surrogates)))
    }

    /// A vector, `None` for null; a count below -1 is an empty one. Elements must not be of zero length.
    ///
    /// # Errors
    /// What `element` returns.
    pub fn vector<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.int()?;
        if count == -1 {
            return Ok(None);
        }
        let count = count.max(0) as usize;
        let mut items = Vec::with_capacity(count.min(VECTOR_RESERVE_MAX).min(self.rest.len()));
        for _ in 0..count {
            items.push(element(self)?);
        }
        Ok(Some(items))
    }

    /// A vector of strings.
    ///
    /// # Errors
    /// An element is malformed.
    pub fn texts(&mut self) -> Result<Option<Vec<Text<'a>>>, DecodeError> {
        self.vector(Reader::text)
    }

    /// A vector of ACL entries.
    ///
    /// # Errors
    /// An element is malformed.
    pub fn acl(&mut self) -> Result<Option<Vec<WireAcl<'a>>>, DecodeError> {
        self.vector(|r| Ok(WireAcl { perms: r.int()?, scheme: r.text()?, id: r.text()? }))
    }

    /// The ACL of a log or snapshot, owned. A null vector is read as an empty one, a null string as an empty one.
    ///
    /// # Errors
    /// An element is malformed.
    pub fn owned_acl(&mut self) -> Result<Vec<Acl>, DecodeError> {
        let owned = |text: Text<'a>| text.map_or_else(String::new, Cow::into_owned);
        let acl = self.vector(|r| Ok(Acl { perms: r.int()?, scheme: owned(r.text()?), id: owned(r.text()?) }))?;
        Ok(acl.unwrap_or_default())
    }

    /// A Stat, 68 bytes.
    ///
    /// # Errors
    /// The input is too short.
    pub fn stat(&mut self) -> Result<Stat, DecodeError> {
        Ok(Stat {
            czxid: Zxid(self.long()?),
            mzxid: Zxid(self.long()?),
            ctime: self.long()?,
            mtime: self.long()?,
            version: self.int()?,
            cversion: self.int()?,
            aversion: self.int()?,
            ephemeral_owner: self.long()?,
            data_length: self.int()?,
            num_children: self.int()?,
            pzxid: Zxid(self.long()?),
        })
    }
}

/// Appends an int.
#[inline]
pub fn put_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a long.
#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a boolean.
#[inline]
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a buffer or null.
#[inline]
pub fn put_buffer(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            put_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        None => put_int(out, -1),
    }
}

/// Appends a string or null as plain UTF-8: the form of logs and snapshots, and of requests.
#[inline]
pub fn put_text(out: &mut Vec<u8>, value: Option<&str>) {
    put_buffer(out, value.map(str::as_bytes));
}

/// Appends a string or null as Apache answers it: supplementary characters as surrogate pairs (section 1).
#[inline]
pub fn put_reply_text(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(text) if utf8::has_supplementary(text) => utf8::put_with_surrogates(out, text),
        plain => put_text(out, plain),
    }
}

/// Appends a length or count. All lengths here are bounded far below 2 GiB by the frame limits and the tree.
#[inline]
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    put_int(out, i32::try_from(length).expect("records are bounded far below 2 GiB"));
}

/// Appends a buffer whose content `put` appends, without a copy.
pub(crate) fn put_sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_int(out, 0);
    put(out);
    let length = i32::try_from(out.len() - start - 4).expect("records are bounded far below 2 GiB");
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a vector of ACL entries, strings as plain UTF-8.
pub fn put_acl(out: &mut Vec<u8>, acl: &[Acl]) {
    put_length(out, acl.len());
    for entry in acl {
        put_int(out, entry.perms);
        put_text(out, Some(&entry.scheme));
        put_text(out, Some(&entry.id));
    }
}

/// Appends a Stat, 68 bytes.
#[inline]
pub fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    let mut bytes = [0; STAT_BYTES];
    bytes[0..8].copy_from_slice(&stat.czxid.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&stat.mzxid.0.to_be_bytes());
    bytes[16..24].copy_from_slice(&stat.ctime.to_be_bytes());
    bytes[24..32].copy_from_slice(&stat.mtime.to_be_bytes());
    bytes[32..36].copy_from_slice(&stat.version.to_be_bytes());
    bytes[36..40].copy_from_slice(&stat.cversion.to_be_bytes());
    bytes[40..44].copy_from_slice(&stat.aversion.to_be_bytes());
    bytes[44..52].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    bytes[52..56].copy_from_slice(&stat.data_length.to_be_bytes());
    bytes[56..60].copy_from_slice(&stat.num_children.to_be_bytes());
    bytes[60..68].copy_from_slice(&stat.pzxid.0.to_be_bytes());
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn null_and_empty_stay_apart() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], MAX);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.text(), Ok(Some("".into())));
        assert_eq!(reader.rest(), b"");
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        assert_eq!(Reader::new(&(-2_i32).to_be_bytes(), MAX).buffer(), Err(DecodeError::BadLength(-2)));
        assert_eq!(Reader::new(&i32::MIN.to_be_bytes(), MAX).text(), Err(DecodeError::BadLength(i32::MIN)));
        assert_eq!(Reader::new(&[0, 0, 0, 5, 1, 2, 3, 4], MAX).buffer(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[0, 0, 0, 3, 1, 2, 3], 2).buffer(), Err(DecodeError::BadLength(3)));
        assert_eq!(Reader::new(&[0, 0, 0], MAX).int(), Err(DecodeError::Truncated));
    }

    #[test]
    fn vectors_read_as_apache_reads_them() {
        let vector =
            |count: i32| Reader::new(&count.to_be_bytes(), MAX).texts().map(|read| read.map(|read| read.len()));
        assert_eq!(vector(-1), Ok(None));
        assert_eq!(vector(-2), Ok(Some(0)));
        assert_eq!(vector(i32::MIN), Ok(Some(0)));
        assert_eq!(vector(0), Ok(Some(0)));
        assert_eq!(vector(i32::MAX), Err(DecodeError::Truncated));
    }

    #[test]
    fn any_byte_but_zero_is_true() {
        let mut reader = Reader::new(&[0, 1, 2, 0xff], MAX);
        let read: Vec<_> = (0..4).map(|_| reader.bool()).collect();
        assert_eq!(read, [Ok(false), Ok(true), Ok(true), Ok(true)]);
    }

    #[test]
    fn stat_survives() {
        let stat = Stat {
            czxid: Zxid(1),
            mzxid: Zxid(-2),
            ctime: 3,
            mtime: 4,
            version: -5,
            cversion: 6,
            aversion: 7,
            ephemeral_owner: 8,
            data_length: 9,
            num_children: 10,
            pzxid: Zxid(11),
        };
        let mut bytes = Vec::new();
        put_stat(&mut bytes, &stat);
        assert_eq!(bytes.len(), STAT_BYTES);
        assert_eq!(Reader::new(&bytes, MAX).stat(), Ok(stat));
    }
}
