//! A tree from the parts of a snapshot (storage.md section 4.5), and what is left to do once the log was replayed.

use crate::table::{NodeId, OPEN, UNKNOWN};
use crate::{NewNode, NodeImage, Store, Tree, TreeConfig, apply, content_crc, in_digest, node_digest};
use ostler_model::{AclList, SessionId, Txn, TxnHeader, Zxid, open_acl, path};
use std::collections::BTreeMap;

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
    /// A path that is not absolute, or has an empty part.
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
    /// Entries of the tree's ACL table by the ids of the snapshot.
    acls: BTreeMap<i64, u32>,
    /// The parent of the last node: children mostly come together.
    parent: (String, NodeId),
    /// Made once, not for every node.
    open: AclList,
}

impl Loader {
    /// A snapshot named `zxid`.
    pub fn new(config: TreeConfig, zxid: Zxid) -> Loader {
        let mut tree = Tree::without_nodes(config);
        tree.insert_root();
        tree.set_zxid(zxid);
        Loader { tree, acls: BTreeMap::new(), parent: (String::new(), crate::table::ROOT), open: open_acl() }
    }

    /// A session and its time-out in ms.
    pub fn session(&mut self, session: SessionId, timeout_ms: i32) {
        self.tree.open_session(session, timeout_ms);
    }

    /// An entry of the ACL table.
    pub fn acl(&mut self, id: i64, list: &AclList) {
        let entry = self.tree.intern_acl(list);
        if let Some(replaced) = self.acls.insert(id, entry) {
            self.tree.release_acl(replaced);
        }
    }

    /// A node; its parent came before. The same path again replaces what came before.
    ///
    /// # Errors
    /// [`LoadError::NoParent`], [`LoadError::BadPath`].
    pub fn node(&mut self, image: &NodeImage<'_>) -> Result<(), LoadError> {
        let crc = content_crc(image.path, image.data);
        let id = match self.place(image.path)? {
            (_, Some(id)) => {
                self.replace(id, image, crc);
                id
            }
            (parent, None) => {
                let new = NewNode { stat: &image.stat, data: image.data, acl: &self.open, crc };
                self.tree.insert_node(parent, image.path, &new)
            }
        };
        self.tree.count_in_digest(image.path, crc, &image.stat);
        let entry = if image.acl_id == -1 { OPEN } else { self.acls.get(&image.acl_id).copied().unwrap_or(UNKNOWN) };
        self.tree.set_loaded_acl(id, entry);
        Ok(())
    }

    /// Parent and, if it is there already, node for a path.
    fn place(&mut self, path: &str) -> Result<(NodeId, Option<NodeId>), LoadError> {
        if path.is_empty() {
            return Ok((crate::table::ROOT, Some(crate::table::ROOT)));
        }
        let Some((parent, name)) = path::split(path).filter(|(_, name)| !name.is_empty()) else {
            return Err(LoadError::BadPath { path: path.into() });
        };
        if self.parent.0 != parent {
            let id = self.tree.find(parent).ok_or_else(|| LoadError::NoParent { path: path.into() })?;
            self.parent = (parent.into(), id);
        }
        let parent = self.parent.1;
        Ok((parent, self.tree.child(parent, name.as_bytes())))
    }

    fn replace(&mut self, id: NodeId, image: &NodeImage<'_>, crc: u32) {
        let before = self.tree.stat(id);
        if in_digest(image.path) {
            let gone = node_digest(self.tree.crc(id, image.path), &before);
            if let Some(digest) = self.tree.digest_mut() {
                *digest = digest.wrapping_sub(gone);
            }
        }
        self.tree.unregister_owner(id, before.ephemeral_owner);
        self.tree.set_stat(id, &image.stat);
        self.tree.set_data(id, image.data, crc);
        self.tree.register_owner(id, image.stat.ephemeral_owner);
    }

    /// The tree, built-in nodes added if they were missing, quota usage counted anew. Nodes with ACL ids that are not
    /// in the table wait for the replay to supply the ACL: see [`Tree::finish_replay`].
    pub fn finish(mut self) -> Tree {
        for entry in self.acls.into_values() {
            self.tree.release_acl(entry);
        }
        self.tree.insert_missing_built_ins();
        self.tree.find_quotas();
        self.tree
    }
}

impl Tree {
    /// To be asked when the whole log was replayed.
    ///
    /// # Errors
    /// [`LoadError::UnknownAcl`]
    pub fn finish_replay(&self) -> Result<(), LoadError> {
        match self.unknown_acls.first() {
            None => Ok(()),
            Some(id) => Err(LoadError::UnknownAcl { count: self.unknown_acls.len(), path: self.path_of(*id) }),
        }
    }

    /// Full paths of ephemerals whose session the tree does not know.
    pub fn orphan_ephemerals(&self) -> Vec<String> {
        self.orphan_owners().into_iter().flat_map(|owner| self.ephemerals(owner)).collect()
    }

    /// Deletes the orphan ephemerals, as a standalone server or new leader does before it serves (not logged; the
    /// parents' pzxid becomes the tree's zxid), and returns their paths.
    pub fn delete_orphan_ephemerals(&mut self) -> Vec<String> {
        let orphans = self.orphan_ephemerals();
        for session in self.orphan_owners() {
            let header = TxnHeader { session, zxid: self.zxid(), ..TxnHeader::default() };
            apply(self, &header, &Txn::CloseSession { paths: None }, &mut Vec::new());
        }
        orphans
    }

    fn orphan_owners(&self) -> Vec<SessionId> {
        let mut owners = self.ephemeral_owners();
        owners.retain(|owner| self.session_timeout_ms(*owner).is_none());
        owners
    }
}
