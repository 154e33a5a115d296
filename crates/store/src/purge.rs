//! Deleting what is no longer needed (storage.md section 6.4).

use crate::{DataDirs, Disk, StoreError};
use std::path::PathBuf;

/// What a purge did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Purged {
    /// Removed files.
    pub removed: Vec<PathBuf>,
    /// Files that could not be removed, with the reason.
    pub failed: Vec<(PathBuf, String)>,
}

/// Keeps the `retain` newest valid snapshots (values below 3 count as 3) and the logs needed from the oldest of them on;
/// deletes the rest.
///
/// # Errors
/// A directory that cannot be listed. A file that cannot be removed is reported in the result.
pub fn purge<D: Disk>(disk: &D, dirs: &DataDirs, retain: usize) -> Result<Purged, StoreError> {
    let _ = (disk, dirs, retain);
    todo!()
}
