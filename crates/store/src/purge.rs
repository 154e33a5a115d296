//! Deleting what is no longer needed (storage.md section 6.4).

use crate::names::{log_zxid, snapshot_zxid};
use crate::recover::is_valid;
use crate::{DataDirs, Disk, StoreError, atomic};
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
/// deletes the rest, oldest first: snapshots, and only when these are gone for good the logs.
///
/// # Errors
/// A directory that cannot be listed or synced. A file that cannot be removed is reported in the result.
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
    old_snapshots.for_each(|(_, path)| purged.remove(disk, path));
    // A snapshot that is still there, or comes back with the power, must not have lost the log behind it: nobody could see
    // what is missing between the two.
    if purged.failed.is_empty() && !purged.removed.is_empty() {
        atomic::sync_dir(disk, &dirs.snapshots())?;
    }
    // One after the other for the same reason: an older log that comes back alone would leave a hole.
    for (_, path) in old_logs {
        if !purged.failed.is_empty() {
            break;
        }
        purged.remove(disk, path);
        atomic::sync_dir(disk, &dirs.logs())?;
    }
    Ok(purged)
}

impl Purged {
    fn remove<D: Disk>(&mut self, disk: &D, path: &Path) {
        match disk.remove(path) {
            Ok(()) => self.removed.push(path.to_owned()),
            Err(error) => self.failed.push((path.to_owned(), error.to_string())),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::{Fault, FaultyDisk};

    const VALID: &[u8] = b"ZKSNxxxxxx\0\0\0\x01/";

    fn with(dirs: &DataDirs, snapshots: &[(&str, &[u8])], logs: &[&str]) -> FaultyDisk {
        let disk = FaultyDisk::new(1);
        dirs.prepare(&disk, true).unwrap();
        for (name, bytes) in snapshots {
            disk.put(&dirs.snapshots().join(name), bytes);
        }
        for name in logs {
            disk.put(&dirs.logs().join(name), b"ZKLG");
        }
        disk
    }

    fn left(disk: &FaultyDisk, dir: &Path) -> Vec<String> {
        disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn keeps_the_newest_valid_snapshots_and_their_logs() {
        let dirs = DataDirs::new("/d", Some("/l".into()));
        let disk = with(
            &dirs,
            &[
                ("snapshot.0", VALID),
                ("snapshot.10", VALID),
                ("snapshot.20", VALID),
                ("snapshot.28", b"broken"),
                ("snapshot.30.gz", b"\x1f\x8b"),
                ("snapshot.40", VALID),
                ("snapshot.50", b"broken"),
                ("snapshot.x", VALID),
                ("ostler.lock", b""),
            ],
            &["log.1", "log.8", "log.19", "log.25", "log.41", "log.ffffffffffffffff", "notes.txt"],
        );
        let purged = purge(&disk, &dirs, 1).unwrap();
        // The three newest valid ones are 20, 30, 40; the log behind 20 begins at 19. Broken but newer ones stay.
        assert_eq!(
            left(&disk, &dirs.snapshots()),
            ["ostler.lock", "snapshot.20", "snapshot.28", "snapshot.30.gz", "snapshot.40", "snapshot.50"]
        );
        assert_eq!(left(&disk, &dirs.logs()), ["log.19", "log.25", "log.41", "notes.txt"]);
        assert_eq!((purged.removed.len(), purged.failed.len()), (6, 0));
        assert_eq!(purge(&disk, &dirs, 1).unwrap(), Purged::default());
    }

    #[test]
    fn without_a_valid_snapshot_nothing_goes() {
        let dirs = DataDirs::new("/d", None);
        let disk = with(&dirs, &[("snapshot.5", b"broken"), ("snapshot.x", b"")], &["log.1", "log.x"]);
        assert_eq!(purge(&disk, &dirs, 3).unwrap(), Purged::default());
        assert_eq!(left(&disk, &dirs.logs()).len(), 4);
    }

    #[test]
    fn fewer_snapshots_than_asked_for_keep_everything_they_need() {
        let dirs = DataDirs::new("/d", None);
        let disk = with(&dirs, &[("snapshot.10", VALID), ("snapshot.20", VALID)], &["log.1", "log.9", "log.11"]);
        let purged = purge(&disk, &dirs, 5).unwrap();
        assert_eq!(purged.removed, [dirs.logs().join("log.1")]);
    }

    #[test]
    fn a_file_that_cannot_be_removed_is_reported() {
        let dirs = DataDirs::new("/d", None);
        let snapshots: Vec<(&str, &[u8])> =
            ["snapshot.1", "snapshot.2", "snapshot.3", "snapshot.4"].map(|name| (name, VALID)).to_vec();
        let disk = with(&dirs, &snapshots, &[]);
        // One listing, three calls for each of the three newest snapshots, one listing, then the removal.
        disk.fail_at(12, Fault::Device);
        let purged = purge(&disk, &dirs, 3).unwrap();
        assert_eq!(purged.failed.len(), 1, "{:?}", disk.trace());
        assert!(purged.failed[0].0.ends_with("snapshot.1"));
    }
}
