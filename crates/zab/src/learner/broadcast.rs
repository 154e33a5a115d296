//! Phase 3, broadcast, and what of it already happens during synchronisation: proposals are appended, acknowledged
//! when durable, and applied when committed, all in the leader's order (E§8.5).

use super::{Learner, Phase};
use crate::leader::Step;
use crate::state::State;
use crate::window::Entry;
use crate::{CloseWhy, Message};
use alloc::vec::Vec;
use ostler_model::Zxid;

impl Learner {
    pub(super) fn on_proposal(&mut self, state: &mut State, entry: Entry) -> Step {
        let zxid = entry.zxid;
        let last = if self.is_direct {
            self.unlogged.back().map_or(state.tree.handed, |entry| entry.zxid)
        } else {
            state.history.last()
        };
        if zxid <= last {
            // Seen already: dropped, and not acknowledged again (BUG-1). Unless it is none of ours.
            let is_known = self.is_direct || state.history.contains(zxid);
            return if is_known { Ok(()) } else { self.refuse_hole(state) };
        }
        if !last.is_followed_by(zxid) {
            return self.refuse_hole(state);
        }
        if self.is_direct {
            self.unlogged.push_back(entry);
            return Ok(());
        }
        state.append(entry);
        if state.settings.quirks.learner_acks_unsynced {
            self.acknowledge(state);
        }
        Ok(())
    }

    /// The oldest transaction that is not known to be committed.
    fn next_uncommitted(&self, state: &State) -> Option<Zxid> {
        if self.is_direct {
            return self.unlogged.iter().map(|entry| entry.zxid).find(|zxid| *zxid > self.committed);
        }
        state.window.after(self.committed).next().map(|entry| entry.zxid)
    }

    pub(super) fn on_commit(&mut self, state: &mut State, zxid: Zxid) -> Step {
        if self.next_uncommitted(state) != Some(zxid) {
            // An old one repeated changes nothing. Any other means that we missed something.
            return if zxid <= self.committed { Ok(()) } else { self.refuse(state, CloseWhy::Discontinuous) };
        }
        self.committed = zxid;
        match self.phase {
            Phase::Syncing if self.is_direct => {
                let entry = self.unlogged.pop_front().expect("it is the oldest one");
                state.replay(entry);
            }
            Phase::Syncing => state.commit(zxid),
            Phase::Active => {
                state.floor = zxid;
                state.commit(zxid);
            }
            // Between NEWLEADER and UPTODATE it is noted: the tree is being installed, or will be told at UPTODATE.
            _ => {}
        }
        Ok(())
    }

    /// PROPOSAL and COMMIT in one, for observers.
    pub(super) fn on_inform(&mut self, state: &mut State, entry: Entry) -> Step {
        let zxid = entry.zxid;
        self.on_proposal(state, entry)?;
        if zxid <= self.committed {
            return Ok(());
        }
        self.on_commit(state, zxid)
    }

    /// INV-18: one ACK for each transaction that became durable, in order; none before UPTODATE, none from observers.
    pub(super) fn acknowledge(&mut self, state: &mut State) {
        let (Some(link), Phase::Active) = (self.link, self.phase) else { return };
        let upto = if state.settings.quirks.learner_acks_unsynced { state.history.last() } else { state.synced };
        if self.observer || upto <= self.acked {
            return;
        }
        let due: Vec<Zxid> =
            state.window.after(self.acked).map(|entry| entry.zxid).take_while(|zxid| *zxid <= upto).collect();
        for zxid in due {
            state.send(link, Message::Ack { zxid });
        }
        self.acked = upto;
    }
}
