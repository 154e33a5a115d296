//! Snapshots (storage.md section 4).
//!
//! The thread that owns the tree runs `ostler_tree::Walk` in steps and encodes the nodes ([`encode_snapshot_start`],
//! [`encode_node`]) into chunks; the snapshot thread hands the chunks to a [`SnapshotFile`], which checksums, compresses
//! and writes them, seals the file and gives it its name.

mod encode;
mod file;

pub use encode::{encode_node, encode_snapshot_start};
pub use file::{Compression, SealedSnapshot, SnapshotEnd, SnapshotFile, write_snapshot};
