//! Where lines come from: a thread that waits for them, so that the session lives on meanwhile.
//!
//! The thread either edits lines at a terminal ([`crate::editor`]) or reads a pipe. It is asked for one line at a time, so that
//! nothing is taken from a pipe that a command might not want; completions are asked for in between.

use crate::output::Paint;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What stands before a line that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// Its colour.
    pub paint: Paint,
    /// Whether the line belongs into the history.
    pub is_kept: bool,
}

/// What the thread sends.
#[derive(Debug)]
pub enum FromTerminal {
    /// A line.
    Line(String),
    /// Ctrl-C at the prompt: the line is given up.
    Interrupted,
    /// The end of input.
    End,
    /// It failed.
    Failed(std::io::Error),
    /// Paths that begin like this are wanted while a line is being edited.
    Complete(PathsWanted),
}

/// A question of the editor.
#[derive(Debug)]
pub struct PathsWanted {
    /// The parent, a legal path.
    pub parent: String,
    /// Where the names of its children go.
    pub answer: std::sync::mpsc::Sender<Vec<String>>,
}

/// The shell's side of the thread.
#[derive(Debug)]
pub struct Terminal {
    prompts: std::sync::mpsc::Sender<Prompt>,
    lines: UnboundedReceiver<FromTerminal>,
    /// A person sits there.
    pub is_interactive: bool,
}

/// The thread's side.
#[derive(Debug)]
pub struct Source {
    /// A prompt for each line that is wanted.
    pub prompts: std::sync::mpsc::Receiver<Prompt>,
    /// Where lines go.
    pub lines: UnboundedSender<FromTerminal>,
}

impl Terminal {
    /// Starts a thread that runs `work`.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(is_interactive: bool, work: impl FnOnce(Source) + Send + 'static) -> std::io::Result<Terminal> {
        let (prompts, wanted) = std::sync::mpsc::channel();
        let (sender, lines) = unbounded_channel();
        let source = Source { prompts: wanted, lines: sender };
        // It is left behind at the end: it may wait for a line that never comes.
        std::thread::Builder::new().name("terminal".into()).spawn(move || work(source))?;
        Ok(Terminal { prompts, lines, is_interactive })
    }

    /// Asks for a line; [`Terminal::next`] has what comes.
    pub fn ask(&self, prompt: Prompt) {
        // A thread that has ended has sent the end.
        let _ = self.prompts.send(prompt);
    }

    /// What comes next.
    pub async fn next(&mut self) -> FromTerminal {
        self.lines.recv().await.unwrap_or(FromTerminal::End)
    }
}

/// Reads lines of a pipe, one for each that is asked for.
pub fn read_pipe(source: &Source) {
    let mut lines = std::io::stdin().lines();
    while source.prompts.recv().is_ok() {
        let message = match lines.next() {
            Some(Ok(line)) => FromTerminal::Line(line),
            Some(Err(error)) => FromTerminal::Failed(error),
            None => FromTerminal::End,
        };
        if source.lines.send(message).is_err() {
            return;
        }
    }
}
