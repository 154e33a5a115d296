//! Reading a range of the log while the server goes on writing it: what a learner is sent from disk (ensemble.md section 7).

use crate::files::snapshots;
use crate::log::{Chain, Step};
use crate::{DataDirs, Disk, StoreError};
use ostler_model::Zxid;
use std::io;

/// Checksum, length and end mark around each payload.
const RECORD_FRAME_BYTES: u64 = 13;

/// A record of the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryRecord<'a> {
    /// Its number; it follows the one before directly.
    pub zxid: Zxid,
    /// Header, body and digest as they stand in the log: the data of a PROPOSAL.
    pub payload: &'a [u8],
}

/// The records in `(after, to]`, in order, files opened as their turn comes. It may run on a thread of its own: it looks at
/// nothing beyond `to`, which must be durable when it is made. If the log loses the range meanwhile (purge, truncation),
/// it ends with [`StoreError::NotInLog`].
pub struct HistoryReader<D: Disk> {
    chain: Chain<D>,
    after: Zxid,
    to: Zxid,
    disk: D,
    dirs: DataDirs,
}

impl<D: Disk> HistoryReader<D> {
    /// Lists the files and opens none. `after` is a zxid of the history ([`crate::History::contains`]) or the start of an epoch,
    /// `to` that of a record not below it. Payloads above `length_max` are refused.
    ///
    /// # Errors
    /// A directory cannot be listed.
    pub fn new(disk: &D, dirs: &DataDirs, after: Zxid, to: Zxid, length_max: usize) -> Result<Self, StoreError> {
        let chain = Chain::new(disk, dirs, after, to, length_max)?;
        Ok(HistoryReader { chain, after, to, disk: disk.clone(), dirs: dirs.clone() })
    }

    /// The next record; `None` behind the last of the range.
    ///
    /// # Errors
    /// [`StoreError::NotInLog`] if the log does not hold the whole range, damage, or a file that cannot be read.
    pub fn next_record(&mut self) -> Result<Option<HistoryRecord<'_>>, StoreError> {
        if self.chain.last() == self.to {
            return Ok(None);
        }
        let is_first = self.chain.last() == self.after;
        let zxid = match self.chain.advance() {
            Ok(Step::Record(zxid)) if !is_first || self.begins_right(zxid)? => zxid,
            Ok(Step::Record(_)) => return Err(self.not_in_log(format!("there is no transaction {}", self.after))),
            Ok(Step::Beyond | Step::End) => return Err(self.not_in_log("the records end before".to_owned())),
            Err(StoreError::Gap { last, next, .. }) => {
                return Err(self.not_in_log(format!("behind {last} comes {next}")));
            }
            Err(StoreError::Io { source, path, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(self.not_in_log(format!("{} was removed", path.display())));
            }
            Err(error) => return Err(error),
        };
        Ok(Some(HistoryRecord { zxid, payload: self.chain.payload() }))
    }

    /// The records skipped before the first one must end at `after`. If there were none, numbers prove it only inside an
    /// epoch: the records between may have been purged, all of them up to the beginning of an epoch.
    fn begins_right(&self, first: Zxid) -> Result<bool, StoreError> {
        if first.epoch() == self.after.epoch() {
            return Ok(true);
        }
        match self.chain.skipped() {
            Some(skipped) => Ok(skipped >= self.after),
            // The logs were listed before: a snapshot that is there now proves that none behind it was gone then.
            None => nothing_is_purged(&self.disk, &self.dirs, self.after),
        }
    }

    fn not_in_log(&self, why: String) -> StoreError {
        StoreError::NotInLog { after: self.after, to: self.to, why }
    }
}

/// True if no log behind `after` can have been purged. A purge keeps the logs behind the oldest snapshot that it leaves, and
/// always leaves one (crate::purge).
fn nothing_is_purged<D: Disk>(disk: &D, dirs: &DataDirs, after: Zxid) -> Result<bool, StoreError> {
    let snapshots = snapshots(disk, dirs)?;
    Ok(snapshots.iter().any(|(zxid, _)| *zxid == after) || snapshots.iter().all(|(zxid, _)| *zxid < after))
}

/// How many bytes the records in `(after, to]` take in the log, without preallocation and padding: for the rule of
/// `zookeeper.snapshotSizeFactor` (ensemble.md section 7.1). `None`: more than `bytes_max`; no more than that is read.
///
/// # Errors
/// As [`HistoryReader::next_record`].
pub fn history_bytes<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    after: Zxid,
    to: Zxid,
    bytes_max: u64,
    length_max: usize,
) -> Result<Option<u64>, StoreError> {
    let mut reader = HistoryReader::new(disk, dirs, after, to, length_max)?;
    let mut bytes = 0;
    while let Some(record) = reader.next_record()? {
        bytes += record.payload.len() as u64 + RECORD_FRAME_BYTES;
        if bytes > bytes_max {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty::FaultyDisk;
    use crate::testing::{Model, dirs, disk};
    use crate::{EpochSpan, History, Log, LogConfig, MemberOptions, RecoverOptions, recover_member};
    use ostler_model::Dice;
    use ostler_tree::TreeConfig;

    const CONFIG: TreeConfig = TreeConfig { seed: 2, digest: true };
    const LENGTH_MAX: usize = 1 << 20;

    fn config(rng: &mut Dice) -> LogConfig {
        let snap_count = 2 + rng.below(12) as u32;
        LogConfig { preallocate_bytes: rng.below(3000), snap_count, ..LogConfig::new(dirs().logs(), rng.number()) }
    }

    /// Random epochs over random files; the log goes on.
    fn written(seed: u64) -> (FaultyDisk, Model, Log<FaultyDisk>) {
        let mut rng = Dice::new(seed);
        let disk = disk();
        let options = MemberOptions::new(RecoverOptions::new(CONFIG));
        let mut state = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap();
        state.epochs.save_accepted(100).unwrap();
        let mut model = Model::new(seed, CONFIG);
        let mut log = Log::after(disk.clone(), config(&mut rng), Some(Zxid::ZERO));
        model.begin_epoch(1 + rng.below(3) as u32);
        for _ in 0..60 {
            if rng.below(12) == 0 && model.last() > Zxid::ZERO {
                model.begin_epoch(model.last().epoch() + 1 + rng.below(2) as u32);
            }
            if rng.below(15) == 0 {
                log.commit().unwrap();
                log = Log::after(disk.clone(), config(&mut rng), Some(model.last()));
            }
            let zxid = model.step();
            let _ = log.append(zxid, model.record(zxid)).unwrap();
        }
        log.commit().unwrap();
        (disk, model, log)
    }

    fn read(disk: &FaultyDisk, after: Zxid, to: Zxid) -> Result<Vec<(Zxid, Vec<u8>)>, StoreError> {
        let mut reader = HistoryReader::new(disk, &dirs(), after, to, LENGTH_MAX)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push((record.zxid, record.payload.to_vec()));
        }
        Ok(records)
    }

    #[test]
    fn every_range_of_every_history() {
        for seed in 0..3 {
            let (disk, model, _) = written(seed);
            let zxids: Vec<Zxid> = model.history().iter().map(|(zxid, _)| *zxid).collect();
            for from in (0..=zxids.len()).filter(|from| from % 4 == seed as usize) {
                let after = from.checked_sub(1).map_or(Zxid::ZERO, |i| zxids[i]);
                for to in (from..zxids.len()).step_by(7).chain([zxids.len() - 1]) {
                    let expected = &model.history()[from.min(to + 1)..=to];
                    assert_eq!(read(&disk, after, zxids[to].max(after)).unwrap(), expected, "seed {seed}");
                    let bytes: u64 = expected.iter().map(|(_, payload)| payload.len() as u64 + 13).sum();
                    let asked = |max| history_bytes(&disk, &dirs(), after, zxids[to].max(after), max, LENGTH_MAX);
                    assert_eq!(asked(bytes).unwrap(), Some(bytes));
                    assert!(bytes == 0 || asked(bytes - 1).unwrap().is_none());
                }
            }
        }
    }

    #[test]
    fn spans_are_those_of_the_history() {
        for seed in 0..20 {
            let (disk, model, _) = written(seed);
            let options = MemberOptions::new(RecoverOptions::new(CONFIG));
            let history = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap().history;
            let mut spans: Vec<EpochSpan> = Vec::new();
            for (zxid, _) in model.history() {
                match spans.iter_mut().find(|span| span.epoch == zxid.epoch()) {
                    Some(span) => span.last = *zxid,
                    None => spans.push(EpochSpan { epoch: zxid.epoch(), first: *zxid, last: *zxid }),
                }
            }
            assert_eq!(history, History { disk_from: Zxid::ZERO, spans }, "seed {seed}");
            assert!(model.history().iter().all(|(zxid, _)| history.contains(*zxid)));
            assert!(!history.contains(Zxid(model.last().0 + 1)) && !history.contains(Zxid(7)));
        }
    }

    #[test]
    fn a_zxid_of_another_history_is_noticed() {
        let (disk, model, _) = written(3);
        let history = model.history();
        let border = history.windows(2).find(|pair| pair[0].0.epoch() != pair[1].0.epoch()).unwrap();
        let unknown = Zxid(border[0].0.0 + 3);
        for (after, to) in [(unknown, model.last()), (model.last(), Zxid(model.last().0 + 1))] {
            if let Err(error) = read(&disk, after, to) {
                assert!(
                    matches!(error, StoreError::NotInLog { .. }) && error.to_string().contains("hint: "),
                    "{error}"
                );
            } else {
                panic!("({after}, {to}] was read");
            }
        }
        assert_eq!(read(&disk, Zxid::new(border[1].0.epoch(), 0), border[1].0).unwrap().len(), 1);
    }

    /// Found by the simulation: a learner was sent the history from the first log that was left, as if nothing had been
    /// between its own last transaction and that.
    #[test]
    fn what_was_purged_is_not_skipped() {
        let snapshot = |disk: &FaultyDisk, zxid: Zxid| {
            disk.put(&dirs().snapshots().join(format!("snapshot.{:x}", zxid.0)), b"ZKSNxxxxxx\0\0\0\x01/");
        };
        let mut purged = 0;
        for seed in 0..20 {
            let (disk, model, log) = written(seed);
            drop(log);
            let zxids: Vec<Zxid> = model.history().iter().map(|(zxid, _)| *zxid).collect();
            // Snapshots at the ends of epochs: then the logs that are left may begin with an epoch.
            let ends = zxids.windows(2).filter(|pair| pair[0].epoch() != pair[1].epoch()).map(|pair| pair[0]);
            let ends: Vec<Zxid> = ends.chain([model.last()]).collect();
            ends.iter().for_each(|end| snapshot(&disk, *end));
            purged += crate::purge(&disk, &dirs(), 3).unwrap().removed.len();
            let oldest = ends[ends.len().saturating_sub(3)];
            for after in [Zxid::ZERO].into_iter().chain(zxids.iter().copied()) {
                let expected = model.history().iter().filter(|(zxid, _)| *zxid > after).cloned().collect::<Vec<_>>();
                match read(&disk, after, model.last()) {
                    Ok(records) => assert_eq!(records, expected, "seed {seed}: behind {after}"),
                    Err(StoreError::NotInLog { .. }) => assert!(after < oldest, "seed {seed}: {after} is there"),
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
        }
        assert!(purged > 20, "{purged}");
    }

    #[test]
    fn what_is_lost_meanwhile_is_noticed() {
        let (disk, model, mut log) = written(5);
        let middle = model.history()[30].0;
        let mut reader = HistoryReader::new(&disk, &dirs(), Zxid::ZERO, model.last(), LENGTH_MAX).unwrap();
        reader.next_record().unwrap().unwrap();
        let _ = log.truncate(&dirs(), middle, LENGTH_MAX).unwrap();
        let error = loop {
            match reader.next_record() {
                Ok(record) => assert!(record.unwrap().zxid <= model.last()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::NotInLog { .. }), "{error}");
    }

    #[test]
    fn another_thread_reads_while_the_log_grows() {
        let (disk, mut model, mut log) = written(6);
        let (synced, reads) = std::sync::mpsc::channel::<(Zxid, Zxid)>();
        let reader_disk = disk.clone();
        let thread = std::thread::spawn(move || {
            let mut zxids = Vec::new();
            for (after, to) in reads {
                zxids.extend(read(&reader_disk, after, to).unwrap().into_iter().map(|(zxid, _)| zxid));
            }
            zxids
        });
        let first = model.last();
        let mut last = first;
        for i in 0..300 {
            let zxid = model.step();
            let _ = log.append(zxid, model.record(zxid)).unwrap();
            if i % 5 == 4 {
                log.commit().unwrap();
                synced.send((last, zxid)).unwrap();
                last = zxid;
            }
        }
        drop(synced);
        let expected: Vec<Zxid> = model.history().iter().map(|(zxid, _)| *zxid).filter(|zxid| *zxid > first).collect();
        assert_eq!(thread.join().unwrap(), expected);
    }
}
