//! Lines from a person at a terminal: editing, history, completion of commands, options and paths.
//!
//! Events are printed above the line that is being edited, which is drawn again below them. The editor's own way to do that
//! stops reading keys that were typed ahead, so the line is remembered here as it changes.

use crate::output::{Output, Paint};
use crate::terminal::{FromTerminal, PathsWanted, Source};
use crate::words;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How long a person waits for names of znodes when Tab is pressed.
const NAMES_MAX: Duration = Duration::from_secs(2);
/// Lines kept in the history's file.
const LINES_MAX: usize = 1_000;

/// Edits lines until no more are wanted.
pub fn edit(source: &Source, commands: &clap::Command, history: Option<&Path>, out: &Output) {
    if let Err(error) = try_edit(source, commands, history, out) {
        let error = match error {
            ReadlineError::Io(error) => error,
            other => std::io::Error::other(other.to_string()),
        };
        // Without a shell nobody is interested.
        let _ = source.lines.send(FromTerminal::Failed(error));
    }
}

fn try_edit(
    source: &Source,
    commands: &clap::Command,
    history: Option<&Path>,
    out: &Output,
) -> Result<(), ReadlineError> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        // Whether there are colours is decided here; without any of them the line would not be told.
        .color_mode(ColorMode::Forced)
        .auto_add_history(false)
        .max_history_size(LINES_MAX)?
        .history_ignore_dups(true)?
        .build();
    let mut editor: Editor<Tab<'_>, FileHistory> = Editor::with_config(config)?;
    let lines = source.lines.clone();
    let edited = Arc::new(Mutex::new(None));
    let tab = Tab { commands, lines, out: out.clone(), paint: Cell::new(Paint::Good), edited: Arc::clone(&edited) };
    editor.set_helper(Some(tab));
    if let Some(file) = history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    let above = Arc::clone(&edited);
    out.print_events(Box::new(move |text| print_above(&above, text)));
    while let Ok(prompt) = source.prompts.recv() {
        if let Some(tab) = editor.helper() {
            tab.paint.set(prompt.paint);
        }
        let line = Line { prompt: out.paint(prompt.paint, &prompt.text), text: String::new(), behind: 0 };
        *lock(&edited) = Some(line);
        let result = editor.readline(&prompt.text);
        *lock(&edited) = None;
        let message = match result {
            Ok(line) => {
                if prompt.is_kept && !line.trim().is_empty() {
                    editor.add_history_entry(&line)?;
                    if let Some(file) = history {
                        // A history that cannot be kept is no reason to stop.
                        let _ = editor.save_history(file);
                    }
                }
                FromTerminal::Line(line)
            }
            Err(ReadlineError::Interrupted) => FromTerminal::Interrupted,
            Err(ReadlineError::Eof) => FromTerminal::End,
            Err(error) => return Err(error),
        };
        if source.lines.send(message).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The line that is being edited.
#[derive(Debug)]
struct Line {
    /// As it is shown.
    prompt: String,
    text: String,
    /// Characters behind the cursor.
    behind: usize,
}

type Edited = Arc<Mutex<Option<Line>>>;

fn lock(edited: &Edited) -> MutexGuard<'_, Option<Line>> {
    edited.lock().expect("nothing panics while it draws")
}

/// Prints a text, and below it the line that is being edited.
fn print_above(edited: &Edited, text: &str) {
    let line = lock(edited);
    let drawn = match &*line {
        None => text.to_owned(),
        Some(Line { prompt, text: begun, behind }) => {
            let back = if *behind == 0 { String::new() } else { format!("\x1b[{behind}D") };
            format!("\r\x1b[J{}{prompt}{begun}{back}", text.replace('\n', "\r\n"))
        }
    };
    // What cannot be printed at a terminal that went away is lost with it.
    let _ = std::io::stdout().write_all(drawn.as_bytes()).and_then(|()| std::io::stdout().flush());
}

/// What happens when Tab is pressed, and how the line looks.
struct Tab<'a> {
    commands: &'a clap::Command,
    lines: UnboundedSender<FromTerminal>,
    out: Output,
    paint: Cell<Paint>,
    edited: Edited,
}

impl Tab<'_> {
    /// The names of a znode's children; none if no answer comes in time.
    fn names(&self, parent: &str) -> Vec<String> {
        let (answer, names) = mpsc::channel();
        let wanted = PathsWanted { parent: parent.to_owned(), answer };
        if self.lines.send(FromTerminal::Complete(wanted)).is_err() {
            return Vec::new();
        }
        names.recv_timeout(NAMES_MAX).unwrap_or_default()
    }

    fn paths(&self, word: &str) -> Vec<Pair> {
        let Some(slash) = word.rfind('/') else { return Vec::new() };
        let (parent, begun) = (if slash == 0 { "/" } else { &word[..slash] }, &word[slash + 1..]);
        let mut names = self.names(parent);
        names.sort_unstable();
        let fits = names.into_iter().filter(|name| name.starts_with(begun));
        fits.map(|name| Pair { replacement: format!("{}{}", &word[..=slash], quoted(&name)), display: name }).collect()
    }
}

/// A name that the line's words keep together.
fn quoted(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_whitespace() || matches!(c, '\'' | '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
        text
    })
}

/// The commands, or a command's options, that begin like this.
pub fn words_for(commands: &clap::Command, before: &str, word: &str) -> Vec<String> {
    let first = before.split_whitespace().next();
    let all: Vec<String> = match first.and_then(|name| commands.find_subcommand(name)) {
        None if first.is_none() => commands.get_subcommands().map(|command| command.get_name().to_owned()).collect(),
        Some(command) if command.get_name() == "help" => {
            commands.get_subcommands().map(|command| command.get_name().to_owned()).collect()
        }
        Some(command) if word.starts_with('-') => {
            let option = |argument: &clap::Arg| {
                let long = argument.get_long().map(|long| format!("--{long}"));
                long.or_else(|| argument.get_short().map(|short| format!("-{short}")))
            };
            command.get_arguments().filter_map(option).collect()
        }
        _ => Vec::new(),
    };
    all.into_iter().filter(|other| other.starts_with(word)).collect()
}

impl Completer for Tab<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let begin = words::last_begins(&line[..at]);
        let (before, word) = (&line[..begin], &line[begin..at]);
        let pairs = if word.starts_with('/') && !before.trim().is_empty() {
            self.paths(word)
        } else {
            let words = words_for(self.commands, before, word).into_iter();
            words.map(|word| Pair { replacement: format!("{word} "), display: word }).collect()
        };
        Ok((begin, pairs))
    }
}

impl Highlighter for Tab<'_> {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        self.out.paint(self.paint.get(), prompt).into()
    }

    /// The line stays as it is, and is remembered.
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        if let Some(edited) = &mut *lock(&self.edited) {
            line.clone_into(&mut edited.text);
            edited.behind = line[at..].chars().count();
        }
        line.into()
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true
    }
}

impl Hinter for Tab<'_> {
    type Hint = String;
}

impl Validator for Tab<'_> {}

impl Helper for Tab<'_> {}
