//! Writing: records are buffered by [`Log::append`] and durable after [`Log::commit`]: many records, one write, one sync.
//!
//! A log never appends to an existing file: every start and every roll begins a new one, named after its first record.
//! Two orders protect against power cuts: a file gets its name only when its header is durable, so that no file with
//! half a header is ever found; and it is synced before the next one is created, so that no later file can survive
//! without the end of the earlier one. After any error the log refuses everything: what the disk holds is then
//! unknown, and a second fsync that succeeds proves nothing.

use super::{EOR, HEADER_BYTES, RECORD_HEADER_BYTES, checksum, header};
use crate::names::{log_name, unfinished_name};
use crate::{Disk, DiskFile, StoreError};
use ostler_model::Dice;
use ostler_model::Zxid;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A file grows by another preallocation when less than this is left of it (storage.md section 3.3).
const PREALLOCATE_MARGIN_BYTES: u64 = 4096;

/// Zeros are written this far ahead of the records, within the preallocation: a sync then finds blocks that exist,
/// and has no block map or inode to write beside the data. Measured: 210 us for a sync instead of 250 to 700, and a
/// third less CPU time (docs/performance.md).
const ZERO_AHEAD_BYTES: usize = 1 << 20;
static ZEROS: [u8; ZERO_AHEAD_BYTES] = [0; ZERO_AHEAD_BYTES];

/// The settings of a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `dataLogDir/version-2`, existing.
    pub dir: PathBuf,
    /// `preAllocSize` in bytes (default 64 MiB); 0 = no preallocation.
    pub preallocate_bytes: u64,
    /// `forceSync`: false = commit does not sync.
    pub force_sync: bool,
    /// `snapCount`: about so many records between snapshots (values below 2 count as 2).
    pub snap_count: u32,
    /// `snapSizeLimitInKb` in bytes: about so many log bytes between snapshots; 0 = off.
    pub snap_size_limit_bytes: u64,
    /// `txnLogSizeLimitInKb` in bytes: a file longer than this is followed by a new one; 0 = off.
    pub file_size_limit_bytes: u64,
    /// Seed of the randomised triggers, so that the members of an ensemble do not all take snapshots at once.
    pub seed: u64,
}

impl LogConfig {
    /// Apache's defaults.
    pub fn new(dir: PathBuf, seed: u64) -> LogConfig {
        LogConfig {
            dir,
            preallocate_bytes: 64 << 20,
            force_sync: true,
            snap_count: 100_000,
            snap_size_limit_bytes: 4 << 30,
            file_size_limit_bytes: 0,
            seed,
        }
    }
}

/// What an append brought about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Appended {
    /// The record was the last of its file; a snapshot should be taken (in the background).
    pub snapshot_due: bool,
}

/// What a commit did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Everything up to here is durable (with `force_sync`). `None`: nothing was ever appended.
    pub last: Option<Zxid>,
    /// Records made durable since the previous commit.
    pub records: usize,
    /// How long syncing took, syncs of rolled files included (zero with `force_sync` off and for an empty commit).
    pub sync_time: Duration,
    /// Length of the current file, preallocation included (for the slow-fsync warning).
    pub file_bytes: u64,
}

/// The file being written.
#[derive(Debug)]
struct Open<F> {
    file: F,
    path: PathBuf,
    /// Where the next record goes.
    end: u64,
    /// Length, preallocation included.
    len: u64,
    /// Up to here there are records or written zeros; a hole from here to `len`.
    zeroed: u64,
}

/// When the next snapshot is due (storage.md section 3.4).
#[derive(Debug)]
struct Trigger {
    rng: Dice,
    records: u64,
    records_max: u64,
    /// Bytes of files that were rolled by size since the last snapshot.
    rolled_bytes: u64,
    bytes_max: u64,
}

/// The log of a running server.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    config: LogConfig,
    open: Option<Open<D::File>>,
    /// Framed records that are not in the file yet.
    buffer: Vec<u8>,
    trigger: Trigger,
    last: Option<Zxid>,
    /// Each record must follow the one before directly.
    adjacent: bool,
    /// Records since the last commit.
    records: usize,
    sync_time: Duration,
    failed: bool,
}

impl<D: Disk> Log<D> {
    /// Touches nothing yet: the file is created by the first append.
    pub fn new(disk: D, config: LogConfig) -> Log<D> {
        let mut trigger =
            Trigger { rng: Dice::new(config.seed), records: 0, records_max: 0, rolled_bytes: 0, bytes_max: 0 };
        trigger.reset(&config);
        Log {
            disk,
            config,
            open: None,
            buffer: Vec::new(),
            trigger,
            last: None,
            adjacent: false,
            records: 0,
            sync_time: Duration::ZERO,
            failed: false,
        }
    }

    /// The log of an ensemble member whose history ends at `last`: every record must follow directly. `None`: the member has no
    /// history that it may go on with, and appends nothing before [`Log::install`].
    pub fn after(disk: D, config: LogConfig, last: Option<Zxid>) -> Log<D> {
        Log { last, adjacent: true, ..Log::new(disk, config) }
    }

    /// The settings.
    pub fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Adds a record (`payload` = header, body, digest as `ostler_wire::txn::encode` makes them) under `zxid`. It is
    /// durable only after [`Log::commit`]. The first record of a file creates it; the record that makes a snapshot due
    /// writes and syncs its file.
    ///
    /// # Errors
    /// Any failed disk call; after that every call answers [`StoreError::LogFailed`].
    ///
    /// # Panics
    /// If `zxid` is not above that of the record before (in the log of a member: does not follow it directly), or the
    /// payload is empty: all of that would make the log unreadable.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) -> Result<Appended, StoreError> {
        assert!(self.last.is_none_or(|last| last < zxid), "log records come in the order of their zxids");
        assert!(
            !self.adjacent || self.last.is_some_and(|last| last.is_followed_by(zxid)),
            "the history of a member has no holes"
        );
        assert!(!payload.is_empty(), "an empty record would read as the end of the log");
        self.check()?;
        self.last = Some(zxid);
        let result = self.append_checked(zxid, payload);
        self.failed = result.is_err();
        result
    }

    /// Writes and syncs everything appended.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn commit(&mut self) -> Result<Commit, StoreError> {
        self.check()?;
        let result = self.commit_checked();
        self.failed = result.is_err();
        result
    }

    /// Bytes appended and not yet handed to the disk.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// What was appended and not committed is not wanted any more.
    pub(crate) fn forget_buffer(&mut self) {
        self.buffer.clear();
        self.records = 0;
    }

    /// Runs a change of the files on disk. If it says where the history ends now, the current file is left and the next
    /// record begins a new one behind that. Nothing may be buffered.
    pub(crate) fn change_history<T>(
        &mut self,
        change: impl FnOnce(&D) -> Result<(T, Option<Zxid>), StoreError>,
    ) -> Result<T, StoreError> {
        self.check()?;
        assert!(self.buffer.is_empty(), "records that wait for the disk would be written behind the change");
        match change(&self.disk) {
            Ok((result, end)) => {
                if end.is_some() {
                    self.open = None;
                    self.last = end;
                }
                Ok(result)
            }
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.failed { Err(StoreError::LogFailed) } else { Ok(()) }
    }

    fn append_checked(&mut self, zxid: Zxid, payload: &[u8]) -> Result<Appended, StoreError> {
        if self.open.is_none() {
            self.open = Some(self.create_file(zxid)?);
        }
        frame(&mut self.buffer, payload);
        self.records += 1;
        self.trigger.records += 1;
        let file_bytes = self.file_bytes();
        let snapshot_due = self.trigger.is_due(&self.config, file_bytes);
        if snapshot_due {
            self.roll()?;
            self.trigger.reset(&self.config);
        }
        Ok(Appended { snapshot_due })
    }

    fn commit_checked(&mut self) -> Result<Commit, StoreError> {
        let file_bytes = if self.buffer.is_empty() {
            self.file_bytes()
        } else {
            self.write()?;
            self.sync()?;
            let file_bytes = self.file_bytes();
            let limit = self.config.file_size_limit_bytes;
            if limit > 0 && file_bytes > limit {
                self.trigger.rolled_bytes += file_bytes;
                self.open = None;
            }
            file_bytes
        };
        let records = std::mem::take(&mut self.records);
        let sync_time = std::mem::take(&mut self.sync_time);
        Ok(Commit { last: self.last, records, sync_time, file_bytes })
    }

    /// Ends the current file. It must be durable before the next one exists.
    fn roll(&mut self) -> Result<(), StoreError> {
        self.write()?;
        self.sync()?;
        self.open = None;
        Ok(())
    }

    /// A new file under its name, header and length durable, ready for records.
    fn create_file(&mut self, first: Zxid) -> Result<Open<D::File>, StoreError> {
        let name = log_name(first);
        let path = self.config.dir.join(&name);
        let unfinished = self.config.dir.join(unfinished_name(&name));
        let header = header();
        let len = HEADER_BYTES + self.config.preallocate_bytes;
        let mut file = self.disk.create(&unfinished).map_err(StoreError::io("create", &unfinished))?;
        file.write_at(0, &header).map_err(StoreError::io("write", &unfinished))?;
        file.set_len(len).map_err(StoreError::io("extend", &unfinished))?;
        file.sync().map_err(StoreError::io("sync", &unfinished))?;
        self.disk.rename(&unfinished, &path).map_err(StoreError::io("rename a new log to", &path))?;
        self.disk.sync_dir(&self.config.dir).map_err(StoreError::io("sync the directory", &self.config.dir))?;
        Ok(Open { file, path, end: HEADER_BYTES, len, zeroed: HEADER_BYTES })
    }

    /// Hands the buffer to the disk.
    fn write(&mut self) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let end = open.end + self.buffer.len() as u64;
        let step = self.config.preallocate_bytes;
        if step > 0 && end + PREALLOCATE_MARGIN_BYTES >= open.len {
            let missing = end + PREALLOCATE_MARGIN_BYTES + 1 - open.len;
            let len = open.len + missing.div_ceil(step) * step;
            open.file.set_len(len).map_err(StoreError::io("extend", &open.path))?;
            open.len = len;
        }
        open.file.write_at(open.end, &self.buffer).map_err(StoreError::io("write", &open.path))?;
        open.end = end;
        open.len = open.len.max(end);
        self.buffer.clear();
        if end >= open.zeroed && end < open.len {
            let count = (open.len - end).min(ZERO_AHEAD_BYTES as u64);
            open.file.write_at(end, &ZEROS[..count as usize]).map_err(StoreError::io("write", &open.path))?;
            open.zeroed = end + count;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if self.config.force_sync {
            let start = Instant::now();
            open.file.sync().map_err(StoreError::io("sync", &open.path))?;
            self.sync_time += start.elapsed();
        }
        Ok(())
    }

    fn file_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.len.max(open.end + self.buffer.len() as u64))
    }
}

impl Trigger {
    fn is_due(&self, config: &LogConfig, file_bytes: u64) -> bool {
        self.records > self.records_max
            || (config.snap_size_limit_bytes > 0 && self.rolled_bytes + file_bytes > self.bytes_max)
    }

    /// Half of each limit, and a random part of the other half.
    fn reset(&mut self, config: &LogConfig) {
        let records = u64::from(config.snap_count.max(2)) / 2;
        let bytes = config.snap_size_limit_bytes / 2;
        self.records = 0;
        self.rolled_bytes = 0;
        self.records_max = records + self.rng.below(records);
        self.bytes_max = bytes + self.rng.below(bytes);
    }
}

/// Appends one framed record: checksum, length, payload, end mark.
fn frame(out: &mut Vec<u8>, payload: &[u8]) {
    let len = i32::try_from(payload.len()).expect("a record is bounded by the frame that asked for it");
    out.reserve(payload.len() + RECORD_HEADER_BYTES + 1);
    out.extend_from_slice(&u64::from(checksum(payload)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(EOR);
}
