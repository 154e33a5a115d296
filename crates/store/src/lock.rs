//! One server per directory: an advisory lock that the kernel releases when the process dies. Apache takes no lock and
//! ignores the file.

use crate::{DataDirs, StoreError};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// Lies in `version-2`; holds the pid of the last server that took it. It is never removed: that would let two servers
/// hold locks on two files of the same name.
const LOCK_NAME: &str = "ostler.lock";

/// Held as long as the server uses the directories.
#[derive(Debug)]
pub struct DirLock {
    #[expect(dead_code, reason = "the open files are the lock")]
    files: Vec<File>,
}

impl DirLock {
    /// Locks both directories, which must exist (see [`DataDirs::prepare`]).
    ///
    /// # Errors
    /// Another process holds one (named with its pid), or the file cannot be made: missing, read-only, not ours.
    pub fn acquire(dirs: &DataDirs) -> Result<DirLock, StoreError> {
        let mut paths = Vec::new();
        for dir in [dirs.snapshots(), dirs.logs()] {
            // The same directory under two names is locked once.
            paths.push(std::fs::canonicalize(&dir).map_err(StoreError::io("open the directory", dir))?);
        }
        paths.sort();
        paths.dedup();
        let files = paths.iter().map(|dir| lock(dir)).collect::<Result<_, _>>()?;
        Ok(DirLock { files })
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_NAME);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io("write", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse { dir: dir.to_owned(), pid });
        }
        Err(error) => return Err(StoreError::Io { action: "lock", path, source: error.into() }),
    }
    let pid = format!("{}\n", std::process::id());
    file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).map_err(StoreError::io("write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;
    use crate::testing::TempDir;

    #[test]
    fn a_second_server_is_told_who_holds_the_directory() {
        let temp = TempDir::new("lock");
        let dirs = DataDirs::new(temp.path().join("a"), Some(temp.path().join("b")));
        dirs.prepare(&RealDisk, true).unwrap();
        let lock = DirLock::acquire(&dirs).unwrap();
        for second in [dirs.clone(), DataDirs::new(temp.path().join("b"), None)] {
            let error = DirLock::acquire(&second).unwrap_err().to_string();
            assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
            assert!(error.contains("hint: "), "{error}");
        }
        drop(lock);
        DirLock::acquire(&dirs).unwrap();
    }

    #[test]
    fn one_directory_under_two_names_is_locked_once() {
        let temp = TempDir::new("lock-link");
        let dirs = DataDirs::new(temp.path().join("a"), Some(temp.path().join("link")));
        std::fs::create_dir(temp.path().join("a")).unwrap();
        std::os::unix::fs::symlink(temp.path().join("a"), temp.path().join("link")).unwrap();
        dirs.prepare(&RealDisk, true).unwrap();
        DirLock::acquire(&dirs).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named() {
        let temp = TempDir::new("lock-missing");
        let error = DirLock::acquire(&DataDirs::new(temp.path().join("none"), None)).unwrap_err().to_string();
        assert!(error.contains("none/version-2") && error.contains("hint: "), "{error}");
    }
}
