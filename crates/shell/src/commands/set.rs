//! `set`: a znode's data. Where data comes from, also for `create`.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output};
use crate::show;
use clap::Args;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that is read from a file, bytes: far above what servers take.
const DATA_BYTES_MAX: u64 = 256 << 20;

/// `set`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler set /app/config '{\"debug\":true}'
  ostler set -v 3 /app/config new             only if its version is 3
  generate | ostler set /app/config -f -      data from stdin
  ostler set /app/config -f config.json       data from a file")]
pub struct Set {
    /// The znode.
    pub path: String,
    /// Its new data.
    #[arg(allow_negative_numbers = true, required_unless_present = "file")]
    pub data: Option<String>,
    /// Data from a file; - is stdin.
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "data")]
    pub file: Option<PathBuf>,
    /// The data is in base64.
    #[arg(short = 'b', long)]
    pub base64: bool,
    /// Only if it has this version.
    #[arg(short = 'v', long, value_name = "VERSION", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub version: i32,
    /// The new Stat.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
}

impl Set {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let data = data(self.data, self.file.as_deref(), self.base64)?.unwrap_or_default();
        let stat = context.client().await?.set_data(&self.path, &data, self.version).await?;
        match out.mode() {
            Mode::Json => out.json(&json!({ "path": self.path, "stat": show::stat::object(&stat) })),
            _ if self.stat => out.line(show::stat::lines(&stat, out)),
            Mode::People => {
                out.note(format!("{}: version {}", self.path, stat.version));
                Ok(())
            }
            Mode::Apache => Ok(()),
        }
    }
}

/// The bytes that an argument, a file or stdin means; `None` if nothing was said.
pub(super) fn data(
    text: Option<String>,
    file: Option<&Path>,
    is_base64: bool,
) -> Result<Option<Vec<u8>>, CommandError> {
    let data = match (text, file) {
        (Some(text), _) => Some(text.into_bytes()),
        (None, Some(file)) => Some(read(file)?),
        (None, None) => None,
    };
    if !is_base64 {
        return Ok(data);
    }
    data.map(|data| {
        let text = String::from_utf8_lossy(&data);
        show::value::from_base64(text.trim()).map_err(|error| {
            CommandError::Usage(format!("the data is not base64: {error}\nhint: leave -b out for plain text"))
        })
    })
    .transpose()
}

fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    let mut data = Vec::new();
    let (place, result) = if file == Path::new("-") {
        ("stdin".to_owned(), std::io::stdin().lock().take(DATA_BYTES_MAX).read_to_end(&mut data))
    } else {
        let opened = std::fs::File::open(file);
        (file.display().to_string(), opened.and_then(|file| file.take(DATA_BYTES_MAX).read_to_end(&mut data)))
    };
    result.map_err(|error| CommandError::io(place, error))?;
    Ok(data)
}
