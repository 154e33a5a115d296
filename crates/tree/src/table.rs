//! The znode table: nodes in chunks, names and data in size-class pages, an index in sub-tables (rules.md section 3).

use crate::{Change, TxnResult};
use ostler_model::{AclList, Owner, SessionId, Stat, StoredStat, Txn, TxnHeader, Zxid};

/// How a tree is made.
#[derive(Clone, Copy, Debug)]
pub struct TreeConfig {
    /// Seed of the index's hash function; passed in so that simulations repeat.
    pub seed: u64,
    /// Compute digests (`digest.enabled`).
    pub digest: bool,
}

/// The committed state.
#[derive(Debug)]
pub struct Tree {}

/// A node, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'a> {
    #[allow(dead_code, reason = "skeleton")]
    tree: &'a Tree,
}

/// A position in the listing of one directory, valid across changes (pages may repeat or miss what changed meanwhile;
/// the reader corrects itself with the changes it hears of).
#[derive(Clone, Copy, Debug, Default)]
pub struct ChildCursor {}

/// A position in a round of [`Tree::sweep`]; a round begins with the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepCursor {
    done: bool,
}

impl SweepCursor {
    /// True when the round has seen all candidates.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl Tree {
    /// A fresh tree with the built-in nodes (storage.md section 4.2).
    pub fn new(_config: TreeConfig) -> Tree {
        todo!()
    }
    /// The last transaction contained.
    pub fn zxid(&self) -> Zxid {
        todo!()
    }
    /// Version 2 digest (storage.md section 7), 0 with digests off.
    pub fn digest(&self) -> i64 {
        todo!()
    }
    /// The node at `path`; "" and "/" are the root.
    pub fn node(&self, _path: &str) -> Option<NodeRef<'_>> {
        todo!()
    }
    /// Nodes, the root once.
    pub fn node_count(&self) -> usize {
        todo!()
    }
    /// Sum of path and data lengths, as `approximate_data_size` (operations.md section 5).
    pub fn approximate_data_size(&self) -> u64 {
        todo!()
    }
    /// Ephemeral nodes of all sessions.
    pub fn ephemerals_count(&self) -> usize {
        todo!()
    }
    /// Sessions and their time-outs in ms.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> + '_ {
        core::iter::empty()
    }
    /// The time-out of a session in ms.
    pub fn session_timeout_ms(&self, _session: SessionId) -> Option<i32> {
        todo!()
    }
    /// Full paths of a session's ephemerals, in no order.
    pub fn ephemerals(&self, _session: SessionId) -> Vec<String> {
        todo!()
    }
    /// Sessions that own ephemerals.
    pub fn ephemeral_owners(&self) -> Vec<SessionId> {
        todo!()
    }
    /// Containers and TTL nodes that are due to be deleted at `now_ms` (client-protocol.md section 16). Looks at a
    /// bounded number of candidates from `cursor` on; the round is over when [`SweepCursor::is_done`]. Each path found
    /// must be checked again when its deletion is prepared.
    pub fn sweep(&self, _cursor: &mut SweepCursor, _now_ms: i64, _max_never_used_ms: i64) -> Vec<String> {
        todo!()
    }
    /// The root of the deepest quota that `path` is under, as in `/zookeeper/quota<root>/zookeeper_limits`.
    pub fn quota_root<'p>(&self, _path: &'p str) -> Option<&'p str> {
        todo!()
    }
    /// Applies the next transaction and advances [`Tree::zxid`]. Changes are appended in the order in which their
    /// watches fire; a failed multi and an error change nothing. During replay a transaction that does not fit is
    /// skipped as Apache skips it (storage.md section 5).
    pub fn apply(&mut self, _header: &TxnHeader, _txn: &Txn, _changes: &mut Vec<Change>) -> TxnResult {
        todo!()
    }
}

impl<'a> NodeRef<'a> {
    /// Its data; null and empty differ.
    pub fn data(&self) -> Option<&'a [u8]> {
        todo!()
    }
    /// What clients see.
    pub fn stat(&self) -> Stat {
        todo!()
    }
    /// What is stored.
    pub fn stored(&self) -> StoredStat {
        todo!()
    }
    /// What keeps it alive.
    pub fn owner(&self) -> Owner {
        todo!()
    }
    /// Its ACL.
    pub fn acl(&self) -> &'a AclList {
        todo!()
    }
    /// Number of children.
    pub fn num_children(&self) -> usize {
        todo!()
    }
    /// Nodes below it, at any depth, in constant time.
    pub fn descendants(&self) -> u64 {
        todo!()
    }
    /// Visits names of children from `cursor` on until `visit` returns false or all were seen; true = all seen.
    pub fn list(&self, _cursor: &mut ChildCursor, _visit: impl FnMut(&'a str) -> bool) -> bool {
        todo!()
    }
}

// Until the table is here: what prepare needs of it, so that it compiles. To be replaced as a whole.
impl Tree {
    /// True if digests are computed.
    pub fn digest_enabled(&self) -> bool {
        todo!()
    }
}

impl crate::Store for Tree {
    type Node<'p> = u32;
    const REPORTS_CHANGES: bool = true;
    fn find<'p>(&self, _path: &'p str) -> Option<u32> {
        todo!()
    }
    fn stat(&self, _node: u32) -> StoredStat {
        todo!()
    }
    fn data_length(&self, _node: u32) -> usize {
        todo!()
    }
    fn num_children(&self, _node: u32) -> usize {
        todo!()
    }
    fn acl(&self, _node: u32) -> AclList {
        todo!()
    }
    fn crc(&self, _node: u32, _path: &str) -> u32 {
        todo!()
    }
    fn insert(&mut self, _parent: u32, _path: &str, _node: crate::NewNode<'_>) {
        todo!()
    }
    fn remove(&mut self, _parent: u32, _node: u32, _path: &str) {
        todo!()
    }
    fn set_stat(&mut self, _node: u32, _stat: &StoredStat) {
        todo!()
    }
    fn set_data(&mut self, _node: u32, _data: Option<&[u8]>, _crc: u32) {
        todo!()
    }
    fn set_acl(&mut self, _node: u32, _acl: &AclList) {
        todo!()
    }
    fn digest_mut(&mut self) -> Option<&mut u64> {
        todo!()
    }
    fn open_session(&mut self, _session: SessionId, _timeout_ms: i32) {
        todo!()
    }
    fn close_session(&mut self, _session: SessionId) {
        todo!()
    }
    fn ephemerals(&self, _session: SessionId) -> Vec<String> {
        todo!()
    }
}
