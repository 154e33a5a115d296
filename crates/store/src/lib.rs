//! Transaction logs, snapshots and recovery in Apache's file formats (storage.md), over a small [`Disk`] trait.
//!
//! [`Log`] appends records and makes them durable, [`SnapshotFile`] turns chunks of encoded nodes into a snapshot,
//! [`recover`] makes a tree of what a directory holds, [`purge`] deletes what is no longer needed, [`DirLock`] keeps
//! a second server out. An ensemble member starts with [`recover_member`], keeps its promises in [`EpochFiles`], and
//! changes its history with [`Log::truncate`] and [`Log::install`], all or nothing. All calls block; they belong on the log and snapshot threads. Nothing here decides what a
//! transaction does: that is `ostler_tree`.
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as ostler_store;

mod atomic;
mod dirs;
mod disk;
mod ensemble;
mod error;
pub mod faulty;
mod files;
mod history;
mod lock;
mod log;
mod member;
mod names;
mod purge;
mod recover;
mod snapshot;
#[cfg(test)]
mod testing;

pub use dirs::DataDirs;
pub use disk::{Disk, DiskFile, Entry, RealDisk};
pub use ensemble::EnsembleFiles;
pub use error::StoreError;
pub use history::{EpochSpan, History, HistoryReader, HistoryRecord, history_bytes};
pub use lock::DirLock;
pub use log::{Appended, Commit, End, Log, LogConfig, LogReader, Record};
pub use member::{EpochFiles, Epochs, Truncation, install, truncate};
pub use names::{log_zxid, snapshot_zxid};
pub use purge::{Purged, purge};
pub use recover::{
    MemberOptions, MemberState, Progress, RecoverOptions, Recovered, RecoveryFacts, load_upto, recover, recover_member,
};
pub use snapshot::{
    Compression, LoadedSnapshot, Pushed, SealedSnapshot, SnapshotError, SnapshotFile, SnapshotFormat, SnapshotReceiver,
    TreePart, TreeStream, encode_node, encode_snapshot_start, encode_snapshot_start_part, encode_tree_end,
    encode_tree_start, encode_tree_start_part, read_snapshot, read_snapshot_file, recompress_snapshot, write_snapshot,
};
