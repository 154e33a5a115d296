//! The logs and snapshots of a directory, in order.

use crate::names::{log_zxid, snapshot_zxid};
use crate::{DataDirs, Disk, Entry, StoreError};
use ostler_model::Zxid;
use std::path::Path;

/// Log files, oldest first. Files of the same zxid (`log.1`, `log.1.bak`) in the order of their names.
pub(crate) fn logs<D: Disk>(disk: &D, dirs: &DataDirs) -> Result<Vec<(Zxid, Entry)>, StoreError> {
    named(disk, &dirs.logs(), log_zxid)
}

/// Snapshots, oldest first, likewise.
pub(crate) fn snapshots<D: Disk>(disk: &D, dirs: &DataDirs) -> Result<Vec<(Zxid, Entry)>, StoreError> {
    named(disk, &dirs.snapshots(), snapshot_zxid)
}

/// Of the logs, those that may hold records behind `after`: the greatest name that is not above the next zxid, and
/// everything behind it (storage.md section 3.5).
pub(crate) fn retain_after(logs: &mut Vec<(Zxid, Entry)>, after: Zxid) {
    let begin = logs.iter().map(|(zxid, _)| *zxid).filter(|zxid| zxid.0 <= after.0.saturating_add(1)).max();
    logs.retain(|(zxid, _)| begin.is_none_or(|begin| *zxid >= begin));
}

fn named<D: Disk>(disk: &D, dir: &Path, zxid_of: fn(&str) -> Option<Zxid>) -> Result<Vec<(Zxid, Entry)>, StoreError> {
    let entries = disk.list(dir).map_err(StoreError::io("list the directory", dir))?;
    let mut files: Vec<(Zxid, Entry)> =
        entries.into_iter().filter_map(|entry| Some((zxid_of(&entry.name)?, entry))).collect();
    files.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(files)
}
