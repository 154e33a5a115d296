//! Decoding multi and multiRead, with the rewriting that Apache's decoder does (client-protocol.md section 15; finer
//! points probed on Apache 3.9.3, see the tests).

use super::request::{check, create, delete, set_data};
use crate::jute::{DecodeError, Reader};
use ostler_model::{Create, CreateOp, ErrorCode, MultiOp, OpCode, Request};

/// Flags of a create: 0 to 6 name a mode, 4 is the container mode, 5 and 6 are TTL modes.
const FLAGS: core::ops::RangeInclusive<i32> = 0..=6;
const FLAGS_CONTAINER: i32 = 4;
const FLAGS_TTL: core::ops::RangeInclusive<i32> = 5..=6;

/// Reads the operations of a multi up to the terminator.
pub(super) fn decode<'a>(r: &mut Reader<'a>) -> Result<Vec<MultiOp<'a>>, DecodeError> {
    let mut ops = Vec::new();
    let (mut null_path, mut read) = (false, None);
    while let Some(code) = next_type(r)? {
        match OpCode::from_i32(code) {
            Some(OpCode::GetData | OpCode::GetChildren) => {
                let _path = r.text()?;
                let _watch = r.bool()?;
                read = Some(code);
            }
            _ => {
                let write = write(r, code)?;
                null_path |= write.null_path;
                ops.push(write.op);
            }
        }
        // Each operation is read before it is seen to be of the other kind.
        if read.is_some() && !ops.is_empty() {
            return Err(DecodeError::UnknownOp(code));
        }
    }
    // Found last: a null ACL behind a null path, or behind reads only, still spares the zxid.
    match read {
        Some(code) => Err(DecodeError::UnknownOp(code)),
        None if null_path => Err(DecodeError::Null),
        None => Ok(ops),
    }
}

/// Reads the operations of a multiRead up to the terminator: reads only, or writes only (each as a multi of one),
/// which the server refuses with an empty list of results.
pub(super) fn decode_reads<'a>(r: &mut Reader<'a>) -> Result<Vec<Request<'a>>, DecodeError> {
    let mut ops = Vec::new();
    while let Some(code) = next_type(r)? {
        let op = match OpCode::from_i32(code) {
            Some(OpCode::GetData) => Request::GetData { path: r.text()?, watch: r.bool()? },
            Some(OpCode::GetChildren) => Request::GetChildren { path: r.text()?, watch: r.bool()? },
            _ => Request::Multi(vec![write(r, code)?.op]),
        };
        let is_write = |op: &Request<'_>| matches!(op, Request::Multi(_));
        if ops.first().is_some_and(|first| is_write(first) != is_write(&op)) {
            return Err(DecodeError::UnknownOp(code));
        }
        ops.push(op);
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

struct Write<'a> {
    op: MultiOp<'a>,
    null_path: bool,
}

fn write<'a>(r: &mut Reader<'a>, code: i32) -> Result<Write<'a>, DecodeError> {
    match OpCode::from_i32(code) {
        Some(OpCode::Create) => plain_create(create(r, CreateOp::Create)?),
        Some(OpCode::Create2) => plain_create(create(r, CreateOp::Create2)?),
        Some(OpCode::CreateContainer) => plain_create(create(r, CreateOp::Container)?),
        Some(OpCode::CreateTtl) => Ok(ttl_create(create(r, CreateOp::Ttl)?)),
        Some(OpCode::Delete) => {
            delete(r).map(|delete| Write { null_path: delete.path.is_none(), op: MultiOp::Delete(delete) })
        }
        Some(OpCode::SetData) => {
            set_data(r).map(|set| Write { null_path: set.path.is_none(), op: MultiOp::SetData(set) })
        }
        Some(OpCode::Check) => {
            check(r).map(|check| Write { null_path: check.path.is_none(), op: MultiOp::Check(check) })
        }
        _ => Err(DecodeError::UnknownOp(code)),
    }
}

/// create, create2 and createContainer carry no ttl, so the TTL modes are no more valid than an unknown one. The
/// container mode makes a container of any of them (unlike outside a multi), and createContainer of any mode.
fn plain_create(mut create: Create<'_>) -> Result<Write<'_>, DecodeError> {
    if !FLAGS.contains(&create.flags) {
        return Err(DecodeError::BadValue(create.flags));
    }
    if create.acl.is_none() {
        return Err(DecodeError::MultiNullAcl);
    }
    if FLAGS_TTL.contains(&create.flags) {
        return Err(DecodeError::BadValue(create.flags));
    }
    if create.flags == FLAGS_CONTAINER {
        create.op = CreateOp::Container;
    }
    Ok(Write { null_path: create.path.is_none(), op: MultiOp::Create(create) })
}

/// createTTL in another mode forgets its ttl and becomes a create or, in the container mode, a createContainer. A
/// null ACL passes here and is refused when its turn comes.
fn ttl_create(mut create: Create<'_>) -> Write<'_> {
    let null_path = create.path.is_none();
    if !FLAGS.contains(&create.flags) {
        return Write { null_path, op: MultiOp::Refused(ErrorCode::BadArguments) };
    }
    if !FLAGS_TTL.contains(&create.flags) {
        create.op = if create.flags == FLAGS_CONTAINER { CreateOp::Container } else { CreateOp::Create };
        create.ttl = -1;
    }
    Write { null_path, op: MultiOp::Create(create) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::FrameWriter;
    use crate::jute::DecodeError::{BadValue, MultiNullAcl, Null, Truncated, UnknownOp};

    const MAX: usize = 1 << 20;

    /// One operation: type, path, flags and ACL of a create; of any other type only the path counts.
    #[derive(Clone, Copy)]
    struct Op(OpCode, Option<&'static str>, i32, Option<usize>);

    const GOOD: Op = Op(OpCode::Create, Some("/a"), 0, Some(0));
    const NULL_ACL: Op = Op(OpCode::Create, Some("/a"), 0, None);
    const NULL_PATH: Op = Op(OpCode::Delete, None, 0, None);
    const BAD_FLAGS: Op = Op(OpCode::Create, Some("/a"), 9, Some(0));
    const READ: Op = Op(OpCode::GetData, Some("/a"), 0, None);
    const DELETE: Op = Op(OpCode::Delete, Some("/a"), 0, None);

    fn body(ops: &[Op], terminated: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut f = FrameWriter::bare(&mut out);
        for Op(op, path, flags, acl) in ops {
            f.multi_header(op.code(), false, -1);
            f.text(*path);
            match op {
                OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                    f.buffer(None);
                    f.int(acl.map_or(-1, |_| 0));
                    f.int(*flags);
                    if *op == OpCode::CreateTtl {
                        f.long(5);
                    }
                }
                OpCode::GetData => f.bool(false),
                _ => f.int(-1),
            }
        }
        if terminated {
            f.multi_header(-1, true, -1);
        }
        f.finish();
        out.split_off(4)
    }

    fn multi(ops: &[Op]) -> Result<usize, DecodeError> {
        decode(&mut Reader::new(&body(ops, true), MAX)).map(|ops| ops.len())
    }

    fn multi_read(ops: &[Op]) -> Result<usize, DecodeError> {
        decode_reads(&mut Reader::new(&body(ops, true), MAX)).map(|ops| ops.len())
    }

    #[test]
    fn a_null_acl_spares_the_zxid_if_it_is_met_first() {
        assert_eq!(multi(&[GOOD, NULL_ACL]), Err(MultiNullAcl));
        assert_eq!(decode(&mut Reader::new(&body(&[NULL_ACL], false), MAX)), Err(MultiNullAcl));
        assert_eq!(multi(&[NULL_ACL, BAD_FLAGS]), Err(MultiNullAcl));
        assert_eq!(multi(&[NULL_ACL, READ]), Err(MultiNullAcl));
        assert_eq!(multi(&[NULL_PATH, NULL_ACL]), Err(MultiNullAcl));
        assert_eq!(multi(&[Op(OpCode::Create, None, 0, None)]), Err(MultiNullAcl));
        assert_eq!(multi(&[BAD_FLAGS, NULL_ACL]), Err(BadValue(9)));
        assert_eq!(multi(&[Op(OpCode::Create, Some("/a"), 9, None)]), Err(BadValue(9)));
        assert_eq!(multi(&[Op(OpCode::Create, Some("/a"), 6, None)]), Err(MultiNullAcl));
        assert_eq!(multi(&[Op(OpCode::Create, Some("/a"), 6, Some(0))]), Err(BadValue(6)));
        assert_eq!(multi(&[GOOD, NULL_PATH]), Err(Null));
        assert_eq!(multi(&[GOOD, READ]), Err(UnknownOp(4)));
        assert_eq!(multi(&[READ, READ]), Err(UnknownOp(4)));
        assert_eq!(multi(&[READ, GOOD, NULL_ACL]), Err(UnknownOp(1)));
        // Found by 170,000 requests of the differential test.
        assert_eq!(multi(&[READ, READ, NULL_ACL]), Err(MultiNullAcl));
        assert_eq!(decode(&mut Reader::new(&body(&[GOOD], false), MAX)), Err(Truncated));
    }

    #[test]
    fn ttl_creates_pass_with_what_others_do_not() {
        let ttl = |path, flags, acl| Op(OpCode::CreateTtl, path, flags, acl);
        assert_eq!(multi(&[ttl(Some("/a"), 5, None), ttl(Some("/a"), 9, None)]), Ok(2));
        assert_eq!(multi(&[ttl(None, 9, Some(0))]), Err(Null));
    }

    #[test]
    fn modes_decide_what_a_create_becomes() {
        use CreateOp::{Container, Create, Create2, Ttl};
        for (op, flags, becomes) in [
            (OpCode::Create, 0, Create),
            (OpCode::Create, 4, Container),
            (OpCode::Create2, 3, Create2),
            (OpCode::Create2, 4, Container),
            (OpCode::CreateContainer, 1, Container),
            (OpCode::CreateTtl, 6, Ttl),
            (OpCode::CreateTtl, 4, Container),
            (OpCode::CreateTtl, 1, Create),
        ] {
            let body = body(&[Op(op, Some("/a"), flags, Some(0))], true);
            let ops = decode(&mut Reader::new(&body, MAX)).unwrap();
            let MultiOp::Create(create) = &ops[0] else { panic!("a create: {ops:?}") };
            assert_eq!((create.op, create.ttl), (becomes, if becomes == Ttl { 5 } else { -1 }), "{op:?} {flags}");
        }
    }

    #[test]
    fn reads_and_writes_do_not_mix() {
        assert_eq!(multi_read(&[READ, READ]), Ok(2));
        assert_eq!(multi_read(&[DELETE, NULL_PATH]), Ok(2));
        assert_eq!(multi_read(&[READ, DELETE]), Err(UnknownOp(2)));
        assert_eq!(multi_read(&[DELETE, READ]), Err(UnknownOp(4)));
        assert_eq!(multi_read(&[Op(OpCode::Exists, Some("/a"), 0, None)]), Err(UnknownOp(3)));
        assert_eq!(multi_read(&[NULL_ACL]), Err(MultiNullAcl));
    }
}
