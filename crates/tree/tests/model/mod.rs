//! A tree as simple as can be: one ordered map of paths, everything counted by looking at all of it.
//!
//! It turns requests into results straight from client-protocol.md (sections 10 to 13 and 15 to 17), without
//! transactions, overlay or any code of the crate, and serves as the truth in the property tests.

#![allow(clippy::unwrap_used, reason = "a model that is wrong may panic")]

pub mod compare;
pub mod requests;

use ostler_model::{
    Acl, AuthId, Create, CreateOp, Delete, MultiOp, Owner, Request, SetAcl, SetData, Stat, StoredStat, TxnHeader,
    WireAcl, perms,
};
use ostler_tree::{ChangeKind, TxnResult};
use std::collections::BTreeMap;

pub const LIMITS: &str = "zookeeper_limits";
pub const STATS: &str = "zookeeper_stats";
pub const QUOTA: &str = "/zookeeper/quota";

/// The settings that a case runs under.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    pub extended_types: bool,
    pub enforce_quota: bool,
    pub reconfig_enabled: bool,
    pub skip_acl: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub data: Option<Vec<u8>>,
    pub acl: Vec<Acl>,
    pub stat: StoredStat,
}

/// What watches hear: kind, path, the node's ACL, the parent's ACL.
pub type Event = (ChangeKind, String, Vec<Acl>, Vec<Acl>);

#[derive(Clone, Debug)]
pub struct Model {
    /// By path; the root is "/".
    pub nodes: BTreeMap<String, Node>,
    pub sessions: BTreeMap<i64, i32>,
    pub settings: Settings,
}

/// One request under way.
struct Step<'a> {
    committed: &'a Model,
    ids: &'a [AuthId],
    header: &'a TxnHeader,
    events: &'a mut Vec<Event>,
}

type Outcome = Result<TxnResult, i32>;

pub fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl { perms, scheme: scheme.into(), id: id.into() }
}

impl Model {
    /// The built-in nodes (section 12).
    pub fn new(settings: Settings) -> Model {
        let node = |perms, aversion| Node {
            data: Some(Vec::new()),
            acl: vec![acl(perms, "world", "anyone")],
            stat: StoredStat { aversion, ..StoredStat::default() },
        };
        let paths = [("/", 31, 0), ("/zookeeper", 31, 0), (QUOTA, 31, 0), ("/zookeeper/config", 1, -1)];
        let nodes = paths.into_iter().map(|(path, perms, aversion)| (path.to_owned(), node(perms, aversion))).collect();
        // As a tree: the counters of the built-in nodes stay 0 although they have children.
        Model { nodes, sessions: BTreeMap::new(), settings }
    }

    /// Executes a request. `committed` is the model at the last applied transaction: quota checks look at it.
    pub fn execute(
        &mut self,
        committed: &Model,
        ids: &[AuthId],
        header: &TxnHeader,
        request: &Request<'_>,
    ) -> (TxnResult, Vec<Event>) {
        let mut events = Vec::new();
        let mut step = Step { committed, ids, header, events: &mut events };
        let result = match request {
            Request::Multi(operations) => self.multi(&mut step, operations),
            single => self.single(&mut step, single).unwrap_or_else(TxnResult::Error),
        };
        (result, events)
    }

    fn multi(&mut self, step: &mut Step<'_>, operations: &[MultiOp<'_>]) -> TxnResult {
        // "Whole-request failures" of section 15.
        for operation in operations {
            let broken = match operation {
                // A null ACL gets here from a createTTL only: -114 when its turn comes.
                MultiOp::Create(c) => {
                    c.path.is_none() || (c.op != CreateOp::Ttl && ![0, 1, 2, 3, 4].contains(&c.flags))
                }
                MultiOp::Delete(d) => d.path.is_none(),
                MultiOp::SetData(s) => s.path.is_none(),
                MultiOp::Check(c) => c.path.is_none(),
                MultiOp::Refused(_) => false,
            };
            if broken {
                return TxnResult::Error(-5);
            }
        }
        let before = self.clone();
        let mut results = Vec::new();
        for operation in operations {
            let outcome = match operation {
                MultiOp::Create(create) => self.create(step, create),
                MultiOp::Delete(delete) => self.delete(step, delete),
                MultiOp::SetData(set) => self.set_data(step, set),
                MultiOp::Check(check) => self.check(step, check.path.as_deref(), check.version),
                MultiOp::Refused(code) => Err(code.code()),
            };
            match outcome {
                Ok(result) => results.push(result),
                Err(code) => {
                    *self = before;
                    step.events.clear();
                    if code == -5 {
                        return TxnResult::Error(-5);
                    }
                    let mut codes = vec![0; results.len()];
                    codes.push(code);
                    codes.resize(operations.len(), -2);
                    return TxnResult::MultiFailed(codes);
                }
            }
        }
        TxnResult::Multi(results)
    }

    fn single(&mut self, step: &mut Step<'_>, request: &Request<'_>) -> Outcome {
        match request {
            Request::Create(create) => self.create(step, create),
            Request::Delete(delete) => self.delete(step, delete),
            Request::SetData(set) => self.set_data(step, set),
            Request::SetAcl(set) => self.set_acl(step, set),
            Request::DeleteContainer { path } => self.delete_container(step, path.as_deref()),
            Request::CreateSession { timeout_ms } => {
                self.sessions.insert(step.header.session.0, *timeout_ms);
                Ok(TxnResult::SessionCreated)
            }
            Request::CloseSession => {
                for path in self.ephemerals(step.header.session.0) {
                    self.remove(step, &path);
                }
                self.sessions.remove(&step.header.session.0);
                Ok(TxnResult::SessionClosed)
            }
            Request::Reconfig { .. } => {
                if !self.settings.reconfig_enabled {
                    return Err(-123);
                }
                self.session(step)?;
                Err(-6)
            }
            _ => Err(-6),
        }
    }

    // Section 10.1.
    fn create(&mut self, step: &mut Step<'_>, create: &Create<'_>) -> Outcome {
        let flags = create.flags;
        if !(0..=6).contains(&flags) {
            return Err(-8);
        }
        let ttl_mode = flags == 5 || flags == 6;
        if ttl_mode && !self.settings.extended_types {
            return Err(-6);
        }
        let ttl = if create.op == CreateOp::Ttl { create.ttl } else { -1 };
        if ttl_mode && !(1..=0xff_ffff_ffff).contains(&ttl) || !ttl_mode && ttl >= 0 {
            return Err(-8);
        }
        if create.op == CreateOp::Ttl && !ttl_mode {
            return Err(-8); // section 20, row 2
        }
        self.session(step)?;
        let path = create.path.as_deref().ok_or(-5)?;
        if !path.contains('/') || path.contains('\0') {
            return Err(-8);
        }
        let acl = self.canonical(step, create.acl.as_deref())?;
        let parent = before_last_slash(path);
        let parent_node = self.nodes.get(&parent).ok_or(-101)?;
        self.may(step, parent_node, perms::CREATE)?;
        let counter = parent_node.stat.cversion;
        let sequential = [2, 3, 6].contains(&flags);
        let path = if sequential { format!("{path}{counter:010}") } else { path.to_owned() };
        if !is_valid_path(&path) {
            return Err(-8);
        }
        if self.nodes.contains_key(&path) {
            return Err(-110);
        }
        if is_ephemeral(parent_node) {
            return Err(-108);
        }
        let size = create.data.map_or(0, <[u8]>::len) as i64;
        self.quota(step, &path, 1, size)?;

        let owner = match create.op {
            CreateOp::Container => Owner::Container,
            CreateOp::Ttl => Owner::Ttl(ttl),
            _ if flags == 1 || flags == 3 => Owner::Session(step.header.session),
            _ => Owner::Persistent,
        };
        let (zxid, time) = (step.header.zxid, step.header.time_ms);
        let stat = StoredStat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            cversion: 0,
            aversion: 0,
            ephemeral_owner: owner.to_raw(),
        };
        let parent_acl = parent_node.acl.clone();
        let parent_node = self.nodes.get_mut(&parent).unwrap();
        if counter < i32::MAX {
            parent_node.stat.cversion += 1;
            parent_node.stat.pzxid = zxid;
        }
        let data = create.data.map(<[u8]>::to_vec);
        self.nodes.insert(path.clone(), Node { data, acl: acl.clone(), stat });
        let stat = self.stat(&path).unwrap();
        if let Some(root) = path.strip_prefix(QUOTA).and_then(|rest| rest.strip_suffix(&format!("/{STATS}")))
            && root.starts_with('/')
        {
            self.recount(root);
        }
        self.count(&path, 1, size);
        step.events.push((ChangeKind::Created, path.clone(), acl, parent_acl));
        Ok(TxnResult::Created { op: create.op, path: path.into(), stat })
    }

    // Section 10.2.
    fn delete(&mut self, step: &mut Step<'_>, delete: &Delete<'_>) -> Outcome {
        self.session(step)?;
        let path = delete.path.as_deref().ok_or(-5)?;
        self.deletable(path)?;
        let parent = self.nodes.get(&before_last_slash(path)).ok_or(-101)?;
        self.may(step, parent, perms::DELETE)?;
        let node = self.nodes.get(path).ok_or(-101)?;
        if delete.version != -1 && delete.version != node.stat.version {
            return Err(-103);
        }
        if self.num_children(path) > 0 {
            return Err(-111);
        }
        self.remove(step, path);
        Ok(TxnResult::Deleted)
    }

    fn deletable(&self, path: &str) -> Result<(), i32> {
        let special = ["/", "/zookeeper", QUOTA, "/zookeeper/config"].contains(&path);
        if !path.contains('/') || path.contains('\0') || special { Err(-8) } else { Ok(()) }
    }

    // Section 16; stricter about what is due, see delete.rs.
    fn delete_container(&mut self, step: &mut Step<'_>, path: Option<&str>) -> Outcome {
        let path = path.ok_or(-5)?;
        self.deletable(path)?;
        let node = self.nodes.get(path).ok_or(-101)?;
        if self.num_children(path) > 0 {
            return Err(-111);
        }
        let due = match Owner::from_raw(node.stat.ephemeral_owner) {
            Owner::Container => node.stat.cversion > 0,
            Owner::Ttl(ms) => step.header.time_ms - node.stat.mtime > ms,
            _ => false,
        };
        if !due {
            return Err(-103);
        }
        self.remove(step, path);
        Ok(TxnResult::Deleted)
    }

    // Section 10.3.
    fn set_data(&mut self, step: &mut Step<'_>, set: &SetData<'_>) -> Outcome {
        self.session(step)?;
        let path = set.path.as_deref().filter(|path| is_valid_path(path)).ok_or(-8)?;
        let node = self.nodes.get(path).ok_or(-101)?;
        self.may(step, node, perms::WRITE)?;
        let grown = set.data.map_or(0, <[u8]>::len) as i64 - node.data.as_ref().map_or(0, Vec::len) as i64;
        self.quota(step, path, 0, grown)?;
        if set.version != -1 && set.version != node.stat.version {
            return Err(-103);
        }
        let acl = node.acl.clone();
        let node = self.nodes.get_mut(path).unwrap();
        node.data = set.data.map(<[u8]>::to_vec);
        node.stat.version = node.stat.version.wrapping_add(1);
        node.stat.mzxid = step.header.zxid;
        node.stat.mtime = step.header.time_ms;
        let stat = self.stat(path).unwrap();
        self.count(path, 0, grown);
        // Only the node itself is told about: nobody asks for the parent's list.
        step.events.push((ChangeKind::DataChanged, path.to_owned(), acl.clone(), acl));
        Ok(TxnResult::DataSet { stat })
    }

    // Section 10.4.
    fn set_acl(&mut self, step: &mut Step<'_>, set: &SetAcl<'_>) -> Outcome {
        self.session(step)?;
        let path = set.path.as_deref().filter(|path| is_valid_path(path)).ok_or(-8)?;
        let acl = self.canonical(step, set.acl.as_deref())?;
        let node = self.nodes.get(path).ok_or(-101)?;
        self.may(step, node, perms::ADMIN)?;
        if set.version != -1 && set.version != node.stat.aversion {
            return Err(-103);
        }
        let node = self.nodes.get_mut(path).unwrap();
        node.acl = acl;
        node.stat.aversion = node.stat.aversion.wrapping_add(1);
        Ok(TxnResult::AclSet { stat: self.stat(path).unwrap() })
    }

    // Section 10.5.
    fn check(&mut self, step: &mut Step<'_>, path: Option<&str>, version: i32) -> Outcome {
        self.session(step)?;
        let path = path.filter(|path| is_valid_path(path)).ok_or(-8)?;
        let node = self.nodes.get(path).ok_or(-101)?;
        self.may(step, node, perms::READ)?;
        if version != -1 && version != node.stat.version { Err(-103) } else { Ok(TxnResult::Checked) }
    }

    fn session(&self, step: &Step<'_>) -> Result<(), i32> {
        let id = step.header.session.0;
        if id == 0 || self.sessions.contains_key(&id) { Ok(()) } else { Err(-112) }
    }

    /// Takes a leaf away.
    fn remove(&mut self, step: &mut Step<'_>, path: &str) {
        let parent_acl = self.parent_acl(path);
        let node = self.nodes.remove(path).unwrap();
        let parent = self.nodes.get_mut(&before_last_slash(path)).unwrap();
        parent.stat.pzxid = parent.stat.pzxid.max(step.header.zxid);
        self.count(path, -1, -(node.data.map_or(0, |data| data.len()) as i64));
        step.events.push((ChangeKind::Deleted, path.to_owned(), node.acl, parent_acl));
    }

    fn parent_acl(&self, path: &str) -> Vec<Acl> {
        self.nodes[&before_last_slash(path)].acl.clone()
    }

    // Section 13.1, for the schemes and ids that the generator uses.
    fn may(&self, step: &Step<'_>, node: &Node, needed: i32) -> Result<(), i32> {
        let has = |scheme: &str, id: &str| step.ids.iter().any(|own| own.scheme == scheme && own.id == id);
        let granted = self.settings.skip_acl
            || step.ids.iter().any(|own| own.scheme == "super")
            || node.acl.iter().any(|entry| {
                entry.perms & needed != 0
                    && match (entry.scheme.as_str(), entry.id.as_str()) {
                        ("world", "anyone") => true,
                        ("ip", "10.0.0.0/8") => has("ip", "10.0.0.1"),
                        (scheme, id) => has(scheme, id),
                    }
            });
        if granted { Ok(()) } else { Err(-102) }
    }

    // Section 13.2, for the schemes and ids that the generator uses.
    fn canonical(&self, step: &Step<'_>, sent: Option<&[WireAcl<'_>]>) -> Result<Vec<Acl>, i32> {
        let mut unique: Vec<&WireAcl<'_>> = Vec::new();
        for entry in sent.unwrap_or_default() {
            if !unique.contains(&entry) {
                unique.push(entry);
            }
        }
        if unique.is_empty() {
            return Err(-114);
        }
        let mut list = Vec::new();
        for entry in unique {
            match (entry.scheme.as_deref().ok_or(-114)?, entry.id.as_deref()) {
                ("auth", _) => {
                    let proved: Vec<_> = step.ids.iter().filter(|id| id.scheme == "digest").collect();
                    if proved.is_empty() {
                        return Err(-114);
                    }
                    list.extend(proved.into_iter().map(|id| acl(entry.perms, &id.scheme, &id.id)));
                }
                ("world" | "ip" | "digest", None) => return Err(-5),
                (scheme, Some(id))
                    if [("world", "anyone"), ("ip", "10.0.0.0/8"), ("digest", "u:h"), ("digest", "v:g")]
                        .contains(&(scheme, id)) =>
                {
                    list.push(acl(entry.perms, scheme, id));
                }
                _ => return Err(-114),
            }
        }
        Ok(list)
    }

    pub fn num_children(&self, path: &str) -> usize {
        self.children(path).len()
    }

    /// Names, in alphabetical order.
    pub fn children(&self, path: &str) -> Vec<String> {
        let names = self.below(path).map(|(name, _)| name).filter(|name| !name.contains('/'));
        names.map(str::to_owned).collect()
    }

    pub fn descendants(&self, path: &str) -> usize {
        self.below(path).count()
    }

    /// Everything below `path`, with the rest of its path.
    fn below(&self, path: &str) -> impl Iterator<Item = (&str, &Node)> {
        let prefix = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let from = self.nodes.range(prefix.clone()..);
        from.map_while(move |(path, node)| Some((path.strip_prefix(&prefix)?, node)))
            .filter(|(rest, _)| !rest.is_empty())
    }

    pub fn stat(&self, path: &str) -> Option<Stat> {
        let node = self.nodes.get(if path.is_empty() { "/" } else { path })?;
        let num_children = self.num_children(path) as i32;
        let StoredStat { czxid, mzxid, ctime, mtime, version, cversion, aversion, pzxid, .. } = node.stat;
        Some(Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion: (2 * i64::from(cversion) - i64::from(num_children)) as i32,
            aversion,
            ephemeral_owner: if is_ephemeral(node) { node.stat.ephemeral_owner } else { 0 },
            data_length: node.data.as_ref().map_or(0, Vec::len) as i32,
            num_children,
            pzxid,
        })
    }

    /// In alphabetical order.
    pub fn ephemerals(&self, session: i64) -> Vec<String> {
        let own = |node: &Node| is_ephemeral(node) && node.stat.ephemeral_owner == session;
        self.nodes.iter().filter(|(_, node)| own(node)).map(|(path, _)| path.clone()).collect()
    }

    /// Storage.md section 7, all nodes anew.
    pub fn digest(&self) -> i64 {
        let counted = self.nodes.iter().filter(|(path, _)| !path.starts_with("/zookeeper/"));
        let digest = |path: &str, node: &Node| {
            let mut bytes = if path == "/" { Vec::new() } else { path.as_bytes().to_vec() };
            bytes.extend(node.data.iter().flatten());
            let StoredStat { czxid, mzxid, pzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner } =
                node.stat;
            for long in [czxid.0, mzxid.0, pzxid.0, ctime, mtime] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [version, cversion, aversion] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(ephemeral_owner.to_be_bytes());
            i64::from(crc32fast::hash(&bytes))
        };
        counted.fold(0i64, |sum, (path, node)| sum.wrapping_add(digest(path, node)))
    }

    // Section 17.

    /// The deepest path above or at `path` that has a limits node. There is no quota on the root.
    fn quota_root(&self, path: &str) -> Option<String> {
        let mut root = path.to_owned();
        while root != "/" {
            if self.nodes.contains_key(&format!("{QUOTA}{root}/{LIMITS}")) {
                return Some(root);
            }
            root = before_last_slash(&root);
        }
        None
    }

    fn quota(&self, step: &Step<'_>, path: &str, count: i64, bytes: i64) -> Result<(), i32> {
        if !self.settings.enforce_quota {
            return Ok(());
        }
        let committed = step.committed;
        let Some(root) = committed.quota_root(path) else { return Ok(()) };
        let figures = |name: &str| committed.nodes.get(&format!("{QUOTA}{root}/{name}")).map(|node| parse(&node.data));
        let Some(limits) = figures(LIMITS) else { return Ok(()) };
        let limits = limits.ok_or(-5)?;
        let of = |figures: &BTreeMap<String, i64>, key: &str| figures.get(key).copied().unwrap_or(-1);
        let counts = count != 0 && (of(&limits, "count") > -1 || of(&limits, "countHardLimit") > -1);
        let weighs = bytes != 0 && (of(&limits, "bytes") > -1 || of(&limits, "byteHardLimit") > -1);
        if !counts && !weighs {
            return Ok(());
        }
        let Some(used) = figures(STATS) else { return Ok(()) };
        let used = used.ok_or(-5)?;
        for (checked, hard, now, more) in
            [(counts, "countHardLimit", "count", count), (weighs, "byteHardLimit", "bytes", bytes)]
        {
            if checked && of(&limits, hard) > -1 && of(&used, now) + more > of(&limits, hard) {
                return Err(-125);
            }
        }
        Ok(())
    }

    /// Bookkeeping behind a change.
    fn count(&mut self, path: &str, count: i64, bytes: i64) {
        if (count, bytes) == (0, 0) {
            return;
        }
        let Some(root) = self.quota_root(path) else { return };
        let stats = format!("{QUOTA}{root}/{STATS}");
        let Some(node) = self.nodes.get_mut(&stats) else { return };
        let Some(mut figures) = parse(&node.data) else {
            return self.recount(&root); // section 20, row 5
        };
        let mut moved = |key: &str, by| figures.remove(key).unwrap_or(-1) + by;
        let mut text = format!("count={},bytes={}", moved("count", count), moved("bytes", bytes));
        for (index, (key, value)) in figures.iter().enumerate() {
            text += &format!("{};{key}={value}", if index == 0 { "=" } else { "" });
        }
        node.data = Some(text.into_bytes());
    }

    fn recount(&mut self, root: &str) {
        let counted = self.nodes.get(root).into_iter().chain(self.below(root).map(|(_, node)| node));
        let (count, bytes) =
            counted.fold((0, 0), |(count, bytes), node| (count + 1, bytes + node.data.as_ref().map_or(0, Vec::len)));
        let node = self.nodes.get_mut(&format!("{QUOTA}{root}/{STATS}")).unwrap();
        node.data = Some(format!("count={count},bytes={bytes}").into_bytes());
    }
}

fn parse(data: &Option<Vec<u8>>) -> Option<BTreeMap<String, i64>> {
    let text = String::from_utf8(data.clone()?).ok()?;
    let mut pairs: Vec<&str> = text.split([',', ';']).collect();
    while pairs.last() == Some(&"") {
        pairs.pop();
    }
    let first = pairs.first().copied();
    pairs.retain(|pair| !pair.is_empty());
    if first == Some("") {
        return None; // nothing may stand before the first separator but a pair
    }
    pairs.into_iter().map(parse_pair).collect()
}

/// `key=value`; more '=' behind it mean nothing, and a value of no length means -1.
fn parse_pair(pair: &str) -> Option<(String, i64)> {
    let mut parts: Vec<&str> = pair.split('=').collect();
    while parts.last() == Some(&"") {
        parts.pop();
    }
    let value = *parts.get(1)?;
    Some((parts[0].to_owned(), if value.is_empty() { -1 } else { value.parse().ok()? }))
}

pub fn before_last_slash(path: &str) -> String {
    match path.rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
    }
}

fn is_ephemeral(node: &Node) -> bool {
    Owner::from_raw(node.stat.ephemeral_owner).is_ephemeral()
}

// Section 11.
fn is_valid_path(path: &str) -> bool {
    let illegal = |c: char| {
        let code = c as u32;
        code <= 0x1f || (0x7f..=0x9f).contains(&code) || (0xd800..=0xf8ff).contains(&code) || code >= 0xfff0
    };
    if path == "/" {
        return true;
    }
    path.starts_with('/')
        && !path.ends_with('/')
        && !path.contains("//")
        && !path.split('/').any(|component| component == "." || component == "..")
        && !path.chars().any(illegal)
}
