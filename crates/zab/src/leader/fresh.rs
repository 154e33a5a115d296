//! Whether this server is still the leader: a sync is answered only after a quorum of followers was heard that were asked
//! behind it (DEV-18). A leader that is cut off and does not know it yet would else answer with what is long outdated
//! (BUG-47).
//!
//! Asking is one more PING to everybody, and its answer. One round is under way at a time, and answers all syncs that came
//! before it. Whoever acknowledges what was proposed behind a sync has answered, too: so no commit ever waits for a
//! round, and a sync is always answered before the next transaction is committed.

use super::{Leader, LinkStage, Stage};
use crate::state::State;
use crate::{Barrier, Effect, LinkId, Message};
use alloc::collections::VecDeque;
use ostler_model::Zxid;

/// Questions to one learner that wait for their answer, beyond which only the pings of each half tick are added.
const ASKED_MAX: usize = 8;

/// A sync that is not answered.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What had been proposed before it: to be committed first.
    after: Zxid,
    /// The first round of questions that began behind it.
    round: u64,
    token: Barrier,
}

/// One learner's pings.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    /// The rounds of those that are not answered. Answers come in order.
    asked: VecDeque<u64>,
    /// The round of the last one that is.
    answered: u64,
}

impl Leader {
    /// Everything proposed so far, when it is committed and this server is known to lead still.
    pub(crate) fn barrier(&mut self, state: &mut State, token: Barrier) {
        if self.stage != Stage::Broadcast {
            return;
        }
        self.barriers.push_back(Waiting { after: state.history.last(), round: self.round + 1, token });
        self.ask_if_due(state);
        self.reach(state);
    }

    /// To everybody from the start of its synchronisation on: it keeps a learner from giving up (DEV-5).
    pub(super) fn ping(&mut self, state: &mut State) {
        self.ask(state, usize::MAX);
    }

    fn ask(&mut self, state: &mut State, asked_max: usize) {
        self.round += 1;
        let zxid = state.history.last();
        for (id, link) in &mut self.links {
            if link.stage > LinkStage::Ready && link.pings.asked.len() < asked_max {
                link.pings.asked.push_back(self.round);
                state.effects.push(Effect::Send { link: *id, message: Message::Ping { zxid } });
            }
        }
    }

    /// Begins a round if one is needed and none is under way.
    fn ask_if_due(&mut self, state: &mut State) {
        if self.barriers.back().is_some_and(|last| last.round > self.round) && self.is_confirmed(state, self.round) {
            self.ask(state, ASKED_MAX);
        }
    }

    /// A learner answered a ping. (An answer in several parts has zxid -1 in all but the last.)
    pub(super) fn on_ping_answer(&mut self, state: &mut State, id: LinkId, zxid: Zxid) {
        let Some(link) = self.links.get_mut(&id).filter(|_| zxid != Zxid(-1)) else { return };
        let Some(round) = link.pings.asked.pop_front() else { return };
        link.pings.answered = round;
        if !self.barriers.is_empty() {
            self.reach(state);
            self.ask_if_due(state);
        }
    }

    /// True if a quorum was heard that was asked in this round or later.
    fn is_confirmed(&self, state: &State, round: u64) -> bool {
        let has_answered = |server| {
            self.links
                .values()
                .any(|link| link.server == Some(server) && !link.observer && link.pings.answered >= round)
        };
        Leader::is_quorum_with_me(state, has_answered)
    }

    /// Answers the syncs whose time has come, in their order.
    pub(super) fn reach(&mut self, state: &mut State) {
        while let Some(first) = self.barriers.front()
            && first.after <= self.committed
            && self.is_confirmed(state, first.round)
        {
            self.answer_first(state);
        }
    }

    /// This transaction is about to be committed: a quorum acknowledged it, so it was heard behind every sync that came
    /// before it was proposed. On a learner, what its client asked behind the sync must not be committed before the
    /// answer.
    pub(super) fn reach_before(&mut self, state: &mut State, zxid: Zxid) {
        while self.barriers.front().is_some_and(|first| first.after < zxid) {
            self.answer_first(state);
        }
    }

    fn answer_first(&mut self, state: &mut State) {
        if let Some(Waiting { token, .. }) = self.barriers.pop_front() {
            state.emit(Effect::Reached { token });
        }
    }
}
