//! Records of the transaction log and of proposals: header, body, optional digest (storage.md section 3).

use crate::jute::{self, DecodeError, Reader};
use ostler_model::{CreateOp, CreateTxn, ErrorCode, OpCode, SessionId, Txn, TxnHeader, Zxid};
use std::borrow::Cow;

/// Version of the digest that this server computes and writes.
pub const DIGEST_VERSION: i32 = 2;

const DIGEST_BYTES: usize = 12;
/// What a log older than 3.4 means by leaving the field out: count the parent's counter up.
const PARENT_CVERSION_ABSENT: i32 = -1;

/// The digest of the tree after a transaction, as a record carries it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the format's names")]
pub struct TxnDigest {
    pub version: i32,
    pub tree_digest: i64,
}

/// A decoded record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the format's names")]
pub struct TxnRecord {
    pub header: TxnHeader,
    pub txn: Txn,
    pub digest: Option<TxnDigest>,
}

/// Appends header, body and digest (none for error transactions, whatever is given).
pub fn encode(out: &mut Vec<u8>, header: &TxnHeader, txn: &Txn, digest: Option<TxnDigest>) {
    jute::put_long(out, header.session.0);
    jute::put_int(out, header.cxid);
    jute::put_long(out, header.zxid.0);
    jute::put_long(out, header.time_ms);
    jute::put_int(out, txn.type_code());
    put_body(out, txn);
    if let Some(digest) = digest.filter(|_| !txn.is_error()) {
        jute::put_int(out, digest.version);
        jute::put_long(out, digest.tree_digest);
    }
}

fn put_body(out: &mut Vec<u8>, txn: &Txn) {
    match txn {
        Txn::Create(create) => put_create(out, create),
        Txn::Delete { path } | Txn::DeleteContainer { path } => jute::put_text(out, Some(path)),
        Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
            jute::put_text(out, Some(path));
            jute::put_buffer(out, data.as_deref());
            jute::put_int(out, *version);
        }
        Txn::SetAcl { path, acl, version } => {
            jute::put_text(out, Some(path));
            jute::put_acl(out, acl);
            jute::put_int(out, *version);
        }
        Txn::Check { path, version } => {
            jute::put_text(out, Some(path));
            jute::put_int(out, *version);
        }
        Txn::CreateSession { timeout_ms } => jute::put_int(out, *timeout_ms),
        Txn::CloseSession { paths: None } => {}
        Txn::CloseSession { paths: Some(paths) } => {
            jute::put_length(out, paths.len());
            for path in paths {
                jute::put_text(out, Some(path));
            }
        }
        Txn::Error(code) => jute::put_int(out, code.code()),
        Txn::UnknownError(code) => jute::put_int(out, *code),
        Txn::Multi(txns) => {
            jute::put_length(out, txns.len());
            for txn in txns {
                jute::put_int(out, txn.type_code());
                jute::put_sized(out, |out| put_body(out, txn));
            }
        }
    }
}

fn put_create(out: &mut Vec<u8>, create: &CreateTxn) {
    jute::put_text(out, Some(&create.path));
    jute::put_buffer(out, create.data.as_deref());
    jute::put_acl(out, &create.acl);
    if matches!(create.op, CreateOp::Create | CreateOp::Create2) {
        jute::put_bool(out, create.ephemeral);
    }
    jute::put_int(out, create.parent_cversion);
    if create.op == CreateOp::Ttl {
        jute::put_long(out, create.ttl);
    }
}

/// Decodes a record's payload. Strings and buffers above `length_max` bytes are refused.
///
/// # Errors
/// The body does not parse or its type is unknown.
pub fn decode(payload: &[u8], length_max: usize) -> Result<TxnRecord, DecodeError> {
    let mut r = Reader::of_server(payload, length_max);
    let mut header = TxnHeader { session: SessionId(r.long()?), cxid: r.int()?, zxid: Zxid(r.long()?), time_ms: 0 };
    header.time_ms = r.long()?;
    let code = r.int()?;
    let txn = body(&mut r, code, Nesting::Top)?;
    let digest = if txn.is_error() { None } else { digest(&mut r) };
    Ok(TxnRecord { header, txn, digest })
}

/// The digest, if the rest of the record has room for one.
fn digest(r: &mut Reader<'_>) -> Option<TxnDigest> {
    if r.rest().len() < DIGEST_BYTES {
        return None;
    }
    Some(TxnDigest { version: r.int().ok()?, tree_digest: r.long().ok()? })
}

/// A multi inside a multi does not exist; refusing it bounds the recursion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Top,
    InMulti,
}

fn body(r: &mut Reader<'_>, code: i32, nesting: Nesting) -> Result<Txn, DecodeError> {
    let Some(op) = OpCode::from_i32(code) else {
        return Err(DecodeError::UnknownOp(code));
    };
    Ok(match op {
        OpCode::Create => Txn::Create(create(r, CreateOp::Create)?),
        OpCode::Create2 => Txn::Create(create(r, CreateOp::Create2)?),
        OpCode::CreateContainer => Txn::Create(create(r, CreateOp::Container)?),
        OpCode::CreateTtl => Txn::Create(create(r, CreateOp::Ttl)?),
        OpCode::Delete => Txn::Delete { path: path(r)? },
        OpCode::DeleteContainer => Txn::DeleteContainer { path: path(r)? },
        OpCode::SetData => Txn::SetData { path: path(r)?, data: data(r)?, version: r.int()? },
        OpCode::Reconfig => Txn::Reconfig { path: path(r)?, data: data(r)?, version: r.int()? },
        OpCode::SetAcl => Txn::SetAcl { path: path(r)?, acl: r.owned_acl()?.into(), version: r.int()? },
        OpCode::Check => Txn::Check { path: path(r)?, version: r.int()? },
        OpCode::CreateSession => Txn::CreateSession { timeout_ms: r.int()? },
        OpCode::CloseSession => close_session(r)?,
        OpCode::Error => error(r.int()?),
        OpCode::Multi if nesting == Nesting::Top => multi(r)?,
        _ => return Err(DecodeError::UnknownOp(code)),
    })
}

fn path(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    r.text()?.map(Cow::into_owned).ok_or(DecodeError::Null)
}

fn data(r: &mut Reader<'_>) -> Result<Option<Vec<u8>>, DecodeError> {
    Ok(r.buffer()?.map(<[u8]>::to_vec))
}

fn error(code: i32) -> Txn {
    ErrorCode::from_i32(code).map_or(Txn::UnknownError(code), Txn::Error)
}

fn create(r: &mut Reader<'_>, op: CreateOp) -> Result<CreateTxn, DecodeError> {
    let path = path(r)?;
    let data = data(r)?;
    let acl = r.owned_acl()?.into();
    let ephemeral = match op {
        CreateOp::Create | CreateOp::Create2 => r.bool()?,
        CreateOp::Container | CreateOp::Ttl => false,
    };
    let parent_cversion = match r.int() {
        // Before 3.4 the record ended here.
        Err(DecodeError::Truncated) if op == CreateOp::Create => PARENT_CVERSION_ABSENT,
        other => other?,
    };
    let ttl = if op == CreateOp::Ttl { r.long()? } else { 0 };
    Ok(CreateTxn { op, path, data, acl, ephemeral, parent_cversion, ttl })
}

/// A list of paths, or nothing (before 3.6, or `closeSessionTxn.enabled=false`). With nothing, a digest may follow,
/// which Apache misreads as a list: exactly a digest's length that starts with its version is a digest, because as a
/// list it would be two empty paths.
fn close_session(r: &mut Reader<'_>) -> Result<Txn, DecodeError> {
    let rest = r.rest();
    if rest.len() == DIGEST_BYTES && rest.starts_with(&DIGEST_VERSION.to_be_bytes()) {
        return Ok(Txn::CloseSession { paths: None });
    }
    let mut ahead = r.clone();
    match ahead.vector(path) {
        Ok(paths) => {
            *r = ahead;
            Ok(Txn::CloseSession { paths })
        }
        Err(DecodeError::Truncated) => {
            // Nothing behind a list that breaks off can be trusted to be a digest.
            *r = Reader::of_server(&[], 0);
            Ok(Txn::CloseSession { paths: None })
        }
        Err(other) => Err(other),
    }
}

fn multi(r: &mut Reader<'_>) -> Result<Txn, DecodeError> {
    let length_max = r.rest().len();
    let txns = r.vector(|r| {
        let code = r.int()?;
        let bytes = r.buffer()?.unwrap_or_default();
        body(&mut Reader::of_server(bytes, length_max), code, Nesting::InMulti)
    })?;
    Ok(Txn::Multi(txns.unwrap_or_default()))
}
