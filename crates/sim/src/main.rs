//! The program: runs seeds, prints what happened, and stops at the first one that breaks an invariant.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use clap::Parser;
use ostler_sim::mutants::Mutant;
use ostler_sim::report::Tally;
use ostler_sim::settings::Settings;
use ostler_sim::world::World;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Simulates servers and clients under faults and checks everything they say.
#[derive(Parser, Debug)]
#[command(version)]
struct Args {
    /// Run this many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this one seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print one line per event.
    #[arg(long)]
    trace: bool,
    /// How many servers.
    #[arg(long, default_value_t = 1)]
    servers: usize,
    /// Run each seed twice and compare.
    #[arg(long)]
    doublecheck: bool,
    /// Break this rule on purpose (docs/simulation.md lists them).
    #[arg(long)]
    mutant: Option<String>,
    /// Run every mutant with its seed, each in a process of its own; fails if a check misses one.
    #[arg(long)]
    mutants: bool,
    /// Print progress every so many seeds.
    #[arg(long, default_value_t = 100)]
    progress: u64,
}

/// The seed under way, for the message of a panic.
static SEED: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    let args = Args::parse();
    if args.mutants {
        return all_mutants();
    }
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        println!("seed {}: [assertion] {panic}", SEED.load(Ordering::SeqCst));
        std::process::exit(1);
    }));
    let (first, count) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let started = Instant::now();
    let mut total = Tally::default();
    for seed in first..first + count {
        SEED.store(seed, Ordering::SeqCst);
        let (tally, hash) = match run(&args, seed) {
            Ok(done) => done,
            Err(words) => {
                println!("seed {seed}: {words}");
                println!("hint: ostler-sim --servers {} --seed {seed} --trace shows every event", args.servers);
                return ExitCode::FAILURE;
            }
        };
        if args.doublecheck {
            let again = run(&args, seed).map(|(_, hash)| hash);
            if again != Ok(hash) {
                println!("seed {seed}: [determinism] the second run differs: {again:?}, the first {hash}");
                return ExitCode::FAILURE;
            }
        }
        total.add(&tally);
        if total.seeds.is_multiple_of(args.progress) && args.seed.is_none() {
            eprintln!("{}", total.line(started.elapsed().as_secs_f64()));
        }
        if args.seed.is_some() {
            println!("seed {seed}: trace hash {hash:016x}");
        }
    }
    println!("{}", total.line(started.elapsed().as_secs_f64()));
    ExitCode::SUCCESS
}

fn run(args: &Args, seed: u64) -> Result<(Tally, u64), String> {
    let settings = Settings::new(seed, args.servers, args.mutant.as_deref());
    let mut world = World::new(settings, args.trace);
    match world.run() {
        Ok(()) => Ok((world.tally, world.hash())),
        Err(violation) => Err(format!("at {}.{:06} s {violation}", world.now() / 1_000_000, world.now() % 1_000_000)),
    }
}

/// Each mutant must be found by its check, at its seed.
fn all_mutants() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("where this program is cannot be found out: {error}\nhint: start it by its whole path");
            return ExitCode::FAILURE;
        }
    };
    let mut missed = 0;
    for mutant in ostler_sim::mutants::ALL {
        let Mutant { name, what, servers, seed, found_by } = mutant;
        let (servers_text, seed_text) = (servers.to_string(), seed.to_string());
        let output = std::process::Command::new(&program)
            .args(["--servers", &servers_text, "--seed", &seed_text, "--mutant", name])
            .env("RUST_BACKTRACE", "0")
            .output();
        let words = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let line = words.lines().find(|line| line.starts_with("seed ")).unwrap_or_default();
        if line.contains(&format!("[{found_by}]")) {
            println!("found   {name} ({what}): seed {seed}, {servers} servers, by {found_by}");
        } else {
            println!("MISSED  {name} ({what}): seed {seed}, {servers} servers, should be found by {found_by}: {line}");
            missed += 1;
        }
    }
    println!("{} mutants, {missed} missed", ostler_sim::mutants::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
