//! From what a transaction answered to the bytes of its reply (client-protocol.md sections 6, 7 and 15).

use ostler_model::{CreateOp, OpCode, Zxid};
use ostler_tree::TxnResult;
use ostler_wire::client::{FrameWriter, ReplyHeader};

/// Appends the reply of an applied transaction.
pub(crate) fn encode_result(out: &mut Vec<u8>, xid: i32, zxid: Zxid, result: &TxnResult) {
    let err = match result {
        TxnResult::Error(code) => *code,
        _ => 0,
    };
    let mut frame = FrameWriter::reply(out, ReplyHeader { xid, zxid, err });
    match result {
        TxnResult::Multi(results) => {
            for result in results {
                put_part(&mut frame, result);
            }
            frame.multi_header(-1, true, -1);
        }
        TxnResult::MultiFailed(codes) => {
            for code in codes {
                put_part_error(&mut frame, *code);
            }
            frame.multi_header(-1, true, -1);
        }
        single => put_body(&mut frame, single),
    }
    frame.finish();
}

fn put_body(frame: &mut FrameWriter<'_>, result: &TxnResult) {
    match result {
        TxnResult::Created { op: CreateOp::Create, path, .. } => frame.text(Some(path)),
        TxnResult::Created { path, stat, .. } => {
            frame.text(Some(path));
            frame.stat(stat);
        }
        TxnResult::DataSet { stat } | TxnResult::AclSet { stat } => frame.stat(stat),
        TxnResult::Reconfigured { data, stat } => {
            frame.buffer(data.as_deref());
            frame.stat(stat);
        }
        TxnResult::Deleted
        | TxnResult::Checked
        | TxnResult::SessionCreated
        | TxnResult::SessionClosed
        | TxnResult::Error(_)
        | TxnResult::Multi(_)
        | TxnResult::MultiFailed(_) => {}
    }
}

/// One result inside a multi: every create but the plain one answers as create2.
fn put_part(frame: &mut FrameWriter<'_>, result: &TxnResult) {
    let op = match result {
        TxnResult::Created { op: CreateOp::Create, .. } => OpCode::Create,
        TxnResult::Created { .. } => OpCode::Create2,
        TxnResult::DataSet { .. } => OpCode::SetData,
        TxnResult::Checked => OpCode::Check,
        TxnResult::Error(code) => return put_part_error(frame, *code),
        _ => OpCode::Delete,
    };
    frame.multi_header(op.code(), false, 0);
    put_body(frame, result);
}

fn put_part_error(frame: &mut FrameWriter<'_>, code: i32) {
    frame.multi_header(-1, false, code);
    frame.int(code);
}
