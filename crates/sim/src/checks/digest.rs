//! Servers with an equal zxid have equal trees and session tables (zab-invariants.md INV-21): by the digest after every
//! apply, by content when a server has recovered and at the end.

use super::{Referee, Verdict, broken};
use crate::model::shown;
use ostler_model::Ensemble;
use ostler_model::path::CONFIG;
use ostler_tree::{NodeImage, Tree, Walk};
use std::collections::BTreeMap;

const CHECK: &str = "digest";

impl Referee {
    /// Compares the digest of a server's tree with the model's at the same zxid.
    pub fn compare_digest(&self, server: usize, tree: &Tree) -> Verdict {
        let expected = self.entry(tree.zxid()).map(|entry| entry.digest);
        match expected {
            Some(expected) if tree.digest_enabled() && expected != tree.digest() => Err(broken(
                CHECK,
                format!(
                    "INV-21: server {server} at {}: digest {}, the model has {expected}",
                    tree.zxid(),
                    tree.digest()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Compares a tree that stands at the last transaction with the model, node by node.
    pub fn compare_content(&self, server: usize, tree: &Tree) -> Verdict {
        // A tree that was sent when an epoch had nothing yet bears the epoch with counter 0.
        let (zxid, last) = (tree.zxid().0.max(0), self.last_zxid().0);
        let is_complete = zxid == last || (zxid > last && tree.zxid().counter() == 0);
        assert!(is_complete, "only a complete tree is compared: {} is not {}", tree.zxid(), self.last_zxid());
        let differs =
            |words: String| Err(broken(CHECK, format!("INV-21: server {server} at {}: {words}", tree.zxid())));
        let sessions: BTreeMap<_, _> = tree.sessions().collect();
        if sessions != self.state.sessions {
            return differs(format!("sessions {sessions:?}, the model has {:?}", self.state.sessions));
        }
        let mut walk: Walk = tree.walk();
        let acls: BTreeMap<i64, _> = walk.acls.iter().cloned().collect();
        let mut seen = 0;
        let mut difference = None;
        while !walk.step(tree, 256, |image| {
            seen += 1;
            let Some(node) = self.state.nodes.get(image.path) else {
                difference.get_or_insert(format!("{} should not exist", shown(image.path)));
                return;
            };
            let open = ostler_model::open_acl();
            let acl = acls.get(&image.acl_id).unwrap_or(&open);
            let differs = node.data.as_deref() != image.data || node.stat != image.stat;
            if (differs && !is_ensemble_text(&image)) || node.acl != *acl {
                let path = shown(image.path);
                difference.get_or_insert(format!("{path} is {image:?} with {acl:?}, the model has {node:?}"));
            }
        }) {}
        if let Some(difference) = difference {
            return differs(difference);
        }
        if seen != self.state.nodes.len() {
            return differs(format!("{seen} nodes, the model has {}", self.state.nodes.len()));
        }
        Ok(())
    }
}

/// /zookeeper/config of a member, which each writes by itself when it begins to serve: no part of the history.
fn is_ensemble_text(image: &NodeImage<'_>) -> bool {
    let ensemble = || Ensemble::parse(std::str::from_utf8(image.data?).ok()?).ok();
    image.path == CONFIG && ensemble().is_some_and(|ensemble| ensemble.version() == image.stat.mzxid.0)
}
