//! From chunks to a named file: running checksum, compression, seals, fsync, rename, directory fsync.
//!
//! While it grows the file is called `new.snapshot.<hex>.tmp`, a name that neither Apache nor [`crate::recover`] takes for a
//! snapshot; recovery removes leftovers.

use crate::{DataDirs, Disk, StoreError};
use ostler_model::Zxid;
use ostler_tree::Tree;
use std::path::{Path, PathBuf};

/// `zookeeper.snapshot.compression.method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
}

/// What stands in the sections behind the nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotEnd {
    /// The tree's zxid when the walk was over.
    pub zxid: Zxid,
    /// Its digest then; `None` with digests off.
    pub digest: Option<i64>,
    /// Write the lastZxid section (`serializeLastProcessedZxid.enabled`, default true).
    pub last_zxid_section: bool,
}

/// A snapshot being written.
#[derive(Debug)]
pub struct SnapshotFile<D: Disk> {
    #[allow(dead_code, reason = "skeleton")]
    disk: D,
}

/// A complete and durable snapshot without its name.
#[derive(Debug)]
#[must_use = "a snapshot without its name is not found by recovery"]
pub struct SealedSnapshot<D: Disk> {
    #[allow(dead_code, reason = "skeleton")]
    disk: D,
    path: PathBuf,
    /// The tree's zxid at the end of the walk: publish only once the log is durable up to here (rules.md 1.6).
    pub end: Zxid,
}

impl<D: Disk> SnapshotFile<D> {
    /// Starts `snapshot.<zxid>` (`zxid` = [`ostler_tree::Walk::zxid`]).
    ///
    /// # Errors
    /// A failed disk call; the same holds for all methods. The leftover is removed if the disk allows it.
    pub fn create(disk: &D, dirs: &DataDirs, zxid: Zxid, compression: Compression) -> Result<Self, StoreError> {
        let _ = (disk, dirs, zxid, compression);
        todo!()
    }

    /// Appends encoded bytes: first those of [`crate::encode_snapshot_start`], then nodes, cut anywhere.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let _ = chunk;
        todo!()
    }

    /// Appends terminator, seals and sections and makes the file durable.
    pub fn seal(self, end: SnapshotEnd) -> Result<SealedSnapshot<D>, StoreError> {
        let _ = end;
        todo!()
    }
}

impl<D: Disk> SealedSnapshot<D> {
    /// Gives the file its name, durably; a file of that name is replaced. Returns the length in bytes.
    pub fn publish(self) -> Result<u64, StoreError> {
        todo!()
    }

    /// Throws the file away.
    pub fn discard(self) -> Result<(), StoreError> {
        todo!()
    }

    /// The name it gets.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a whole snapshot in one go, for the boot and for tests: nobody else may need the tree meanwhile. Returns its path.
///
/// # Errors
/// A failed disk call.
pub fn write_snapshot<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    tree: &Tree,
    compression: Compression,
) -> Result<PathBuf, StoreError> {
    let _ = (disk, dirs, tree, compression);
    todo!()
}
