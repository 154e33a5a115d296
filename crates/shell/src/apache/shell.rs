//! Apache's shell: lines, their numbers, and what it says to each.

use crate::apache::table::{self, ROWS};
use crate::apache::texts::{self, Refusal};
use crate::commands::{Command, Next, ShellCommand};
use crate::context::Context;
use crate::editor;
use crate::error::CommandError;
use crate::output::{Output, Paint};
use crate::shell::definitions;
use crate::terminal::{FromTerminal, Prompt, Terminal, read_pipe};
use crate::words;
use ostler_client::aio::{Error, ErrorCode, SessionState};
use std::io::IsTerminal;

/// Set: no prompt and no echo, as Apache's shell does without JLine.
const PLAIN: &str = "OSTLER_ZKCLI_PLAIN";
/// No such command.
const EXIT_UNKNOWN: u8 = 127;

/// The shell, or one command of it.
pub struct Shell {
    context: Context,
    out: Output,
    code: u8,
}

impl Shell {
    /// A shell with this session.
    pub fn new(context: Context, out: &Output) -> Shell {
        Shell { context, out: out.clone(), code: 0 }
    }

    /// Lines until they end; the exit code of the last one.
    pub async fn lines(&mut self) -> Result<u8, CommandError> {
        self.out.line("Welcome to ZooKeeper!")?;
        let is_interactive = std::io::stdin().is_terminal();
        let terminal = if is_interactive {
            let out = self.out.clone();
            Terminal::start(true, move |source| editor::edit(&source, &definitions(), None, &out))
        } else {
            Terminal::start(false, |source| read_pipe(&source))
        };
        self.context.terminal = Some(terminal.map_err(|error| CommandError::io("the terminal's thread", error))?);
        let is_plain = !is_interactive && std::env::var_os(PLAIN).is_some_and(|value| !value.is_empty());
        self.out.line(format!("JLine support is {}", if is_plain { "disabled" } else { "enabled" }))?;
        let is_echoed = !is_interactive && !is_plain;
        while let Some(line) = self.line(is_echoed).await? {
            if line.is_empty() {
                continue;
            }
            self.context.history.add(&line);
            if self.execute(line).await {
                self.context.close().await;
                break;
            }
        }
        Ok(self.code)
    }

    /// The next line; `None` at the end. What comes through a pipe is written behind the prompt, as if it were typed.
    async fn line(&mut self, is_echoed: bool) -> Result<Option<String>, CommandError> {
        self.context.look().await;
        let state = match self.context.state() {
            Some(SessionState::Connected { read_only: true, .. }) => "CONNECTEDREADONLY",
            Some(SessionState::Connected { .. }) => "CONNECTED",
            Some(SessionState::Closed | SessionState::Expired) => "CLOSED",
            Some(SessionState::AuthFailed) => "AUTH_FAILED",
            Some(SessionState::Suspended(_)) | None => "CONNECTING",
        };
        let (server, number) = (&self.context.connection.server, self.context.history.next());
        let text = format!("[zk: {server}({state}) {number}] ");
        if is_echoed {
            self.out.bytes(text.as_bytes())?;
        }
        let terminal = self.context.terminal.as_ref().expect("a shell has one");
        terminal.ask(Prompt { text, paint: Paint::Plain, is_kept: true });
        loop {
            match self.context.terminal.as_mut().expect("a shell has one").next().await {
                FromTerminal::Line(line) => {
                    if is_echoed {
                        self.out.line(&line)?;
                    }
                    return Ok(Some(line));
                }
                FromTerminal::Interrupted | FromTerminal::End => return Ok(None),
                FromTerminal::Failed(error) => return Err(CommandError::io("the terminal", error)),
                FromTerminal::Complete(wanted) => {
                    let names = match self.context.client().await {
                        Ok(client) => client.get_children(&wanted.parent).await.map(|(names, _)| names),
                        Err(_) => Ok(Vec::new()),
                    };
                    // An editor that has waited too long wants none.
                    let _ = wanted.answer.send(names.unwrap_or_default());
                }
            }
        }
    }

    /// Runs a line; true if it was the last one.
    async fn execute(&mut self, mut line: String) -> bool {
        loop {
            let words = words::split_as_apache(&line);
            match self.run(&words).await {
                Ok(Next::Quit) => return true,
                Ok(Next::Redo(number)) => match self.context.history.line(number).map(str::to_owned) {
                    None => return self.fail(&Refusal::Err("Command index out of range".into()), &words),
                    Some(again) if again.starts_with("redo") => {
                        return self.fail(&Refusal::Err("No redoing redos".into()), &words);
                    }
                    Some(again) => {
                        self.context.history.forget_last();
                        self.context.history.add(&again);
                        line = again;
                    }
                },
                Ok(Next::Line | Next::Help(_)) => {
                    self.code = 0;
                    return false;
                }
                Err(refusal) => return self.fail(&refusal, &words),
            }
        }
    }

    /// Runs one command with its words; its exit code.
    pub async fn words(&mut self, words: &[String]) -> u8 {
        // Apache's history of a command of its own has one line, with this word.
        self.context.history.add("null");
        match self.run(words).await {
            // There is none to run again.
            Ok(Next::Redo(_)) => {
                self.fail(&Refusal::Err("Command index out of range".into()), words);
            }
            Ok(next) => {
                self.code = 0;
                if next == Next::Quit {
                    self.context.close().await;
                }
            }
            Err(refusal) => {
                self.fail(&refusal, words);
            }
        }
        self.code
    }

    async fn run(&mut self, words: &[String]) -> Result<Next, Refusal> {
        let Some((name, rest)) = words.split_first() else { return Ok(Next::Line) };
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            self.out.complain(table::usage());
            self.out.complain(format!("Command not found: Command not found {name}"));
            self.code = EXIT_UNKNOWN;
            return Err(Refusal::Unknown);
        };
        self.context.look().await;
        let is_over = self.context.state().is_some_and(|state| state.is_final());
        let needs_session = !matches!(row.name, "quit" | "connect" | "redo");
        // These two are done first, and then miss the session all the same.
        if is_over && needs_session && !matches!(row.name, "history" | "printwatches") {
            return Err(Refusal::NotConnected);
        }
        let command = row.command(rest, &self.out)?;
        let is_delete_all = matches!(command, ShellCommand::Command(Command::DeleteAll(_)));
        let is_create = matches!(command, ShellCommand::Command(Command::Create(_)));
        let result = command.run(&mut self.context, &self.out).await;
        if is_over && needs_session {
            return Err(Refusal::NotConnected);
        }
        result.map_err(|error| match error {
            CommandError::Client(Error::Multi { .. }) if is_delete_all => {
                Refusal::Said("Failed to delete some node(s) in the subtree!".into())
            }
            CommandError::Failed(text) if text.starts_with("Quota does not exist") => Refusal::Out(text),
            error => {
                if is_create && error.code() == Some(ErrorCode::InvalidAcl) {
                    self.out.complain(texts::keeper(ErrorCode::InvalidAcl, path_in(rest)));
                }
                Refusal::Command(error)
            }
        })
    }

    /// Says why it was refused. Never the last line.
    fn fail(&mut self, refusal: &Refusal, words: &[String]) -> bool {
        self.code = 1;
        match refusal {
            Refusal::Unknown => self.code = EXIT_UNKNOWN,
            Refusal::Usage | Refusal::Nothing => (),
            Refusal::Said(text) => {
                self.code = 0;
                self.out.complain(text);
            }
            Refusal::NotConnected => {
                self.code = 0;
                // Whoever does not read it needs no more lines either.
                let _ = self.out.line("Not connected");
            }
            Refusal::Err(text) => self.out.complain(text),
            Refusal::NotANumber(text) => self.out.complain(format!("For input string: \"{text}\"")),
            Refusal::Out(text) => {
                // Whoever does not read it needs no more lines either.
                let _ = self.out.line(text);
            }
            Refusal::Command(error) => self.out.complain(texts::text(error, path_in(words))),
        }
        false
    }
}

/// The path among a command's words.
fn path_in(words: &[String]) -> &str {
    words.iter().find(|word| word.starts_with('/')).map_or("", String::as_str)
}
