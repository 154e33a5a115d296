//! The choice against a naive definition: whatever is chosen, the learner ends with exactly the leader's history.
//!
//! Histories come from a naive world: epochs one after the other, each led by somebody whose history is at least that of
//! a quorum, and servers that hold some prefix of it. What a learner does with DIFF, TRUNC and SNAP is written down
//! here in a few lines.

use super::{Plan, Question};
use crate::History;
use alloc::vec;
use alloc::vec::Vec;
use ostler_model::Zxid;
use proptest::prelude::*;

/// A transaction: its zxid, and who proposed it (two leaders of one epoch do not exist, so zxids are unique).
fn history(base: Zxid, zxids: &[Zxid]) -> History {
    let mut history = History { base, spans: Vec::new(), trusted: true };
    for zxid in zxids {
        history.push(*zxid);
    }
    history
}

fn question(history: &History, last: Zxid) -> Question<'_> {
    Question {
        history,
        sendable_from: history.base,
        upto: history.last(),
        established: None,
        last,
        wants_tree: false,
        is_needed: true,
        force_snapshot: false,
        diff_unknown_zxid: false,
    }
}

/// Epochs 1 to 4: each leader starts from a prefix of the longest history so far and adds some.
#[derive(Clone, Debug)]
struct Lives {
    /// Of each epoch: how many transactions of the history before it its leader drops, and how many it adds.
    epochs: Vec<(usize, u32)>,
}

impl Lives {
    /// The history of the leader of each epoch at its end.
    fn histories(&self) -> Vec<Vec<Zxid>> {
        let mut all: Vec<Vec<Zxid>> = vec![Vec::new()];
        for (epoch, (dropped, added)) in (1..).zip(&self.epochs) {
            let before = all.last().expect("one is always there");
            let mut next = before[..before.len().saturating_sub(*dropped)].to_vec();
            next.extend((1..=*added).map(|counter| Zxid::new(epoch, counter)));
            all.push(next);
        }
        all
    }
}

/// What the learner has after it did what it was told; none if it cannot.
fn carried_out(plan: Plan, upto: Zxid, leader: &[Zxid], learner: &[Zxid]) -> Option<Vec<Zxid>> {
    let behind = |after: Zxid| leader.iter().copied().filter(move |zxid| *zxid > after && *zxid <= upto);
    match plan {
        Plan::Wait => None,
        Plan::Snap { .. } => Some(leader.iter().copied().filter(|zxid| *zxid <= upto).collect()),
        Plan::Diff { after } => {
            let mut all = learner.to_vec();
            for zxid in behind(after) {
                let follows = all.last().copied().unwrap_or(Zxid::ZERO).is_followed_by(zxid);
                assert!(follows, "a hole before {zxid} in {all:?}");
                all.push(zxid);
            }
            Some(all)
        }
        Plan::Trunc { to } => {
            if to != Zxid::ZERO && !learner.contains(&to) {
                // CannotTruncate: it will ask for a tree.
                return None;
            }
            let mut all: Vec<Zxid> = learner.iter().copied().filter(|zxid| *zxid <= to).collect();
            all.extend(behind(to));
            Some(all)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_learner_ends_with_the_leaders_history(
        epochs in proptest::collection::vec((0usize..4, 0u32..5), 1..5),
        of in 0usize..5,
        cut in 0usize..6,
        base in 0usize..8,
        is_needed in any::<bool>(),
        established in any::<bool>(),
        outstanding in 0usize..3,
        wants_tree in any::<bool>(),
        unreadable in 0usize..4,
    ) {
        let lives = Lives { epochs };
        let histories = lives.histories();
        let leader = histories.last().expect("at least one");
        let epoch = u32::try_from(histories.len()).expect("few");
        let learner = &histories[of % histories.len()];
        let learner = &learner[..learner.len().saturating_sub(cut)];
        // The leader's log begins somewhere; its snapshot has the rest.
        let start = base.min(leader.len());
        let base = if start == 0 { Zxid::ZERO } else { leader[start - 1] };
        let ours = history(base, &leader[start..]);
        let upto = if established {
            leader[..leader.len().saturating_sub(outstanding)].last().copied().unwrap_or(Zxid::ZERO).max(base)
        } else {
            ours.last()
        };
        let sendable_from = leader.get((start + unreadable).saturating_sub(1)).copied().unwrap_or(base).max(base);
        let question = Question {
            sendable_from: sendable_from.min(upto),
            upto,
            established: established.then_some(epoch),
            is_needed,
            wants_tree,
            ..question(&ours, if wants_tree { Zxid::ZERO } else { learner.last().copied().unwrap_or(Zxid::ZERO) })
        };
        let plan = question.decide();
        let expected: Vec<Zxid> = leader.iter().copied().filter(|zxid| *zxid <= upto).collect();
        // Who asks for a tree reports a history that it does not have.
        let learner = if wants_tree { &[] } else { learner };
        match carried_out(plan, upto, leader, learner) {
            Some(result) => prop_assert_eq!(result, expected, "{:?} for {:?}", plan, question),
            None => {
                // It waits only for a commit that will come, or while it is not needed; it cannot cut only what it
                // never had, and then it asks for a tree, which it gets.
                let waits = question.last > upto && (ours.contains(question.last) || !is_needed);
                prop_assert!(plan != Plan::Wait || waits, "{:?} for {:?}", plan, question);
                let tree = Question { last: Zxid::ZERO, wants_tree: true, ..question.clone() };
                let gets_tree = matches!(tree.decide(), Plan::Snap { .. });
                prop_assert!(gets_tree || upto == Zxid::ZERO);
            }
        }
        // BUG-3: no record of the learner's log lies behind the name of the tree. Unless only a tree is left.
        if let Plan::Snap { at_least } = plan
            && !wants_tree
        {
            let label = at_least.max(upto);
            prop_assert!(label >= question.last || is_needed, "{:?} for {:?}", plan, question);
        }
        // DEV-6.
        let cuts = matches!(plan, Plan::Trunc { .. });
        prop_assert!(!established || !cuts);
    }
}

const fn zxid(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

#[test]
fn a_fresh_learner_gets_the_log_only_from_the_very_first_transaction() {
    let whole = history(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2)]);
    assert_eq!(question(&whole, Zxid::ZERO).decide(), Plan::Diff { after: Zxid::ZERO });
    // BUG-19.
    let later = history(zxid(1, 1), &[zxid(1, 2)]);
    assert!(matches!(question(&later, Zxid::ZERO).decide(), Plan::Snap { .. }));
}

#[test]
fn an_unknown_transaction_is_not_taken_for_one_of_ours() {
    // BUG-22: (7,4) lies between our ends and is not ours.
    let ours = history(Zxid::ZERO, &[zxid(7, 1), zxid(7, 2), zxid(8, 1)]);
    assert_eq!(question(&ours, zxid(7, 4)).decide(), Plan::Trunc { to: zxid(7, 2) });
    let established = Question { established: Some(8), ..question(&ours, zxid(7, 4)) };
    assert_eq!(established.decide(), Plan::Snap { at_least: zxid(8, 0) });
    let broken = Question { diff_unknown_zxid: true, ..question(&ours, zxid(7, 4)) };
    assert_eq!(broken.decide(), Plan::Diff { after: zxid(7, 2) });
}

#[test]
fn the_start_of_an_epoch_is_a_point_only_if_its_first_transaction_is_ours() {
    let ours = history(Zxid::ZERO, &[zxid(3, 1), zxid(5, 1)]);
    assert_eq!(question(&ours, zxid(5, 0)).decide(), Plan::Diff { after: zxid(3, 1) });
    assert!(matches!(question(&ours, zxid(4, 0)).decide(), Plan::Snap { .. }));
    let begun_within = history(zxid(5, 1), &[zxid(5, 2)]);
    assert!(matches!(question(&begun_within, zxid(5, 0)).decide(), Plan::Snap { .. }));
}

#[test]
fn what_is_proposed_and_not_committed_is_waited_for() {
    let ours = history(Zxid::ZERO, &[zxid(3, 1), zxid(3, 2)]);
    let waiting = Question { established: Some(3), upto: zxid(3, 1), ..question(&ours, zxid(3, 2)) };
    assert_eq!(waiting.decide(), Plan::Wait);
    assert_eq!(Question { upto: zxid(3, 2), ..waiting }.decide(), Plan::Diff { after: zxid(3, 2) });
}

#[test]
fn a_learner_ahead_of_us_is_cut_only_if_it_is_needed() {
    // Our current epoch is higher, our last transaction older than one that was never committed.
    let ours = history(Zxid::ZERO, &[zxid(2, 9)].map(|_| zxid(2, 1)));
    assert_eq!(question(&ours, zxid(3, 1)).decide(), Plan::Trunc { to: zxid(2, 1) });
    assert_eq!(Question { is_needed: false, ..question(&ours, zxid(3, 1)) }.decide(), Plan::Wait);
}

/// BUG-3: a tree bears no name below records of the learner's log, also where the operator wants trees only.
#[test]
fn a_forced_tree_has_a_name_above_the_learners_log() {
    let zxid = |epoch, counter| Zxid::new(epoch, counter);
    let history = history(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2), zxid(2, 1), zxid(2, 2)]);
    let forced = |last, upto, established| {
        Question { force_snapshot: true, upto, established, ..question(&history, last) }.decide()
    };
    let end = zxid(2, 2);
    assert_eq!(forced(zxid(1, 1), end, None), Plan::Snap { at_least: Zxid::ZERO });
    assert_eq!(forced(end, end, None), Plan::Snap { at_least: Zxid::ZERO });
    assert_eq!(forced(zxid(1, 9), end, Some(3)), Plan::Snap { at_least: zxid(3, 0) });
    // It has more than the tree: what is not the leader's is cut, what is not committed yet is waited for.
    assert_eq!(forced(zxid(2, 3), end, None), Plan::Trunc { to: end });
    assert_eq!(forced(end, zxid(2, 1), Some(2)), Plan::Wait);
}
