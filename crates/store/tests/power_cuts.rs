//! Power cuts, kills and failing calls at every point of a server's file work; see support/power.rs.
//!
//! `cargo run --release -p ostler-store --example power_cuts -- --runs 10000` plays more stories.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod support;

use std::panic::catch_unwind;
use support::life::FirstStop;
use support::power::{Mutant, Tally, story};

/// Stories of the everyday test; the example plays the long form.
const STORIES: u64 = 150;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_invented() {
    let mut tally = Tally::default();
    for seed in 0..STORIES {
        tally.add(&story(seed, FirstStop::Random, Mutant::None).0);
    }
    println!("{tally:?}");
    // The stories must be about something.
    assert!(tally.crashes > STORIES && tally.crashes_in_recovery > STORIES / 2 && tally.io_errors > STORIES / 20);
    assert!(tally.acknowledged > 10 * STORIES && tally.snapshots > 2 * STORIES && tally.purged_files > STORIES / 2);
    assert!(tally.torn_tails > STORIES / 10);
    assert!(tally.disorder_refused < STORIES / 2);
}

#[test]
fn the_first_life_ends_at_every_call() {
    let seed = 2;
    let (_, calls) = story(seed, FirstStop::Never, Mutant::None);
    assert!(calls > 150, "{calls} calls: the story is about something");
    for call in 1..=calls {
        story(seed, FirstStop::At(call), Mutant::None);
    }
}

#[test]
fn the_checks_notice_what_they_are_for() {
    for (mutant, word) in [(Mutant::AckBeforeSync, "acknowledged up to"), (Mutant::IgnoreDirSync, "")] {
        let caught = (0..200).find_map(|seed| catch_unwind(|| story(seed, FirstStop::Random, mutant)).err());
        let caught = caught.unwrap_or_else(|| panic!("{mutant:?} was not noticed"));
        let text = caught.downcast_ref::<String>().unwrap();
        assert!(text.contains(word), "{mutant:?}: {text}");
    }
}
