//! The jute binary encoding (client-protocol.md section 1).

use ostler_model::{Blob, Text};

/// Why bytes could not be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The input ended inside a field.
    Truncated,
    /// A length is below -1 or beyond the allowed size.
    BadLength(i32),
    /// A field's value is outside its enumeration (watch mode, watcher type).
    BadValue(i32),
    /// The opcode has no such record.
    UnknownOp(i32),
    /// A create inside a multi has a null ACL vector: unlike other malformed multis it consumes no zxid (section 15).
    MultiNullAcl,
}

/// Reads fields off the front of a byte slice.
pub struct Reader<'a> {
    rest: &'a [u8],
    length_max: usize,
}

impl<'a> Reader<'a> {
    /// Strings and buffers above `length_max` bytes are refused.
    pub fn new(bytes: &'a [u8], length_max: usize) -> Self {
        Reader { rest: bytes, length_max }
    }
    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
    /// 4 bytes.
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        todo!()
    }
    /// 8 bytes.
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        todo!()
    }
    /// 1 byte, any non-zero value is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        todo!()
    }
    /// A buffer, `None` for null.
    pub fn buffer(&mut self) -> Result<Blob<'a>, DecodeError> {
        todo!()
    }
    /// A string, `None` for null, malformed UTF-8 replaced.
    pub fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        todo!()
    }
}
