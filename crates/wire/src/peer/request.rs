//! Requests into bytes (client-protocol.md sections 6 and 15).

use crate::client::{FrameWriter, RequestHeader};
use ostler_model::{Create, CreateOp, MultiOp, OpCode, Request, Text, WireAcl};

/// Flags of no mode at all: what a createTTL that the server refused must have carried.
const FLAGS_UNKNOWN: i32 = -1;

/// The opcode under which a request travels. `SetWatches` is setWatches2 as soon as it has persistent watches.
pub fn op_code(request: &Request<'_>) -> OpCode {
    match request {
        Request::Create(create) => create.op.op_code(),
        Request::Delete(_) => OpCode::Delete,
        Request::DeleteContainer { .. } => OpCode::DeleteContainer,
        Request::SetData(_) => OpCode::SetData,
        Request::SetAcl(_) => OpCode::SetAcl,
        Request::Multi(_) => OpCode::Multi,
        Request::Reconfig { .. } => OpCode::Reconfig,
        Request::CreateSession { .. } => OpCode::CreateSession,
        Request::CloseSession => OpCode::CloseSession,
        Request::Sync { .. } => OpCode::Sync,
        Request::Exists { .. } => OpCode::Exists,
        Request::GetData { .. } => OpCode::GetData,
        Request::GetChildren { .. } => OpCode::GetChildren,
        Request::GetChildren2 { .. } => OpCode::GetChildren2,
        Request::GetAcl { .. } => OpCode::GetAcl,
        Request::GetEphemerals { .. } => OpCode::GetEphemerals,
        Request::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
        Request::MultiRead(_) => OpCode::MultiRead,
        Request::Ping => OpCode::Ping,
        Request::WhoAmI => OpCode::WhoAmI,
        Request::AddWatch { .. } => OpCode::AddWatch,
        Request::CheckWatches { .. } => OpCode::CheckWatches,
        Request::RemoveWatches { .. } => OpCode::RemoveWatches,
        Request::SetWatches { persistent, recursive, .. } => {
            let none = |list: &Option<Vec<_>>| list.as_ref().is_some_and(Vec::is_empty);
            if none(persistent) && none(recursive) { OpCode::SetWatches } else { OpCode::SetWatches2 }
        }
        Request::Auth { .. } => OpCode::Auth,
        Request::Sasl { .. } => OpCode::Sasl,
    }
}

/// Appends a whole request frame: length, header with `xid`, body.
pub fn encode_request(out: &mut Vec<u8>, xid: i32, request: &Request<'_>) {
    let op = op_code(request);
    let mut frame = FrameWriter::request(out, RequestHeader { xid, op: op.code() });
    put_body(&mut frame, op, request);
    frame.finish();
}

fn put_body(f: &mut FrameWriter<'_>, op: OpCode, request: &Request<'_>) {
    match request {
        Request::Create(create) => put_create(f, create),
        Request::Delete(delete) => path_and_int(f, &delete.path, delete.version),
        Request::SetData(set) => {
            f.text(set.path.as_deref());
            f.buffer(set.data);
            f.int(set.version);
        }
        Request::SetAcl(set) => {
            f.text(set.path.as_deref());
            put_acl(f, set.acl.as_deref());
            f.int(set.version);
        }
        Request::Multi(ops) => {
            ops.iter().for_each(|op| put_multi_op(f, op));
            put_multi_end(f);
        }
        Request::MultiRead(reads) => {
            for read in reads {
                put_multi_read(f, read);
            }
            put_multi_end(f);
        }
        Request::Reconfig { joining, leaving, new_members, config_id } => {
            f.text(joining.as_deref());
            f.text(leaving.as_deref());
            f.text(new_members.as_deref());
            f.long(*config_id);
        }
        Request::CreateSession { timeout_ms } => f.int(*timeout_ms),
        Request::CloseSession | Request::Ping | Request::WhoAmI => {}
        Request::DeleteContainer { path }
        | Request::Sync { path }
        | Request::GetAcl { path }
        | Request::GetEphemerals { prefix: path }
        | Request::GetAllChildrenNumber { path } => f.text(path.as_deref()),
        Request::Exists { path, watch }
        | Request::GetData { path, watch }
        | Request::GetChildren { path, watch }
        | Request::GetChildren2 { path, watch } => {
            f.text(path.as_deref());
            f.bool(*watch);
        }
        Request::AddWatch { path, recursive } => path_and_int(f, path, i32::from(*recursive)),
        Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
            path_and_int(f, path, *kind as i32);
        }
        Request::SetWatches { relative_zxid, data, exist, child, persistent, recursive } => {
            f.long(*relative_zxid);
            let all = [data, exist, child, persistent, recursive];
            let lists = if op == OpCode::SetWatches { &all[..3] } else { &all[..] };
            for list in lists {
                f.vector(list.as_deref(), |f, path| f.text(path.as_deref()));
            }
        }
        Request::Auth { scheme, auth } => {
            f.int(0);
            f.text(scheme.as_deref());
            f.buffer(*auth);
        }
        Request::Sasl { token } => f.buffer(*token),
    }
}

fn path_and_int(f: &mut FrameWriter<'_>, path: &Text<'_>, value: i32) {
    f.text(path.as_deref());
    f.int(value);
}

fn put_create(f: &mut FrameWriter<'_>, create: &Create<'_>) {
    f.text(create.path.as_deref());
    f.buffer(create.data);
    put_acl(f, create.acl.as_deref());
    f.int(create.flags);
    if create.op == CreateOp::Ttl {
        f.long(create.ttl);
    }
}

fn put_acl(f: &mut FrameWriter<'_>, acl: Option<&[WireAcl<'_>]>) {
    f.vector(acl, |f, entry| f.acl_entry(entry.perms, entry.scheme.as_deref(), entry.id.as_deref()));
}

fn put_multi_header(f: &mut FrameWriter<'_>, op: OpCode) {
    f.multi_header(op.code(), false, -1);
}

fn put_multi_end(f: &mut FrameWriter<'_>) {
    f.multi_header(-1, true, -1);
}

fn put_multi_op(f: &mut FrameWriter<'_>, op: &MultiOp<'_>) {
    match op {
        // With a null ACL only a createTTL gets this far, whatever it became.
        MultiOp::Create(create) if create.acl.is_none() => {
            put_multi_header(f, OpCode::CreateTtl);
            put_create(f, &Create { op: CreateOp::Ttl, ..create.clone() });
        }
        MultiOp::Create(create) => {
            put_multi_header(f, create.op.op_code());
            put_create(f, create);
        }
        MultiOp::Delete(delete) => {
            put_multi_header(f, OpCode::Delete);
            path_and_int(f, &delete.path, delete.version);
        }
        MultiOp::SetData(set) => {
            put_multi_header(f, OpCode::SetData);
            f.text(set.path.as_deref());
            f.buffer(set.data);
            f.int(set.version);
        }
        MultiOp::Check(check) => {
            put_multi_header(f, OpCode::Check);
            path_and_int(f, &check.path, check.version);
        }
        // The decoder keeps nothing of it but the refusal, which any unknown flags bring about.
        MultiOp::Refused(_) => {
            put_multi_header(f, OpCode::CreateTtl);
            let refused = Create {
                op: CreateOp::Ttl,
                path: Some("/".into()),
                data: None,
                acl: Some(Vec::new()),
                flags: FLAGS_UNKNOWN,
                ttl: 1,
            };
            put_create(f, &refused);
        }
    }
}

fn put_multi_read(f: &mut FrameWriter<'_>, read: &Request<'_>) {
    match read {
        // How the decoder keeps a write among the reads.
        Request::Multi(ops) => ops.iter().for_each(|op| put_multi_op(f, op)),
        other => {
            let op = op_code(other);
            put_multi_header(f, op);
            put_body(f, op, other);
        }
    }
}
