//! One server: the state machine, a disk, and a node whose tree is a list of transactions.

use super::Dice;
use super::disk::{Disk, Txns};
use ostler_model::{Ensemble, Zxid};
use ostler_zab::{Boot, Effect, Event, Generation, LinkId, Payload, ServingRole, Settings, Zab};
use std::collections::{BTreeMap, VecDeque};

pub struct Server {
    pub disk: Disk,
    pub settings: Settings,
    /// None while it is down.
    pub up: Option<Up>,
    /// Counts its lives: what was under way for an older one is dropped.
    pub life: u64,
}

/// What a crash takes.
pub struct Up {
    pub zab: Zab,
    /// The tree, and the zxid it stands for. A received one may contain more.
    pub tree: Txns,
    pub at: Zxid,
    /// Appended, not committed.
    pub pending: BTreeMap<Zxid, Payload>,
    /// Committed, not applied.
    pub to_apply: VecDeque<(Zxid, Payload)>,
    pub is_applying: bool,
    pub reloading: Option<(Generation, Zxid)>,
    /// The tree is being received on this link: nothing else is read from it.
    pub receiving: Option<(LinkId, Zxid)>,
    pub serving: Option<(ServingRole, u32)>,
    pub tick_at: Option<u64>,
    /// The epoch of the history with which the present role began.
    pub epoch_at_start: u32,
    pub barriers: BTreeMap<u64, Zxid>,
    /// In force.
    pub ensemble: Ensemble,
}

impl Server {
    pub fn boot(&mut self, now_ms: u64, ensemble: &Ensemble, effects: &mut Vec<Effect>) {
        let history = self.disk.recover();
        let (epochs, at) = (self.disk.epochs, history.last());
        assert!(at.epoch() <= epochs.current, "INV-5");
        let mut zab = Zab::new(self.settings.clone());
        let committed = self.disk.ensemble.as_ref().unwrap_or(ensemble).clone();
        let last_seen = self.disk.next_ensemble.as_ref().unwrap_or(&committed).clone();
        let boot = Boot { epochs, history, committed: committed.clone(), last_seen };
        zab.step(now_ms, Event::Boot(Box::new(boot)), effects);
        self.life += 1;
        self.up = Some(Up {
            zab,
            tree: self.disk.durable(),
            at,
            pending: BTreeMap::new(),
            to_apply: VecDeque::new(),
            is_applying: false,
            reloading: None,
            receiving: None,
            serving: None,
            tick_at: None,
            epoch_at_start: epochs.current,
            barriers: BTreeMap::new(),
            ensemble: committed,
        });
    }

    pub fn crash(&mut self, rng: &mut Dice) {
        if self.up.take().is_some() {
            self.disk.crash(rng);
            self.life += 1;
        }
    }
}

impl Up {
    /// The tree is told to apply everything up to here.
    pub fn commit(&mut self, upto: Zxid) {
        assert!(self.reloading.is_none() && self.receiving.is_none(), "a commit for a tree that is not there");
        let rest = self.pending.split_off(&Zxid(upto.0 + 1));
        let due = std::mem::replace(&mut self.pending, rest);
        for (zxid, payload) in due {
            self.push(zxid, payload);
        }
        let last = self.to_apply.back().map_or(self.at, |(zxid, _)| *zxid);
        assert_eq!(last, upto, "the node was told to commit what it does not have");
    }

    /// The next transaction for the tree.
    pub fn push(&mut self, zxid: Zxid, payload: Payload) {
        let last = self.to_apply.back().map_or(self.at, |(zxid, _)| *zxid);
        assert!(last.is_followed_by(zxid), "INV-11: {zxid} applied behind {last}");
        self.to_apply.push_back((zxid, payload));
    }

    /// Applies the next transaction.
    pub fn apply(&mut self) -> Option<Zxid> {
        let (zxid, payload) = self.to_apply.pop_front()?;
        if let Some(known) = self.tree.insert(zxid, payload.clone()) {
            assert_eq!(known, payload, "INV-8: another transaction under {zxid}");
        }
        self.at = zxid;
        Some(zxid)
    }
}
