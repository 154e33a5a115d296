//! The leader: phases 1 to 3 of the paper, seen from the server that a quorum elected.
//!
//! The stages follow each other and never go back; each wait is bounded by `initLimit`. The learners come and go in
//! every stage: each connection is a [`Link`] with a stage of its own, and catches up with the leader's stage alone.
//!
//! | stage | it ends when | file |
//! |---|---|---|
//! | Introductions, SavingAccepted | a quorum said which epochs it accepted; the new one is higher, and durable | `discovery.rs` |
//! | Promises, SavingCurrent | a quorum promised the new epoch, and none of it has a newer history | `discovery.rs` |
//! | Synchronisation | a quorum has the leader's history on disk | `sync.rs` |
//! | Broadcast | the quorum is lost | `broadcast.rs`, `liveness.rs` |

mod broadcast;
mod discovery;
mod end;
mod fresh;
mod link;
mod liveness;
mod sync;

use crate::state::State;
use crate::{CloseWhy, DiskDone, Effect, LinkId, Message, PeerState, RoleEnd, Trace};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
pub(crate) use broadcast::stays_where_it_is;
use fresh::Waiting;
pub(crate) use link::{Link, LinkStage};
use ostler_model::{Ensemble, ServerId, Zxid};

/// What a step of a role comes to: it goes on, or ends.
pub(crate) type Step = Result<(), RoleEnd>;

/// How far the leader is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stage {
    /// Learners say which epochs they accepted.
    Introductions,
    /// The new epoch is being saved as accepted; nobody knows it yet.
    SavingAccepted,
    /// Learners promise it.
    Promises,
    /// It is being saved as the current one.
    SavingCurrent,
    /// Learners take over the leader's history.
    Synchronisation,
    /// A quorum has it: the epoch is established.
    Broadcast,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Leader {
    stage: Stage,
    /// When the stage must be over; broadcast has no end.
    stage_until_ms: u64,
    /// The new epoch: higher than any that the leader or a learner heard of so far accepted.
    epoch: u32,
    /// The epoch of the history that the leader began with; with `initial` it is what no promise may exceed.
    own_epoch: u32,
    /// The end of the history that the leader began with. All of it is durable.
    initial: Zxid,
    /// The voters that introduced themselves, the leader included.
    introduced: BTreeSet<ServerId>,
    /// The voters that promised the epoch, the leader included. None has a newer history (INV-4).
    promised: BTreeSet<ServerId>,
    /// One per connection; of one server at most one is introduced (BUG-49).
    links: BTreeMap<LinkId, Link>,
    /// Up to where each server has the leader's history on disk. Kept when its connection ends: disks stay.
    acked: BTreeMap<ServerId, Zxid>,
    /// The last committed transaction; `initial` before broadcast. All before it are committed too (INV-16).
    committed: Zxid,
    /// What was proposed while a reconfiguration was, and is not committed with it.
    joint: Option<Joint>,
    /// Syncs that are not answered, in their order.
    barriers: VecDeque<Waiting>,
    /// Of questions whether this server still leads.
    round: u64,
    next_ping_ms: u64,
    /// Counts the pings: each second one looks at the quorum.
    half_ticks: u64,
    /// Nothing more is proposed; the role ends when everything is committed (DEV-20).
    is_resigning: bool,
}

/// Proposals behind a reconfiguration that were made before it was committed: they need a quorum of the ensemble before
/// it too (INV-24). Who has them may not have heard of the commit, and is then asked as one of the old ensemble whose
/// voters alone can be elected: one of them must have whatever is committed.
#[derive(Debug)]
struct Joint {
    /// The last of them.
    upto: Zxid,
    old: Ensemble,
}

impl Leader {
    /// Begins to lead; `waiting` came before this server knew that it would.
    pub(crate) fn enter(state: &mut State, waiting: Vec<LinkId>) -> Leader {
        let me = state.settings.me;
        state.trace(Trace::RoleEntered { state: PeerState::Leading, leader: me });
        assert_eq!(state.synced, state.history.last(), "a role begins with a durable history");
        let mut leader = Leader {
            stage: Stage::Introductions,
            stage_until_ms: state.now_ms + state.ticks(state.settings.init_limit),
            epoch: 0,
            own_epoch: state.epochs.current,
            initial: state.history.last(),
            introduced: BTreeSet::new(),
            promised: BTreeSet::new(),
            links: BTreeMap::new(),
            acked: BTreeMap::from([(me, state.history.last())]),
            committed: state.history.last(),
            joint: None,
            barriers: VecDeque::new(),
            round: 0,
            next_ping_ms: state.now_ms + state.settings.tick_ms / 2,
            half_ticks: 0,
            is_resigning: false,
        };
        for link in waiting {
            leader.link_up(state, link);
        }
        leader.introduce_self(state);
        leader
    }

    pub(crate) fn link_up(&mut self, state: &State, link: LinkId) {
        let init_ms = state.ticks(state.settings.init_limit);
        let alive_ms = init_ms + state.ticks(state.settings.sync_limit);
        self.links.insert(link, Link::new(state.now_ms + init_ms, state.now_ms + alive_ms));
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Ends a learner's connection; it comes back if it wants to.
    fn drop_link(&mut self, state: &mut State, link: LinkId, why: CloseWhy) {
        if let Some(dropped) = self.links.remove(&link) {
            state.close(link, why);
            state.trace(Trace::LinkClosed { server: dropped.server, link, why });
        }
    }

    pub(crate) fn pipe_full(&mut self, state: &mut State, link: LinkId) {
        self.drop_link(state, link, CloseWhy::Slow);
    }

    pub(crate) fn received(&mut self, state: &mut State, id: LinkId, message: Message) -> Step {
        let heard_ms = state.now_ms + state.ticks(state.settings.sync_limit);
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.heard(heard_ms);
        match message {
            Message::LearnerInfo { server, observer, accepted_epoch, config_version } => {
                self.on_introduction(state, id, link::Introduction { server, observer, accepted_epoch, config_version })
            }
            Message::AckEpoch { last, current_epoch } => self.on_promise(state, id, last, current_epoch),
            Message::Ack { zxid } => self.on_ack(state, id, zxid),
            // Alive, which was noted. What else it says is the node's business.
            Message::Ping { zxid } => {
                self.on_ping_answer(state, id, zxid);
                Ok(())
            }
            Message::Unknown => Ok(()),
            Message::App { bytes } => {
                match (link.server, link.stage) {
                    (Some(from), LinkStage::Active) => state.emit(Effect::Deliver { link: id, from, bytes }),
                    _ => self.drop_link(state, id, CloseWhy::Protocol),
                }
                Ok(())
            }
            Message::LeaderInfo { .. }
            | Message::Diff { .. }
            | Message::Trunc { .. }
            | Message::Snap { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate
            | Message::Proposal { .. }
            | Message::Commit { .. }
            | Message::CommitAndActivate { .. }
            | Message::Inform { .. }
            | Message::InformAndActivate { .. } => {
                self.drop_link(state, id, CloseWhy::Protocol);
                Ok(())
            }
        }
    }

    /// Something that this role wanted is durable.
    pub(crate) fn disk_done(&mut self, state: &mut State, done: &DiskDone) -> Step {
        match done {
            DiskDone::Synced { .. } => self.on_synced(state),
            DiskDone::EpochsSaved(_) => self.on_epochs_saved(state),
            DiskDone::Truncated
            | DiskDone::CannotTruncate
            | DiskDone::Installed { .. }
            | DiskDone::Fenced
            | DiskDone::ConfigSaved => Ok(()),
        }
    }

    /// Ends the role: whoever was served is let go.
    pub(crate) fn leave(&mut self, state: &mut State) {
        if self.stage == Stage::Broadcast {
            state.emit(Effect::StopServing);
        }
        for link in core::mem::take(&mut self.links).into_keys() {
            state.close(link, CloseWhy::RoleEnded);
        }
    }

    /// True if the voters for which `has` holds are a quorum together with the leader, which must be a voter itself.
    fn is_quorum_with_me(state: &State, mut has: impl FnMut(ServerId) -> bool) -> bool {
        let me = state.settings.me;
        state.configs.is_quorum(&state.settings.quirks, |server| server == me || has(server))
    }

    /// True if this server has said that it follows.
    pub(crate) fn has_introduced(&self, server: ServerId) -> bool {
        self.links.values().any(|link| link.server == Some(server))
    }

    pub(crate) fn next_deadline(&self) -> u64 {
        let links = self.links.values().map(|link| link.close_at_ms).min().unwrap_or(u64::MAX);
        let stage = if self.stage == Stage::Broadcast { u64::MAX } else { self.stage_until_ms };
        links.min(stage).min(self.next_ping_ms)
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn links(&self) -> &BTreeMap<LinkId, Link> {
        &self.links
    }
}
