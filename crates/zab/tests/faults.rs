//! Ensembles of simulated servers under faults: see `cluster/mod.rs`.
#![allow(clippy::print_stdout, reason = "a seed can be replayed with its log")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod cluster;

use cluster::run::{Plan, run};
use cluster::{Counts, World};
use ostler_model::ServerId;
use ostler_zab::{Event, Quirks};

fn seeds(voters: i64, observers: i64, strangers: Option<i64>, base: u64, count: u64) {
    let count = std::env::var("ZAB_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(count);
    let base = std::env::var("ZAB_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(base);
    let mut sum = Counts::default();
    for seed in base..base + count {
        let log = std::env::var("ZAB_LOG").is_ok();
        let plan = Plan { seed, voters, observers, faults_until_ms: 15_000, quirks: Quirks::default(), log, strangers };
        let counts = std::panic::catch_unwind(|| run(&plan));
        let Ok(counts) = counts else {
            panic!(
                "seed {seed} of {voters}+{observers}, {strangers:?} failed; replay: ZAB_SEED={seed} ZAB_SEEDS=1 ZAB_LOG=1"
            );
        };
        sum.add(&counts);
    }
    println!("{voters}+{observers}, {count} seeds: {sum:?}");
}

#[test]
fn three_voters() {
    seeds(3, 0, None, 1, 20);
}

#[test]
fn five_voters() {
    seeds(5, 0, None, 1_000, 8);
}

#[test]
fn three_voters_two_observers() {
    seeds(3, 2, None, 2_000, 8);
}

#[test]
fn one_voter() {
    seeds(1, 0, None, 3_000, 4);
}

#[test]
fn three_voters_reconfigured() {
    seeds(3, 0, Some(2), 4_000, 12);
}

#[test]
fn everything_reconfigured() {
    seeds(4, 1, Some(1), 5_000, 8);
}

#[test]
fn a_tick_does_no_harm_before_its_time() {
    let plan = Plan {
        seed: 5,
        voters: 3,
        observers: 0,
        faults_until_ms: 1,
        quirks: Quirks::default(),
        log: false,
        strangers: None,
    };
    let mut world = World::new(&plan);
    world.run(3_000);
    for id in [1, 2, 3].map(ServerId) {
        for _ in 0..10 {
            world.step(id, Event::Tick);
        }
    }
    world.stop_client();
    world.run(5_000);
    world.check_end();
}
