//! `setquota`, `listquota`, `delquota`: limits of a subtree, kept in znodes below /zookeeper/quota.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::show;
use crate::walk::{Order, Walk};
use clap::Args;
use ostler_client::aio::{Client, CreateMode, ErrorCode};
use ostler_model::path;
use serde_json::{Value, json};
use std::fmt;

/// The four limits of a quota; -1 is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Quota {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl fmt::Display for Quota {
    /// As Apache writes it, with the sign too much.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quota { count, bytes, count_hard, bytes_hard } = self;
        write!(f, "count={count},bytes={bytes}=;byteHardLimit={bytes_hard};countHardLimit={count_hard}")
    }
}

impl Quota {
    const NONE: Quota = Quota { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };

    /// Reads limits or statistics. What is no number is none.
    fn parse(text: &[u8]) -> Quota {
        let mut quota = Quota::NONE;
        for pair in String::from_utf8_lossy(text).split([',', ';']) {
            let Some((key, value)) = pair.split_once('=') else { continue };
            let value = value.trim_end_matches('=').parse().unwrap_or(-1);
            match key {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "countHardLimit" => quota.count_hard = value,
                "byteHardLimit" => quota.bytes_hard = value,
                _ => (),
            }
        }
        quota
    }

    fn object(&self) -> Value {
        let limit = |number: i64| (number >= 0).then_some(number);
        json!({
            "count": limit(self.count), "bytes": limit(self.bytes),
            "countHard": limit(self.count_hard), "bytesHard": limit(self.bytes_hard),
        })
    }
}

fn place(path: &str) -> String {
    format!("{}{}", path::QUOTA, if path == "/" { "" } else { path })
}

fn limits_of(path: &str) -> String {
    format!("{}/{}", place(path), path::QUOTA_LIMITS)
}

fn stats_of(path: &str) -> String {
    format!("{}/{}", place(path), path::QUOTA_STATS)
}

/// The data of a znode, `None` if it is not there.
async fn read(client: &Client, path: &str) -> Result<Option<Vec<u8>>, CommandError> {
    match client.get_data(path).await {
        Ok((data, _)) => Ok(Some(data)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Creates a znode unless it is there.
async fn ensure(client: &Client, path: &str, data: Option<&[u8]>) -> Result<(), CommandError> {
    match client.create_nullable(path, data, CreateMode::Persistent, &show::acl::open()).await {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => Err(error.into()),
        _ => Ok(()),
    }
}

/// `setquota`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler setquota -N 1000 /app        at most 1000 znodes, /app included
  ostler setquota -B 1048576 /app     at most 1 MiB of data
Soft limits (-n, -b) are only logged by the servers; hard ones (-N, -B) need enforceQuota=true there.")]
pub struct SetQuota {
    /// The znode.
    pub path: String,
    /// The limit.
    #[command(flatten)]
    pub limit: Limit,
}

/// One of the four limits of a quota.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(required = true, multiple = false)]
pub struct Limit {
    /// Soft limit of znodes.
    #[arg(short = 'n', value_name = "COUNT")]
    pub count: Option<i64>,
    /// Soft limit of bytes.
    #[arg(short = 'b', value_name = "BYTES")]
    pub bytes: Option<i64>,
    /// Hard limit of znodes.
    #[arg(short = 'N', value_name = "COUNT")]
    pub count_hard: Option<i64>,
    /// Hard limit of bytes.
    #[arg(short = 'B', value_name = "BYTES")]
    pub bytes_hard: Option<i64>,
}

impl SetQuota {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let path = self.path.as_str();
        if client.exists(path).await?.is_none() {
            return Err(CommandError::Failed(format!("{path} does not exist.")));
        }
        self.refuse_nesting(&client).await?;
        let limits = limits_of(path);
        let old = read(&client, &limits).await?;
        let mut quota = old.as_deref().map_or(Quota::NONE, Quota::parse);
        for (limit, asked) in [
            (&mut quota.count, self.limit.count),
            (&mut quota.bytes, self.limit.bytes),
            (&mut quota.count_hard, self.limit.count_hard),
            (&mut quota.bytes_hard, self.limit.bytes_hard),
        ] {
            *limit = asked.unwrap_or(*limit);
        }
        let text = quota.to_string();
        if old.is_some() {
            client.set_data(&limits, text.as_bytes(), -1).await?;
        } else {
            // All above it, from /zookeeper/quota down.
            let mut at = path::QUOTA.to_owned();
            ensure(&client, &at, None).await?;
            for name in path.split('/').filter(|name| !name.is_empty()) {
                at = format!("{at}/{name}");
                ensure(&client, &at, None).await?;
            }
            ensure(&client, &limits, Some(text.as_bytes())).await?;
            // The server counts what is there when this comes.
            ensure(&client, &stats_of(path), Some(b"count=0,bytes=0")).await?;
        }
        if let Some(used) = read(&client, &stats_of(path)).await? {
            warn(&quota, &Quota::parse(&used), out)?;
        }
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": path, "quota": quota.object() })),
            Mode::People | Mode::Apache => Ok(()),
        }
    }

    /// A quota within another one would be counted twice.
    async fn refuse_nesting(&self, client: &Client) -> Result<(), CommandError> {
        let mut at = self.path.as_str();
        while let Some(parent) = path::parent(at).filter(|parent| !matches!(*parent, "" | "/")) {
            if client.exists(&limits_of(parent)).await?.is_some() {
                let path = &self.path;
                return Err(CommandError::Failed(format!("{path} has a parent {parent} which has a quota")));
            }
            at = parent;
        }
        let place = place(&self.path);
        if client.exists(&place).await?.is_none() {
            return Ok(());
        }
        let own = limits_of(&self.path);
        let mut walk = Walk::new(client, &place, Order::ParentsFirst);
        while let Some(visited) = walk.next().await? {
            if let Some(child) = visited.path.strip_suffix(path::QUOTA_LIMITS).filter(|_| visited.path != own) {
                let child = child[path::QUOTA.len()..].trim_end_matches('/');
                let path = &self.path;
                return Err(CommandError::Failed(format!("{path} has a child {child} which has a quota")));
            }
        }
        Ok(())
    }
}

/// Says when there is more already than is allowed now.
fn warn(quota: &Quota, used: &Quota, out: &Output) -> Result<(), CommandError> {
    for (name, limits, used) in
        [("count", [quota.count, quota.count_hard], used.count), ("bytes", [quota.bytes, quota.bytes_hard], used.bytes)]
    {
        if limits.iter().any(|limit| (0..used).contains(limit)) {
            let text = format!("[Warning]: the {name} quota you create is less than the existing {name}:{used}");
            if out.mode() == Mode::Apache {
                out.line(text)?;
            } else {
                out.note(out.paint(Paint::Warning, text));
            }
        }
    }
    Ok(())
}

/// `listquota`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler listquota /app")]
pub struct ListQuota {
    /// The znode.
    pub path: String,
}

impl ListQuota {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        // Apache looks below /zookeeper/quota for whatever is named.
        if out.mode() != Mode::Apache {
            check_path(&self.path)?;
        }
        let client = context.client().await?;
        let path = &self.path;
        if out.mode() == Mode::Apache {
            out.complain(format!("absolute path is {}", limits_of(path)));
        }
        let limits = read(&client, &limits_of(path)).await?;
        let used = match limits {
            Some(_) => read(&client, &stats_of(path)).await?,
            None => None,
        };
        let (Some(limits), Some(used)) = (limits, used) else {
            return match out.mode() {
                Mode::Apache => {
                    out.complain(format!("quota for {path} does not exist."));
                    Ok(())
                }
                Mode::Json => out.json(&json!({ "path": path, "quota": Value::Null })),
                Mode::People => {
                    Err(CommandError::Failed(format!("{path} has no quota\nhint: `setquota` gives it one")))
                }
            };
        };
        let (limits, used) = (Quota::parse(&limits), Quota::parse(&used));
        match out.mode() {
            Mode::Apache => {
                out.line(format!("Output quota for {path} {limits}"))?;
                out.line(format!("Output stat for {path} count={},bytes={}", used.count, used.bytes))
            }
            Mode::Json => out.json(&json!({
                "path": path, "quota": limits.object(), "used": { "count": used.count, "bytes": used.bytes },
            })),
            Mode::People => {
                for (name, used, soft, hard) in [
                    ("znodes", used.count, limits.count, limits.count_hard),
                    ("bytes", used.bytes, limits.bytes, limits.bytes_hard),
                ] {
                    let limit = |number: i64| if number < 0 { "none".to_owned() } else { number.to_string() };
                    let name = out.paint(Paint::Dim, name);
                    out.line(format!("{name} = {used} (soft limit {}, hard limit {})", limit(soft), limit(hard)))?;
                }
                Ok(())
            }
        }
    }
}

/// `delquota`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler delquota /app         the whole quota
  ostler delquota -N /app      only the hard limit of znodes")]
pub struct DelQuota {
    /// The znode.
    pub path: String,
    /// All of it if nothing is said.
    #[command(flatten)]
    pub only: Only,
}

/// One of the four limits of a quota.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
pub struct Only {
    /// Only the soft limit of znodes.
    #[arg(short = 'n')]
    pub count: bool,
    /// Only the soft limit of bytes.
    #[arg(short = 'b')]
    pub bytes: bool,
    /// Only the hard limit of znodes.
    #[arg(short = 'N')]
    pub count_hard: bool,
    /// Only the hard limit of bytes.
    #[arg(short = 'B')]
    pub bytes_hard: bool,
}

impl DelQuota {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let limits = limits_of(&self.path);
        let Some(old) = read(&client, &limits).await? else {
            return Err(CommandError::Failed(format!("Quota does not exist for {}", self.path)));
        };
        let Only { count, bytes, count_hard, bytes_hard } = self.only;
        if count || bytes || count_hard || bytes_hard {
            let mut quota = Quota::parse(&old);
            for (limit, is_removed) in [
                (&mut quota.count, count),
                (&mut quota.bytes, bytes),
                (&mut quota.count_hard, count_hard),
                (&mut quota.bytes_hard, bytes_hard),
            ] {
                if is_removed {
                    *limit = -1;
                }
            }
            client.set_data(&limits, quota.to_string().as_bytes(), -1).await?;
        } else {
            client.delete(&limits, -1).await?;
            client.delete(&stats_of(&self.path), -1).await?;
            prune(&client, &place(&self.path)).await?;
        }
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": self.path, "deleted": true })),
            Mode::People | Mode::Apache => Ok(()),
        }
    }
}

/// Deletes znodes that hold no quota any more, upwards.
async fn prune(client: &Client, from: &str) -> Result<(), CommandError> {
    let mut at = from;
    while at != path::QUOTA {
        match client.delete(at, -1).await {
            Err(error) if error.code() == Some(ErrorCode::NotEmpty) => return Ok(()),
            Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error.into()),
            _ => at = path::parent(at).expect("it is below /zookeeper/quota"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_apache_writes_them() {
        let quota = Quota { count: 1, bytes: -1, count_hard: 3, bytes_hard: -1 };
        let text = "count=1,bytes=-1=;byteHardLimit=-1;countHardLimit=3";
        assert_eq!(quota.to_string(), text);
        assert_eq!(Quota::parse(text.as_bytes()), quota);
        assert_eq!(Quota::parse(b"count=1,bytes=x;\xff"), Quota { count: 1, ..Quota::NONE });
    }
}
