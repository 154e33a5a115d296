//! Phase 3, broadcast: proposals in order, acknowledgements, commits in order (E§9.1).

use super::{Joint, Leader, LinkStage, Stage, Step};
use crate::configs::is_quorum;
use crate::state::State;
use crate::window::Entry;
use crate::{CloseWhy, Effect, LinkId, Message, RoleEnd};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ostler_model::{Ensemble, PeerAddress, ServerId, Zxid};

impl Leader {
    /// The zxid of the next proposal; none before the epoch is established and when its counter is used up (E§1.2).
    pub(crate) fn next_zxid(&self, state: &State) -> Option<Zxid> {
        let last = state.history.last();
        if self.stage != Stage::Broadcast || self.is_resigning {
            return None;
        }
        let next = if last.epoch() == self.epoch { last.next()? } else { Zxid::new(self.epoch, 1) };
        (next.counter() <= state.settings.counter_max).then_some(next)
    }

    pub(crate) fn propose(&mut self, state: &mut State, entry: Entry) -> Step {
        if self.stage != Stage::Broadcast || self.is_resigning {
            return Ok(());
        }
        let zxid = entry.zxid;
        let Some(next) = self.next_zxid(state) else {
            // The counter is used up: this role ends when its last transaction is committed, and what comes now with it.
            return Ok(());
        };
        assert_eq!(zxid, next, "the node numbers its proposals by Status::next_zxid");
        let now_ms = state.now_ms;
        for (id, link) in &mut self.links {
            if link.stage == LinkStage::Active && !link.observer {
                link.sent = zxid;
                link.owes_since_ms.get_or_insert(now_ms);
                let (payload, reconfig) = (entry.payload.clone(), entry.reconfig.clone());
                let message = Message::Proposal { zxid, payload, reconfig };
                state.effects.push(Effect::Send { link: *id, message });
            }
        }
        state.append(entry);
        if state.settings.quirks.leader_acks_unsynced {
            self.acked.insert(state.settings.me, zxid);
        }
        if state.settings.quirks.leader_acks_unsynced || state.settings.quirks.commit_without_quorum {
            return self.commit_acked(state);
        }
        Ok(())
    }

    /// The leader's own log is durable up to `State::synced`: its own acknowledgement.
    pub(super) fn on_synced(&mut self, state: &mut State) -> Step {
        let acked = self.acked.entry(state.settings.me).or_insert(state.synced);
        *acked = (*acked).max(state.synced);
        self.commit_acked(state)
    }

    pub(super) fn on_ack(&mut self, state: &mut State, id: LinkId, zxid: Zxid) -> Step {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        match link.stage {
            // Any other comes too early from somebody (BUG-8): the right one will follow.
            LinkStage::Acking if zxid == Zxid::new(self.epoch, 0) => return self.on_new_leader_ack(state, id),
            LinkStage::Acking | LinkStage::Acked => return Ok(()),
            LinkStage::Active if zxid.counter() == 0 => return Ok(()),
            LinkStage::Active if zxid <= link.sent && !link.observer => {}
            _ => {
                self.drop_link(state, id, CloseWhy::Protocol);
                return Ok(());
            }
        }
        link.owes_since_ms = (zxid < link.sent).then_some(state.now_ms);
        let Some(server) = link.server else { return Ok(()) };
        let acked = self.acked.entry(server).or_insert(zxid);
        *acked = (*acked).max(zxid);
        self.commit_acked(state)
    }

    /// A learner that comes back holds what it reports, if that is ours and of this epoch: it had promised nothing
    /// newer when it said so. Without this, a proposal that lacks only its acknowledgement would wait for ever.
    pub(super) fn note_reported(&mut self, state: &mut State, id: LinkId) -> Step {
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let (Some(server), last) = (link.server, link.last) else { return Ok(()) };
        if self.stage != Stage::Broadcast || last.epoch() != self.epoch || !state.history.contains(last) {
            return Ok(());
        }
        let acked = self.acked.entry(server).or_insert(last);
        *acked = (*acked).max(last);
        self.commit_acked(state)
    }

    fn has_quorum(&self, state: &State, zxid: Zxid) -> bool {
        let acked: &BTreeMap<ServerId, Zxid> = &self.acked;
        let quirks = &state.settings.quirks;
        let has = |server: ServerId| acked.get(&server).is_some_and(|it| *it >= zxid);
        let is_joint = |joint: &&Joint| zxid <= joint.upto && !quirks.forget_old_quorum;
        quirks.commit_without_quorum
            || state.configs.is_quorum(quirks, has)
                && self.joint.as_ref().filter(is_joint).is_none_or(|joint| is_quorum(&joint.old, quirks, has))
    }

    /// Commits whatever has its quorum, in order and without gaps.
    pub(super) fn commit_acked(&mut self, state: &mut State) -> Step {
        if self.stage != Stage::Broadcast {
            return Ok(());
        }
        // What stands behind a reconfiguration is a question for the ensemble that it brings, and for the one before it too
        // if it was proposed before that was in force.
        while self.commit_up_to_reconfig(state)? {}
        self.synchronise_ready(state);
        // The last zxid of the epoch is used up and committed: the next one needs a new epoch.
        self.look_at_resignation(state)?;
        if self.committed == state.history.last() && self.next_zxid(state).is_none() {
            return Err(RoleEnd::CounterExhausted);
        }
        Ok(())
    }

    /// True if a reconfiguration was committed, and more may be.
    fn commit_up_to_reconfig(&mut self, state: &mut State) -> Result<bool, RoleEnd> {
        let mut fresh: Vec<Entry> = Vec::new();
        for entry in state.window.after(self.committed).take_while(|entry| self.has_quorum(state, entry.zxid)) {
            fresh.push(entry.clone());
            if changes_ensemble(state, entry) {
                break;
            }
        }
        let Some(newest) = fresh.last().cloned() else { return Ok(false) };
        let last = newest.zxid;
        let next = newest.reconfig.filter(|_| changes_ensemble(state, fresh.last().expect("it is there")));
        let designated = next.as_ref().map(|next| self.designated(state, next));
        if state.settings.quirks.commit_out_of_order {
            fresh.reverse();
        }
        self.committed = last;
        state.floor = last;
        state.commit(last);
        for entry in &fresh {
            let zxid = entry.zxid;
            self.reach_before(state, zxid);
            for (id, link) in self.links.iter_mut().filter(|(_, link)| link.is_active()) {
                if link.observer {
                    link.sent = link.sent.max(zxid);
                } else {
                    assert!(zxid <= link.sent, "a COMMIT follows its PROPOSAL");
                }
                let message = commit_message(entry, link.observer, designated.filter(|_| zxid == last));
                state.effects.push(Effect::Send { link: *id, message });
            }
        }
        self.reach(state);
        let (Some(next), Some(designated)) = (next, designated) else { return Ok(false) };
        let old = state.configs.committed.clone();
        state.put_in_force(&next);
        self.joint = Some(Joint { upto: state.history.last(), old });
        if designated != state.settings.me {
            // It commits nothing more: what is proposed is the next leader's (LIV-9).
            state.appointed = Some(designated);
            return Err(RoleEnd::Reconfigured);
        }
        Ok(true)
    }

    /// Who leads when this ensemble is in force: this server, if it votes there and learners find it where it is; else
    /// the voter that has most of what is proposed (E§16.6).
    pub(super) fn designated(&self, state: &State, next: &Ensemble) -> ServerId {
        let me = state.settings.me;
        if stays_where_it_is(&state.configs.committed, next, me) {
            return me;
        }
        let is_linked = |server: &ServerId| {
            self.links.values().any(|link| link.server == Some(*server) && link.stage >= LinkStage::Acked)
        };
        let best = next.voters().filter(|server| *server != me && is_linked(server));
        best.max_by_key(|server| (self.acked.get(server).copied(), *server)).unwrap_or(me)
    }
}

/// True if the server votes in the next ensemble and takes its learners at the same address as before.
pub(crate) fn stays_where_it_is(old: &Ensemble, next: &Ensemble, server: ServerId) -> bool {
    let address = |ensemble: &Ensemble| {
        let member = ensemble.member(server)?;
        Some(member.addresses().iter().map(PeerAddress::quorum).collect::<Vec<_>>())
    };
    let before = address(old);
    next.is_voter(server) && (before.is_none() || address(next) == before)
}

fn changes_ensemble(state: &State, entry: &Entry) -> bool {
    let newer = |ensemble: &Ensemble| ensemble.version() > state.configs.committed.version();
    state.settings.reconfig_enabled && entry.reconfig.as_deref().is_some_and(newer)
}

/// COMMIT or INFORM; with `designated` the transaction is a reconfiguration, which is in force with it.
pub(super) fn commit_message(entry: &Entry, observer: bool, designated: Option<ServerId>) -> Message {
    let (zxid, payload) = (entry.zxid, entry.payload.clone());
    match (observer, designated) {
        (false, None) => Message::Commit { zxid },
        (false, Some(designated)) => Message::CommitAndActivate { zxid, designated },
        (true, None) => Message::Inform { zxid, payload },
        (true, Some(designated)) => {
            Message::InformAndActivate { zxid, designated, payload, reconfig: entry.reconfig.clone() }
        }
    }
}
