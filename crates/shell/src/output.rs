//! Where a command writes: data to stdout, everything else to stderr, for people, for programs or as Apache's shell does.

use crate::error::CommandError;
use crate::events::Event;
use serde_json::Value;
use std::fmt::{self, Display};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

/// For whom output is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// People: one thing a line, values shown by kind.
    People,
    /// Programs: one JSON value a line.
    Json,
    /// Scripts made for Apache's zkCli: its bytes.
    Apache,
}

/// Prints a line above the prompt of a terminal that is being edited.
pub type Above = Box<dyn FnMut(&str) + Send>;

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    above: Option<Above>,
}

/// The two streams of a command; clones share them.
#[derive(Clone)]
pub struct Output {
    mode: Mode,
    colours: bool,
    streams: Arc<Mutex<Streams>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("mode", &self.mode).field("colours", &self.colours).finish_non_exhaustive()
    }
}

/// What a word means, for colours. They never carry meaning alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// No colour.
    Plain,
    /// Paths and names.
    Name,
    /// Names of fields, and remarks.
    Dim,
    /// All is well.
    Good,
    /// Something to look at.
    Warning,
    /// An error.
    Bad,
}

impl Output {
    /// Output to these streams.
    pub fn new(mode: Mode, colours: bool, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Output {
        Output { mode, colours, streams: Arc::new(Mutex::new(Streams { out, err, above: None })) }
    }

    /// The process's own streams.
    pub fn standard(mode: Mode, colours: bool) -> Output {
        Output::new(mode, colours, Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().expect("nothing panics while it writes")
    }

    /// For whom.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The text in a colour, if there are colours.
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        if !self.colours {
            return text.to_string();
        }
        let code = match paint {
            Paint::Plain => return text.to_string(),
            Paint::Name => "34",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Warning => "33",
            Paint::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Bytes of data as they are.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut streams = self.streams();
        streams
            .out
            .write_all(bytes)
            .and_then(|()| streams.out.flush())
            .map_err(|error| CommandError::io("stdout", error))
    }

    /// A line of data.
    pub fn line(&self, text: impl Display) -> Result<(), CommandError> {
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// A JSON value on a line of its own.
    pub fn json(&self, value: &Value) -> Result<(), CommandError> {
        self.line(value)
    }

    /// A remark on stderr. Programs get none.
    pub fn note(&self, text: impl Display) {
        if self.mode != Mode::Json {
            self.complain(text);
        }
    }

    /// A line on stderr. Where it cannot be written nobody would read why.
    pub fn complain(&self, text: impl Display) {
        let mut streams = self.streams();
        let _ = streams.err.write_all(format!("{text}\n").as_bytes());
        let _ = streams.err.flush();
    }

    /// Text over the present line of stderr, which is a terminal.
    pub fn over(&self, text: &str) {
        let mut streams = self.streams();
        let _ = streams.err.write_all(format!("\r{text}\x1b[K").as_bytes());
        let _ = streams.err.flush();
    }

    /// The end of a command that failed.
    pub fn error(&self, error: &CommandError) {
        match self.mode {
            _ if error.is_closed_pipe() => (),
            Mode::Json => self.complain(error.json()),
            Mode::People | Mode::Apache => self.complain(format!("{} {error}", self.paint(Paint::Bad, "error:"))),
        }
    }

    /// Something that happened while nobody asked: above the prompt where there is one.
    pub fn event(&self, event: &Event) {
        let text = match self.mode {
            Mode::People => event.people(self),
            Mode::Json => event.json().to_string(),
            Mode::Apache => event.apache(),
        };
        if text.is_empty() {
            return;
        }
        let mut streams = self.streams();
        if let Some(above) = &mut streams.above {
            above(&format!("{text}\n"));
        } else if matches!(event, Event::State(_)) && self.mode != Mode::Apache {
            // A state of the session is no data. Where it cannot be written nobody would read it.
            let _ = writeln!(streams.err, "{text}");
        } else {
            // An event that nobody can read is lost like one that nobody waited for.
            let _ = streams.out.write_all(format!("{text}\n").as_bytes()).and_then(|()| streams.out.flush());
        }
    }

    /// From now on events go above the prompt.
    pub fn print_events(&self, above: Above) {
        self.streams().above = Some(above);
    }
}

/// Whether to use colours on a stream: `--color`, else NO_COLOR and TERM, else whether it is a terminal.
pub fn wants_colours(choice: Option<bool>, is_terminal: bool) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    choice
        .unwrap_or_else(|| is_terminal && !is_set("NO_COLOR") && std::env::var("TERM").is_ok_and(|term| term != "dumb"))
}
