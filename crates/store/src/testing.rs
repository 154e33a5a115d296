//! For the tests of this crate: a directory that goes away, and a history of transactions with the tree they make.

#[path = "../tests/support/history.rs"]
mod history;

use crate::faulty::FaultyDisk;
use crate::{DataDirs, Disk};
pub(crate) use history::{Model, listing};
use std::path::{Path, PathBuf};

pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let path = std::env::temp_dir().join(format!("ostler-store-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One directory for both kinds.
pub(crate) fn dirs() -> DataDirs {
    DataDirs::new("/d", None)
}

/// An empty disk with these directories.
pub(crate) fn disk() -> FaultyDisk {
    let disk = FaultyDisk::new(11);
    dirs().prepare(&disk, true).unwrap();
    disk.sync_dir(&dirs().logs()).unwrap();
    disk
}
