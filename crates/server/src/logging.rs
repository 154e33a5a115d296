//! Logs: one line for each event that an operator asks about, human or JSON, on stderr.

use ostler_model::date;
use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Shape of the lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// `2026-11-21T19:58:35.123Z  INFO listening on ...`.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        w.write_str(&date::rfc3339(since.as_millis() as i64))
    }
}

/// Switches logging on for the whole process; a second call does nothing.
pub fn start(format: LogFormat, level: LevelFilter) {
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_timer(Utc)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    let result = match format {
        LogFormat::Human => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // Only a test that starts two servers in one process gets here twice.
    drop(result);
}
