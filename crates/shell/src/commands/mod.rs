//! The commands: one module each, one definition for everything.
//!
//! A command is a value: its arguments, parsed. clap makes it from the words of `ostler COMMAND` and of the shell's lines, and
//! from the same definition come help and completion; the `apache` module makes it from Apache's words. Its `run` is the same for
//! all of them. To add a command: a module with a struct that derives `clap::Args` and has `run`, a variant of [`Command`] (or of
//! [`ShellCommand`] if it makes no sense on its own), and its line in `run` below.

mod acl;
mod children;
mod config;
mod copy;
mod create;
mod delete;
mod find;
mod follow;
mod get;
mod quota;
mod session;
mod set;
mod shell_only;
mod tree;
mod watch;

pub use acl::{GetAcl, SetAcl};
pub use children::{GetAllChildrenNumber, GetEphemerals, Ls, Stat};
pub use config::{Config, Members, Reconfig};
pub use copy::{Copying, Cp, Diff, Mirror};
pub use create::Create;
pub use delete::{Delete, DeleteAll};
pub use find::{Find, Grep};
pub use follow::Follow;
pub use get::Get;
pub use quota::{DelQuota, Limit, ListQuota, Only, SetQuota};
pub use session::{Sync, Version, WhoAmI};
pub use set::Set;
pub use shell_only::{AddAuth, Connect, Help, History, PrintWatches, Redo, Switch};
pub use tree::{Du, Tree};
pub use watch::{AddWatch, Kinds, Mode, RemoveWatches};

use crate::context::Context;
use crate::error::CommandError;
use crate::output::Output;
use crate::show::acl::parse as parse_acl;
use clap::Subcommand;
use ostler_client::aio::Acl;
use std::str::FromStr;

/// Commands that can be given to `ostler` directly, and in the shell.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// List the children of a znode.
    Ls(Ls),
    /// Show the data of a znode.
    Get(Get),
    /// Show the Stat of a znode: versions, times, sizes.
    Stat(Stat),
    /// Create a znode.
    Create(Create),
    /// Set the data of a znode.
    Set(Set),
    /// Delete a znode that has no children.
    Delete(Delete),
    /// Delete a znode and everything below it.
    #[command(name = "deleteall")]
    DeleteAll(DeleteAll),
    /// Show a subtree as a tree.
    Tree(Tree),
    /// Show bytes and znodes by subtree.
    Du(Du),
    /// Find znodes by name, kind, size and value.
    Find(Find),
    /// Find text in values.
    Grep(Grep),
    /// Follow the changes of a subtree, with values.
    #[command(name = "watch")]
    Follow(Follow),
    /// Copy a subtree, also from and to other clusters, JSON files and folders.
    Cp(Cp),
    /// Make one subtree the same as another.
    Mirror(Mirror),
    /// Show what differs between two subtrees.
    Diff(Diff),
    /// Show who may do what with a znode.
    #[command(name = "getAcl", alias = "getacl")]
    GetAcl(GetAcl),
    /// Set who may do what with a znode.
    #[command(name = "setAcl", alias = "setacl")]
    SetAcl(SetAcl),
    /// Follow changes of a znode, and by default of all below it.
    #[command(name = "addWatch", alias = "addwatch")]
    AddWatch(AddWatch),
    /// Show the ephemeral znodes of this session.
    #[command(name = "getEphemerals", alias = "getephemerals")]
    GetEphemerals(GetEphemerals),
    /// Count the znodes below a path.
    #[command(name = "getAllChildrenNumber", alias = "getallchildrennumber")]
    GetAllChildrenNumber(GetAllChildrenNumber),
    /// Limit the number or bytes of the znodes below a path.
    #[command(name = "setquota")]
    SetQuota(SetQuota),
    /// Show limits and use of a path with a quota.
    #[command(name = "listquota")]
    ListQuota(ListQuota),
    /// Remove a quota, or one of its limits.
    #[command(name = "delquota")]
    DelQuota(DelQuota),
    /// Show the servers of the ensemble.
    Config(Config),
    /// Change the servers of the ensemble.
    Reconfig(Reconfig),
    /// Wait until this server knows everything that was written before.
    Sync(Sync),
    /// Show who the server takes this session for.
    #[command(name = "whoami")]
    WhoAmI(WhoAmI),
    /// Show this program's version, and the server's.
    Version(Version),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        match self {
            Command::Ls(command) => command.run(context, out).await,
            Command::Get(command) => command.run(context, out).await,
            Command::Stat(command) => command.run(context, out).await,
            Command::Create(command) => command.run(context, out).await,
            Command::Set(command) => command.run(context, out).await,
            Command::Delete(command) => command.run(context, out).await,
            Command::DeleteAll(command) => command.run(context, out).await,
            Command::Tree(command) => command.run(context, out).await,
            Command::Du(command) => command.run(context, out).await,
            Command::Find(command) => command.run(context, out).await,
            Command::Grep(command) => command.run(context, out).await,
            Command::Follow(command) => command.run(context, out).await,
            Command::Cp(command) => command.run(context, out).await,
            Command::Mirror(command) => command.run(context, out).await,
            Command::Diff(command) => command.run(context, out).await,
            Command::GetAcl(command) => command.run(context, out).await,
            Command::SetAcl(command) => command.run(context, out).await,
            Command::AddWatch(command) => command.run(context, out).await,
            Command::GetEphemerals(command) => command.run(context, out).await,
            Command::GetAllChildrenNumber(command) => command.run(context, out).await,
            Command::SetQuota(command) => command.run(context, out).await,
            Command::ListQuota(command) => command.run(context, out).await,
            Command::DelQuota(command) => command.run(context, out).await,
            Command::Config(command) => command.run(context, out).await,
            Command::Reconfig(command) => command.run(context, out).await,
            Command::Sync(command) => command.run(context, out).await,
            Command::WhoAmI(command) => command.run(context, out).await,
            Command::Version(command) => command.run(context, out).await,
        }
    }
}

/// Commands of the shell: those above, and what concerns the session or the shell itself.
#[derive(Subcommand, Clone, Debug)]
pub enum ShellCommand {
    /// One of the others.
    #[command(flatten)]
    Command(Command),
    /// Prove an identity to the server.
    #[command(name = "addauth")]
    AddAuth(AddAuth),
    /// Take watches away from a znode.
    #[command(name = "removewatches")]
    RemoveWatches(RemoveWatches),
    /// Whether events of watches are printed.
    #[command(name = "printwatches")]
    PrintWatches(PrintWatches),
    /// Show the last lines, with their numbers.
    History(History),
    /// Run a line of the history again.
    Redo(Redo),
    /// Open a new session, here or elsewhere.
    Connect(Connect),
    /// Close the session.
    Close,
    /// Leave the shell. The session is closed: its ephemerals go.
    #[command(alias = "exit")]
    Quit,
    /// Show what the commands do.
    Help(Help),
}

/// What the shell does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next line.
    Line,
    /// This line of the history.
    Redo(usize),
    /// Help about a command, or all.
    Help(Option<String>),
    /// The end.
    Quit,
}

impl ShellCommand {
    /// Does it, and says what is next.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn run(self, context: &mut Context, out: &Output) -> Result<Next, CommandError> {
        match self {
            ShellCommand::Command(command) => command.run(context, out).await?,
            ShellCommand::AddAuth(command) => command.run(context, out).await?,
            ShellCommand::RemoveWatches(command) => command.run(context, out).await?,
            ShellCommand::PrintWatches(command) => command.run(context, out)?,
            ShellCommand::History(command) => command.run(context, out)?,
            ShellCommand::Connect(command) => command.run(context).await?,
            ShellCommand::Close => {
                context.client().await?;
                context.close().await;
            }
            ShellCommand::Redo(Redo { number }) => return Ok(Next::Redo(number)),
            ShellCommand::Help(Help { command }) => return Ok(Next::Help(command)),
            ShellCommand::Quit => return Ok(Next::Quit),
        }
        Ok(Next::Line)
    }
}

/// An ACL as it is written on a command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AclList(pub Vec<Acl>);

impl FromStr for AclList {
    type Err = String;

    fn from_str(text: &str) -> Result<AclList, String> {
        parse_acl(text).map(AclList)
    }
}
