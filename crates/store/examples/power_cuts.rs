//! Plays seeded stories of crashes (tests/support/power.rs) and says what happened:
//! `cargo run --release -p ostler-store --example power_cuts -- [STORIES] [FIRST SEED]`.
#![allow(clippy::print_stdout, reason = "a command-line tool")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;
use support::power::{FirstStop, Mutant, Tally, story};

fn main() {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let stories = args.next().unwrap_or(10_000);
    let first = args.next().unwrap_or(0);
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in first..first + stories {
        tally.add(&story(seed, FirstStop::Random, Mutant::None).0);
    }
    println!("{tally:#?}\n{stories} stories in {:.1} s", start.elapsed().as_secs_f64());
}
