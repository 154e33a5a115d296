//! One server's disk: what survives a crash, and the queue of what does not yet.

use super::Dice;
use ostler_model::{Ensemble, Zxid};
use ostler_zab::{DiskDone, DiskOp, Epochs, Generation, History, Payload};
use std::collections::{BTreeMap, VecDeque};

/// Transactions by zxid: a tree, or a history.
pub type Txns = BTreeMap<Zxid, Payload>;

#[derive(Clone, Default)]
pub struct Disk {
    pub epochs: Epochs,
    /// The zxid in the snapshot's name.
    pub base: Zxid,
    /// What the snapshot contains.
    pub snapshot: Txns,
    /// Behind it.
    pub log: Txns,
    /// The files of the ensembles: in force, and only proposed.
    pub ensemble: Option<Ensemble>,
    pub next_ensemble: Option<Ensemble>,
    /// Asked for and not done.
    pub queue: VecDeque<(Generation, DiskOp, Option<Txns>)>,
}

impl Disk {
    /// Everything durable.
    pub fn durable(&self) -> Txns {
        let mut all = self.snapshot.clone();
        all.extend(self.log.iter().map(|(zxid, payload)| (*zxid, payload.clone())));
        all
    }

    /// Everything durable or on its way: what the log of the running process contains.
    pub fn appended(&self) -> Txns {
        let mut all = self.durable();
        for (_, op, tree) in &self.queue {
            match op {
                DiskOp::Append { zxid, payload } => {
                    all.insert(*zxid, payload.clone());
                }
                DiskOp::Truncate { to } => all.retain(|zxid, _| zxid <= to),
                DiskOp::Install { .. } => all = tree.clone().expect("an Install carries its tree"),
                DiskOp::SaveEpochs(_) | DiskOp::Fence | DiskOp::SaveConfig { .. } => {}
            }
        }
        all
    }

    pub fn has_durable(&self, zxid: Zxid, payload: &Payload) -> bool {
        self.log.get(&zxid).or_else(|| self.snapshot.get(&zxid)) == Some(payload)
    }

    pub fn last(&self) -> Zxid {
        self.log.keys().next_back().copied().unwrap_or(self.base)
    }

    /// Carries out the next operation, or the next group of appends. Says what is done.
    pub fn complete(&mut self, rng: &mut Dice) -> Option<(Generation, DiskDone)> {
        let (generation, op, tree) = self.queue.pop_front()?;
        let done = match op {
            DiskOp::Append { zxid, payload } => {
                self.append(zxid, payload);
                let mut last = zxid;
                while rng.percent(70)
                    && let Some((other, DiskOp::Append { .. }, _)) = self.queue.front()
                    && *other == generation
                {
                    let Some((_, DiskOp::Append { zxid, payload }, _)) = self.queue.pop_front() else { unreachable!() };
                    self.append(zxid, payload);
                    last = zxid;
                }
                DiskDone::Synced { zxid: last }
            }
            DiskOp::SaveEpochs(epochs) => {
                assert!(epochs.accepted >= self.epochs.accepted, "INV-1");
                assert!(epochs.current >= self.epochs.current && epochs.current <= epochs.accepted, "INV-1");
                self.epochs = epochs;
                DiskDone::EpochsSaved(epochs)
            }
            DiskOp::Truncate { to } => {
                if to != self.base && !self.log.contains_key(&to) {
                    DiskDone::CannotTruncate
                } else if rng.percent(10) {
                    // As if the log had been rolled and a snapshot removed: allowed, and must not matter.
                    DiskDone::CannotTruncate
                } else {
                    self.log.retain(|zxid, _| *zxid <= to);
                    DiskDone::Truncated
                }
            }
            DiskOp::Install { zxid } => {
                self.base = zxid;
                self.snapshot = tree.expect("an Install carries its tree");
                self.log.clear();
                DiskDone::Installed { zxid }
            }
            DiskOp::Fence => DiskDone::Fenced,
            DiskOp::SaveConfig { ensemble, committed } => {
                if committed {
                    let known = self.ensemble.as_ref().map_or(0, Ensemble::version);
                    assert!(ensemble.version() >= known, "INV-24: back to an older ensemble");
                    self.ensemble = Some(*ensemble);
                    self.next_ensemble = None;
                } else {
                    self.next_ensemble = Some(*ensemble);
                }
                DiskDone::ConfigSaved
            }
        };
        Some((generation, done))
    }

    fn append(&mut self, zxid: Zxid, payload: Payload) {
        let last = self.last();
        assert!(last.is_followed_by(zxid), "INV-7: {zxid} behind {last} on disk");
        self.log.insert(zxid, payload);
    }

    /// Power is lost: any prefix of the queue may have reached the disk.
    pub fn crash(&mut self, rng: &mut Dice) {
        let survive = rng.below(self.queue.len() as u64 + 1) as usize;
        for _ in 0..survive {
            self.complete(rng);
        }
        self.queue.clear();
    }

    /// The newest snapshots make place: the log begins later.
    pub fn roll(&mut self, committed: Zxid) {
        let Some(at) = self.log.keys().copied().rfind(|zxid| *zxid <= committed) else { return };
        let keep = self.log.split_off(&Zxid(at.0 + 1));
        self.snapshot.append(&mut self.log);
        self.log = keep;
        self.base = at;
    }

    /// What the store does at start: records of an epoch that nothing vouches for go (BUG-20 for snapshots).
    pub fn recover(&mut self) -> History {
        if self.base.epoch() > self.epochs.current {
            assert!(self.epochs.accepted >= self.base.epoch(), "an installed tree is of an accepted epoch");
            self.epochs.current = self.base.epoch();
        }
        let current = self.epochs.current;
        self.log.retain(|zxid, _| zxid.epoch() <= current);
        let mut history = History { base: self.base, spans: Vec::new(), trusted: true };
        for zxid in self.log.keys() {
            history.push(*zxid);
        }
        history
    }
}
