//! What the log on disk can prove and supply (ensemble.md section 7.3, rules.md section 5): the spans of epochs without a
//! hole, found at boot; and a reader of their records.

mod reader;

pub use reader::{HistoryReader, HistoryRecord, history_bytes};

use crate::files::{logs, snapshots};
use crate::log::record_zxid;
use crate::{DataDirs, Disk, LogReader, StoreError};
use ostler_model::Zxid;
use std::collections::VecDeque;
use std::path::Path;

/// Consecutive transactions of one epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochSpan {
    /// All zxids of the span are of this epoch.
    pub epoch: u32,
    /// The first of them that the log holds.
    pub first: Zxid,
    /// The last, not below `first`.
    pub last: Zxid,
}

/// The part of the history that the log holds without a hole, up to its end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// The transactions in `(disk_from, end]` are all in the log, and `disk_from` itself is known to precede them: a learner
    /// that ends there can be served from the log. The end of the history if the log holds nothing of it.
    pub disk_from: Zxid,
    /// One for each epoch, ascending, each following the one before without a hole.
    pub spans: Vec<EpochSpan>,
}

impl History {
    /// True if a learner that ends at this zxid can be served from the log: it holds everything behind it.
    pub fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.disk_from || self.spans.iter().any(|span| (span.first..=span.last).contains(&zxid))
    }
}

/// Reads the logs backwards from `last`, the end of the history, until something does not fit or `bytes_max` were read.
pub(crate) fn scan<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    last: Zxid,
    bytes_max: u64,
    length_max: usize,
) -> Result<History, StoreError> {
    let mut spans: VecDeque<EpochSpan> = VecDeque::new();
    let mut bytes = 0;
    let mut older = false;
    for (_, entry) in logs(disk, dirs)?.iter().rev() {
        older = bytes > bytes_max;
        if older {
            break;
        }
        let path = dirs.logs().join(&entry.name);
        let file = disk.open(&path).map_err(StoreError::io("open", &path))?;
        let Some(run) = last_run(file, &path, length_max, &mut bytes)? else { continue };
        let fits = match spans.front() {
            None => run.end() == last,
            Some(span) => run.end().is_followed_by(span.first),
        };
        older = !fits;
        if older {
            break;
        }
        let whole = run.whole;
        for span in run.spans.into_iter().rev() {
            match spans.front_mut() {
                Some(front) if front.epoch == span.epoch => front.first = span.first,
                _ => spans.push_front(span),
            }
        }
        older = !whole;
        if older {
            break;
        }
    }
    let disk_from = match spans.front() {
        None => last,
        Some(span) => before(disk, dirs, span.first, older)?,
    };
    Ok(History { disk_from, spans: spans.into() })
}

/// The zxid known to precede the log's first record; the record itself if there is none. Inside an epoch every number is used
/// (INV-6). Before an epoch's first transaction only a snapshot tells what was there, and only if no `older` records lie
/// between the two.
fn before<D: Disk>(disk: &D, dirs: &DataDirs, first: Zxid, older: bool) -> Result<Zxid, StoreError> {
    if first.counter() > 1 {
        return Ok(Zxid(first.0 - 1));
    }
    if older {
        return Ok(first);
    }
    let newest_before = snapshots(disk, dirs)?.into_iter().map(|(zxid, _)| zxid).rfind(|zxid| *zxid < first);
    Ok(newest_before.filter(|zxid| zxid.is_followed_by(first)).unwrap_or(first))
}

/// The records at the end of a file that follow one another.
struct Run {
    spans: Vec<EpochSpan>,
    /// They are all of the file.
    whole: bool,
}

impl Run {
    fn end(&self) -> Zxid {
        self.spans.last().map_or(Zxid::ZERO, |span| span.last)
    }

    fn push(&mut self, zxid: Zxid) {
        let end = self.spans.last().map(|span| span.last);
        if end.is_some_and(|end| !end.is_followed_by(zxid)) {
            self.spans.clear();
            self.whole = false;
        }
        match self.spans.last_mut() {
            Some(span) if span.epoch == zxid.epoch() => span.last = zxid,
            _ => self.spans.push(EpochSpan { epoch: zxid.epoch(), first: zxid, last: zxid }),
        }
    }
}

/// `None`: the file holds no record.
fn last_run<F: crate::DiskFile>(
    file: F,
    path: &Path,
    length_max: usize,
    bytes: &mut u64,
) -> Result<Option<Run>, StoreError> {
    let mut run = Run { spans: Vec::new(), whole: true };
    let mut reader = match LogReader::open(file, path, length_max) {
        Err(StoreError::Corrupt { .. }) => return Ok(None),
        other => other?,
    };
    loop {
        match reader.next_record() {
            Ok(Some(record)) => match record_zxid(record.payload) {
                Some(zxid) => run.push(zxid),
                None => break,
            },
            // Damage ends the file as far as this is concerned: either the next file goes on there or it does not.
            Ok(None) | Err(StoreError::Corrupt { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    *bytes += reader.offset();
    Ok((!run.spans.is_empty()).then_some(run))
}
