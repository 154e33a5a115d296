//! What concerns the shell itself: identities, history, other servers, help.

use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Mode, Output};
use clap::{Args, ValueEnum};

/// `addauth`.
#[derive(Args, Clone, Debug)]
pub struct AddAuth {
    /// `digest`, for example.
    pub scheme: String,
    /// `user:password`, for example.
    pub auth: Option<String>,
}

impl AddAuth {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let auth = self.auth.unwrap_or_default();
        context.client().await?.add_auth(&self.scheme, auth.as_bytes()).await?;
        if out.mode() == Mode::People {
            out.note("accepted");
        }
        Ok(())
    }
}

/// Yes or no.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// `printwatches`.
#[derive(Args, Clone, Debug)]
pub struct PrintWatches {
    /// From now on; shows what is if nothing is said.
    pub switch: Option<Switch>,
}

impl PrintWatches {
    pub(super) fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        match self.switch {
            Some(switch) => {
                context.watches.print(switch == Switch::On);
                Ok(())
            }
            None => out.line(format!("printwatches is {}", if context.watches.are_printed() { "on" } else { "off" })),
        }
    }
}

/// `history`.
#[derive(Args, Clone, Debug)]
pub struct History {
    /// How many lines.
    #[arg(default_value_t = 11)]
    pub count: usize,
}

impl History {
    pub(super) fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let lines = context.history.last(self.count).map(|(number, line)| format!("{number} - {line}\n"));
        out.bytes(lines.collect::<String>().as_bytes())
    }
}

/// `redo`.
#[derive(Args, Clone, Debug)]
pub struct Redo {
    /// The line's number, as `history` shows it.
    pub number: usize,
}

/// `connect`.
#[derive(Args, Clone, Debug)]
pub struct Connect {
    /// HOST:PORT,HOST:PORT/CHROOT; the servers from before if nothing is said.
    pub server: Option<String>,
}

impl Connect {
    pub(super) async fn run(self, context: &mut Context) -> Result<(), CommandError> {
        context.connect(self.server.as_deref()).await
    }
}

/// `help`.
#[derive(Args, Clone, Debug)]
pub struct Help {
    /// About this command.
    pub command: Option<String>,
}
