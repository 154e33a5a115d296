//! `addWatch`, `removewatches`: watches that stay.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::events::Event;
use crate::output::{self, Output};
use crate::watches::WatchKind;
use clap::{Args, ValueEnum};
use ostler_client::aio::{Error, ErrorCode};
use ostler_model::OpCode;

/// What a watch that stays hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// The znode, and its children coming and going.
    #[value(name = "PERSISTENT", alias = "persistent")]
    Persistent,
    /// The znode and all below it.
    #[value(name = "PERSISTENT_RECURSIVE", alias = "persistent_recursive")]
    Recursive,
}

/// `addWatch`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler addWatch /app                   every change below /app, until Ctrl-C
  ostler addWatch --json /app            one JSON object for each")]
pub struct AddWatch {
    /// The znode; it need not be there yet.
    pub path: String,
    /// What is heard.
    #[arg(short = 'm', long, value_enum, default_value = "PERSISTENT_RECURSIVE")]
    pub mode: Mode,
}

impl AddWatch {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let (kind, watcher) = match self.mode {
            Mode::Persistent => (WatchKind::Persistent, client.watch(&self.path).await?),
            Mode::Recursive => (WatchKind::Recursive, client.watch_recursive(&self.path).await?),
        };
        context.watches.stays(out, &self.path, kind, watcher);
        if out.mode() == output::Mode::People && context.terminal.is_none() {
            out.note(format!("following {}, Ctrl-C ends", self.path));
        }
        Ok(())
    }
}

/// Which watches are taken away.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
pub struct Kinds {
    /// Those of `ls -w`.
    #[arg(short = 'c', long)]
    pub children: bool,
    /// Those of `get -w` and `stat -w`.
    #[arg(short = 'd', long)]
    pub data: bool,
    /// Those of `addWatch -m PERSISTENT`.
    #[arg(short = 'p', long)]
    pub persistent: bool,
    /// Those of `addWatch`.
    #[arg(short = 'r', long)]
    pub recursive: bool,
    /// All of them.
    #[arg(short = 'a', long)]
    pub any: bool,
}

/// `removewatches`.
#[derive(Args, Clone, Debug)]
pub struct RemoveWatches {
    /// The znode.
    pub path: String,
    /// Which ones; all if nothing is said.
    #[command(flatten)]
    pub kinds: Kinds,
    /// Also while no server is reached.
    #[arg(short = 'l', long)]
    pub local: bool,
}

impl RemoveWatches {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        if !self.local {
            context.client().await?;
        }
        let kinds: &[WatchKind] = match self.kinds {
            Kinds { children: true, .. } => &[WatchKind::Children],
            Kinds { data: true, .. } => &[WatchKind::Data],
            Kinds { persistent: true, .. } => &[WatchKind::Persistent],
            Kinds { recursive: true, .. } => &[WatchKind::Recursive],
            _ => &[WatchKind::Children, WatchKind::Data, WatchKind::Persistent, WatchKind::Recursive],
        };
        let removed = context.watches.remove(&self.path, kinds).await;
        if removed.is_empty() {
            let err = ErrorCode::NoWatcher.code();
            return Err(Error::Server { op: OpCode::RemoveWatches, path: self.path, err }.into());
        }
        for kind in removed.into_iter().filter(|_| context.watches.are_printed()) {
            let kind = match kind {
                WatchKind::Children => "ChildWatchRemoved",
                WatchKind::Data => "DataWatchRemoved",
                WatchKind::Persistent | WatchKind::Recursive => "PersistentWatchRemoved",
            };
            out.event(&Event::Removed { kind, path: self.path.clone() });
        }
        Ok(())
    }
}
