//! `cp`, `mirror` and `diff`: subtrees from one place to another, and what differs.

use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Mode, Output, Paint};
use crate::progress::Progress;
use crate::trees::place::{PLACES, Place, Reading};
use crate::trees::plan::{Change, Plan, has_other_acl};
use crate::trees::target::Target;
use crate::trees::{Node, Nodes};
use clap::Args;
use serde_json::json;

/// What `cp` and `mirror` have in common.
#[derive(Args, Clone, Debug)]
pub struct Copying {
    /// The tree to read.
    pub from: Place,
    /// Where to write it.
    pub to: Place,
    /// Print what would be done and do nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print what is done.
    #[arg(short = 'v', long)]
    pub verbose: bool,
    /// Leave ACLs as they are; new znodes are open to everybody.
    #[arg(long)]
    pub no_acl: bool,
    /// Copy ephemerals too; the copies are persistent.
    #[arg(long)]
    pub ephemerals: bool,
}

/// `cp`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("Examples:
  ostler cp /app /app-2
  ostler cp /app backup.json                 and back: ostler cp backup.json /app
  ostler cp /app ./app-tree                  a folder for each znode
  ostler cp zk://old:2181/app /app           from another cluster
  ostler cp --dry-run /app /app-2

{PLACES}

Copies are persistent znodes with data and ACL. Ephemerals are left out, as is /zookeeper."))]
pub struct Cp {
    #[command(flatten)]
    copying: Copying,
    /// Replace what is there with other data, too.
    #[arg(short = 'f', long)]
    overwrite: bool,
}

/// `mirror`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("Examples:
  ostler mirror --dry-run /app zk://other:2181/app     what would change there
  ostler mirror --yes /app zk://other:2181/app         make it the same

{PLACES}

What is there and not in the first tree is deleted, after a question."))]
pub struct Mirror {
    #[command(flatten)]
    copying: Copying,
    /// Do not ask before deleting.
    #[arg(short = 'y', long)]
    yes: bool,
}

/// `diff`.
#[derive(Args, Clone, Debug)]
#[command(after_help = format!("Examples:
  ostler diff /app zk://other:2181/app
  ostler diff backup.json /app

{PLACES}

-  only in the first, + only in the second, ~ in both with other data or another ACL. Null and empty data are the same.
Exit code 1 if anything differs."))]
pub struct Diff {
    /// One tree.
    pub left: Place,
    /// The other.
    pub right: Place,
    /// Do not compare ACLs.
    #[arg(long)]
    pub no_acl: bool,
    /// Compare ephemerals too.
    #[arg(long)]
    pub ephemerals: bool,
}

/// How the second place is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Copy { overwrite: bool },
    Mirror { yes: bool },
}

#[derive(Default)]
struct Counts {
    added: u64,
    altered: u64,
    removed: u64,
    same: u64,
    kept: u64,
}

impl Cp {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        self.copying.run(How::Copy { overwrite: self.overwrite }, context, out).await
    }
}

impl Mirror {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        self.copying.run(How::Mirror { yes: self.yes }, context, out).await
    }
}

impl Copying {
    async fn run(self, how: How, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let Copying { from, to, .. } = &self;
        if is_inside(from, to) {
            return Err(CommandError::Usage(format!("{to} is {from} or below it\nhint: copy it elsewhere")));
        }
        let (source, sink) = (from.client(context).await?, to.client(context).await?);
        let reading = Reading { acls: !self.no_acl, ephemerals: self.ephemerals };
        let wanted = from.nodes(source.as_ref(), reading)?;
        let total = from.count(source.as_ref()).await;
        let is_file = matches!(to, Place::Json(_));
        if is_file && how == (How::Copy { overwrite: false }) && exists(to) {
            return Err(CommandError::Failed(format!("{to} is there already\nhint: --overwrite replaces it")));
        }
        let found = if is_file {
            Nodes::Read(Vec::new().into_iter())
        } else {
            // What is there is compared with its ephemerals: they cannot be created once more.
            to.nodes_if_there(sink.as_ref(), Reading { ephemerals: true, ..reading }).await?
        };
        let mut plan = Plan::new(wanted, found);
        let mut target = if self.dry_run { None } else { Some(Target::open(to, sink.as_ref())?) };
        let mut progress = Progress::new(out, total);
        let mut counts = Counts::default();
        let mut surplus = Vec::new();
        while let Some(change) = plan.next().await? {
            progress.step();
            match change {
                Change::Same(_) => counts.same += 1,
                Change::Add(node) => {
                    counts.added += 1;
                    check_masks(&self.from, &node)?;
                    self.tell('+', &node.path, out)?;
                    if let Some(target) = &mut target {
                        target.add(&node).await?;
                    }
                }
                Change::Alter { wanted, .. } if how == (How::Copy { overwrite: false }) => {
                    counts.kept += 1;
                    out.note(format!("{}: it is there with other data or another ACL", joined(to, &wanted.path)));
                }
                Change::Alter { wanted, found } => {
                    counts.altered += 1;
                    check_masks(&self.from, &wanted)?;
                    self.tell('~', &wanted.path, out)?;
                    if let Some(target) = &mut target {
                        target.alter(&wanted, &found).await?;
                    }
                }
                Change::Remove(node) if matches!(how, How::Mirror { .. }) => surplus.push(node.path),
                Change::Remove(_) => (),
            }
        }
        progress.end();
        let skipped = plan.skipped();
        self.remove(how, &surplus, target, &mut counts, context, out).await?;
        self.sum(&counts, skipped, out)?;
        if counts.kept > 0 {
            let what = if counts.kept == 1 { "1 znode was".to_owned() } else { format!("{} znodes were", counts.kept) };
            return Err(CommandError::Failed(format!("{what} left as they are\nhint: --overwrite replaces them")));
        }
        for client in
            [(from, source), (to, sink)].into_iter().filter_map(|(place, client)| client.filter(|_| is_other(place)))
        {
            client.close().await;
        }
        Ok(())
    }

    /// Deletes what nobody wants, from the leaves up, and waits for everything.
    async fn remove(
        &self,
        how: How,
        surplus: &[String],
        mut target: Option<Target>,
        counts: &mut Counts,
        context: &mut Context,
        out: &Output,
    ) -> Result<(), CommandError> {
        for path in surplus {
            self.tell('-', path, out)?;
        }
        if let Some(target) = &mut target
            && !surplus.is_empty()
        {
            let question =
                format!("delete {} znode{} of {}?", surplus.len(), if surplus.len() == 1 { "" } else { "s" }, self.to);
            if how != (How::Mirror { yes: true }) && !context.confirm(&question, out).await? {
                return Err(CommandError::Failed("everything was written, nothing was deleted".into()));
            }
            for path in surplus.iter().rev() {
                target.remove(path).await?;
            }
        }
        counts.removed = surplus.len() as u64;
        match target {
            Some(target) => target.end().await,
            None => Ok(()),
        }
    }

    fn tell(&self, sign: char, path: &str, out: &Output) -> Result<(), CommandError> {
        if !self.dry_run && !self.verbose {
            return Ok(());
        }
        tell(sign, &joined(&self.to, path), "", out)
    }

    fn sum(&self, counts: &Counts, skipped: u64, out: &Output) -> Result<(), CommandError> {
        let Counts { added, altered, removed, same, kept } = counts;
        if out.mode() == Mode::Json {
            return out.json(&json!({ "from": self.from.to_string(), "to": self.to.to_string(), "dry_run": self.dry_run, "added": added,
                "changed": altered, "deleted": removed, "same": same, "kept": kept, "ephemerals_left_out": skipped }));
        }
        let would = if self.dry_run { "would be: " } else { "" };
        let ephemerals = if skipped > 0 { format!("; {skipped} ephemeral left out") } else { String::new() };
        out.note(format!("{would}{added} added, {altered} changed, {removed} deleted, {same} the same{ephemerals}"));
        Ok(())
    }
}

impl Diff {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let (left, right) = (self.left.client(context).await?, self.right.client(context).await?);
        let reading = Reading { acls: !self.no_acl, ephemerals: self.ephemerals };
        let total = self.right.count(right.as_ref()).await;
        let mut progress = Progress::new(out, total);
        let (wanted, found) = (self.right.nodes(right.as_ref(), reading)?, self.left.nodes(left.as_ref(), reading)?);
        let mut plan = Plan::new(wanted, found);
        let mut differences = 0_u64;
        while let Some(change) = plan.next().await? {
            progress.step();
            let (sign, node, what) = match &change {
                Change::Same(_) => continue,
                Change::Add(node) => ('+', node, String::new()),
                Change::Remove(node) => ('-', node, String::new()),
                Change::Alter { wanted, found } => ('~', wanted, difference(found, wanted)),
            };
            differences += 1;
            tell(sign, if node.path.is_empty() { "/" } else { &node.path }, &what, out)?;
        }
        progress.end();
        let hint = "\nhint: `ostler mirror` makes one the same as the other";
        match differences {
            0 => Ok(()),
            1 => Err(CommandError::Failed(format!("1 znode differs{hint}"))),
            _ => Err(CommandError::Failed(format!("{differences} znodes differ{hint}"))),
        }
    }
}

/// One line of a plan.
fn tell(sign: char, path: &str, what: &str, out: &Output) -> Result<(), CommandError> {
    if out.mode() == Mode::Json {
        let change = match sign {
            '+' => "add",
            '-' => "delete",
            _ => "change",
        };
        return out.json(&json!({ "change": change, "path": path }));
    }
    let paint = match sign {
        '+' => Paint::Good,
        '-' => Paint::Bad,
        _ => Paint::Warning,
    };
    let what = if what.is_empty() { String::new() } else { out.paint(Paint::Dim, format!("  ({what})")) };
    out.line(format!("{} {path}{what}", out.paint(paint, sign)))
}

fn difference(left: &Node, right: &Node) -> String {
    let bytes = |node: &Node| node.data.as_ref().map_or(0, Vec::len);
    let mut what = Vec::new();
    if left.data != right.data {
        what.push(match (bytes(left), bytes(right)) {
            (one, other) if one == other => format!("other {one} bytes"),
            (one, other) => format!("{one} bytes, {other} bytes"),
        });
    }
    if has_other_acl(left, right) {
        what.push("another ACL".into());
    }
    what.join(", ")
}

/// The path of a node in a place, for messages.
fn joined(place: &Place, path: &str) -> String {
    let place = place.to_string();
    if path.is_empty() { place } else { format!("{}{path}", place.strip_suffix('/').unwrap_or(&place)) }
}

fn exists(place: &Place) -> bool {
    matches!(place, Place::Json(file) if file.as_os_str() != "-" && file.exists())
}

fn is_other(place: &Place) -> bool {
    matches!(place, Place::Znode { servers: Some(_), .. })
}

/// A tree that is copied into itself would never end.
fn is_inside(from: &Place, to: &Place) -> bool {
    let (Place::Znode { servers: one, path: from }, Place::Znode { servers: other, path: to }) = (from, to) else {
        return false;
    };
    one == other
        && (from == to || from == "/" || to.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')))
}

/// Servers hide the hashes of digests from who may not administer a znode; a copy would lock everybody out.
fn check_masks(from: &Place, node: &Node) -> Result<(), CommandError> {
    let is_masked = |acl: &ostler_client::aio::Acl| acl.scheme == "digest" && acl.id.ends_with(":x");
    if node.acl.iter().flatten().any(is_masked) {
        let path = joined(from, &node.path);
        return Err(CommandError::Failed(format!(
            "{path}: the server does not show its ACL whole\nhint: --auth proves an identity that may; --no-acl copies without ACLs"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_not_copied_into_itself() {
        let place = |text: &str| text.parse::<Place>().unwrap();
        for (from, to, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/", "/b", true),
            ("/a", "/ab", false),
            ("/a/b", "/a", false),
            ("/a", "zk://h/a", false),
            ("zk://h/a", "zk://h/a/b", true),
            ("/a", "a.json", false),
        ] {
            assert_eq!(is_inside(&place(from), &place(to)), expected, "{from} {to}");
        }
        assert_eq!(joined(&place("/"), "/a"), "/a");
        assert_eq!(joined(&place("x.json"), "/a"), "x.json/a");
    }
}
