//! Phase 0: fast leader election (E§4), as a machine of its own without connections or clocks.
//!
//! A server that looks for a leader tells every voter its *proposal*: the best candidate it has heard of, at first
//! itself. Candidates are ordered by the epoch of their history, then by its last zxid, then by id ([`Vote::rank`]).
//! Hearing of a better one, it adopts that and tells everybody again; so all proposals meet at the best candidate of
//! those who talk. Elections are numbered by *rounds* (the logical clock): votes of older rounds do not count, and a
//! vote of a newer one makes a server forget what it heard and join that round. When a quorum has the same proposal, the
//! server waits a moment for a better one, then leads or follows.
//!
//! Servers that have settled answer those that look with the vote that settled it. A newcomer which hears the same
//! leadership from a quorum, the leader included, joins it whatever its own round is (E§4.5).
//!
//! What this decides is only who *tries* to lead: that one leader has the whole committed history and nobody else
//! leads beside it is guaranteed by discovery and synchronisation. A wrong guess here costs time, not data.
//!
//! Where we differ from Apache, all of it invisible to or allowed by its protocol:
//! * A quorum waits `finalize_ms` from the moment it stands, not from the last message heard; not at all if nobody is
//!   left who could send a better vote (DEV-19).
//! * Votes heard during that wait are kept, Apache drops them.
//! * A new connection is given a fresh notification instead of the last one that was sent to that server (DEV-3,
//!   BUG-38), and pauses between repetitions stay at a few seconds (DEV-4).
//! * Servers without a vote look at votes of settled servers only. Apache's can join a candidate that is not elected,
//!   or, from leftovers of the last election, the leader that just died.
//! * The same answer is not given twice to the same message within one period: two servers that each find the other
//!   outdated would otherwise talk as fast as the network can.

mod candidate;
mod count;
mod decide;
mod doubt;

pub(crate) use candidate::{Candidate, Decided, Decision, UNTRUSTED, Voting};

use crate::configs::Configs;
use crate::{Effect, Notification, PeerState, Quirks, Settings, Trace, Vote};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use count::{Heard, Votes};
use doubt::Support;
use ostler_model::{ServerId, Zxid};

/// The version of the messages we send: with epoch and ensemble.
const VERSION: u32 = 2;

/// One server's part in elections. It lives as long as the process and answers in every state (E§4.3).
#[derive(Clone, Debug)]
pub(crate) struct Election {
    me: ServerId,
    notification_min_ms: u64,
    notification_max_ms: u64,
    finalize_ms: u64,
    finalize_early: bool,
    quirks: Quirks,
    /// The logical clock: +1 with each election, raised to what others say. It starts at 0 with the process.
    round: i64,
    state: PeerState,
    /// The vote that settled the last election, as told to those who ask; the own candidacy before the first.
    settled: Option<Settled>,
    /// Who stands by that, since then.
    support: Support,
    /// Voters whose election link is known to be down: nothing can come from them before `peer_up`.
    down: BTreeSet<ServerId>,
    /// `reconfigEnabled`: who does not vote here may vote in an ensemble it has not heard of.
    echoes: bool,
    /// Present if and only if `state` is Looking and an election was started.
    looking: Option<Looking>,
}

#[derive(Clone, Copy, Debug)]
struct Settled {
    vote: Vote,
    round: i64,
}

/// An election under way.
#[derive(Clone, Debug)]
struct Looking {
    voting: Voting,
    /// The own candidacy, or the one of whom this server hands over to. `proposal` never ranks below it.
    initial: Vote,
    /// The best candidate heard of in this round; told to all voters.
    proposal: Vote,
    /// Votes of this round, the own proposal included.
    received: Votes,
    /// Votes of servers that have settled, whatever their round.
    elsewhere: Votes,
    /// The pause before the next repetition.
    pause_ms: u64,
    repeat_at_ms: u64,
    /// Set while a quorum has the proposal: when waiting for a better one is over.
    finalize_at_ms: Option<u64>,
    /// Voters that had settled when they were asked: they heard the proposal and did not count it. If they begin to look
    /// in the same round, they must be told again.
    settled_before: BTreeSet<ServerId>,
    /// What was answered in this period: the other's round, the own vote and round. Bounded by the number of
    /// connections.
    answered: BTreeMap<ServerId, (i64, Vote, i64)>,
}

impl Looking {
    fn may_vote(&self) -> bool {
        self.voting == Voting::Voter && self.initial.zxid != UNTRUSTED
    }
}

impl Election {
    /// Before the first election: round 0, looking, without a candidate.
    pub(crate) fn new(settings: &Settings) -> Election {
        Election {
            me: settings.me,
            notification_min_ms: settings.notification_min_ms.max(1),
            notification_max_ms: settings.notification_max_ms,
            finalize_ms: settings.finalize_ms,
            finalize_early: settings.finalize_early,
            quirks: settings.quirks,
            echoes: settings.reconfig_enabled,
            round: 0,
            state: PeerState::Looking,
            settled: None,
            support: Support::default(),
            down: BTreeSet::new(),
            looking: None,
        }
    }

    /// Begins an election with the own candidacy. A single voter has decided when this returns.
    pub(crate) fn start(
        &mut self,
        now_ms: u64,
        candidate: Candidate,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        self.begin(now_ms, candidate.initial_vote(self.me), candidate.voting, configs, effects)
    }

    /// Begins an election with a vote for somebody else, to whom this server hands over (DEV-20).
    pub(crate) fn start_with(
        &mut self,
        now_ms: u64,
        vote: Vote,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        self.begin(now_ms, vote, Voting::Voter, configs, effects)
    }

    /// A reconfiguration named the next leader: no election. Until the new epoch is established this server answers
    /// with round and epoch -1 (E§16.6, E§21).
    pub(crate) fn appointed(&mut self, state: PeerState, leader: ServerId, zxid: Zxid) {
        assert!(state != PeerState::Looking, "who looks was not given a leader");
        self.looking = None;
        self.state = state;
        self.settled = Some(Settled { vote: Vote { leader, zxid, peer_epoch: -1 }, round: -1 });
        self.support = Support::default();
    }

    fn begin(
        &mut self,
        now_ms: u64,
        initial: Vote,
        voting: Voting,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        // Wraps as Apache's does: a peer that claims the highest round must not end this process.
        self.round = self.round.wrapping_add(1);
        self.state = PeerState::Looking;
        self.down.retain(|server| configs.is_voter(*server));
        self.settled.get_or_insert(Settled { vote: initial, round: self.round });
        self.looking = Some(Looking {
            voting,
            initial,
            proposal: initial,
            received: Votes::default(),
            elsewhere: Votes::default(),
            pause_ms: self.notification_min_ms,
            repeat_at_ms: 0,
            finalize_at_ms: None,
            settled_before: BTreeSet::new(),
            answered: BTreeMap::new(),
        });
        effects.push(Effect::Trace(Trace::ElectionStarted { round: self.round, vote: initial }));
        self.propose(now_ms, initial, configs, effects);
        self.count(now_ms, configs, effects)
    }

    /// A notification arrived. Messages of this server's own id come from nobody and are dropped.
    pub(crate) fn notified(
        &mut self,
        now_ms: u64,
        from: ServerId,
        n: &Notification,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        if from == self.me {
            return None;
        }
        self.down.remove(&from);
        let counts = configs.is_voter(from) || self.quirks.count_observers;
        self.answer(from, n, configs, effects);
        if self.looking.is_none() {
            self.hear_afterwards(from, n, configs);
            return None;
        }
        if n.state == PeerState::Looking {
            self.echo(now_ms, from, n, configs, effects);
        }
        if !counts || !configs.is_voter(n.vote.leader) {
            return None;
        }
        match n.state {
            PeerState::Looking => self.hear_looking(now_ms, from, n, configs, effects),
            PeerState::Following | PeerState::Leading => self.hear_settled(now_ms, from, n, configs, effects),
            PeerState::Observing => None,
        }
    }

    /// There is an election connection to this server now: it is told where this one stands (DEV-3).
    pub(crate) fn peer_up(&mut self, peer: ServerId, configs: &Configs, effects: &mut Vec<Effect>) {
        self.down.remove(&peer);
        if let Some(looking) = &mut self.looking {
            looking.answered.remove(&peer);
        }
        if configs.is_voter(peer) || configs.is_voter(self.me) {
            self.tell(peer, configs, effects);
        }
    }

    /// There is no election connection to this server, and it could not be made: it may be the last one whose vote was
    /// waited for (DEV-19).
    pub(crate) fn peer_down(
        &mut self,
        now_ms: u64,
        peer: ServerId,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        if configs.is_voter(peer) {
            self.down.insert(peer);
        }
        self.count(now_ms, configs, effects)
    }

    /// Time passed.
    pub(crate) fn tick(&mut self, now_ms: u64, configs: &Configs, effects: &mut Vec<Effect>) -> Option<Decided> {
        let decided = self.count(now_ms, configs, effects);
        let longest = self.notification_max_ms.max(self.notification_min_ms);
        if let Some(looking) = &mut self.looking
            && looking.repeat_at_ms <= now_ms
        {
            looking.pause_ms = looking.pause_ms.saturating_mul(2).min(longest);
            looking.answered.clear();
            self.tell_all(now_ms, configs, effects);
        }
        decided
    }

    /// When [`Election::tick`] is due.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let looking = self.looking.as_ref()?;
        Some(looking.finalize_at_ms.map_or(looking.repeat_at_ms, |at| at.min(looking.repeat_at_ms)))
    }

    /// The leadership that this server takes part in has this epoch. Without this correction a server that joined a
    /// re-elected leader with its old vote would tell newcomers another epoch than the others do, and they would never
    /// hear a quorum agree (BUG-31).
    pub(crate) fn established(&mut self, epoch: u32) {
        assert!(self.looking.is_none(), "an epoch was established while this server looks for a leader");
        if let Some(settled) = &mut self.settled
            && !self.quirks.vote_keeps_old_epoch
        {
            settled.vote.peer_epoch = i64::from(epoch);
        }
    }

    /// The current proposal, or the vote that settled the last election.
    pub(crate) fn vote(&self) -> Vote {
        let own = Vote { leader: self.me, zxid: Zxid::ZERO, peer_epoch: 0 };
        let settled = self.settled.map_or(own, |settled| settled.vote);
        self.looking.as_ref().map_or(settled, |looking| looking.proposal)
    }

    /// The logical clock.
    pub(crate) fn round(&self) -> i64 {
        self.round
    }

    /// What this server tells others it is doing.
    pub(crate) fn state(&self) -> PeerState {
        self.state
    }

    /// Answers whoever looks (E§4.3): strangers at once, voters of an older round with the proposal or, when this
    /// server has settled, all of them. Beyond Apache's rules a server that looks also tells its proposal to those that
    /// cannot know it, having begun to look after it was sent: else they would wait for its repetition.
    fn answer(&mut self, from: ServerId, n: &Notification, configs: &Configs, effects: &mut Vec<Effect>) {
        if n.state != PeerState::Looking {
            return;
        }
        let (vote, round) = (self.vote(), self.round);
        if let Some(looking) = &mut self.looking {
            let outdated = n.round < round || (n.round == round && vote.beats(&n.vote));
            let missed = looking.settled_before.remove(&from);
            if configs.is_voter(from) && (looking.voting != Voting::Voter || !(outdated || missed)) {
                return;
            }
            let said = (n.round, vote, round);
            if looking.answered.insert(from, said) == Some(said) && !missed {
                return;
            }
        }
        self.tell(from, configs, effects);
    }

    /// Sends one server what it should know: a voter the proposal, or the settled vote with its round; a stranger the
    /// settled vote in any state, with the logical clock for its round.
    fn tell(&self, to: ServerId, configs: &Configs, effects: &mut Vec<Effect>) {
        let Some(settled) = self.settled else { return };
        let (vote, round) = match &self.looking {
            _ if !configs.is_voter(to) => (settled.vote, self.round),
            Some(looking) => (looking.proposal, self.round),
            None => (settled.vote, settled.round),
        };
        let config_version = configs.committed.version();
        let notification = Notification { state: self.state, vote, round, version: VERSION, config_version };
        effects.push(Effect::Notify { to, notification });
    }

    /// Sends the proposal to all voters, and again after a pause.
    fn tell_all(&mut self, now_ms: u64, configs: &Configs, effects: &mut Vec<Effect>) {
        for voter in configs.voters() {
            if voter != self.me {
                self.tell(voter, configs, effects);
            }
        }
        if let Some(looking) = &mut self.looking {
            looking.repeat_at_ms = now_ms.saturating_add(looking.pause_ms);
        }
    }

    /// Takes a new proposal, votes for it, and tells all.
    fn propose(&mut self, now_ms: u64, vote: Vote, configs: &Configs, effects: &mut Vec<Effect>) {
        let (me, round) = (self.me, self.round);
        let Some(looking) = &mut self.looking else { return };
        looking.proposal = vote;
        looking.finalize_at_ms = None;
        if looking.may_vote() {
            // The own vote is always the last one, whatever a quirk does to those of others.
            looking.received.record(me, Heard::looking(vote, round), Quirks::default());
        }
        self.tell_all(now_ms, configs, effects);
    }
}

#[cfg(test)]
mod tests;
