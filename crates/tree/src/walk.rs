//! The fuzzy walk of a snapshot, in small steps (storage.md section 4.3, rules.md section 3).

use crate::Tree;
use ostler_model::{AclList, SessionId, StoredStat, Zxid};

/// One node of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "storage.md section 4.1")]
pub struct NodeImage<'a> {
    /// The root is "".
    pub path: &'a str,
    pub data: Option<&'a [u8]>,
    /// -1 is world:anyone:cdrwa without an entry in the ACL table.
    pub acl_id: i64,
    pub stat: StoredStat,
}

/// A walk over a changing tree that sees every node that lives through it at least once, parents before children.
/// Dropping it ends it.
#[derive(Debug)]
pub struct Walk {
    /// The tree's zxid when the walk began: nodes created later are left out, and the snapshot bears this name.
    pub zxid: Zxid,
    /// Sessions at the start (id, time-out ms).
    pub sessions: Vec<(SessionId, i32)>,
    /// The ACL table at the start.
    pub acls: Vec<(i64, AclList)>,
}

impl Tree {
    /// Begins a walk of the tree as it is now. The zxid and digest for the snapshot's digest section are those of the
    /// tree when the last step is done.
    pub fn walk(&self) -> Walk {
        todo!()
    }
}

impl Walk {
    /// Visits at most `max_nodes` nodes (fewer if it met nodes to leave out); true = that was the last step.
    pub fn step(&mut self, _tree: &Tree, _max_nodes: usize, _visit: impl FnMut(NodeImage<'_>)) -> bool {
        todo!()
    }
}
