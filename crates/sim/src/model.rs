//! The naive model: what every znode was after every transaction (storage.md section 5, client-protocol.md 12).
//!
//! Maps of paths and lists of versions, nothing that could be clever. It is written from the specification and shares
//! with the server only the decoded transaction, so that what the server shows at a zxid can be compared with it.

use ostler_model::path::CONFIG;
use ostler_model::{AclList, CreateOp, CreateTxn, Owner, SessionId, StoredStat, Txn, TxnHeader, Zxid};
use ostler_model::{open_acl, read_only_acl};
use ostler_tree::{content_crc, in_digest, node_digest};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A znode at one moment.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct Node {
    pub data: Option<Vec<u8>>,
    pub acl: AclList,
    pub stat: StoredStat,
    pub children: BTreeSet<String>,
}

/// What happened to a node, for watches.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Change {
    Created { path: String, acl: AclList, parent_acl: AclList },
    Deleted { path: String, acl: AclList, parent_acl: AclList },
    DataChanged { path: String, acl: AclList },
}

/// The state after one transaction.
#[derive(Clone, Default)]
pub struct State {
    /// The root is "".
    pub nodes: BTreeMap<String, Rc<Node>>,
    /// Time-outs, ms.
    pub sessions: BTreeMap<SessionId, i32>,
    /// The members of the ensemble: number and line.
    pub members: BTreeMap<i64, String>,
    digest: u64,
}

/// What a transaction did to the state, or why it does not fit.
pub type Effects = Result<Vec<Change>, String>;

/// "/a/b" -> "/a"; "/a" -> "". `None` for the root.
pub fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// The key of a path as clients name it.
pub fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// The path of a key as clients see it.
pub fn shown(key: &str) -> &str {
    if key.is_empty() { "/" } else { key }
}

impl State {
    /// A fresh database.
    pub fn new() -> State {
        let mut state = State::default();
        let node = |acl: AclList, aversion, children: &[&str]| {
            Rc::new(Node {
                data: Some(Vec::new()),
                acl,
                stat: StoredStat { aversion, ..StoredStat::default() },
                children: children.iter().map(|name| (*name).to_owned()).collect(),
            })
        };
        state.insert("", node(open_acl(), 0, &["zookeeper"]));
        state.insert("/zookeeper", node(open_acl(), 0, &["config", "quota"]));
        state.insert("/zookeeper/quota", node(open_acl(), 0, &[]));
        state.insert("/zookeeper/config", node(read_only_acl(), -1, &[]));
        state
    }

    /// The node at a path.
    pub fn node(&self, path: &str) -> Option<&Rc<Node>> {
        self.nodes.get(key(path))
    }

    /// The digest (storage.md section 7).
    pub fn digest(&self) -> i64 {
        self.digest as i64
    }

    /// Paths of a session's ephemerals, sorted.
    pub fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let owned = |node: &Node| Owner::from_raw(node.stat.ephemeral_owner) == Owner::Session(session);
        self.nodes.iter().filter(|(_, node)| owned(node)).map(|(path, _)| path.clone()).collect()
    }

    fn count(&mut self, path: &str, node: &Node, sign: bool) {
        if in_digest(path) {
            let part = node_digest(content_crc(path, node.data.as_deref()), &node.stat);
            self.digest = if sign { self.digest.wrapping_add(part) } else { self.digest.wrapping_sub(part) };
        }
    }

    fn insert(&mut self, path: &str, node: Rc<Node>) {
        self.count(path, &node, true);
        if let Some(before) = self.nodes.insert(path.to_owned(), node) {
            self.count(path, &before, false);
        }
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Node)) -> Result<Rc<Node>, String> {
        let node = self.nodes.get(path).ok_or_else(|| format!("there is no {}", shown(path)))?;
        let mut copy = Node::clone(node);
        change(&mut copy);
        let copy = Rc::new(copy);
        self.insert(path, copy.clone());
        Ok(copy)
    }

    /// Applies one transaction. Paths that changed are noted in `touched`.
    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn, touched: &mut BTreeSet<String>) -> Effects {
        let mut changes = Vec::new();
        self.apply_part(header, txn, touched, &mut changes)?;
        Ok(changes)
    }

    fn apply_part(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        touched: &mut BTreeSet<String>,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        match txn {
            Txn::Create(create) => self.create(header, create, touched, changes),
            Txn::Delete { path } | Txn::DeleteContainer { path } => self.delete(header, path, touched, changes),
            Txn::SetData { path, data, version } => {
                let path = key(path);
                touched.insert(path.to_owned());
                let before = self.nodes.get(path).map_or(0, |node| node.stat.version);
                if before.wrapping_add(1) != *version {
                    return Err(format!("setData makes version {version} of {before}"));
                }
                let node = self.change(path, |node| {
                    node.data.clone_from(data);
                    (node.stat.version, node.stat.mzxid, node.stat.mtime) = (*version, header.zxid, header.time_ms);
                })?;
                changes.push(Change::DataChanged { path: path.to_owned(), acl: node.acl.clone() });
                Ok(())
            }
            Txn::SetAcl { path, acl, version } => {
                touched.insert(key(path).to_owned());
                self.change(key(path), |node| {
                    node.acl = acl.clone();
                    node.stat.aversion = *version;
                })?;
                Ok(())
            }
            Txn::CreateSession { timeout_ms } => match self.sessions.insert(header.session, *timeout_ms) {
                None => Ok(()),
                Some(_) => Err(format!("session {} is created twice", header.session)),
            },
            Txn::CloseSession { paths } => {
                if self.sessions.remove(&header.session).is_none() {
                    return Err(format!("session {} is closed and does not exist", header.session));
                }
                let mut listed: Vec<String> = paths.iter().flatten().cloned().collect();
                for path in &listed {
                    self.delete(header, path, touched, changes)?;
                }
                listed.sort_unstable();
                match self.ephemerals(header.session).first() {
                    Some(left) => Err(format!("closeSession of {} leaves {left}", header.session)),
                    None => Ok(()),
                }
            }
            Txn::Multi(parts) if parts.iter().any(Txn::is_error) => Ok(()),
            Txn::Multi(parts) => parts.iter().try_for_each(|part| self.apply_part(header, part, touched, changes)),
            Txn::Check { .. } | Txn::Error(_) | Txn::UnknownError(_) => Ok(()),
            Txn::Reconfig { path, data, version } => {
                let text = data.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                let (lines, last) = text.rsplit_once('\n').unwrap_or_default();
                if path != CONFIG || *version != -1 || last != format!("version={:x}", header.zxid.0) {
                    return Err(format!("a reconfig of {path} to version {version}, {last}"));
                }
                self.members = members_in(lines);
                touched.insert(path.clone());
                let node = self.change(path, |node| {
                    node.data.clone_from(data);
                    (node.stat.version, node.stat.mzxid, node.stat.mtime) = (-1, header.zxid, header.time_ms);
                })?;
                changes.push(Change::DataChanged { path: path.clone(), acl: node.acl.clone() });
                Ok(())
            }
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        txn: &CreateTxn,
        touched: &mut BTreeSet<String>,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        if self.nodes.contains_key(&txn.path) {
            return Err(format!("{} is created and exists", txn.path));
        }
        let (parent, name) = txn.path.rsplit_once('/').ok_or("a path without a slash")?;
        touched.extend([parent.to_owned(), txn.path.clone()]);
        let parent = self.change(parent, |node| {
            node.children.insert(name.to_owned());
            if txn.parent_cversion > node.stat.cversion {
                (node.stat.cversion, node.stat.pzxid) = (txn.parent_cversion, header.zxid);
            }
        })?;
        let owner = match txn.op {
            CreateOp::Container => Owner::Container,
            CreateOp::Ttl => Owner::Ttl(txn.ttl),
            _ if txn.ephemeral => Owner::Session(header.session),
            _ => Owner::Persistent,
        };
        let stat = StoredStat {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time_ms,
            mtime: header.time_ms,
            ephemeral_owner: owner.to_raw(),
            ..StoredStat::default()
        };
        let node = Node { data: txn.data.clone(), acl: txn.acl.clone(), stat, children: BTreeSet::new() };
        self.insert(&txn.path, Rc::new(node));
        let (acl, parent_acl) = (txn.acl.clone(), parent.acl.clone());
        changes.push(Change::Created { path: txn.path.clone(), acl, parent_acl });
        Ok(())
    }

    fn delete(
        &mut self,
        header: &TxnHeader,
        path: &str,
        touched: &mut BTreeSet<String>,
        changes: &mut Vec<Change>,
    ) -> Result<(), String> {
        let node = self.nodes.get(path).ok_or_else(|| format!("{path} is deleted and does not exist"))?.clone();
        if !node.children.is_empty() {
            return Err(format!("{path} is deleted and has children"));
        }
        let (parent, name) = path.rsplit_once('/').ok_or("a path without a slash")?;
        touched.extend([parent.to_owned(), path.to_owned()]);
        let parent = self.change(parent, |parent| {
            parent.children.remove(name);
            parent.stat.pzxid = parent.stat.pzxid.max(header.zxid);
        })?;
        self.count(path, &node, false);
        self.nodes.remove(path);
        let (acl, parent_acl) = (node.acl.clone(), parent.acl.clone());
        changes.push(Change::Deleted { path: path.to_owned(), acl, parent_acl });
        Ok(())
    }
}

/// The lines of an ensemble's text by the servers' numbers.
pub fn members_in(lines: &str) -> BTreeMap<i64, String> {
    let member = |line: &str| {
        let number = line.strip_prefix("server.")?.split('=').next()?.parse().ok()?;
        Some((number, line.to_owned()))
    };
    lines.split(['\n', ',']).filter_map(member).collect()
}

/// What a node is from a zxid on; none if it is not there.
type Version = (Zxid, Option<Rc<Node>>);

/// Every node's versions, by zxid.
#[derive(Default)]
pub struct Versions {
    by_path: BTreeMap<String, Vec<Version>>,
}

impl Versions {
    /// Begins with the nodes of a fresh database.
    pub fn of(state: &State) -> Versions {
        let mut versions = Versions::default();
        for (path, node) in &state.nodes {
            versions.by_path.insert(path.clone(), vec![(Zxid::ZERO, Some(node.clone()))]);
        }
        versions
    }

    /// Notes what these paths are after a transaction.
    pub fn note(&mut self, zxid: Zxid, state: &State, touched: &BTreeSet<String>) {
        for path in touched {
            self.by_path.entry(path.clone()).or_default().push((zxid, state.nodes.get(path).cloned()));
        }
    }

    /// The node at a path as it was after `zxid`.
    pub fn at(&self, path: &str, zxid: Zxid) -> Option<&Rc<Node>> {
        let versions = self.by_path.get(key(path))?;
        let behind = versions.partition_point(|(at, _)| *at <= zxid);
        versions[..behind].last()?.1.as_ref()
    }

    /// How many nodes lay below a path.
    pub fn below(&self, path: &str, zxid: Zxid) -> usize {
        let prefix = format!("{}/", key(path));
        let below = self.by_path.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        below.filter(|(path, _)| !path.is_empty() && self.at(path, zxid).is_some()).count()
    }

    /// A session's ephemerals with this prefix, sorted.
    pub fn ephemerals(&self, session: SessionId, prefix: &str, zxid: Zxid) -> Vec<String> {
        let owned = |node: &Rc<Node>| Owner::from_raw(node.stat.ephemeral_owner) == Owner::Session(session);
        let paths = self.by_path.keys().filter(|path| path.starts_with(prefix));
        paths.filter(|path| self.at(path, zxid).is_some_and(owned)).cloned().collect()
    }
}
