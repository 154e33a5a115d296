//! The uncompressed bytes of a snapshot: header, sessions, ACL table, nodes. Pure functions that append to a chunk.

use super::{DBID, MAGIC, STORED_STAT_BYTES, VERSION};
use ostler_model::StoredStat;
use ostler_tree::{NodeImage, Walk};
use ostler_wire::jute::{put_acl, put_buffer, put_int, put_length, put_long, put_text};

/// Appends the header, the sessions and the ACL table: everything before the first node.
pub fn encode_snapshot_start(out: &mut Vec<u8>, walk: &Walk) {
    let rest = encode_snapshot_start_part(out, walk, 0, usize::MAX);
    assert_eq!(rest, None, "nothing has more rows than that");
}

/// As [`encode_snapshot_start`], but only the rows (sessions, then ACLs) from `row` on, at most `most` of them, with what
/// stands around them. The row to go on from; `None`: the first node comes next.
pub fn encode_snapshot_start_part(out: &mut Vec<u8>, walk: &Walk, row: usize, most: usize) -> Option<usize> {
    if row == 0 {
        out.extend_from_slice(&MAGIC);
        put_int(out, VERSION);
        put_long(out, DBID);
    }
    encode_rows(out, walk, row, most)
}

/// Appends the sessions and the ACL table.
pub(super) fn encode_tables(out: &mut Vec<u8>, walk: &Walk) {
    encode_rows(out, walk, 0, usize::MAX);
}

pub(super) fn encode_rows(out: &mut Vec<u8>, walk: &Walk, row: usize, most: usize) -> Option<usize> {
    let sessions = walk.sessions.len();
    let rows = sessions + walk.acls.len();
    let end = row.saturating_add(most).min(rows);
    if row == 0 {
        put_length(out, sessions);
    }
    for (session, timeout_ms) in &walk.sessions[row.min(sessions)..end.min(sessions)] {
        put_long(out, session.0);
        put_int(out, *timeout_ms);
    }
    // Before the first ACL, or where it would be.
    if row <= sessions && (end > sessions || end == rows) {
        put_length(out, walk.acls.len());
    }
    for (id, acl) in &walk.acls[row.saturating_sub(sessions)..end.saturating_sub(sessions)] {
        put_long(out, *id);
        put_acl(out, acl);
    }
    (end < rows).then_some(end)
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

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::{Acl, SessionId};
    use ostler_tree::{Tree, TreeConfig};
    use std::sync::Arc;

    #[test]
    fn the_parts_of_the_start_are_the_start() {
        let mut walk = Tree::new(TreeConfig { seed: 1, digest: true }).walk();
        for (sessions, acls) in [(0, 0), (0, 3), (3, 0), (2, 2), (5, 4)] {
            walk.sessions = (0..sessions).map(|id| (SessionId(id), 7)).collect();
            let acl = |id: i64| Acl { perms: 31, scheme: "digest".into(), id: format!("u{id}") };
            walk.acls = (0..acls).map(|id| (id, Arc::from([acl(id)]))).collect();
            let mut whole = Vec::new();
            encode_snapshot_start(&mut whole, &walk);
            assert_eq!(whole.len() as i64, 16 + 4 + 12 * sessions + 4 + acls * (8 + 4 + 4 + 4 + 6 + 4 + 2));
            for most in 1..6 {
                let (mut parts, mut row) = (Vec::new(), Some(0));
                while let Some(at) = row {
                    row = encode_snapshot_start_part(&mut parts, &walk, at, most);
                }
                assert_eq!(parts, whole, "{sessions} sessions, {acls} ACLs, {most} at a time");
            }
        }
    }
}
