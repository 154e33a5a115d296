//! What a server that looks makes of the votes it hears, and when it has heard enough (E§4.4).

use super::candidate::UNTRUSTED;
use super::count::{Heard, Votes};
use super::doubt::Support;
use super::{Decided, Decision, Election, Settled, VERSION, Voting};
use crate::configs::{Configs, is_quorum};
use crate::{Effect, Notification, PeerState, Trace, Vote};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use ostler_model::ServerId;

impl Election {
    /// The vote of a server that looks, too.
    pub(super) fn hear_looking(
        &mut self,
        now_ms: u64,
        from: ServerId,
        n: &Notification,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        // Who is voted for by right says so itself in an ensemble in which it votes, and that came with its vote. One of an
        // ensemble that is only proposed would be refused by all that have not seen it: no election would ever end.
        if !configs.committed.is_voter(n.vote.leader) {
            return None;
        }
        let (quirks, newer) = (self.quirks, n.round > self.round);
        let looking = self.looking.as_mut()?;
        if !looking.may_vote() || n.vote.zxid == UNTRUSTED || n.round < self.round {
            return None;
        }
        let rival = if newer { looking.initial } else { looking.proposal };
        let better = n.vote.beats(&rival);
        if newer {
            looking.received.clear();
            self.round = n.round;
        }
        looking.received.record(from, Heard::looking(n.vote, n.round), quirks);
        if better {
            effects.push(Effect::Trace(Trace::VoteChanged { round: n.round, vote: n.vote, heard_from: from }));
        }
        if better || newer {
            self.propose(now_ms, if better { n.vote } else { rival }, configs, effects);
        }
        self.count(now_ms, configs, effects)
    }

    /// A server without a vote says what those that have one want. It may vote in an ensemble that was proposed without
    /// its knowledge: whoever knows that ensemble counts it, and might wait for ever otherwise. Apache's do the same.
    ///
    /// Only votes of those who vote in the ensemble in force, for one of them, are said again. Two servers outside would
    /// otherwise keep alive between them what is nobody's vote (any more), this server's own leftovers among it (INV-22):
    /// who looks tells strangers the vote that settled its last election.
    pub(super) fn echo(
        &mut self,
        now_ms: u64,
        from: ServerId,
        n: &Notification,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) {
        if !configs.committed.is_voter(from) || !configs.committed.is_voter(n.vote.leader) {
            return;
        }
        let Some(looking) = &mut self.looking else { return };
        if !self.echoes || looking.voting == Voting::Voter || n.vote.zxid == UNTRUSTED {
            return;
        }
        // Its own round means nothing to those it would keep waiting: it takes theirs, an older one too.
        let other = n.round != self.round;
        if other {
            looking.received.clear();
        }
        self.round = n.round;
        // What it began with names nobody.
        if other || looking.proposal.leader == looking.initial.leader || n.vote.beats(&looking.proposal) {
            self.propose(now_ms, n.vote, configs, effects);
        }
    }

    /// The vote of a server that follows or leads.
    pub(super) fn hear_settled(
        &mut self,
        now_ms: u64,
        from: ServerId,
        n: &Notification,
        configs: &Configs,
        effects: &mut Vec<Effect>,
    ) -> Option<Decided> {
        let (me, round, quirks) = (self.me, self.round, self.quirks);
        let looking = self.looking.as_mut()?;
        let probe = Heard::from(n);
        let mut agreed = false;
        // The leader must have confirmed itself among the votes that are counted: what was heard of it in another
        // round may be long over (BUG-33).
        let confirmed = |votes: &Votes, others: &Votes| {
            let heard = votes.confirms_leader(n.vote.leader)
                || (quirks.leader_confirmed_elsewhere && others.confirms_leader(n.vote.leader));
            if n.vote.leader == me { round == n.round } else { heard || quirks.leader_unconfirmed }
        };
        // Of the next ensemble nothing is asked: it may be known to nobody else, or need this server itself, or others that
        // say no vote that counts (observers). Whoever leads gets the quorum that it needs, or gives up.
        let are_quorum = |votes: &Votes| is_quorum(&configs.committed, &quirks, |id| votes.agrees(id, &probe));
        if n.round == round {
            looking.received.record(from, Heard { version: 0, ..probe }, quirks);
            agreed = are_quorum(&looking.received) && confirmed(&looking.received, &looking.elsewhere);
        } else if !quirks.first_vote_stays {
            // If it voted in this round, that was before it settled in another one (BUG-38).
            looking.received.forget(from);
        }
        looking.elsewhere.record(from, probe, quirks);
        looking.settled_before.insert(from);
        agreed |= are_quorum(&looking.elsewhere) && confirmed(&looking.elsewhere, &looking.elsewhere);
        let decided = if agreed { self.decide(n.vote, n.round, configs, effects) } else { None };
        decided.or_else(|| self.count(now_ms, configs, effects))
    }

    /// Looks whether the proposal has won: a quorum has it, and a better one was waited for or cannot come.
    pub(super) fn count(&mut self, now_ms: u64, configs: &Configs, effects: &mut Vec<Effect>) -> Option<Decided> {
        let looking = self.looking.as_mut()?;
        let (vote, round) = (looking.proposal, self.round);
        let probe = Heard::looking(vote, round);
        if !looking.may_vote() || !looking.received.are_quorum(&probe, configs, self.quirks) {
            looking.finalize_at_ms = None;
            return None;
        }
        let over = *looking.finalize_at_ms.get_or_insert(now_ms.saturating_add(self.finalize_ms)) <= now_ms;
        let received = &looking.received;
        let is_in = |id| received.agrees(id, &probe) || received.has_settled_on(id, vote.leader);
        // A vote of somebody who is gone since is no reason to hurry: alone with it, this server would lead nobody. Nor
        // is one for somebody who is gone.
        let nobody_missing = !self.down.contains(&vote.leader)
            && configs.voters().into_iter().all(|id| is_in(id) || self.down.contains(&id))
            && configs.is_quorum(&self.quirks, |id| is_in(id) && !self.down.contains(&id));
        if over || (self.finalize_early && nobody_missing) { self.decide(vote, round, configs, effects) } else { None }
    }

    /// Ends the election, unless it would make a leader of a server that must not lead: one without a vote, or with a
    /// data directory that may have lost something.
    fn decide(&mut self, vote: Vote, round: i64, configs: &Configs, effects: &mut Vec<Effect>) -> Option<Decided> {
        let looking = self.looking.as_ref()?;
        let leads = vote.leader == self.me;
        if leads && !looking.may_vote() {
            return None;
        }
        let (state, decision) = match looking.voting {
            _ if leads => (PeerState::Leading, Decision::Lead),
            Voting::Observer => (PeerState::Observing, Decision::Observe(vote.leader)),
            Voting::Voter | Voting::Unlisted => (PeerState::Following, Decision::Follow(vote.leader)),
        };
        let (while_looking, afterwards) = (Heard::looking(vote, round), Heard { vote, round, state, version: VERSION });
        let has_agreed = |server: &ServerId| {
            looking.received.agrees(*server, &while_looking)
                || looking.received.agrees(*server, &afterwards)
                || looking.elsewhere.agrees(*server, &afterwards)
        };
        let backers = configs.voters().into_iter().filter(has_agreed).collect();
        let leader_was_down = self.down.contains(&vote.leader);
        self.support = Support { backers: Some(backers), doubters: BTreeSet::new(), leader_was_down };
        self.looking = None;
        self.state = state;
        self.round = round;
        self.settled = Some(Settled { vote, round });
        effects.push(Effect::Trace(Trace::Elected { round, vote, state }));
        Some(Decided { decision, vote, round })
    }
}
