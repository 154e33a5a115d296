//! From chunks to a named file: running checksum, compression, seals, fsync, rename, directory fsync.
//!
//! While it grows the file has a name that neither Apache nor [`crate::recover`] takes for a snapshot; recovery removes
//! leftovers.

use super::compress::Encoder;
use super::{Compression, TERMINATOR, encode_node, encode_snapshot_start, open};
use crate::names::{snapshot_name, unfinished_name};
use crate::{DataDirs, Disk, DiskFile, StoreError};
use ostler_model::Zxid;
use ostler_tree::Tree;
use ostler_wire::jute::{put_int, put_long};
use ostler_wire::txn::DIGEST_VERSION;
use simd_adler32::Adler32;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes handed to the disk at once.
const WRITE_BYTES: usize = 1 << 20;
/// Nodes of one step of [`write_snapshot`], which nobody waits for.
const STEP_NODES: usize = 4096;

/// How a snapshot is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotFormat {
    /// `zookeeper.snapshot.compression.method`.
    pub compression: Compression,
    /// Write the digest section (`digest.enabled`).
    pub digest_section: bool,
    /// Write the lastZxid section (`serializeLastProcessedZxid.enabled`).
    pub last_zxid_section: bool,
}

impl Default for SnapshotFormat {
    /// Apache's defaults.
    fn default() -> SnapshotFormat {
        SnapshotFormat { compression: Compression::None, digest_section: true, last_zxid_section: true }
    }
}

/// A snapshot being written.
pub struct SnapshotFile<D: Disk> {
    disk: D,
    dir: PathBuf,
    zxid: Zxid,
    name: String,
    /// Its name while it grows.
    unfinished: String,
    file: D::File,
    /// Bytes in the file.
    len: u64,
    format: SnapshotFormat,
    checksum: Adler32,
    encoder: Encoder,
}

/// A complete and durable snapshot without its name.
#[must_use = "a snapshot without its name is not found by recovery"]
#[derive(Debug)]
pub struct SealedSnapshot<D: Disk> {
    disk: D,
    dir: PathBuf,
    zxid: Zxid,
    unfinished: String,
    name: String,
    path: PathBuf,
    len: u64,
    end: Zxid,
}

impl<D: Disk> SnapshotFile<D> {
    /// Starts `snapshot.<zxid>` (`zxid` = [`ostler_tree::Walk::zxid`]).
    ///
    /// # Errors
    /// A failed disk call; the same holds for all methods. The leftover is removed by the next recovery.
    pub fn create(disk: &D, dirs: &DataDirs, zxid: Zxid, format: SnapshotFormat) -> Result<Self, StoreError> {
        let name = snapshot_name(zxid, format.compression);
        let unfinished = unfinished_name(&name);
        Self::create_as(disk, dirs, zxid, format, name, unfinished)
    }

    /// The same under an unfinished name of its own: a snapshot of the same zxid may be waiting for its name. No `number`
    /// is used twice in the life of a process.
    ///
    /// # Errors
    /// As [`SnapshotFile::create`].
    pub fn create_numbered(
        disk: &D,
        dirs: &DataDirs,
        zxid: Zxid,
        format: SnapshotFormat,
        number: u64,
    ) -> Result<Self, StoreError> {
        let name = snapshot_name(zxid, format.compression);
        let unfinished = unfinished_name(&format!("{number}.{name}"));
        Self::create_as(disk, dirs, zxid, format, name, unfinished)
    }

    /// The same for a snapshot that comes from the leader, under a name of its own until it is installed: one of this
    /// server's own may be under way at the same zxid.
    pub(crate) fn create_received(
        disk: &D,
        dirs: &DataDirs,
        zxid: Zxid,
        format: SnapshotFormat,
    ) -> Result<Self, StoreError> {
        let name = snapshot_name(zxid, format.compression);
        let unfinished = unfinished_name(&format!("received.{name}"));
        Self::create_as(disk, dirs, zxid, format, name, unfinished)
    }

    fn create_as(
        disk: &D,
        dirs: &DataDirs,
        zxid: Zxid,
        format: SnapshotFormat,
        name: String,
        unfinished: String,
    ) -> Result<Self, StoreError> {
        let dir = dirs.snapshots();
        let path = dir.join(&unfinished);
        let file = disk.create(&path).map_err(StoreError::io("create", path))?;
        Ok(SnapshotFile {
            disk: disk.clone(),
            dir,
            zxid,
            name,
            unfinished,
            file,
            len: 0,
            format,
            checksum: Adler32::new(),
            encoder: Encoder::new(format.compression),
        })
    }

    /// Appends encoded bytes: first those of [`crate::encode_snapshot_start`], then nodes, cut anywhere.
    ///
    /// # Errors
    /// As [`SnapshotFile::create`].
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        self.checksum.write(chunk);
        self.encoder.push(chunk).map_err(StoreError::io("compress", self.unfinished()))?;
        if self.encoder.output().len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Appends terminator, seals and sections and makes the file durable. `end` and `digest` are those of the tree when the
    /// walk was over.
    ///
    /// # Errors
    /// As [`SnapshotFile::create`].
    pub fn seal(mut self, end: Zxid, digest: i64) -> Result<SealedSnapshot<D>, StoreError> {
        self.write(&TERMINATOR)?;
        self.write_seal()?;
        if self.format.digest_section {
            let mut section = Vec::new();
            put_long(&mut section, end.0);
            put_int(&mut section, DIGEST_VERSION);
            put_long(&mut section, digest);
            self.write(&section)?;
            self.write_seal()?;
        }
        if self.format.last_zxid_section {
            self.write(&end.0.to_be_bytes())?;
            self.write_seal()?;
        }
        let unfinished = self.unfinished();
        self.encoder.finish().map_err(StoreError::io("compress", &unfinished))?;
        self.flush()?;
        self.file.sync().map_err(StoreError::io("sync", &unfinished))?;
        let path = self.dir.join(&self.name);
        Ok(SealedSnapshot {
            disk: self.disk,
            dir: self.dir,
            zxid: self.zxid,
            unfinished: self.unfinished,
            name: self.name,
            path,
            len: self.len,
            end,
        })
    }

    /// Throws the file away.
    ///
    /// # Errors
    /// As [`SnapshotFile::create`].
    pub fn discard(self) -> Result<(), StoreError> {
        let path = self.unfinished();
        self.disk.remove(&path).map_err(StoreError::io("remove", path))
    }

    fn write_seal(&mut self) -> Result<(), StoreError> {
        let checksum = i64::from(self.checksum.finish());
        self.write(&checksum.to_be_bytes())?;
        self.write(&TERMINATOR)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let path = self.unfinished();
        let bytes = self.encoder.output();
        self.file.write_at(self.len, bytes).map_err(StoreError::io("write", path))?;
        self.len += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    fn unfinished(&self) -> PathBuf {
        self.dir.join(&self.unfinished)
    }
}

impl<D: Disk> SealedSnapshot<D> {
    /// Gives the file its name, durably; a file of that name is replaced. Call it only once the log is durable up to
    /// [`SealedSnapshot::end`] (rules.md 1.6): the snapshot may contain what the log does not hold yet. Returns the length
    /// in bytes.
    ///
    /// # Errors
    /// A failed disk call; the same holds for [`SealedSnapshot::discard`].
    pub fn publish(self) -> Result<u64, StoreError> {
        let unfinished = self.dir.join(&self.unfinished);
        self.disk.rename(&unfinished, &self.path).map_err(StoreError::io("rename a snapshot to", &self.path))?;
        self.disk.sync_dir(&self.dir).map_err(StoreError::io("sync the directory", &self.dir))?;
        Ok(self.len)
    }

    /// Throws the file away.
    ///
    /// # Errors
    /// As [`SealedSnapshot::publish`].
    pub fn discard(self) -> Result<(), StoreError> {
        let unfinished = self.dir.join(&self.unfinished);
        self.disk.remove(&unfinished).map_err(StoreError::io("remove", &unfinished))
    }

    /// Length of the file, bytes.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// The zxid of its name.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The names it has and gets.
    pub(crate) fn into_names(self) -> (String, String) {
        (self.unfinished, self.name)
    }

    /// The tree's zxid at the end of the walk.
    pub fn end(&self) -> Zxid {
        self.end
    }

    /// The name it gets.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies a snapshot into another compression: the stream stays the same to the byte, and so its seals. The names tell
/// the compressions. `to` appears whole or not at all. Returns its length, bytes.
///
/// # Errors
/// A failed disk call; a source that does not decompress.
pub fn recompress_snapshot<D: Disk>(disk: &D, from: &Path, to: &Path) -> Result<u64, StoreError> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = to.parent().unwrap_or_else(|| Path::new("."));
    let unfinished = dir.join(unfinished_name(&name(to)));
    let source = disk.open(from).map_err(StoreError::io("open", from))?;
    let mut stream = open(&source, &name(from), Rc::default());
    let mut file = disk.create(&unfinished).map_err(StoreError::io("create", &unfinished))?;
    let mut encoder = Encoder::new(Compression::of_name(&name(to)));
    let (mut chunk, mut len, mut more) = (vec![0; WRITE_BYTES], 0, true);
    while more {
        let got = stream.read(&mut chunk).map_err(StoreError::io("read", from))?;
        more = got > 0;
        encoder.push(&chunk[..got]).map_err(StoreError::io("compress", &unfinished))?;
        if !more {
            encoder.finish().map_err(StoreError::io("compress", &unfinished))?;
        }
        let bytes = encoder.output();
        file.write_at(len, bytes).map_err(StoreError::io("write", &unfinished))?;
        len += bytes.len() as u64;
        bytes.clear();
    }
    file.sync().map_err(StoreError::io("sync", &unfinished))?;
    disk.rename(&unfinished, to).map_err(StoreError::io("rename a snapshot to", to))?;
    disk.sync_dir(dir).map_err(StoreError::io("sync the directory", dir))?;
    Ok(len)
}

/// Writes a whole snapshot in one go, for the boot and for tests: nobody else may need the tree meanwhile. Returns its path.
///
/// # Errors
/// A failed disk call.
pub fn write_snapshot<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    tree: &Tree,
    format: SnapshotFormat,
) -> Result<PathBuf, StoreError> {
    let mut walk = tree.walk();
    let mut file = SnapshotFile::create(disk, dirs, walk.zxid, format)?;
    let mut chunk = Vec::new();
    encode_snapshot_start(&mut chunk, &walk);
    loop {
        let last = walk.step(tree, STEP_NODES, |node| encode_node(&mut chunk, &node));
        file.write(&chunk)?;
        chunk.clear();
        if last {
            break;
        }
    }
    let sealed = file.seal(tree.zxid(), tree.digest())?;
    let path = sealed.path().to_owned();
    sealed.publish()?;
    Ok(path)
}
