//! The tree as it will be: everything proposed and not yet applied, laid over the table (rules.md section 4).
//!
//! [`Overlay::prepare`] checks a request against this state and applies the transaction it becomes to it, with the
//! very `apply` that changes the table later; so Stats, parents' counters and the digest need no second set of rules.
//! A changed node is here as a whole, without its data: nothing that prepare decides depends on data, only on its
//! length (and quota checks read committed nodes on purpose). What the table has caught up with is forgotten.

mod pending;
mod view;

pub(crate) use view::View;

use crate::table::NodeId;
use crate::{Store, Tree};
use ostler_model::{AclList, SessionId, Stat, Zxid};
use pending::{Key, Pending, PendingNode, PendingNodes};
use std::collections::{BTreeMap, VecDeque};

/// Pending state over a [`Tree`].
#[derive(Debug)]
pub struct Overlay {
    nodes: PendingNodes,
    /// Sessions opened (their time-out in ms) or closed (`None`) by a pending transaction, and which one.
    sessions: BTreeMap<SessionId, (Option<i32>, Zxid)>,
    /// The pending changes of `sessions`, oldest first.
    session_changes: VecDeque<(Zxid, SessionId)>,
    /// The tree's digest behind the last pending transaction; stale when nothing is pending.
    digest: u64,
    /// The last transaction prepared: if the tree contains it, nothing is pending.
    last: Zxid,
}

/// A node as the overlay names it. What the table contains is also known by its place there, so that a path is
/// searched there once; that is `None` for a node that only pending transactions made.
#[derive(Clone, Copy)]
pub(crate) struct Handle<'p> {
    key: Key<'p>,
    committed: Option<NodeId>,
}

impl Overlay {
    /// Nothing pending. `seed` is that of the hash function over paths, passed in so that simulations repeat and
    /// clients cannot choose names that collide.
    pub fn new(seed: u64) -> Overlay {
        Overlay {
            nodes: PendingNodes::new(seed),
            sessions: BTreeMap::new(),
            session_changes: VecDeque::new(),
            digest: 0,
            last: Zxid::ZERO,
        }
    }

    /// True if the tree contains everything that was prepared.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.sessions.is_empty()
    }

    /// Forgets what was pending up to `zxid`, because the tree contains it now.
    pub fn applied(&mut self, zxid: Zxid) {
        self.nodes.applied(zxid);
        while let Some((changed, session)) = self.session_changes.front().copied() {
            if changed > zxid {
                break;
            }
            self.session_changes.pop_front();
            if self.sessions.get(&session).is_some_and(|(_, changed)| *changed <= zxid) {
                self.sessions.remove(&session);
            }
        }
    }

    /// What clients will see of the node at `path`.
    pub fn stat(&self, tree: &Tree, path: &str) -> Option<Stat> {
        let node = self.find(tree, key(path))?;
        Some(self.stored(tree, node).visible(self.data_length(tree, node), self.num_children(tree, node)))
    }

    /// The ACL that the node at `path` will have.
    pub fn acl(&self, tree: &Tree, path: &str) -> Option<AclList> {
        Some(self.acl_of(tree, self.find(tree, key(path))?))
    }

    /// Full paths of the ephemerals that a session will own: committed ones and pending creates, without pending
    /// deletes.
    pub fn ephemerals(&self, tree: &Tree, session: SessionId) -> Vec<String> {
        let mut paths = tree.ephemerals(session);
        paths.retain(|path| self.nodes.get(self.nodes.key(path)).is_none());
        paths.extend(self.nodes.ephemerals(session).map(str::to_owned));
        paths
    }

    /// The time-out in ms of a session that will be open. A session is closing as soon as its end is prepared.
    pub fn session_timeout_ms(&self, tree: &Tree, session: SessionId) -> Option<i32> {
        match self.sessions.get(&session) {
            Some((timeout_ms, _)) => *timeout_ms,
            None => tree.session_timeout_ms(session),
        }
    }

    /// The digest that the tree will have, 0 with digests off.
    pub fn digest(&self, tree: &Tree) -> i64 {
        if tree.zxid() >= self.last { tree.digest() } else { self.digest as i64 }
    }

    fn find<'p>(&self, tree: &Tree, path: &'p str) -> Option<Handle<'p>> {
        self.find_or(path, || Store::find(tree, path))
    }

    fn find_child<'p>(&self, tree: &Tree, parent: Handle<'_>, path: &'p str) -> Option<Handle<'p>> {
        self.find_or(path, || match parent.committed {
            Some(parent) => Store::find_child(tree, parent, path),
            None => Store::find(tree, path),
        })
    }

    fn find_or<'p>(&self, path: &'p str, in_tree: impl FnOnce() -> Option<NodeId>) -> Option<Handle<'p>> {
        let key = self.nodes.key(path);
        match self.nodes.get(key) {
            Some(Pending::Deleted) => None,
            Some(Pending::Node(node)) => Some(Handle { key, committed: node.committed }),
            None => in_tree().map(|node| Handle { key, committed: Some(node) }),
        }
    }

    /// The node if a pending transaction touched it; else it is as its committed self.
    fn changed(&self, node: Handle<'_>) -> Option<&PendingNode> {
        match self.nodes.get(node.key) {
            Some(Pending::Node(changed)) => Some(changed),
            Some(Pending::Deleted) => unreachable!("a handle is not used after its node is removed"),
            None => None,
        }
    }
}

/// A path as stores know it: the root is "".
pub(crate) fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}
