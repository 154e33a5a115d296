//! What a write request must become, judged against the naive state just before it (client-protocol.md section 10).

use crate::access::{allows, stored};
use crate::model::{Node, State, key, parent_of};
use ostler_model::{
    AuthId, CheckVersion, Create, CreateOp, CreateTxn, Delete, ErrorCode, MultiOp, Owner, Request, SessionId, SetAcl,
    SetData, Text, Txn, TxnHeader, perms,
};
use std::collections::BTreeSet;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The session.
    pub session: SessionId,
    /// The identities of its connection.
    pub ids: &'a [AuthId],
}

/// The transaction that this request must become after `state`, or the error that it must be refused with.
///
/// # Errors
/// The refusal.
pub fn verdict(state: &State, caller: Caller<'_>, request: &Request<'_>) -> Result<Txn, ErrorCode> {
    match request {
        Request::CloseSession => Ok(Txn::CloseSession { paths: Some(state.ephemerals(caller.session)) }),
        _ if !state.sessions.contains_key(&caller.session) => Err(ErrorCode::SessionExpired),
        Request::Create(create) => judge_create(state, caller, create),
        Request::Delete(delete) => judge_delete(state, caller, delete),
        Request::SetData(set) => judge_set_data(state, caller, set),
        Request::SetAcl(set) => judge_set_acl(state, caller, set),
        Request::Multi(parts) => Ok(judge_multi(state, caller, parts)),
        other => unreachable!("the simulated clients send no {other:?} as a write"),
    }
}

fn text<'a>(text: &'a Text<'_>) -> &'a str {
    text.as_deref().expect("the simulated clients send no null paths")
}

fn find<'a>(state: &'a State, path: &str) -> Result<&'a Node, ErrorCode> {
    state.nodes.get(key(path)).map(|node| &**node).ok_or(ErrorCode::NoNode)
}

fn allow(node: &Node, needed: i32, caller: Caller<'_>) -> Result<(), ErrorCode> {
    if allows(&node.acl, needed, caller.ids) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

fn check_version(asked: i32, found: i32) -> Result<(), ErrorCode> {
    if asked == -1 || asked == found { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

fn judge_create(state: &State, caller: Caller<'_>, request: &Create<'_>) -> Result<Txn, ErrorCode> {
    let asked = text(&request.path);
    let acl = stored(request.acl.as_deref().unwrap_or_default(), caller.ids)?;
    let parent = find(state, parent_of(asked).unwrap_or_default())?;
    allow(parent, perms::CREATE, caller)?;
    let sequential = matches!(request.flags, 2 | 3 | 6);
    let path = if sequential { format!("{asked}{:010}", parent.stat.cversion) } else { asked.to_owned() };
    if state.nodes.contains_key(&path) {
        return Err(ErrorCode::NodeExists);
    }
    if Owner::from_raw(parent.stat.ephemeral_owner).is_ephemeral() {
        return Err(ErrorCode::NoChildrenForEphemerals);
    }
    Ok(Txn::Create(CreateTxn {
        op: request.op,
        path,
        data: request.data.map(<[u8]>::to_vec),
        acl,
        ephemeral: matches!(request.flags, 1 | 3) && matches!(request.op, CreateOp::Create | CreateOp::Create2),
        parent_cversion: parent.stat.cversion.wrapping_add(1),
        // The log has it for TTL nodes only.
        ttl: if request.op == CreateOp::Ttl { request.ttl } else { 0 },
    }))
}

fn judge_delete(state: &State, caller: Caller<'_>, request: &Delete<'_>) -> Result<Txn, ErrorCode> {
    let path = text(&request.path);
    let parent = find(state, parent_of(path).unwrap_or_default())?;
    allow(parent, perms::DELETE, caller)?;
    let node = find(state, path)?;
    check_version(request.version, node.stat.version)?;
    if node.children.is_empty() { Ok(Txn::Delete { path: path.to_owned() }) } else { Err(ErrorCode::NotEmpty) }
}

fn judge_set_data(state: &State, caller: Caller<'_>, request: &SetData<'_>) -> Result<Txn, ErrorCode> {
    let path = text(&request.path);
    let node = find(state, path)?;
    allow(node, perms::WRITE, caller)?;
    check_version(request.version, node.stat.version)?;
    let version = node.stat.version.wrapping_add(1);
    Ok(Txn::SetData { path: path.to_owned(), data: request.data.map(<[u8]>::to_vec), version })
}

fn judge_set_acl(state: &State, caller: Caller<'_>, request: &SetAcl<'_>) -> Result<Txn, ErrorCode> {
    let path = text(&request.path);
    let acl = stored(request.acl.as_deref().unwrap_or_default(), caller.ids)?;
    let node = find(state, path)?;
    allow(node, perms::ADMIN, caller)?;
    check_version(request.version, node.stat.aversion)?;
    Ok(Txn::SetAcl { path: path.to_owned(), acl, version: node.stat.aversion.wrapping_add(1) })
}

fn judge_check(state: &State, caller: Caller<'_>, request: &CheckVersion<'_>) -> Result<Txn, ErrorCode> {
    let path = text(&request.path);
    let node = find(state, path)?;
    allow(node, perms::READ, caller)?;
    check_version(request.version, node.stat.version)?;
    Ok(Txn::Check { path: path.to_owned(), version: node.stat.version })
}

/// Each part is judged against what the parts before it left behind.
fn judge_multi(state: &State, caller: Caller<'_>, parts: &[MultiOp<'_>]) -> Txn {
    let mut state = state.clone();
    let mut txns = Vec::new();
    for part in parts {
        let judged = match part {
            MultiOp::Create(request) => judge_create(&state, caller, request),
            MultiOp::Delete(request) => judge_delete(&state, caller, request),
            MultiOp::SetData(request) => judge_set_data(&state, caller, request),
            MultiOp::Check(request) => judge_check(&state, caller, request),
            MultiOp::Refused(code) => Err(*code),
        };
        match judged {
            Ok(txn) => {
                let header = TxnHeader { session: caller.session, cxid: 0, zxid: Default::default(), time_ms: 0 };
                let fits = state.apply(&header, &txn, &mut BTreeSet::new());
                assert!(fits.is_ok(), "what the judge allows fits: {fits:?}");
                txns.push(txn);
            }
            Err(code) => {
                txns.push(Txn::Error(code));
                txns.resize(parts.len(), Txn::Error(ErrorCode::RuntimeInconsistency));
                break;
            }
        }
    }
    Txn::Multi(txns)
}

/// True if a transaction is what the judge expects. Of a failed multi only the outcome counts, of closeSession and
/// checks not the order or the number written.
pub fn agrees(expected: &Txn, found: &Txn) -> bool {
    match (expected, found) {
        (Txn::CloseSession { paths: Some(expected) }, Txn::CloseSession { paths: Some(found) }) => {
            let mut found = found.clone();
            found.sort_unstable();
            *expected == found
        }
        (Txn::Multi(expected), Txn::Multi(found)) if expected.iter().any(Txn::is_error) => {
            codes(expected) == codes(found)
        }
        (Txn::Multi(expected), Txn::Multi(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(expected, found)| agrees(expected, found))
        }
        (Txn::Check { path: expected, .. }, Txn::Check { path: found, .. }) => expected == found,
        _ => expected == found,
    }
}

fn codes(parts: &[Txn]) -> Vec<i32> {
    let code = |part: &Txn| match part {
        Txn::Error(code) => code.code(),
        Txn::UnknownError(code) => *code,
        _ => 0,
    };
    parts.iter().map(code).collect()
}
