//! The learner, follower or observer: phases 1 to 3 of the paper, seen from a server that found a leader.
//!
//! | phase | it ends when | file |
//! |---|---|---|
//! | Dialing, Introduced, SavingAccepted, Promised | the leader said how it brings us up to date | `discovery.rs` |
//! | Cutting, Receiving, Syncing | NEWLEADER: we have everything the leader wants us to have | `sync.rs` |
//! | Applying, Installing, Securing, SavingCurrent | all of that is durable, then the epoch that vouches for it | `sync.rs` |
//! | Acked | UPTODATE: the epoch is established | `sync.rs` |
//! | Active | the leader is lost | `broadcast.rs` |

mod broadcast;
mod discovery;
mod ensemble;
mod inbox;
mod sync;

use crate::leader::Step;
use crate::state::State;
use crate::window::Entry;
use crate::{CloseWhy, DiskDone, Effect, LinkId, Message, Payload, PeerState, RoleEnd, Trace};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use inbox::Inbox;
use ostler_model::{Ensemble, ServerId, Zxid};

/// How far the learner is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// There is no connection yet.
    Dialing,
    /// FOLLOWERINFO was sent.
    Introduced,
    /// The leader's epoch is being saved as accepted.
    SavingAccepted,
    /// ACKEPOCH was sent.
    Promised,
    /// TRUNC: the log is being cut; what arrives waits in `inbox`.
    Cutting,
    /// SNAP: a tree is being received.
    Receiving,
    /// The history arrives.
    Syncing,
    /// NEWLEADER came, and the received tree has not applied everything before it.
    Applying,
    /// The received tree is being installed as snapshot.
    Installing,
    /// The history up to this point is becoming durable.
    Securing(Zxid),
    /// The leader's epoch is being saved as the current one.
    SavingCurrent,
    /// NEWLEADER is acknowledged.
    Acked,
    /// Serving.
    Active,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Learner {
    leader: ServerId,
    observer: bool,
    is_doubtful: bool,
    link: Option<LinkId>,
    phase: Phase,
    /// When the leader is given up, unless something is heard of it.
    give_up_at_ms: u64,
    /// What the leader proposed; known from LEADERINFO on.
    epoch: u32,
    /// What arrived while the log was being cut.
    inbox: Inbox,
    /// Between SNAP and its installation: proposals that are not logged yet. Those that were committed before
    /// NEWLEADER are not among them, the tree has them.
    unlogged: VecDeque<Entry>,
    /// A received tree is in place and not installed: the log does not lead to it.
    is_direct: bool,
    /// The leader said that everything up to here is committed (as far as it serves: before UPTODATE it may not be).
    committed: Zxid,
    /// Transactions up to here need no ACK (any more).
    acked: Zxid,
    /// What NEWLEADER named: in force with UPTODATE.
    config: Option<Box<Ensemble>>,
    /// UPTODATE came, and the tree is not there yet.
    is_up_to_date: bool,
    /// The leader was told that only a tree helps.
    has_asked_for_tree: bool,
    /// When it connects, if not at once.
    dial_at_ms: Option<u64>,
    /// How often this role connected.
    dials: u32,
}

/// How often a learner connects anew within one role, to get a tree.
const DIALS_MAX: u32 = 4;

impl Learner {
    /// Connects to the leader; `is_doubtful`: it may be dead, which takes no more than a short while to find out.
    pub(crate) fn enter(state: &mut State, leader: ServerId, observer: bool, is_doubtful: bool) -> Learner {
        let peer_state = if observer { PeerState::Observing } else { PeerState::Following };
        state.trace(Trace::RoleEntered { state: peer_state, leader });
        let mut learner = Learner {
            leader,
            observer,
            is_doubtful,
            link: None,
            phase: Phase::Dialing,
            give_up_at_ms: u64::MAX,
            epoch: 0,
            inbox: Inbox::default(),
            unlogged: VecDeque::new(),
            is_direct: false,
            committed: Zxid::ZERO,
            acked: Zxid::ZERO,
            config: None,
            is_up_to_date: false,
            has_asked_for_tree: false,
            dial_at_ms: None,
            dials: 0,
        };
        learner.dial_in_time(state);
        learner
    }

    /// Nothing was heard of the leader for its time (E§11.3).
    pub(crate) fn tick(&mut self, state: &mut State) -> Step {
        if self.dial_at_ms.is_some_and(|at_ms| at_ms <= state.now_ms) {
            self.dial(state);
        }
        if state.now_ms < self.give_up_at_ms {
            return Ok(());
        }
        Err(if self.phase == Phase::Dialing { RoleEnd::LeaderLost } else { RoleEnd::LeaderSilent })
    }

    pub(crate) fn next_deadline(&self) -> u64 {
        self.dial_at_ms.unwrap_or(self.give_up_at_ms)
    }

    /// Something was heard, or the own part took its time.
    fn rearm(&mut self, state: &State) {
        let limit = if self.phase > Phase::Syncing { state.settings.sync_limit } else { state.settings.init_limit };
        // Of a tree that is being received the node tells now and then that more of it came (as `Unknown`).
        self.give_up_at_ms = state.now_ms + state.ticks(limit);
    }

    pub(crate) fn received(&mut self, state: &mut State, link: LinkId, message: Message) -> Step {
        if self.link != Some(link) {
            return Ok(());
        }
        self.rearm(state);
        if self.phase == Phase::Cutting {
            return if self.inbox.push(message) { Ok(()) } else { Err(RoleEnd::LeaderLost) };
        }
        self.take(state, link, message)
    }

    fn take(&mut self, state: &mut State, link: LinkId, message: Message) -> Step {
        match message {
            Message::Ping { zxid } => {
                if self.phase == Phase::Active {
                    state.emit(Effect::AnswerPing { link, zxid });
                }
                Ok(())
            }
            // Answers of the leader's node: this server's node has taken them.
            Message::Unknown | Message::App { .. } => Ok(()),
            Message::LeaderInfo { epoch } if self.phase == Phase::Introduced => self.on_epoch(state, link, epoch),
            Message::Diff { .. } if self.phase == Phase::Promised => self.on_diff(state),
            Message::Trunc { zxid } if self.phase == Phase::Promised => self.on_trunc(state, zxid),
            Message::Snap { zxid } if self.phase == Phase::Promised => self.on_snap(state, link, zxid),
            Message::NewLeader { epoch, config } if self.phase == Phase::Syncing => {
                self.on_new_leader(state, epoch, config)
            }
            Message::UpToDate if self.phase == Phase::Acked => self.on_up_to_date(state),
            Message::UpToDate if self.phase == Phase::Active => Ok(()),
            Message::Proposal { .. } | Message::Commit { .. } | Message::CommitAndActivate { .. }
                if self.observer && self.phase == Phase::Active =>
            {
                Ok(())
            }
            Message::Proposal { zxid, payload, reconfig } if self.phase >= Phase::Syncing => {
                self.on_proposal(state, Entry { zxid, payload, reconfig })
            }
            Message::Commit { zxid } if self.phase >= Phase::Syncing => self.on_commit(state, zxid),
            Message::CommitAndActivate { zxid, designated } if self.phase >= Phase::Syncing => {
                let next = self.proposed_ensemble(state, zxid);
                self.on_commit(state, zxid)?;
                self.activate(state, next, Some(designated))
            }
            Message::Inform { zxid, payload } if self.observer && self.phase >= Phase::Syncing => {
                self.on_inform(state, Entry { zxid, payload, reconfig: None })
            }
            Message::InformAndActivate { zxid, designated, payload, reconfig }
                if self.observer && self.phase >= Phase::Syncing =>
            {
                self.on_inform(state, Entry { zxid, payload, reconfig: reconfig.clone() })?;
                self.activate(state, reconfig, Some(designated))
            }
            _ => self.refuse(state, CloseWhy::Protocol),
        }
    }

    /// What the leader says does not fit.
    fn refuse(&mut self, state: &mut State, why: CloseWhy) -> Step {
        if let Some(link) = self.link.take() {
            state.close(link, why);
            state.trace(Trace::LinkClosed { server: Some(self.leader), link, why });
        }
        Err(RoleEnd::BadLeader)
    }

    /// There is a hole in what the leader sends. The next leader, or this one, will be asked for its tree.
    fn refuse_hole(&mut self, state: &mut State) -> Step {
        state.needs_snapshot = true;
        self.refuse(state, CloseWhy::Discontinuous)
    }

    pub(crate) fn link_down(&mut self, link: LinkId) -> Step {
        if self.link == Some(link) {
            self.link = None;
            return Err(RoleEnd::LeaderLost);
        }
        Ok(())
    }

    pub(crate) fn disk_done(&mut self, state: &mut State, done: &DiskDone) -> Step {
        match done {
            DiskDone::Synced { .. } => {
                self.secured(state)?;
                self.acknowledge(state);
                Ok(())
            }
            DiskDone::EpochsSaved(_) => self.on_epochs_saved(state),
            DiskDone::Truncated => self.on_truncated(state),
            DiskDone::CannotTruncate => self.dial_for_tree(state),
            DiskDone::Installed { .. } => self.on_installed(state),
            DiskDone::Fenced | DiskDone::ConfigSaved => Ok(()),
        }
    }

    /// A packet of this server's node for the leader.
    pub(crate) fn to_leader(&self, state: &mut State, bytes: Payload) {
        if let (Some(link), Phase::Active) = (self.link, self.phase) {
            state.send(link, Message::App { bytes });
        }
    }

    pub(crate) fn leave(&mut self, state: &mut State) {
        match self.phase {
            Phase::Active => state.emit(Effect::StopServing),
            Phase::Dialing => {}
            _ => state.fruitless = state.fruitless.saturating_add(1),
        }
        if let Some(link) = self.link.take() {
            state.close(link, CloseWhy::RoleEnded);
        }
    }

    /// Keeps the window in its bounds.
    pub(crate) fn evict(&self, state: &mut State) {
        if !self.is_direct && self.phase > Phase::Promised {
            state.evict(self.committed);
        }
    }

    pub(crate) fn leader(&self) -> ServerId {
        self.leader
    }

    pub(crate) fn observer(&self) -> bool {
        self.observer
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }
}
