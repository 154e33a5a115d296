//! Power cuts, kills and failing calls at every point of an ensemble member's file work; see support/member.rs.
//!
//! `cargo run --release -p ostler-store --example power_cuts -- --member --runs 10000` plays more stories.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod support;

use std::panic::catch_unwind;
use support::life::FirstStop;
use support::member::{Tally, Wrong, member_story};

/// Stories of the everyday test; the example plays the long form.
const STORIES: u64 = 60;

#[test]
fn a_member_has_what_it_acknowledged_and_nothing_that_was_taken_away() {
    let mut tally = Tally::default();
    for seed in 0..STORIES {
        tally.add(&member_story(seed, FirstStop::Random, Wrong::Nothing).0);
    }
    println!("{tally:?}");
    // The stories must be about something.
    assert!(tally.crashes > STORIES && tally.crashes_in_recovery > STORIES / 2 && tally.io_errors > STORIES / 20);
    assert!(tally.acknowledged > 10 * STORIES && tally.snapshots > STORIES / 2 && tally.epochs > 3 * STORIES);
    assert!(tally.truncations > STORIES && tally.installs > STORIES / 2);
    assert!(tally.taken_back > STORIES / 20 && tally.completed > STORIES / 20);
    assert!(tally.torn_tails > STORIES / 20 && tally.repaired_epochs > STORIES / 20);
}

#[test]
fn the_first_life_ends_at_every_call() {
    let seed = 3;
    let (_, calls) = member_story(seed, FirstStop::Never, Wrong::Nothing);
    assert!(calls > 300, "{calls} calls: the story is about something");
    for call in 1..=calls.min(400) {
        member_story(seed, FirstStop::At(call), Wrong::Nothing);
    }
}

#[test]
fn the_checks_notice_what_they_are_for() {
    for (wrong, word) in [
        (Wrong::AckBeforeSync, "acknowledged up to"),
        (Wrong::EpochBeforeTxns, "without its history"),
        (Wrong::PublishBlindly, ""),
        // What is to be done is not written down, or not durably.
        (Wrong::Forget("rename", "ostler.pending"), ""),
        (Wrong::Forget("sync directory", "/d/"), ""),
        (Wrong::Forget("sync directory", "/l/"), ""),
        // BUG-2: the record behind the cut stays.
        (Wrong::Forget("set length of", "log."), ""),
        // BUG-3 and BUG-4: the old history comes back.
        (Wrong::Forget("remove", "/log."), ""),
        (Wrong::Forget("remove", "/snapshot."), ""),
        // BUG-12, and what is acknowledged without being durable.
        (Wrong::Forget("sync", "received."), ""),
        (Wrong::Forget("sync", "log."), ""),
        (Wrong::Forget("sync", "new.snapshot."), ""),
        (Wrong::Forget("sync", "Epoch.tmp"), "poch"),
    ] {
        let caught = (0..300).find_map(|seed| {
            let error = catch_unwind(|| member_story(seed, FirstStop::Random, wrong)).err()?;
            Some((seed, error.downcast_ref::<String>().cloned().unwrap_or_default()))
        });
        let (seed, text) = caught.unwrap_or_else(|| panic!("{wrong:?} was not noticed"));
        let why = text.lines().next().unwrap_or_default();
        println!("{wrong:?}, seed {seed}: {why}");
        assert!(text.contains(word), "{wrong:?}: {text}");
    }
}
