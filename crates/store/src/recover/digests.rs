//! Comparing the tree's digest with those that snapshots and records carry (storage.md section 7). Never fatal.

use super::RecoveryFacts;
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn::{DIGEST_VERSION, TxnDigest};

/// What to compare next.
#[derive(Debug)]
pub(super) struct Digests {
    enabled: bool,
    /// While the tree mixes states (a fuzzy snapshot, records up to this one missing) there is nothing to compare; at this
    /// zxid it must have the digest of the snapshot.
    fuzzy_until: Option<(Zxid, TxnDigest)>,
    /// A snapshot that came from a leader does not say until where it is fuzzy: up to the first match nothing is known. The
    /// first mismatch meanwhile.
    unsettled: Option<Option<Zxid>>,
}

impl Digests {
    /// `section`: the digest section of a snapshot.
    pub(super) fn new(config: &TreeConfig, section: Option<(Zxid, TxnDigest)>) -> Digests {
        Digests { enabled: config.digest, fuzzy_until: section.filter(|_| config.digest), unsettled: None }
    }

    /// Mismatches count only once a digest has matched.
    pub(super) fn wait_for_a_match(&mut self) {
        self.unsettled = Some(None);
    }

    /// False while the tree may mix states of the leader that sent it.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.is_none()
    }

    /// The snapshot contains parts of a transaction that the log did not supply.
    pub(super) fn lacks(&self) -> Option<Zxid> {
        self.fuzzy_until.map(|(zxid, _)| zxid)
    }

    /// The tree as the snapshot gave it.
    pub(super) fn after_snapshot(&mut self, tree: &Tree, facts: &mut RecoveryFacts) {
        match self.fuzzy_until {
            Some((zxid, digest)) if zxid == tree.zxid() && zxid != Zxid::ZERO => {
                compare(tree, digest, facts);
                self.fuzzy_until = None;
            }
            Some((zxid, _)) if zxid <= tree.zxid() => self.fuzzy_until = None,
            _ => {}
        }
    }

    /// The tree after a record.
    pub(super) fn after_record(&mut self, tree: &Tree, digest: Option<TxnDigest>, facts: &mut RecoveryFacts) {
        if !self.enabled {
            return;
        }
        match (self.fuzzy_until, digest) {
            (Some((zxid, _)), _) if tree.zxid() < zxid => {}
            (Some((zxid, snapshot)), _) => {
                if zxid == tree.zxid() {
                    compare(tree, snapshot, facts);
                } else {
                    facts.warnings.push(format!(
                        "the snapshot's digest belongs to {zxid}, which is not among the log's records: it is not compared"
                    ));
                }
                self.fuzzy_until = None;
            }
            (None, Some(digest)) => match &mut self.unsettled {
                None => compare(tree, digest, facts),
                Some(_) if digest.tree_digest == tree.digest() => self.unsettled = None,
                Some(first) => _ = first.get_or_insert(tree.zxid()),
            },
            (None, None) => {}
        }
    }

    /// The whole log was replayed.
    pub(super) fn at_end(&self, tree: &Tree, facts: &mut RecoveryFacts) {
        if let Some(Some(first)) = self.unsettled {
            facts.warnings.push(format!(
                "no digest has matched since {first}: the snapshot came from a leader and may contain parts of transactions that the log does not hold yet"
            ));
        }
        if let Some((zxid, _)) = self.fuzzy_until {
            facts.warnings.push(format!(
                "the logs end at {}, but the snapshot contains changes up to {zxid}: logged transactions are missing",
                tree.zxid()
            ));
        }
    }
}

fn compare(tree: &Tree, digest: TxnDigest, facts: &mut RecoveryFacts) {
    if digest.version == DIGEST_VERSION && digest.tree_digest != tree.digest() {
        facts.digest_mismatches += 1;
        facts.first_mismatch.get_or_insert(tree.zxid());
    }
}
