//! SNAP (ensemble.md section 8.1): a snapshot received from the leader takes the place of the whole history (BUG-3, BUG-12).

use super::pending::{self, Pending};
use crate::{DataDirs, Disk, Log, SealedSnapshot, StoreError};
use ostler_model::Zxid;

/// Gives the snapshot its name and removes every other snapshot and every log, so that nothing of the old history can come
/// back. Returns the zxid at which the new history begins. No [`Log`] may be open on the directory: see [`Log::install`].
///
/// All or nothing: if it is interrupted, the next recovery finds the old history, or completes the installation.
///
/// # Errors
/// A failed disk call: what the disk holds is then unknown until the next recovery.
pub fn install<D: Disk>(disk: &D, dirs: &DataDirs, snapshot: SealedSnapshot<D>) -> Result<Zxid, StoreError> {
    let zxid = snapshot.zxid();
    let (unfinished, name) = snapshot.into_names();
    // No log is read, so that any length will do.
    pending::run(disk, dirs, &Pending::Install { unfinished, name }, usize::MAX)?;
    Ok(zxid)
}

impl<D: Disk> Log<D> {
    /// [`install`] for the log being written: what was appended before belongs to the old history and goes with it; the next
    /// record begins a new file behind the snapshot.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn install(&mut self, dirs: &DataDirs, snapshot: SealedSnapshot<D>) -> Result<Zxid, StoreError> {
        self.forget_buffer();
        self.change_history(|disk| {
            let zxid = install(disk, dirs, snapshot)?;
            Ok((zxid, Some(zxid)))
        })
    }

    /// Gives a background snapshot its name, in the log's own order (rules.md 1.6). It is thrown away (false) if it contains
    /// anything that this log does not hold. The caller throws away those that were begun before a truncation or installation:
    /// they may be of another history, whatever their zxid.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn publish(&mut self, snapshot: SealedSnapshot<D>) -> Result<bool, StoreError> {
        let durable = self.commit()?.last;
        if durable.is_none_or(|last| snapshot.end() > last) {
            snapshot.discard()?;
            return Ok(false);
        }
        snapshot.publish()?;
        Ok(true)
    }
}
