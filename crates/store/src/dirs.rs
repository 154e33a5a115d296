//! The two directories (storage.md section 1): where snapshots and where logs live, and the checks before they are used.

use crate::{Disk, StoreError};
use std::path::{Path, PathBuf};

/// Apache's name for the directory of the current format.
const VERSION_DIR: &str = "version-2";

/// `dataDir` and `dataLogDir`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataDirs {
    data: PathBuf,
    log: PathBuf,
}

impl DataDirs {
    /// `log` = `None`: the logs live beside the snapshots.
    pub fn new(data: impl Into<PathBuf>, log: Option<PathBuf>) -> DataDirs {
        let data = data.into();
        let log = log.unwrap_or_else(|| data.clone());
        DataDirs { data, log }
    }

    /// `dataDir`.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// `dataLogDir`.
    pub fn data_log_dir(&self) -> &Path {
        &self.log
    }

    /// Where the snapshots are: `dataDir/version-2`.
    pub fn snapshots(&self) -> PathBuf {
        self.data.join(VERSION_DIR)
    }

    /// Where the logs are: `dataLogDir/version-2`.
    pub fn logs(&self) -> PathBuf {
        self.log.join(VERSION_DIR)
    }

    /// True if logs have a directory of their own.
    pub fn are_split(&self) -> bool {
        self.data != self.log
    }

    /// Creates what is missing (unless `create` is false, `zookeeper.datadir.autocreate`) and checks that files of
    /// the one kind do not lie in the directory of the other. Call it before [`crate::DirLock::acquire`].
    ///
    /// # Errors
    /// Missing and not to be created, not accessible, or files in the wrong directory.
    pub fn prepare<D: Disk>(&self, disk: &D, create: bool) -> Result<(), StoreError> {
        for dir in [self.snapshots(), self.logs()] {
            let exists = disk.dir_exists(&dir).map_err(StoreError::io("open the directory", &dir))?;
            if !exists && !create {
                return Err(StoreError::MissingDir(dir));
            }
            if !exists {
                make_dir(disk, &dir)?;
            }
        }
        if self.are_split() {
            find_stray(disk, &self.logs(), "snapshot.", "transaction logs")?;
            find_stray(disk, &self.snapshots(), "log.", "snapshots")?;
        }
        Ok(())
    }
}

/// Creates a directory with its parents and makes their names durable.
fn make_dir<D: Disk>(disk: &D, dir: &Path) -> Result<(), StoreError> {
    let mut made = Vec::new();
    for ancestor in dir.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if disk.dir_exists(ancestor).map_err(StoreError::io("open the directory", ancestor))? {
            break;
        }
        made.push(ancestor);
    }
    disk.create_dir_all(dir).map_err(StoreError::io("create the directory", dir))?;
    for ancestor in made {
        if let Some(parent) = ancestor.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            disk.sync_dir(parent).map_err(StoreError::io("sync the directory", parent))?;
        }
    }
    Ok(())
}

fn find_stray<D: Disk>(disk: &D, dir: &Path, prefix: &str, expected: &'static str) -> Result<(), StoreError> {
    let entries = disk.list(dir).map_err(StoreError::io("list the directory", dir))?;
    match entries.into_iter().find(|entry| entry.name.starts_with(prefix)) {
        Some(entry) => Err(StoreError::WrongDir { file: dir.join(entry.name), expected }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::{FaultyDisk, Stop};

    #[test]
    fn missing_directories_are_made_or_refused() {
        let disk = FaultyDisk::new(1);
        let dirs = DataDirs::new("/d", Some("/l".into()));
        let error = dirs.prepare(&disk, false).unwrap_err().to_string();
        assert!(error.contains("/d/version-2") && error.contains("hint: "), "{error}");
        dirs.prepare(&disk, true).unwrap();
        disk.restart(Stop::PowerCut);
        assert!(disk.dir_exists(&dirs.logs()).unwrap());
        dirs.prepare(&disk, false).unwrap();
    }

    #[test]
    fn files_in_the_wrong_directory_are_named() {
        for file in ["/l/version-2/snapshot.0", "/d/version-2/log.1"] {
            let disk = FaultyDisk::new(1);
            let dirs = DataDirs::new("/d", Some("/l".into()));
            dirs.prepare(&disk, true).unwrap();
            disk.put(Path::new(file), b"x");
            let error = dirs.prepare(&disk, true).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("hint: "), "{error}");
        }
    }
}
