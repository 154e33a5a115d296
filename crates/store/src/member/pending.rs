//! Changes of the history that take many disk calls, made all or nothing.
//!
//! Truncating and installing remove several files, and no order of removals leaves only the old or the new history at
//! every moment. So what is about to happen is written down first, durably, in one file; whoever finds that file at boot
//! does the rest. Every step can be repeated. The removals still go in the order that leaves Apache, should it start on the
//! directory in between, a history without holes: snapshots first, then logs from the newest to the oldest.
//!
//! The file lists the logs and snapshots that were there. If newer ones have appeared, another server (Apache) has gone on with
//! the directory since: then what was begun is none of today's business, and the file is removed with a warning.

use crate::files::{logs, snapshots};
use crate::log::{LogReader, record_zxid};
use crate::snapshot::end_zxid;
use crate::{DataDirs, Disk, Entry, StoreError, atomic, log_zxid, snapshot_zxid};
use ostler_model::Zxid;
use std::path::Path;

/// The file, in the snapshot directory; Apache takes no notice of it.
const NAME: &str = "ostler.pending";
/// Its first line.
const TITLE: &str = "ostler pending 1";
/// Its last line.
const END: &str = "end";
/// Far more than a directory of logs and snapshots needs.
const FILE_BYTES_MAX: usize = 16 << 20;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Pending {
    /// Remove every snapshot and every record beyond this zxid.
    Truncate(Zxid),
    /// Give the finished snapshot `unfinished` its `name`, and remove all other snapshots and all logs.
    Install {
        /// As it is called now.
        unfinished: String,
        /// As it will be called.
        name: String,
    },
}

/// Writes down what is to be done, then does it. After an error the next [`finish`] does the rest.
pub(crate) fn run<D: Disk>(disk: &D, dirs: &DataDirs, pending: &Pending, length_max: usize) -> Result<(), StoreError> {
    let dir = dirs.snapshots();
    // The snapshot to be installed must not vanish behind the promise to install it.
    atomic::sync_dir(disk, &dir)?;
    atomic::sync_dir(disk, &dirs.logs())?;
    let had: Vec<String> = names(disk, dirs)?;
    atomic::write(disk, &dir, NAME, pending.to_text(&had).as_bytes())?;
    apply(disk, dirs, pending, length_max)
}

/// Does what an interrupted [`run`] left undone.
pub(crate) fn finish<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    length_max: usize,
    warnings: &mut Vec<String>,
) -> Result<(), StoreError> {
    let dir = dirs.snapshots();
    let path = dir.join(NAME);
    let Some(bytes) = atomic::read(disk, &path, FILE_BYTES_MAX)? else { return Ok(()) };
    let Some((pending, had)) = Pending::of_text(&bytes) else {
        return Err(StoreError::Corrupt {
            file: path,
            offset: 0,
            why: "it does not say which change of the files is under way".to_owned(),
            hint: "another program wrote to it; empty the data directories (keep myid) and let the server copy everything from the leader",
        });
    };
    // It may have been seen in memory only.
    atomic::sync_dir(disk, &dir)?;
    let present = names(disk, dirs)?;
    // A purged file that came back with the power is older than what was there.
    let newest = had.iter().filter_map(|name| zxid_of(name)).max();
    let is_new = |name: &&String| zxid_of(name) > newest && !pending.is_result(name);
    let foreign = present.iter().find(is_new);
    if let Some(foreign) = foreign {
        warnings.push(format!(
            "{} was left by an interrupted {pending}, but {foreign} was written since: it is removed and nothing else is done",
            path.display()
        ));
        atomic::remove(disk, &path)?;
        return atomic::sync_dir(disk, &dir);
    }
    apply(disk, dirs, &pending, length_max)?;
    warnings.push(format!("an interrupted {pending} was completed"));
    Ok(())
}

fn apply<D: Disk>(disk: &D, dirs: &DataDirs, pending: &Pending, length_max: usize) -> Result<(), StoreError> {
    match pending {
        Pending::Truncate(to) => {
            remove_snapshots_beyond(disk, dirs, *to)?;
            cut_logs(disk, dirs, *to, length_max)?;
        }
        Pending::Install { unfinished, name } => {
            let dir = dirs.snapshots();
            let (from, to) = (dir.join(unfinished), dir.join(name));
            // It has its name already if this is a repetition.
            let entries = disk.list(&dir).map_err(StoreError::io("list the directory", &dir))?;
            if entries.iter().any(|entry| entry.name == *unfinished) {
                disk.rename(&from, &to).map_err(StoreError::io("rename a snapshot to", &to))?;
                atomic::sync_dir(disk, &dir)?;
            }
            remove_all_but(disk, dirs, name)?;
        }
    }
    let dir = dirs.snapshots();
    atomic::remove(disk, &dir.join(NAME))?;
    atomic::sync_dir(disk, &dir)
}

/// Those named beyond `to`, and those that were still being written when a later transaction was applied: they may contain
/// parts of it.
fn remove_snapshots_beyond<D: Disk>(disk: &D, dirs: &DataDirs, to: Zxid) -> Result<(), StoreError> {
    let dir = dirs.snapshots();
    for (zxid, entry) in snapshots(disk, dirs)?.into_iter().rev() {
        let path = dir.join(&entry.name);
        if is_snapshot_beyond(disk, &path, zxid, to)? {
            atomic::remove(disk, &path)?;
        }
    }
    atomic::sync_dir(disk, &dir)
}

/// Whether a snapshot contains, or may contain, anything of a transaction above `to`.
pub(crate) fn is_snapshot_beyond<D: Disk>(disk: &D, path: &Path, zxid: Zxid, to: Zxid) -> Result<bool, StoreError> {
    Ok(zxid > to || end_zxid(disk, path)?.is_some_and(|end| end > to))
}

fn cut_logs<D: Disk>(disk: &D, dirs: &DataDirs, to: Zxid, length_max: usize) -> Result<(), StoreError> {
    let dir = dirs.logs();
    let logs = logs(disk, dirs)?;
    for (_, entry) in logs.iter().rev().filter(|(zxid, _)| *zxid > to) {
        atomic::remove(disk, &dir.join(&entry.name))?;
    }
    let kept: Vec<&(Zxid, Entry)> = logs.iter().filter(|(zxid, _)| *zxid <= to).collect();
    let newest = kept.last().map(|(zxid, _)| *zxid);
    for (zxid, entry) in kept.into_iter().rev() {
        cut_log(disk, &dir.join(&entry.name), to, Some(*zxid) == newest, length_max)?;
    }
    atomic::sync_dir(disk, &dir)
}

/// Ends a log before its first record beyond `to`. What cannot be read in the newest file lies beyond it, too: the history
/// up to `to` was read before.
fn cut_log<D: Disk>(disk: &D, path: &Path, to: Zxid, newest: bool, length_max: usize) -> Result<(), StoreError> {
    let file = disk.open_to_write(path).map_err(StoreError::io("open", path))?;
    let mut reader = match LogReader::open(file, path, length_max) {
        // Nothing of the history is in a file without a header.
        Err(StoreError::Corrupt { .. }) => return Ok(()),
        other => other?,
    };
    let cut = loop {
        match reader.next_record() {
            Ok(Some(record)) if record_zxid(record.payload).is_some_and(|zxid| zxid <= to) => {}
            Ok(Some(record)) => break Some(record.offset),
            Ok(None) => break newest.then(|| reader.offset()),
            Err(StoreError::Corrupt { offset, .. }) => break newest.then_some(offset),
            Err(error) => return Err(error),
        }
    };
    cut.map_or(Ok(()), |offset| reader.cut(offset))
}

fn remove_all_but<D: Disk>(disk: &D, dirs: &DataDirs, name: &str) -> Result<(), StoreError> {
    let dir = dirs.snapshots();
    for (_, entry) in snapshots(disk, dirs)?.iter().rev().filter(|(_, entry)| entry.name != name) {
        atomic::remove(disk, &dir.join(&entry.name))?;
    }
    atomic::sync_dir(disk, &dir)?;
    let dir = dirs.logs();
    for (_, entry) in logs(disk, dirs)?.iter().rev() {
        atomic::remove(disk, &dir.join(&entry.name))?;
    }
    atomic::sync_dir(disk, &dir)
}

/// The zxid in the name of a log or snapshot.
fn zxid_of(name: &str) -> Option<Zxid> {
    log_zxid(name).or_else(|| snapshot_zxid(name))
}

/// Names of all logs and snapshots.
fn names<D: Disk>(disk: &D, dirs: &DataDirs) -> Result<Vec<String>, StoreError> {
    let files = snapshots(disk, dirs)?.into_iter().chain(logs(disk, dirs)?);
    Ok(files.map(|(_, entry)| entry.name).collect())
}

impl Pending {
    /// True for the name of a file that the change itself makes.
    fn is_result(&self, file: &str) -> bool {
        matches!(self, Pending::Install { name, .. } if name == file)
    }

    fn to_text(&self, had: &[String]) -> String {
        let what = match self {
            Pending::Truncate(to) => format!("truncate {:x}", to.0),
            Pending::Install { unfinished, name } => format!("install {unfinished}\nas {name}"),
        };
        let had: String = had.iter().map(|name| format!("had {name}\n")).collect();
        format!("{TITLE}\n{what}\n{had}{END}\n")
    }

    fn of_text(bytes: &[u8]) -> Option<(Pending, Vec<String>)> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let what = lines.next()?;
        let pending = if let Some(to) = what.strip_prefix("truncate ") {
            Pending::Truncate(Zxid(i64::from_str_radix(to, 16).ok()?))
        } else {
            let unfinished = what.strip_prefix("install ")?.to_owned();
            Pending::Install { unfinished, name: lines.next()?.strip_prefix("as ")?.to_owned() }
        };
        let rest: Vec<&str> = lines.collect();
        let (end, had) = rest.split_last()?;
        let had = had.iter().map(|line| line.strip_prefix("had ").map(str::to_owned)).collect::<Option<_>>()?;
        (*end == END).then_some((pending, had))
    }
}

impl std::fmt::Display for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pending::Truncate(to) => write!(f, "truncation to {to}"),
            Pending::Install { name, .. } => write!(f, "installation of {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back() {
        let had = vec!["snapshot.0".to_owned(), "log.1 with a space".to_owned()];
        for pending in [
            Pending::Truncate(Zxid::new(5, 7)),
            Pending::Install { unfinished: "new.snapshot.5.tmp".into(), name: "snapshot.5".into() },
        ] {
            let text = pending.to_text(&had);
            assert_eq!(Pending::of_text(text.as_bytes()), Some((pending, had.clone())));
            // Nothing less is taken for it.
            for len in 0..text.len() - 1 {
                assert_eq!(Pending::of_text(&text.as_bytes()[..len]), None, "{len} bytes");
            }
        }
    }
}
