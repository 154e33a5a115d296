//! The state machine: one role at a time, and what lies between two roles.
//!
//! ```text
//!   Boot -> Looking -> Leading | Following | Observing -> Leaving -> Looking ...
//! ```
//!
//! A role ends when one of its steps says so, never by a call from outside. Between two roles the disk comes to rest
//! ([`DiskDone::Fenced`]) and the tree becomes that of the history again; only then is the end of the history known
//! that the next vote names (BUG-14, BUG-15, INV-22). Each role has a generation of its own, and completions of an older
//! one reach [`State`] but no role.

mod hand_over;
mod reconfigured;

use crate::election::{Candidate, Decided, Decision, Election, Voting};
use crate::leader::{Leader, LinkStage, Stage, Step};
use crate::learner::{Learner, Phase};
use crate::state::{State, TreeIs};
use crate::window::Entry;
use crate::{
    CloseWhy, DiskDone, DiskOp, Effect, Event, Generation, LearnerPhase, LearnerStatus, LinkId, Message, PeerState,
    RoleEnd, Settings, Status, Trace, ZabPhase,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ostler_model::{Role as MemberRole, ServerId};

/// Learners that came before this server knew its role; more are turned away.
const WAITING_MAX: usize = 64;

/// One server of an ensemble, without clock, disk and network.
#[derive(Debug)]
pub struct Zab {
    settings: Settings,
    /// Present from Boot on.
    running: Option<Box<Running>>,
}

#[derive(Debug)]
struct Running {
    state: State,
    election: Election,
    role: Role,
    /// Connections to the quorum port while this server looks for a leader: if it becomes that itself, they need not
    /// come again (DEV-19).
    waiting: BTreeMap<LinkId, Waiting>,
    /// The operator wants this server to stop.
    resignation: Option<Resignation>,
}

/// A learner that believes that this server leads, and may be right soon.
#[derive(Debug)]
struct Waiting {
    said: Option<Message>,
    /// If this server does not lead by then, the learner shall look again: it may be the one whose vote is missing.
    until_ms: u64,
}

#[derive(Debug)]
enum Role {
    Looking,
    Leading(Box<Leader>),
    Learning(Box<Learner>),
    /// The disk comes to rest, then the tree.
    Leaving,
    /// Nothing more will be said: the process stops.
    Retired,
}

/// A hand-over under way (DEV-20).
#[derive(Clone, Copy, Debug)]
struct Resignation {
    /// This server goes then at the latest.
    until_ms: u64,
    /// Whom it votes for.
    successor: Option<ServerId>,
}

impl Zab {
    /// A server that has not heard [`Event::Boot`] yet.
    pub fn new(settings: Settings) -> Zab {
        Zab { settings, running: None }
    }

    /// Takes one event at a time that never goes back, and appends what is to be done.
    ///
    /// # Panics
    /// If an invariant is broken, by this server's own disk or node or by an error in here: better no server than one
    /// that damages what it keeps. Nothing that peers say makes it panic.
    pub fn step(&mut self, now_ms: u64, event: Event, effects: &mut Vec<Effect>) {
        let running = match (&mut self.running, event) {
            (None, Event::Boot(boot)) => {
                let running = self.running.insert(Box::new(Running {
                    state: State::new(self.settings.clone(), *boot),
                    election: Election::new(&self.settings),
                    role: Role::Leaving,
                    waiting: BTreeMap::new(),
                    resignation: None,
                }));
                running.state.now_ms = now_ms;
                core::mem::swap(&mut running.state.effects, effects);
                if running.state.has_cut_seen_ensemble() {
                    running.state.forget_seen_ensemble();
                }
                running.look();
                running
            }
            (None, event) => panic!("the first event is Boot, not {event:?}"),
            (Some(_), Event::Boot(_)) => panic!("a server boots once"),
            (Some(running), event) => {
                core::mem::swap(&mut running.state.effects, effects);
                running.state.now_ms = running.state.now_ms.max(now_ms);
                running.take(event);
                running
            }
        };
        running.settle();
        core::mem::swap(&mut running.state.effects, effects);
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        let role = match &running.role {
            Role::Leading(leader) => Some(leader.next_deadline()),
            Role::Learning(learner) => Some(learner.next_deadline()),
            Role::Retired => return None,
            Role::Looking | Role::Leaving => running.waiting.values().map(|waiting| waiting.until_ms).min(),
        };
        let resignation = running.resignation.map(|resignation| resignation.until_ms);
        running
            .election
            .next_deadline()
            .into_iter()
            .chain(role)
            .chain(resignation)
            .min()
            .filter(|at_ms| *at_ms < u64::MAX)
    }

    /// Where this server stands.
    ///
    /// # Panics
    /// Before [`Event::Boot`].
    pub fn status(&self) -> Status {
        self.running.as_ref().expect("the first event is Boot").status()
    }
}

impl Running {
    fn take(&mut self, event: Event) {
        let step = match event {
            Event::Boot(_) => unreachable!("handled by Zab::step"),
            _ if matches!(self.role, Role::Retired) => Ok(()),
            Event::Notified { .. } | Event::ElectionUp { .. } | Event::ElectionDown { .. } => {
                self.elect(&event);
                self.hear_successor(&event);
                Ok(())
            }
            Event::Gossip { ensemble } => {
                self.hear_ensemble(&ensemble);
                Ok(())
            }
            Event::Resign => self.resign(),
            Event::Tick => self.tick(),
            Event::LearnerUp { link } => {
                self.learner_up(link);
                Ok(())
            }
            Event::LinkDown { link } => {
                self.waiting.remove(&link);
                match &mut self.role {
                    Role::Leading(leader) => {
                        leader.link_down(link);
                        Ok(())
                    }
                    Role::Learning(learner) => learner.link_down(link),
                    Role::Looking | Role::Leaving | Role::Retired => Ok(()),
                }
            }
            Event::Received { link, message } => self.received(link, message),
            Event::Disk { generation, done } => self.disk_done(generation, &done),
            Event::Reloaded { zxid, .. } => {
                self.state.reloaded(zxid);
                Ok(())
            }
            Event::Applied { zxid } => {
                self.state.applied(zxid);
                Ok(())
            }
            Event::Diverged { .. } => self.diverged(),
            event => self.role_event(event),
        };
        if let Err(why) = step {
            self.leave(why);
        }
    }

    /// Events that matter to one role only.
    fn role_event(&mut self, event: Event) -> Step {
        let state = &mut self.state;
        match (&mut self.role, event) {
            (Role::Leading(leader), Event::PipeFull { link }) => leader.pipe_full(state, link),
            (Role::Leading(leader), Event::HistorySent { link, complete }) => {
                leader.on_history_sent(state, link, complete);
            }
            (Role::Leading(leader), Event::TreeSent { link, from, .. }) => leader.on_tree_sent(state, link, from),
            (Role::Leading(leader), Event::Propose { zxid, payload, reconfig }) => {
                return leader.propose(state, Entry { zxid, payload, reconfig });
            }
            (Role::Leading(leader), Event::Barrier { token }) => leader.barrier(state, token),
            (Role::Learning(learner), Event::LeaderUp { link }) => learner.link_up(state, link),
            (Role::Learning(learner), Event::DialFailed { leader }) => return learner.dial_failed(leader),
            (Role::Learning(learner), Event::TreeReceived { link, complete }) => {
                return learner.on_tree_received(state, link, complete);
            }
            (Role::Learning(learner), Event::ToLeader { bytes }) => learner.to_leader(state, bytes),
            (_, Event::LeaderUp { link }) => state.close(link, CloseWhy::RoleEnded),
            // It was meant for a role that has ended.
            _ => {}
        }
        Ok(())
    }

    fn received(&mut self, link: LinkId, message: Message) -> Step {
        match &mut self.role {
            Role::Leading(leader) => leader.received(&mut self.state, link, message),
            Role::Learning(learner) => learner.received(&mut self.state, link, message),
            Role::Retired => Ok(()),
            Role::Looking | Role::Leaving => {
                // It has introduced itself, and has nothing more to say before it is answered.
                if let Some(waiting) = self.waiting.get_mut(&link)
                    && waiting.said.replace(message).is_some()
                {
                    self.waiting.remove(&link);
                    self.state.close(link, CloseWhy::Protocol);
                }
                Ok(())
            }
        }
    }

    fn learner_up(&mut self, link: LinkId) {
        match &mut self.role {
            Role::Leading(leader) => leader.link_up(&self.state, link),
            Role::Looking | Role::Leaving if self.waiting.len() < WAITING_MAX => {
                // Whoever counted the same votes decides within this time.
                let Settings { finalize_ms, notification_min_ms, .. } = self.state.settings;
                let until_ms = self.state.now_ms.saturating_add(4 * finalize_ms + notification_min_ms);
                self.waiting.insert(link, Waiting { said: None, until_ms });
            }
            Role::Looking | Role::Leaving | Role::Retired | Role::Learning(_) => {
                self.state.close(link, CloseWhy::NotLeading);
            }
        }
    }

    fn disk_done(&mut self, generation: Generation, done: &DiskDone) -> Step {
        self.state.disk_done(done);
        if generation != self.state.generation {
            return Ok(());
        }
        match &mut self.role {
            Role::Leading(leader) => leader.disk_done(&mut self.state, done),
            Role::Learning(learner) => learner.disk_done(&mut self.state, done),
            Role::Leaving => {
                if *done == DiskDone::Fenced {
                    self.fenced();
                }
                Ok(())
            }
            Role::Looking | Role::Retired => Ok(()),
        }
    }

    fn tick(&mut self) -> Step {
        if self.resignation.is_some_and(|resignation| resignation.until_ms <= self.state.now_ms) {
            self.retire();
            return Ok(());
        }
        self.elect(&Event::Tick);
        match &mut self.role {
            Role::Leading(leader) => leader.tick(&mut self.state),
            Role::Learning(learner) => learner.tick(&mut self.state),
            Role::Retired => Ok(()),
            Role::Looking | Role::Leaving => {
                let State { now_ms, effects, .. } = &mut self.state;
                self.waiting.retain(|link, waiting| {
                    let stays = waiting.until_ms > *now_ms;
                    if !stays {
                        effects.push(Effect::CloseLink { link: *link, why: CloseWhy::NotLeading });
                    }
                    stays
                });
                Ok(())
            }
        }
    }

    /// The tree is not what the leader says it is after the same transactions: neither it nor the log is trusted.
    fn diverged(&mut self) -> Step {
        match self.role {
            Role::Leading(_) | Role::Learning(_) => {
                self.state.needs_snapshot = true;
                self.state.tree.is = TreeIs::Foreign;
                Err(RoleEnd::Diverged)
            }
            Role::Looking | Role::Leaving | Role::Retired => Ok(()),
        }
    }

    /// The leadership that was elected will not come about (DEV-14).
    fn forsaken(&self) -> Option<RoleEnd> {
        let configs = &self.state.configs;
        match &self.role {
            _ if self.state.settings.quirks.wait_for_deserters => None,
            Role::Leading(leader) if leader.stage() != Stage::Broadcast => {
                let is_linked = |server| leader.has_introduced(server);
                self.election.is_forsaken(configs, is_linked).then_some(RoleEnd::Deserted)
            }
            Role::Learning(learner) if learner.phase() <= Phase::Introduced => {
                let is_linked = |_| learner.phase() != Phase::Dialing;
                self.election.is_forsaken(configs, is_linked).then_some(RoleEnd::LeaderLost)
            }
            _ => None,
        }
    }

    /// What became possible by the last event.
    fn settle(&mut self) {
        if let Some(epoch) = self.state.established.take() {
            self.election.established(epoch);
        }
        if let Some(why) = self.forsaken() {
            self.leave(why);
        }
        match &mut self.role {
            Role::Leading(leader) => {
                leader.synchronise_ready(&mut self.state);
                leader.evict(&mut self.state);
            }
            Role::Learning(learner) => {
                learner.install_applied(&mut self.state);
                learner.serve(&mut self.state);
                learner.evict(&mut self.state);
            }
            Role::Leaving if self.state.tree.is == TreeIs::Ours && self.state.is_at_rest => self.look(),
            Role::Leaving | Role::Looking | Role::Retired => {}
        }
        if let Some(epoch) = self.state.established.take() {
            self.election.established(epoch);
        }
    }

    fn elect(&mut self, event: &Event) {
        let State { now_ms, configs, effects, .. } = &mut self.state;
        let decided = match event {
            Event::Notified { from, notification } => {
                self.election.notified(*now_ms, *from, notification, configs, effects)
            }
            Event::ElectionUp { peer } => {
                self.election.peer_up(*peer, configs, effects);
                None
            }
            Event::ElectionDown { peer } => self.election.peer_down(*now_ms, *peer, configs, effects),
            _ => self.election.tick(*now_ms, configs, effects),
        };
        if let Some(decided) = decided {
            self.enter(decided);
        }
    }

    /// Begins to look for a leader.
    fn look(&mut self) {
        self.role = Role::Looking;
        let state = &mut self.state;
        state.generation.0 += 1;
        let me = state.settings.me;
        let voting = match state.configs.committed.member(me).map(|member| member.role) {
            Some(MemberRole::Participant) => Voting::Voter,
            Some(MemberRole::Observer) => Voting::Observer,
            None => Voting::Unlisted,
        };
        if self.resignation.is_some() {
            self.look_for_successor();
            return;
        }
        if let Some(leader) = state.appointed.take() {
            self.take_appointment(leader);
            return;
        }
        let state = &mut self.state;
        let last = if state.settings.quirks.vote_applied { state.tree.applied } else { state.history.last() };
        let candidate = Candidate { last, current_epoch: state.epochs.current, trusted: state.history.trusted, voting };
        if let Some(decided) = self.election.start(state.now_ms, candidate, &state.configs, &mut state.effects) {
            self.enter(decided);
        }
    }

    /// An election was decided.
    fn enter(&mut self, decided: Decided) {
        assert!(matches!(self.role, Role::Looking), "only who looks for a leader finds one");
        if self.resignation.is_some() {
            // A quorum agreed, on the successor or on somebody else: this server is not needed any more.
            self.retire();
            return;
        }
        self.begin_role(decided.decision);
    }

    fn begin_role(&mut self, decision: Decision) {
        let state = &mut self.state;
        state.generation.0 += 1;
        state.is_at_rest = false;
        let waiting = core::mem::take(&mut self.waiting);
        let (leader, observer) = match decision {
            Decision::Lead => {
                let links = waiting.keys().copied().collect();
                self.role = Role::Leading(Box::new(Leader::enter(state, links)));
                for (link, waiting) in waiting {
                    if let Some(message) = waiting.said {
                        self.take(Event::Received { link, message });
                    }
                }
                return;
            }
            Decision::Follow(leader) => (leader, false),
            Decision::Observe(leader) => (leader, true),
        };
        for link in waiting.into_keys() {
            state.close(link, CloseWhy::NotLeading);
        }
        self.role = Role::Learning(Box::new(Learner::enter(state, leader, observer, self.election.leader_was_down())));
    }

    /// Ends the role.
    fn leave(&mut self, why: RoleEnd) {
        let state = &mut self.state;
        if let (Some(resignation), Role::Leading(leader)) = (&mut self.resignation, &self.role) {
            resignation.successor = leader.successor(state);
        }
        let role_state = match &mut self.role {
            Role::Leading(leader) => {
                leader.leave(state);
                PeerState::Leading
            }
            Role::Learning(learner) => {
                learner.leave(state);
                if learner.observer() { PeerState::Observing } else { PeerState::Following }
            }
            Role::Looking | Role::Leaving | Role::Retired => unreachable!("there is no role to end"),
        };
        state.trace(Trace::RoleLeft { state: role_state, why });
        self.role = Role::Leaving;
        if state.settings.quirks.skip_fence {
            state.is_at_rest = true;
            return;
        }
        state.disk(DiskOp::Fence);
    }

    /// The disk is at rest: the history is what the log holds. The tree follows.
    fn fenced(&mut self) {
        self.state.is_at_rest = true;
        if self.state.tree.is == TreeIs::Foreign {
            self.state.reload(self.state.history.last());
        }
    }

    fn status(&self) -> Status {
        let state = &self.state;
        let mut status = Status {
            peer_state: self.election.state(),
            phase: ZabPhase::Election,
            is_serving: false,
            leader: None,
            epoch: state.epochs.current,
            round: self.election.round(),
            next_zxid: None,
            last: state.history.last(),
            committed: state.tree.handed,
            learners: Vec::new(),
        };
        match &self.role {
            Role::Looking | Role::Leaving | Role::Retired => {}
            Role::Leading(leader) => {
                status.phase = match leader.stage() {
                    Stage::Introductions | Stage::SavingAccepted | Stage::Promises | Stage::SavingCurrent => {
                        ZabPhase::Discovery
                    }
                    Stage::Synchronisation => ZabPhase::Synchronisation,
                    Stage::Broadcast => ZabPhase::Broadcast,
                };
                status.is_serving = leader.stage() == Stage::Broadcast;
                status.leader = Some(state.settings.me);
                status.epoch = leader.epoch();
                status.next_zxid = leader.next_zxid(state);
                status.learners = leader.links().iter().map(|(id, link)| self.learner_status(*id, link)).collect();
            }
            Role::Learning(learner) => {
                status.phase = match learner.phase() {
                    Phase::Dialing | Phase::Introduced | Phase::SavingAccepted | Phase::Promised => ZabPhase::Discovery,
                    Phase::Active => ZabPhase::Broadcast,
                    _ => ZabPhase::Synchronisation,
                };
                status.is_serving = learner.phase() == Phase::Active;
                status.leader = Some(learner.leader());
                status.epoch = learner.epoch();
            }
        }
        status
    }

    fn learner_status(&self, id: LinkId, link: &crate::leader::Link) -> LearnerStatus {
        let phase = match link.stage {
            LinkStage::Introducing | LinkStage::Waiting | LinkStage::Proposed => LearnerPhase::Introducing,
            LinkStage::Active => LearnerPhase::Active,
            _ => LearnerPhase::Syncing,
        };
        let is_voter = |server: ServerId| self.state.configs.committed.is_voter(server);
        LearnerStatus {
            link: id,
            server: link.server,
            observer: link.observer,
            voter: link.server.is_some_and(is_voter),
            phase,
        }
    }
}
