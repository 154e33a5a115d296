//! Reading the records behind a zxid across files, each directly following the one before: a hole is an error, never
//! joined over. Files are opened when their turn comes.

use super::{HEADER_BYTES, LogReader, RESTORE, record_zxid};
use crate::files::{logs, retain_after};
use crate::{DataDirs, Disk, StoreError};
use ostler_model::Zxid;
use std::collections::VecDeque;
use std::path::PathBuf;

/// What [`Chain::advance`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A record that follows; see [`Chain::payload`].
    Record(Zxid),
    /// What follows directly lies above the upper bound.
    Beyond,
    /// The records end.
    End,
}

/// The records in `(after, upto]`.
#[derive(Debug)]
pub(crate) struct Chain<D: Disk> {
    disk: D,
    dir: PathBuf,
    /// Names of the files that were not opened yet, oldest first.
    files: VecDeque<(Zxid, String)>,
    reader: Option<(PathBuf, LogReader<D::File>)>,
    /// The end of the history so far.
    last: Zxid,
    upto: Zxid,
    /// The last record before the first one that was wanted.
    skipped: Option<Zxid>,
    length_max: usize,
}

impl<D: Disk> Chain<D> {
    /// Lists the files and opens none.
    pub(crate) fn new(
        disk: &D,
        dirs: &DataDirs,
        after: Zxid,
        upto: Zxid,
        length_max: usize,
    ) -> Result<Chain<D>, StoreError> {
        let mut files = logs(disk, dirs)?;
        retain_after(&mut files, after);
        Ok(Chain {
            disk: disk.clone(),
            dir: dirs.logs(),
            files: files.into_iter().map(|(zxid, entry)| (zxid, entry.name)).collect(),
            reader: None,
            last: after,
            upto,
            skipped: None,
            length_max,
        })
    }

    /// The last record that was read, at first the zxid to begin behind.
    pub(crate) fn last(&self) -> Zxid {
        self.last
    }

    /// The highest zxid that was met and not above the one to begin behind, or a repetition.
    pub(crate) fn skipped(&self) -> Option<Zxid> {
        self.skipped
    }

    /// The payload of the record that [`Chain::advance`] came to.
    pub(crate) fn payload(&self) -> &[u8] {
        self.reader.as_ref().map_or(&[], |(_, reader)| reader.last_payload())
    }

    /// Goes to the next record. At [`Step::Beyond`] and [`Step::End`] there is nothing more to ask.
    ///
    /// # Errors
    /// A hole, damage, or a file that cannot be read.
    pub(crate) fn advance(&mut self) -> Result<Step, StoreError> {
        loop {
            let Some((path, reader)) = &mut self.reader else {
                match self.files.pop_front() {
                    None => return Ok(Step::End),
                    Some((zxid, name)) if !self.open(zxid, &name)? => return Ok(Step::Beyond),
                    Some(_) => continue,
                }
            };
            let Some(record) = reader.next_record()? else {
                self.reader = None;
                continue;
            };
            let (offset, len) = (record.offset, record.payload.len());
            let Some(zxid) = record_zxid(record.payload) else {
                return Err(reader.corrupt(offset, format!("a record of {len} bytes is too short"), RESTORE));
            };
            if zxid <= self.last {
                self.skipped = self.skipped.max(Some(zxid));
                continue;
            }
            if !self.last.is_followed_by(zxid) {
                return Err(StoreError::Gap { file: path.clone(), offset, last: self.last, next: zxid, why: None });
            }
            if zxid > self.upto {
                return Ok(Step::Beyond);
            }
            self.last = zxid;
            return Ok(Step::Record(zxid));
        }
    }

    /// Opens a file; false if everything in it lies above the upper bound. Its name promises its first record, even if that
    /// was never written.
    fn open(&mut self, zxid: Zxid, name: &str) -> Result<bool, StoreError> {
        let path = self.dir.join(name);
        if zxid > self.last && !self.last.is_followed_by(zxid) {
            return Err(StoreError::Gap { file: path, offset: HEADER_BYTES, last: self.last, next: zxid, why: None });
        }
        if zxid > self.upto {
            return Ok(false);
        }
        let file = self.disk.open(&path).map_err(StoreError::io("open", &path))?;
        let reader = LogReader::open(file, &path, self.length_max)?;
        self.reader = Some((path, reader));
        Ok(true)
    }
}
