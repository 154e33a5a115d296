//! Leaving on request (DEV-20), in simulated time: how long nobody can write.
#![allow(clippy::print_stdout, reason = "it reports the times")]
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

#[allow(dead_code, reason = "not every test uses all of it")]
mod cluster;

use cluster::World;
use cluster::run::Plan;
use ostler_model::ServerId;
use ostler_zab::{Event, Quirks, ServingRole};

fn leader(world: &World) -> Option<ServerId> {
    let leads = |up: &cluster::server::Up| matches!(up.serving, Some((ServingRole::Leader, _)));
    world.servers.iter().find(|(_, server)| server.up.as_ref().is_some_and(leads)).map(|(id, _)| *id)
}

/// Runs in steps of a millisecond until `is_so`; says how long it took.
fn wait(world: &mut World, is_so: impl Fn(&World) -> bool) -> u64 {
    let start_ms = world.now_ms;
    while !is_so(world) {
        assert!(world.now_ms < start_ms + 5_000, "it does not happen");
        let next_ms = world.now_ms + 1;
        world.run(next_ms);
    }
    world.now_ms - start_ms
}

#[test]
fn a_leader_that_stops_is_replaced_at_once() {
    let mut times = Vec::new();
    for seed in 0..40 {
        let voters = if seed % 2 == 0 { 3 } else { 5 };
        let plan = Plan {
            seed: seed * 4,
            voters,
            observers: 0,
            faults_until_ms: 1,
            quirks: Quirks::default(),
            log: false,
            strangers: None,
        };
        let mut world = World::new(&plan);
        world.run(3_000);
        wait(&mut world, |world| leader(world).is_some());
        let old = leader(&world).unwrap();
        let (epochs, commits) = (world.counts.epochs, world.counts.commits);
        world.step(old, Event::Resign);
        let gap_ms = wait(&mut world, |world| leader(world).is_some_and(|id| id != old));
        assert!(world.counts.commits >= commits, "what was proposed is committed");
        assert_eq!(world.counts.epochs, epochs + 1, "one election is enough");
        times.push(gap_ms);
        world.run(8_000);
        world.stop_client();
        world.run(10_000);
        world.check_end();
    }
    times.sort_unstable();
    println!("without a leader for {times:?} ms (messages take up to 8 ms, the disk up to 8 ms)");
    // A follower that heard of the election too late learns its outcome with its next repetition at best.
    assert!(times[times.len() / 2] <= 100 && times[times.len() * 9 / 10] <= 200, "{times:?}");
}
