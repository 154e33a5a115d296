//! Records for the audit log: what a connection asked for is kept beside it until its transaction is applied, so that
//! a client that hangs up is audited too. Only with `audit.enable`.

use super::Shard;
use crate::audit::{AuditRecord, acl_text};
use crate::{DoneBody, Entry, NodeEvent, Origin};
use ostler_model::{AuthIds, Create, CreateOp, MultiOp, OpCode, Request, SessionId, Text};
use ostler_tree::{Change, ChangeKind, TxnResult};
use ostler_wire::client::{decode_request, who_am_i_user};

/// A write that is at the replica.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) op: i32,
    pub(super) ids: AuthIds,
    pub(super) ip: String,
    pub(super) session: SessionId,
    pub(super) body: Vec<u8>,
}

/// What one operation of a request did.
struct Deed {
    operation: &'static str,
    znode: Option<String>,
    znode_type: Option<&'static str>,
    acl: Option<String>,
    success: bool,
}

impl Deed {
    fn of(operation: &'static str, path: &Text<'_>, success: bool) -> Deed {
        Deed { operation, znode: path.as_deref().map(str::to_owned), znode_type: None, acl: None, success }
    }

    fn create(create: &Create<'_>, result: &TxnResult) -> Deed {
        let made = match result {
            TxnResult::Created { path, .. } => Some(path.to_string()),
            _ => None,
        };
        let success = made.is_some();
        let asked = Deed::of("create", &create.path, success);
        Deed { znode: made.or(asked.znode), znode_type: Some(kind_of_node(create)), ..asked }
    }
}

/// Apache's name of the kind of node that a create asks for.
fn kind_of_node(create: &Create<'_>) -> &'static str {
    match (create.op, create.flags) {
        (CreateOp::Container, _) | (_, 4) => "container",
        (_, 1) => "ephemeral",
        (_, 2) => "persistent_sequential",
        (_, 3) => "ephemeral_sequential",
        (_, 5) => "persistent_with_ttl",
        (_, 6) => "persistent_sequential_with_ttl",
        _ => "persistent",
    }
}

impl Shard {
    /// A request goes to the replica.
    pub(super) fn keep_for_audit(&mut self, origin: Origin, audited: Audited) {
        if let Some(audits) = &mut self.audits {
            audits.insert((origin.conn.raw(), origin.seq), audited);
        }
    }

    /// A transaction was applied.
    pub(super) fn audit_entry(&mut self, entry: &Entry, changes: &[Change]) {
        let own = entry.origin.filter(|origin| origin.conn.shard() == self.index);
        match (own, &mut self.audits) {
            (Some(origin), Some(audits)) => {
                if let Some(audited) = audits.remove(&(origin.conn.raw(), origin.seq)) {
                    self.audit_request(&audited, &entry.result);
                }
            }
            _ if self.index != 0 => return,
            _ => {}
        }
        // The ephemerals of a session that ends, many of them before its end.
        let of_ended = entry.result == TxnResult::SessionClosed
            || (entry.result == TxnResult::Deleted && entry.origin.is_none() && entry.session != SessionId::NONE);
        for change in changes.iter().filter(|change| of_ended && change.kind == ChangeKind::Deleted) {
            self.events.push(NodeEvent::Audit(Box::new(AuditRecord {
                session: entry.session,
                znode: Some(change.path.to_string()),
                ..AuditRecord::of_server("ephemeralZNodeDeletionOnSessionCloseOrExpire", "success")
            })));
        }
    }

    /// An answer without a transaction: what does not decode was refused, what was dropped did not happen.
    pub(super) fn audit_done(&mut self, origin: Origin, body: &DoneBody) {
        let Some(audits) = &mut self.audits else { return };
        if let Some(audited) = audits.remove(&(origin.conn.raw(), origin.seq))
            && *body == DoneBody::Undecodable
        {
            let code = ostler_model::ErrorCode::MarshallingError.code();
            self.audit_request(&audited, &TxnResult::Error(code));
        }
    }

    fn audit_request(&mut self, audited: &Audited, result: &TxnResult) {
        let names: Vec<&str> = audited.ids.iter().map(who_am_i_user).collect();
        let user = names.join(",");
        for deed in deeds(audited, result, self.config.frame_bytes_max) {
            self.events.push(NodeEvent::Audit(Box::new(AuditRecord {
                session: audited.session,
                user: Some(user.clone()),
                ip: Some(audited.ip.clone()),
                operation: deed.operation,
                znode: deed.znode,
                znode_type: deed.znode_type,
                acl: deed.acl,
                result: if deed.success { "success" } else { "failure" },
            })));
        }
    }
}

fn deeds(audited: &Audited, result: &TxnResult, length_max: usize) -> Vec<Deed> {
    let Some(op) = OpCode::from_i32(audited.op) else { return Vec::new() };
    let failed = matches!(result, TxnResult::Error(_) | TxnResult::MultiFailed(_));
    let deed = match decode_request(op, &audited.body, length_max) {
        Ok(Request::Create(create)) => Deed::create(&create, result),
        Ok(Request::Delete(delete)) => Deed::of("delete", &delete.path, !failed),
        Ok(Request::SetData(set)) => Deed::of("setData", &set.path, !failed),
        Ok(Request::SetAcl(set)) => {
            let acl = set.acl.as_deref().map(acl_text);
            Deed { acl, ..Deed::of("setAcl", &set.path, !failed) }
        }
        Ok(Request::Reconfig { .. }) => Deed::of("reconfig", &None, !failed),
        Ok(Request::Multi(ops)) => match result {
            TxnResult::Multi(results) => return ops.iter().zip(results).filter_map(part).collect(),
            _ => Deed::of("multiOperation", &None, false),
        },
        _ => Deed::of(undecodable(op), &None, false),
    };
    vec![deed]
}

/// One operation of a multi that was carried out; checks change nothing and are not audited.
fn part((op, result): (&MultiOp<'_>, &TxnResult)) -> Option<Deed> {
    match op {
        MultiOp::Create(create) => Some(Deed::create(create, result)),
        MultiOp::Delete(delete) => Some(Deed::of("delete", &delete.path, true)),
        MultiOp::SetData(set) => Some(Deed::of("setData", &set.path, true)),
        MultiOp::Check(_) | MultiOp::Refused(_) => None,
    }
}

fn undecodable(op: OpCode) -> &'static str {
    match op {
        OpCode::Delete => "delete",
        OpCode::SetData => "setData",
        OpCode::SetAcl => "setAcl",
        OpCode::Reconfig => "reconfig",
        OpCode::Multi => "multiOperation",
        _ => "create",
    }
}
