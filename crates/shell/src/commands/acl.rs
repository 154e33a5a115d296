//! `getAcl`, `setAcl`: who may do what.

use crate::commands::AclList;
use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::show::{self, acl};
use crate::walk::{Order, Walk};
use clap::Args;
use ostler_client::aio::{Call, Error, ErrorCode, Stat};
use serde_json::json;
use std::collections::VecDeque;

/// Changes under way at a time with `setAcl -R`.
const CALLS_MAX: usize = 64;

/// `getAcl`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler getAcl /app
  ostler getAcl --json /app")]
pub struct GetAcl {
    /// The znode.
    pub path: String,
    /// The Stat too.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
}

impl GetAcl {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let (list, stat) = context.client().await?.get_acl(&self.path).await?;
        match out.mode() {
            Mode::Json => {
                let list: Vec<_> = list.iter().map(acl::object).collect();
                return out.json(&json!({ "path": self.path, "acl": list, "stat": show::stat::object(&stat) }));
            }
            Mode::People => {
                for entry in &list {
                    let who = out.paint(Paint::Name, format!("{}:{}", entry.scheme, entry.id));
                    out.line(format!("{who}:{}", acl::letters(entry.perms)))?;
                }
            }
            Mode::Apache => {
                for entry in &list {
                    out.line(format!("'{},'{}\n: {}", entry.scheme, entry.id, acl::letters(entry.perms)))?;
                }
            }
        }
        if self.stat { out.line(show::stat::lines(&stat, out)) } else { Ok(()) }
    }
}

/// `setAcl`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler setAcl /app world:anyone:r
  ostler setAcl -R /app digest:joe:HASH:cdrwa,world:anyone:r     and everything below it")]
pub struct SetAcl {
    /// The znode.
    pub path: String,
    /// Who may do what: SCHEME:ID:PERMS,... with perms of c(reate) d(elete) r(ead) w(rite) a(dmin).
    pub acl: AclList,
    /// The new Stat.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
    /// Only if its ACL has this version.
    #[arg(short = 'v', long, value_name = "VERSION", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub version: i32,
    /// Everything below it too.
    #[arg(short = 'R', long = "recursive")]
    pub recursive: bool,
}

impl SetAcl {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        if !self.recursive {
            let stat = client.set_acl(&self.path, &self.acl.0, self.version).await?;
            return self.show(&self.path, &stat, out);
        }
        let mut walk = Walk::new(&client, &self.path, Order::ParentsFirst);
        let mut under_way: VecDeque<(String, Call<Stat>)> = VecDeque::new();
        let mut ended = false;
        while !ended || !under_way.is_empty() {
            if !ended && under_way.len() < CALLS_MAX {
                match walk.next().await? {
                    Some(visited) => {
                        let call = client.set_acl(&visited.path, &self.acl.0, self.version);
                        under_way.push_back((visited.path, call));
                    }
                    None => ended = true,
                }
                continue;
            }
            let Some((path, call)) = under_way.pop_front() else { break };
            match call.await {
                Ok(stat) => self.show(&path, &stat, out)?,
                Err(Error::Server { err, .. }) if err == ErrorCode::NoNode.code() && path != self.path => (),
                Err(error) if out.mode() == Mode::Apache && error.code().is_some() => {
                    self.pass_over(&path, &error, out)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Apache goes on with the next znode, and says why on stdout without an end of the line.
    fn pass_over(&self, path: &str, error: &Error, out: &Output) -> Result<(), CommandError> {
        let name = error.code().map_or("", ErrorCode::name);
        // An empty list is refused before anybody thinks of a path.
        let place = if self.acl.0.is_empty() { String::new() } else { format!(" for {path}") };
        out.bytes(format!("KeeperErrorCode = {name}{place}").as_bytes())
    }

    fn show(&self, path: &str, stat: &Stat, out: &Output) -> Result<(), CommandError> {
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": path, "stat": show::stat::object(stat) })),
            // Apache leaves it out for many.
            Mode::Apache if self.recursive => Ok(()),
            _ if self.stat => out.line(show::stat::lines(stat, out)),
            Mode::People => {
                out.note(format!("{path}: ACL version {}", stat.aversion));
                Ok(())
            }
            Mode::Apache => Ok(()),
        }
    }
}
