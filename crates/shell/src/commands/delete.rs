//! `delete` and `deleteall`.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output};
use crate::walk::{Order, Walk};
use clap::Args;
use ostler_client::aio::{Call, Client, ErrorCode, MultiResult};
use serde_json::json;
use std::collections::VecDeque;

/// Transactions under way at a time.
const BATCHES_MAX: usize = 10;

/// `delete`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler delete /app/job-7
  ostler delete -v 3 /app/config      only if its version is 3")]
pub struct Delete {
    /// The znode; it has no children.
    pub path: String,
    /// Only if it has this version.
    #[arg(short = 'v', long, value_name = "VERSION", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub version: i32,
}

impl Delete {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        context.client().await?.delete(&self.path, self.version).await?;
        if out.mode() == Mode::Json {
            out.json(&json!({ "path": self.path, "deleted": 1 }))?;
        }
        Ok(())
    }
}

/// `deleteall`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler deleteall /app/old           asks first
  ostler deleteall --yes /app/old     does not")]
pub struct DeleteAll {
    /// The znode.
    pub path: String,
    /// Znodes that are deleted in one transaction.
    #[arg(short = 'b', long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Do not ask.
    #[arg(short = 'y', long)]
    pub yes: bool,
}

impl DeleteAll {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        if !self.yes {
            let below = client.all_children_number(&self.path).await?;
            let question = match below {
                0 => format!("delete {}?", self.path),
                1 => format!("delete {} and the znode below it?", self.path),
                _ => format!("delete {} and the {below} znodes below it?", self.path),
            };
            if !context.confirm(&question, out).await? {
                return Err(CommandError::Failed("nothing was deleted".into()));
            }
        }
        let deleted = Deletion {
            client,
            batch: self.batch as usize,
            under_way: VecDeque::new(),
            deleted: 0,
            is_stubborn: out.mode() != Mode::Apache,
        };
        let deleted = deleted.run(&self.path).await?;
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": self.path, "deleted": deleted })),
            Mode::People => {
                out.note(format!("deleted {deleted} znode{}", if deleted == 1 { "" } else { "s" }));
                Ok(())
            }
            Mode::Apache => Ok(()),
        }
    }
}

/// A subtree on its way out: batches of deletions, children before parents.
struct Deletion {
    client: Client,
    batch: usize,
    under_way: VecDeque<(Vec<String>, Call<Vec<MultiResult>>)>,
    deleted: usize,
    /// Whether a batch that was refused is done one by one.
    is_stubborn: bool,
}

impl Deletion {
    async fn run(mut self, root: &str) -> Result<usize, CommandError> {
        let mut walk = Walk::new(&self.client, root, Order::ChildrenFirst);
        let mut paths = Vec::new();
        while let Some(visited) = walk.next().await? {
            paths.push(visited.path);
            if paths.len() == self.batch {
                self.send(std::mem::take(&mut paths)).await?;
            }
        }
        if !paths.is_empty() {
            self.send(paths).await?;
        }
        while !self.under_way.is_empty() {
            self.settle().await?;
        }
        Ok(self.deleted)
    }

    async fn send(&mut self, paths: Vec<String>) -> Result<(), CommandError> {
        if self.under_way.len() == BATCHES_MAX {
            self.settle().await?;
        }
        let mut multi = self.client.multi();
        for path in &paths {
            multi = multi.delete(path, -1);
        }
        let call = multi.commit();
        self.under_way.push_back((paths, call));
        Ok(())
    }

    /// Waits for the oldest batch. One that was refused, because somebody else deletes or creates in between, is done one by
    /// one; what is gone already is gone.
    async fn settle(&mut self) -> Result<(), CommandError> {
        let Some((paths, call)) = self.under_way.pop_front() else { return Ok(()) };
        match call.await {
            Ok(results) => self.deleted += results.len(),
            Err(error) if error.code().is_none() || !self.is_stubborn => return Err(error.into()),
            Err(_) => {
                for path in paths {
                    match self.client.delete(&path, -1).await {
                        Ok(()) => self.deleted += 1,
                        Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}
