//! The transaction log (storage.md section 3): [`Log`] writes it, [`LogReader`] reads one file of it.

mod chain;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use chain::{Chain, Step};
pub use reader::{End, LogReader, Record};
pub(crate) use reader::{LENGTH, RESTORE};
pub use writer::{Appended, Commit, Log, LogConfig};

use ostler_model::Zxid;

/// `ZKLG`.
const MAGIC: [u8; 4] = *b"ZKLG";
/// Magic, version, dbid.
pub(crate) const HEADER_BYTES: u64 = 16;
/// Checksum and length before a payload.
const RECORD_HEADER_BYTES: usize = 12;
/// The byte behind every payload.
const EOR: u8 = 0x42;
/// Format version in the header; readers do not look at it.
const VERSION: u32 = 2;
/// Where the zxid stands in a payload, and how long the transaction's header is.
const ZXID_AT: usize = 12;
const TXN_HEADER_BYTES: usize = 32;

/// The zxid of a payload that is long enough to have a header.
pub(crate) fn record_zxid(payload: &[u8]) -> Option<Zxid> {
    let header: &[u8; TXN_HEADER_BYTES] = payload.first_chunk()?;
    let zxid = header[ZXID_AT..ZXID_AT + 8].try_into().expect("a range of 8 bytes");
    Some(Zxid(i64::from_be_bytes(zxid)))
}

fn header() -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_be_bytes());
    header
}

/// Adler-32 of a payload.
fn checksum(payload: &[u8]) -> u32 {
    simd_adler32::adler32(&payload)
}
