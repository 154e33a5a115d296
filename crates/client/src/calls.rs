//! Typed calls of the blocking driver: one for each operation of the protocol (client-protocol.md section 7).

use crate::driver::{Client, ClientError};
use crate::effect::RawReply;
use ostler_model::{
    Acl, AuthId, Create, CreateOp, Delete, ErrorCode, MultiOp, OpCode, Request, SetAcl, SetData, Stat, Text,
    WatcherType, WireAcl,
};
use ostler_wire::client::ReplyHeader;
use ostler_wire::jute::DecodeError;
use ostler_wire::peer::{self, MultiResult, Reply};

/// What kind of znode to create.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum CreateMode {
    Persistent,
    PersistentSequential,
    Ephemeral,
    EphemeralSequential,
    Container,
    /// Deleted this many milliseconds after its last change, once it has no children.
    Ttl(i64),
    TtlSequential(i64),
}

impl CreateMode {
    /// The request's operation, flags and TTL.
    fn parts(self) -> (CreateOp, i32, i64) {
        match self {
            CreateMode::Persistent => (CreateOp::Create2, 0, -1),
            CreateMode::Ephemeral => (CreateOp::Create2, 1, -1),
            CreateMode::PersistentSequential => (CreateOp::Create2, 2, -1),
            CreateMode::EphemeralSequential => (CreateOp::Create2, 3, -1),
            CreateMode::Container => (CreateOp::Container, 4, -1),
            CreateMode::Ttl(ms) => (CreateOp::Ttl, 5, ms),
            CreateMode::TtlSequential(ms) => (CreateOp::Ttl, 6, ms),
        }
    }

    /// The create request for a node of this kind.
    pub fn request<'a>(self, path: &'a str, data: &'a [u8], acl: &'a [Acl]) -> Create<'a> {
        let (op, flags, ttl) = self.parts();
        Create { op, path: Some(path.into()), data: Some(data), acl: Some(wire_acl(acl)), flags, ttl }
    }
}

/// A reply with its body not decoded; [`Answer::reply`] does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct Answer {
    pub op: OpCode,
    pub raw: RawReply,
}

impl Answer {
    /// The decoded body; [`Reply::Empty`] with most errors.
    ///
    /// # Errors
    /// The body is malformed.
    pub fn reply(&self) -> Result<Reply<'_>, DecodeError> {
        let header = ReplyHeader { xid: 0, zxid: self.raw.zxid, err: self.raw.err };
        peer::decode_reply(self.op, &header, &self.raw.body)
    }

    fn checked(&self) -> Result<Reply<'_>, ClientError> {
        match self.raw.err {
            0 => Ok(self.reply()?),
            err => Err(ClientError::Server { err, code: ErrorCode::from_i32(err) }),
        }
    }
}

/// The result of one operation of a multi or multiRead.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum MultiAnswer {
    Created(String, Option<Stat>),
    Done,
    Stat(Stat),
    Data(Option<Vec<u8>>, Stat),
    Children(Vec<String>),
    Error(i32),
}

pub(crate) fn wire_acl(acl: &[Acl]) -> Vec<WireAcl<'_>> {
    acl.iter()
        .map(|entry| WireAcl {
            perms: entry.perms,
            scheme: Some(entry.scheme.as_str().into()),
            id: Some(entry.id.as_str().into()),
        })
        .collect()
}

pub(crate) fn owned(text: Text<'_>) -> String {
    text.unwrap_or_default().into_owned()
}

fn unexpected(op: OpCode) -> ClientError {
    ClientError::Unexpected(op)
}

impl Client {
    /// create2, createContainer or createTTL: the final path and the Stat.
    pub fn create(
        &mut self,
        path: &str,
        data: &[u8],
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<(String, Stat), ClientError> {
        let answer = self.call(&Request::Create(mode.request(path, data, acl)))?;
        match answer.checked()? {
            Reply::Created { path, stat } => Ok((self.inside(owned(path)), stat)),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// delete; version -1 matches any.
    pub fn delete(&mut self, path: &str, version: i32) -> Result<(), ClientError> {
        self.call(&Request::Delete(Delete { path: Some(path.into()), version }))?.checked().map(|_| ())
    }

    /// exists: the Stat, or `None`.
    pub fn exists(&mut self, path: &str, watch: bool) -> Result<Option<Stat>, ClientError> {
        let answer = self.call(&Request::Exists { path: Some(path.into()), watch })?;
        match answer.checked() {
            Ok(Reply::Stat(stat)) => Ok(Some(stat)),
            Ok(_) => Err(unexpected(answer.op)),
            Err(ClientError::Server { code: Some(ErrorCode::NoNode), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// getData.
    pub fn get_data(&mut self, path: &str, watch: bool) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        let answer = self.call(&Request::GetData { path: Some(path.into()), watch })?;
        match answer.checked()? {
            Reply::Data { data, stat } => Ok((data.map(<[u8]>::to_vec), stat)),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// setData; version -1 matches any.
    pub fn set_data(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, ClientError> {
        self.stat_of(&Request::SetData(SetData { path: Some(path.into()), data: Some(data), version }))
    }

    /// getACL.
    pub fn get_acl(&mut self, path: &str) -> Result<(Vec<Acl>, Stat), ClientError> {
        let answer = self.call(&Request::GetAcl { path: Some(path.into()) })?;
        let Reply::Acl { acl, stat } = answer.checked()? else { return Err(unexpected(answer.op)) };
        let entry = |entry: WireAcl<'_>| Acl { perms: entry.perms, scheme: owned(entry.scheme), id: owned(entry.id) };
        Ok((acl.unwrap_or_default().into_iter().map(entry).collect(), stat))
    }

    /// setACL; version -1 matches any.
    pub fn set_acl(&mut self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, ClientError> {
        self.stat_of(&Request::SetAcl(SetAcl { path: Some(path.into()), acl: Some(wire_acl(acl)), version }))
    }

    /// getChildren: names in no order.
    pub fn get_children(&mut self, path: &str, watch: bool) -> Result<Vec<String>, ClientError> {
        self.names_of(&Request::GetChildren { path: Some(path.into()), watch })
    }

    /// getChildren2: names in no order, and the parent's Stat.
    pub fn get_children2(&mut self, path: &str, watch: bool) -> Result<(Vec<String>, Stat), ClientError> {
        let answer = self.call(&Request::GetChildren2 { path: Some(path.into()), watch })?;
        match answer.checked()? {
            Reply::Children2 { names, stat } => Ok((names.unwrap_or_default().into_iter().map(owned).collect(), stat)),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// getAllChildrenNumber: nodes below the path.
    pub fn all_children_number(&mut self, path: &str) -> Result<i32, ClientError> {
        let answer = self.call(&Request::GetAllChildrenNumber { path: Some(path.into()) })?;
        match answer.checked()? {
            Reply::Number(number) => Ok(number),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// getEphemerals: paths of this session's ephemerals that begin with the prefix.
    pub fn get_ephemerals(&mut self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let paths = self.names_of(&Request::GetEphemerals { prefix: Some(prefix.into()) })?;
        Ok(paths.into_iter().map(|path| self.inside(path)).collect())
    }

    /// sync: what was written anywhere before this call is seen by reads after it.
    pub fn sync(&mut self, path: &str) -> Result<(), ClientError> {
        self.call(&Request::Sync { path: Some(path.into()) })?.checked().map(|_| ())
    }

    /// multi: all of it or nothing. A refused one is an `Ok` whose answers are errors.
    pub fn multi(&mut self, ops: Vec<MultiOp<'_>>) -> Result<Vec<MultiAnswer>, ClientError> {
        self.multi_of(&Request::Multi(ops))
    }

    /// multiRead of getData and getChildren requests.
    pub fn multi_read(&mut self, reads: Vec<Request<'_>>) -> Result<Vec<MultiAnswer>, ClientError> {
        self.multi_of(&Request::MultiRead(reads))
    }

    /// addWatch: persistent, or persistent and recursive.
    pub fn add_watch(&mut self, path: &str, recursive: bool) -> Result<(), ClientError> {
        self.call(&Request::AddWatch { path: Some(path.into()), recursive })?.checked().map(|_| ())
    }

    /// checkWatches: `Ok` if the server holds such a watch for this connection.
    pub fn check_watches(&mut self, path: &str, kind: WatcherType) -> Result<(), ClientError> {
        self.call(&Request::CheckWatches { path: Some(path.into()), kind })?.checked().map(|_| ())
    }

    /// removeWatches.
    pub fn remove_watches(&mut self, path: &str, kind: WatcherType) -> Result<(), ClientError> {
        self.call(&Request::RemoveWatches { path: Some(path.into()), kind })?.checked().map(|_| ())
    }

    /// whoAmI: the identities of this connection.
    pub fn who_am_i(&mut self) -> Result<Vec<AuthId>, ClientError> {
        let answer = self.call(&Request::WhoAmI)?;
        match answer.checked()? {
            Reply::WhoAmI(infos) => Ok(infos
                .unwrap_or_default()
                .into_iter()
                .map(|info| AuthId { scheme: owned(info.scheme), id: owned(info.user) })
                .collect()),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// reconfig: the new configuration's text.
    pub fn reconfig(&mut self, joining: Option<&str>, leaving: Option<&str>) -> Result<Vec<u8>, ClientError> {
        let text = |text: Option<&str>| text.map(|text| text.to_string().into());
        let (joining, leaving) = (text(joining), text(leaving));
        let answer = self.call(&Request::Reconfig { joining, leaving, new_members: None, config_id: -1 })?;
        match answer.checked()? {
            Reply::Data { data, .. } => Ok(data.unwrap_or_default().to_vec()),
            _ => Err(unexpected(answer.op)),
        }
    }

    /// Proves an identity, now and after every reconnect. A refusal ends the session.
    pub fn add_auth(&mut self, scheme: &str, auth: &[u8]) -> Result<(), ClientError> {
        let id = self.submit_auth(scheme, auth)?;
        self.wait(id)?.checked().map(|_| ())
    }

    fn stat_of(&mut self, request: &Request<'_>) -> Result<Stat, ClientError> {
        let answer = self.call(request)?;
        match answer.checked()? {
            Reply::Stat(stat) => Ok(stat),
            _ => Err(unexpected(answer.op)),
        }
    }

    fn names_of(&mut self, request: &Request<'_>) -> Result<Vec<String>, ClientError> {
        let answer = self.call(request)?;
        match answer.checked()? {
            Reply::Names(names) => Ok(names.unwrap_or_default().into_iter().map(owned).collect()),
            _ => Err(unexpected(answer.op)),
        }
    }

    fn multi_of(&mut self, request: &Request<'_>) -> Result<Vec<MultiAnswer>, ClientError> {
        let answer = self.call(request)?;
        let Reply::Multi(results) = answer.checked()? else { return Err(unexpected(answer.op)) };
        let result = |result| match result {
            MultiResult::Create { path } => MultiAnswer::Created(self.inside(owned(path)), None),
            MultiResult::Create2 { path, stat } => MultiAnswer::Created(self.inside(owned(path)), Some(stat)),
            MultiResult::Delete | MultiResult::Check => MultiAnswer::Done,
            MultiResult::SetData { stat } => MultiAnswer::Stat(stat),
            MultiResult::GetData { data, stat } => MultiAnswer::Data(data.map(<[u8]>::to_vec), stat),
            MultiResult::GetChildren { names } => {
                MultiAnswer::Children(names.unwrap_or_default().into_iter().map(owned).collect())
            }
            MultiResult::Error(err) => MultiAnswer::Error(err),
        };
        Ok(results.into_iter().map(result).collect())
    }
}
