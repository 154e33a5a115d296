//! The znode table: nodes in chunks, names and data in size-class pages, an index in sub-tables (rules.md section 3).
//!
//! This file is what the rest of the server sees of it: making a tree, looking at nodes, applying a transaction. The
//! parts: `slots` (56 bytes a node), `ext` (what only some nodes have), `blobs` (names and data), `index`, `acls`;
//! `change` implements [`Store`](crate::Store) on them. No structure proportional to the tree is ever moved at once.

mod acls;
mod blobs;
mod change;
mod chunks;
mod ext;
mod index;
mod slots;

pub(crate) use acls::{OPEN, UNKNOWN};
pub(crate) use change::Spot;
pub(crate) use ext::ChildList;
pub use slots::NodeId;
pub(crate) use slots::{NONE, ROOT};

use crate::apply::{Target, set_data_at};
use crate::{Change, NewNode, Store, TxnResult, apply, content_crc};
use acls::Acls;
use blobs::{Blobs, Content};
use core::fmt;
use ext::Exts;
use index::Index;
use ostler_model::{AclList, Owner, SessionId, Stat, StoredStat, Txn, TxnHeader, Zxid, open_acl, path, read_only_acl};
use slots::Slots;
use std::collections::{BTreeMap, BTreeSet};

/// Sub-tables of the node index: at 10M nodes each holds 1,200 ids.
const INDEX_TABLES: usize = 8_192;

/// How a tree is made.
#[derive(Clone, Copy, Debug)]
pub struct TreeConfig {
    /// Seed of the index's hash function; passed in so that simulations repeat.
    pub seed: u64,
    /// Compute digests (`digest.enabled`).
    pub digest: bool,
}

/// The committed state.
pub struct Tree {
    zxid: Zxid,
    /// The sum of node digests; `None` with digests off.
    digest: Option<u64>,
    slots: Slots,
    exts: Exts,
    blobs: Blobs,
    index: Index,
    acls: Acls,
    /// ctime and mtime of nodes whose times do not fit 48 bits.
    wide_times: BTreeMap<u32, (i64, i64)>,
    /// Time-outs in ms.
    sessions: BTreeMap<SessionId, i32>,
    ephemerals: BTreeSet<(SessionId, NodeId)>,
    /// Containers and TTL nodes.
    pub(crate) expiring: BTreeSet<NodeId>,
    /// Roots of quotas: paths with a limits node under /zookeeper/quota.
    pub(crate) quotas: BTreeSet<String>,
    /// Nodes from a fuzzy snapshot whose ACL the replay still has to supply.
    pub(crate) unknown_acls: BTreeSet<NodeId>,
    /// Lengths of all paths, in UTF-16 units as Apache counts them.
    path_units: u64,
}

/// A node, borrowed.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    tree: &'a Tree,
    id: NodeId,
}

/// A node that prepare found, so that apply need not look it up and hash its content again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    pub(crate) node: NodeId,
    /// Of its path and data, before and afterwards; 0 with digests off.
    pub(crate) crc_before: u32,
    pub(crate) crc: u32,
}

/// A position in the listing of one directory, valid across changes (pages may repeat or miss what changed meanwhile;
/// the reader corrects itself with the changes it hears of). Lists run from their end to their start, so a child that
/// lives through the listing is seen at least once (rules.md section 3).
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildCursor {
    /// Children still ahead; `None` before the first page.
    ahead: Option<usize>,
}

/// A position among the ephemerals of one session, valid across changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EphemeralCursor {
    /// The slot to go on from.
    next: u32,
}

impl Tree {
    /// A fresh tree with the built-in nodes (storage.md section 4.2).
    pub fn new(config: TreeConfig) -> Tree {
        let mut tree = Tree::without_nodes(config);
        tree.insert_root();
        tree.insert_missing_built_ins();
        tree
    }

    pub(crate) fn without_nodes(config: TreeConfig) -> Tree {
        Tree {
            zxid: Zxid::ZERO,
            digest: config.digest.then_some(0),
            slots: Slots::new(),
            exts: Exts::new(),
            blobs: Blobs::new(),
            index: Index::new(config.seed, INDEX_TABLES),
            acls: Acls::new(config.seed),
            wide_times: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ephemerals: BTreeSet::new(),
            expiring: BTreeSet::new(),
            quotas: BTreeSet::new(),
            unknown_acls: BTreeSet::new(),
            path_units: 0,
        }
    }

    /// Adds those of the built-in nodes that are not there.
    pub(crate) fn insert_missing_built_ins(&mut self) {
        self.insert_built_in(path::ZOOKEEPER, &open_acl(), 0);
        self.insert_built_in(path::QUOTA, &open_acl(), 0);
        self.insert_built_in(path::CONFIG, &read_only_acl(), -1);
    }

    fn insert_built_in(&mut self, path: &str, acl: &AclList, aversion: i32) {
        if self.find(path).is_some() {
            return;
        }
        let parent = self.find(path.rsplit_once('/').map_or("", |(parent, _)| parent));
        let parent = parent.expect("built-in nodes are inserted from the top");
        let stat = StoredStat { aversion, ..StoredStat::default() };
        let crc = content_crc(path, Some(b""));
        self.insert(parent, path, NewNode { stat: &stat, data: Some(b""), acl, crc });
        self.count_in_digest(path, crc, &stat);
    }

    /// Adds a node that was just inserted to the digest.
    pub(crate) fn count_in_digest(&mut self, path: &str, crc: u32, stat: &StoredStat) {
        if let Some(digest) = self.digest.as_mut().filter(|_| crate::in_digest(path)) {
            *digest = digest.wrapping_add(crate::node_digest(crc, stat));
        }
    }

    /// The last transaction contained.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    pub(crate) fn set_zxid(&mut self, zxid: Zxid) {
        self.zxid = zxid;
    }

    /// Version 2 digest (storage.md section 7), 0 with digests off.
    pub fn digest(&self) -> i64 {
        self.digest.unwrap_or(0) as i64
    }

    /// True if digests are computed.
    pub fn digest_enabled(&self) -> bool {
        self.digest.is_some()
    }

    /// The node at `path`; "" and "/" are the root.
    pub fn node(&self, path: &str) -> Option<NodeRef<'_>> {
        let id = self.find(if path == "/" { "" } else { path })?;
        Some(NodeRef { tree: self, id })
    }

    pub(crate) fn node_ref(&self, id: NodeId) -> NodeRef<'_> {
        NodeRef { tree: self, id }
    }

    /// Nodes, the root once.
    pub fn node_count(&self) -> usize {
        self.slots.live()
    }

    /// Sum of path and data lengths, as `approximate_data_size` (operations.md section 5): the root counts as "" and "/".
    pub fn approximate_data_size(&self) -> u64 {
        let root = NodeRef { tree: self, id: ROOT };
        self.path_units + 1 + root.bytes_below() + root.data_length() as u64
    }

    /// Ephemeral nodes of all sessions.
    pub fn ephemerals_count(&self) -> usize {
        self.ephemerals.len()
    }

    /// Sessions and their time-outs in ms.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        self.sessions.iter().map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    /// As [`Tree::sessions`], from the one behind `last` on.
    pub(crate) fn sessions_behind(&self, last: Option<SessionId>) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        let from = last.map_or(core::ops::Bound::Unbounded, core::ops::Bound::Excluded);
        self.sessions.range((from, core::ops::Bound::Unbounded)).map(|(id, timeout_ms)| (*id, *timeout_ms))
    }

    /// The time-out of a session in ms.
    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).copied()
    }

    /// Full paths of a session's ephemerals, in no order.
    pub fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let first = (session, NodeId(0));
        let last = (session, NodeId(u32::MAX));
        self.ephemerals.range(first..=last).map(|(_, id)| self.path_of(*id)).collect()
    }

    /// Visits full paths of a session's ephemerals from `cursor` on until `visit` returns false or all were seen; true =
    /// all seen. Those that live through several calls are seen exactly once; new ones may be missed.
    pub fn list_ephemerals(
        &self,
        session: SessionId,
        cursor: &mut EphemeralCursor,
        mut visit: impl FnMut(String) -> bool,
    ) -> bool {
        let last = (session, NodeId(u32::MAX));
        for (_, id) in self.ephemerals.range((session, NodeId(cursor.next))..=last) {
            cursor.next = id.0.saturating_add(1);
            if !visit(self.path_of(*id)) {
                return false;
            }
        }
        true
    }

    /// True if the session has more than `count` ephemerals; looks at no more than that.
    pub fn has_more_ephemerals(&self, session: SessionId, count: usize) -> bool {
        self.ephemerals.range((session, NodeId(0))..=(session, NodeId(u32::MAX))).nth(count).is_some()
    }

    /// Sessions that own ephemerals, in ascending order.
    pub fn ephemeral_owners(&self) -> Vec<SessionId> {
        let mut owners = Vec::new();
        let mut next = self.ephemerals.first();
        while let Some((session, _)) = next {
            owners.push(*session);
            let behind = (core::ops::Bound::Excluded((*session, NodeId(u32::MAX))), core::ops::Bound::Unbounded);
            next = self.ephemerals.range(behind).next();
        }
        owners
    }

    /// Applies the next transaction and advances [`Tree::zxid`]. Changes are appended in the order in which their
    /// watches fire; a failed multi and an error change nothing. During replay a transaction that does not fit is
    /// skipped as Apache skips it (storage.md section 5).
    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn, changes: &mut Vec<Change>) -> TxnResult {
        let result = apply(self, header, txn, changes);
        self.zxid = self.zxid.max(header.zxid);
        result
    }

    /// As [`Tree::apply`], for a transaction that was prepared over this very tree with everything between applied: what
    /// prepare found is still true.
    pub fn apply_prepared(
        &mut self,
        header: &TxnHeader,
        txn: &Txn,
        found: Option<Found>,
        changes: &mut Vec<Change>,
    ) -> TxnResult {
        let (Txn::SetData { path, data, version }, Some(Found { node, crc_before, crc })) = (txn, found) else {
            return self.apply(header, txn, changes);
        };
        let path = if path == "/" { "" } else { path };
        assert!(self.is_at(node, path), "{path}: the node is not where prepare found it");
        let target = Target { node, path, crc_before, crc };
        let stat = set_data_at(self, header, &target, data.as_deref(), *version, changes);
        self.zxid = self.zxid.max(header.zxid);
        TxnResult::DataSet { stat }
    }

    /// True if the node's path is `path`, "" for the root.
    fn is_at(&self, id: NodeId, path: &str) -> bool {
        let (mut at, mut rest) = (id, path.as_bytes());
        while at != ROOT {
            let before = rest.strip_suffix(self.content(at).name).and_then(|rest| rest.strip_suffix(b"/"));
            let Some(before) = before else { return false };
            rest = before;
            at = NodeId(self.slots.at(at).parent);
        }
        rest.is_empty()
    }

    /// The child of `parent` with this name.
    pub(crate) fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        self.child_with(self.index.hash_name(parent.0, name), parent, name)
    }

    /// As [`Tree::child`], the name's hash under this parent being known.
    pub(crate) fn child_with(&self, hash: u64, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        let found = self.index.find(hash, |id| {
            let node = self.slots.at(NodeId(id));
            node.parent == parent.0 && self.blobs.get(node.blob()).name == name
        });
        found.map(NodeId)
    }

    fn content(&self, id: NodeId) -> Content<'_> {
        self.blobs.get(self.slots.at(id).blob())
    }

    /// The full path of a node, "" for the root.
    pub(crate) fn path_of(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            names.push(self.node_ref(at).name());
            at = NodeId(self.slots.at(at).parent);
        }
        let mut path = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("zxid", &self.zxid).field("nodes", &self.node_count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for NodeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRef").field("path", &self.path()).field("stored", &self.stored()).finish()
    }
}

impl<'a> NodeRef<'a> {
    /// The last part of its path, "" for the root.
    pub fn name(&self) -> &'a str {
        let name = self.tree.content(self.id).name;
        core::str::from_utf8(name).expect("names were strings when they were stored")
    }

    /// Its full path as stores know it: "" for the root.
    pub fn path(&self) -> String {
        self.tree.path_of(self.id)
    }

    /// Its data; null and empty differ.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.tree.content(self.id).data
    }

    /// Bytes of its data, 0 for null.
    pub fn data_length(&self) -> usize {
        self.data().map_or(0, <[u8]>::len)
    }

    /// What clients see.
    pub fn stat(&self) -> Stat {
        self.stored().visible(self.data_length(), self.num_children())
    }

    /// What is stored.
    pub fn stored(&self) -> StoredStat {
        self.tree.stat(self.id)
    }

    /// What keeps it alive.
    pub fn owner(&self) -> Owner {
        Owner::from_raw(self.ext().map_or(0, |ext| ext.owner))
    }

    /// Its ACL.
    pub fn acl(&self) -> &'a AclList {
        self.tree.acls.list(self.tree.slots.at(self.id).acl)
    }

    /// Its ACL's id as snapshots carry it.
    pub(crate) fn acl_id(&self) -> i64 {
        match self.tree.slots.at(self.id).acl {
            OPEN => -1,
            id => i64::from(id),
        }
    }

    /// Number of children.
    pub fn num_children(&self) -> usize {
        self.children().map_or(0, ChildList::len)
    }

    /// Nodes below it, at any depth, in constant time.
    pub fn descendants(&self) -> u64 {
        self.ext().map_or(0, |ext| u64::from(ext.descendants))
    }

    /// Bytes of data of all nodes below it, in constant time.
    pub fn bytes_below(&self) -> u64 {
        self.ext().map_or(0, |ext| ext.bytes)
    }

    /// Visits names of children from `cursor` on until `visit` returns false or all were seen; true = all seen.
    pub fn list(&self, cursor: &mut ChildCursor, mut visit: impl FnMut(&'a str) -> bool) -> bool {
        let Some(children) = self.children() else { return true };
        let mut ahead = cursor.ahead.unwrap_or(usize::MAX).min(children.len());
        let mut more = true;
        while more && ahead > 0 {
            ahead -= 1;
            more = visit(self.tree.node_ref(NodeId(children.at(ahead))).name());
        }
        cursor.ahead = Some(ahead);
        ahead == 0
    }

    pub(crate) fn children(&self) -> Option<&'a ChildList> {
        self.ext().map(|ext| &ext.children)
    }

    fn ext(&self) -> Option<&'a ext::Ext> {
        match self.tree.slots.at(self.id).ext {
            NONE => None,
            ext => Some(self.tree.exts.at(ext)),
        }
    }
}
