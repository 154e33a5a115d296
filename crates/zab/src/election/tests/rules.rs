//! Rules that are about a single server.

use super::network::ensemble;
use crate::configs::Configs;
use crate::election::{Candidate, Decided, Decision, Election, Voting};
use crate::{Effect, Notification, PeerState, Settings, Vote};
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};

/// Server 1, alone with what reaches it.
struct One {
    election: Election,
    configs: Configs,
    now_ms: u64,
}

fn vote(leader: i64, peer_epoch: i64, zxid: i64) -> Vote {
    Vote { leader: ServerId(leader), zxid: Zxid(zxid), peer_epoch }
}

fn says(state: PeerState, vote: Vote, round: i64) -> Notification {
    Notification { state, vote, round, version: 2, config_version: 0 }
}

const EMPTY: Candidate = Candidate { last: Zxid::ZERO, current_epoch: 0, trusted: true, voting: Voting::Voter };

impl One {
    fn of(voters: &[i64]) -> One {
        let committed = ensemble(voters, &[], 0);
        let configs = Configs { last_seen: committed.clone(), committed };
        One { election: Election::new(&Settings::new(ServerId(1))), configs, now_ms: 0 }
    }

    fn started(voters: &[i64]) -> One {
        let mut one = One::of(voters);
        one.start();
        one
    }

    fn start(&mut self) -> (Option<Decided>, Vec<(ServerId, Notification)>) {
        let mut effects = Vec::new();
        let decided = self.election.start(self.now_ms, EMPTY, &self.configs, &mut effects);
        (decided, sent(effects))
    }

    fn hear(&mut self, from: i64, n: &Notification) -> (Option<Decided>, Vec<(ServerId, Notification)>) {
        let mut effects = Vec::new();
        let decided = self.election.notified(self.now_ms, ServerId(from), n, &self.configs, &mut effects);
        (decided, sent(effects))
    }

    fn tick(&mut self) -> Vec<(ServerId, Notification)> {
        let mut effects = Vec::new();
        assert_eq!(self.election.tick(self.now_ms, &self.configs, &mut effects), None);
        sent(effects)
    }
}

fn sent(effects: Vec<Effect>) -> Vec<(ServerId, Notification)> {
    let notify =
        |effect| if let Effect::Notify { to, notification } = effect { Some((to, notification)) } else { None };
    effects.into_iter().filter_map(notify).collect()
}

#[test]
fn a_single_voter_decides_at_once() {
    let mut one = One::of(&[1]);
    let (decided, sent) = one.start();
    let own = vote(1, 0, 0);
    assert_eq!(decided, Some(Decided { decision: Decision::Lead, vote: own, round: 1 }));
    assert!(sent.is_empty());
    assert_eq!((one.election.state(), one.election.vote()), (PeerState::Leading, own));
    assert_eq!(one.election.next_deadline(), None);
}

#[test]
fn before_the_first_election_nothing_is_said() {
    let mut one = One::of(&[1, 2, 3]);
    let question = says(PeerState::Looking, vote(2, 0, 0), 1);
    assert_eq!(one.hear(2, &question), (None, Vec::new()));
    assert_eq!((one.election.state(), one.election.round()), (PeerState::Looking, 0));
    assert_eq!(one.tick(), []);
}

#[test]
fn pauses_between_repetitions_double_up_to_a_few_seconds() {
    let mut one = One::started(&[1, 2, 3]);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let at = one.election.next_deadline().unwrap();
        pauses.push(at - one.now_ms);
        one.now_ms = at;
        assert_eq!(one.tick().len(), 2, "to each voter but itself");
    }
    assert_eq!(pauses, [200, 400, 800, 1_600, 3_000, 3_000, 3_000]);
}

#[test]
fn one_answer_per_period_to_the_same_outdated_message() {
    let mut one = One::of(&[1, 2, 3]);
    one.start();
    one.start();
    let outdated = says(PeerState::Looking, vote(2, 0, 0), 1);
    assert_eq!(one.hear(2, &outdated).1.len(), 1);
    assert_eq!(one.hear(2, &outdated).1.len(), 0, "two servers would answer each other as fast as they can");
    assert_eq!(one.hear(3, &outdated).1.len(), 1);
    one.now_ms = one.election.next_deadline().unwrap();
    one.tick();
    assert_eq!(one.hear(2, &outdated).1.len(), 1, "the next period");
    assert_eq!(one.hear(9, &outdated).1.len(), 1, "a stranger too");
    assert_eq!(one.hear(9, &outdated).1.len(), 0);
    let round_two = says(PeerState::Looking, vote(2, 0, 0), 2);
    assert_eq!(one.hear(2, &round_two).0, None);
    assert_eq!(one.hear(2, &outdated).1.len(), 1, "there is a new proposal to tell");
}

#[test]
fn settled_servers_answer_every_question_but_no_statement() {
    let mut one = One::started(&[1, 2, 3]);
    let leading = says(PeerState::Leading, vote(3, 4, 7), 9);
    let following = says(PeerState::Following, vote(3, 4, 7), 9);
    assert_eq!(one.hear(2, &following).0, None);
    let decided = one.hear(3, &leading).0.unwrap();
    assert_eq!(decided, Decided { decision: Decision::Follow(ServerId(3)), vote: vote(3, 4, 7), round: 9 });
    assert_eq!(one.election.round(), 9, "the round of the ensemble that was joined");
    let question = says(PeerState::Looking, vote(2, 9, 9), 99);
    for _ in 0..2 {
        let (decided, answer) = one.hear(2, &question);
        assert_eq!(decided, None);
        assert_eq!(answer, [(ServerId(2), says(PeerState::Following, vote(3, 4, 7), 9))]);
    }
    for state in [PeerState::Following, PeerState::Leading, PeerState::Observing] {
        assert_eq!(one.hear(2, &says(state, vote(2, 9, 9), 99)), (None, Vec::new()));
        assert_eq!(one.hear(77, &says(state, vote(2, 9, 9), 99)), (None, Vec::new()));
    }
    one.election.established(5);
    assert_eq!(one.hear(2, &question).1[0].1.vote, vote(3, 5, 7));
}

#[test]
fn messages_that_mean_nothing() {
    let mut one = One::started(&[1, 2, 3]);
    let better = vote(9, 9, 9);
    assert_eq!(one.hear(2, &says(PeerState::Looking, better, 1)), (None, Vec::new()), "9 cannot be elected");
    assert_eq!(one.hear(1, &says(PeerState::Looking, vote(3, 9, 9), 1)), (None, Vec::new()), "from itself");
    assert_eq!(one.hear(2, &says(PeerState::Observing, vote(3, 9, 9), 1)), (None, Vec::new()));
    let untrusted = says(PeerState::Looking, vote(3, 9, -1), 1);
    assert_eq!(one.hear(3, &untrusted), (None, Vec::new()));
    assert_eq!(one.election.vote(), vote(1, 0, 0));
}

#[test]
fn the_highest_round_is_no_end() {
    let mut one = One::started(&[1, 2, 3]);
    one.hear(2, &says(PeerState::Looking, vote(2, 0, 0), i64::MAX));
    assert_eq!(one.election.round(), i64::MAX);
    one.start();
    assert_eq!(one.election.round(), i64::MIN);
}

#[test]
fn messages_of_old_servers_count_by_the_leader_alone() {
    // Version 0 knows no epoch: it is made up from the zxid.
    let mut one = One::started(&[1, 2, 3]);
    let old = Notification { version: 0, ..says(PeerState::Following, vote(3, 0, 7), 4) };
    assert_eq!(one.hear(2, &old).0, None);
    let decided = one.hear(3, &says(PeerState::Leading, vote(3, 6, 7), 4)).0.unwrap();
    assert_eq!(decided.vote, vote(3, 6, 7));
    // Two of today must agree on the epoch.
    let mut one = One::started(&[1, 2, 3]);
    one.hear(2, &says(PeerState::Following, vote(3, 0, 7), 4));
    assert_eq!(one.hear(3, &says(PeerState::Leading, vote(3, 6, 7), 4)).0, None);
}

#[test]
fn in_the_own_round_settled_votes_count_by_the_leader_alone() {
    let mut one = One::started(&[1, 2, 3]);
    one.hear(2, &says(PeerState::Following, vote(3, 0, 7), 1));
    let decided = one.hear(3, &says(PeerState::Leading, vote(3, 6, 7), 1)).0.unwrap();
    assert_eq!(decided.decision, Decision::Follow(ServerId(3)));
}

#[test]
fn the_wait_for_a_better_vote_is_not_prolonged_by_chatter() {
    let mut one = One::started(&[1, 2, 3]);
    let mine = says(PeerState::Looking, vote(2, 0, 0), 1);
    assert_eq!(one.hear(2, &mine).0, None);
    assert_eq!(one.election.next_deadline(), Some(200));
    one.now_ms = 150;
    assert_eq!(one.hear(2, &mine).0, None);
    one.now_ms = 200;
    let mut effects = Vec::new();
    let decided = one.election.tick(200, &one.configs, &mut effects).unwrap();
    assert_eq!(decided.decision, Decision::Follow(ServerId(2)));
    assert!(sent(effects).is_empty(), "who has decided does not look any more");
}

#[test]
fn what_was_heard_in_an_older_round_is_forgotten() {
    let mut one = One::started(&[1, 2, 3, 4, 5]);
    one.hear(2, &says(PeerState::Following, vote(3, 0, 7), 1));
    one.hear(4, &says(PeerState::Looking, vote(1, 0, 0), 2));
    assert_eq!(one.election.round(), 2);
    one.hear(5, &says(PeerState::Following, vote(3, 0, 7), 2));
    assert_eq!(one.hear(3, &says(PeerState::Leading, vote(3, 6, 7), 2)).0, None, "2 spoke in round 1");
    assert!(one.hear(2, &says(PeerState::Following, vote(3, 0, 7), 2)).0.is_some());
}

/// Server 1 stands outside, looks, and may vote in an ensemble that it does not know.
fn outside(voters: &[i64]) -> One {
    let settings = Settings { reconfig_enabled: true, ..Settings::new(ServerId(1)) };
    let mut one = One { election: Election::new(&settings), ..One::of(voters) };
    let unlisted = Candidate { voting: Voting::Unlisted, ..EMPTY };
    let decided = one.election.start(one.now_ms, unlisted, &one.configs, &mut Vec::new());
    assert_eq!(decided, None);
    one
}

#[test]
fn who_stands_outside_says_what_the_voters_want() {
    let mut one = outside(&[2, 3]);
    let (decided, said) = one.hear(2, &says(PeerState::Looking, vote(3, 4, 7), 9));
    assert_eq!(decided, None);
    let wanted = says(PeerState::Looking, vote(3, 4, 7), 9);
    for voter in [2, 3] {
        assert!(said.contains(&(ServerId(voter), wanted.clone())), "{said:?}");
    }
    let (_, said) = one.hear(3, &says(PeerState::Looking, vote(2, 4, 6), 9));
    assert!(!said.iter().any(|(_, said)| said.vote == vote(2, 4, 6)), "a worse one in the same round: {said:?}");
}

#[test]
fn what_is_left_of_votes_for_who_stands_outside_now_is_not_said_again() {
    // 2 led with the vote (1, 4, 7) once, and tells strangers so while it looks: 1 has lost that end of its history.
    let mut one = outside(&[2, 3]);
    let (_, said) = one.hear(2, &says(PeerState::Looking, vote(1, 4, 7), 9));
    assert!(!said.iter().any(|(_, said)| said.vote.leader == ServerId(1)), "{said:?}");
    assert_ne!(one.election.vote().leader, ServerId(1));
    let (_, said) = one.hear(3, &says(PeerState::Looking, vote(3, 4, 7), 9));
    assert!(said.iter().any(|(_, said)| said.vote == vote(3, 4, 7)), "{said:?}");
}

#[test]
fn servers_outside_do_not_keep_alive_what_is_nobodys_vote() {
    // 1 and 4 vote in the next ensemble, and know it.
    let mut one = outside(&[2, 3]);
    one.configs.last_seen = ensemble(&[1, 4], &[], 1 << 32);
    for lost in [vote(3, 9, 9), vote(7, 9, 9)] {
        let (_, said) = one.hear(4, &says(PeerState::Looking, lost, 9));
        assert!(!said.iter().any(|(_, said)| said.vote == lost), "{said:?}");
    }
    let (_, said) = one.hear(2, &says(PeerState::Looking, vote(7, 9, 9), 9));
    assert!(!said.iter().any(|(_, said)| said.vote.leader == ServerId(7)), "who cannot be elected: {said:?}");
    let (_, said) = one.hear(2, &says(PeerState::Looking, vote(3, 4, 7), 9));
    assert!(said.contains(&(ServerId(4), says(PeerState::Looking, vote(3, 4, 7), 9))), "{said:?}");
}

#[test]
fn who_votes_in_the_next_ensemble_only_joins_before_the_others_of_it() {
    // The leader needs 1 and 4, of which 4 observes: that is no vote, and 1 would wait for it for ever.
    let mut one = outside(&[2]);
    one.configs.last_seen = ensemble(&[1, 4], &[], 1 << 32);
    assert_eq!(one.hear(4, &says(PeerState::Observing, vote(2, 4, 7), 9)).0, None);
    let decided = one.hear(2, &says(PeerState::Leading, vote(2, 4, 7), 9)).0.unwrap();
    assert_eq!((decided.decision, decided.round), (Decision::Follow(ServerId(2)), 9));
}

#[test]
fn who_votes_in_the_next_ensemble_only_is_no_candidate() {
    let mut one = One::started(&[1, 2]);
    one.configs.last_seen = ensemble(&[1, 2, 3], &[], 1 << 32);
    one.hear(2, &says(PeerState::Looking, vote(3, 9, 9), 1));
    assert_eq!(one.election.vote(), vote(1, 0, 0), "2 may not know that ensemble, and would never agree");
    one.hear(2, &says(PeerState::Looking, vote(2, 9, 9), 1));
    assert_eq!(one.election.vote(), vote(2, 9, 9));
}

#[test]
fn who_alone_knows_of_the_next_ensemble_joins_the_others() {
    // 1 led, proposed an ensemble of four and lost its quorum: 2 leads without it, and 4 observes.
    let mut one = One::started(&[1, 2, 3]);
    one.configs.last_seen = ensemble(&[1, 2, 3, 4], &[], 1 << 32);
    assert_eq!(one.hear(3, &says(PeerState::Following, vote(2, 4, 7), 9)).0, None);
    assert_eq!(one.hear(4, &says(PeerState::Observing, vote(2, 4, 7), 9)).0, None);
    let decided = one.hear(2, &says(PeerState::Leading, vote(2, 4, 7), 9)).0.unwrap();
    assert_eq!((decided.decision, decided.round), (Decision::Follow(ServerId(2)), 9));
}
