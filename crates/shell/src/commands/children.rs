//! `ls`, `stat`, `getAllChildrenNumber`, `getEphemerals`: what is there.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::show;
use crate::walk::{Order, Walk, child};
use crate::watches::WatchKind;
use clap::Args;
use ostler_client::aio::{Client, Error, ErrorCode};
use ostler_model::OpCode;
use serde_json::json;

/// `ls`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler ls /                      the names, one a line
  ostler ls -R /app | wc -l        everything below /app
  ostler ls -s --json /app         names and Stat for a program
  ostler ls -w /app                and wait until a child comes or goes")]
pub struct Ls {
    /// The znode.
    #[arg(default_value = "/")]
    pub path: String,
    /// The Stat too.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
    /// Watch for children that come or go.
    #[arg(short = 'w', long = "watch", conflicts_with = "recursive")]
    pub watch: bool,
    /// Everything below it too: one path a line.
    #[arg(short = 'R', long = "recursive")]
    pub recursive: bool,
}

impl Ls {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        if self.recursive && out.mode() == Mode::Apache {
            return families(&client, self.path, out).await;
        }
        if self.recursive {
            let mut walk = Walk::new(&client, &self.path, Order::ParentsFirst);
            while let Some(visited) = walk.next().await? {
                match out.mode() {
                    Mode::Json if self.stat => {
                        out.json(&json!({ "path": visited.path, "stat": show::stat::object(&visited.stat) }))?;
                    }
                    Mode::Json => out.json(&json!({ "path": visited.path }))?,
                    Mode::People | Mode::Apache => out.line(visited.path)?,
                }
            }
            return Ok(());
        }
        let (mut names, stat) = if self.watch {
            let (names, stat, watch) = client.get_children_and_watch(&self.path).await?;
            context.watches.once(out, &self.path, WatchKind::Children, watch);
            (names, stat)
        } else {
            client.get_children(&self.path).await?
        };
        names.sort_unstable();
        match out.mode() {
            Mode::People => {
                let lines = names.iter().map(|name| format!("{}\n", out.paint(Paint::Name, name)));
                out.bytes(lines.collect::<String>().as_bytes())?;
            }
            Mode::Json => {
                return out.json(&json!({ "path": self.path, "children": names, "stat": show::stat::object(&stat) }));
            }
            Mode::Apache => out.line(format!("[{}]", names.join(", ")))?,
        }
        if self.stat { out.line(show::stat::lines(&stat, out)) } else { Ok(()) }
    }
}

/// Everything below a path in Apache's order: all children of a znode, before what is below the first of them.
async fn families(client: &Client, root: String, out: &Output) -> Result<(), CommandError> {
    let mut parents = vec![root];
    let mut is_first = true;
    while let Some(parent) = parents.pop() {
        let mut names = match client.get_children(&parent).await {
            // Gone since its parent was read.
            Err(error) if !is_first && error.code() == Some(ErrorCode::NoNode) => continue,
            other => other?.0,
        };
        if std::mem::take(&mut is_first) {
            out.line(&parent)?;
        }
        names.sort_unstable();
        let children: Vec<String> = names.iter().map(|name| child(&parent, name)).collect();
        children.iter().try_for_each(|path| out.line(path))?;
        parents.extend(children.into_iter().rev());
    }
    Ok(())
}

/// `stat`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler stat /app
  ostler stat -w /app      and wait until it changes, comes or goes")]
pub struct Stat {
    /// The znode.
    pub path: String,
    /// Watch for changes.
    #[arg(short = 'w', long = "watch")]
    pub watch: bool,
}

impl Stat {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let stat = if self.watch {
            let (stat, watch) = client.exists_and_watch(&self.path).await?;
            context.watches.once(out, &self.path, WatchKind::Data, watch);
            stat
        } else {
            client.exists(&self.path).await?
        };
        let absent = || Error::Server { op: OpCode::Exists, path: self.path.clone(), err: ErrorCode::NoNode.code() };
        let stat = stat.ok_or_else(absent)?;
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": self.path, "stat": show::stat::object(&stat) })),
            Mode::People | Mode::Apache => out.line(show::stat::lines(&stat, out)),
        }
    }
}

/// `getAllChildrenNumber`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler getAllChildrenNumber /app       znodes at any depth below /app")]
pub struct GetAllChildrenNumber {
    /// The znode, which is not counted.
    pub path: String,
}

impl GetAllChildrenNumber {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let number = context.client().await?.all_children_number(&self.path).await?;
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": self.path, "descendants": number })),
            Mode::People | Mode::Apache => out.line(number),
        }
    }
}

/// `getEphemerals`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler getEphemerals /app      in `ostler shell`, behind `create -e /app/here`; a command of its own has none")]
pub struct GetEphemerals {
    /// Only those whose paths begin with this.
    #[arg(default_value = "/")]
    pub prefix: String,
}

impl GetEphemerals {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.prefix)?;
        let mut paths = context.client().await?.get_ephemerals(&self.prefix).await?;
        paths.sort_unstable();
        match out.mode() {
            Mode::People => out.bytes(paths.iter().map(|path| format!("{path}\n")).collect::<String>().as_bytes()),
            Mode::Json => out.json(&json!({ "prefix": self.prefix, "ephemerals": paths })),
            Mode::Apache => out.line(format!("[{}]", paths.join(", "))),
        }
    }
}
