//! Small files that are either old or new, whenever the power goes: written beside their name, synced, renamed, and the
//! directory synced.

use crate::{Disk, DiskFile, StoreError};
use std::io;
use std::path::{Path, PathBuf};

/// The name under which the new content is written first; Apache's for the epoch files (storage.md section 1).
pub(crate) fn temporary(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.tmp"))
}

/// Replaces `dir/name`, durably.
pub(crate) fn write<D: Disk>(disk: &D, dir: &Path, name: &str, content: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary(dir, name);
    let file = disk.create(&temporary).map_err(StoreError::io("create", &temporary))?;
    fill(disk, dir, name, content, file)
}

/// The same for a file that nobody may read who may not read `model`.
pub(crate) fn write_like<D: Disk>(
    disk: &D,
    dir: &Path,
    name: &str,
    content: &[u8],
    model: &Path,
) -> Result<(), StoreError> {
    let temporary = temporary(dir, name);
    let file = disk.create_like(&temporary, model).map_err(StoreError::io("create", &temporary))?;
    fill(disk, dir, name, content, file)
}

fn fill<D: Disk>(disk: &D, dir: &Path, name: &str, content: &[u8], mut file: D::File) -> Result<(), StoreError> {
    let (path, temporary) = (dir.join(name), temporary(dir, name));
    file.write_at(0, content).map_err(StoreError::io("write", &temporary))?;
    file.sync().map_err(StoreError::io("sync", &temporary))?;
    disk.rename(&temporary, &path).map_err(StoreError::io("rename a new file to", &path))?;
    sync_dir(disk, dir)
}

/// The content of a small file; `None` if it does not exist. At most `len_max` bytes are read.
pub(crate) fn read<D: Disk>(disk: &D, path: &Path, len_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io("open", path))?,
    };
    let mut content = vec![0; len_max];
    let mut filled = 0;
    while filled < content.len() {
        let got = file.read_at(filled as u64, &mut content[filled..]).map_err(StoreError::io("read", path))?;
        if got == 0 {
            break;
        }
        filled += got;
    }
    content.truncate(filled);
    Ok(Some(content))
}

/// Removes a file; true if it was there. The directory is not synced.
pub(crate) fn remove<D: Disk>(disk: &D, path: &Path) -> Result<bool, StoreError> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

/// Makes the names of a directory durable.
pub(crate) fn sync_dir<D: Disk>(disk: &D, dir: &Path) -> Result<(), StoreError> {
    disk.sync_dir(dir).map_err(StoreError::io("sync the directory", dir))
}
