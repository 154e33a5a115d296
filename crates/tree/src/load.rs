//! A tree from the parts of a snapshot (storage.md section 4.5), and what is left to do once the log was replayed.

use crate::{NodeImage, Tree, TreeConfig};
use ostler_model::{AclList, SessionId, Zxid};

/// Why the parts of a snapshot do not make a tree.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// A node came before its parent, or without it.
    #[error(
        "node {path} has no parent in the snapshot\n  hint: the file is damaged; move it away to use the next older snapshot"
    )]
    NoParent {
        /// The node.
        path: String,
    },
    /// A path that is not absolute.
    #[error(
        "{path:?} is not the path of a node\n  hint: the file is damaged; move it away to use the next older snapshot"
    )]
    BadPath {
        /// As read.
        path: String,
    },
    /// Nodes whose ACL neither the snapshot nor the log supplied.
    #[error(
        "{count} nodes, {path} among them, carry an ACL id that neither the snapshot nor the log explains\n  hint: a log behind the snapshot is missing or cut; restore it, or use an older snapshot"
    )]
    UnknownAcl {
        /// How many.
        count: usize,
        /// One of them.
        path: String,
    },
}

/// Takes the parts of a snapshot in the order of the file and makes a tree of them.
#[derive(Debug)]
pub struct Loader {
    tree: Tree,
}

impl Loader {
    /// A snapshot named `zxid`.
    pub fn new(_config: TreeConfig, _zxid: Zxid) -> Loader {
        todo!()
    }
    /// A session and its time-out in ms.
    pub fn session(&mut self, _session: SessionId, _timeout_ms: i32) {
        todo!()
    }
    /// An entry of the ACL table.
    pub fn acl(&mut self, _id: i64, _list: &AclList) {
        todo!()
    }
    /// A node; its parent came before. The same path again replaces what came before.
    ///
    /// # Errors
    /// [`LoadError::NoParent`], [`LoadError::BadPath`].
    pub fn node(&mut self, _image: &NodeImage<'_>) -> Result<(), LoadError> {
        todo!()
    }
    /// The tree, built-in nodes added if they were missing, quota usage counted anew. Nodes with ACL ids that are not
    /// in the table wait for the replay to supply the ACL: see [`Tree::finish_replay`].
    pub fn finish(self) -> Tree {
        self.tree
    }
}

impl Tree {
    /// To be asked when the whole log was replayed.
    ///
    /// # Errors
    /// [`LoadError::UnknownAcl`]
    pub fn finish_replay(&self) -> Result<(), LoadError> {
        todo!()
    }
    /// Full paths of ephemerals whose session the tree does not know.
    pub fn orphan_ephemerals(&self) -> Vec<String> {
        todo!()
    }
    /// Deletes the orphan ephemerals, as a standalone server or new leader does before it serves (not logged; the
    /// parents' pzxid becomes the tree's zxid), and returns their paths.
    pub fn delete_orphan_ephemerals(&mut self) -> Vec<String> {
        todo!()
    }
}
