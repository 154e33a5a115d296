//! `watch`: the changes of a subtree as they happen, with what is there then, like `tail -f`.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output, Paint};
use crate::show;
use clap::Args;
use ostler_client::aio::{Client, EventType, Notice, WatchEvent};
use serde_json::json;

/// Characters of a value in a line.
const VALUE_CHARS_MAX: usize = 60;

/// `watch`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler watch /app                what comes (+), changes (~) and goes (-) below /app, until Ctrl-C
  ostler watch --json /app | jq    with data and Stat for a program
  ostler watch -n 1 /app/ready     wait for the next change

Several changes of one znode that follow each other closely may show the same data, the newest.")]
pub struct Follow {
    /// The znode; it need not be there yet.
    #[arg(default_value = "/")]
    pub path: String,
    /// End after so many changes.
    #[arg(short = 'n', long, value_name = "CHANGES")]
    pub count: Option<u64>,
    /// Paths only.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

impl Follow {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let mut watcher = client.watch_recursive(&self.path).await?;
        out.note(format!("following {}, Ctrl-C ends", self.path));
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let notice = tokio::select! {
                notice = watcher.next() => notice,
                _ = tokio::signal::ctrl_c() => return Ok(()),
            };
            match notice {
                None => return Err(CommandError::Failed("the session has ended\nhint: begin again".into())),
                Some(Notice::Missed) => {
                    out.complain(out.paint(Paint::Warning, "changes may have been missed: the connection was lost"));
                }
                Some(Notice::Event(event)) => {
                    left -= 1;
                    self.show(&client, &event, out).await?;
                }
            }
        }
        Ok(())
    }

    async fn show(&self, client: &Client, event: &WatchEvent, out: &Output) -> Result<(), CommandError> {
        let (sign, word, paint) = match event.kind {
            EventType::NodeCreated => ('+', "created", Paint::Good),
            EventType::NodeDeleted => ('-', "deleted", Paint::Bad),
            EventType::NodeDataChanged | EventType::NodeChildrenChanged => ('~', "changed", Paint::Warning),
        };
        let is_read = !self.quiet && event.kind != EventType::NodeDeleted;
        let found = if is_read { client.get_nullable(&event.path).await } else { Ok(Default::default()) };
        // It may be gone again, or be none of ours to read; that it changed is true all the same.
        let found = match found {
            Ok(found) => is_read.then_some(found),
            Err(error) if error.code().is_some() => None,
            Err(error) => return Err(error.into()),
        };
        if out.mode() == Mode::Json {
            let (data, stat) = found.map_or_else(Default::default, |(data, stat)| {
                (show::value::object(data.as_deref()), show::stat::object(&stat))
            });
            return out.json(
                &json!({ "change": word, "path": event.path, "zxid": event.zxid.0, "data": data, "stat": stat }),
            );
        }
        let value = found.map(|(data, _)| short(data.as_deref())).unwrap_or_default();
        let value = if value.is_empty() { value } else { out.paint(Paint::Dim, format!("  {value}")) };
        out.line(format!("{} {}{value}", out.paint(paint, sign), out.paint(Paint::Name, &event.path)))
    }
}

/// A value in a few characters.
fn short(data: Option<&[u8]>) -> String {
    let Some(data) = data else { return "null".into() };
    match std::str::from_utf8(data) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
            let line: String =
                text.chars().take(VALUE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
            if line.len() < text.len() { format!("{line}... ({} bytes)", data.len()) } else { line }
        }
        _ => format!("({} bytes)", data.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_in_a_line() {
        assert_eq!(short(None), "null");
        assert_eq!(short(Some(b"a\nb")), "a b");
        assert_eq!(short(Some(&[0, 1])), "(2 bytes)");
        assert!(short(Some(&[b'x'; 100])).ends_with("x... (100 bytes)"));
    }
}
