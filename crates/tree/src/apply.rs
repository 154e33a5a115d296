//! What a transaction does: one function for the table and for the overlay (storage.md section 5, rules.md section 4).

use ostler_model::{AclList, CreateOp, Stat};
use std::sync::Arc;

/// What happened to one node; watches fire from it (client-protocol.md section 14.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Arc<str>,
    /// The node's ACL: who may hear of it. For a deleted node, the last one.
    pub acl: AclList,
    /// The parent's ACL, for the event on the parent. The node's own for the root.
    pub parent_acl: AclList,
}

/// What can happen to a node so that a watch fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum ChangeKind {
    Created,
    Deleted,
    DataChanged,
}

/// What a transaction answers: the body of the reply, computed when it was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum TxnResult {
    Created {
        op: CreateOp,
        path: Arc<str>,
        stat: Stat,
    },
    Deleted,
    DataSet {
        stat: Stat,
    },
    Reconfigured {
        data: Option<Vec<u8>>,
        stat: Stat,
    },
    AclSet {
        stat: Stat,
    },
    Checked,
    SessionCreated,
    SessionClosed,
    /// The code of an error transaction, or of a transaction that did not fit the tree during replay.
    Error(i32),
    Multi(Vec<TxnResult>),
    /// One code per operation: 0 before the failing one, its code, -2 behind it.
    MultiFailed(Vec<i32>),
}
