//! The digest of a node, version 2 (storage.md section 7).
//!
//! A node's digest is one CRC-32 over path, data and 60 bytes of stat. The first part is kept or recomputed by the
//! store ([`content_crc`]); [`node_digest`] continues it with the stat.

use ostler_model::StoredStat;

/// CRC-32 of a node's path ("" for the root) and its data.
pub fn content_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(path.as_bytes());
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// A node's digest: its [`content_crc`] continued with its stat.
pub fn node_digest(content_crc: u32, stat: &StoredStat) -> u64 {
    let mut bytes = [0; 60];
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    for (slot, value) in bytes.chunks_exact_mut(8).zip(longs) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
    for (slot, value) in bytes[40..52].chunks_exact_mut(4).zip([stat.version, stat.cversion, stat.aversion]) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
    bytes[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(content_crc);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
}

/// True if the node at `path` is counted in the tree's digest.
pub fn in_digest(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_tree_has_apaches_digest() {
        let stat = StoredStat::default();
        let sum: u64 = ["", "/zookeeper"].iter().map(|path| node_digest(content_crc(path, Some(b"")), &stat)).sum();
        assert_eq!(sum, 1_371_985_504);
    }
}
