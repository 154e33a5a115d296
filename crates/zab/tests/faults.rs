//! Ensembles of simulated servers under faults: see `cluster/mod.rs`.
#![allow(clippy::print_stdout, reason = "a seed can be replayed with its log")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod cluster;

use cluster::{Counts, Plan, Rng, World};
use ostler_model::ServerId;
use ostler_zab::{Event, Settings};

fn settings(me: ServerId, rng: &mut Rng) -> Settings {
    let mut settings = Settings::new(me);
    settings.tick_ms = 100;
    settings.init_limit = 8;
    settings.sync_limit = 4;
    settings.notification_min_ms = 30;
    settings.notification_max_ms = 300;
    settings.finalize_ms = 20;
    settings.window_txns_max = *rng.pick(&[1, 5, 500]);
    settings.counter_max = *rng.pick(&[30, 200, u32::MAX - 1]);
    settings.force_snapshot_sync = rng.chance(5);
    settings
}

/// One seed: faults, then quiet; everybody serves the same.
fn run(plan: &Plan) -> Counts {
    let mut world = World::new(plan);
    world.run(plan.faults_until_ms + 10_000);
    // The client goes on for ever: it is stopped by asking no more, and the rest is let through.
    world.stop_client();
    world.run(plan.faults_until_ms + 12_000);
    world.check_end();
    assert!(world.counts.commits > 0, "nothing was committed in seed {}", plan.seed);
    world.counts
}

fn seeds(voters: i64, observers: i64, base: u64, count: u64) {
    let count = std::env::var("ZAB_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(count);
    let base = std::env::var("ZAB_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(base);
    let mut sum = Counts::default();
    for seed in base..base + count {
        let log = std::env::var("ZAB_LOG").is_ok();
        let plan = Plan { seed, voters, observers, faults_until_ms: 15_000, settings, log };
        let counts = std::panic::catch_unwind(|| run(&plan));
        let Ok(counts) = counts else {
            panic!("seed {seed} of {voters}+{observers} failed; replay: ZAB_SEED={seed} ZAB_SEEDS=1 ZAB_LOG=1");
        };
        sum.add(&counts);
    }
    println!("{voters}+{observers}, {count} seeds: {sum:?}");
}

#[test]
fn three_voters() {
    seeds(3, 0, 1, 20);
}

#[test]
fn five_voters() {
    seeds(5, 0, 1_000, 8);
}

#[test]
fn three_voters_two_observers() {
    seeds(3, 2, 2_000, 8);
}

#[test]
fn one_voter() {
    seeds(1, 0, 3_000, 4);
}

#[test]
fn a_tick_does_no_harm_before_its_time() {
    let plan = Plan { seed: 5, voters: 3, observers: 0, faults_until_ms: 1, settings, log: false };
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
