//! `ostler bench`: the load generator's report on stdout.

use std::process::ExitCode;

/// Runs it; the exit code says whether there is a report.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command's output")]
pub fn run(args: &ostler_bench::Args) -> ExitCode {
    match ostler_bench::output(args) {
        Ok(report) => print!("{report}"),
        Err(error) => {
            eprintln!("ostler: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
