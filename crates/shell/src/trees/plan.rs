//! What has to be done to one tree so that it becomes another: one pass over both in their common order.

use crate::error::CommandError;
use crate::trees::{Node, Nodes, order};
use std::cmp::Ordering;

/// One difference between the tree that is wanted and the one that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is missing.
    Add(Node),
    /// It is there with other data or another ACL.
    Alter {
        /// What is wanted.
        wanted: Node,
        /// What is there.
        found: Node,
    },
    /// Nobody wants it.
    Remove(Node),
    /// Both have it.
    Same(Node),
}

/// The differences, in the order of a walk.
#[derive(Debug)]
pub struct Plan {
    wanted: Nodes,
    found: Nodes,
    next_wanted: Option<Node>,
    next_found: Option<Node>,
    begun: bool,
}

impl Plan {
    /// From what is there to what is wanted.
    pub fn new(wanted: Nodes, found: Nodes) -> Plan {
        Plan { wanted, found, next_wanted: None, next_found: None, begun: false }
    }

    /// Ephemerals of the wanted tree that were left out so far.
    pub fn skipped(&self) -> u64 {
        match &self.wanted {
            Nodes::Live(live) => live.skipped,
            Nodes::Read(_) => 0,
        }
    }

    /// The next one; `None` behind the last node of both.
    ///
    /// # Errors
    /// A node cannot be read.
    pub async fn next(&mut self) -> Result<Option<Change>, CommandError> {
        if !self.begun {
            self.begun = true;
            (self.next_wanted, self.next_found) = (self.wanted.next().await?, self.found.next().await?);
        }
        let order = match (&self.next_wanted, &self.next_found) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(wanted), Some(found)) => order(&wanted.path, &found.path),
        };
        let mut wanted = None;
        let mut found = None;
        if order != Ordering::Greater {
            wanted = self.next_wanted.take();
            self.next_wanted = self.wanted.next().await?;
        }
        if order != Ordering::Less {
            found = self.next_found.take();
            self.next_found = self.found.next().await?;
        }
        Ok(match (wanted, found) {
            (Some(wanted), None) => Some(Change::Add(wanted)),
            (None, Some(found)) => Some(Change::Remove(found)),
            (Some(wanted), Some(found)) if is_same(&wanted, &found) => Some(Change::Same(wanted)),
            (Some(wanted), Some(found)) => Some(Change::Alter { wanted, found }),
            (None, None) => None,
        })
    }
}

/// An ACL that is not known is no difference; null can be created but not set, so that it is no other data than empty.
fn is_same(a: &Node, b: &Node) -> bool {
    a.data.as_deref().unwrap_or_default() == b.data.as_deref().unwrap_or_default() && !has_other_acl(a, b)
}

/// Both ACLs are known and differ.
pub fn has_other_acl(a: &Node, b: &Node) -> bool {
    matches!((&a.acl, &b.acl), (Some(one), Some(other)) if one != other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(nodes: &[(&str, &str)]) -> Nodes {
        let node = |(path, data): &(&str, &str)| Node { path: (*path).into(), data: Some((*data).into()), acl: None };
        Nodes::read(nodes.iter().map(node).collect(), "test").expect("a tree")
    }

    #[test]
    fn one_pass_finds_every_difference() {
        let wanted = tree(&[("", ""), ("/a", "1"), ("/a/b", "2"), ("/a-", "3"), ("/z", "4")]);
        let found = tree(&[("", ""), ("/a", "0"), ("/a/a", ""), ("/a/b", "2"), ("/m", ""), ("/m/n", "")]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut plan = Plan::new(wanted, found);
        let mut lines = Vec::new();
        while let Some(change) = runtime.block_on(plan.next()).expect("from memory") {
            lines.push(match change {
                Change::Add(node) => format!("+ {}", node.path),
                Change::Alter { wanted, .. } => format!("~ {}", wanted.path),
                Change::Remove(node) => format!("- {}", node.path),
                Change::Same(node) => format!("= {}", node.path),
            });
        }
        assert_eq!(lines, ["= ", "~ /a", "- /a/a", "= /a/b", "+ /a-", "- /m", "- /m/n", "+ /z"]);
    }
}
