//! Reading one log file (storage.md section 3.5): records until the end of what was written, and what that end looks like.
//!
//! The reader says what it met; whether an end is a torn tail or a hole depends on the other files and is decided by
//! `recover`.

use super::{EOR, HEADER_BYTES, MAGIC, RECORD_HEADER_BYTES, checksum};
use crate::{DiskFile, StoreError};
use std::path::{Path, PathBuf};

/// Bytes read from the disk at once: few at first, because most logs are short.
const READ_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=1 << 20;
/// What a disk writes as a whole: a write that a power cut lost leaves zeros in units of this.
const SECTOR_BYTES: u64 = 512;

/// One record of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Where its checksum begins.
    pub offset: u64,
    /// Header, body, digest.
    pub payload: &'a [u8],
}

/// How the records of a file end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// With the file.
    Clean,
    /// With zero padding (or a checksum whose length is zero: a record of which only the first bytes were written).
    Padding,
    /// With a record that the file is too short for.
    Truncated,
    /// With a record whose end mark is missing.
    NoEndMark,
    /// With a record whose checksum does not match and that contains a whole disk sector of zeros: what a power cut leaves
    /// of a long record if the disk wrote its end first. Not distinguishable from damage unless nothing follows.
    LostSector,
}

/// A log file being read.
#[derive(Debug)]
pub struct LogReader<F> {
    file: F,
    path: PathBuf,
    length_max: usize,
    buffer: Vec<u8>,
    /// Position of the next record in `buffer`.
    start: usize,
    /// Valid bytes of `buffer`.
    filled: usize,
    /// Offset of `buffer[0]` in the file.
    base: u64,
    end: End,
    /// Bytes of the unfinished record that the end belongs to.
    end_extent: u64,
    /// The payload of the last record, in `buffer`.
    payload: std::ops::Range<usize>,
}

impl<F: DiskFile> LogReader<F> {
    /// Checks the header. Payloads above `length_max` are refused.
    ///
    /// # Errors
    /// Too short, not a log, or unreadable.
    pub fn open(file: F, path: &Path, length_max: usize) -> Result<Self, StoreError> {
        let mut reader = LogReader {
            file,
            path: path.to_owned(),
            length_max,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            base: 0,
            end: End::Clean,
            end_extent: 0,
            payload: 0..0,
        };
        let have = reader.fill(HEADER_BYTES as usize)?;
        if have < HEADER_BYTES as usize {
            let hint = "if it is the newest log, the server stopped while creating it and it holds no transaction: move it away";
            return Err(reader.corrupt(0, format!("{have} bytes are no log header"), hint));
        }
        if reader.buffer[..4] != MAGIC {
            let magic = u32::from_be_bytes(reader.array(0));
            return Err(reader.corrupt(0, format!("it begins with {magic:#010x}, not with ZKLG"), RESTORE));
        }
        reader.start = HEADER_BYTES as usize;
        Ok(reader)
    }

    /// The next record, `None` at the end (see [`LogReader::end`]).
    ///
    /// # Errors
    /// Damage that no torn write explains: a wrong checksum, an impossible length; or the file cannot be read.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, StoreError> {
        let offset = self.offset();
        let have = self.fill(RECORD_HEADER_BYTES)?;
        if have < RECORD_HEADER_BYTES {
            let end = if have == 0 { End::Clean } else { End::Truncated };
            return Ok(self.ends(end, have));
        }
        let expected = u64::from_be_bytes(self.array(0));
        let len = i32::from_be_bytes(self.array(8));
        if len == 0 {
            return Ok(self.ends(End::Padding, RECORD_HEADER_BYTES));
        }
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= self.length_max) else {
            let why = format!("a record of {len} bytes cannot be (at most {} are allowed)", self.length_max);
            return Err(self.corrupt(offset, why, LENGTH));
        };
        let whole = RECORD_HEADER_BYTES + len + 1;
        let have = self.fill(whole)?;
        if have < whole {
            return Ok(self.ends(End::Truncated, have));
        }
        let payload = self.start + RECORD_HEADER_BYTES..self.start + RECORD_HEADER_BYTES + len;
        if self.buffer[payload.end] != EOR {
            return Ok(self.ends(End::NoEndMark, whole));
        }
        let actual = u64::from(checksum(&self.buffer[payload.clone()]));
        if actual != expected {
            if has_zero_sector(&self.buffer[payload.clone()], self.base + payload.start as u64) {
                return Ok(self.ends(End::LostSector, whole));
            }
            let why = format!("the record's checksum is {expected:#x}, its bytes have {actual:#x}");
            return Err(self.corrupt(offset, why, RESTORE));
        }
        self.start += whole;
        self.payload = payload.clone();
        Ok(Some(Record { offset, payload: &self.buffer[payload] }))
    }

    /// The payload of the record that [`LogReader::next_record`] returned last.
    pub(crate) fn last_payload(&self) -> &[u8] {
        &self.buffer[self.payload.clone()]
    }

    /// How the records ended; meaningful once [`LogReader::next_record`] returned `None`.
    pub fn end(&self) -> End {
        self.end
    }

    /// True if the records ended inside one that was begun.
    pub(crate) fn ends_torn(&self) -> bool {
        matches!(self.end, End::Truncated | End::NoEndMark | End::LostSector)
    }

    /// Where the next record begins, or would.
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Whether bytes other than zero lie behind the end and the unfinished record it belongs to: then something is there that
    /// a torn write does not explain. Returns the offset of the first. Reads the rest of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn bytes_behind_end(&mut self) -> Result<Option<u64>, StoreError> {
        let mut offset = self.offset() + self.end_extent;
        let mut chunk = vec![0; *READ_BYTES.start()];
        loop {
            let got = self.file.read_at(offset, &mut chunk).map_err(StoreError::io("read", &self.path))?;
            if got == 0 {
                return Ok(None);
            }
            if let Some(at) = chunk[..got].iter().position(|byte| *byte != 0) {
                return Ok(Some(offset + at as u64));
            }
            offset += got as u64;
            chunk.resize((chunk.len() * 2).min(*READ_BYTES.end()), 0);
        }
    }

    /// Whether a lost write explains that the record at `offset` cannot be read: one of the sectors that it lies in, or should,
    /// holds nothing but zeros from there on, as it did before the write. (Logs only grow, into zeros.) Anything else is
    /// damage to what was there.
    pub(crate) fn is_lost_write(&self, offset: u64) -> Result<bool, StoreError> {
        let mut head = [0; RECORD_HEADER_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            let at = offset + filled as u64;
            let got = self.file.read_at(at, &mut head[filled..]).map_err(StoreError::io("read", &self.path))?;
            if got == 0 {
                // The file ends inside: the length was lost, too.
                return Ok(true);
            }
            filled += got;
        }
        let len = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let len = usize::try_from(len).ok().filter(|len| *len <= self.length_max).unwrap_or(0);
        let end = (offset + (RECORD_HEADER_BYTES + len + 1) as u64).next_multiple_of(SECTOR_BYTES);
        let mut at = offset;
        while at < end {
            let sector_end = (at + 1).next_multiple_of(SECTOR_BYTES);
            let mut sector = vec![0; (sector_end - at) as usize];
            let got = self.file.read_at(at, &mut sector).map_err(StoreError::io("read", &self.path))?;
            if sector[..got].iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = sector_end;
        }
        Ok(false)
    }

    /// Ends the file at `offset`, durably. It must have been opened for writing, and nothing is read any more.
    pub(crate) fn cut(mut self, offset: u64) -> Result<(), StoreError> {
        self.file.set_len(offset).map_err(StoreError::io("cut", &self.path))?;
        self.sync()
    }

    /// Makes what was read durable: it may have been in memory only when the writer died.
    ///
    /// # Errors
    /// As [`DiskFile::sync`].
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync().map_err(StoreError::io("sync", &self.path))
    }

    /// Writes the last `bytes_max` bytes of records once more, the same over the same. After a sync that failed the system
    /// takes them for written and shows them, but the disk may not have them: only a new write makes it try again.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`]; the file must have been opened for writing.
    pub fn write_again(&mut self, bytes_max: u64) -> Result<(), StoreError> {
        let end = self.offset();
        let mut at = end.saturating_sub(bytes_max).max(HEADER_BYTES);
        let mut chunk = vec![0; (end - at).min(*READ_BYTES.end() as u64) as usize];
        while at < end {
            let want = (end - at).min(chunk.len() as u64) as usize;
            let got = self.file.read_at(at, &mut chunk[..want]).map_err(StoreError::io("read", &self.path))?;
            if got == 0 {
                let why = format!("the file became shorter than {end} bytes while it was read");
                return Err(self.corrupt(at, why, "another program writes to it: stop that first"));
            }
            self.file.write_at(at, &chunk[..got]).map_err(StoreError::io("write", &self.path))?;
            at += got as u64;
        }
        Ok(())
    }

    /// An error about this file.
    pub(crate) fn corrupt(&self, offset: u64, why: String, hint: &'static str) -> StoreError {
        StoreError::Corrupt { file: self.path.clone(), offset, why, hint }
    }

    fn ends<T>(&mut self, end: End, extent: usize) -> Option<T> {
        self.end = end;
        self.end_extent = extent as u64;
        None
    }

    /// `N` bytes at `at` behind the next record's start, which must have been filled.
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let from = self.start + at;
        self.buffer[from..from + N].try_into().expect("a range of N bytes")
    }

    /// Reads until `want` bytes from `start` on are in the buffer, or the file ends; returns how many are.
    fn fill(&mut self, want: usize) -> Result<usize, StoreError> {
        while self.filled - self.start < want {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.base += self.start as u64;
            self.filled -= self.start;
            self.start = 0;
            let size = (self.buffer.len() * 2).clamp(*READ_BYTES.start(), *READ_BYTES.end());
            self.buffer.resize(size.max(want).max(self.buffer.len()), 0);
            let at = self.base + self.filled as u64;
            let got =
                self.file.read_at(at, &mut self.buffer[self.filled..]).map_err(StoreError::io("read", &self.path))?;
            if got == 0 {
                break;
            }
            self.filled += got;
        }
        Ok((self.filled - self.start).min(want))
    }
}

/// Hints of [`StoreError::Corrupt`].
pub(crate) const RESTORE: &str =
    "restore the file from a backup or from another server; nothing is cut from it on its own";
pub(crate) const LENGTH: &str = "if it was written under a larger jute.maxbuffer, raise jute.maxbuffer; otherwise restore the file from a backup or from another server";

fn has_zero_sector(bytes: &[u8], offset: u64) -> bool {
    let skip = (offset.next_multiple_of(SECTOR_BYTES) - offset) as usize;
    bytes.get(skip..).is_some_and(|aligned| {
        aligned.chunks_exact(SECTOR_BYTES as usize).any(|sector| sector.iter().all(|byte| *byte == 0))
    })
}
