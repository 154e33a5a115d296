//! `find` and `grep`: znodes by name, kind and size, and by what is in them.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::show;
use crate::trees::live::Live;
use crate::walk::{Order, Visited, Walk, child};
use clap::Args;
use serde_json::json;

/// `find`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler find /app --name 'job-*'
  ostler find / --ephemeral --json          who is there, for a program
  ostler find / --min-bytes 100000          large values
  ostler find /app --value prod             as `grep -l prod /app`")]
pub struct Find {
    /// The znode to begin at.
    #[arg(default_value = "/")]
    pub path: String,
    /// The name; * stands for any characters, ? for one.
    #[arg(long, value_name = "PATTERN")]
    pub name: Option<String>,
    /// The whole path, * and ? as above.
    #[arg(long = "path", value_name = "PATTERN", id = "path_pattern")]
    pub path_pattern: Option<String>,
    /// The data contains this text.
    #[arg(long, value_name = "TEXT")]
    pub value: Option<String>,
    /// Ephemerals only.
    #[arg(short = 'e', long)]
    pub ephemeral: bool,
    /// Znodes without children only.
    #[arg(long)]
    pub leaf: bool,
    /// Bytes of data at least.
    #[arg(long, value_name = "BYTES")]
    pub min_bytes: Option<u64>,
    /// Bytes of data at most.
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<u64>,
    /// So many levels down.
    #[arg(short = 'L', long, value_name = "LEVELS")]
    pub depth: Option<usize>,
}

impl Find {
    fn wants(&self, visited: &Visited) -> bool {
        let name = visited.path.rsplit('/').next().unwrap_or_default();
        let bytes = u64::try_from(visited.stat.data_length).unwrap_or(0);
        self.name.as_ref().is_none_or(|pattern| is_like(name, pattern))
            && self.path_pattern.as_ref().is_none_or(|pattern| is_like(&visited.path, pattern))
            && (!self.ephemeral || visited.stat.ephemeral_owner != 0)
            && (!self.leaf || visited.stat.num_children == 0)
            && self.min_bytes.is_none_or(|min| bytes >= min)
            && self.max_bytes.is_none_or(|max| bytes <= max)
    }

    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let depth = self.depth.unwrap_or(usize::MAX);
        let mut walk = Walk::new(&client, &self.path, Order::ParentsFirst).depth_max(depth);
        while let Some(visited) = walk.next().await? {
            if !self.wants(&visited) {
                continue;
            }
            if let Some(text) = &self.value {
                let data = match client.get_nullable(&visited.path).await {
                    Ok((data, _)) => data.unwrap_or_default(),
                    // It went meanwhile, or may not be read.
                    Err(error) if error.code().is_some() => continue,
                    Err(error) => return Err(error.into()),
                };
                if find(&data, text.as_bytes()).is_none() {
                    continue;
                }
            }
            match out.mode() {
                Mode::Json => out.json(&json!({ "path": visited.path, "stat": show::stat::object(&visited.stat) }))?,
                Mode::People | Mode::Apache => out.line(out.paint(Paint::Name, &visited.path))?,
            }
        }
        Ok(())
    }
}

/// `grep`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler grep jdbc: /app             lines of values, each behind its path
  ostler grep -i -l password /       only the paths")]
pub struct Grep {
    /// The text; no pattern.
    pub text: String,
    /// The znode to begin at.
    #[arg(default_value = "/")]
    pub path: String,
    /// Large and small letters are the same (those of ASCII).
    #[arg(short = 'i', long)]
    pub ignore_case: bool,
    /// Only the paths.
    #[arg(short = 'l', long)]
    pub list: bool,
}

impl Grep {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        if self.text.is_empty() {
            return Err(CommandError::Usage("the text is empty\nhint: `ls -R` lists everything".into()));
        }
        let client = context.client().await?;
        let fold = |bytes: &[u8]| if self.ignore_case { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
        let wanted = fold(self.text.as_bytes());
        let mut nodes = Live::new(&client, &self.path, false, true);
        while let Some(node) = nodes.next().await? {
            let data = node.data.unwrap_or_default();
            if find(&fold(&data), &wanted).is_none() {
                continue;
            }
            let path = match node.path.strip_prefix('/') {
                Some(below) => child(&self.path, below),
                None => self.path.clone(),
            };
            if self.list && out.mode() != Mode::Json {
                out.line(out.paint(Paint::Name, &path))?;
                continue;
            }
            let Ok(text) = std::str::from_utf8(&data) else {
                match out.mode() {
                    Mode::Json => out.json(&json!({ "path": path }))?,
                    Mode::People | Mode::Apache => {
                        out.line(format!("{}: {} bytes that are no text", out.paint(Paint::Name, &path), data.len()))?;
                    }
                }
                continue;
            };
            for (at, line) in
                text.lines().enumerate().filter(|(_, line)| find(&fold(line.as_bytes()), &wanted).is_some())
            {
                match out.mode() {
                    Mode::Json => out.json(&json!({ "path": path, "line": at + 1, "text": line }))?,
                    Mode::People | Mode::Apache => out.line(format!("{}: {line}", out.paint(Paint::Name, &path)))?,
                }
            }
        }
        Ok(())
    }
}

/// Where `wanted` begins.
fn find(data: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() { Some(0) } else { data.windows(wanted.len()).position(|part| part == wanted) }
}

/// `*` stands for any characters, `?` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern) = (0, 0);
    // Behind the last star, and how much it has taken.
    let mut star = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('*') => {
                star = Some((in_pattern + 1, at));
                in_pattern += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, in_pattern) = (taken + 1, behind);
            }
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, pattern, expected) in [
            ("job-7", "job-*", true),
            ("job-7", "*-?", true),
            ("job-17", "*-?", false),
            ("", "*", true),
            ("", "?", false),
            ("abcabd", "*abd", true),
            ("a*b", "a*b", true),
            ("job", "jo", false),
            ("/a/b/c", "/a/*c", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
        assert_eq!([find(b"abcabd", b"abd"), find(b"ab", b"abc"), find(b"x", b"")], [Some(3), None, Some(0)]);
    }
}
