//! A disk in memory that keeps only the promises a real one makes, for tests and simulations.
//!
//! What was not synced may be lost, kept in part, or torn inside a write; names that were not synced may be lost in any
//! combination; any call can fail or be the last one before the power goes. Everything follows from a seed.
//!
//! Writes are kept as a list since the last sync of their file, names as a list since the last sync of their directory;
//! a power cut applies an arbitrary part of these lists to what is durable and forgets the rest.

use crate::{Disk, DiskFile, Entry};
use ostler_model::Dice;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The machine stops in the middle of the call: it may or may not take effect. Every later call fails until
    /// [`FaultyDisk::restart`].
    Crash,
    /// No space: a write is cut short.
    DiskFull,
    /// An error of the device. A failed sync forgets what it should have written: a later sync succeeds without it, as on
    /// Linux.
    Device,
}

/// What survives when the machine stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The process died; the operating system lives and keeps what was written.
    Kill,
    /// The power went: what was not synced survives in order, up to a byte somewhere.
    PowerCut,
    /// The power went, and the disk had written its sectors in any order.
    PowerCutSectors,
}

/// A disk that fails on request.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Mutex<State>>);

/// An open file of a [`FaultyDisk`].
#[derive(Debug)]
pub struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
    /// The restart it belongs to: handles do not survive one.
    life: u32,
    writable: bool,
}

#[derive(Debug)]
struct State {
    rng: Dice,
    calls: u64,
    plan: Option<(u64, Fault)>,
    down: bool,
    life: u32,
    /// What to forget: the beginning of a call's name in the trace, and a part of its path.
    forget: Option<(String, String)>,
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    trace: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    visible: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone, Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone, Debug, Default)]
struct Dir {
    durable: BTreeMap<String, usize>,
    visible: BTreeMap<String, usize>,
    pending: Vec<Name>,
}

#[derive(Clone, Debug)]
enum Name {
    Add(String, usize),
    Remove(String),
    /// One step: both or none.
    Move(String, String, usize),
}

impl FaultyDisk {
    /// An empty disk that does not fail yet.
    pub fn new(seed: u64) -> FaultyDisk {
        FaultyDisk(Arc::new(Mutex::new(State {
            rng: Dice::new(seed),
            calls: 0,
            plan: None,
            down: false,
            life: 0,
            forget: None,
            inodes: Vec::new(),
            dirs: BTreeMap::new(),
            trace: Vec::new(),
        })))
    }

    /// Lets the `nth` call from now fail (1 = the next one). Reads count too.
    pub fn fail_at(&self, nth: u64, fault: Fault) {
        let mut state = self.state();
        state.plan = Some((state.calls + nth, fault));
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// True from a [`Fault::Crash`] to the restart.
    pub fn is_down(&self) -> bool {
        self.state().down
    }

    /// The calls since the last restart, for a failing test to print.
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// A disk whose directory syncs do nothing: for showing that the tests notice.
    pub fn ignore_dir_syncs(&self) {
        self.forget("sync directory", "");
    }

    /// Changes of this kind ("sync", "sync directory", "rename", "remove", "set length of") on paths that contain `part` answer
    /// that all went well and do nothing, as if the code had forgotten them: for showing that the tests notice.
    pub fn forget(&self, what: &str, part: &str) {
        self.state().forget = Some((what.to_owned(), part.to_owned()));
    }

    /// The machine stops and comes back: open files are gone, and so is what `stop` takes away.
    pub fn restart(&self, stop: Stop) {
        let mut state = self.state();
        let State { rng, inodes, dirs, .. } = &mut *state;
        if stop != Stop::Kill {
            for inode in inodes.iter_mut() {
                inode.lose_power(rng, stop);
            }
            for dir in dirs.values_mut() {
                dir.lose_power(rng);
            }
        }
        state.down = false;
        state.plan = None;
        state.life += 1;
        state.trace.clear();
    }

    /// The bytes of a file, without counting as a call. For tests that look at or damage files.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.find(path).ok()?;
        Some(state.inodes[inode].visible.clone())
    }

    /// How many bytes of a file are durable for sure: nothing was written to it since its last sync below this offset.
    pub fn durable_len(&self, path: &Path) -> Option<u64> {
        let state = self.state();
        let inode = &state.inodes[state.find(path).ok()?];
        let first = inode.pending.iter().map(|write| match write {
            Write::Bytes(offset, _) => *offset,
            Write::Len(len) => *len,
        });
        Some(first.min().unwrap_or(inode.durable.len() as u64))
    }

    /// Puts a durable file there, without counting as a call.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode { durable: bytes.to_vec(), visible: bytes.to_vec(), pending: Vec::new() });
        let (dir, name) = split(path);
        let dir = state.dirs.entry(dir).or_default();
        dir.durable.insert(name.clone(), inode);
        dir.visible.insert(name, inode);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// Counts a call and decides its fate: `Ok(None)` = it works, `Ok(Some(fault))` = it fails, the caller does its part first.
    fn call(&self, what: &str, path: &Path) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let mut state = self.state();
        if state.down {
            return Err(crashed());
        }
        state.calls += 1;
        let fault = state.plan.filter(|(nth, _)| *nth == state.calls).map(|(_, fault)| fault);
        let number = state.calls;
        state.trace.push(format!("{number} {what} {}{}", path.display(), if fault.is_some() { " FAILS" } else { "" }));
        if fault == Some(Fault::Crash) {
            state.down = true;
        }
        Ok((state, fault))
    }

    /// A change of names. A crash may come before or after it.
    fn change(&self, what: &str, path: &Path, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let (mut state, fault) = self.call(what, path)?;
        if state.forgets(what, path) {
            return fault.map_or(Ok(()), |fault| Err(fault.error()));
        }
        match fault {
            None => change(&mut state),
            Some(Fault::Crash) => {
                if state.rng.below(2) == 1 {
                    change(&mut state)?;
                }
                Err(crashed())
            }
            Some(fault) => Err(fault.error()),
        }
    }

    /// A call that changes nothing.
    fn look<T>(&self, what: &str, path: &Path, look: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let (state, fault) = self.call(what, path)?;
        match fault {
            None => look(&state),
            // Reading needs no space.
            Some(Fault::DiskFull) => look(&state),
            Some(fault) => Err(fault.error()),
        }
    }

    fn handle(&self, inode: usize, life: u32, writable: bool) -> FaultyFile {
        FaultyFile { disk: self.clone(), inode, life, writable }
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        let mut made = (0, 0);
        self.change("create", path, |state| {
            let inode = state.inodes.len();
            state.inodes.push(Inode::default());
            state.rename_pending(path, Name::Add(split(path).1, inode))?;
            made = (inode, state.life);
            Ok(())
        })?;
        Ok(self.handle(made.0, made.1, true))
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        let (inode, life) = self.look("open", path, |state| Ok((state.find(path)?, state.life)))?;
        Ok(self.handle(inode, life, false))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<FaultyFile> {
        let (inode, life) = self.look("open to write", path, |state| Ok((state.find(path)?, state.life)))?;
        Ok(self.handle(inode, life, true))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.look("list", dir, |state| {
            let dir = state.dirs.get(dir).ok_or_else(not_found)?;
            let entry = |(name, inode): (&String, &usize)| Entry {
                name: name.clone(),
                len: state.inodes[*inode].visible.len() as u64,
            };
            Ok(dir.visible.iter().map(entry).collect())
        })
    }

    fn dir_exists(&self, dir: &Path) -> io::Result<bool> {
        self.look("stat", dir, |state| Ok(state.dirs.contains_key(dir)))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        // Directories are durable at once: they are made by hand or at the first start, before anything is acknowledged.
        self.change("mkdir", dir, |state| {
            for dir in dir.ancestors() {
                state.dirs.entry(dir.to_owned()).or_default();
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("sync directory", dir, |state| {
            let dir = state.dirs.get_mut(dir).ok_or_else(not_found)?;
            dir.durable = dir.visible.clone();
            dir.pending.clear();
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change("rename", to, |state| {
            let inode = state.find(from)?;
            state.rename_pending(to, Name::Move(split(from).1, split(to).1, inode))
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change("remove", path, |state| {
            state.find(path)?;
            state.rename_pending(path, Name::Remove(split(path).1))
        })
    }
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(self.writable, "a file opened for reading is not written");
        let (mut state, fault) = self.call("write")?;
        let len = match fault {
            None => bytes.len(),
            Some(Fault::Device) => 0,
            Some(Fault::Crash | Fault::DiskFull) => state.rng.below(bytes.len() as u64 + 1) as usize,
        };
        if len > 0 {
            state.inodes[self.inode].write(Write::Bytes(offset, bytes[..len].to_vec()));
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (state, fault) = self.call("read")?;
        match fault {
            None | Some(Fault::DiskFull) => {
                let bytes = state.inodes[self.inode].visible.get(offset as usize..).unwrap_or_default();
                let len = bytes.len().min(buffer.len());
                buffer[..len].copy_from_slice(&bytes[..len]);
                Ok(len)
            }
            Some(fault) => Err(fault.error()),
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        assert!(self.writable, "a file opened for reading is not written");
        let (mut state, fault) = self.call("set length of")?;
        if state.forgets("set length of", &state.path_of(self.inode)) {
            return fault.map_or(Ok(()), |fault| Err(fault.error()));
        }
        if fault.is_none() || (fault == Some(Fault::Crash) && state.rng.below(2) == 1) {
            state.inodes[self.inode].write(Write::Len(len));
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, fault) = self.call("sync")?;
        if state.forgets("sync", &state.path_of(self.inode)) {
            return fault.map_or(Ok(()), |fault| Err(fault.error()));
        }
        let kept = fault.is_none() || (fault == Some(Fault::Crash) && state.rng.below(2) == 1);
        let inode = &mut state.inodes[self.inode];
        if kept || fault == Some(Fault::Device) {
            for write in std::mem::take(&mut inode.pending) {
                if kept {
                    write.apply(&mut inode.durable);
                }
            }
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn len(&self) -> io::Result<u64> {
        let (state, fault) = self.call("stat")?;
        match fault {
            None | Some(Fault::DiskFull) => Ok(state.inodes[self.inode].visible.len() as u64),
            Some(fault) => Err(fault.error()),
        }
    }
}

impl FaultyFile {
    fn call(&self, what: &str) -> io::Result<(MutexGuard<'_, State>, Option<Fault>)> {
        let (state, fault) = self.disk.call(what, Path::new(&format!("inode {}", self.inode)))?;
        assert_eq!(self.life, state.life, "a handle does not survive a restart");
        Ok((state, fault))
    }
}

impl State {
    fn find(&self, path: &Path) -> io::Result<usize> {
        let (dir, name) = split(path);
        let dir = self.dirs.get(&dir).ok_or_else(not_found)?;
        dir.visible.get(&name).copied().ok_or_else(not_found)
    }

    fn forgets(&self, what: &str, path: &Path) -> bool {
        let forget = self.forget.as_ref();
        forget.is_some_and(|(kind, part)| kind == what && path.to_string_lossy().contains(part))
    }

    /// A name of an open file, for [`State::forgets`].
    fn path_of(&self, inode: usize) -> PathBuf {
        let named = |dir: &Dir| dir.visible.iter().find(|(_, of)| **of == inode).map(|(name, _)| name.clone());
        let found = self.forget.as_ref().and_then(|_| self.dirs.values().find_map(named));
        PathBuf::from(found.unwrap_or_default())
    }

    fn rename_pending(&mut self, path: &Path, name: Name) -> io::Result<()> {
        let dir = self.dirs.get_mut(&split(path).0).ok_or_else(not_found)?;
        name.apply(&mut dir.visible);
        dir.pending.push(name);
        Ok(())
    }
}

impl Inode {
    fn write(&mut self, write: Write) {
        write.apply(&mut self.visible);
        self.pending.push(write);
    }

    fn lose_power(&mut self, rng: &mut Dice, stop: Stop) {
        let pending = std::mem::take(&mut self.pending);
        match (stop, rng.below(4)) {
            (_, 0) => {}
            (_, 1) => pending.iter().for_each(|write| write.apply(&mut self.durable)),
            (Stop::PowerCutSectors, _) => {
                pending.iter().for_each(|write| write.apply_sectors(&mut self.durable, rng));
            }
            _ => self.keep_prefix(&pending, rng),
        }
        self.visible = self.durable.clone();
    }

    /// Some of the writes in order, the last of them cut at a byte.
    fn keep_prefix(&mut self, pending: &[Write], rng: &mut Dice) {
        let whole = rng.below(pending.len() as u64 + 1) as usize;
        pending[..whole].iter().for_each(|write| write.apply(&mut self.durable));
        if let Some(Write::Bytes(offset, bytes)) = pending.get(whole) {
            let len = rng.below(bytes.len() as u64 + 1) as usize;
            Write::Bytes(*offset, bytes[..len].to_vec()).apply(&mut self.durable);
        }
    }
}

impl Write {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Write::Bytes(_, bytes) if bytes.is_empty() => {}
            Write::Bytes(offset, bytes) => {
                let from = *offset as usize;
                let to = from + bytes.len();
                if content.len() < to {
                    content.resize(to, 0);
                }
                content[from..to].copy_from_slice(bytes);
            }
            Write::Len(len) => content.resize(*len as usize, 0),
        }
    }

    /// Each sector survives or not, on its own.
    fn apply_sectors(&self, content: &mut Vec<u8>, rng: &mut Dice) {
        let Write::Bytes(offset, bytes) = self else {
            if rng.below(2) == 1 {
                self.apply(content);
            }
            return;
        };
        let mut at = 0;
        while at < bytes.len() {
            let offset = *offset as usize + at;
            let len = (SECTOR_BYTES - offset % SECTOR_BYTES).min(bytes.len() - at);
            if rng.below(2) == 1 {
                Write::Bytes(offset as u64, bytes[at..at + len].to_vec()).apply(content);
            }
            at += len;
        }
    }
}

impl Dir {
    /// All, none, or any subset of the pending names, in order.
    fn lose_power(&mut self, rng: &mut Dice) {
        let mode = rng.below(4);
        for name in std::mem::take(&mut self.pending) {
            if mode == 1 || (mode > 1 && rng.below(2) == 1) {
                name.apply(&mut self.durable);
            }
        }
        self.visible = self.durable.clone();
    }
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Name::Add(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Name::Remove(name) => {
                names.remove(name);
            }
            Name::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Crash => crashed(),
            Fault::DiskFull => io::Error::new(io::ErrorKind::StorageFull, "no space left on device (simulated)"),
            Fault::Device => io::Error::other("Input/output error (simulated)"),
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("crashed (simulated)")
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn split(path: &Path) -> (PathBuf, String) {
    let dir = path.parent().map(Path::to_owned).unwrap_or_default();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (dir, name)
}
