//! All servers apply the same transactions in the same order, without a hole, and nothing else
//! (zab-invariants.md INV-7 to INV-12: log shape, integrity, total order, agreement, primary orders).

use super::{Entry, Referee, Verdict, broken};
use ostler_model::Zxid;
use ostler_wire::txn;
use std::collections::BTreeSet;
use std::sync::Arc;

const CHECK: &str = "order";

impl Referee {
    /// A server applied its next transaction.
    pub fn commit(&mut self, server: usize, zxid: Zxid, record: &Arc<[u8]>) -> Verdict {
        let at = self.applied[server];
        if let Some(entry) = self.entries.get(at) {
            if entry.zxid != zxid || entry.record != *record {
                let what = if entry.zxid == zxid { "another transaction with the zxid" } else { "not" };
                return Err(broken(
                    CHECK,
                    format!(
                        "INV-9: server {server} applies {zxid}, {what} {} that stands there for others",
                        entry.zxid
                    ),
                ));
            }
        } else {
            self.extend(server, zxid, record)?;
        }
        self.applied[server] = at + 1;
        Ok(())
    }

    /// A transaction is committed that nobody has applied before.
    fn extend(&mut self, server: usize, zxid: Zxid, record: &Arc<[u8]>) -> Verdict {
        let last = self.last_zxid();
        if !last.is_followed_by(zxid) {
            return Err(broken(CHECK, format!("INV-7: server {server} applies {zxid} directly behind {last}")));
        }
        let decoded = txn::decode(record, usize::MAX).map_err(|error| {
            broken(CHECK, format!("server {server}: the record of {zxid} does not decode: {error}"))
        })?;
        if decoded.header.zxid != zxid {
            return Err(broken(CHECK, format!("the record of {zxid} says {}", decoded.header.zxid)));
        }
        self.has_quorum(zxid, &decoded.txn)?;
        self.judge_txn(&decoded.header, &decoded.txn)?;
        let mut touched = BTreeSet::new();
        let changes = self
            .state
            .apply(&decoded.header, &decoded.txn, &mut touched)
            .map_err(|words| broken(CHECK, format!("INV-21: {zxid} does not fit the state before it: {words}")))?;
        self.versions.note(zxid, &self.state, &touched);
        let digest = self.state.digest();
        if let Some(found) = decoded.digest.filter(|found| found.tree_digest != digest) {
            let found = found.tree_digest;
            return Err(broken(
                CHECK,
                format!(
                    "INV-21: the leader put digest {found} into {zxid}, the naive model has {digest}: {:?}",
                    decoded.txn
                ),
            ));
        }
        self.entries.push(Entry {
            zxid,
            record: record.clone(),
            header: decoded.header,
            txn: decoded.txn,
            changes,
            digest,
        });
        Ok(())
    }
}
