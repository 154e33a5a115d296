//! Phase 2, synchronisation: each learner gets the leader's history, then NEWLEADER; a quorum of acknowledgements
//! establishes the epoch (E§7).
//!
//! To one learner always the same order (DEV-7): DIFF, TRUNC or SNAP; PROPOSAL and COMMIT of what it lacks up to its
//! point of synchronisation; NEWLEADER, and nothing more before it is acknowledged; UPTODATE; the live stream from that
//! point on.

use super::broadcast::commit_message;
use super::{Leader, LinkStage, Stage, Step};
use crate::plan::{Plan, Question};
use crate::state::{State, TreeIs};
use crate::window::Entry;
use crate::{CloseWhy, Effect, LinkId, Message, RoleEnd, ServingRole, SyncKind, Trace};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};

impl Leader {
    pub(super) fn begin_synchronisation(&mut self, state: &mut State) -> Step {
        self.stage = Stage::Synchronisation;
        self.stage_until_ms = state.now_ms + state.ticks(state.settings.init_limit);
        // The first ensemble that is established gets a version (E§7.5).
        if state.configs.last_seen.version() == 0 {
            let first = state.configs.last_seen.clone().with_version(Zxid::new(self.epoch, 0).0);
            state.see_ensemble(&first);
        }
        // Provisional like everything before Serve: a tree that is sent must contain the whole initial history.
        state.commit(self.initial);
        self.synchronise_ready(state);
        self.count_synchronised(state)
    }

    /// Tries again for the learners that wait for something to send.
    pub(crate) fn synchronise_ready(&mut self, state: &mut State) {
        let ready = self.links.iter().filter(|(_, link)| link.stage == LinkStage::Ready);
        for id in ready.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.synchronise(state, id);
        }
    }

    /// Where a learner's synchronisation ends: nothing behind this point is known to be committed or to become so.
    fn sync_point(&self) -> Zxid {
        if self.stage == Stage::Broadcast { self.committed } else { self.initial }
    }

    /// Sends a learner what it lacks, if that can be decided now.
    fn synchronise(&mut self, state: &mut State, id: LinkId) {
        if self.stage < Stage::Synchronisation {
            return;
        }
        let Some(link) = self.links.get(&id) else { return };
        assert_eq!(link.stage, LinkStage::Ready);
        let (Some(server), last, wants_tree) = (link.server, link.last, link.wants_tree) else { return };
        let upto = self.sync_point();
        let plan = Question {
            history: &state.history,
            sendable_from: state.readable_from.min(state.window.base()),
            upto,
            established: (self.stage == Stage::Broadcast).then_some(self.epoch),
            last,
            wants_tree,
            is_needed: self.is_needed(state, server),
            force_snapshot: state.settings.force_snapshot_sync,
            diff_unknown_zxid: state.settings.quirks.diff_unknown_zxid,
        }
        .decide();
        let with = match plan {
            Plan::Wait => return,
            Plan::Snap { at_least } => {
                if state.tree.is != TreeIs::Ours || state.tree.applied < self.initial {
                    return;
                }
                // `forceSnapshotSync`: the learner may hold more than is applied here yet.
                if state.history.contains(last) && state.tree.applied.max(at_least) < last {
                    return;
                }
                self.set_stage(id, LinkStage::SendingTree, state.tree.applied, u64::MAX);
                state.emit(Effect::SendTree { link: id, at_least });
                SyncKind::Snap
            }
            Plan::Diff { after } => {
                state.send(id, Message::Diff { zxid: upto });
                self.send_history(state, id, after, upto);
                SyncKind::Diff
            }
            Plan::Trunc { to } => {
                state.send(id, Message::Trunc { zxid: to });
                self.send_history(state, id, to, upto);
                SyncKind::Trunc
            }
        };
        state.trace(Trace::Syncing { server, link: id, with, from: last, to: upto });
    }

    fn set_stage(&mut self, id: LinkId, stage: LinkStage, sent: Zxid, close_at_ms: u64) {
        let link = self.links.get_mut(&id).expect("the caller has seen it");
        link.stage = stage;
        link.sent = sent;
        link.close_at_ms = close_at_ms;
    }

    /// True if those that promised the epoch are no quorum without this server.
    fn is_needed(&self, state: &State, server: ServerId) -> bool {
        let is_here = |other| {
            other != server
                && self.links.values().any(|link| link.server == Some(other) && link.stage >= LinkStage::Ready)
        };
        !Leader::is_quorum_with_me(state, is_here)
    }

    /// Everything in `(after, upto]`: what the window lacks comes from the log.
    fn send_history(&mut self, state: &mut State, id: LinkId, after: Zxid, upto: Zxid) {
        let base = state.window.base();
        if after >= base {
            self.send_pairs(state, id, after, upto);
            return;
        }
        assert!(base <= upto && base <= state.synced, "the window keeps what is not committed or not durable");
        self.set_stage(id, LinkStage::SendingHistory, base, u64::MAX);
        state.emit(Effect::SendHistory { link: id, after, upto: base });
    }

    pub(crate) fn on_history_sent(&mut self, state: &mut State, id: LinkId, complete: bool) {
        let Some(link) = self.links.get(&id) else { return };
        if link.stage != LinkStage::SendingHistory {
            return;
        }
        if !complete {
            // Purged, or damaged: who comes back, and needs as much, gets a tree.
            state.readable_from = state.readable_from.max(link.sent);
            self.drop_link(state, id, CloseWhy::HistoryUnreadable);
            return;
        }
        let (sent, upto) = (link.sent, self.sync_point());
        self.send_pairs(state, id, sent, upto);
    }

    pub(crate) fn on_tree_sent(&mut self, state: &mut State, id: LinkId, from: Zxid) {
        let Some(link) = self.links.get(&id) else { return };
        if link.stage != LinkStage::SendingTree {
            return;
        }
        let upto = self.sync_point();
        assert!(link.sent <= from && from <= upto, "a tree at {from}, between {} and {upto}", link.sent);
        self.send_pairs(state, id, from, upto);
    }

    /// The end of synchronisation, from the window.
    fn send_pairs(&mut self, state: &mut State, id: LinkId, after: Zxid, upto: Zxid) {
        let entries = state.window.after(after).take_while(|entry| entry.zxid <= upto);
        let pairs: Vec<Effect> = entries
            .flat_map(|entry| {
                let (zxid, payload, reconfig) = (entry.zxid, entry.payload.clone(), entry.reconfig.clone());
                let messages = [Message::Proposal { zxid, payload, reconfig }, Message::Commit { zxid }];
                messages.map(|message| Effect::Send { link: id, message })
            })
            .collect();
        state.effects.extend(pairs);
        // One that is proposed and not committed comes behind, in the live stream: before that the learner could take it
        // for one in force. (Of those in the initial history the newest is in force with the epoch.)
        let configs = &state.configs;
        let config = if self.stage == Stage::Broadcast { &configs.committed } else { &configs.last_seen };
        let config = Some(Box::new(config.clone()));
        state.send(id, Message::NewLeader { epoch: self.epoch, config });
        let close_at_ms = state.now_ms + state.ticks(state.settings.init_limit);
        self.set_stage(id, LinkStage::Acking, upto, close_at_ms);
    }

    /// ACK of NEWLEADER: the learner has everything up to `Link::sent` on disk.
    pub(super) fn on_new_leader_ack(&mut self, state: &mut State, id: LinkId) -> Step {
        let stage = self.stage;
        let heard_ms = state.now_ms + state.ticks(state.settings.sync_limit);
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let Some(server) = link.server else { return Ok(()) };
        link.stage = LinkStage::Acked;
        link.close_at_ms = u64::MAX;
        let sent = link.sent;
        let acked = self.acked.entry(server).or_insert(sent);
        *acked = (*acked).max(sent);
        state.trace(Trace::Synced { server, link: id });
        if stage == Stage::Broadcast {
            self.activate(state, id, heard_ms);
            return self.commit_acked(state);
        }
        self.count_synchronised(state)
    }

    /// With a quorum that has the leader's history, its own included, the epoch is established.
    fn count_synchronised(&mut self, state: &mut State) -> Step {
        let is_there =
            |server| self.links.values().any(|link| link.server == Some(server) && link.stage == LinkStage::Acked);
        if !Leader::is_quorum_with_me(state, is_there) {
            return Ok(());
        }
        assert_eq!(state.epochs.current, self.epoch, "the leader's own part is durable");
        self.stage = Stage::Broadcast;
        self.committed = self.initial;
        state.floor = self.initial;
        state.established = Some(self.epoch);
        state.commit(self.initial);
        state.trace(Trace::Established { epoch: self.epoch, last: self.initial });
        let next = state.configs.last_seen.clone();
        let best = self.designated(state, &next);
        let designated = if state.put_in_force(&next) { best } else { state.settings.me };
        state.emit(Effect::Serve { role: ServingRole::Leader, epoch: self.epoch });
        let heard_ms = state.now_ms + state.ticks(state.settings.sync_limit);
        let acked = self.links.iter().filter(|(_, link)| link.stage == LinkStage::Acked);
        for id in acked.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.activate(state, id, heard_ms);
        }
        if designated != state.settings.me {
            // The reconfiguration that the old leader left takes leadership from this server.
            state.appointed = Some(designated);
            return Err(RoleEnd::Reconfigured);
        }
        self.synchronise_ready(state);
        Ok(())
    }

    /// UPTODATE, and everything since the point of synchronisation, as if the learner had been there (DEV-7).
    fn activate(&mut self, state: &mut State, id: LinkId, close_at_ms: u64) {
        let committed = self.committed;
        let me = state.settings.me;
        // Who leads now still does: a reconfiguration that is committed has not ended this role.
        let designated = |entry: &Entry| (state.settings.reconfig_enabled && entry.reconfig.is_some()).then_some(me);
        let Some(link) = self.links.get_mut(&id) else { return };
        let sent = link.sent;
        link.stage = LinkStage::Active;
        link.close_at_ms = close_at_ms;
        let observer = link.observer;
        let is_due = |entry: &&Entry| entry.zxid <= committed;
        let commits: Vec<Message> = state
            .window
            .after(sent)
            .take_while(is_due)
            .map(|entry| commit_message(entry, observer, designated(entry)))
            .collect();
        state.send(id, Message::UpToDate);
        if observer {
            link.sent = committed.max(sent);
            let news = commits;
            for message in news {
                state.send(id, message);
            }
            return;
        }
        link.sent = state.history.last();
        link.owes_since_ms = (link.sent > sent).then_some(state.now_ms);
        let proposals = state.window.after(sent).map(|entry| Message::Proposal {
            zxid: entry.zxid,
            payload: entry.payload.clone(),
            reconfig: entry.reconfig.clone(),
        });
        let news: Vec<Message> = proposals.chain(commits).collect();
        for message in news {
            state.send(id, message);
        }
    }
}
