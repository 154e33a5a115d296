//! Phase 2, synchronisation: the leader's history becomes ours, on disk, before we say so (E§8).
//!
//! After DIFF and TRUNC every proposal is appended at once, as in broadcast. After SNAP the log does not lead to the
//! received tree: what follows goes to the tree alone until NEWLEADER, where the tree replaces log and snapshots.

use super::{Learner, Phase};
use crate::leader::Step;
use crate::state::{State, TreeIs};
use crate::{CloseWhy, DiskOp, Effect, Epochs, LinkId, Message, ServingRole, SyncKind, Trace};
use alloc::boxed::Box;
use ostler_model::{Ensemble, Zxid};

impl Learner {
    /// Our history is a prefix of the leader's.
    pub(super) fn on_diff(&mut self, state: &mut State) -> Step {
        let last = state.history.last();
        state.trace(Trace::SyncStarted { leader: self.leader, with: SyncKind::Diff, zxid: last });
        if state.needs_snapshot && last > Zxid::ZERO && !state.settings.quirks.trust_diverged {
            // Only who has promised the epoch before can say that only a tree helps: the next connection does. If that was
            // said, the leader has nothing to send a tree of, and what it has we cannot join.
            return if self.has_asked_for_tree {
                self.refuse(state, CloseWhy::Protocol)
            } else {
                self.dial_for_tree(state)
            };
        }
        self.follow_from(state, last);
        Ok(())
    }

    /// What follows continues our history; what is there is the leader's too. (So says the leader: it is applied, but
    /// nobody is served before UPTODATE.)
    fn follow_from(&mut self, state: &mut State, last: Zxid) {
        if state.settings.quirks.epoch_before_history {
            self.save_current(state);
        }
        self.phase = Phase::Syncing;
        self.rearm(state);
        self.committed = last;
        state.commit(last);
    }

    pub(super) fn on_trunc(&mut self, state: &mut State, zxid: Zxid) -> Step {
        state.trace(Trace::SyncStarted { leader: self.leader, with: SyncKind::Trunc, zxid });
        if zxid < state.floor {
            // What a quorum has had is to be cut: the leader is wrong, or the operator emptied disks.
            state.needs_snapshot = true;
            return self.refuse(state, CloseWhy::Protocol);
        }
        if state.needs_snapshot || !state.history.contains(zxid) {
            state.needs_snapshot = true;
            return self.dial_for_tree(state);
        }
        let mut to = zxid;
        if state.settings.quirks.truncate_one_less && zxid >= state.window.base() {
            to = state.window.after(zxid).next().map_or(zxid, |entry| entry.zxid);
        }
        if to == state.history.last() {
            self.follow_from(state, to);
            return Ok(());
        }
        self.phase = Phase::Cutting;
        state.truncate(to);
        Ok(())
    }

    pub(super) fn on_truncated(&mut self, state: &mut State) -> Step {
        assert_eq!(self.phase, Phase::Cutting);
        if state.tree.is == TreeIs::Foreign {
            state.reload(state.history.last());
        }
        self.follow_from(state, state.history.last());
        while let (Some(link), Some(message)) = (self.link, self.inbox.pop()) {
            self.take(state, link, message)?;
        }
        Ok(())
    }

    pub(super) fn on_snap(&mut self, state: &mut State, link: LinkId, label: Zxid) -> Step {
        state.trace(Trace::SyncStarted { leader: self.leader, with: SyncKind::Snap, zxid: label });
        if label < state.floor {
            return self.refuse(state, CloseWhy::Protocol);
        }
        self.phase = Phase::Receiving;
        self.rearm(state);
        self.committed = label;
        state.receive_tree(link, label);
        Ok(())
    }

    pub(crate) fn on_tree_received(&mut self, state: &mut State, link: LinkId, complete: bool) -> Step {
        if self.link != Some(link) || self.phase != Phase::Receiving {
            return Ok(());
        }
        if !complete {
            return self.refuse(state, CloseWhy::BadTree);
        }
        self.phase = Phase::Syncing;
        self.rearm(state);
        self.is_direct = true;
        state.tree_received(self.committed);
        Ok(())
    }

    /// NEWLEADER: what came so far is the history that belongs to this epoch.
    pub(super) fn on_new_leader(&mut self, state: &mut State, epoch: u32, config: Option<Box<Ensemble>>) -> Step {
        if epoch != self.epoch {
            return self.refuse(state, CloseWhy::Protocol);
        }
        self.see_leaders_ensemble(state, config);
        self.acked = self.committed;
        if self.is_direct {
            self.phase = Phase::Applying;
            self.rearm(state);
            self.install_applied(state);
            return Ok(());
        }
        self.phase = Phase::Securing(state.history.last());
        self.rearm(state);
        if state.settings.quirks.ack_before_sync {
            self.acknowledge_epoch(state);
            self.save_current(state);
            self.phase = Phase::Acked;
            return Ok(());
        }
        self.secured(state)
    }

    /// The tree becomes a snapshot when it has applied everything that came before NEWLEADER.
    pub(crate) fn install_applied(&mut self, state: &mut State) {
        if self.phase == Phase::Applying && state.tree.applied == state.tree.handed {
            self.phase = Phase::Installing;
            state.disk(DiskOp::Install { zxid: state.tree.handed });
        }
    }

    pub(super) fn on_installed(&mut self, state: &mut State) -> Step {
        assert_eq!(self.phase, Phase::Installing);
        self.is_direct = false;
        self.phase = Phase::Securing(state.history.last());
        self.rearm(state);
        for entry in core::mem::take(&mut self.unlogged) {
            state.append(entry);
        }
        self.secured(state)
    }

    /// The epoch vouches for the history: it is saved when all of that is durable (BUG-6).
    pub(super) fn secured(&mut self, state: &mut State) -> Step {
        match self.phase {
            Phase::Securing(upto) if state.synced >= upto => {
                self.phase = Phase::SavingCurrent;
                if state.epochs.current == self.epoch {
                    return self.on_current_saved(state);
                }
                self.save_current(state);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn save_current(&self, state: &mut State) {
        let accepted = state.epochs.accepted.max(self.epoch);
        state.disk(DiskOp::SaveEpochs(Epochs { accepted, current: self.epoch.max(state.epochs.current) }));
    }

    /// INV-17: history and epoch are durable, now the leader may know (BUG-7). No other ACK comes before (BUG-8).
    pub(super) fn on_current_saved(&mut self, state: &mut State) -> Step {
        self.acknowledge_epoch(state);
        self.phase = Phase::Acked;
        self.rearm(state);
        Ok(())
    }

    fn acknowledge_epoch(&self, state: &mut State) {
        if let Some(link) = self.link {
            state.send(link, Message::Ack { zxid: Zxid::new(self.epoch, 0) });
        }
    }

    pub(super) fn on_up_to_date(&mut self, state: &mut State) -> Step {
        self.is_up_to_date = true;
        self.take_leaders_ensemble(state)?;
        self.serve(state);
        Ok(())
    }

    /// Serves clients, when the epoch is established and the tree is that of the history.
    pub(crate) fn serve(&mut self, state: &mut State) {
        if !self.is_up_to_date || self.phase != Phase::Acked || state.tree.is != TreeIs::Ours {
            return;
        }
        self.phase = Phase::Active;
        state.fruitless = 0;
        self.rearm(state);
        state.floor = self.committed;
        state.established = Some(self.epoch);
        state.commit(self.committed);
        state.trace(Trace::Established { epoch: self.epoch, last: self.committed });
        self.acknowledge_epoch(state);
        let role = if self.observer { ServingRole::Observer } else { ServingRole::Follower };
        state.emit(Effect::Serve { role, epoch: self.epoch });
        self.acknowledge(state);
    }
}
