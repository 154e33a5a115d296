//! What a client can ask for, as decoded from its bytes and not yet checked (client-protocol.md sections 6, 10, 15).
//!
//! Strings and buffers borrow from the frame. Everything a client can send is representable, nulls included,
//! because the order of checks decides which error a null gets.

use crate::{ErrorCode, OpCode};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// A string that may be null on the wire. Malformed UTF-8 has become U+FFFD.
pub type Text<'a> = Option<Cow<'a, str>>;
/// A buffer that may be null on the wire; null and empty differ.
pub type Blob<'a> = Option<&'a [u8]>;

/// An ACL entry as sent, nulls included.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct WireAcl<'a> {
    pub perms: i32,
    pub scheme: Text<'a>,
    pub id: Text<'a>,
}

/// Which of the four create operations was used: it decides the kind of node and the shape of the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum CreateOp {
    Create,
    Create2,
    Container,
    Ttl,
}

impl CreateOp {
    /// Its opcode, which is also the type of its transaction.
    pub const fn op_code(self) -> OpCode {
        match self {
            CreateOp::Create => OpCode::Create,
            CreateOp::Create2 => OpCode::Create2,
            CreateOp::Container => OpCode::CreateContainer,
            CreateOp::Ttl => OpCode::CreateTtl,
        }
    }
}

/// create, create2, createContainer, createTTL.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct Create<'a> {
    pub op: CreateOp,
    pub path: Text<'a>,
    pub data: Blob<'a>,
    /// `None` = a null vector.
    pub acl: Option<Vec<WireAcl<'a>>>,
    pub flags: i32,
    /// -1 for every operation but createTTL, which sends it.
    pub ttl: i64,
}

/// delete.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct Delete<'a> {
    pub path: Text<'a>,
    pub version: i32,
}

/// setData.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct SetData<'a> {
    pub path: Text<'a>,
    pub data: Blob<'a>,
    pub version: i32,
}

/// setACL.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct SetAcl<'a> {
    pub path: Text<'a>,
    pub acl: Option<Vec<WireAcl<'a>>>,
    pub version: i32,
}

/// check, inside a multi only.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct CheckVersion<'a> {
    pub path: Text<'a>,
    pub version: i32,
}

/// One operation of a multi, after the decoder's own rewriting (create with flags 4 is a container create;
/// createTTL with other flags is a plain create: section 15).
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum MultiOp<'a> {
    Create(Create<'a>),
    Delete(Delete<'a>),
    SetData(SetData<'a>),
    Check(CheckVersion<'a>),
    /// An operation that decodes but is refused when its turn comes (createTTL with unknown flags: -8).
    Refused(ErrorCode),
}

/// What kind of watches checkWatches and removeWatches look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(i32)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum WatcherType {
    Children = 1,
    Data = 2,
    Any = 3,
    Persistent = 4,
    PersistentRecursive = 5,
}

/// A request of the client protocol, body decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum Request<'a> {
    Create(Create<'a>),
    Delete(Delete<'a>),
    /// deleteContainer: only the server itself asks for it.
    DeleteContainer {
        path: Text<'a>,
    },
    SetData(SetData<'a>),
    SetAcl(SetAcl<'a>),
    Multi(Vec<MultiOp<'a>>),
    Reconfig {
        joining: Text<'a>,
        leaving: Text<'a>,
        new_members: Text<'a>,
        config_id: i64,
    },
    CreateSession {
        timeout_ms: i32,
    },
    CloseSession,
    Sync {
        path: Text<'a>,
    },
    Exists {
        path: Text<'a>,
        watch: bool,
    },
    GetData {
        path: Text<'a>,
        watch: bool,
    },
    GetChildren {
        path: Text<'a>,
        watch: bool,
    },
    GetChildren2 {
        path: Text<'a>,
        watch: bool,
    },
    GetAcl {
        path: Text<'a>,
    },
    GetEphemerals {
        prefix: Text<'a>,
    },
    GetAllChildrenNumber {
        path: Text<'a>,
    },
    /// Each element is a getData or getChildren, or an operation that stops the answer with -5.
    MultiRead(Vec<Request<'a>>),
    Ping,
    WhoAmI,
    AddWatch {
        path: Text<'a>,
        recursive: bool,
    },
    CheckWatches {
        path: Text<'a>,
        kind: WatcherType,
    },
    RemoveWatches {
        path: Text<'a>,
        kind: WatcherType,
    },
    /// setWatches (the last two lists empty) and setWatches2; a `None` list was null.
    SetWatches {
        relative_zxid: i64,
        data: Option<Vec<Text<'a>>>,
        exist: Option<Vec<Text<'a>>>,
        child: Option<Vec<Text<'a>>>,
        persistent: Option<Vec<Text<'a>>>,
        recursive: Option<Vec<Text<'a>>>,
    },
    Auth {
        scheme: Text<'a>,
        auth: Blob<'a>,
    },
    Sasl {
        token: Blob<'a>,
    },
}
