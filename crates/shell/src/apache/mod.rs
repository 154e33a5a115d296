//! Apache's zkCli, word for word: its arguments, its lines, its exit codes (operations.md section 7), for scripts that read
//! them. The commands are ours; only how words become commands, and what is said, is Apache's.

mod invocation;
mod options;
mod shell;
mod table;
mod texts;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Mode, Output};
use invocation::Invocation;
use shell::Shell;
use std::process::ExitCode;
use std::time::Duration;

/// Runs `zkCli.sh` with its arguments.
pub fn zk_cli(arguments: &[String]) -> ExitCode {
    let out = Output::standard(Mode::Apache, false);
    let invocation = Invocation::parse(arguments, &out);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(|error| CommandError::io("the runtime", error))
        .and_then(|runtime| runtime.block_on(run(invocation, &out)));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out.complain(texts::text(&error, ""));
            ExitCode::FAILURE
        }
    }
}

async fn run(invocation: Invocation, out: &Output) -> Result<u8, CommandError> {
    out.line(format!("Connecting to {}", invocation.connection.server))?;
    let wait = Duration::from_millis(u64::from(invocation.connection.timeout));
    let mut context = Context::new(invocation.connection);
    context.announce(out);
    context.begin_to_connect();
    if invocation.wait_for_connection && tokio::time::timeout(wait, context.client()).await.is_err() {
        return Ok(1);
    }
    let mut shell = Shell::new(context, out);
    if invocation.words.is_empty() {
        shell.lines().await
    } else {
        // The session is not closed: what it holds lives until it expires.
        Ok(shell.words(&invocation.words).await)
    }
}
