//! How the table changes: [`Store`] on slots, extensions, blobs and index.

use super::blobs::{BlobRef, Blobs, Content};
use super::ext::Ext;
use super::slots::{NONE, NodeId, ROOT, Slots};
use super::{Tree, UNKNOWN, index};
use crate::{NewNode, Store, content_crc, in_digest, node_digest};
use foldhash::quality::FixedState;
use ostler_model::{AclList, Owner, SessionId, StoredStat, Zxid};

/// Where a new node belongs, and what is known about it already.
pub(crate) struct Spot<'a> {
    pub(crate) parent: NodeId,
    pub(crate) path: &'a str,
    /// Of its name under the parent, in the index.
    pub(crate) hash: u64,
    /// Entry of its ACL.
    pub(crate) acl: u32,
}

impl Store for Tree {
    type Node<'p> = NodeId;
    const REPORTS_CHANGES: bool = true;

    fn find(&self, path: &str) -> Option<NodeId> {
        if path.is_empty() {
            return Some(ROOT);
        }
        let mut names = path.strip_prefix('/')?.as_bytes().split(|byte| *byte == b'/');
        names.try_fold(ROOT, |parent, name| self.child(parent, name))
    }

    fn find_child(&self, parent: NodeId, path: &str) -> Option<NodeId> {
        self.child(parent, path.rsplit_once('/')?.1.as_bytes())
    }

    fn stat(&self, id: NodeId) -> StoredStat {
        let node = self.slots.at(id);
        let (ctime, mtime) = if node.wide { self.wide_times[&id.0] } else { node.times() };
        let stat = StoredStat {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(node.mzxid),
            ctime,
            mtime,
            version: node.version,
            pzxid: Zxid(node.czxid),
            ..StoredStat::default()
        };
        match node.ext {
            NONE => stat,
            ext => {
                let Ext { pzxid, owner, cversion, aversion, .. } = *self.exts.at(ext);
                StoredStat { pzxid: Zxid(pzxid), ephemeral_owner: owner, cversion, aversion, ..stat }
            }
        }
    }

    fn data_length(&self, id: NodeId) -> usize {
        self.content(id).data.map_or(0, <[u8]>::len)
    }

    fn num_children(&self, id: NodeId) -> usize {
        self.node_ref(id).num_children()
    }

    fn acl(&self, id: NodeId) -> AclList {
        self.node_ref(id).acl().clone()
    }

    fn crc(&self, id: NodeId, path: &str) -> u32 {
        match self.slots.at(id).ext {
            NONE => content_crc(path, self.content(id).data),
            ext => self.exts.at(ext).crc,
        }
    }

    fn insert(&mut self, parent: NodeId, path: &str, new: NewNode<'_>) {
        self.insert_node(parent, path, &new);
    }

    fn remove(&mut self, parent: NodeId, id: NodeId, path: &str) {
        if self.num_children(id) > 0 {
            self.remove_below(id);
        }
        self.remove_leaf(parent, id, path);
    }

    fn set_stat(&mut self, id: NodeId, stat: &StoredStat) {
        let node = self.slots.at_mut(id);
        (node.czxid, node.mzxid, node.version) = (stat.czxid.0, stat.mzxid.0, stat.version);
        let was_wide = node.wide;
        if !node.set_times(stat.ctime, stat.mtime) {
            self.wide_times.insert(id.0, (stat.ctime, stat.mtime));
        } else if was_wide {
            self.wide_times.remove(&id.0);
        }
        if node.ext == NONE && is_plain(stat) {
            return;
        }
        let ext = self.extend(id);
        let ext = self.exts.at_mut(ext);
        (ext.pzxid, ext.cversion, ext.aversion) = (stat.pzxid.0, stat.cversion, stat.aversion);
        ext.owner = stat.ephemeral_owner;
    }

    fn set_data(&mut self, id: NodeId, data: Option<&[u8]>, crc: u32) {
        let length_before = self.data_length(id);
        let node = self.slots.at_mut(id);
        let blob = self.blobs.set_data(node.blob(), data);
        node.set_blob(blob);
        let parent = NodeId(node.parent);
        self.set_crc(id, crc);
        let grown = data.map_or(0, <[u8]>::len) as i64 - length_before as i64;
        if grown != 0 && id != ROOT {
            self.count_below(parent, 0, grown);
        }
    }

    fn set_acl(&mut self, id: NodeId, acl: &AclList) {
        let interned = self.acls.intern(acl);
        self.set_acl_entry(id, interned);
    }

    fn supply_acl(&mut self, id: NodeId, acl: &AclList) {
        if self.unknown_acls.contains(&id) {
            self.set_acl(id, acl);
        }
    }

    fn digest_mut(&mut self) -> Option<&mut u64> {
        self.digest.as_mut()
    }

    fn open_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.sessions.insert(session, timeout_ms);
    }

    fn close_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let mut paths = Tree::ephemerals(self, session);
        // Slots depend on the history of this server, paths do not.
        paths.sort_unstable();
        paths
    }

    fn quota_created(&mut self, path: &str, bytes: usize) {
        self.account_created(path, bytes);
    }

    fn quota_deleted(&mut self, path: &str, bytes: usize) {
        self.account_deleted(path, bytes);
    }

    fn quota_resized(&mut self, path: &str, bytes_before: usize, bytes_after: usize) {
        self.account(path, 0, bytes_after as i64 - bytes_before as i64);
    }
}

impl Tree {
    /// The root, its fields all zero and its data empty.
    pub(crate) fn insert_root(&mut self) {
        let stat = StoredStat::default();
        let crc = content_crc("", Some(b""));
        let acl = self.acls.intern(&ostler_model::open_acl());
        let root = self.insert_slot("", Some(b""), acl);
        assert_eq!(root, ROOT, "the root is the first node");
        self.extend(ROOT);
        self.count_in_digest("", crc, &stat);
    }

    /// [`Store::insert`], and the slot it went to.
    pub(crate) fn insert_node(&mut self, parent: NodeId, path: &str, new: &NewNode<'_>) -> NodeId {
        let hash = self.index.hash_name(parent.0, last_part(path).as_bytes());
        let acl = self.acls.intern(new.acl);
        self.insert_at(&Spot { parent, path, hash, acl }, new.stat, new.data, new.crc)
    }

    /// Adds a node where the caller found that it belongs; its use of the ACL's entry is counted already.
    pub(crate) fn insert_at(&mut self, spot: &Spot<'_>, stat: &StoredStat, data: Option<&[u8]>, crc: u32) -> NodeId {
        let Spot { parent, path, hash, acl } = *spot;
        let id = self.insert_slot(last_part(path), data, acl);
        let parent_ext = self.extend(parent);
        let pos = self.exts.at_mut(parent_ext).children.push(id.0);
        let node = self.slots.at_mut(id);
        (node.parent, node.pos) = (parent.0, pos);
        let (slots, blobs) = (&self.slots, &self.blobs);
        self.index.insert(hash, id.0, |state, ids| hash_names(state, slots, blobs, ids));
        self.count_below(parent, 1, data.map_or(0, <[u8]>::len) as i64);
        self.path_units += utf16_units(path);
        if !is_plain(stat) {
            self.slots.at_mut(id).ext = self.exts.insert(stat.pzxid.0, crc);
        }
        self.set_stat(id, stat);
        self.register_owner(id, stat.ephemeral_owner);
        id
    }

    fn insert_slot(&mut self, name: &str, data: Option<&[u8]>, acl: u32) -> NodeId {
        let id = self.slots.alloc();
        let blob = self.blobs.insert(Content { name: name.as_bytes(), data });
        let node = self.slots.at_mut(id);
        node.set_blob(blob);
        node.acl = acl;
        id
    }

    /// Hashes of names under one parent, and the lines of the index that they belong to read into the cache.
    pub(crate) fn warm_hashes<'n>(&self, parent: NodeId, names: impl Iterator<Item = &'n str>, hashes: &mut Vec<u64>) {
        hashes.clear();
        hashes.extend(names.map(|name| self.index.hash_name(parent.0, name.as_bytes())));
        self.index.warm(hashes);
    }

    /// So many nodes will be there (see [`index::Index::expect`]).
    pub(crate) fn expect_nodes(&mut self, nodes: usize) {
        self.index.expect(nodes);
    }

    /// All nodes are there.
    pub(crate) fn settle(&mut self) {
        let (slots, blobs) = (&self.slots, &self.blobs);
        self.index.settle(|state, ids| hash_names(state, slots, blobs, ids));
    }

    /// The node's extension, made if there is none. Parent and name must be in place.
    fn extend(&mut self, id: NodeId) -> u32 {
        let node = self.slots.at(id);
        if node.ext != NONE {
            return node.ext;
        }
        let pzxid = node.czxid;
        let crc = match self.digest {
            Some(_) => content_crc(&self.path_of(id), self.content(id).data),
            None => 0,
        };
        let ext = self.exts.insert(pzxid, crc);
        self.slots.at_mut(id).ext = ext;
        ext
    }

    fn set_crc(&mut self, id: NodeId, crc: u32) {
        let ext = self.slots.at(id).ext;
        if ext != NONE {
            self.exts.at_mut(ext).crc = crc;
        }
    }

    fn set_acl_entry(&mut self, id: NodeId, entry: u32) {
        let before = core::mem::replace(&mut self.slots.at_mut(id).acl, entry);
        self.acls.release(before);
        self.unknown_acls.remove(&id);
    }

    /// One more use of an ACL's entry, for a node that comes from a snapshot.
    pub(crate) fn retain_acl(&mut self, entry: u32) {
        self.acls.retain(entry);
    }

    /// Replaces the ACL by one whose entry is known; its use is counted already.
    pub(crate) fn set_loaded_acl(&mut self, id: NodeId, entry: u32) {
        self.set_acl_entry(id, entry);
    }

    /// Marks a loaded node whose ACL the replay still has to supply.
    pub(crate) fn note_unknown_acl(&mut self, id: NodeId) {
        self.unknown_acls.insert(id);
    }

    /// Adds an ACL that a snapshot lists, and returns its entry; [`Tree::release_acl`] when loading is done.
    pub(crate) fn intern_acl(&mut self, list: &AclList) -> u32 {
        self.acls.intern(list)
    }

    pub(crate) fn release_acl(&mut self, entry: u32) {
        self.acls.release(entry);
    }

    /// Adds to `table` what of the ACL table a snapshot lists, from entry `from` on, looking at `most` entries; the entry
    /// to go on from, `None` at the end.
    pub(crate) fn acl_table(&self, from: u32, most: usize, table: &mut Vec<(i64, AclList)>) -> Option<u32> {
        let to = from.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)).min(self.acls.end());
        table.extend(self.acls.range(from..to).map(|(id, list)| (i64::from(id), list.clone())));
        (to < self.acls.end()).then_some(to)
    }

    /// The ACL that grants nothing to anybody.
    pub(crate) fn nobody(&self) -> &AclList {
        self.acls.list(UNKNOWN)
    }

    /// A node and bytes more or less below `dir` and all its ancestors, which have extensions because they have children.
    fn count_below(&mut self, dir: NodeId, nodes: i32, bytes: i64) {
        let mut at = dir.0;
        while at != NONE {
            let node = self.slots.at(NodeId(at));
            let ext = self.exts.at_mut(node.ext);
            ext.descendants = ext.descendants.wrapping_add_signed(nodes);
            ext.bytes = ext.bytes.wrapping_add_signed(bytes);
            at = node.parent;
        }
    }

    pub(crate) fn register_owner(&mut self, id: NodeId, owner: i64) {
        match Owner::from_raw(owner) {
            Owner::Persistent => {}
            Owner::Session(session) => {
                self.ephemerals.insert((session, id));
            }
            Owner::Container | Owner::Ttl(_) => {
                self.expiring.insert(id);
            }
        }
    }

    pub(crate) fn unregister_owner(&mut self, id: NodeId, owner: i64) {
        match Owner::from_raw(owner) {
            Owner::Persistent => {}
            Owner::Session(session) => {
                self.ephemerals.remove(&(session, id));
            }
            Owner::Container | Owner::Ttl(_) => {
                self.expiring.remove(&id);
            }
        }
    }

    fn remove_leaf(&mut self, parent: NodeId, id: NodeId, path: &str) {
        let hash = self.index.hash_name(parent.0, self.content(id).name);
        let (slots, blobs) = (&self.slots, &self.blobs);
        self.index.remove(hash, id.0, |state, ids| hash_names(state, slots, blobs, ids));
        let bytes = self.data_length(id) as i64;
        let node = self.slots.at(id);
        let (pos, ext, acl, blob, wide) = (node.pos, node.ext, node.acl, node.blob(), node.wide);
        let parent_ext = self.slots.at(parent).ext;
        if let Some(moved) = self.exts.at_mut(parent_ext).children.swap_remove(pos) {
            self.slots.at_mut(NodeId(moved)).pos = pos;
        }
        self.count_below(parent, -1, -bytes);
        self.path_units -= utf16_units(path);
        if ext != NONE {
            self.unregister_owner(id, self.exts.at(ext).owner);
            self.exts.remove(ext);
        }
        if wide {
            self.wide_times.remove(&id.0);
        }
        self.unknown_acls.remove(&id);
        self.acls.release(acl);
        self.blobs.remove(blob);
        self.slots.free(id);
    }

    /// Removes everything below a node, its digests and quota usage included. Only replay needs it, when a node was
    /// deleted, made again and given children while an Apache snapshot was being written.
    fn remove_below(&mut self, id: NodeId) {
        let mut doomed = Vec::new();
        let mut open = vec![id];
        while let Some(dir) = open.pop() {
            let children = self.node_ref(dir).children();
            let ids = children.into_iter().flat_map(|list| (0..list.len()).map(|pos| NodeId(list.at(pos))));
            open.extend(ids.clone());
            doomed.extend(ids);
        }
        for id in doomed.into_iter().rev() {
            let path = self.path_of(id);
            if in_digest(&path) && self.digest.is_some() {
                let gone = node_digest(self.crc(id, &path), &self.stat(id));
                self.digest = self.digest.map(|digest| digest.wrapping_sub(gone));
            }
            let bytes = self.data_length(id);
            self.remove_leaf(NodeId(self.slots.at(id).parent), id, &path);
            self.account_deleted(&path, bytes);
        }
    }
}

/// The index's hashes of nodes. First all slots are looked at, then all names: a processor waits for many lines of memory
/// at once if nothing else stands between them.
fn hash_names(state: &FixedState, slots: &Slots, blobs: &Blobs, ids: &[u32]) -> Vec<u64> {
    let nodes: Vec<(u32, BlobRef)> =
        ids.iter().map(|id| slots.at(NodeId(*id))).map(|node| (node.parent, node.blob())).collect();
    let names: Vec<&[u8]> = nodes.iter().map(|(_, blob)| blobs.get(*blob).name).collect();
    nodes.iter().zip(names).map(|((parent, _), name)| index::hash_name(state, *parent, name)).collect()
}

fn last_part(path: &str) -> &str {
    path.rsplit_once('/').expect("only the root has no parent, and it is never inserted here").1
}

/// True if a node without an extension can say all of it.
fn is_plain(stat: &StoredStat) -> bool {
    stat.pzxid == stat.czxid && stat.cversion == 0 && stat.aversion == 0 && stat.ephemeral_owner == 0
}

/// The length of a path as Apache counts it.
fn utf16_units(path: &str) -> u64 {
    if path.is_ascii() { path.len() as u64 } else { path.chars().map(|c| c.len_utf16() as u64).sum() }
}
