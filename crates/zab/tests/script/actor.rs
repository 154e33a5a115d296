//! One server of a script: a real [`Zab`] with a disk and a tree, or a puppet whose words stand in the script.

use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_zab::{
    Boot, DiskDone, DiskOp, Effect, Epochs, Event, Generation, History, LinkId, Notification, Payload, ServingRole,
    Settings, Zab,
};
use std::collections::{BTreeMap, VecDeque};

/// Transactions by zxid: a tree, or a log.
pub type Txns = BTreeMap<Zxid, Payload>;

/// What survives a crash, and what was asked for and is not done.
#[derive(Clone, Default)]
pub struct Disk {
    pub epochs: Epochs,
    /// The name of the snapshot.
    pub base: Zxid,
    pub snapshot: Txns,
    pub log: Txns,
    pub untrusted: bool,
    pub queue: VecDeque<(Generation, DiskOp, Txns)>,
}

impl Disk {
    pub fn durable(&self) -> Txns {
        let log = self.log.iter().map(|(zxid, payload)| (*zxid, payload.clone()));
        self.snapshot.iter().map(|(zxid, payload)| (*zxid, payload.clone())).chain(log).collect()
    }

    /// The last transaction that is, or will be, on disk.
    pub fn last(&self) -> Zxid {
        self.log.keys().next_back().copied().unwrap_or(self.base)
    }

    /// The oldest operation is done; of appends, as many as there are.
    pub fn complete_group(&mut self) -> Option<(Generation, DiskDone)> {
        let mut done = self.complete()?;
        while let (generation, DiskDone::Synced { .. }) = done
            && let Some((next, DiskOp::Append { .. }, _)) = self.queue.front()
            && *next == generation
        {
            done = self.complete()?;
        }
        Some(done)
    }

    /// The oldest operation is done.
    pub fn complete(&mut self) -> Option<(Generation, DiskDone)> {
        let (generation, op, tree) = self.queue.pop_front()?;
        let done = match op {
            DiskOp::Append { zxid, payload } => {
                self.log.insert(zxid, payload);
                DiskDone::Synced { zxid }
            }
            DiskOp::SaveEpochs(epochs) => {
                self.epochs = epochs;
                DiskDone::EpochsSaved(epochs)
            }
            DiskOp::Truncate { to } if to != self.base && !self.log.contains_key(&to) => DiskDone::CannotTruncate,
            DiskOp::Truncate { to } => {
                self.log.retain(|zxid, _| *zxid <= to);
                DiskDone::Truncated
            }
            DiskOp::Install { zxid } => {
                (self.base, self.snapshot) = (zxid, tree);
                self.log.clear();
                self.untrusted = false;
                DiskDone::Installed { zxid }
            }
            DiskOp::Fence => DiskDone::Fenced,
            DiskOp::SaveConfig { .. } => DiskDone::ConfigSaved,
        };
        Some((generation, done))
    }

    /// What the store makes of it at start (BUG-20).
    fn recover(&mut self) -> History {
        if self.base.epoch() > self.epochs.current {
            self.epochs.current = self.base.epoch().min(self.epochs.accepted);
        }
        let current = self.epochs.current;
        self.log.retain(|zxid, _| zxid.epoch() <= current);
        let mut history = History { base: self.base, spans: Vec::new(), trusted: !self.untrusted };
        for zxid in self.log.keys() {
            history.push(*zxid);
        }
        history
    }
}

/// See the module.
pub struct Actor {
    pub disk: Disk,
    pub zab: Option<Zab>,
    pub is_puppet: bool,
    /// The last notification it sent, to whomever.
    pub said: Option<Notification>,
    pub tree: Txns,
    pub at: Zxid,
    /// Appended, not committed.
    pub pending: Txns,
    pub reloading: Option<(Generation, Zxid)>,
    pub receiving: Option<(LinkId, Zxid)>,
    pub serving: Option<(ServingRole, u32)>,
    /// What its tree has applied and not reported.
    pub to_report: Option<Zxid>,
    /// To whom, and until when.
    pub dialling: Option<(ServerId, u64)>,
    pub dials: usize,
    pub barriers: Vec<u64>,
}

impl Actor {
    pub fn new(is_puppet: bool) -> Actor {
        Actor {
            disk: Disk::default(),
            zab: None,
            is_puppet,
            said: None,
            tree: Txns::new(),
            at: Zxid::ZERO,
            pending: Txns::new(),
            reloading: None,
            receiving: None,
            serving: None,
            to_report: None,
            dialling: None,
            dials: 0,
            barriers: Vec::new(),
        }
    }

    pub fn is_there(&self) -> bool {
        self.is_puppet || self.zab.is_some()
    }

    pub fn boot(&mut self, now_ms: u64, settings: &Settings, ensemble: &Ensemble) -> Vec<Effect> {
        let mut disk = std::mem::take(&mut self.disk);
        let history = disk.recover();
        let mut effects = Vec::new();
        let mut zab = Zab::new(settings.clone());
        *self = Actor { tree: disk.durable(), at: history.last(), ..Actor::new(false) };
        let epochs = disk.epochs;
        let boot = Boot { epochs, history, committed: ensemble.clone(), last_seen: ensemble.clone() };
        zab.step(now_ms, Event::Boot(Box::new(boot)), &mut effects);
        self.disk = disk;
        self.zab = Some(zab);
        effects
    }

    /// Power is lost; so many of the operations that were asked for had reached the disk.
    pub fn crash(&mut self, survive: usize) {
        for _ in 0..survive {
            self.disk.complete();
        }
        self.disk.queue.clear();
        self.zab = None;
    }

    /// The tree takes everything that is pending up to here.
    pub fn commit(&mut self, upto: Zxid) {
        let rest = self.pending.split_off(&Zxid(upto.0 + 1));
        for (zxid, payload) in std::mem::replace(&mut self.pending, rest) {
            self.apply(zxid, payload);
        }
    }

    pub fn apply(&mut self, zxid: Zxid, payload: Payload) {
        assert!(self.at.is_followed_by(zxid), "INV-11: {zxid} is applied behind {}", self.at);
        self.tree.insert(zxid, payload);
        self.at = zxid;
    }
}
