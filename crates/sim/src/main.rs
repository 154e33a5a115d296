//! The program: runs seeds, prints what happened, and stops at the first one that breaks an invariant.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use clap::Parser;
use ostler_sim::mutants::Mutant;
use ostler_sim::report::Tally;
use ostler_sim::settings::Settings;
use ostler_sim::world::World;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// Every run is one with an observer, an operator and reconfigurations (as one seed in five is by itself).
    #[arg(long)]
    reconfigure: bool,
    /// Run each seed twice and compare.
    #[arg(long)]
    doublecheck: bool,
    /// Break this rule on purpose (docs/simulation.md lists them).
    #[arg(long)]
    mutant: Option<String>,
    /// Let each client contend for a lock, too, with the recipes' own state machine.
    #[arg(long)]
    contend: bool,
    /// Run every mutant with its seed, each in a process of its own; fails if a check misses one.
    #[arg(long)]
    mutants: bool,
    /// Run so many seeds at once, each in a thread of its own.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Do not stop at the first seed that fails; name all of them at the end.
    #[arg(long)]
    keep_going: bool,
    /// Print progress every so many seeds.
    #[arg(long, default_value_t = 100)]
    progress: u64,
}

thread_local! {
    /// The seed under way in this thread, for the message of a panic.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// What the threads that run seeds share.
struct Work {
    args: Args,
    next: AtomicU64,
    end: u64,
    started: Instant,
    progress: Mutex<Progress>,
    idle: Condvar,
}

#[derive(Default)]
struct Progress {
    total: Tally,
    /// Threads at work.
    busy: usize,
    failed: BTreeMap<u64, String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.mutants {
        return all_mutants();
    }
    let (first, count) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let jobs = if args.seed.is_some() { 1 } else { args.jobs.max(1) };
    let work: &'static Work = Box::leak(Box::new(Work {
        next: AtomicU64::new(first),
        end: first + count,
        started: Instant::now(),
        progress: Mutex::default(),
        idle: Condvar::new(),
        args,
    }));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        work.failed(SEED.get(), format!("[assertion] {panic}"));
        if !work.args.keep_going {
            std::process::exit(1);
        }
        // A panic would end the process (panic = "abort"): another thread takes over and this one stays where it is.
        std::thread::spawn(|| work.seeds());
        loop {
            std::thread::park();
        }
    }));
    work.progress().busy = jobs;
    for _ in 0..jobs {
        std::thread::spawn(|| work.seeds());
    }
    let mut progress = work.progress();
    while progress.busy > 0 {
        progress = work.idle.wait(progress).unwrap_or_else(PoisonError::into_inner);
    }
    println!("{}", progress.total.line(work.started.elapsed().as_secs_f64()));
    if progress.failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{} seeds failed: {:?}", progress.failed.len(), progress.failed.keys().collect::<Vec<_>>());
    ExitCode::FAILURE
}

impl Work {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs seeds until there are none left.
    fn seeds(&self) {
        while let Some(seed) = self.take() {
            SEED.set(seed);
            match twice(&self.args, seed) {
                Ok((tally, hash)) => self.passed(seed, &tally, hash),
                Err(words) => self.failed(seed, words),
            }
        }
        self.progress().busy -= 1;
        self.idle.notify_all();
    }

    fn take(&self) -> Option<u64> {
        if !self.args.keep_going && !self.progress().failed.is_empty() {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::SeqCst)).filter(|seed| *seed < self.end)
    }

    fn passed(&self, seed: u64, tally: &Tally, hash: u64) {
        let mut progress = self.progress();
        progress.total.add(tally);
        if self.args.seed.is_some() {
            println!("seed {seed}: trace hash {hash:016x}");
        } else if progress.total.seeds.is_multiple_of(self.args.progress) {
            eprintln!("{}", progress.total.line(self.started.elapsed().as_secs_f64()));
        }
    }

    fn failed(&self, seed: u64, words: String) {
        println!("seed {seed}: {words}");
        let contend = if self.args.contend { " --contend" } else { "" };
        println!("hint: ostler-sim --servers {}{contend} --seed {seed} --trace shows every event", self.args.servers);
        self.progress().failed.insert(seed, words);
    }
}

/// A seed, twice if it is asked for: both runs must be the same.
fn twice(args: &Args, seed: u64) -> Result<(Tally, u64), String> {
    let (tally, hash) = run(args, seed)?;
    if args.doublecheck {
        let again = run(args, seed).map(|(_, hash)| hash);
        if again != Ok(hash) {
            return Err(format!("[determinism] the second run differs: {again:?}, the first {hash}"));
        }
    }
    Ok((tally, hash))
}

fn run(args: &Args, seed: u64) -> Result<(Tally, u64), String> {
    let mut settings = Settings::new(seed, args.servers, args.mutant.as_deref());
    settings.contended |= args.contend;
    if args.reconfigure && !settings.reconfigures {
        settings = settings.reconfigured();
    }
    let mut world = World::new(settings, args.trace);
    match world.run() {
        Ok(()) => Ok((world.tally, world.hash())),
        Err(violation) => Err(format!("at {}.{:06} s {violation}", world.now() / 1_000_000, world.now() % 1_000_000)),
    }
}

/// Each mutant must be found by its check, at its seed or soon behind it.
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
        let seeds_text = ostler_sim::mutants::SEEDS_MAX.to_string();
        let output = std::process::Command::new(&program)
            .args(["--servers", &servers_text, "--from", &seed_text, "--seeds", &seeds_text, "--mutant", name])
            .env("RUST_BACKTRACE", "0")
            .output();
        let words = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let line = words.lines().find(|line| line.starts_with("seed ")).unwrap_or_default();
        let found_at = line.split([' ', ':']).nth(1).unwrap_or_default();
        let found = found_by.split('|').find(|check| line.contains(&format!("[{check}]")));
        if let Some(check) = found {
            println!("found   {name} ({what}): seed {found_at}, {servers} servers, by {check}");
        } else {
            println!(
                "MISSED  {name} ({what}): from seed {seed}, {servers} servers, should be found by {found_by}: {line}"
            );
            missed += 1;
        }
    }
    println!("{} mutants, {missed} missed", ostler_sim::mutants::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
