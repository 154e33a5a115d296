//! Decoding multi and multiRead, with the rewriting that Apache's decoder does (client-protocol.md section 15).

use super::request::{check, create, delete, set_data};
use crate::jute::{DecodeError, Reader};
use ostler_model::{Create, CreateOp, ErrorCode, MultiOp, OpCode, Request};

/// Flags of a create: 0 to 6 name a mode, and 5 and 6 are TTL modes.
const FLAGS_CONTAINER: i32 = 4;
const FLAGS_TTL: core::ops::RangeInclusive<i32> = 5..=6;
const FLAGS: core::ops::RangeInclusive<i32> = 0..=6;

/// Reads the operations of a multi up to the terminator.
pub(super) fn decode<'a>(r: &mut Reader<'a>) -> Result<Vec<MultiOp<'a>>, DecodeError> {
    let mut ops = Vec::new();
    let mut null_acl = false;
    while let Some(code) = next_type(r)? {
        let op = write(r, code)?;
        null_acl |= matches!(&op, MultiOp::Create(create) if create.acl.is_none());
        ops.push(op);
    }
    // The list is refused only once it has been read to its end: anything malformed behind it counts first.
    if null_acl { Err(DecodeError::MultiNullAcl) } else { Ok(ops) }
}

/// Reads the operations of a multiRead up to the terminator. Writes are decoded too: they stop the answer only when
/// their turn comes.
pub(super) fn decode_reads<'a>(r: &mut Reader<'a>) -> Result<Vec<Request<'a>>, DecodeError> {
    let mut ops = Vec::new();
    while let Some(code) = next_type(r)? {
        ops.push(match OpCode::from_i32(code) {
            Some(OpCode::GetData) => Request::GetData { path: r.text()?, watch: r.bool()? },
            Some(OpCode::GetChildren) => Request::GetChildren { path: r.text()?, watch: r.bool()? },
            _ => Request::Multi(vec![write(r, code)?]),
        });
    }
    Ok(ops)
}

/// Reads a MultiHeader: the type of the next operation, or `None` at the terminator. Only type and done count.
fn next_type(r: &mut Reader<'_>) -> Result<Option<i32>, DecodeError> {
    let code = r.int()?;
    let done = r.bool()?;
    let _err = r.int()?;
    Ok(if done { None } else { Some(code) })
}

fn write<'a>(r: &mut Reader<'a>, code: i32) -> Result<MultiOp<'a>, DecodeError> {
    let op = match OpCode::from_i32(code) {
        Some(OpCode::Create) => plain_create(create(r, CreateOp::Create)?)?,
        Some(OpCode::Create2) => plain_create(create(r, CreateOp::Create2)?)?,
        Some(OpCode::CreateContainer) => plain_create(create(r, CreateOp::Container)?)?,
        Some(OpCode::CreateTtl) => ttl_create(create(r, CreateOp::Ttl)?),
        Some(OpCode::Delete) => MultiOp::Delete(delete(r)?),
        Some(OpCode::SetData) => MultiOp::SetData(set_data(r)?),
        Some(OpCode::Check) => MultiOp::Check(check(r)?),
        _ => return Err(DecodeError::UnknownOp(code)),
    };
    let path = match &op {
        MultiOp::Create(create) => &create.path,
        MultiOp::Delete(delete) => &delete.path,
        MultiOp::SetData(set) => &set.path,
        MultiOp::Check(check) => &check.path,
        MultiOp::Refused(_) => return Ok(op),
    };
    if path.is_none() { Err(DecodeError::Null) } else { Ok(op) }
}

/// create, create2 and createContainer carry no ttl, so the TTL modes are no more valid than an unknown one; create
/// with the container mode is a createContainer.
fn plain_create(mut create: Create<'_>) -> Result<MultiOp<'_>, DecodeError> {
    if !FLAGS.contains(&create.flags) || FLAGS_TTL.contains(&create.flags) {
        return Err(DecodeError::BadValue(create.flags));
    }
    if create.op == CreateOp::Create && create.flags == FLAGS_CONTAINER {
        create.op = CreateOp::Container;
    }
    Ok(MultiOp::Create(create))
}

/// createTTL with another mode forgets its ttl and becomes a create.
fn ttl_create(mut create: Create<'_>) -> MultiOp<'_> {
    if !FLAGS.contains(&create.flags) {
        return MultiOp::Refused(ErrorCode::BadArguments);
    }
    if !FLAGS_TTL.contains(&create.flags) {
        create.op = CreateOp::Create;
        create.ttl = -1;
    }
    MultiOp::Create(create)
}
