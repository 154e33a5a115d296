//! A tree from the parts of a snapshot (storage.md section 4.5), and what is left to do once the log was replayed.

use crate::table::{NodeId, OPEN, ROOT, Spot, UNKNOWN};
use crate::{NodeImage, Store, Tree, TreeConfig, apply, content_crc, in_digest, node_digest};
use ostler_model::{AclList, SessionId, Txn, TxnHeader, Zxid, path};
use std::collections::BTreeMap;

/// A guess of the number of nodes is believed up to so many times the nodes that are there already.
const GUESS_MAX: usize = 8;

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
    /// The last directory that was needed.
    dir: String,
    /// It and its ancestors, innermost last, with the lengths of their paths. Walks write parents before children and
    /// a directory's children together, so that the next parent is mostly among these or was the last node.
    open: Vec<(usize, NodeId)>,
    /// The last node that was read.
    last: (String, NodeId),
    /// Scratch.
    hashes: Vec<u64>,
}

impl Loader {
    /// A snapshot named `zxid`.
    pub fn new(config: TreeConfig, zxid: Zxid) -> Loader {
        let mut tree = Tree::without_nodes(config);
        tree.insert_root();
        tree.set_zxid(zxid);
        let (dir, open, last) = (String::new(), vec![(0, ROOT)], (String::new(), ROOT));
        Loader { tree, acls: BTreeMap::new(), dir, open, last, hashes: Vec::new() }
    }

    /// About how many nodes there will be in all, judged by how much was read so far. A wrong guess costs time or
    /// memory, both little: nothing else depends on it.
    pub fn expect(&mut self, nodes: u64) {
        let most = self.tree.node_count() * GUESS_MAX;
        self.tree.expect_nodes(usize::try_from(nodes).unwrap_or(usize::MAX).min(most));
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
        self.nodes(std::slice::from_ref(image))
    }

    /// Nodes in the order of the file: as [`Loader::node`] for each of them, but faster.
    ///
    /// # Errors
    /// As [`Loader::node`]; those before the bad one are loaded.
    pub fn nodes(&mut self, mut images: &[NodeImage<'_>]) -> Result<(), LoadError> {
        while let Some(first) = images.first() {
            if first.path.is_empty() {
                self.replace(ROOT, first);
                images = &images[1..];
                continue;
            }
            let (dir, _) = split(first.path)?;
            let parent = self.parent(dir).ok_or_else(|| LoadError::NoParent { path: first.path.into() })?;
            let is_sibling = |image: &&NodeImage<'_>| split(image.path).is_ok_and(|(parent, _)| parent == dir);
            let siblings;
            (siblings, images) = images.split_at(images.iter().take_while(is_sibling).count());
            self.siblings(parent, siblings);
        }
        Ok(())
    }

    /// Nodes with the same parent.
    fn siblings(&mut self, parent: NodeId, siblings: &[NodeImage<'_>]) {
        let mut hashes = std::mem::take(&mut self.hashes);
        let names = siblings.iter().filter_map(|image| Some(path::split(image.path)?.1));
        self.tree.warm_hashes(parent, names.clone(), &mut hashes);
        let mut last = None;
        for ((image, name), hash) in siblings.iter().zip(names).zip(&hashes) {
            let id = match self.tree.child_with(*hash, parent, name.as_bytes()) {
                Some(id) => {
                    self.replace(id, image);
                    id
                }
                None => self.insert(parent, image, *hash),
            };
            last = Some((image.path, id));
        }
        if let Some((path, id)) = last {
            self.last.0.clear();
            self.last.0.push_str(path);
            self.last.1 = id;
        }
        self.hashes = hashes;
    }

    /// The node of a directory that children are coming for.
    fn parent(&mut self, dir: &str) -> Option<NodeId> {
        if self.last.0 == dir && !dir.is_empty() {
            // Into the last node, or once more into what is open.
            if self.open.last().is_none_or(|(_, id)| *id != self.last.1) {
                self.open.push((dir.len(), self.last.1));
            }
        } else {
            // Up again.
            while self.open.last().is_some_and(|(len, _)| *len > dir.len()) {
                self.open.pop();
            }
            let len = self.open.last().map(|(len, _)| *len);
            if len != Some(dir.len()) || self.dir.get(..dir.len()) != Some(dir) {
                self.open.clear();
                self.open.push((dir.len(), self.tree.find(dir)?));
            }
        }
        self.dir.clear();
        self.dir.push_str(dir);
        self.open.last().map(|(_, id)| *id)
    }

    fn insert(&mut self, parent: NodeId, image: &NodeImage<'_>, hash: u64) -> NodeId {
        let crc = content_crc(image.path, image.data);
        self.tree.count_in_digest(image.path, crc, &image.stat);
        let acl = self.acl_entry(image);
        let spot = Spot { parent, path: image.path, hash, acl };
        let id = self.tree.insert_at(&spot, &image.stat, image.data, crc);
        if acl == UNKNOWN {
            self.tree.note_unknown_acl(id);
        }
        id
    }

    /// The entry of a node's ACL, one more use counted.
    fn acl_entry(&mut self, image: &NodeImage<'_>) -> u32 {
        let entry = if image.acl_id == -1 { OPEN } else { self.acls.get(&image.acl_id).copied().unwrap_or(UNKNOWN) };
        self.tree.retain_acl(entry);
        entry
    }

    fn replace(&mut self, id: NodeId, image: &NodeImage<'_>) {
        let crc = content_crc(image.path, image.data);
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
        self.tree.count_in_digest(image.path, crc, &image.stat);
        let acl = self.acl_entry(image);
        self.tree.set_loaded_acl(id, acl);
        if acl == UNKNOWN {
            self.tree.note_unknown_acl(id);
        }
    }

    /// The tree, built-in nodes added if they were missing, quota usage counted anew. Nodes with ACL ids that are not
    /// in the table wait for the replay to supply the ACL: see [`Tree::finish_replay`].
    pub fn finish(mut self) -> Tree {
        for entry in self.acls.into_values() {
            self.tree.release_acl(entry);
        }
        self.tree.settle();
        self.tree.insert_missing_built_ins();
        self.tree.find_quotas();
        self.tree
    }
}

/// Path of the parent and name of a node that is not the root.
fn split(path: &str) -> Result<(&str, &str), LoadError> {
    path::split(path).filter(|(_, name)| !name.is_empty()).ok_or_else(|| LoadError::BadPath { path: path.into() })
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
