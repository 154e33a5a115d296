//! Compares the transaction logs that both servers wrote: what clients cannot see (kind of owner, parent's counter, how
//! a failed multi is kept) must be the same too. Times and digests, which follow from them, are left out.

use ostler_model::{AclList, ErrorCode, SessionId, Txn};
use ostler_wire::txn::{self, TxnRecord};
use std::collections::HashMap;
use std::io;
use std::path::Path;

const FILE_HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 12;
const LENGTH_MAX: usize = 8 << 20;
/// Differences described before the comparison gives up.
const REPORTED_MAX: usize = 10;

/// The records of all logs in a data directory, in order.
///
/// # Errors
/// A file cannot be read, or holds something else than records.
pub fn read(data_dir: &Path) -> io::Result<Vec<TxnRecord>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(data_dir.join("version-2"))? {
        let path = entry?.path();
        let zxid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("log."));
        if let Some(zxid) = zxid.and_then(|zxid| i64::from_str_radix(zxid, 16).ok()) {
            files.push((zxid, path));
        }
    }
    files.sort();
    let mut records = Vec::new();
    for (_, path) in files {
        let bytes = std::fs::read(&path)?;
        let mut rest = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
        while let Some((head, after)) = rest.split_at_checked(RECORD_HEADER_BYTES) {
            let length = head[8..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            let Some((payload, after)) = after.split_at_checked(length).filter(|_| length > 0) else { break };
            records.push(txn::decode(payload, LENGTH_MAX).map_err(io::Error::other)?);
            rest = &after[1.min(after.len())..];
        }
    }
    Ok(records)
}

/// Drops what only Apache writes: an error for every write that does not decode, under a zxid that is already used
/// (client-protocol.md section 20, row 1). Ostler logs nothing.
pub fn without_reused_zxids(mut records: Vec<TxnRecord>) -> Vec<TxnRecord> {
    let mut last = None;
    records.retain(|record| {
        let reused = last == Some(record.header.zxid) && record.txn == Txn::Error(ErrorCode::MarshallingError);
        last = Some(record.header.zxid);
        !reused
    });
    records
}

/// What differs, in words; nothing if the logs say the same.
pub fn differences(a: &[TxnRecord], b: &[TxnRecord]) -> Vec<String> {
    let mut found = Vec::new();
    if a.len() != b.len() {
        found.push(format!("A logged {} transactions, B {}", a.len(), b.len()));
    }
    let (mut sessions_a, mut sessions_b) = (HashMap::new(), HashMap::new());
    for (one, two) in a.iter().zip(b) {
        let (one, two) = (plain(one, &mut sessions_a), plain(two, &mut sessions_b));
        if one != two {
            found.push(format!("A: {one:?}\n  B: {two:?}"));
        }
        if found.len() >= REPORTED_MAX {
            break;
        }
    }
    found
}

/// A record without what may differ: sessions are numbered in the order in which they first appear.
fn plain(record: &TxnRecord, sessions: &mut HashMap<SessionId, usize>) -> TxnRecord {
    let mut record = record.clone();
    let next = sessions.len() + 1;
    record.header.session = SessionId(*sessions.entry(record.header.session).or_insert(next) as i64);
    record.header.time_ms = 0;
    // Whether there is one, not which: it covers times.
    if let Some(digest) = &mut record.digest {
        digest.tree_digest = 0;
    }
    sort_unordered(&mut record.txn);
    record
}

/// A session's nodes are deleted in no order; `auth` becomes one entry per identity in no order.
fn sort_unordered(txn: &mut Txn) {
    match txn {
        Txn::CloseSession { paths: Some(paths) } => paths.sort_unstable(),
        Txn::Create(create) => create.acl = sorted(&create.acl),
        Txn::SetAcl { acl, .. } => *acl = sorted(acl),
        Txn::Multi(parts) => parts.iter_mut().for_each(sort_unordered),
        _ => {}
    }
}

fn sorted(acl: &AclList) -> AclList {
    let mut entries = acl.to_vec();
    entries.sort_unstable();
    entries.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::{TxnHeader, Zxid};

    fn record(session: i64, zxid: i64, txn: Txn) -> TxnRecord {
        let header = TxnHeader { session: SessionId(session), cxid: 1, zxid: Zxid(zxid), time_ms: zxid * session };
        TxnRecord { header, txn, digest: None }
    }

    fn delete(path: &str) -> Txn {
        Txn::Delete { path: path.into() }
    }

    fn close(paths: &[&str]) -> Txn {
        Txn::CloseSession { paths: Some(paths.iter().map(|&path| path.into()).collect()) }
    }

    #[test]
    fn only_what_matters_is_compared() {
        let a = [record(70, 1, delete("/a")), record(71, 2, delete("/b")), record(70, 3, close(&["/x", "/y"]))];
        let b = [record(90, 1, delete("/a")), record(80, 2, delete("/b")), record(90, 3, close(&["/y", "/x"]))];
        assert_eq!(differences(&a, &b), Vec::<String>::new());
        let other_session = [b[0].clone(), record(90, 2, delete("/b")), b[2].clone()];
        let other_path = [record(90, 1, delete("/c")), b[1].clone(), b[2].clone()];
        assert_eq!(differences(&a, &other_session).len(), 1);
        assert_eq!(differences(&a, &other_path).len(), 1);
        assert_eq!(differences(&a, &b[..2]).len(), 1);
    }

    #[test]
    fn errors_under_a_used_zxid_are_apaches_alone() {
        let error = Txn::Error(ErrorCode::MarshallingError);
        let logged = vec![record(1, 1, delete("/a")), record(1, 1, error.clone()), record(1, 2, error)];
        let kept: Vec<_> = without_reused_zxids(logged).iter().map(|record| record.header.zxid.0).collect();
        assert_eq!(kept, [1, 2]);
    }
}
