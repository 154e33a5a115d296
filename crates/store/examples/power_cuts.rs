//! Plays seeded stories of crashes (tests/support/power.rs; with `--member` those of an ensemble member,
//! tests/support/member.rs) and says what happened:
//! `cargo run --release -p ostler-store --example power_cuts -- [--member] [--runs N] [--seed FIRST]`.
#![allow(clippy::print_stdout, reason = "a command-line tool")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;
use support::life::FirstStop;
use support::member::{Wrong, member_story};
use support::power::{Mutant, Tally, story};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |flag: &str, default: u64| {
        let value = args.iter().skip_while(|arg| *arg != flag).nth(1);
        value.map_or(default, |value| value.parse().expect("a number behind the flag"))
    };
    let (runs, first) = (number("--runs", 10_000), number("--seed", 0));
    let start = Instant::now();
    if args.iter().any(|arg| arg == "--member") {
        let mut tally = support::member::Tally::default();
        for seed in first..first + runs {
            tally.add(&member_story(seed, FirstStop::Random, Wrong::Nothing).0);
        }
        println!("{tally:#?}\n{runs} runs in {:.1} s", start.elapsed().as_secs_f64());
        return;
    }
    let mut tally = Tally::default();
    for seed in first..first + runs {
        tally.add(&story(seed, FirstStop::Random, Mutant::None).0);
    }
    println!("{tally:#?}\n{runs} runs in {:.1} s", start.elapsed().as_secs_f64());
}
