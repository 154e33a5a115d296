//! The fuzzy walk of a snapshot, in small steps (storage.md section 4.3, rules.md section 3).
//!
//! A directory's list is walked from its end to its start. Removal moves the last child into the gap and creation
//! adds at the end, so every node that lives through the walk is met at least once; some are met twice. Nodes newer
//! than the walk are left out, and replaying the log from its zxid on repairs what else changed meanwhile. That also
//! makes it harmless if the slot of a directory being walked is taken by another node: all below that is newer.

use crate::table::{ChildList, NodeId, ROOT, UNKNOWN};
use crate::{NodeRef, Tree};
use ostler_model::{AclList, SessionId, StoredStat, Zxid, read_only_acl};
use std::sync::Arc;

/// One node of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "storage.md section 4.1")]
pub struct NodeImage<'a> {
    /// The root is "".
    pub path: &'a str,
    pub data: Option<&'a [u8]>,
    /// -1 is world:anyone:cdrwa without an entry in the ACL table.
    pub acl_id: i64,
    pub stat: StoredStat,
}

/// A walk over a changing tree that sees every node that lives through it at least once, parents before children.
#[derive(Debug)]
pub struct Walk {
    /// The tree's zxid when the walk began: nodes created later are left out, and the snapshot bears this name.
    pub zxid: Zxid,
    /// Sessions (id, time-out ms), whole when [`Walk::gather`] says so. One that opened or closed meanwhile may be here
    /// or not: its transaction is in the log behind the walk's zxid.
    pub sessions: Vec<(SessionId, i32)>,
    /// The ACL table, likewise, in the order of the ids. A node whose ACL appeared too late to be here is visited with an entry
    /// that grants nothing to anybody, or, if no node was restricted before, as open to all; the transaction that gave it the ACL
    /// is in the log behind the walk's zxid and repairs that. (A node that named a missing entry would end an Apache server
    /// that reads the snapshot.)
    pub acls: Vec<(i64, AclList)>,
    gathered: Gathered,
    /// Directories being walked, outermost first.
    open: Vec<OpenDir>,
    /// Path of the innermost.
    path: String,
    root_visited: bool,
}

/// How far the sessions and ACLs are copied.
#[derive(Debug)]
enum Gathered {
    Sessions,
    /// Entries of the table before this one.
    Acls(u32),
    All,
}

#[derive(Debug)]
struct OpenDir {
    id: NodeId,
    /// Children still ahead.
    ahead: usize,
    /// Length of its path.
    path_len: usize,
}

impl Tree {
    /// Begins a walk of the tree as it is now, with all sessions and ACLs: where the tree is held for one call only, a
    /// server uses [`Tree::begin_walk`].
    pub fn walk(&self) -> Walk {
        let mut walk = self.begin_walk();
        while !walk.gather(self, usize::MAX) {}
        walk
    }

    /// Begins a walk of the tree as it is now: first [`Walk::gather`], then [`Walk::step`], each until it is done. The
    /// zxid and digest for the snapshot's digest section are those of the tree when the last step is done.
    pub fn begin_walk(&self) -> Walk {
        Walk {
            zxid: self.zxid(),
            sessions: Vec::new(),
            acls: Vec::new(),
            gathered: Gathered::Sessions,
            open: vec![OpenDir { id: ROOT, ahead: usize::MAX, path_len: 0 }],
            path: String::new(),
            root_visited: false,
        }
    }
}

impl Walk {
    /// Copies at most `most` sessions or ACLs of what stands before the nodes; true = all of it is there.
    pub fn gather(&mut self, tree: &Tree, most: usize) -> bool {
        match self.gathered {
            Gathered::Sessions => {
                let before = self.sessions.len();
                self.sessions.extend(tree.sessions_behind(self.sessions.last().map(|(id, _)| *id)).take(most));
                if self.sessions.len() - before < most {
                    self.gathered = Gathered::Acls(0);
                }
            }
            Gathered::Acls(from) => {
                self.gathered = match tree.acl_table(from, most, &mut self.acls) {
                    Some(next) => Gathered::Acls(next),
                    None => {
                        self.list_nobody(tree);
                        Gathered::All
                    }
                };
            }
            Gathered::All => {}
        }
        matches!(self.gathered, Gathered::All)
    }

    /// Adds the entry that grants nothing, unless all nodes are open but /zookeeper/config, as in a new database.
    fn list_nobody(&mut self, tree: &Tree) {
        let config = read_only_acl();
        if self.acls.iter().any(|(_, list)| *list != config) {
            self.acls.insert(0, (i64::from(UNKNOWN), tree.nobody().clone()));
        }
    }

    /// The id under which a node's ACL is listed, or a substitute.
    fn listed_acl(&self, node: &NodeRef<'_>) -> i64 {
        let id = node.acl_id();
        let row = self.acls.binary_search_by_key(&id, |(id, _)| *id);
        if id == -1 || row.is_ok_and(|row| Arc::ptr_eq(&self.acls[row].1, node.acl())) {
            return id;
        }
        match self.acls.first() {
            Some((first, _)) if *first == i64::from(UNKNOWN) => *first,
            _ => -1,
        }
    }

    /// Visits at most `max_nodes` nodes (fewer if it met nodes to leave out); true = that was the last step.
    pub fn step(&mut self, tree: &Tree, max_nodes: usize, mut visit: impl FnMut(NodeImage<'_>)) -> bool {
        assert!(matches!(self.gathered, Gathered::All), "sessions and ACLs stand before the nodes");
        for _ in 0..max_nodes {
            if !self.root_visited {
                self.root_visited = true;
                visit(self.image(tree, ROOT, ""));
                continue;
            }
            let Some(dir) = self.open.last_mut() else { return true };
            self.path.truncate(dir.path_len);
            // A directory that was deleted meanwhile has no children, or new ones.
            let children = tree.node_ref(dir.id).children();
            dir.ahead = dir.ahead.min(children.map_or(0, ChildList::len));
            let (Some(children), 1..) = (children, dir.ahead) else {
                self.open.pop();
                continue;
            };
            dir.ahead -= 1;
            let child = NodeId(children.at(dir.ahead));
            self.enter(tree, child, &mut visit);
        }
        self.open.is_empty()
    }

    fn image<'a>(&self, tree: &'a Tree, id: NodeId, path: &'a str) -> NodeImage<'a> {
        let node = tree.node_ref(id);
        NodeImage { path, data: node.data(), acl_id: self.listed_acl(&node), stat: node.stored() }
    }

    fn enter(&mut self, tree: &Tree, id: NodeId, visit: &mut impl FnMut(NodeImage<'_>)) {
        let node = tree.node_ref(id);
        if node.stored().czxid > self.zxid {
            // Everything below it is newer still.
            return;
        }
        self.path.push('/');
        self.path.push_str(node.name());
        visit(self.image(tree, id, &self.path));
        if node.num_children() > 0 {
            self.open.push(OpenDir { id, ahead: usize::MAX, path_len: self.path.len() });
        }
    }
}
