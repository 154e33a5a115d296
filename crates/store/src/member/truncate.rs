//! TRUNC (ensemble.md sections 8.1 and 8.6): the history ends at a given zxid, and whatever the disk held beyond it is gone
//! for good: records (BUG-2) and snapshots (BUG-4).

use super::pending::{self, Pending, is_snapshot_beyond};
use crate::files::snapshots;
use crate::log::{Chain, Step};
use crate::recover::is_valid;
use crate::{DataDirs, Disk, Log, StoreError};
use ostler_model::Zxid;

/// What became of the order to truncate.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a truncation that was impossible, or that ended elsewhere, asks for a snapshot from the leader"]
pub enum Truncation {
    /// Done, durably.
    Done {
        /// The last zxid that remains: of a record, or of a snapshot with no record behind it. Below the zxid that was
        /// asked for if the history has no transaction of that number; the caller decides whether that will do.
        last: Zxid,
    },
    /// The history cannot be shown to lead to that zxid: no snapshot at or below it, or a hole before it. Nothing was
    /// changed; the member needs a snapshot from the leader.
    CannotTruncate {
        /// For the log.
        why: String,
    },
}

/// Ends the history on disk behind the last transaction that is not above `to`: removes the snapshots beyond it, then the
/// later logs, and cuts the log that contains it. Payloads above `length_max` are refused. No [`Log`] may be open on the
/// directory: see [`Log::truncate`].
///
/// All or nothing: if it is interrupted, the next recovery finds the old history, or completes the truncation.
///
/// # Errors
/// A failed disk call: what the disk holds is then unknown until the next recovery.
pub fn truncate<D: Disk>(disk: &D, dirs: &DataDirs, to: Zxid, length_max: usize) -> Result<Truncation, StoreError> {
    let last = match end_up_to(disk, dirs, to, length_max)? {
        Ok(last) => last,
        Err(why) => return Ok(Truncation::CannotTruncate { why }),
    };
    pending::run(disk, dirs, &Pending::Truncate(to), length_max)?;
    Ok(Truncation::Done { last })
}

/// Where the history ends that the newest snapshot not beyond `to` and the log behind it make; `Err`: why there is none.
fn end_up_to<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    to: Zxid,
    length_max: usize,
) -> Result<Result<Zxid, String>, StoreError> {
    let mut base = None;
    for (zxid, entry) in snapshots(disk, dirs)?.into_iter().rev() {
        let path = dirs.snapshots().join(&entry.name);
        if zxid <= to && is_valid(disk, &path) && !is_snapshot_beyond(disk, &path, zxid, to)? {
            base = Some(zxid);
            break;
        }
    }
    let Some(base) = base else {
        return Ok(Err(format!("{} holds no snapshot at or below {to}", dirs.snapshots().display())));
    };
    let mut chain = Chain::new(disk, dirs, base, to, length_max)?;
    loop {
        match chain.advance() {
            Ok(Step::Record(_)) => {}
            Ok(Step::Beyond | Step::End) => return Ok(Ok(chain.last())),
            // What is damaged right behind `to` is to be cut anyway.
            Err(StoreError::Gap { .. } | StoreError::Corrupt { .. }) if chain.last() == to => return Ok(Ok(to)),
            Err(error @ (StoreError::Gap { .. } | StoreError::Corrupt { .. })) => {
                let text = error.to_string();
                return Ok(Err(text.lines().next().unwrap_or_default().to_owned()));
            }
            Err(error) => return Err(error),
        }
    }
}

impl<D: Disk> Log<D> {
    /// [`truncate`] for the log being written: what was appended before counts, and the next record begins a new file behind
    /// the cut.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn truncate(&mut self, dirs: &DataDirs, to: Zxid, length_max: usize) -> Result<Truncation, StoreError> {
        self.commit()?;
        self.change_history(|disk| {
            let truncation = truncate(disk, dirs, to, length_max)?;
            let last = match &truncation {
                Truncation::Done { last } => Some(*last),
                Truncation::CannotTruncate { .. } => None,
            };
            Ok((truncation, last))
        })
    }
}
