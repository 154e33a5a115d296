//! The binary `ostler`: `ostler serve`, the tools around it, and the two forms of Apache's main, `ostler zoo.cfg` and
//! `ostler PORT DATADIR [TICK] [MAXCNXNS]`.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod cluster;
mod files;
mod generate;

use args::{Args, Command};
use clap::Parser;
use ostler_server::config::Config;
use std::process::ExitCode;

/// Requests are allocated on the loop's thread and freed on the log's: with the C library's allocator that is half of a
/// pipelined setData's CPU time (docs/performance.md).
#[global_allocator]
static ALLOCATOR: ostler_memory::Allocator = ostler_memory::allocator();

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    // Its words are Apache's, and none of them is ours to read.
    if words.get(1).is_some_and(|word| word == "zkcli") {
        return ostler_shell::zk_cli(&words[2..]);
    }
    let (rest, properties) = args::split_properties(words.into_iter());
    let args = Args::parse_from(rest);
    let mut inputs = match args.command {
        Some(Command::Bench(bench)) => return bench::run(&bench),
        Some(Command::Cluster(cluster)) => return cluster::run(&cluster),
        Some(Command::Log(log)) => return files::run_log(log),
        Some(Command::Snapshot(snapshot)) => return files::run_snapshot(snapshot),
        Some(Command::Doctor(doctor)) => return files::run_doctor(doctor),
        Some(Command::Completions(completions)) => return completions.run(),
        Some(Command::Man(man)) => return man.run(),
        Some(Command::Word(word)) => return word.run(),
        Some(Command::Shell(shell)) => return shell.run(),
        Some(Command::OneShot(command)) => return command.run(),
        Some(Command::Serve(serve)) => {
            ostler_server::logging::start(serve.log.format.into(), serve.log.level.into());
            serve.inputs()
        }
        None => {
            ostler_server::logging::start(args.log.format.into(), args.log.level.into());
            args::apache_inputs(&args.apache)
        }
    };
    inputs.properties = properties;
    if let Err(error) = ostler_memory::give_back_in_background() {
        tracing::warn!("no thread that gives memory back: {error}; it is done in between, which can take some ms");
    }
    let result = Config::load(&inputs).map_err(Into::into).and_then(ostler_server::serve);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The one place where the process speaks about its own end.
#[allow(clippy::print_stderr, reason = "an error must be readable whatever the log level is")]
fn fail(error: &ostler_server::ServerError) {
    eprintln!("ostler: {error}");
}
