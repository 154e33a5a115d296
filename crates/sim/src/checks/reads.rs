//! Each read shows exactly the state at the zxid that its reply names (rules.md section 2, architecture.md section 6;
//! zab-invariants.md INV-31 follows with INV-32).

use super::{Referee, Verdict, broken};
use crate::access::{allows, readable};
use crate::model::Node;
use ostler_model::{Acl, AuthId, ErrorCode, Request, SessionId, Stat, Text, WireAcl, Zxid, perms};
use ostler_wire::peer::{MultiResult, Reply};
use std::collections::BTreeSet;

const CHECK: &str = "reads";

/// A read and its answer.
#[derive(Debug)]
pub struct Read<'a> {
    /// Who.
    pub session: SessionId,
    /// With these identities.
    pub ids: &'a [AuthId],
    /// What was asked.
    pub request: &'a Request<'a>,
    /// What the header names.
    pub zxid: Zxid,
    /// And its error.
    pub err: i32,
    /// The rest.
    pub reply: &'a Reply<'a>,
}

/// What clients see of a node's stat.
pub fn stat(node: &Node) -> Stat {
    node.stat.visible(node.data.as_ref().map_or(0, Vec::len), node.children.len())
}

fn names(list: Option<&Vec<Text<'_>>>) -> BTreeSet<String> {
    list.into_iter().flatten().map(|name| name.as_deref().unwrap_or_default().to_owned()).collect()
}

fn acls(list: Option<&Vec<WireAcl<'_>>>) -> Vec<Acl> {
    let acl = |entry: &WireAcl<'_>| Acl {
        perms: entry.perms,
        scheme: entry.scheme.as_deref().unwrap_or_default().to_owned(),
        id: entry.id.as_deref().unwrap_or_default().to_owned(),
    };
    list.into_iter().flatten().map(acl).collect()
}

impl Referee {
    /// The node as this reader may see it.
    fn seen(&self, read: &Read<'_>, path: &Text<'_>, needed: i32) -> Result<&Node, ErrorCode> {
        let path = path.as_deref().unwrap_or_default();
        let node = self.versions.at(path, read.zxid).ok_or(ErrorCode::NoNode)?;
        if allows(&node.acl, needed, read.ids) { Ok(node) } else { Err(ErrorCode::NoAuth) }
    }

    /// Compares an answer with the model at its own zxid.
    pub fn explain(&self, read: &Read<'_>) -> Verdict {
        let (outcome, shows) = match read.request {
            Request::Exists { path, .. } => {
                let node = self.seen(read, path, perms::READ);
                (node.err().map_or(0, ErrorCode::code), node.is_ok_and(|node| *read.reply == Reply::Stat(stat(node))))
            }
            Request::GetData { path, .. } => {
                let node = self.seen(read, path, perms::READ);
                let same = |node: &Node| *read.reply == Reply::Data { data: node.data.as_deref(), stat: stat(node) };
                (node.err().map_or(0, ErrorCode::code), node.is_ok_and(same))
            }
            Request::GetChildren { path, .. } | Request::GetChildren2 { path, .. } => {
                let node = self.seen(read, path, perms::READ);
                let same = |node: &Node| match read.reply {
                    Reply::Names(list) => names(list.as_ref()) == node.children,
                    Reply::Children2 { names: list, stat: shown } => {
                        names(list.as_ref()) == node.children && *shown == stat(node)
                    }
                    _ => false,
                };
                (node.err().map_or(0, ErrorCode::code), node.is_ok_and(same))
            }
            Request::GetAcl { path } => {
                let node = self.seen(read, path, perms::READ | perms::ADMIN);
                let same = |node: &Node| match read.reply {
                    Reply::Acl { acl, stat: shown } => {
                        acls(acl.as_ref()) == readable(&node.acl, read.ids) && *shown == stat(node)
                    }
                    _ => false,
                };
                (node.err().map_or(0, ErrorCode::code), node.is_ok_and(same))
            }
            Request::GetAllChildrenNumber { path } => {
                let node = self.seen(read, path, perms::READ);
                let count = self.versions.below(path.as_deref().unwrap_or_default(), read.zxid) as i32;
                (node.err().map_or(0, ErrorCode::code), *read.reply == Reply::Number(count))
            }
            Request::GetEphemerals { prefix } => {
                let prefix = prefix.as_deref().unwrap_or_default();
                let expected = self.versions.ephemerals(read.session, prefix, read.zxid);
                let same = matches!(read.reply, Reply::Names(list) if names(list.as_ref()) == expected.iter().cloned().collect());
                (0, same)
            }
            Request::MultiRead(parts) => (0, self.explain_parts(read, parts)),
            _ => return Ok(()),
        };
        if read.err == outcome && (outcome != 0 || shows) {
            return Ok(());
        }
        Err(broken(
            CHECK,
            format!(
                "{:?} of {} at {} answers {} {:?}; the model has error {outcome}, {:?}",
                read.request,
                read.session,
                read.zxid,
                read.err,
                read.reply,
                self.around(read)
            ),
        ))
    }

    fn explain_parts(&self, read: &Read<'_>, parts: &[Request<'_>]) -> bool {
        let Reply::Multi(results) = read.reply else { return false };
        let same = |part: &Request<'_>, result: &MultiResult<'_>| match (part, result) {
            (Request::GetData { path, .. }, result) => match (self.seen(read, path, perms::READ), result) {
                (Ok(node), MultiResult::GetData { data, stat: shown }) => {
                    *data == node.data.as_deref() && *shown == stat(node)
                }
                (Err(code), MultiResult::Error(err)) => code.code() == *err,
                _ => false,
            },
            (Request::GetChildren { path, .. }, result) => match (self.seen(read, path, perms::READ), result) {
                (Ok(node), MultiResult::GetChildren { names: list }) => names(list.as_ref()) == node.children,
                (Err(code), MultiResult::Error(err)) => code.code() == *err,
                _ => false,
            },
            _ => false,
        };
        results.len() == parts.len() && parts.iter().zip(results).all(|(part, result)| same(part, result))
    }

    fn around(&self, read: &Read<'_>) -> Option<&Node> {
        let path = match read.request {
            Request::Exists { path, .. }
            | Request::GetData { path, .. }
            | Request::GetChildren { path, .. }
            | Request::GetChildren2 { path, .. }
            | Request::GetAcl { path } => path.as_deref()?,
            _ => return None,
        };
        self.versions.at(path, read.zxid).map(|node| &**node)
    }
}
