//! Records of the transaction log and of proposals: header, body, optional digest (storage.md section 3).

use crate::jute::DecodeError;
use ostler_model::{Txn, TxnHeader};

/// Version of the digest that this server computes and writes.
pub const DIGEST_VERSION: i32 = 2;

/// The digest of the tree after a transaction, as a record carries it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the format's names")]
pub struct TxnDigest {
    pub version: i32,
    pub tree_digest: i64,
}

/// A decoded record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the format's names")]
pub struct TxnRecord {
    pub header: TxnHeader,
    pub txn: Txn,
    pub digest: Option<TxnDigest>,
}

/// Appends header, body and digest (none for error transactions, whatever is given).
pub fn encode(_out: &mut Vec<u8>, _header: &TxnHeader, _txn: &Txn, _digest: Option<TxnDigest>) {
    todo!()
}

/// Decodes a record's payload.
///
/// # Errors
/// The body does not parse or its type is unknown.
pub fn decode(_payload: &[u8], _length_max: usize) -> Result<TxnRecord, DecodeError> {
    todo!()
}
