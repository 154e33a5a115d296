//! One run: what it is made of, and what it comes to.

use super::{Counts, Dice, World};
use ostler_model::ServerId;
use ostler_zab::{Quirks, Settings};

/// What a run is made of.
#[derive(Clone)]
pub struct Plan {
    pub seed: u64,
    pub voters: i64,
    pub observers: i64,
    /// Faults happen until then.
    pub faults_until_ms: u64,
    /// Rules that all servers break.
    pub quirks: Quirks,
    pub log: bool,
    /// Reconfigurations happen; so many servers wait outside for the first.
    pub strangers: Option<i64>,
}

pub fn settings(me: ServerId, rng: &mut Dice) -> Settings {
    let mut settings = Settings::new(me);
    settings.tick_ms = 100;
    settings.init_limit = 8;
    settings.sync_limit = 4;
    settings.notification_min_ms = 30;
    settings.notification_max_ms = 300;
    settings.finalize_ms = 20;
    settings.window_txns_max = rng.pick(&[1, 5, 500]);
    settings.counter_max = rng.pick(&[30, 200, u32::MAX - 1]);
    settings.force_snapshot_sync = rng.percent(5);
    settings
}

/// One seed: faults, then quiet; everybody serves the same.
pub fn run(plan: &Plan) -> Counts {
    let mut world = World::new(plan);
    world.run(plan.faults_until_ms + 10_000);
    // The client goes on for ever: it is stopped by asking no more, and the rest is let through.
    world.stop_client();
    world.run(plan.faults_until_ms + 12_000);
    world.check_end();
    assert!(world.counts.commits > 0, "nothing was committed in seed {}", plan.seed);
    world.counts
}
