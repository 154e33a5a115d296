//! The uncompressed bytes of a snapshot: header, sessions, ACL table, nodes. Pure functions that append to a chunk.

use super::{DBID, MAGIC, STORED_STAT_BYTES, VERSION};
use ostler_model::StoredStat;
use ostler_tree::{NodeImage, Walk};
use ostler_wire::jute::{put_acl, put_buffer, put_int, put_length, put_long, put_text};

/// Appends the header, the sessions and the ACL table: everything before the first node.
pub fn encode_snapshot_start(out: &mut Vec<u8>, walk: &Walk) {
    out.extend_from_slice(&MAGIC);
    put_int(out, VERSION);
    put_long(out, DBID);
    encode_tables(out, walk);
}

/// Appends the sessions and the ACL table.
pub(super) fn encode_tables(out: &mut Vec<u8>, walk: &Walk) {
    put_length(out, walk.sessions.len());
    for (session, timeout_ms) in &walk.sessions {
        put_long(out, session.0);
        put_int(out, *timeout_ms);
    }
    put_length(out, walk.acls.len());
    for (id, acl) in &walk.acls {
        put_long(out, *id);
        put_acl(out, acl);
    }
}

/// Appends one node. The first one must be the root, with path "".
pub fn encode_node(out: &mut Vec<u8>, node: &NodeImage<'_>) {
    put_text(out, Some(node.path));
    put_buffer(out, node.data);
    put_long(out, node.acl_id);
    out.extend_from_slice(&stored_stat(&node.stat));
}

fn stored_stat(stat: &StoredStat) -> [u8; STORED_STAT_BYTES] {
    let mut bytes = [0; STORED_STAT_BYTES];
    bytes[0..8].copy_from_slice(&stat.czxid.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&stat.mzxid.0.to_be_bytes());
    bytes[16..24].copy_from_slice(&stat.ctime.to_be_bytes());
    bytes[24..32].copy_from_slice(&stat.mtime.to_be_bytes());
    bytes[32..36].copy_from_slice(&stat.version.to_be_bytes());
    bytes[36..40].copy_from_slice(&stat.cversion.to_be_bytes());
    bytes[40..44].copy_from_slice(&stat.aversion.to_be_bytes());
    bytes[44..52].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    bytes[52..60].copy_from_slice(&stat.pzxid.0.to_be_bytes());
    bytes
}
