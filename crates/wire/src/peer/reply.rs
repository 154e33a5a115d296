//! Replies and events from bytes, and back (client-protocol.md sections 6, 7 and 15).

use crate::client::{FrameWriter, ReplyHeader};
use crate::jute::{DecodeError, Reader};
use ostler_model::{Blob, OpCode, Stat, Text, WireAcl};

/// The body of a reply. Which variant an operation has is in section 7 of the specification.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum Reply<'a> {
    /// Header only: the operation has no body, or failed.
    Empty,
    /// create, sync.
    Path(Text<'a>),
    /// create2, createContainer, createTTL.
    Created {
        path: Text<'a>,
        stat: Stat,
    },
    /// exists, setData, setACL.
    Stat(Stat),
    /// getData, reconfig.
    Data {
        data: Blob<'a>,
        stat: Stat,
    },
    Acl {
        acl: Option<Vec<WireAcl<'a>>>,
        stat: Stat,
    },
    /// getChildren (names), getEphemerals (full paths); in no order.
    Names(Option<Vec<Text<'a>>>),
    Children2 {
        names: Option<Vec<Text<'a>>>,
        stat: Stat,
    },
    /// getAllChildrenNumber; the error code 0 in addWatch's answer.
    Number(i32),
    /// sasl, also behind a failure.
    Token(Blob<'a>),
    WhoAmI(Option<Vec<ClientInfo<'a>>>),
    /// multi, multiRead; after a multiRead that failed half-way: the results before the failure.
    Multi(Vec<MultiResult<'a>>),
}

/// One identity in the answer to whoAmI.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct ClientInfo<'a> {
    pub scheme: Text<'a>,
    pub user: Text<'a>,
}

/// The result of one operation of a multi or multiRead.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum MultiResult<'a> {
    Create {
        path: Text<'a>,
    },
    Create2 {
        path: Text<'a>,
        stat: Stat,
    },
    Delete,
    Check,
    SetData {
        stat: Stat,
    },
    GetData {
        data: Blob<'a>,
        stat: Stat,
    },
    GetChildren {
        names: Option<Vec<Text<'a>>>,
    },
    /// 0 in a failed multi for operations before the failing one, -2 for those behind it.
    Error(i32),
}

/// Decodes the body of the reply to `op`.
///
/// # Errors
/// The body is malformed.
pub fn decode_reply<'a>(op: OpCode, header: &ReplyHeader, body: &'a [u8]) -> Result<Reply<'a>, DecodeError> {
    let r = &mut Reader::of_server(body, body.len());
    if header.err != 0 {
        // Only these two may have something to say with an error.
        return match op {
            OpCode::Sasl if !body.is_empty() => Ok(Reply::Token(r.buffer()?)),
            OpCode::MultiRead if !body.is_empty() => Ok(Reply::Multi(multi(r)?)),
            _ => Ok(Reply::Empty),
        };
    }
    Ok(match op {
        OpCode::GetData | OpCode::Reconfig => Reply::Data { data: r.buffer()?, stat: r.stat()? },
        OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Reply::Stat(r.stat()?),
        OpCode::Create | OpCode::Sync => Reply::Path(r.text()?),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            Reply::Created { path: r.text()?, stat: r.stat()? }
        }
        OpCode::GetChildren | OpCode::GetEphemerals => Reply::Names(r.texts()?),
        OpCode::GetChildren2 => Reply::Children2 { names: r.texts()?, stat: r.stat()? },
        OpCode::GetAcl => Reply::Acl { acl: r.acl()?, stat: r.stat()? },
        OpCode::GetAllChildrenNumber | OpCode::AddWatch => Reply::Number(r.int()?),
        OpCode::Sasl => Reply::Token(r.buffer()?),
        OpCode::WhoAmI => Reply::WhoAmI(r.vector(|r| Ok(ClientInfo { scheme: r.text()?, user: r.text()? }))?),
        OpCode::Multi | OpCode::MultiRead => Reply::Multi(multi(r)?),
        _ => Reply::Empty,
    })
}

fn multi<'a>(r: &mut Reader<'a>) -> Result<Vec<MultiResult<'a>>, DecodeError> {
    let mut results = Vec::new();
    loop {
        let (code, done, _err) = (r.int()?, r.bool()?, r.int()?);
        if done {
            return Ok(results);
        }
        results.push(match OpCode::from_i32(code) {
            Some(OpCode::Create) => MultiResult::Create { path: r.text()? },
            Some(OpCode::Create2) => MultiResult::Create2 { path: r.text()?, stat: r.stat()? },
            Some(OpCode::Delete) => MultiResult::Delete,
            Some(OpCode::Check) => MultiResult::Check,
            Some(OpCode::SetData) => MultiResult::SetData { stat: r.stat()? },
            Some(OpCode::GetData) => MultiResult::GetData { data: r.buffer()?, stat: r.stat()? },
            Some(OpCode::GetChildren) => MultiResult::GetChildren { names: r.texts()? },
            Some(OpCode::Error) => MultiResult::Error(r.int()?),
            _ => return Err(DecodeError::UnknownOp(code)),
        });
    }
}

/// Appends a whole reply frame.
pub fn encode_reply(out: &mut Vec<u8>, header: ReplyHeader, reply: &Reply<'_>) {
    let mut f = FrameWriter::reply(out, header);
    match reply {
        Reply::Empty => {}
        Reply::Path(path) => f.text(path.as_deref()),
        Reply::Created { path, stat } => {
            f.text(path.as_deref());
            f.stat(stat);
        }
        Reply::Stat(stat) => f.stat(stat),
        Reply::Data { data, stat } => {
            f.buffer(*data);
            f.stat(stat);
        }
        Reply::Acl { acl, stat } => {
            f.vector(acl.as_deref(), |f, entry| {
                f.acl_entry(entry.perms, entry.scheme.as_deref(), entry.id.as_deref());
            });
            f.stat(stat);
        }
        Reply::Names(names) => put_names(&mut f, names.as_deref()),
        Reply::Children2 { names, stat } => {
            put_names(&mut f, names.as_deref());
            f.stat(stat);
        }
        Reply::Number(number) => f.int(*number),
        Reply::Token(token) => f.buffer(*token),
        Reply::WhoAmI(infos) => f.vector(infos.as_deref(), |f, info| {
            f.text(info.scheme.as_deref());
            f.text(info.user.as_deref());
        }),
        Reply::Multi(results) => {
            for result in results {
                put_result(&mut f, result);
            }
            f.multi_header(-1, true, -1);
        }
    }
    f.finish();
}

fn put_names(f: &mut FrameWriter<'_>, names: Option<&[Text<'_>]>) {
    f.vector(names, |f, name| f.text(name.as_deref()));
}

fn put_result(f: &mut FrameWriter<'_>, result: &MultiResult<'_>) {
    let op = match result {
        MultiResult::Create { .. } => OpCode::Create,
        MultiResult::Create2 { .. } => OpCode::Create2,
        MultiResult::Delete => OpCode::Delete,
        MultiResult::Check => OpCode::Check,
        MultiResult::SetData { .. } => OpCode::SetData,
        MultiResult::GetData { .. } => OpCode::GetData,
        MultiResult::GetChildren { .. } => OpCode::GetChildren,
        MultiResult::Error(_) => OpCode::Error,
    };
    // An error stands twice: in the header and as the body.
    let err = if let MultiResult::Error(err) = result { *err } else { 0 };
    f.multi_header(op.code(), false, err);
    match result {
        MultiResult::Create { path } => f.text(path.as_deref()),
        MultiResult::Create2 { path, stat } => {
            f.text(path.as_deref());
            f.stat(stat);
        }
        MultiResult::Delete | MultiResult::Check => {}
        MultiResult::SetData { stat } => f.stat(stat),
        MultiResult::GetData { data, stat } => {
            f.buffer(*data);
            f.stat(stat);
        }
        MultiResult::GetChildren { names } => put_names(f, names.as_deref()),
        MultiResult::Error(err) => f.int(*err),
    }
}

/// The body of a watch event. Type and state are kept as numbers: a newer server may send others.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct WatcherEvent<'a> {
    pub kind: i32,
    pub state: i32,
    pub path: Text<'a>,
}

impl<'a> WatcherEvent<'a> {
    /// Decodes what follows the header of a frame with xid [`ReplyHeader::EVENT_XID`].
    ///
    /// # Errors
    /// The body is malformed.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::of_server(body, body.len());
        Ok(WatcherEvent { kind: r.int()?, state: r.int()?, path: r.text()? })
    }
}
