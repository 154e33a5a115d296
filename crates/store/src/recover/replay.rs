//! Replaying the logs behind a snapshot (storage.md sections 3.5 and 6.3, rules.md 1.6).

use super::{Digests, Progress, Purpose, Recovery};
use crate::files::{logs, retain_after};
use crate::log::{HEADER_BYTES, LENGTH, RESTORE, record_zxid};
use crate::{Disk, DiskFile, End, Entry, LogReader, StoreError};
use ostler_model::{Zxid, limits};
use ostler_tree::{Change, Tree};
use ostler_wire::jute::DecodeError;
use ostler_wire::txn::decode;
use std::path::Path;

/// Records between two calls of the progress callback.
const PROGRESS_RECORDS: u64 = 10_000;

/// The state of a replay.
struct Replay<'t> {
    tree: &'t mut Tree,
    digests: &'t mut Digests,
    /// Scratch.
    changes: Vec<Change>,
    /// The end of the history so far.
    last: Zxid,
    /// How the file before ended.
    previous_end: Option<String>,
    /// The zxid behind a hole that was accepted when the name of its file announced it.
    accepted: Option<Zxid>,
    bytes_before: u64,
    bytes_total: u64,
    /// A whole record holds what this server does not understand.
    undecodable: bool,
}

impl<D: Disk> Recovery<'_, D> {
    /// Applies everything that follows the tree.
    pub(super) fn replay(&mut self, tree: &mut Tree, digests: &mut Digests) -> Result<(), StoreError> {
        let (result, time) = self.timed(|recovery| recovery.replay_files(tree, digests));
        self.facts.replay_time = time;
        result
    }

    fn replay_files(&mut self, tree: &mut Tree, digests: &mut Digests) -> Result<(), StoreError> {
        let mut logs = logs(self.disk, self.dirs)?;
        if let Purpose::UpTo(upto) = self.purpose {
            logs.retain(|(zxid, _)| *zxid <= upto);
        } else {
            self.remove_empty_newest(&mut logs)?;
        }
        let last = tree.zxid();
        retain_after(&mut logs, last);
        let bytes_total = logs.iter().map(|(_, entry)| entry.len).sum();
        let mut replay = Replay {
            tree,
            digests,
            changes: Vec::new(),
            last,
            previous_end: None,
            accepted: None,
            bytes_before: 0,
            bytes_total,
            undecodable: false,
        };
        let newest = logs.last().map(|(_, entry)| entry.name.clone());
        for (zxid, entry) in &logs {
            let replayed = self.replay_file(&mut replay, *zxid, &entry.name, newest.as_ref() == Some(&entry.name));
            match replayed {
                Err(error) if self.purpose == Purpose::Member && replay.is_hole(&error) => {
                    self.hole = Some(error);
                    break;
                }
                other => other?,
            }
            replay.bytes_before += entry.len;
        }
        replay.digests.at_end(replay.tree, &mut self.facts);
        self.note_lost_tail(replay.digests, replay.last);
        self.facts.log_files = logs.len();
        Ok(())
    }

    /// A server that stopped while creating its log leaves an empty file.
    fn remove_empty_newest(&mut self, logs: &mut Vec<(Zxid, Entry)>) -> Result<(), StoreError> {
        if logs.last().is_some_and(|(_, entry)| entry.len == 0) {
            let (_, entry) = logs.pop().expect("checked one line above");
            let path = self.dirs.logs().join(&entry.name);
            self.disk.remove(&path).map_err(StoreError::io("remove", &path))?;
            self.facts.warnings.push(format!("removed the empty log {}", path.display()));
        }
        Ok(())
    }

    fn replay_file(&mut self, replay: &mut Replay<'_>, zxid: Zxid, name: &str, newest: bool) -> Result<(), StoreError> {
        let path = self.dirs.logs().join(name);
        let running = matches!(self.purpose, Purpose::UpTo(_));
        let open = if newest && !running { self.disk.open_to_write(&path) } else { self.disk.open(&path) };
        let file = open.map_err(StoreError::io("open", &path))?;
        let mut reader = match LogReader::open(file, &path, self.options.length_max) {
            Err(StoreError::Corrupt { .. }) if newest && self.remove_blank(&path)? => return Ok(()),
            other => other?,
        };
        // The name promises the first record, even if that was never written.
        if zxid > replay.last {
            self.check_adjacent(replay, zxid, HEADER_BYTES, &path)?;
        }
        let mut repeated = 0_u64;
        let mut torn = false;
        loop {
            let next = reader.next_record().map(|record| record.map(|record| record.offset));
            let offset = match next {
                Ok(Some(offset)) => offset,
                Ok(None) => break,
                Err(StoreError::Corrupt { offset, .. }) if self.is_lost_write(&reader, offset, newest)? => {
                    torn = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            let payload = reader.last_payload();
            let Some(zxid) = record_zxid(payload) else {
                let why = format!("a record of {} bytes is too short", payload.len());
                return Err(reader.corrupt(offset, why, RESTORE));
            };
            if self.purpose.ends_before(zxid) {
                return Ok(());
            }
            if zxid <= replay.last {
                repeated += u64::from(zxid > self.facts.snapshot_zxid);
                continue;
            }
            self.check_adjacent(replay, zxid, offset, &path)?;
            let decoded = match decode(payload, self.options.length_max) {
                Ok(decoded) => decoded,
                Err(error) => {
                    replay.undecodable = true;
                    return Err(undecodable(&reader, offset, zxid, error));
                }
            };
            replay.changes.clear();
            let mismatches = self.facts.digest_mismatches;
            let before = std::mem::replace(&mut replay.last, zxid);
            replay.tree.apply(&decoded.header, &decoded.txn, &mut replay.changes);
            replay.digests.after_record(replay.tree, decoded.digest, &mut self.facts);
            if mismatches == 0 && self.facts.digest_mismatches > 0 {
                self.check_epoch_start(before, zxid, offset, &path)?;
            }
            self.facts.records += 1;
            if self.facts.records.is_multiple_of(PROGRESS_RECORDS) {
                self.tell(replay, reader.offset());
            }
        }
        if repeated > 0 {
            self.facts.warnings.push(format!(
                "{} repeats {repeated} transactions of an earlier log: they were skipped",
                path.display()
            ));
        }
        self.tell(replay, reader.offset());
        if running {
            return Ok(());
        }
        if !torn {
            torn = self.has_lost_writes(&mut reader, newest)?;
        }
        if torn {
            self.facts.torn_tail = Some((name.to_owned(), reader.offset()));
        } else {
            replay.previous_end = self.judge_end(&mut reader, name, newest)?;
        }
        if newest && zxid > replay.last && self.purpose == Purpose::Member {
            return self.remove_unfulfilled(&path);
        }
        if newest && replay.last > self.facts.snapshot_zxid {
            reader.write_again(limits::OUTSTANDING_BYTES_MAX as u64)?;
        }
        if torn {
            let end = reader.offset();
            return reader.cut(end);
        }
        reader.sync()
    }

    /// A newest log whose first record was never written: the member may go on with a lower zxid (of an epoch before it), in a
    /// file that would be read before this one, or not at all.
    fn remove_unfulfilled(&self, path: &Path) -> Result<(), StoreError> {
        self.disk.remove(path).map_err(StoreError::io("remove", path))
    }

    /// The history must go on exactly where it ended.
    fn check_adjacent(
        &mut self,
        replay: &mut Replay<'_>,
        next: Zxid,
        offset: u64,
        path: &Path,
    ) -> Result<(), StoreError> {
        if replay.last.is_followed_by(next) || replay.accepted == Some(next) {
            return Ok(());
        }
        replay.accepted = Some(next);
        let gap =
            StoreError::Gap { file: path.to_owned(), offset, last: replay.last, next, why: replay.previous_end.take() };
        self.accept(gap)
    }

    /// Between two epochs the numbers do not tell whether the end of the first one is missing. A digest that matched up to
    /// there and does not at the first transaction of the next one does.
    fn check_epoch_start(&self, last: Zxid, next: Zxid, offset: u64, path: &Path) -> Result<(), StoreError> {
        if self.purpose != Purpose::Member || last.epoch() == next.epoch() || self.options.accept_gap {
            return Ok(());
        }
        let why = Some("the digest shows it".to_owned());
        Err(StoreError::Gap { file: path.to_owned(), offset, last, next, why })
    }

    /// Decides what the end of a file is. `Some`: it did not end well, which matters only if the next file does not go on
    /// there.
    fn judge_end<F: DiskFile>(
        &mut self,
        reader: &mut LogReader<F>,
        name: &str,
        newest: bool,
    ) -> Result<Option<String>, StoreError> {
        let offset = reader.offset();
        let why = match reader.end() {
            End::Clean | End::Padding => None,
            End::Truncated => Some("the file ends inside a record"),
            End::NoEndMark => Some("a record has no end mark"),
            End::LostSector => Some("a record has a wrong checksum and a sector of zeros"),
        };
        if newest {
            if let Some(behind) = reader.bytes_behind_end()? {
                if reader.end() == End::LostSector {
                    let why = "the record's checksum does not match and more records follow".to_owned();
                    return Err(reader.corrupt(offset, why, RESTORE));
                }
                self.accept(StoreError::BytesBehindEnd { file: self.dirs.logs().join(name), offset, behind })?;
            }
            self.facts.torn_tail = why.map(|_| (name.to_owned(), offset));
        }
        let end = |why: &str| format!("{name} ends at offset {offset}: {why}");
        Ok(Some(end(why.unwrap_or("no more records"))))
    }

    /// With `accept_gap` what Apache overlooks is a warning; a member never joins over a hole.
    fn accept(&mut self, error: StoreError) -> Result<(), StoreError> {
        if !self.options.accept_gap || self.purpose == Purpose::Member {
            return Err(error);
        }
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        self.facts.warnings.push(format!("{what} (accepted with --accept-gap)"));
        Ok(())
    }

    fn tell(&mut self, replay: &Replay<'_>, offset: u64) {
        (self.progress)(Progress {
            nodes: self.facts.snapshot_nodes,
            records: self.facts.records,
            bytes: replay.bytes_before + offset,
            bytes_total: replay.bytes_total,
        });
    }
}

impl Replay<'_> {
    /// True for what a member answers with a copy of the leader's history. A record that is whole and cannot be understood is
    /// none of it: the leader would send it again.
    fn is_hole(&self, error: &StoreError) -> bool {
        let damage =
            matches!(error, StoreError::Gap { .. } | StoreError::BytesBehindEnd { .. } | StoreError::Corrupt { .. });
        damage && !self.undecodable
    }
}

fn undecodable<F: DiskFile>(reader: &LogReader<F>, offset: u64, zxid: Zxid, error: DecodeError) -> StoreError {
    let text = error.to_string();
    let what = text.lines().next().unwrap_or_default();
    let hint = if matches!(error, DecodeError::BadLength(_)) { LENGTH } else { RESTORE };
    reader.corrupt(offset, format!("transaction {zxid} does not parse: {what}"), hint)
}
