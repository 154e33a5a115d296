//! Deleting what is no longer needed (storage.md section 6.4).

use crate::names::{log_zxid, snapshot_zxid};
use crate::recover::is_valid;
use crate::{DataDirs, Disk, StoreError};
use ostler_model::Zxid;
use std::path::{Path, PathBuf};

/// Snapshots that are kept at least, whatever is asked for.
const RETAIN_MIN: usize = 3;

/// What a purge did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Removed files.
    pub removed: Vec<PathBuf>,
    /// Files that could not be removed, with the reason.
    pub failed: Vec<(PathBuf, String)>,
}

/// Keeps the `retain` newest valid snapshots (values below 3 count as 3) and the logs needed from the oldest of them on;
/// deletes the rest, oldest first.
///
/// # Errors
/// A directory that cannot be listed. A file that cannot be removed is reported in the result.
pub fn purge<D: Disk>(disk: &D, dirs: &DataDirs, retain: usize) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    let snapshots = ours(disk, &dirs.snapshots(), "snapshot.", snapshot_zxid)?;
    let mut valid = snapshots
        .iter()
        .rev()
        .filter_map(|(zxid, path)| zxid.filter(|_| is_valid(disk, path)))
        .take(retain.max(RETAIN_MIN));
    // Without a valid snapshot nothing may go.
    let Some(oldest) = valid.by_ref().last() else { return Ok(purged) };
    let logs = ours(disk, &dirs.logs(), "log.", log_zxid)?;
    // The log that holds the transaction behind the oldest snapshot may bear an earlier name.
    let first_log = logs.iter().filter_map(|(zxid, _)| *zxid).filter(|zxid| *zxid <= oldest).max();
    let old_snapshots = snapshots.iter().filter(|(zxid, _)| zxid.is_none_or(|zxid| zxid < oldest));
    let old_logs = logs.iter().filter(|(zxid, _)| zxid.is_none_or(|zxid| zxid < oldest && Some(zxid) != first_log));
    for (_, path) in old_snapshots.chain(old_logs) {
        match disk.remove(path) {
            Ok(()) => purged.removed.push(path.clone()),
            Err(error) => purged.failed.push((path.clone(), error.to_string())),
        }
    }
    Ok(purged)
}

/// Files with this prefix, oldest first; those whose zxid does not parse before all others.
fn ours<D: Disk>(
    disk: &D,
    dir: &Path,
    prefix: &str,
    zxid_of: fn(&str) -> Option<Zxid>,
) -> Result<Vec<(Option<Zxid>, PathBuf)>, StoreError> {
    let entries = disk.list(dir).map_err(StoreError::io("list the directory", dir))?;
    let ours = entries.into_iter().filter(|entry| entry.name.starts_with(prefix));
    let mut files: Vec<_> = ours.map(|entry| (zxid_of(&entry.name), dir.join(entry.name))).collect();
    files.sort();
    Ok(files)
}
