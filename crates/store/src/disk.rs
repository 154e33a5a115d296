//! What the store asks of a disk: a handful of blocking calls, so that tests can put a disk that loses power
//! ([`crate::faulty`]) in the place of the real one.
//!
//! The contract is POSIX without courtesies: written bytes are durable only after [`DiskFile::sync`], a created,
//! renamed or removed name only after [`Disk::sync_dir`] of its directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Name without the directory.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
}

/// A disk with directories and files.
pub trait Disk: Clone + Send + 'static {
    /// An open file.
    type File: DiskFile;

    /// Opens for writing and reading; an existing file is emptied.
    ///
    /// # Errors
    /// As the operating system says; the same holds for all methods.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// As [`Disk::create`], readable and writable for whom `model` is.
    fn create_like(&self, path: &Path, _model: &Path) -> io::Result<Self::File> {
        self.create(path)
    }
    /// Opens for reading.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens an existing file for reading and writing.
    fn open_to_write(&self, path: &Path) -> io::Result<Self::File>;
    /// The files of a directory (no sub-directories), in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// True if there is a directory of this name.
    fn dir_exists(&self, dir: &Path) -> io::Result<bool>;
    /// Creates a directory and its parents.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes created, renamed and removed names of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames within a directory, replacing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Positions are explicit: no hidden cursor.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the operating system says; how much was written is then unknown.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads up to `buffer.len()` bytes at `offset`; 0 = end of file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Sets the length; new bytes read as zeros.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Makes what was written, and the length, durable (fdatasync).
    ///
    /// # Errors
    /// As the operating system says. Nothing may be assumed about the written bytes afterwards, and a second
    /// call that succeeds proves nothing: the caller must give up.
    fn sync(&mut self) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    fn len(&self) -> io::Result<u64>;
    /// True if nothing was ever written.
    ///
    /// # Errors
    /// As the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
    }
    fn create_like(&self, path: &Path, model: &Path) -> io::Result<File> {
        let permissions = std::fs::metadata(model)?.permissions();
        let file = self.create(path)?;
        // Still empty: nobody has read what he must not.
        file.set_permissions(permissions)?;
        Ok(file)
    }
    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }
    fn open_to_write(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match std::fs::metadata(entry.path()) {
                // A link to nothing, or removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            // A name that is not UTF-8 is none of ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                entries.push(Entry { name, len: metadata.len() });
            }
        }
        Ok(entries)
    }
    fn dir_exists(&self, dir: &Path) -> io::Result<bool> {
        match std::fs::metadata(dir) {
            Ok(metadata) => Ok(metadata.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}
