//! `ostler shell`: lines of a person at a terminal, or of a pipe.

use crate::commands::{Next, ShellCommand};
use crate::context::Context;
use crate::editor;
use crate::error::{CommandError, EXIT_USAGE};
use crate::output::{Mode, Output, Paint};
use crate::settings::{Connection, Shape};
use crate::terminal::{FromTerminal, Prompt, Terminal, read_pipe};
use crate::words;
use clap::error::ErrorKind;
use clap::{Args, FromArgMatches, Subcommand};
use ostler_client::aio::SessionState;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// `ostler shell`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler shell --server host:2181
  echo 'ls /' | ostler shell --json      lines from a pipe; the exit code is that of the last one
In the shell: Tab completes commands and paths, Ctrl-C gives a line or a command up, Ctrl-D leaves, lines with # are remarks.")]
pub struct Interactive {
    /// How to reach the servers.
    #[command(flatten)]
    pub connection: Connection,
    /// The shape of output.
    #[command(flatten)]
    pub shape: Shape,
    /// Where lines are kept for the next time; empty for nowhere. ~/.ostler_history unless set.
    #[arg(long, env = "OSTLER_HISTORY", value_name = "FILE")]
    pub history: Option<PathBuf>,
}

impl Interactive {
    /// Runs until the lines end.
    pub fn run(self) -> ExitCode {
        let out = self.shape.output();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime
            .map_err(|error| CommandError::io("the runtime", error))
            .and_then(|runtime| runtime.block_on(self.lines(&out)));
        match result {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                out.error(&error);
                ExitCode::from(error.exit_code())
            }
        }
    }

    /// The exit code of the last line.
    async fn lines(self, out: &Output) -> Result<u8, CommandError> {
        let is_interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let history =
            self.history.clone().or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".ostler_history")));
        let history = history.filter(|file| !file.as_os_str().is_empty());
        let terminal = if is_interactive {
            let out = out.clone();
            Terminal::start(true, move |source| editor::edit(&source, &definitions(), history.as_deref(), &out))
        } else {
            Terminal::start(false, |source| read_pipe(&source))
        };
        let mut context = Context::new(self.connection);
        context.terminal = Some(terminal.map_err(|error| CommandError::io("the terminal's thread", error))?);
        context.announce(out);
        match context.connect(None).await {
            Ok(()) if is_interactive => {
                out.note(out.paint(Paint::Dim, "`help` shows the commands, Tab completes, Ctrl-D leaves"));
            }
            Ok(()) => (),
            // A person may connect elsewhere.
            Err(error) if is_interactive => out.error(&error),
            Err(error) => return Err(error),
        }
        let mut shell = Shell { context, commands: definitions(), out: out.clone() };
        let code = shell.run().await;
        shell.context.hush();
        shell.context.close().await;
        code
    }
}

/// The commands of the shell, for parsing, help and completion.
pub(crate) fn definitions() -> clap::Command {
    let shell = clap::Command::new("shell").no_binary_name(true).disable_help_subcommand(true);
    ShellCommand::augment_subcommands(shell)
        .subcommand_required(true)
        .help_template("{subcommands}")
        .subcommand_help_heading("Commands")
}

struct Shell {
    context: Context,
    commands: clap::Command,
    out: Output,
}

impl Shell {
    async fn run(&mut self) -> Result<u8, CommandError> {
        let mut code = 0;
        loop {
            let Some(line) = self.line().await? else { return Ok(code) };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            self.context.history.add(line);
            let (next, ended) = self.interruptible(line.to_owned()).await;
            code = ended;
            if next == Next::Quit {
                return Ok(code);
            }
        }
    }

    /// The next line; `None` at the end.
    async fn line(&mut self) -> Result<Option<String>, CommandError> {
        let prompt = self.prompt();
        let context = &mut self.context;
        context.terminal.as_ref().expect("a shell has one").ask(prompt);
        loop {
            match context.terminal.as_mut().expect("a shell has one").next().await {
                FromTerminal::Line(line) => return Ok(Some(line)),
                FromTerminal::Interrupted => return Ok(Some(String::new())),
                FromTerminal::End => return Ok(None),
                FromTerminal::Failed(error) => return Err(CommandError::io("the terminal", error)),
                FromTerminal::Complete(wanted) => {
                    let names = match context.client().await {
                        Ok(client) => client.get_children(&wanted.parent).await.map(|(names, _)| names),
                        Err(_) => Ok(Vec::new()),
                    };
                    // A parent that is not there has no names, and an editor that has waited too long wants none.
                    let _ = wanted.answer.send(names.unwrap_or_default());
                }
            }
        }
    }

    fn prompt(&self) -> Prompt {
        let (state, paint) = match self.context.state() {
            Some(SessionState::Connected { read_only: true, .. }) => ("read-only", Paint::Warning),
            Some(SessionState::Connected { .. }) => ("connected", Paint::Good),
            Some(SessionState::Suspended(_)) => ("connecting", Paint::Warning),
            Some(SessionState::Expired) => ("expired", Paint::Bad),
            Some(SessionState::AuthFailed) => ("auth failed", Paint::Bad),
            Some(SessionState::Closed) => ("closed", Paint::Bad),
            None => ("not connected", Paint::Bad),
        };
        Prompt { text: format!("{} ({state})> ", self.context.connection.server), paint, is_kept: true }
    }

    /// Runs a line, until Ctrl-C if a person sits there.
    async fn interruptible(&mut self, line: String) -> (Next, u8) {
        let is_interactive = self.context.terminal.as_ref().is_some_and(|terminal| terminal.is_interactive);
        let out = self.out.clone();
        if !is_interactive {
            return self.execute(line).await;
        }
        tokio::select! {
            ended = self.execute(line) => ended,
            _ = tokio::signal::ctrl_c() => {
                out.note("given up; what was sent may have happened");
                (Next::Line, 1)
            }
        }
    }

    /// What is next, and the exit code of this line.
    async fn execute(&mut self, mut line: String) -> (Next, u8) {
        loop {
            let result = match self.parse(&line) {
                Ok(Some(command)) => command.run(&mut self.context, &self.out).await,
                Ok(None) => return (Next::Line, EXIT_USAGE),
                Err(error) => Err(error),
            };
            match result {
                Ok(Next::Redo(number)) => match self.context.history.line(number).map(str::to_owned) {
                    Some(again) if again.split_whitespace().next() != Some("redo") => {
                        self.out.note(&again);
                        line = again;
                    }
                    _ => {
                        let error = CommandError::Usage(format!(
                            "line {number} cannot be run again\nhint: `history` shows the lines that are kept; a redo is not done again"
                        ));
                        self.out.error(&error);
                        return (Next::Line, error.exit_code());
                    }
                },
                Ok(Next::Help(about)) => return (Next::Line, self.help(about.as_deref())),
                Ok(next) => return (next, 0),
                Err(error) => {
                    self.out.error(&error);
                    return (Next::Line, error.exit_code());
                }
            }
        }
    }

    /// `None` if help was shown, or what is wrong with the line.
    fn parse(&self, line: &str) -> Result<Option<ShellCommand>, CommandError> {
        let words = words::split(line)?;
        let parsed = self.commands.clone().try_get_matches_from(words);
        match parsed.and_then(|matches| ShellCommand::from_arg_matches(&matches)) {
            Ok(command) => Ok(Some(command)),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                self.out.bytes(error.to_string().as_bytes())?;
                Ok(None)
            }
            Err(error) if self.out.mode() == Mode::Json => {
                Err(CommandError::Usage(error.to_string().trim_start_matches("error: ").trim_end().to_owned()))
            }
            Err(error) => {
                self.out.complain(error.to_string().trim_end());
                Ok(None)
            }
        }
    }

    fn help(&self, about: Option<&str>) -> u8 {
        let mut commands = self.commands.clone();
        commands.build();
        let text = match about {
            None => format!(
                "{}\n\n`help COMMAND` or `COMMAND --help` says more.\n",
                commands.render_help().to_string().trim_end()
            ),
            Some(name) => match commands.find_subcommand_mut(name) {
                Some(command) => command.render_long_help().to_string(),
                None => {
                    let error = CommandError::Usage(format!("{name}: no such command\nhint: `help` shows all of them"));
                    self.out.error(&error);
                    return error.exit_code();
                }
            },
        };
        self.out.bytes(text.as_bytes()).map_or_else(|error| error.exit_code(), |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        definitions().debug_assert();
        for command in definitions().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn completion_knows_commands_and_options() {
        let words = |before: &str, word: &str| editor::words_for(&definitions(), before, word);
        assert_eq!(words("", "getA"), ["getAcl", "getAllChildrenNumber"]);
        assert_eq!(words("help ", "getE"), ["getEphemerals"]);
        assert!(words("create ", "--").contains(&"--ephemeral".to_owned()));
        assert!(words("create ", "e").is_empty() && words("nothing ", "-").is_empty());
    }
}
