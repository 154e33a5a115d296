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

    /// Creates what is missing (unless `create` is false, `zookeeper.datadir.autocreate`) and checks that files of
    /// the one kind do not lie in the directory of the other. Call it before [`crate::DirLock::acquire`].
    ///
    /// # Errors
    /// Missing and not to be created, not accessible, or files in the wrong directory.
    pub fn prepare<D: Disk>(&self, disk: &D, create: bool) -> Result<(), StoreError> {
        let _ = (disk, create);
        todo!()
    }
}
