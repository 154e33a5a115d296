//! Storage.md section 5 once more, as plainly as possible: a map of paths, nothing kept that can be counted.

use ostler_model::{AclList, CreateOp, CreateTxn, ErrorCode, Owner, SessionId, StoredStat, Txn, TxnHeader};
use ostler_model::{open_acl, read_only_acl};
use ostler_tree::{Change, ChangeKind, TxnResult, content_crc, node_digest};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub struct NaiveNode {
    pub stat: StoredStat,
    pub data: Option<Vec<u8>>,
    pub acl: AclList,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Naive {
    /// The root is "".
    pub nodes: BTreeMap<String, NaiveNode>,
    pub sessions: BTreeMap<SessionId, i32>,
}

const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

impl Naive {
    pub fn new() -> Naive {
        let node = |acl, aversion| NaiveNode {
            stat: StoredStat { aversion, ..StoredStat::default() },
            data: Some(Vec::new()),
            acl,
        };
        let built_in = ["", "/zookeeper", "/zookeeper/quota"].map(|path| (path.to_owned(), node(open_acl(), 0)));
        let mut nodes = BTreeMap::from(built_in);
        nodes.insert("/zookeeper/config".into(), node(read_only_acl(), -1));
        Naive { nodes, sessions: BTreeMap::new() }
    }

    pub fn digest(&self) -> i64 {
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        let digests = counted.map(|(path, node)| node_digest(content_crc(path, node.data.as_deref()), &node.stat));
        digests.fold(0_u64, u64::wrapping_add) as i64
    }

    pub fn approximate_data_size(&self) -> u64 {
        let size = |(path, node): (&String, &NaiveNode)| path.encode_utf16().count() as u64 + node.length() as u64;
        self.nodes.iter().map(size).sum::<u64>() + 1
    }

    pub fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let owned = |node: &NaiveNode| Owner::from_raw(node.stat.ephemeral_owner) == Owner::Session(session);
        self.nodes.iter().filter(|(_, node)| owned(node)).map(|(path, _)| path.clone()).collect()
    }

    pub fn below(&self, path: &str) -> (u64, u64) {
        let prefix = format!("{path}/");
        let below = self.nodes.iter().filter(|(other, _)| other.starts_with(&prefix));
        below.fold((0, 0), |(count, bytes), (_, node)| (count + 1, bytes + node.length() as u64))
    }

    pub fn children(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        let names = self.nodes.keys().filter_map(|other| other.strip_prefix(&prefix));
        names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    }

    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn) -> (TxnResult, Vec<Change>) {
        let mut changes = Vec::new();
        (self.apply_one(header, txn, &mut changes), changes)
    }

    fn apply_one(&mut self, header: &TxnHeader, txn: &Txn, changes: &mut Vec<Change>) -> TxnResult {
        let result = match txn {
            Txn::Create(create) => self.create(header, create, changes),
            Txn::Delete { path } | Txn::DeleteContainer { path } => self.delete(header, path, changes),
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
                self.set_data(header, path, data, *version, changes).map(|stat| match txn {
                    Txn::Reconfig { .. } => TxnResult::Reconfigured { data: data.clone(), stat },
                    _ => TxnResult::DataSet { stat },
                })
            }
            Txn::SetAcl { path, acl, version } => self.set_acl(path, acl, *version),
            Txn::Check { .. } => Ok(TxnResult::Checked),
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Ok(TxnResult::SessionCreated)
            }
            Txn::CloseSession { paths } => {
                self.sessions.remove(&header.session);
                for path in paths.iter().flatten() {
                    let _ = self.delete(header, path, changes);
                }
                for path in self.ephemerals(header.session) {
                    let _ = self.delete(header, &path, changes);
                }
                Ok(TxnResult::SessionClosed)
            }
            Txn::Error(code) => Ok(TxnResult::Error(code.code())),
            Txn::UnknownError(code) => Ok(TxnResult::Error(*code)),
            Txn::Multi(parts) if parts.iter().any(Txn::is_error) => {
                let code = |part: &Txn| match part {
                    Txn::Error(code) => code.code(),
                    Txn::UnknownError(code) => *code,
                    _ => 0,
                };
                Ok(TxnResult::MultiFailed(parts.iter().map(code).collect()))
            }
            Txn::Multi(parts) => {
                Ok(TxnResult::Multi(parts.iter().map(|part| self.apply_one(header, part, changes)).collect()))
            }
        };
        result.unwrap_or_else(|code| TxnResult::Error(code.code()))
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        txn: &CreateTxn,
        changes: &mut Vec<Change>,
    ) -> Result<TxnResult, ErrorCode> {
        if txn.path == "/" {
            return Err(ErrorCode::NodeExists);
        }
        let (parent_path, _) = txn.path.rsplit_once('/').ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.get_mut(parent_path).ok_or(ErrorCode::NoNode)?;
        let cversion =
            if txn.parent_cversion == -1 { parent.stat.cversion.wrapping_add(1) } else { txn.parent_cversion };
        if cversion > parent.stat.cversion {
            parent.stat.cversion = cversion;
            parent.stat.pzxid = header.zxid;
        }
        let parent_acl = parent.acl.clone();
        if self.nodes.contains_key(&txn.path) {
            return Err(ErrorCode::NodeExists);
        }
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
        let node = NaiveNode { stat, data: txn.data.clone(), acl: txn.acl.clone() };
        let length = node.length();
        self.nodes.insert(txn.path.clone(), node);
        if let Some(root) = quota_root(&txn.path, STATS) {
            self.recount(&root);
        }
        self.account(&txn.path, 1, length as i64);
        let path: Arc<str> = Arc::from(txn.path.as_str());
        changes.push(Change { kind: ChangeKind::Created, path: path.clone(), acl: txn.acl.clone(), parent_acl });
        Ok(TxnResult::Created { op: txn.op, path, stat: stat.visible(length, 0) })
    }

    fn delete(&mut self, header: &TxnHeader, path: &str, changes: &mut Vec<Change>) -> Result<TxnResult, ErrorCode> {
        let (parent_path, _) = path.rsplit_once('/').filter(|_| path != "/").ok_or(ErrorCode::NoNode)?;
        let parent = self.nodes.get_mut(parent_path).ok_or(ErrorCode::NoNode)?;
        parent.stat.pzxid = parent.stat.pzxid.max(header.zxid);
        let parent_acl = parent.acl.clone();
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?.clone();
        let prefix = format!("{path}/");
        let doomed: Vec<String> = self.nodes.keys().filter(|p| *p == path || p.starts_with(&prefix)).cloned().collect();
        for path in doomed.iter().rev() {
            let gone = self.nodes.remove(path).expect("just listed");
            self.account(path, -1, -(gone.length() as i64));
        }
        changes.push(Change { kind: ChangeKind::Deleted, path: Arc::from(path), acl: node.acl, parent_acl });
        Ok(TxnResult::Deleted)
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: &Option<Vec<u8>>,
        version: i32,
        changes: &mut Vec<Change>,
    ) -> Result<ostler_model::Stat, ErrorCode> {
        let key = if path == "/" { "" } else { path };
        let node = self.nodes.get_mut(key).ok_or(ErrorCode::NoNode)?;
        let before = node.length();
        node.data.clone_from(data);
        (node.stat.version, node.stat.mzxid, node.stat.mtime) = (version, header.zxid, header.time_ms);
        let (stat, acl, length) = (node.stat, node.acl.clone(), node.length());
        // Only the node itself is told about: nobody asks for the parent's list.
        let parent_acl = acl.clone();
        self.account(key, 0, length as i64 - before as i64);
        changes.push(Change { kind: ChangeKind::DataChanged, path: Arc::from(path), acl, parent_acl });
        Ok(stat.visible(length, self.children(key).len()))
    }

    fn set_acl(&mut self, path: &str, acl: &AclList, aversion: i32) -> Result<TxnResult, ErrorCode> {
        let key = if path == "/" { "" } else { path };
        let children = self.children(key).len();
        let node = self.nodes.get_mut(key).ok_or(ErrorCode::NoNode)?;
        (node.acl, node.stat.aversion) = (acl.clone(), aversion);
        Ok(TxnResult::AclSet { stat: node.stat.visible(node.length(), children) })
    }

    fn account(&mut self, path: &str, count: i64, bytes: i64) {
        let active = |root: &str| self.nodes.contains_key(&format!("/zookeeper/quota{root}{LIMITS}"));
        let prefixes = path.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| &path[..at]).chain([path]);
        let Some(root) = prefixes.filter(|p| !p.is_empty() && active(p)).max_by_key(|p| p.len()).map(str::to_owned)
        else {
            return;
        };
        if count == 0 && bytes == 0 {
            return;
        }
        let Some(stats) = self.nodes.get_mut(&format!("/zookeeper/quota{root}{STATS}")) else { return };
        let text = stats.data.clone().and_then(|data| String::from_utf8(data).ok()).unwrap_or_else(|| "junk".into());
        let (figures, tail) = text.split_once("=;").map_or((text.as_str(), ""), |(figures, tail)| (figures, tail));
        let parsed = figures
            .split_once(",bytes=")
            .and_then(|(c, b)| Some((c.strip_prefix("count=")?.parse::<i64>().ok()?, b.parse::<i64>().ok()?)));
        match parsed {
            Some((c, b)) => {
                let tail = if tail.is_empty() { String::new() } else { format!("=;{tail}") };
                stats.data = Some(format!("count={},bytes={}{tail}", c + count, b + bytes).into_bytes());
            }
            None if text.is_empty() => {
                stats.data = Some(format!("count={},bytes={}", count - 1, bytes - 1).into_bytes());
            }
            None => self.recount(&root),
        }
    }

    fn recount(&mut self, root: &str) {
        let (mut count, mut bytes) = (0, 0);
        if let Some(node) = self.nodes.get(root) {
            let below = self.below(root);
            (count, bytes) = (below.0 + 1, below.1 + node.length() as u64);
        }
        if let Some(stats) = self.nodes.get_mut(&format!("/zookeeper/quota{root}{STATS}")) {
            stats.data = Some(format!("count={count},bytes={bytes}").into_bytes());
        }
    }
}

impl NaiveNode {
    fn length(&self) -> usize {
        self.data.as_ref().map_or(0, Vec::len)
    }
}

fn quota_root(path: &str, name: &str) -> Option<String> {
    let root = path.strip_prefix("/zookeeper/quota/")?.strip_suffix(name)?;
    (!root.is_empty()).then(|| format!("/{root}"))
}
