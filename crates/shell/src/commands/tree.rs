//! `tree` and `du`: a subtree at a glance.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::progress::Progress;
use crate::walk::{Order, Walk};
use clap::Args;
use serde_json::json;

/// `tree`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler tree /app
  ostler tree -L 2 -c -s /       two levels, with numbers of children and bytes of data")]
pub struct Tree {
    /// The znode.
    #[arg(default_value = "/")]
    pub path: String,
    /// So many levels below it.
    #[arg(short = 'L', long, value_name = "LEVELS")]
    pub depth: Option<usize>,
    /// The number of children behind each name.
    #[arg(short = 'c', long)]
    pub counts: bool,
    /// The bytes of data behind each name.
    #[arg(short = 's', long)]
    pub sizes: bool,
}

impl Tree {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let depth_max = self.depth.unwrap_or(usize::MAX);
        let mut walk = Walk::new(&client, &self.path, Order::ParentsFirst).depth_max(depth_max);
        // For each level above: whether more of its znodes come.
        let mut open: Vec<bool> = Vec::new();
        let (mut znodes, mut bytes) = (0_u64, 0_u64);
        while let Some(visited) = walk.next().await? {
            let (children, size) = (visited.stat.num_children, visited.stat.data_length);
            znodes += 1;
            bytes += u64::try_from(size).unwrap_or(0);
            if out.mode() == Mode::Json {
                out.json(
                    &json!({ "path": visited.path, "depth": visited.depth, "children": children, "bytes": size }),
                )?;
                continue;
            }
            open.truncate(visited.depth.saturating_sub(1));
            let mut line = String::new();
            if visited.depth > 0 {
                line.extend(open.iter().map(|more| if *more { "\u{2502}   " } else { "    " }));
                line.push_str(if visited.is_last { "\u{2514}\u{2500}\u{2500} " } else { "\u{251c}\u{2500}\u{2500} " });
                open.push(!visited.is_last);
            }
            let name = match visited.depth {
                0 => visited.path.as_str(),
                _ => visited.path.rsplit('/').next().unwrap_or_default(),
            };
            line.push_str(&out.paint(Paint::Name, name));
            let mut remarks = Vec::new();
            if children > 0 && (self.counts || visited.depth == depth_max) {
                remarks.push(plural(i64::from(children), "child", "children"));
            }
            if self.sizes {
                remarks.push(plural(i64::from(size), "byte", "bytes"));
            }
            if !remarks.is_empty() {
                line.push_str(&out.paint(Paint::Dim, format!("  ({})", remarks.join(", "))));
            }
            out.line(line)?;
        }
        if out.mode() != Mode::Json {
            let (znodes, bytes) = (plural(znodes as i64, "znode", "znodes"), plural(bytes as i64, "byte", "bytes"));
            out.note(format!("{znodes}, {bytes}"));
        }
        Ok(())
    }
}

fn plural(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `du`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler du /                  bytes and znodes of each subtree, the largest first
  ostler du -L 2 -n 10 /       two levels down, the ten largest")]
pub struct Du {
    /// The znode.
    #[arg(default_value = "/")]
    pub path: String,
    /// Subtrees of so many levels below it are listed.
    #[arg(short = 'L', long, value_name = "LEVELS", default_value_t = 1)]
    pub depth: usize,
    /// So many lines.
    #[arg(short = 'n', long, value_name = "LINES")]
    pub lines: Option<usize>,
    /// In the order of paths.
    #[arg(long)]
    pub by_path: bool,
}

/// Bytes and znodes of a subtree.
#[derive(Clone, Copy, Default)]
struct Sum {
    bytes: u64,
    znodes: u64,
}

impl Du {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let total = client.all_children_number(&self.path).await.ok().and_then(|below| u64::try_from(below).ok());
        let mut progress = Progress::new(out, total.map(|below| below + 1));
        let mut walk = Walk::new(&client, &self.path, Order::ChildrenFirst);
        // Sums of finished subtrees, by level; what is below a znode comes before it.
        let mut sums: Vec<Sum> = Vec::new();
        let mut rows = Vec::new();
        while let Some(visited) = walk.next().await? {
            progress.step();
            sums.resize((visited.depth + 2).max(sums.len()), Sum::default());
            let below = std::mem::take(&mut sums[visited.depth + 1]);
            let own = u64::try_from(visited.stat.data_length).unwrap_or(0);
            let sum = Sum { bytes: below.bytes + own, znodes: below.znodes + 1 };
            sums[visited.depth].bytes += sum.bytes;
            sums[visited.depth].znodes += sum.znodes;
            if visited.depth <= self.depth {
                rows.push((visited.path, sum));
            }
        }
        progress.end();
        if self.by_path {
            rows.sort_by(|(a, _), (b, _)| crate::trees::order(a, b));
        } else {
            rows.sort_by(|(a, one), (b, other)| {
                (other.bytes, other.znodes).cmp(&(one.bytes, one.znodes)).then_with(|| crate::trees::order(a, b))
            });
        }
        rows.truncate(self.lines.unwrap_or(usize::MAX));
        if out.mode() != Mode::Json {
            out.line(out.paint(Paint::Dim, format!("{:>12} {:>10}  path", "bytes", "znodes")))?;
        }
        for (path, Sum { bytes, znodes }) in rows {
            match out.mode() {
                Mode::Json => out.json(&json!({ "path": path, "bytes": bytes, "znodes": znodes }))?,
                Mode::People | Mode::Apache => {
                    out.line(format!("{bytes:>12} {znodes:>10}  {}", out.paint(Paint::Name, path)))?;
                }
            }
        }
        Ok(())
    }
}
