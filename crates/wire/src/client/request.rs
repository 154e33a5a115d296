//! Decoding the body of a request (client-protocol.md sections 6, 7 and 20).

use super::multi;
use crate::jute::{DecodeError, Reader};
use ostler_model::{CheckVersion, Create, CreateOp, Delete, OpCode, Request, SetAcl, SetData, WatcherType};

/// Decodes the body of a request. Bytes behind the last field are ignored. Strings and buffers borrow from `body`;
/// those above `length_max` bytes are refused.
///
/// # Errors
/// Anything malformed (answer -5; for auth and sasl: close), or an opcode without a record of its own (notification,
/// error, check: answer -6).
pub fn decode_request<'a>(op: OpCode, body: &'a [u8], length_max: usize) -> Result<Request<'a>, DecodeError> {
    let r = &mut Reader::new(body, length_max);
    Ok(match op {
        OpCode::GetData => Request::GetData { path: r.text()?, watch: r.bool()? },
        OpCode::Exists => Request::Exists { path: r.text()?, watch: r.bool()? },
        OpCode::GetChildren => Request::GetChildren { path: r.text()?, watch: r.bool()? },
        OpCode::GetChildren2 => Request::GetChildren2 { path: r.text()?, watch: r.bool()? },
        OpCode::SetData => Request::SetData(set_data(r)?),
        OpCode::Create => Request::Create(create(r, CreateOp::Create)?),
        OpCode::Create2 => Request::Create(create(r, CreateOp::Create2)?),
        OpCode::CreateContainer => Request::Create(create(r, CreateOp::Container)?),
        OpCode::CreateTtl => Request::Create(create(r, CreateOp::Ttl)?),
        OpCode::Delete => Request::Delete(delete(r)?),
        OpCode::DeleteContainer => Request::DeleteContainer { path: r.text()? },
        OpCode::GetAcl => Request::GetAcl { path: r.text()? },
        OpCode::SetAcl => Request::SetAcl(SetAcl { path: r.text()?, acl: r.acl()?, version: r.int()? }),
        OpCode::Multi => Request::Multi(multi::decode(r)?),
        OpCode::MultiRead => Request::MultiRead(multi::decode_reads(r)?),
        OpCode::Ping => Request::Ping,
        OpCode::Sync => Request::Sync { path: r.text()? },
        OpCode::CloseSession => Request::CloseSession,
        OpCode::CreateSession => Request::CreateSession { timeout_ms: r.int()? },
        OpCode::WhoAmI => Request::WhoAmI,
        OpCode::GetEphemerals => Request::GetEphemerals { prefix: r.text()? },
        OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path: r.text()? },
        OpCode::Reconfig => {
            Request::Reconfig { joining: r.text()?, leaving: r.text()?, new_members: r.text()?, config_id: r.long()? }
        }
        OpCode::AddWatch => Request::AddWatch { path: r.text()?, recursive: add_watch_mode(r)? },
        OpCode::CheckWatches => Request::CheckWatches { path: r.text()?, kind: watcher_type(r)? },
        OpCode::RemoveWatches => Request::RemoveWatches { path: r.text()?, kind: watcher_type(r)? },
        OpCode::SetWatches => set_watches(r, false)?,
        OpCode::SetWatches2 => set_watches(r, true)?,
        OpCode::Auth => {
            let _type = r.int()?;
            Request::Auth { scheme: r.text()?, auth: r.buffer()? }
        }
        OpCode::Sasl => Request::Sasl { token: r.buffer()? },
        OpCode::Notification | OpCode::Error | OpCode::Check => return Err(DecodeError::UnknownOp(op.code())),
    })
}

pub(super) fn create<'a>(r: &mut Reader<'a>, op: CreateOp) -> Result<Create<'a>, DecodeError> {
    Ok(Create {
        op,
        path: r.text()?,
        data: r.buffer()?,
        acl: r.acl()?,
        flags: r.int()?,
        ttl: if op == CreateOp::Ttl { r.long()? } else { -1 },
    })
}

pub(super) fn delete<'a>(r: &mut Reader<'a>) -> Result<Delete<'a>, DecodeError> {
    Ok(Delete { path: r.text()?, version: r.int()? })
}

pub(super) fn set_data<'a>(r: &mut Reader<'a>) -> Result<SetData<'a>, DecodeError> {
    Ok(SetData { path: r.text()?, data: r.buffer()?, version: r.int()? })
}

pub(super) fn check<'a>(r: &mut Reader<'a>) -> Result<CheckVersion<'a>, DecodeError> {
    Ok(CheckVersion { path: r.text()?, version: r.int()? })
}

/// True for persistent-recursive.
fn add_watch_mode(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match r.int()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::BadValue(other)),
    }
}

fn watcher_type(r: &mut Reader<'_>) -> Result<WatcherType, DecodeError> {
    match r.int()? {
        1 => Ok(WatcherType::Children),
        2 => Ok(WatcherType::Data),
        3 => Ok(WatcherType::Any),
        4 => Ok(WatcherType::Persistent),
        5 => Ok(WatcherType::PersistentRecursive),
        other => Err(DecodeError::BadValue(other)),
    }
}

fn set_watches<'a>(r: &mut Reader<'a>, second: bool) -> Result<Request<'a>, DecodeError> {
    Ok(Request::SetWatches {
        relative_zxid: r.long()?,
        data: r.texts()?,
        exist: r.texts()?,
        child: r.texts()?,
        persistent: if second { r.texts()? } else { Some(Vec::new()) },
        recursive: if second { r.texts()? } else { Some(Vec::new()) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    #[test]
    fn trailing_bytes_are_ignored() {
        let body = b"\0\0\0\x02/a\x01junk";
        assert_eq!(
            decode_request(OpCode::GetData, body, MAX),
            Ok(Request::GetData { path: Some("/a".into()), watch: true })
        );
    }

    #[test]
    fn values_outside_an_enumeration_are_refused() {
        let body = |value: i32| [&b"\0\0\0\x02/a"[..], &value.to_be_bytes()].concat();
        for value in [-1, 2, 3] {
            assert_eq!(decode_request(OpCode::AddWatch, &body(value), MAX), Err(DecodeError::BadValue(value)));
        }
        for value in [-1, 0, 6] {
            assert_eq!(decode_request(OpCode::CheckWatches, &body(value), MAX), Err(DecodeError::BadValue(value)));
            assert_eq!(decode_request(OpCode::RemoveWatches, &body(value), MAX), Err(DecodeError::BadValue(value)));
        }
    }

    #[test]
    fn operations_without_a_record_of_their_own() {
        for op in [OpCode::Notification, OpCode::Error, OpCode::Check] {
            assert_eq!(decode_request(op, &[], MAX), Err(DecodeError::UnknownOp(op.code())));
        }
    }
}
