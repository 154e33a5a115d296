//! The overlay and the tree below it as one store, for the time of one transaction.

use super::pending::{Pending, PendingNode, Savepoint};
use super::{Handle, Overlay};
use crate::store::{NewNode, Store};
use crate::table::NodeId;
use crate::{Found, Tree};
use ostler_model::{AclList, SessionId, StoredStat, Zxid};

/// The state in which a request is checked and to which its transaction is applied.
pub(crate) struct View<'a> {
    pub tree: &'a Tree,
    overlay: &'a mut Overlay,
    zxid: Zxid,
    digest: bool,
    /// What the last setData of this transaction was about, if the table has the node.
    found: Option<Found>,
}

impl Overlay {
    /// Begins the transaction `zxid`, which must be later than all before it.
    pub(crate) fn view<'a>(&'a mut self, tree: &'a Tree, zxid: Zxid) -> View<'a> {
        assert!(zxid > self.last && zxid > tree.zxid(), "transactions are prepared in order, each once");
        // Asked of the tree whenever it has caught up, so that the two cannot drift apart.
        self.digest = self.digest(tree) as u64;
        self.last = zxid;
        View { tree, overlay: self, zxid, digest: tree.digest_enabled(), found: None }
    }

    pub(super) fn stored(&self, tree: &Tree, node: Handle<'_>) -> StoredStat {
        self.changed(node).map_or_else(|| Store::stat(tree, committed(node)), |changed| changed.stat)
    }

    pub(super) fn data_length(&self, tree: &Tree, node: Handle<'_>) -> usize {
        self.changed(node).map_or_else(|| Store::data_length(tree, committed(node)), |changed| changed.data_length)
    }

    pub(super) fn num_children(&self, tree: &Tree, node: Handle<'_>) -> usize {
        self.changed(node).map_or_else(|| Store::num_children(tree, committed(node)), |changed| changed.num_children)
    }

    pub(super) fn acl_of(&self, tree: &Tree, node: Handle<'_>) -> AclList {
        self.changed(node).map_or_else(|| Store::acl(tree, committed(node)), |changed| changed.acl.clone())
    }
}

fn committed(node: Handle<'_>) -> NodeId {
    node.committed.expect("a node that no pending transaction changed is in the table")
}

impl View<'_> {
    /// The digest behind the transaction, `None` with digests off.
    pub(crate) fn digest(&self) -> Option<i64> {
        self.digest.then_some(self.overlay.digest as i64)
    }

    /// Where the data of a transaction that is a setData and nothing else will go.
    pub(crate) fn found(&self) -> Option<Found> {
        self.found
    }

    pub(crate) fn session_is_open(&self, session: SessionId) -> bool {
        self.overlay.session_timeout_ms(self.tree, session).is_some()
    }

    /// From here on everything can be taken back.
    pub(crate) fn savepoint(&mut self) -> Savepoint {
        self.overlay.nodes.savepoint(self.overlay.digest)
    }

    /// Keeps what was done since the savepoint.
    pub(crate) fn release(&mut self, savepoint: &Savepoint) {
        self.overlay.nodes.release(savepoint);
    }

    /// Takes back what was done since the savepoint: nodes, their parents, and the digest. Sessions cannot have
    /// changed, because no operation of a multi touches them.
    pub(crate) fn roll_back(&mut self, savepoint: &Savepoint) {
        self.overlay.nodes.roll_back(savepoint);
        self.overlay.digest = savepoint.digest();
    }

    /// Takes a node over from the table that the transaction is going to change, so that `apply` finds it here.
    pub(crate) fn pin(&mut self, node: Handle<'_>) {
        self.change(node);
    }

    fn change(&mut self, node: Handle<'_>) -> &mut PendingNode {
        let (tree, digest) = (self.tree, self.digest);
        self.overlay.nodes.change(node.key, self.zxid, || {
            let node_in_tree = committed(node);
            PendingNode {
                committed: Some(node_in_tree),
                stat: Store::stat(tree, node_in_tree),
                data_length: Store::data_length(tree, node_in_tree),
                num_children: Store::num_children(tree, node_in_tree),
                acl: Store::acl(tree, node_in_tree),
                crc: if digest { Store::crc(tree, node_in_tree, node.key.path) } else { 0 },
            }
        })
    }
}

impl Store for View<'_> {
    type Node<'p> = Handle<'p>;
    const REPORTS_CHANGES: bool = false;

    fn find<'p>(&self, path: &'p str) -> Option<Handle<'p>> {
        self.overlay.find(self.tree, path)
    }

    fn find_child<'p>(&self, parent: Handle<'_>, path: &'p str) -> Option<Handle<'p>> {
        self.overlay.find_child(self.tree, parent, path)
    }

    fn stat(&self, node: Handle<'_>) -> StoredStat {
        self.overlay.stored(self.tree, node)
    }

    fn data_length(&self, node: Handle<'_>) -> usize {
        self.overlay.data_length(self.tree, node)
    }

    fn num_children(&self, node: Handle<'_>) -> usize {
        self.overlay.num_children(self.tree, node)
    }

    fn acl(&self, node: Handle<'_>) -> AclList {
        self.overlay.acl_of(self.tree, node)
    }

    fn crc(&self, node: Handle<'_>, path: &str) -> u32 {
        match self.overlay.changed(node) {
            Some(changed) => changed.crc,
            None => Store::crc(self.tree, committed(node), path),
        }
    }

    fn insert(&mut self, parent: Handle<'_>, path: &str, node: NewNode<'_>) {
        let new = PendingNode {
            committed: None,
            stat: *node.stat,
            data_length: node.data.map_or(0, <[u8]>::len),
            num_children: 0,
            acl: node.acl.clone(),
            crc: node.crc,
        };
        let nodes = &mut self.overlay.nodes;
        nodes.replace(nodes.key(path), self.zxid, Pending::Node(new));
        self.change(parent).num_children += 1;
    }

    fn remove(&mut self, parent: Handle<'_>, node: Handle<'_>, _path: &str) {
        self.overlay.nodes.replace(node.key, self.zxid, Pending::Deleted);
        self.change(parent).num_children -= 1;
    }

    fn set_stat(&mut self, node: Handle<'_>, stat: &StoredStat) {
        self.change(node).stat = *stat;
    }

    fn set_data(&mut self, node: Handle<'_>, data: Option<&[u8]>, crc: u32) {
        let node = self.change(node);
        let found = node.committed.map(|id| Found { node: id, crc_before: node.crc, crc });
        node.data_length = data.map_or(0, <[u8]>::len);
        node.crc = crc;
        self.found = found;
    }

    fn set_acl(&mut self, node: Handle<'_>, acl: &AclList) {
        self.change(node).acl = acl.clone();
    }

    fn digest_mut(&mut self) -> Option<&mut u64> {
        self.digest.then_some(&mut self.overlay.digest)
    }

    fn open_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.overlay.sessions.insert(session, (Some(timeout_ms), self.zxid));
        self.overlay.session_changes.push_back((self.zxid, session));
    }

    fn close_session(&mut self, session: SessionId) {
        self.overlay.sessions.insert(session, (None, self.zxid));
        self.overlay.session_changes.push_back((self.zxid, session));
    }

    fn ephemerals(&self, session: SessionId) -> Vec<String> {
        self.overlay.ephemerals(self.tree, session)
    }
}
