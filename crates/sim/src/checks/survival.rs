//! What was applied or acknowledged survives every crash (zab-invariants.md INV-14, INV-19; a server that stands alone is
//! its own quorum), and recovery finds it without losing or inventing anything.

use super::{Referee, Verdict, broken};
use ostler_model::Zxid;
use ostler_tree::Tree;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

const CHECK: &str = "survival";

impl Referee {
    /// A server that stands alone has recovered: everything that it or anybody else has seen must be there, and what
    /// lies behind that must be its own proposals, which count as committed from now on.
    pub fn recovered_alone(&mut self, server: usize, tree: &Tree, proposed: &BTreeMap<Zxid, Arc<[u8]>>) -> Verdict {
        let last = self.last_zxid();
        if tree.zxid() < last {
            return Err(broken(
                CHECK,
                format!("INV-19: server {server} recovers up to {}; {last} was applied before", tree.zxid()),
            ));
        }
        self.applied[server] = self.entries.len();
        for (zxid, record) in proposed.range((Excluded(last), Included(tree.zxid()))) {
            self.commit(server, *zxid, record)?;
        }
        if self.last_zxid() != tree.zxid() {
            return Err(broken(
                CHECK,
                format!(
                    "INV-19: server {server} recovers up to {}; proposals end at {}",
                    tree.zxid(),
                    self.last_zxid()
                ),
            ));
        }
        self.compare_digest(server, tree)?;
        self.compare_content(server, tree)
    }
}
