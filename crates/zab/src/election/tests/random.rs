//! Elections on a network that delays and loses messages, among servers that crash, restart and are cut off.
//!
//! What must hold always: who decides has heard a quorum of voters say so, and the winner is at least as good as each
//! of them (INV-25). In a calm network everybody ends up with one leader; and if all begin together, in one round, it is
//! the best of all.

use super::network::{Message, ensemble};
use super::{Network, network};
use crate::election::{Decided, Decision};
use crate::{PeerState, Vote};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};
use proptest::prelude::*;

/// A round, and a vote in it as numbers that can be ordered.
type Held = (i64, i64, Zxid, ServerId);

fn held(round: i64, vote: &Vote) -> Held {
    (round, vote.peer_epoch, vote.zxid, vote.leader)
}

struct Storm {
    network: Network,
    seed: u64,
    delay_max_ms: u64,
    /// Of 100 messages.
    lost: u64,
    /// By time, then by the order of sending.
    arrivals: BTreeMap<(u64, u64), Message>,
    sent: u64,
    /// When the last message of a pair arrives: nothing overtakes.
    last_of_pair: BTreeMap<(ServerId, ServerId), u64>,
    /// Every vote that a server ever gave.
    votes: BTreeMap<ServerId, BTreeSet<Held>>,
    settled_on: BTreeMap<ServerId, BTreeSet<ServerId>>,
    checked: BTreeMap<ServerId, usize>,
    /// How long a server has had no reason to stay in its role.
    doubts: BTreeMap<ServerId, u64>,
    epoch: u32,
    /// The last leadership of each leader that was established.
    established: BTreeMap<ServerId, usize>,
}

impl Storm {
    fn new(voters: i64, seed: u64) -> Storm {
        let ids: Vec<i64> = (1..=voters).collect();
        let mut storm = Storm {
            network: Network::new(ensemble(&ids, &[], 0)),
            seed,
            delay_max_ms: 40,
            lost: 0,
            arrivals: BTreeMap::new(),
            sent: 0,
            last_of_pair: BTreeMap::new(),
            votes: BTreeMap::new(),
            settled_on: BTreeMap::new(),
            checked: BTreeMap::new(),
            doubts: BTreeMap::new(),
            epoch: 3,
            established: BTreeMap::new(),
        };
        for id in ids {
            let epoch = u32::try_from(storm.random(4)).unwrap();
            let counter = u32::try_from(storm.random(3)).unwrap();
            storm.network.add(ServerId(id), epoch, Zxid::new(epoch, counter), true);
        }
        storm
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below.max(1)
    }

    fn any(&mut self) -> ServerId {
        let count = self.network.servers.len() as u64;
        ServerId(1 + i64::try_from(self.random(count)).unwrap())
    }

    fn runs(&self, id: ServerId) -> bool {
        self.network.servers[&id].election.is_some()
    }

    /// Gives what was sent its time of arrival, and checks what was decided.
    fn settle(&mut self) {
        while let Some(message) = self.network.under_way.pop_front() {
            if self.random(100) < self.lost {
                continue;
            }
            let at = self.network.now_ms + 1 + self.random(self.delay_max_ms);
            let last = self.last_of_pair.entry((message.from, message.to)).or_insert(0);
            *last = at.max(*last);
            self.sent += 1;
            self.arrivals.insert((*last, self.sent), message);
        }
        let running = self.network.servers.iter().filter_map(|(id, server)| Some((*id, server.election.as_ref()?)));
        for (id, election) in running {
            // Nobody votes for less than itself: so the winner is at least as good as each of its quorum.
            let own = self.network.servers[&id].candidate.initial_vote(id);
            assert!(election.state() != PeerState::Looking || !own.beats(&election.vote()), "{id} gave up its own");
            self.votes.entry(id).or_default().insert(held(election.round(), &election.vote()));
            if let Some(leader) = self.network.leader_of(id) {
                self.settled_on.entry(id).or_default().insert(leader);
            }
        }
        for id in self.network.servers.keys().copied().collect::<Vec<_>>() {
            let decisions = &self.network.servers[&id].decisions;
            let done = self.checked.insert(id, decisions.len()).unwrap_or(0);
            for decided in &decisions[done..] {
                self.check(id, decided);
            }
        }
    }

    /// A quorum of voters gave this vote in this round, or settled on this leader some time.
    fn check(&self, id: ServerId, decided: &Decided) {
        let Decided { decision, vote, round } = decided;
        assert_eq!(*decision == Decision::Lead, vote.leader == id);
        let gave = |voter: ServerId| {
            let votes = self.votes.get(&voter);
            let settled = self.settled_on.get(&voter);
            votes.is_some_and(|votes| votes.contains(&held(*round, vote)))
                || settled.is_some_and(|leaders| leaders.contains(&vote.leader))
        };
        let story = || self.network.story.join("\n");
        assert!(self.network.configs.committed.is_quorum(gave), "no quorum for what {id} decided:\n{}", story());
    }

    /// Goes on by one millisecond.
    fn tick(&mut self) {
        let now = self.network.now_ms;
        while let Some(key) = self.arrivals.keys().next().copied().filter(|(at, _)| *at <= now) {
            let message = self.arrivals.remove(&key).expect("it is there");
            if self.network.connected(message.from, message.to) {
                self.network.hear(&message);
                self.settle();
            }
        }
        self.network.wait(1);
        self.settle();
        if now.is_multiple_of(50) {
            self.roles();
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.tick();
        }
    }

    /// What the rest of zab would do: epochs are established where a quorum follows, and roles without hope end.
    fn roles(&mut self) {
        for id in self.network.servers.keys().copied().collect::<Vec<_>>() {
            let Some(leader) = self.network.leader_of(id).filter(|_| self.runs(id)) else {
                self.doubts.remove(&id);
                continue;
            };
            let has = |voter: ServerId| {
                self.network.leader_of(voter) == Some(leader) && (voter == id || self.network.connected(id, voter))
            };
            let hopeful = if leader == id {
                self.network.configs.committed.is_quorum(has)
            } else {
                self.network.connected(id, leader) && self.network.leader_of(leader) == Some(leader)
            };
            if hopeful {
                self.doubts.remove(&id);
                if leader == id {
                    self.establish(id);
                }
                continue;
            }
            let doubts = self.doubts.entry(id).or_insert(0);
            *doubts += 1;
            if *doubts > 10 {
                self.doubts.remove(&id);
                self.network.look(id);
                self.settle();
            }
        }
    }

    fn establish(&mut self, leader: ServerId) {
        let term = self.network.servers[&leader].decisions.len();
        if self.established.insert(leader, term) != Some(term) {
            self.epoch += 1;
        }
        let (epoch, counter) = (self.epoch, u32::try_from(self.random(3)).unwrap());
        for id in self.network.servers.keys().copied().collect::<Vec<_>>() {
            if self.network.leader_of(id) == Some(leader) && (id == leader || self.network.connected(id, leader)) {
                self.network.established(id, epoch);
                let last = self.network.servers[&id].candidate.last;
                self.network.add(id, epoch, last.max(Zxid::new(epoch, counter)), true);
            }
        }
    }

    /// Something goes wrong, or right again.
    fn mishap(&mut self) {
        let (one, other) = (self.any(), self.any());
        match self.random(6) {
            0 if self.runs(one) => {
                self.arrivals.retain(|_, message| message.from != one && message.to != one);
                self.network.crash(one);
            }
            0 | 1 if !self.runs(one) => self.network.boot(one),
            2 if one != other => {
                let silently = self.random(2) == 0;
                self.network.cut(one, other, silently);
            }
            3 => self.network.heal(one, other),
            4 => self.network.look(one),
            _ => self.lost = self.random(30),
        }
        self.settle();
    }

    fn calm(&mut self) {
        self.lost = 0;
        for pair in core::mem::take(&mut self.network.cut) {
            self.network.link_up(pair.0, pair.1);
        }
        for id in self.network.servers.keys().copied().collect::<Vec<_>>() {
            if !self.runs(id) {
                self.network.boot(id);
            }
        }
        self.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_storm_ends_with_one_leader(voters in 3..=7_i64, seed: u64, mishaps in 0..25_usize) {
        let mut storm = Storm::new(voters, seed);
        for id in 1..=voters {
            if storm.random(4) > 0 {
                storm.network.boot(ServerId(id));
            }
        }
        storm.settle();
        for _ in 0..mishaps {
            let ms = storm.random(300);
            storm.run(ms);
            storm.mishap();
        }
        storm.calm();
        let agreed = |storm: &Storm| {
            let leader = storm.network.leader_of(ServerId(1));
            leader.is_some() && (1..=voters).all(|id| storm.network.leader_of(ServerId(id)) == leader)
        };
        for _ in 0..40 {
            if !agreed(&storm) {
                storm.run(200);
            }
        }
        storm.run(700);
        let leader = storm.network.leader_of(ServerId(1));
        let story = || storm.network.story.iter().rev().take(60).rev().cloned().collect::<Vec<_>>().join("\n");
        prop_assert!(leader.is_some(), "nobody leads:\n{}", story());
        for id in 1..=voters {
            prop_assert_eq!(storm.network.leader_of(ServerId(id)), leader, "{}", story());
        }
    }

    #[test]
    fn together_they_find_the_best_in_one_round(voters in 3..=7_i64, seed: u64) {
        let mut storm = Storm::new(voters, seed);
        let mut best: Option<Vote> = None;
        for id in 1..=voters {
            storm.network.boot(ServerId(id));
            let own = storm.network.servers[&ServerId(id)].candidate.initial_vote(ServerId(id));
            best = best.filter(|best| best.beats(&own)).or(Some(own));
        }
        storm.settle();
        // All votes have passed everywhere after two journeys; DEV-19 does the rest.
        storm.run(2 * storm.delay_max_ms + 2);
        for id in 1..=voters {
            let decisions = &storm.network.servers[&ServerId(id)].decisions;
            prop_assert_eq!(decisions.len(), 1, "{}", storm.network.story.join("\n"));
            prop_assert_eq!(Some(decisions[0].vote), best);
            prop_assert_eq!(decisions[0].round, 1);
        }
    }
}

#[test]
fn the_story_is_told_in_words() {
    let vote = Vote { leader: ServerId(2), zxid: Zxid(5), peer_epoch: 1 };
    assert_eq!(network::vote(&vote), "2 (epoch 1, zxid 0x5)");
}
