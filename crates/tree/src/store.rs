//! What `apply` needs of the place where nodes live (rules.md section 4).
//!
//! There are two: the [`Tree`](crate::Tree) and the [`Overlay`](crate::Overlay) of pending transactions. The rules of
//! storage.md section 5 stand in `apply.rs`, once; a store only keeps what it is told. A store has no failures: `apply`
//! asks before it changes something.

use ostler_model::{AclList, SessionId, StoredStat};

/// A node about to be inserted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "storage.md section 4.1")]
pub struct NewNode<'a> {
    pub stat: &'a StoredStat,
    pub data: Option<&'a [u8]>,
    pub acl: &'a AclList,
    /// [`content_crc`](crate::content_crc) of its path and data; 0 with digests off.
    pub crc: u32,
}

/// Where nodes, sessions and the digest are kept.
///
/// Paths given to a store are keys: absolute, the root is "". A node's handle is valid until that node is removed.
pub trait Store {
    /// How the store names a node between two calls: by slot in the table, by its path in the overlay.
    type Node<'p>: Copy;
    /// True if somebody listens to the changes: `apply` spares itself making them otherwise.
    const REPORTS_CHANGES: bool;

    /// The node at `path`.
    fn find<'p>(&self, path: &'p str) -> Option<Self::Node<'p>>;
    /// The node at `path`, which is a child of `parent`: a shorter way than [`Store::find`].
    fn find_child<'p>(&self, parent: Self::Node<'_>, path: &'p str) -> Option<Self::Node<'p>>;
    /// Its stored stat.
    fn stat(&self, node: Self::Node<'_>) -> StoredStat;
    /// Bytes of its data, 0 for null.
    fn data_length(&self, node: Self::Node<'_>) -> usize;
    /// Number of its children.
    fn num_children(&self, node: Self::Node<'_>) -> usize;
    /// Its ACL.
    fn acl(&self, node: Self::Node<'_>) -> AclList;
    /// [`content_crc`](crate::content_crc) of its path and data. Asked for only with digests on.
    fn crc(&self, node: Self::Node<'_>, path: &str) -> u32;

    /// Adds a node that is not there under a parent that is, counts it among the parent's children, and remembers it
    /// among its owner's ephemerals. Changes nothing else of the parent.
    fn insert(&mut self, parent: Self::Node<'_>, path: &str, node: NewNode<'_>);
    /// Takes a node away, with everything `insert` did. If it has children (only in replay over a fuzzy snapshot, so
    /// never in the overlay) they go too, their digests included.
    fn remove(&mut self, parent: Self::Node<'_>, node: Self::Node<'_>, path: &str);
    /// Replaces its stat. The owner never changes.
    fn set_stat(&mut self, node: Self::Node<'_>, stat: &StoredStat);
    /// Replaces its data; `crc` as in [`NewNode`].
    fn set_data(&mut self, node: Self::Node<'_>, data: Option<&[u8]>, crc: u32);
    /// Replaces its ACL.
    fn set_acl(&mut self, node: Self::Node<'_>, acl: &AclList);
    /// A replayed create met this node: if its ACL is not known yet (storage.md section 4.1), it is this one.
    fn supply_acl(&mut self, _node: Self::Node<'_>, _acl: &AclList) {}

    /// The sum of node digests, to be changed in place; `None` with digests off.
    fn digest_mut(&mut self) -> Option<&mut u64>;

    /// Remembers the session and its time-out.
    fn open_session(&mut self, session: SessionId, timeout_ms: i32);
    /// Forgets the session (not its ephemerals).
    fn close_session(&mut self, session: SessionId);
    /// Full paths of a session's ephemerals, in an order that does not depend on the machine.
    fn ephemerals(&self, session: SessionId) -> Vec<String>;

    /// Quota bookkeeping: a node was created at `path`, its data `bytes` long. The overlay keeps none: quota checks
    /// read committed stats nodes, and stats nodes are outside the digest.
    fn quota_created(&mut self, _path: &str, _bytes: usize) {}
    /// Quota bookkeeping: the node at `path` was deleted, its data was `bytes` long.
    fn quota_deleted(&mut self, _path: &str, _bytes: usize) {}
    /// Quota bookkeeping: the data of the node at `path` changed its length.
    fn quota_resized(&mut self, _path: &str, _bytes_before: usize, _bytes_after: usize) {}
}
