//! How large a transaction becomes in the log, and that it stays below what every reader takes (BUG-24 of
//! zab-invariants.md): a request within its frame can become a record many times as large, because `auth` in an ACL
//! stands for ids of any length, as often as a multi names it.

use super::Check;
use ostler_model::{Acl, ErrorCode, Txn};

/// Header and digest of a record.
const FRAMING: usize = 32 + 12;
/// Type and length in front of a part of a multi.
const PART: usize = 8;

impl Check<'_> {
    /// Adds `txn` to what the record already holds.
    ///
    /// # Errors
    /// -5 if the record becomes larger than the policy's `txn_bytes_max`: it cannot be marshalled.
    pub(super) fn weigh(&mut self, txn: &Txn) -> Result<(), ErrorCode> {
        self.record_bytes += PART + bytes(txn);
        // The end of a session cannot be refused; whoever asks for it empties a large session first.
        let fits = self.record_bytes + FRAMING <= self.policy.txn_bytes_max || matches!(txn, Txn::CloseSession { .. });
        if fits { Ok(()) } else { Err(ErrorCode::MarshallingError) }
    }
}

/// Bytes of the body in the log (storage.md section 3.2), at most; those of a multi are counted part by part.
fn bytes(txn: &Txn) -> usize {
    let text = |text: &str| 4 + text.len();
    let data = |data: &Option<Vec<u8>>| 4 + data.as_ref().map_or(0, Vec::len);
    match txn {
        Txn::Create(create) => text(&create.path) + data(&create.data) + list_bytes(&create.acl) + 12,
        Txn::Delete { path } | Txn::DeleteContainer { path } => text(path),
        Txn::SetData { path, data: new, .. } | Txn::Reconfig { path, data: new, .. } => text(path) + data(new) + 4,
        Txn::SetAcl { path, acl, .. } => text(path) + list_bytes(acl) + 4,
        Txn::Check { path, .. } => text(path) + 4,
        Txn::CloseSession { paths } => 4 + paths.iter().flatten().map(|path| text(path)).sum::<usize>(),
        Txn::CreateSession { .. } | Txn::Error(_) | Txn::UnknownError(_) => 4,
        Txn::Multi(parts) => 4 + parts.iter().map(|part| PART + bytes(part)).sum::<usize>(),
    }
}

fn list_bytes(list: &[Acl]) -> usize {
    4 + list.iter().map(|entry| 12 + entry.scheme.len() + entry.id.len()).sum::<usize>()
}
