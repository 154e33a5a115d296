//! Transactions: what the log holds, what the ensemble agrees on, what changes the tree (storage.md section 3.2).

use crate::{AclList, CreateOp, ErrorCode, OpCode, SessionId, Zxid, limits};
use alloc::string::String;
use alloc::vec::Vec;

/// What every transaction carries: who asked, when, and its place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TxnHeader {
    /// The session that asked; [`SessionId::NONE`] for the server itself.
    pub session: SessionId,
    /// The client's xid; 0 for the server itself.
    pub cxid: i32,
    /// Its place in the order.
    pub zxid: Zxid,
    /// Wall clock of the leader, milliseconds since 1970.
    pub time_ms: i64,
}

/// The creation of one node: path and ACL are final (sequence number appended, `auth` expanded).
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct CreateTxn {
    pub op: CreateOp,
    pub path: String,
    pub data: Option<Vec<u8>>,
    pub acl: AclList,
    /// Meaningful for `Create` and `Create2` only.
    pub ephemeral: bool,
    /// The parent's creation counter after this create; -1 in logs older than 3.4, where it is counted up.
    pub parent_cversion: i32,
    /// Milliseconds, meaningful for `Ttl` only.
    pub ttl: i64,
}

/// A transaction. Every write request becomes one, refused ones too ([`Txn::Error`]).
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum Txn {
    Create(CreateTxn),
    Delete {
        path: String,
    },
    /// Delete of an empty container or an expired TTL node, by the server itself.
    DeleteContainer {
        path: String,
    },
    /// `version` is the new one.
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    /// The new text of /zookeeper/config; `version` is always -1.
    Reconfig {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    /// `version` is the new aversion.
    SetAcl {
        path: String,
        acl: AclList,
        version: i32,
    },
    /// Only inside a multi.
    Check {
        path: String,
        version: i32,
    },
    CreateSession {
        timeout_ms: i32,
    },
    /// `None`: written without a list (before 3.6); the session's own ephemerals are deleted.
    CloseSession {
        paths: Option<Vec<String>>,
    },
    Error(ErrorCode),
    /// An error transaction with a number that this version does not know (from a log or a peer).
    UnknownError(i32),
    /// If any element is an error, nothing is applied.
    Multi(Vec<Txn>),
}

impl Txn {
    /// The type number in the log.
    pub fn type_code(&self) -> i32 {
        let op = match self {
            Txn::Create(create) => create.op.op_code(),
            Txn::Delete { .. } => OpCode::Delete,
            Txn::DeleteContainer { .. } => OpCode::DeleteContainer,
            Txn::SetData { .. } => OpCode::SetData,
            Txn::Reconfig { .. } => OpCode::Reconfig,
            Txn::SetAcl { .. } => OpCode::SetAcl,
            Txn::Check { .. } => OpCode::Check,
            Txn::CreateSession { .. } => OpCode::CreateSession,
            Txn::CloseSession { .. } => OpCode::CloseSession,
            Txn::Error(_) | Txn::UnknownError(_) => OpCode::Error,
            Txn::Multi(_) => OpCode::Multi,
        };
        op.code()
    }

    /// About how much there is to do when it is applied: see [`limits::APPLY_WORK_MAX`].
    pub fn work(&self) -> usize {
        let data = |data: &Option<Vec<u8>>| 1 + data.as_ref().map_or(0, Vec::len) / limits::APPLY_WORK_BYTES;
        match self {
            Txn::Create(create) => data(&create.data),
            Txn::SetData { data: bytes, .. } | Txn::Reconfig { data: bytes, .. } => data(bytes),
            Txn::CloseSession { paths } => 1 + paths.as_ref().map_or(0, Vec::len),
            Txn::Multi(parts) => parts.iter().map(Txn::work).sum::<usize>().max(1),
            _ => 1,
        }
    }

    /// True for an error transaction (not for a failed multi, which keeps its type).
    pub fn is_error(&self) -> bool {
        matches!(self, Txn::Error(_) | Txn::UnknownError(_))
    }
}
