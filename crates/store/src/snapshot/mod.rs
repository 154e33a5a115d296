//! Snapshots (storage.md section 4).
//!
//! The thread that owns the tree runs `ostler_tree::Walk` in steps and encodes the nodes ([`encode_snapshot_start`],
//! [`encode_node`]) into chunks; the snapshot thread hands the chunks to a [`SnapshotFile`], which checksums, compresses
//! and writes them, seals the file and gives it its name. [`read_snapshot`] is the way back. A leader streams the same to a
//! learner without header and seals ([`encode_tree_start`], [`encode_tree_end`]), whose [`SnapshotReceiver`] makes a file of it.

mod compress;
mod encode;
mod file;
mod read;
mod receive;
mod source;
mod stream;
#[cfg(test)]
mod stream_tests;
mod tail;
#[cfg(test)]
mod tests;

pub use compress::Compression;
pub use encode::{encode_node, encode_snapshot_start, encode_snapshot_start_part};
pub use file::{SealedSnapshot, SnapshotFile, SnapshotFormat, recompress_snapshot, write_snapshot};
pub use read::{LoadedSnapshot, SnapshotError, read_snapshot, read_snapshot_file};
pub use receive::SnapshotReceiver;
pub(crate) use source::{check, open};
pub use stream::{Pushed, TreePart, TreeStream, encode_tree_end, encode_tree_start, encode_tree_start_part};
pub(crate) use tail::end_zxid;

/// `ZKSN`.
const MAGIC: [u8; 4] = *b"ZKSN";
/// Format version in the header; readers do not look at it.
const VERSION: i32 = 2;
/// The dbid of every snapshot; readers do not look at it.
const DBID: i64 = -1;
/// What stands in the place of the path behind the last node, and behind every seal: the string "/".
const TERMINATOR: [u8; 5] = [0, 0, 0, 1, b'/'];
/// Checksum and terminator.
const SEAL_BYTES: usize = 13;
/// zxid, digest version, digest.
const DIGEST_SECTION_BYTES: usize = 20;
/// One zxid.
const LAST_ZXID_SECTION_BYTES: usize = 8;
/// A node's stat.
const STORED_STAT_BYTES: usize = 60;
