//! What a transaction does: one function for the table and for the overlay (storage.md section 5, rules.md section 4).
//!
//! [`apply`] is used live, in replay and, on the overlay, by prepare. It never fails: a transaction that does not fit
//! the tree (only in replay over a fuzzy snapshot) does what Apache's replay does and answers with the error.

use crate::digest::{content_crc, in_digest, node_digest};
use crate::store::{NewNode, Store};
use ostler_model::{AclList, CreateOp, CreateTxn, ErrorCode, Owner, Stat, StoredStat, Txn, TxnHeader, path};
use std::sync::Arc;

/// What happened to one node; watches fire from it (client-protocol.md section 14.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Arc<str>,
    /// The node's ACL: who may hear of it. For a deleted node, the last one.
    pub acl: AclList,
    /// The parent's ACL, for the event on the parent. A change of data has none: there the node's own stands.
    pub parent_acl: AclList,
}

/// What can happen to a node so that a watch fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum ChangeKind {
    Created,
    Deleted,
    DataChanged,
}

/// What a transaction answers: the body of the reply, computed when it was applied.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum TxnResult {
    Created {
        op: CreateOp,
        path: Arc<str>,
        stat: Stat,
    },
    Deleted,
    DataSet {
        stat: Stat,
    },
    Reconfigured {
        data: Option<Vec<u8>>,
        stat: Stat,
    },
    AclSet {
        stat: Stat,
    },
    Checked,
    SessionCreated,
    SessionClosed,
    /// The code of an error transaction, or of a transaction that did not fit the tree during replay.
    Error(i32),
    Multi(Vec<TxnResult>),
    /// One code per operation: 0 before the failing one, its code, -2 behind it.
    MultiFailed(Vec<i32>),
}

/// Applies one transaction, or one part of a multi, with the header's session, zxid and time. Changes are appended in
/// the order in which their watches fire. A failed multi and an error change nothing.
pub fn apply<S: Store>(store: &mut S, header: &TxnHeader, txn: &Txn, changes: &mut Vec<Change>) -> TxnResult {
    let outcome = match txn {
        Txn::Create(create) => apply_create(store, header, create, changes),
        Txn::Delete { path } | Txn::DeleteContainer { path } => {
            delete(store, header, path, changes).map(|()| TxnResult::Deleted)
        }
        Txn::SetData { path, data, version } => {
            set_data(store, header, path, data.as_deref(), *version, changes).map(|stat| TxnResult::DataSet { stat })
        }
        Txn::Reconfig { path, data, version } => set_data(store, header, path, data.as_deref(), *version, changes)
            .map(|stat| TxnResult::Reconfigured { data: data.clone(), stat }),
        Txn::SetAcl { path, acl, version } => {
            set_acl(store, path, acl, *version).map(|stat| TxnResult::AclSet { stat })
        }
        Txn::Check { .. } => Ok(TxnResult::Checked),
        Txn::CreateSession { timeout_ms } => {
            store.open_session(header.session, *timeout_ms);
            Ok(TxnResult::SessionCreated)
        }
        Txn::CloseSession { paths } => {
            close_session(store, header, paths.as_deref().unwrap_or_default(), changes);
            Ok(TxnResult::SessionClosed)
        }
        Txn::Error(code) => Ok(TxnResult::Error(code.code())),
        Txn::UnknownError(code) => Ok(TxnResult::Error(*code)),
        Txn::Multi(parts) => Ok(multi(store, header, parts, changes)),
    };
    outcome.unwrap_or_else(|code| TxnResult::Error(code.code()))
}

fn multi<S: Store>(store: &mut S, header: &TxnHeader, parts: &[Txn], changes: &mut Vec<Change>) -> TxnResult {
    if parts.iter().any(Txn::is_error) {
        let code = |part: &Txn| match part {
            Txn::Error(code) => code.code(),
            Txn::UnknownError(code) => *code,
            _ => 0,
        };
        return TxnResult::MultiFailed(parts.iter().map(code).collect());
    }
    TxnResult::Multi(parts.iter().map(|part| apply(store, header, part, changes)).collect())
}

fn apply_create<S: Store>(
    store: &mut S,
    header: &TxnHeader,
    create: &CreateTxn,
    changes: &mut Vec<Change>,
) -> Result<TxnResult, ErrorCode> {
    let path = key(&create.path);
    let (parent_path, _) =
        path::split(path).ok_or(if path.is_empty() { ErrorCode::NodeExists } else { ErrorCode::NoNode })?;
    let parent = store.find(parent_path).ok_or(ErrorCode::NoNode)?;
    count_create(store, parent, parent_path, create.parent_cversion, header);
    if let Some(node) = store.find_child(parent, path) {
        store.supply_acl(node, &create.acl);
        return Err(ErrorCode::NodeExists);
    }
    let stat = StoredStat {
        czxid: header.zxid,
        mzxid: header.zxid,
        pzxid: header.zxid,
        ctime: header.time_ms,
        mtime: header.time_ms,
        ephemeral_owner: owner_of(create, header).to_raw(),
        ..StoredStat::default()
    };
    let data = create.data.as_deref();
    let data_length = data.map_or(0, <[u8]>::len);
    let crc = match store.digest_mut() {
        Some(digest) => {
            let crc = content_crc(path, data);
            if in_digest(path) {
                *digest = digest.wrapping_add(node_digest(crc, &stat));
            }
            crc
        }
        None => 0,
    };
    store.insert(parent, path, NewNode { stat: &stat, data, acl: &create.acl, crc });
    store.quota_created(path, data_length);
    let shared: Arc<str> = Arc::from(path);
    if S::REPORTS_CHANGES {
        let (acl, parent_acl) = (create.acl.clone(), store.acl(parent));
        changes.push(Change { kind: ChangeKind::Created, path: shared.clone(), acl, parent_acl });
    }
    Ok(TxnResult::Created { op: create.op, path: shared, stat: stat.visible(data_length, 0) })
}

fn owner_of(create: &CreateTxn, header: &TxnHeader) -> Owner {
    match create.op {
        CreateOp::Container => Owner::Container,
        CreateOp::Ttl => Owner::Ttl(create.ttl),
        CreateOp::Create | CreateOp::Create2 if create.ephemeral => Owner::Session(header.session),
        CreateOp::Create | CreateOp::Create2 => Owner::Persistent,
    }
}

/// The parent's creation counter takes the transaction's value, and its pzxid moves, only if that is larger: at the
/// largest int both stand still (client-protocol.md section 12), and a replayed create over an existing node counts.
fn count_create<S: Store>(store: &mut S, parent: S::Node<'_>, path: &str, cversion: i32, header: &TxnHeader) {
    let before = store.stat(parent);
    let cversion = if cversion == -1 { before.cversion.wrapping_add(1) } else { cversion };
    if cversion > before.cversion {
        change_stat(store, parent, path, &before, &StoredStat { cversion, pzxid: header.zxid, ..before });
    }
}

fn delete<S: Store>(store: &mut S, header: &TxnHeader, path: &str, changes: &mut Vec<Change>) -> Result<(), ErrorCode> {
    let path = key(path);
    let (parent_path, _) = path::split(path).ok_or(ErrorCode::NoNode)?;
    let parent = store.find(parent_path).ok_or(ErrorCode::NoNode)?;
    let before = store.stat(parent);
    if header.zxid > before.pzxid {
        change_stat(store, parent, parent_path, &before, &StoredStat { pzxid: header.zxid, ..before });
    }
    let node = store.find_child(parent, path).ok_or(ErrorCode::NoNode)?;
    if in_digest(path) && store.digest_mut().is_some() {
        let gone = node_digest(store.crc(node, path), &store.stat(node));
        add_digest(store, gone.wrapping_neg());
    }
    let data_length = store.data_length(node);
    let acl = S::REPORTS_CHANGES.then(|| store.acl(node));
    store.remove(parent, node, path);
    store.quota_deleted(path, data_length);
    if let Some(acl) = acl {
        let parent_acl = store.acl(parent);
        changes.push(Change { kind: ChangeKind::Deleted, path: Arc::from(path), acl, parent_acl });
    }
    Ok(())
}

fn set_data<S: Store>(
    store: &mut S,
    header: &TxnHeader,
    path: &str,
    data: Option<&[u8]>,
    version: i32,
    changes: &mut Vec<Change>,
) -> Result<Stat, ErrorCode> {
    let path = key(path);
    let node = store.find(path).ok_or(ErrorCode::NoNode)?;
    let has_digest = store.digest_mut().is_some();
    let crc = if has_digest { content_crc(path, data) } else { 0 };
    let crc_before = if has_digest && in_digest(path) { store.crc(node, path) } else { 0 };
    Ok(set_data_at(store, header, &Target { node, path, crc_before, crc }, data, version, changes))
}

/// Where data goes: the node, its path as stores know it, and the CRCs of path and data before and afterwards (0 with
/// digests off).
pub(crate) struct Target<'p, N> {
    pub node: N,
    pub path: &'p str,
    pub crc_before: u32,
    pub crc: u32,
}

pub(crate) fn set_data_at<'p, S: Store>(
    store: &mut S,
    header: &TxnHeader,
    target: &Target<'p, S::Node<'p>>,
    data: Option<&[u8]>,
    version: i32,
    changes: &mut Vec<Change>,
) -> Stat {
    let Target { node, path, crc_before, crc } = *target;
    let before = store.stat(node);
    let after = StoredStat { version, mzxid: header.zxid, mtime: header.time_ms, ..before };
    if in_digest(path) && store.digest_mut().is_some() {
        let gone = node_digest(crc_before, &before);
        add_digest(store, node_digest(crc, &after).wrapping_sub(gone));
    }
    let length_before = store.data_length(node);
    let length = data.map_or(0, <[u8]>::len);
    store.set_stat(node, &after);
    store.set_data(node, data, crc);
    store.quota_resized(path, length_before, length);
    if S::REPORTS_CHANGES {
        let acl = store.acl(node);
        let parent_acl = acl.clone();
        changes.push(Change { kind: ChangeKind::DataChanged, path: Arc::from(shown(path)), acl, parent_acl });
    }
    after.visible(length, store.num_children(node))
}

fn set_acl<S: Store>(store: &mut S, path: &str, acl: &AclList, aversion: i32) -> Result<Stat, ErrorCode> {
    let path = key(path);
    let node = store.find(path).ok_or(ErrorCode::NoNode)?;
    let before = store.stat(node);
    let after = StoredStat { aversion, ..before };
    change_stat(store, node, path, &before, &after);
    store.set_acl(node, acl);
    Ok(after.visible(store.data_length(node), store.num_children(node)))
}

/// The listed paths go whoever owns them; what is then left of the session's own ephemerals goes too.
fn close_session<S: Store>(store: &mut S, header: &TxnHeader, paths: &[String], changes: &mut Vec<Change>) {
    store.close_session(header.session);
    for path in paths {
        // A listed node may be gone already; Apache ignores that too.
        let _ = delete(store, header, path, changes);
    }
    for path in store.ephemerals(header.session) {
        // Gone with its parent, if the snapshot was fuzzy enough to give an ephemeral node children.
        let _ = delete(store, header, &path, changes);
    }
}

fn change_stat<S: Store>(store: &mut S, node: S::Node<'_>, path: &str, before: &StoredStat, after: &StoredStat) {
    if in_digest(path) && store.digest_mut().is_some() {
        let crc = store.crc(node, path);
        add_digest(store, node_digest(crc, after).wrapping_sub(node_digest(crc, before)));
    }
    store.set_stat(node, after);
}

fn add_digest<S: Store>(store: &mut S, delta: u64) {
    if let Some(digest) = store.digest_mut() {
        *digest = digest.wrapping_add(delta);
    }
}

/// A path as stores know it: the root is "".
fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// A path as clients know it: the root is "/".
fn shown(key: &str) -> &str {
    if key.is_empty() { "/" } else { key }
}
