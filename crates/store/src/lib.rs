//! Transaction logs, snapshots and recovery in Apache's file formats (storage.md), over a small [`Disk`] trait.
//!
//! [`Log`] appends records and makes them durable, [`SnapshotFile`] turns chunks of encoded nodes into a snapshot,
//! [`recover`] makes a tree of what a directory holds, [`purge`] deletes what is no longer needed, [`DirLock`] keeps
//! a second server out. All calls block; they belong on the log and snapshot threads. Nothing here decides what a
//! transaction does: that is `ostler_tree`.
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as ostler_store;

mod atomic;
mod dirs;
mod disk;
mod error;
pub mod faulty;
mod lock;
mod log;
mod member;
mod names;
mod purge;
mod recover;
mod rng;
mod snapshot;
#[cfg(test)]
mod testing;

pub use dirs::DataDirs;
pub use disk::{Disk, DiskFile, Entry, RealDisk};
pub use error::StoreError;
pub use lock::DirLock;
pub use log::{Appended, Commit, End, Log, LogConfig, LogReader, Record};
pub use member::{EpochFiles, Epochs};
pub use names::{log_zxid, snapshot_zxid};
pub use purge::{Purged, purge};
pub use recover::{Progress, RecoverOptions, Recovered, RecoveryFacts, recover};
pub use snapshot::{
    Compression, LoadedSnapshot, SealedSnapshot, SnapshotError, SnapshotFile, SnapshotFormat, encode_node,
    encode_snapshot_start, read_snapshot, write_snapshot,
};
