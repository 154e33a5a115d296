//! A disk that is only looked at: reads come from the real one, whatever would be changed stays in memory.
//!
//! The server's own recovery runs on it, so that what the doctor says is what a start would do. A write of bytes that are
//! there already is none (recovery repeats the end of the newest log).

use ostler_store::{Disk, DiskFile, Entry, RealDisk};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The real disk below, changes above.
#[derive(Clone, Debug, Default)]
pub struct DryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What differs from the real disk; `None`: removed.
    files: BTreeMap<PathBuf, Option<Shared>>,
    changes: Vec<String>,
}

type Shared = Arc<Mutex<Content>>;

#[derive(Debug)]
enum Content {
    /// As it is on the disk.
    Real(File),
    /// Changed.
    Memory(Vec<u8>),
}

impl DryDisk {
    /// What was changed, in words, in order.
    pub fn changes(&self) -> Vec<String> {
        self.state().changes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &Path) -> io::Result<Shared> {
        let mut state = self.state();
        match state.files.get(path) {
            Some(Some(content)) => Ok(Arc::clone(content)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                let content = Arc::new(Mutex::new(Content::Real(RealDisk.open(path)?)));
                state.files.insert(path.to_owned(), Some(Arc::clone(&content)));
                Ok(content)
            }
        }
    }

    fn file(&self, path: &Path, content: Shared) -> DryFile {
        DryFile { disk: self.clone(), path: path.to_owned(), content }
    }
}

impl Disk for DryDisk {
    type File = DryFile;

    fn create(&self, path: &Path) -> io::Result<DryFile> {
        let content = Arc::new(Mutex::new(Content::Memory(Vec::new())));
        let mut state = self.state();
        state.changes.push(format!("write {}", path.display()));
        state.files.insert(path.to_owned(), Some(Arc::clone(&content)));
        drop(state);
        Ok(self.file(path, content))
    }
    fn open(&self, path: &Path) -> io::Result<DryFile> {
        Ok(self.file(path, self.find(path)?))
    }
    fn open_to_write(&self, path: &Path) -> io::Result<DryFile> {
        self.open(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = RealDisk.list(dir)?;
        let state = self.state();
        entries.retain(|entry| !state.files.contains_key(&dir.join(&entry.name)));
        for (path, content) in &state.files {
            let (Some(content), true, Some(name)) = (content, path.parent() == Some(dir), path.file_name()) else {
                continue;
            };
            let name = name.to_string_lossy().into_owned();
            entries.push(Entry { name, len: lock(content).len()? });
        }
        Ok(entries)
    }
    fn dir_exists(&self, dir: &Path) -> io::Result<bool> {
        RealDisk.dir_exists(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.state().changes.push(format!("create the directory {}", dir.display()));
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.find(from)?;
        let mut state = self.state();
        state.changes.push(format!("rename {} to {}", from.display(), to.display()));
        state.files.insert(from.to_owned(), None);
        state.files.insert(to.to_owned(), Some(content));
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        let mut state = self.state();
        state.changes.push(format!("remove {}", path.display()));
        state.files.insert(path.to_owned(), None);
        Ok(())
    }
}

fn lock(content: &Shared) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Content {
    fn len(&self) -> io::Result<u64> {
        match self {
            Content::Real(file) => DiskFile::len(file),
            Content::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Real(file) => DiskFile::read_at(file, offset, buffer),
            Content::Memory(bytes) => {
                let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                let got = buffer.len().min(bytes.len() - from);
                buffer[..got].copy_from_slice(&bytes[from..from + got]);
                Ok(got)
            }
        }
    }

    /// Whether exactly these bytes are there.
    fn has(&self, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut there = vec![0; bytes.len()];
        let mut filled = 0;
        while filled < there.len() {
            let got = self.read_at(offset + filled as u64, &mut there[filled..])?;
            if got == 0 {
                return Ok(false);
            }
            filled += got;
        }
        Ok(there == bytes)
    }

    /// The bytes, to be changed.
    fn memory(&mut self) -> io::Result<&mut Vec<u8>> {
        if let Content::Real(_) = self {
            let mut bytes = vec![0; self.len()? as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                let got = self.read_at(filled as u64, &mut bytes[filled..])?;
                if got == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                filled += got;
            }
            *self = Content::Memory(bytes);
        }
        match self {
            Content::Memory(bytes) => Ok(bytes),
            Content::Real(_) => unreachable!("it was read one line above"),
        }
    }
}

/// A file of a [`DryDisk`].
#[derive(Debug)]
pub struct DryFile {
    disk: DryDisk,
    path: PathBuf,
    content: Shared,
}

impl DiskFile for DryFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = lock(&self.content);
        if content.has(offset, bytes)? {
            return Ok(());
        }
        let fresh = matches!(*content, Content::Real(_));
        let all = content.memory()?;
        let end = offset as usize + bytes.len();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[offset as usize..end].copy_from_slice(bytes);
        drop(content);
        if fresh {
            self.disk.state().changes.push(format!("write into {} at offset {offset}", self.path.display()));
        }
        Ok(())
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.content).read_at(offset, buffer)
    }
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut content = lock(&self.content);
        let before = content.len()?;
        content.memory()?.resize(len as usize, 0);
        drop(content);
        if len < before {
            let path = self.path.display();
            self.disk.state().changes.push(format!("cut {path} from {before} to {len} bytes"));
        }
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        lock(&self.content).len()
    }
}
