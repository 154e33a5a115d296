//! What a server knows whatever its role is: its history and tree, its epochs and ensembles, and the list of effects
//! that is being filled.
//!
//! The three views of the history move in this order: `history` (appended to the log), `synced` (durable), `tree`
//! (given to the tree, and applied by it). The first two change here and nowhere else, when the disk reports; so
//! whatever a role left unfinished is accounted for when its [`DiskDone::Fenced`] arrives.

use crate::configs::Configs;
use crate::window::{Entry, Window};
use crate::{
    Boot, CloseWhy, DiskDone, DiskOp, Effect, Epochs, Generation, History, LinkId, Message, Payload, Settings, Trace,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ostler_model::{Ensemble, ServerId, Zxid};

/// The relation of the tree to the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TreeIs {
    /// A prefix of it.
    Ours,
    /// Something else: a tree that is being received, or one that contains what was cut from the log. It must be
    /// installed or reloaded before this role or the next can use it.
    Foreign,
    /// Being built anew from disk.
    Reloading,
}

/// Where the tree stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    pub(crate) is: TreeIs,
    /// The last transaction it reported as applied.
    pub(crate) applied: Zxid,
    /// The last transaction it was told to apply; never behind the end of the history.
    pub(crate) handed: Zxid,
    /// What it is to be told as soon as it is ours again.
    wanted: Zxid,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) now_ms: u64,
    pub(crate) effects: Vec<Effect>,
    /// Of the present role.
    pub(crate) generation: Generation,
    /// As on disk.
    pub(crate) epochs: Epochs,
    /// Everything appended, durable or not.
    pub(crate) history: History,
    /// The durable part of it.
    pub(crate) synced: Zxid,
    /// The end of the history: its `last` is always that of the history.
    pub(crate) window: Window,
    pub(crate) tree: Tree,
    /// The log could not be read behind any point before this one: it is no source for learners there.
    pub(crate) readable_from: Zxid,
    /// Nothing up to here will ever be cut: it was served, or a quorum was seen to have it.
    pub(crate) floor: Zxid,
    /// What the disk was asked to cut behind, until it answers. Nothing is appended meanwhile.
    truncating: Option<Zxid>,
    pub(crate) configs: Configs,
    /// The log or the tree cannot be trusted or cut: only a whole tree of the leader helps (DEV-10).
    pub(crate) needs_snapshot: bool,
    /// Roles of a learner in a row that found their leader and did not come to serve: each makes the next one wait
    /// longer before it connects (BUG-42).
    pub(crate) fruitless: u32,
    /// Nothing was asked of the disk since its last fence. True at boot and while this server looks for a leader.
    pub(crate) is_at_rest: bool,
    /// Set by a role that is established, for the election: what its votes name from now on (E§8.4).
    pub(crate) established: Option<u32>,
    /// A reconfiguration named the next leader: the next role begins without an election (E§16.6).
    pub(crate) appointed: Option<ServerId>,
}

impl State {
    pub(crate) fn new(settings: Settings, boot: Boot) -> State {
        let last = boot.history.last();
        let last_seen = if settings.reconfig_enabled { boot.last_seen } else { boot.committed.clone() };
        let configs = Configs::new(boot.committed, last_seen);
        assert!(boot.epochs.current <= boot.epochs.accepted, "the epoch files were checked when they were read");
        State {
            settings,
            now_ms: 0,
            effects: Vec::new(),
            generation: Generation(0),
            epochs: boot.epochs,
            history: boot.history,
            synced: last,
            window: Window::new(last),
            tree: Tree { is: TreeIs::Ours, applied: last, handed: last, wanted: last },
            readable_from: Zxid::ZERO,
            floor: Zxid::ZERO,
            truncating: None,
            configs,
            needs_snapshot: false,
            fruitless: 0,
            is_at_rest: true,
            established: None,
            appointed: None,
        }
    }

    pub(crate) fn ticks(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(self.settings.tick_ms)
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn trace(&mut self, trace: Trace) {
        self.emit(Effect::Trace(trace));
    }

    pub(crate) fn send(&mut self, link: LinkId, message: Message) {
        self.emit(Effect::Send { link, message });
    }

    pub(crate) fn close(&mut self, link: LinkId, why: CloseWhy) {
        self.emit(Effect::CloseLink { link, why });
    }

    pub(crate) fn disk(&mut self, op: DiskOp) {
        self.emit(Effect::Disk { generation: self.generation, op });
    }

    /// An ensemble is proposed: it counts from now on (E§16.5). Its file stands before its record in the disk's FIFO.
    pub(crate) fn see_ensemble(&mut self, ensemble: &Ensemble) {
        let configs = &mut self.configs;
        if !self.settings.reconfig_enabled
            || ensemble.version() <= configs.committed.version()
            || ensemble.version() == configs.last_seen.version()
        {
            return;
        }
        configs.last_seen = ensemble.clone();
        self.disk(DiskOp::SaveConfig { ensemble: Box::new(ensemble.clone()), committed: false });
    }

    /// An ensemble was proposed in a history that is not ours (any more).
    pub(crate) fn forget_seen_ensemble(&mut self) {
        if self.configs.is_changing() && !self.settings.quirks.keep_cut_ensemble {
            self.configs.last_seen = self.configs.committed.clone();
            self.disk(DiskOp::SaveConfig { ensemble: Box::new(self.configs.committed.clone()), committed: true });
        }
    }

    /// The ensemble is in force. False: nothing changes.
    pub(crate) fn put_in_force(&mut self, ensemble: &Ensemble) -> bool {
        let configs = &mut self.configs;
        // INV-24: never back to an older one.
        if !self.settings.reconfig_enabled || ensemble.version() <= configs.committed.version() {
            return false;
        }
        configs.committed = ensemble.clone();
        if configs.last_seen.version() <= ensemble.version() {
            configs.last_seen = ensemble.clone();
        }
        self.disk(DiskOp::SaveConfig { ensemble: Box::new(ensemble.clone()), committed: true });
        let next = self.configs.is_changing().then(|| Box::new(self.configs.last_seen.clone()));
        if let Some(ensemble) = next {
            self.disk(DiskOp::SaveConfig { ensemble, committed: false });
        }
        self.emit(Effect::Activate { ensemble: Box::new(ensemble.clone()) });
        true
    }

    /// Appends the next transaction to the log.
    pub(crate) fn append(&mut self, entry: Entry) {
        if let Some(ensemble) = &entry.reconfig {
            self.see_ensemble(ensemble);
        }
        assert!(self.truncating.is_none(), "the log is being cut");
        assert!(self.tree.is != TreeIs::Foreign, "a tree is being received: the log does not lead to it");
        self.history.push(entry.zxid);
        let (zxid, payload): (Zxid, Payload) = (entry.zxid, entry.payload.clone());
        self.window.push(entry);
        self.disk(DiskOp::Append { zxid, payload });
    }

    /// Everything up to here may be applied.
    pub(crate) fn commit(&mut self, upto: Zxid) {
        assert!(upto <= self.history.last(), "{upto} is behind the end of the history, {}", self.history.last());
        self.tree.wanted = self.tree.wanted.max(upto);
        self.hand_over();
    }

    fn hand_over(&mut self) {
        if self.tree.is == TreeIs::Ours && self.tree.wanted > self.tree.handed {
            self.tree.handed = self.tree.wanted;
            self.emit(Effect::Commit { upto: self.tree.handed });
        }
    }

    /// Cuts the log; [`State::disk_done`] does the rest.
    pub(crate) fn truncate(&mut self, to: Zxid) {
        assert!(self.history.contains(to) && to >= self.floor, "{to} is no place to cut");
        self.emit(Effect::Forget { after: to });
        self.truncating = Some(to);
        self.disk(DiskOp::Truncate { to });
    }

    /// Builds the tree anew from disk.
    pub(crate) fn reload(&mut self, upto: Zxid) {
        self.tree.is = TreeIs::Reloading;
        self.tree.wanted = upto;
        self.emit(Effect::Reload { generation: self.generation, upto });
    }

    /// The tree asked for by [`State::reload`] is in place.
    pub(crate) fn reloaded(&mut self, zxid: Zxid) {
        if self.tree.is != TreeIs::Reloading {
            return;
        }
        assert!(self.history.contains(zxid), "reloaded up to {zxid}, which the history does not contain");
        self.tree = Tree { is: TreeIs::Ours, applied: zxid, handed: zxid, wanted: self.tree.wanted.max(zxid) };
        self.hand_over();
    }

    /// A tree is about to be received: from now on the tree has nothing to do with the history.
    pub(crate) fn receive_tree(&mut self, link: LinkId, label: Zxid) {
        self.emit(Effect::Forget { after: self.tree.handed });
        self.tree.is = TreeIs::Foreign;
        self.emit(Effect::ReceiveTree { link, label });
    }

    /// The received tree is in place. It is still not that of the history.
    pub(crate) fn tree_received(&mut self, label: Zxid) {
        self.tree = Tree { is: TreeIs::Foreign, applied: label, handed: label, wanted: label };
    }

    /// Applies a transaction to a received tree; the log knows nothing of it.
    pub(crate) fn replay(&mut self, entry: Entry) {
        assert!(self.tree.is == TreeIs::Foreign && entry.zxid > self.tree.handed);
        self.tree.handed = entry.zxid;
        self.tree.wanted = entry.zxid;
        self.emit(Effect::Replay { zxid: entry.zxid, payload: entry.payload });
    }

    pub(crate) fn applied(&mut self, zxid: Zxid) {
        if self.tree.is != TreeIs::Reloading && zxid <= self.tree.handed {
            self.tree.applied = self.tree.applied.max(zxid);
        }
    }

    /// Something is durable: of this role or of an older one.
    pub(crate) fn disk_done(&mut self, done: &DiskDone) {
        match done {
            DiskDone::Synced { zxid } => {
                assert!(*zxid <= self.history.last(), "{zxid} is durable and was never appended");
                self.synced = self.synced.max(*zxid);
            }
            DiskDone::EpochsSaved(epochs) => {
                let known = self.epochs;
                assert!(epochs.accepted >= known.accepted && epochs.current >= known.current, "INV-1: epochs grow");
                self.epochs = *epochs;
            }
            DiskDone::Truncated => {
                let to = self.truncating.take().expect("only a Truncate is answered by Truncated");
                self.history.truncate(to);
                self.window.truncate(to);
                self.synced = to;
                if self.has_cut_seen_ensemble() {
                    self.forget_seen_ensemble();
                }
                if self.tree.is == TreeIs::Ours {
                    self.tree.wanted = self.tree.wanted.min(to);
                    if self.tree.handed > to {
                        self.tree.is = TreeIs::Foreign;
                    }
                }
            }
            DiskDone::CannotTruncate => {
                self.truncating.take().expect("only a Truncate is answered by CannotTruncate");
                self.needs_snapshot = true;
                // The node has forgotten the tail, which is still in the log: without a new tree it is reloaded.
                self.tree.is = TreeIs::Foreign;
            }
            DiskDone::Installed { zxid } => {
                assert!(*zxid == self.tree.handed, "the tree stood still while it was installed");
                self.history = History { base: *zxid, spans: Vec::new(), trusted: true };
                self.window = Window::new(*zxid);
                self.synced = *zxid;
                self.tree.is = TreeIs::Ours;
                self.needs_snapshot = false;
            }
            DiskDone::Fenced => {
                assert!(self.truncating.is_none(), "completions come in order");
                self.synced = self.history.last();
            }
            DiskDone::ConfigSaved => {}
        }
        debug_assert_eq!(self.window.last(), self.history.last());
    }

    /// The reconfiguration seen last is not part of the history: it was cut, or never reached the log. (The first
    /// ensemble that an epoch establishes has no transaction: its version is `epoch << 32`.)
    pub(crate) fn has_cut_seen_ensemble(&self) -> bool {
        let seen = Zxid(self.configs.last_seen.version());
        let is_behind = seen > self.history.base && !self.history.contains(seen);
        self.configs.is_changing() && seen.counter() != 0 && is_behind
    }

    /// Keeps the window in its bounds: what is not applied or not durable stays, and what is behind `needed`.
    pub(crate) fn evict(&mut self, needed: Zxid) {
        let keep_after = needed.min(self.tree.applied).min(self.synced);
        self.window.evict(keep_after, self.settings.window_txns_max, self.settings.window_bytes_max);
    }
}
