//! Node slots: the 56 bytes that every znode has, and which slots are free (rules.md section 3).
//!
//! What most nodes do not have (children, an owner, a changed ACL) is in `ext.rs`; name and data are in `blobs.rs`.

use super::blobs::BlobRef;
use super::chunks::Chunks;

/// No slot, no extension.
pub const NONE: u32 = u32::MAX;
/// The root's slot.
pub const ROOT: NodeId = NodeId(0);

/// A node's slot; reused after the node is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NodeId(pub(crate) u32);

/// What every node has. `cversion`, `aversion` and the owner are 0 and `pzxid` is `czxid` unless `ext` says otherwise.
///
/// In this order, what a look-up compares is next to one another, and so mostly in one cache line.
#[derive(Debug)]
#[repr(C)]
pub struct Node {
    pub czxid: i64,
    pub mzxid: i64,
    pub version: i32,
    /// Position in the parent's child list.
    pub pos: u32,
    /// Index in the ACL table.
    pub acl: u32,
    /// Index of its extension, or [`NONE`].
    pub ext: u32,
    /// [`NONE`] for the root. In a free slot: the next free one.
    pub parent: u32,
    blob: [u8; 5],
    pub wide: bool,
    /// Low 48 bits, sign-extended. If `wide` is set, the times stand in the table's side map.
    ctime: [u8; 6],
    mtime: [u8; 6],
}

const _: () = assert!(size_of::<Node>() == 56, "the memory budget counts on 56 bytes per node");

impl Default for Node {
    fn default() -> Node {
        Node {
            czxid: 0,
            mzxid: 0,
            ctime: [0; 6],
            mtime: [0; 6],
            blob: [0; 5],
            wide: false,
            version: 0,
            parent: NONE,
            pos: 0,
            ext: NONE,
            acl: 0,
        }
    }
}

impl Node {
    pub fn blob(&self) -> BlobRef {
        let [a, b, c, d, e] = self.blob;
        BlobRef(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]))
    }

    pub fn set_blob(&mut self, blob: BlobRef) {
        let [a, b, c, d, e, 0, 0, 0] = blob.0.to_le_bytes() else { unreachable!("blob references have 40 bits") };
        self.blob = [a, b, c, d, e];
    }

    /// ctime and mtime, if `wide` is not set.
    pub fn times(&self) -> (i64, i64) {
        (long(self.ctime), long(self.mtime))
    }

    /// Sets ctime and mtime; false if they do not fit 48 bits (`wide` is then set).
    pub fn set_times(&mut self, ctime: i64, mtime: i64) -> bool {
        (self.ctime, self.mtime) = (short(ctime), short(mtime));
        self.wide = self.times() != (ctime, mtime);
        !self.wide
    }
}

fn short(time: i64) -> [u8; 6] {
    let [a, b, c, d, e, f, _, _] = time.to_le_bytes();
    [a, b, c, d, e, f]
}

fn long([a, b, c, d, e, f]: [u8; 6]) -> i64 {
    i64::from_le_bytes([0, 0, a, b, c, d, e, f]) >> 16
}

/// All slots, with the free ones in a list threaded through them.
#[derive(Debug)]
pub struct Slots {
    nodes: Chunks<Node>,
    free: u32,
    live: usize,
}

impl Slots {
    pub fn new() -> Slots {
        Slots { nodes: Chunks::default(), free: NONE, live: 0 }
    }

    /// Nodes alive.
    pub fn live(&self) -> usize {
        self.live
    }

    pub fn at(&self, id: NodeId) -> &Node {
        self.nodes.at(id.0)
    }

    pub fn at_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.at_mut(id.0)
    }

    /// A slot for a new node, default values in it.
    pub fn alloc(&mut self) -> NodeId {
        self.live += 1;
        let id = match self.free {
            NONE => self.nodes.grow(),
            id => {
                self.free = self.nodes.at(id).parent;
                id
            }
        };
        *self.nodes.at_mut(id) = Node::default();
        NodeId(id)
    }

    /// Gives a slot back.
    pub fn free(&mut self, id: NodeId) {
        self.live -= 1;
        let next = core::mem::replace(&mut self.free, id.0);
        *self.nodes.at_mut(id.0) = Node { parent: next, ..Node::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_48_bits_and_know_when_they_do_not_fit() {
        let mut node = Node::default();
        for time in [0, -1, 1_795_292_399_250, (1 << 47) - 1, -(1 << 47)] {
            assert!(node.set_times(time, 0));
            assert_eq!(node.times(), (time, 0));
        }
        for time in [1 << 47, -(1 << 47) - 1, i64::MAX, i64::MIN] {
            assert!(!node.set_times(0, time));
        }
    }

    #[test]
    fn slots_are_reused() {
        let mut slots = Slots::new();
        let ids: Vec<NodeId> = (0..4).map(|_| slots.alloc()).collect();
        slots.at_mut(ids[1]).version = 7;
        slots.free(ids[1]);
        slots.free(ids[2]);
        assert_eq!(slots.live(), 2);
        assert_eq!([slots.alloc(), slots.alloc(), slots.alloc()], [ids[2], ids[1], NodeId(4)]);
        assert_eq!(slots.at(ids[1]).version, 0);
    }
}
