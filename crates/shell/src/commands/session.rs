//! `sync`, `whoami`, `version`: the session and the server.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use clap::Args;
use serde_json::json;

/// `sync`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler sync && ostler get /app/config      what was written before, wherever that was")]
pub struct Sync {
    /// Any path; servers synchronise everything.
    #[arg(default_value = "/")]
    pub path: String,
}

impl Sync {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        context.client().await?.sync(&self.path).await?;
        match out.mode() {
            Mode::Json => out.json(&json!({ "synced": true })),
            Mode::People => {
                out.note("synchronised");
                Ok(())
            }
            Mode::Apache => out.line("Sync is OK"),
        }
    }
}

/// `whoami`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler whoami --auth digest:user:password")]
pub struct WhoAmI {}

impl WhoAmI {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let ids = context.client().await?.who_am_i().await?;
        match out.mode() {
            Mode::Json => {
                let ids: Vec<_> = ids.iter().map(|id| json!({ "scheme": id.scheme, "id": id.id })).collect();
                out.json(&json!({ "ids": ids }))
            }
            Mode::People => {
                let line = |scheme: &str, id: &str| format!("{}:{id}\n", out.paint(Paint::Name, scheme));
                out.bytes(ids.iter().map(|id| line(&id.scheme, &id.id)).collect::<String>().as_bytes())
            }
            Mode::Apache => {
                let lines: String = ids.iter().map(|id| format!("\n{}: {}", id.scheme, id.id)).collect();
                out.line(format!("Auth scheme: User{lines}"))
            }
        }
    }
}

/// `version`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler version --server host:2181")]
pub struct Version {}

impl Version {
    pub(super) async fn run(self, _context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let version = env!("CARGO_PKG_VERSION");
        match out.mode() {
            Mode::Json => out.json(&json!({ "version": version, "compatible": COMPATIBLE })),
            Mode::People => out.line(format!("ostler {version}, compatible with Apache ZooKeeper {COMPATIBLE}")),
            Mode::Apache => out.line(format!("ZooKeeper CLI version: {COMPATIBLE}-ostler-{version}, built on {BUILT}")),
        }
    }
}

/// The version of Apache ZooKeeper whose shell this one replaces.
const COMPATIBLE: &str = "3.9.3";
/// Scripts look for a date here. Builds are the same whenever they are made: it is that which servers say, too.
const BUILT: &str = "2026-11-21 00:00 UTC";
