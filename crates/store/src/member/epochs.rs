//! `acceptedEpoch` and `currentEpoch` (ensemble.md section 1.3): the promises of an ensemble member that outlive it.
//!
//! `acceptedEpoch` is the highest epoch whose leader this server promised to follow, `currentEpoch` the one whose whole
//! initial history it holds. Neither ever goes down (INV-1), and a new value is in memory only once it is durable
//! (BUG-20 b). What must be durable *before* a call is the caller's business: the transactions before `save_current`
//! (BUG-6), nothing before `save_accepted`, which itself comes before the ACKEPOCH.

use crate::{DataDirs, Disk, StoreError, atomic};
use ostler_model::Zxid;
use std::path::{Path, PathBuf};

const ACCEPTED: &str = "acceptedEpoch";
const CURRENT: &str = "currentEpoch";
/// Epochs are the upper half of a signed zxid.
const EPOCH_MAX: u32 = i32::MAX as u32;
/// A longer file holds no number.
const FILE_BYTES_MAX: usize = 64;

/// Both epochs of a member; `current <= accepted`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Epochs {
    /// The last epoch that was promised to a leader.
    pub accepted: u32,
    /// The epoch of the last leader whose initial history was taken over.
    pub current: u32,
}

/// The two files, read once and written when the protocol demands.
#[derive(Debug)]
pub struct EpochFiles<D: Disk> {
    disk: D,
    dir: PathBuf,
    epochs: Epochs,
    failed: bool,
}

impl<D: Disk> EpochFiles<D> {
    /// Reads the files at boot, `last` being the end of the recovered history (zero without one): missing ones are made,
    /// what an interrupted synchronisation left behind is repaired and told in `warnings`, leftovers are removed.
    ///
    /// `currentEpoch` below the epoch of the history (BUG-20 a) is raised: what is in the history came from a leader
    /// whose epoch had been accepted, in order, and a server that holds a history up to a transaction of epoch e holds
    /// all of the initial history of e. `currentEpoch.tmp` is believed as Apache believes it, within these bounds.
    ///
    /// # Errors
    /// A failed disk call, a file that holds no number, epochs that contradict each other or the history.
    pub fn open(
        disk: &D,
        dirs: &DataDirs,
        last: Zxid,
        warnings: &mut Vec<String>,
    ) -> Result<EpochFiles<D>, StoreError> {
        let dir = dirs.snapshots();
        let of_last = last.epoch();
        let stored_accepted = read(disk, &dir.join(ACCEPTED))?;
        let stored_current = read(disk, &dir.join(CURRENT))?;
        let accepted = stored_accepted.unwrap_or(of_last);
        let mut current = stored_current.unwrap_or(of_last);
        if of_last > current {
            if accepted < of_last {
                let why = format!(
                    "it holds {current} and {ACCEPTED} {accepted}, but the history ends in epoch {of_last} at {last}"
                );
                return Err(contradiction(dir.join(CURRENT), why));
            }
            // A torn or foreign one says nothing.
            let unfinished = read(disk, &atomic::temporary(&dir, CURRENT)).unwrap_or_default();
            let repaired = unfinished.filter(|epoch| (of_last..=accepted).contains(epoch)).unwrap_or(of_last);
            warnings.push(format!(
                "{} was raised from {current} to {repaired}: the history ends at {last}, a synchronisation was interrupted before its last step",
                dir.join(CURRENT).display()
            ));
            current = repaired;
        }
        if accepted < current {
            let why = format!("it holds {accepted}, which is below {CURRENT} {current}");
            return Err(contradiction(dir.join(ACCEPTED), why));
        }
        let mut files =
            EpochFiles { disk: disk.clone(), dir: dir.clone(), epochs: Epochs { accepted, current }, failed: false };
        // In this order: a crash in between leaves `current <= accepted`.
        if stored_accepted.is_none() {
            files.write(ACCEPTED, accepted)?;
        }
        if stored_current != Some(current) {
            files.write(CURRENT, current)?;
        }
        for name in [ACCEPTED, CURRENT] {
            atomic::remove(disk, &atomic::temporary(&dir, name))?;
        }
        // What was read here must not vanish either.
        atomic::sync_dir(disk, &dir)?;
        Ok(files)
    }

    /// What is durable.
    pub fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Makes a promise durable.
    ///
    /// # Errors
    /// A failed disk call; every later call fails too, because which value the disk holds is then unknown.
    ///
    /// # Panics
    /// If the epoch would go down.
    pub fn save_accepted(&mut self, epoch: u32) -> Result<(), StoreError> {
        assert!(epoch >= self.epochs.accepted, "acceptedEpoch never goes down");
        self.write(ACCEPTED, epoch)?;
        self.epochs.accepted = epoch;
        Ok(())
    }

    /// Records that the initial history of `epoch` is durable on this server. The caller made sure of that.
    ///
    /// # Errors
    /// As [`EpochFiles::save_accepted`].
    ///
    /// # Panics
    /// If the epoch would go down or was not accepted.
    pub fn save_current(&mut self, epoch: u32) -> Result<(), StoreError> {
        assert!(epoch >= self.epochs.current, "currentEpoch never goes down");
        assert!(epoch <= self.epochs.accepted, "an epoch is accepted before it is current");
        self.write(CURRENT, epoch)?;
        self.epochs.current = epoch;
        Ok(())
    }

    fn write(&mut self, name: &str, epoch: u32) -> Result<(), StoreError> {
        assert!(epoch <= EPOCH_MAX, "an epoch fits a zxid");
        if self.failed {
            return Err(StoreError::EpochsFailed { dir: self.dir.clone() });
        }
        let result = atomic::write(&self.disk, &self.dir, name, epoch.to_string().as_bytes());
        self.failed = result.is_err();
        result
    }
}

/// The number in a file; `None` if there is no file. Apache writes -1 for a server that has no database yet.
fn read<D: Disk>(disk: &D, path: &Path) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = atomic::read(disk, path, FILE_BYTES_MAX)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse::<i64>() {
        Ok(-1) => Ok(Some(0)),
        Ok(epoch @ 0..) if epoch <= i64::from(EPOCH_MAX) => Ok(Some(epoch as u32)),
        _ => Err(StoreError::EpochFile {
            file: path.to_owned(),
            why: format!("{text:?} is no epoch"),
            hint: "it holds one decimal number; restore it from a backup, or empty the data directories (keep myid) and let the server copy everything from the leader",
        }),
    }
}

fn contradiction(file: PathBuf, why: String) -> StoreError {
    StoreError::EpochFile {
        file,
        why,
        hint: "the files do not belong together; restore them from one backup, or empty the data directories (keep myid) and let the server copy everything from the leader",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::{Fault, FaultyDisk, Stop};
    use crate::testing::{dirs, disk};
    use ostler_model::Dice;

    fn put(disk: &FaultyDisk, name: &str, content: &str) {
        disk.put(&dirs().snapshots().join(name), content.as_bytes());
    }

    fn contents(disk: &FaultyDisk, name: &str) -> Option<String> {
        disk.contents(&dirs().snapshots().join(name)).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn open(disk: &FaultyDisk, last: Zxid) -> Result<(Epochs, usize), StoreError> {
        let mut warnings = Vec::new();
        let files = EpochFiles::open(disk, &dirs(), last, &mut warnings)?;
        Ok((files.epochs(), warnings.len()))
    }

    fn with(accepted: Option<&str>, current: Option<&str>, unfinished: Option<&str>) -> FaultyDisk {
        let disk = disk();
        for (name, content) in [(ACCEPTED, accepted), (CURRENT, current), ("currentEpoch.tmp", unfinished)] {
            if let Some(content) = content {
                put(&disk, name, content);
            }
        }
        disk
    }

    #[test]
    fn a_fresh_member_has_both_files_as_apache_writes_them() {
        let disk = disk();
        assert_eq!(open(&disk, Zxid::ZERO).unwrap(), (Epochs::default(), 0));
        assert_eq!((contents(&disk, ACCEPTED).unwrap(), contents(&disk, CURRENT).unwrap()), ("0".into(), "0".into()));
        let mut files = EpochFiles::open(&disk, &dirs(), Zxid::ZERO, &mut Vec::new()).unwrap();
        files.save_accepted(12).unwrap();
        files.save_current(12).unwrap();
        disk.restart(Stop::PowerCut);
        assert_eq!(contents(&disk, ACCEPTED).unwrap(), "12");
        assert_eq!(open(&disk, Zxid::new(12, 1)).unwrap().0, Epochs { accepted: 12, current: 12 });
    }

    #[test]
    fn boot_checks() {
        let last = Zxid::new(7, 3);
        let at = |accepted, current| Epochs { accepted, current };
        for (accepted, current, unfinished, expected) in [
            (None, None, None, (at(7, 7), 0)),
            (Some("9"), None, None, (at(9, 7), 0)),
            (None, Some("7"), None, (at(7, 7), 0)),
            (Some("9\n"), Some("8"), Some("9"), (at(9, 8), 0)),
            // BUG-20 (a), without and with what Apache left behind; a torn or impossible one is no help.
            (Some("9"), Some("5"), None, (at(9, 7), 1)),
            (Some("9"), Some("5"), Some("9"), (at(9, 9), 1)),
            (Some("9"), Some("5"), Some("10"), (at(9, 7), 1)),
            (Some("9"), Some("5"), Some("6"), (at(9, 7), 1)),
            (Some("9"), Some("5"), Some(""), (at(9, 7), 1)),
            (Some("9"), Some("-1"), None, (at(9, 7), 1)),
        ] {
            let disk = with(accepted, current, unfinished);
            assert_eq!(open(&disk, last).unwrap(), expected, "{accepted:?} {current:?} {unfinished:?}");
            disk.restart(Stop::PowerCutSectors);
            assert_eq!(open(&disk, last).unwrap(), (expected.0, 0), "repaired for good");
            assert_eq!(contents(&disk, "currentEpoch.tmp"), None);
        }
    }

    #[test]
    fn contradictions_are_refused_with_file_and_hint() {
        let last = Zxid::new(7, 3);
        for (accepted, current, file) in [
            (Some("6"), Some("5"), CURRENT),
            (Some("8"), Some("9"), ACCEPTED),
            (None, Some("9"), ACCEPTED),
            (Some("x"), Some("7"), ACCEPTED),
            (Some("9"), Some(""), CURRENT),
            (Some("9"), Some("-2"), CURRENT),
            (Some("2147483648"), Some("7"), ACCEPTED),
        ] {
            let text = open(&with(accepted, current, None), last).unwrap_err().to_string();
            let file = dirs().snapshots().join(file).display().to_string();
            assert!(text.contains(&file) && text.contains("hint: "), "{accepted:?} {current:?}: {text}");
        }
    }

    #[test]
    fn epochs_never_go_back_whenever_the_server_stops() {
        for seed in 0..300 {
            let mut rng = Dice::new(seed);
            let disk = FaultyDisk::new(seed);
            dirs().prepare(&disk, true).unwrap();
            let mut known = Epochs::default();
            for _ in 0..12 {
                disk.fail_at(1 + rng.below(25), if rng.below(4) == 0 { Fault::Device } else { Fault::Crash });
                if let Ok(mut files) = EpochFiles::open(&disk, &dirs(), Zxid::ZERO, &mut Vec::new()) {
                    let found = files.epochs();
                    assert!(found.accepted >= known.accepted && found.current >= known.current, "seed {seed}");
                    known = found;
                    while files.save_accepted(known.accepted + 1 + rng.below(90) as u32).is_ok() {
                        known = files.epochs();
                        if rng.below(3) > 0 && files.save_current(known.accepted).is_err() {
                            break;
                        }
                        known = files.epochs();
                    }
                    let again = files.save_accepted(u32::MAX >> 1).unwrap_err();
                    assert!(again.to_string().contains("hint: "), "a failed file is not written again");
                }
                disk.restart([Stop::Kill, Stop::PowerCut, Stop::PowerCutSectors][rng.below(3) as usize]);
            }
        }
    }
}
