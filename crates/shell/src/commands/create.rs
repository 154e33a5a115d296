//! `create`: all kinds of znodes.

use crate::commands::{AclList, set};
use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output};
use crate::show;
use clap::Args;
use ostler_client::aio::CreateMode;
use serde_json::json;
use std::path::PathBuf;

/// `create`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler create /app 'some data'
  ostler create -s /jobs/job- -f job.json        a number is put behind the name; prints the path
  ostler create -t 60000 /cache/x                goes after a minute without changes
  ostler create /secret x digest:joe:HASH:cdrwa  with an ACL; auth::cdrwa is whoever creates it")]
pub struct Create {
    /// The znode.
    pub path: String,
    /// Its data.
    #[arg(allow_negative_numbers = true)]
    pub data: Option<String>,
    /// Who may do what: SCHEME:ID:PERMS,... with perms of c(reate) d(elete) r(ead) w(rite) a(dmin).
    pub acl: Option<AclList>,
    /// Put a number behind the name that no sibling has.
    #[arg(short = 's', long)]
    pub sequential: bool,
    /// It goes with this session.
    #[arg(short = 'e', long, conflicts_with_all = ["container", "ttl"])]
    pub ephemeral: bool,
    /// It goes some time after its last child.
    #[arg(short = 'c', long, conflicts_with_all = ["sequential", "ttl"])]
    pub container: bool,
    /// It goes after this many milliseconds without a change and without children.
    #[arg(short = 't', long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1..))]
    pub ttl: Option<i64>,
    /// Data from a file; - is stdin.
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "data")]
    pub file: Option<PathBuf>,
    /// The data is in base64.
    #[arg(short = 'b', long)]
    pub base64: bool,
}

impl Create {
    fn mode(&self) -> CreateMode {
        match (self.ttl, self.container, self.ephemeral, self.sequential) {
            (Some(ttl), _, _, true) => CreateMode::TtlSequential(ttl),
            (Some(ttl), ..) => CreateMode::Ttl(ttl),
            (_, true, ..) => CreateMode::Container,
            (_, _, true, true) => CreateMode::EphemeralSequential,
            (_, _, true, false) => CreateMode::Ephemeral,
            (_, _, false, true) => CreateMode::PersistentSequential,
            (_, _, false, false) => CreateMode::Persistent,
        }
    }

    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let mode = self.mode();
        // A number will be put behind a name that may be empty until then.
        let whole = if self.sequential { format!("{}0", self.path) } else { self.path.clone() };
        check_path(&whole)?;
        let acl = self.acl.map_or_else(show::acl::open, |list| list.0);
        let data = set::data(self.data, self.file.as_deref(), self.base64)?;
        let created = context.client().await?.create_nullable(&self.path, data.as_deref(), mode, &acl);
        let (path, stat) = created.await?;
        match out.mode() {
            Mode::People => {
                if self.ephemeral && context.terminal.is_none() {
                    out.note("it is gone again: an ephemeral goes with the session, and this command's has ended\nhint: use it in `ostler shell`");
                }
                out.line(path)
            }
            Mode::Json => out.json(&json!({ "path": path, "stat": show::stat::object(&stat) })),
            Mode::Apache => {
                out.complain(format!("Created {path}"));
                Ok(())
            }
        }
    }
}
