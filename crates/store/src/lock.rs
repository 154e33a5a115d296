//! One server per directory: an advisory lock that the kernel releases when the process dies. Apache takes no lock and
//! ignores the file.

use crate::{DataDirs, StoreError};

/// Held as long as the server uses the directories.
#[derive(Debug)]
pub struct DirLock {
    #[allow(dead_code, reason = "skeleton")]
    files: Vec<std::fs::File>,
}

impl DirLock {
    /// Locks both directories, which must exist.
    ///
    /// # Errors
    /// Another process holds one (named with its pid), or the file cannot be made.
    pub fn acquire(dirs: &DataDirs) -> Result<DirLock, StoreError> {
        let _ = dirs;
        todo!()
    }
}
