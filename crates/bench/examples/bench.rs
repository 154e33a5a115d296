//! The load generator alone, without the rest of `ostler`: `cargo run --release -p ostler-bench --example bench -- --help`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ostler_bench::Args,
}

fn main() -> ExitCode {
    let args = Line::parse().args;
    match ostler_bench::output(&args) {
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
