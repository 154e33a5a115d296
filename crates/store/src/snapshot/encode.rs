//! The uncompressed bytes of a snapshot: header, sessions, ACL table, nodes. Pure functions that append to a chunk.

use ostler_tree::{NodeImage, Walk};

/// Appends the header, the sessions and the ACL table: everything before the first node.
pub fn encode_snapshot_start(out: &mut Vec<u8>, walk: &Walk) {
    let _ = (out, walk);
    todo!()
}

/// Appends one node. The first one must be the root, with path "".
pub fn encode_node(out: &mut Vec<u8>, node: &NodeImage<'_>) {
    let _ = (out, node);
    todo!()
}
