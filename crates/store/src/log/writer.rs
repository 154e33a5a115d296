//! Writing: records are buffered by [`Log::append`] and durable after [`Log::commit`]: many records, one write, one sync.
//!
//! A log never appends to an existing file: every start and every roll begins a new one, named after its first record.
//! A file is synced before the next one is created, so that no power cut can leave a later file without the end of the
//! earlier one. After any error the log refuses everything: what the disk holds is then unknown, and a second fsync
//! that succeeds proves nothing.

use crate::{Disk, StoreError};
use ostler_model::Zxid;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `dataLogDir/version-2`, existing.
    pub dir: PathBuf,
    /// `preAllocSize` in bytes (default 64 MiB); 0 = no preallocation.
    pub preallocate_bytes: u64,
    /// `forceSync`: false = commit does not sync.
    pub force_sync: bool,
    /// `snapCount`: about so many records between snapshots (values below 2 count as 2).
    pub snap_count: u32,
    /// `snapSizeLimitInKb` in bytes: about so many log bytes between snapshots; 0 = off.
    pub snap_size_limit_bytes: u64,
    /// `txnLogSizeLimitInKb` in bytes: a file longer than this is followed by a new one; 0 = off.
    pub file_size_limit_bytes: u64,
    /// Seed of the randomised triggers, so that the members of an ensemble do not all take snapshots at once.
    pub seed: u64,
}

impl LogConfig {
    /// Apache's defaults.
    pub fn new(dir: PathBuf, seed: u64) -> LogConfig {
        LogConfig {
            dir,
            preallocate_bytes: 64 << 20,
            force_sync: true,
            snap_count: 100_000,
            snap_size_limit_bytes: 4 << 30,
            file_size_limit_bytes: 0,
            seed,
        }
    }
}

/// What an append brought about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Appended {
    /// The record was the last of its file; a snapshot should be taken (in the background).
    pub snapshot_due: bool,
}

/// What a commit did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Everything up to here is durable (with `force_sync`). `None`: nothing was ever appended.
    pub last: Option<Zxid>,
    /// Records made durable by this call.
    pub records: usize,
    /// How long the sync took (with `force_sync` off, and for an empty commit: zero).
    pub sync_time: Duration,
    /// Length of the current file, preallocation included (for the slow-fsync warning).
    pub file_bytes: u64,
}

/// The log of a running server.
#[derive(Debug)]
pub struct Log<D: Disk> {
    #[allow(dead_code, reason = "skeleton")]
    disk: D,
    config: LogConfig,
}

impl<D: Disk> Log<D> {
    /// Touches nothing yet: the file is created by the first append.
    pub fn new(disk: D, config: LogConfig) -> Log<D> {
        Log { disk, config }
    }

    /// The settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Adds a record (`payload` = header, body, digest as `ostler_wire::txn::encode` makes them) under `zxid`. It is durable
    /// only after [`Log::commit`]. May write, and may sync the old file when one is rolled.
    ///
    /// # Errors
    /// Any failed disk call; after that every call answers [`StoreError::LogFailed`].
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) -> Result<Appended, StoreError> {
        let _ = (zxid, payload);
        todo!()
    }

    /// Writes and syncs everything appended.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn commit(&mut self) -> Result<Commit, StoreError> {
        todo!()
    }

    /// Bytes appended and not yet handed to the disk.
    pub fn buffered_bytes(&self) -> usize {
        todo!()
    }
}
