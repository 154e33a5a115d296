//! The checks of the simulated ensemble notice each rule that is broken on purpose.
#![allow(clippy::print_stdout, reason = "it says which seed found what")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod cluster;

use cluster::run::{Plan, run};
use ostler_zab::Quirks;

/// Runs seeds until a check fails; says what it said.
fn caught(quirks: Quirks, voters: i64, observers: i64, strangers: Option<i64>, seeds: u64) -> Option<(u64, String)> {
    for seed in 1..=seeds {
        let plan = Plan { seed, voters, observers, faults_until_ms: 15_000, quirks, log: false, strangers };
        if let Err(panic) = std::panic::catch_unwind(|| run(&plan)) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            return Some((seed, text.unwrap_or_default()));
        }
    }
    None
}

/// Name, what is broken, ensemble, seeds that may be needed, the invariants of which the first to be hurt is noticed.
type Mutant = (&'static str, fn(&mut Quirks), i64, i64, u64, &'static [&'static str]);

const MUTANTS: &[Mutant] = &[
    ("ack_before_sync", |q| q.ack_before_sync = true, 3, 0, 100, &["INV-17"]),
    ("vote_applied", |q| q.vote_applied = true, 3, 0, 100, &["INV-22"]),
    ("truncate_one_less", |q| q.truncate_one_less = true, 3, 0, 100, &["INV-17"]),
    ("epoch_from_zxid", |q| q.epoch_from_zxid = true, 3, 0, 100, &["INV-2"]),
    ("diff_unknown_zxid", |q| q.diff_unknown_zxid = true, 3, 0, 100, &["INV-17"]),
    ("commit_without_quorum", |q| q.commit_without_quorum = true, 3, 0, 100, &["INV-15"]),
    ("leader_acks_unsynced", |q| q.leader_acks_unsynced = true, 3, 0, 100, &["INV-15"]),
    ("learner_acks_unsynced", |q| q.learner_acks_unsynced = true, 3, 0, 100, &["INV-18"]),
    ("skip_ahead_check", |q| q.skip_ahead_check = true, 3, 0, 100, &["INV-4", "INV-14"]),
    ("count_observers", |q| q.count_observers = true, 3, 2, 100, &["INV-15", "INV-4"]),
    ("skip_fence", |q| q.skip_fence = true, 3, 0, 100, &["BUG-14", "INV-22"]),
    ("commit_out_of_order", |q| q.commit_out_of_order = true, 3, 0, 100, &["INV-16"]),
];

/// The same, while three servers and two that wait outside are reconfigured.
const RECONFIGURED: &[Mutant] = &[
    ("only_old_quorum", |q| q.only_old_quorum = true, 3, 0, 100, &["INV-15"]),
    ("only_new_quorum", |q| q.only_new_quorum = true, 3, 0, 100, &["INV-15"]),
    ("forget_old_quorum", |q| q.forget_old_quorum = true, 3, 0, 200, &["INV-24"]),
    ("keep_cut_ensemble", |q| q.keep_cut_ensemble = true, 3, 0, 100, &["INV-24"]),
];

#[test]
fn each_broken_rule_is_noticed() {
    notice(MUTANTS, None);
}

#[test]
fn each_broken_rule_of_reconfiguration_is_noticed() {
    notice(RECONFIGURED, Some(2));
}

fn notice(mutants: &[Mutant], strangers: Option<i64>) {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for (name, change, voters, observers, seeds, invariants) in mutants {
        let mut quirks = Quirks::default();
        change(&mut quirks);
        match caught(quirks, *voters, *observers, strangers, *seeds) {
            Some((seed, text)) if invariants.iter().any(|invariant| text.contains(invariant)) => {
                println!("{name}: seed {seed}: {text}");
            }
            other => missed.push((*name, other)),
        }
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not noticed, or by another check: {missed:?}");
}
