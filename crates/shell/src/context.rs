//! What commands share: the session, the watches, what was typed before, and somebody to ask.

use crate::error::CommandError;
use crate::events::Event;
use crate::history::History;
use crate::output::{Mode, Output, Paint};
use crate::settings::Connection;
use crate::terminal::{FromTerminal, Prompt, Terminal};
use crate::watches::Watches;
use ostler_client::aio::{Client, SessionState};
use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the servers may take to hear of the end of a session.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    /// How sessions are opened.
    pub connection: Connection,
    /// Watches of commands.
    pub watches: Watches,
    /// What was typed before; empty for a command of its own.
    pub history: History,
    /// Where lines come from; `None` for a command of its own.
    pub terminal: Option<Terminal>,
    session: Session,
    /// Where the session's states are told.
    announced: Option<Output>,
    /// Tells them.
    teller: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Session {
    /// Opened by the first command that needs one.
    Wanted,
    Opening(JoinHandle<Result<Client, CommandError>>),
    Open(Client),
    /// Closed by a command.
    Closed,
}

impl Context {
    /// A context without a session yet.
    pub fn new(connection: Connection) -> Context {
        Context {
            connection,
            watches: Watches::default(),
            history: History::default(),
            terminal: None,
            session: Session::Wanted,
            announced: None,
            teller: None,
        }
    }

    /// Tells the states of sessions from the next one on.
    pub fn announce(&mut self, out: &Output) {
        self.announced = Some(out.clone());
    }

    /// Tells nothing more.
    pub fn hush(&mut self) {
        self.announced = None;
        if let Some(teller) = self.teller.take() {
            teller.abort();
        }
    }

    /// The session, which is opened if this is the first command that needs it.
    ///
    /// # Errors
    /// No server takes it, or it was closed.
    pub async fn client(&mut self) -> Result<Client, CommandError> {
        let opened = match &mut self.session {
            Session::Open(client) => return Ok(client.clone()),
            Session::Closed => return Err(CommandError::NotConnected),
            Session::Wanted => self.connection.open().await,
            Session::Opening(task) => task.await.unwrap_or(Err(CommandError::NotConnected)),
        };
        // After a failure the next command tries again.
        self.session = Session::Wanted;
        let client = opened?;
        self.session = Session::Open(client.clone());
        self.tell(&client).await;
        Ok(client)
    }

    /// Begins to open a session without waiting for it.
    pub fn begin_to_connect(&mut self) {
        let connection = self.connection.clone();
        self.session = Session::Opening(tokio::spawn(async move { connection.open().await }));
    }

    /// Takes a session that is being opened, if it is open by now.
    pub async fn look(&mut self) {
        if let Session::Opening(task) = &self.session
            && task.is_finished()
        {
            // Its error comes with the first command that needs the session.
            let _ = self.client().await;
        }
    }

    /// Opens a new session elsewhere and closes the old one.
    ///
    /// # Errors
    /// No server takes it; the old session is closed all the same.
    pub async fn connect(&mut self, server: Option<&str>) -> Result<(), CommandError> {
        self.close().await;
        if let Some(server) = server {
            self.connection = self.connection.at(server);
        }
        self.session = Session::Wanted;
        self.client().await.map(drop)
    }

    /// Closes the session, if there is one: its ephemerals go.
    pub async fn close(&mut self) {
        self.watches.clear();
        match std::mem::replace(&mut self.session, Session::Closed) {
            Session::Open(client) => {
                // A server that is away learns of the end when the time-out is over.
                let _ = tokio::time::timeout(CLOSE_MAX, client.close()).await;
                drop(client);
                if let Some(teller) = self.teller.take() {
                    // Its last word is that the session is closed.
                    let _ = tokio::time::timeout(CLOSE_MAX, teller).await;
                }
            }
            Session::Opening(task) => task.abort(),
            Session::Wanted | Session::Closed => (),
        }
    }

    /// The session's present state; `None` while there is none.
    pub fn state(&self) -> Option<SessionState> {
        match &self.session {
            Session::Open(client) => client.state(),
            Session::Closed => Some(SessionState::Closed),
            Session::Wanted | Session::Opening(_) => None,
        }
    }

    /// Tells the session's states as they change, the first one at once.
    async fn tell(&mut self, client: &Client) {
        let Some(out) = self.announced.clone() else { return };
        let mut states = client.states();
        if let Some(first) = states.next().await {
            out.event(&Event::State(first));
        }
        self.teller = Some(tokio::spawn(async move {
            let mut lost = false;
            while let Some(state) = states.next().await {
                let again = matches!(&state, SessionState::Suspended(_));
                // Every failed attempt says so; once is enough.
                if !(again && lost) {
                    out.event(&Event::State(state));
                }
                lost = again;
            }
        }));
    }

    /// Asks whether something that cannot be undone is meant.
    ///
    /// # Errors
    /// Nobody is there to be asked.
    pub async fn confirm(&mut self, question: &str, out: &Output) -> Result<bool, CommandError> {
        let nobody =
            || CommandError::Usage(format!("{question} Nobody is there to be asked\nhint: --yes answers in advance"));
        if out.mode() == Mode::Json {
            return Err(nobody());
        }
        let prompt = format!("{question} [y/N] ");
        let answer = match &mut self.terminal {
            Some(terminal) if terminal.is_interactive => {
                terminal.ask(Prompt { text: prompt, paint: Paint::Warning, is_kept: false });
                loop {
                    match terminal.next().await {
                        FromTerminal::Line(line) => break line,
                        FromTerminal::Complete(_) => (),
                        FromTerminal::Interrupted | FromTerminal::End | FromTerminal::Failed(_) => return Ok(false),
                    }
                }
            }
            None if std::io::stdin().is_terminal() => tokio::task::spawn_blocking(move || {
                let mut line = String::new();
                let mut err = std::io::stderr();
                // Without an answer nothing is done.
                let _ = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
                let _ = std::io::stdin().lock().read_line(&mut line);
                line
            })
            .await
            .unwrap_or_default(),
            _ => return Err(nobody()),
        };
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
