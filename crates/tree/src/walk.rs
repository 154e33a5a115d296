//! The fuzzy walk of a snapshot, in small steps, and the way back: a tree from the nodes of a snapshot
//! (storage.md sections 4.3 and 4.5, rules.md section 3).

use ostler_model::{AclList, StoredStat, Zxid};

/// One node of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "storage.md section 4.1")]
pub struct NodeImage<'a> {
    pub path: &'a str,
    pub data: Option<&'a [u8]>,
    pub acl_id: i64,
    pub stat: StoredStat,
}

/// A walk over a changing tree that sees every node that lives through it at least once, parents before children.
#[derive(Debug)]
pub struct Walk {
    /// The tree's zxid when the walk began: nodes created later are left out, and the snapshot bears this name.
    pub zxid: Zxid,
    /// Sessions at the start (id, time-out ms).
    pub sessions: Vec<(i64, i32)>,
    /// The ACL table at the start.
    pub acls: Vec<(i64, AclList)>,
}
