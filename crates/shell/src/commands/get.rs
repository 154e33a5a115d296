//! `get`: a znode's data.

use crate::context::Context;
use crate::error::{CommandError, check_path};
use crate::output::{Mode, Output};
use crate::show::{self, hexdump, value::Form};
use crate::watches::WatchKind;
use clap::Args;
use serde_json::json;

/// `get`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler get /app/config                  shown by its kind: text, JSON, gzip, else hexadecimal
  ostler get --raw /app/config > file     the bytes, nothing else
  ostler get -w /app/config               and wait until it changes")]
pub struct Get {
    /// The znode.
    pub path: String,
    /// The Stat too.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
    /// Watch for a change.
    #[arg(short = 'w', long = "watch")]
    pub watch: bool,
    /// The bytes as they are, without a line's end.
    #[arg(long, conflicts_with_all = ["base64", "hex"])]
    pub raw: bool,
    /// In base64.
    #[arg(short = 'b', long)]
    pub base64: bool,
    /// As a table of hexadecimal digits.
    #[arg(short = 'x', long = "hex", conflicts_with = "base64")]
    pub hex: bool,
}

impl Get {
    fn form(&self) -> Form {
        match (self.raw, self.base64, self.hex) {
            (true, ..) => Form::Raw,
            (_, true, _) => Form::Base64,
            (_, _, true) => Form::Hex,
            _ => Form::ByKind,
        }
    }

    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        check_path(&self.path)?;
        let client = context.client().await?;
        let (data, stat) = if self.watch {
            let (data, stat, watch) = client.get_nullable_and_watch(&self.path).await?;
            context.watches.once(out, &self.path, WatchKind::Data, watch);
            (data, stat)
        } else {
            client.get_nullable(&self.path).await?
        };
        let data = data.as_deref();
        match (out.mode(), self.form()) {
            (Mode::Json, Form::ByKind) => {
                let (value, stat) = (show::value::object(data), show::stat::object(&stat));
                return out.json(&json!({ "path": self.path, "data": value, "stat": stat }));
            }
            (Mode::Apache, form) => out.bytes(&apache(data, form))?,
            (_, Form::Raw) => out.bytes(data.unwrap_or_default())?,
            (_, Form::Base64) => out.line(show::value::base64(data.unwrap_or_default()))?,
            (_, Form::Hex) => out.line(hexdump::plain(data.unwrap_or_default()))?,
            (Mode::People, Form::ByKind) => out.bytes(show::value::people(data, out).as_bytes())?,
        }
        if self.stat { out.line(show::stat::lines(&stat, out)) } else { Ok(()) }
    }
}

/// Apache shows null as a word. What is no UTF-8 has replacement characters.
fn apache(data: Option<&[u8]>, form: Form) -> Vec<u8> {
    let data = data.unwrap_or(b"null");
    let mut text = match form {
        Form::Raw => return data.to_vec(),
        Form::Base64 => show::value::base64(data),
        Form::Hex => hexdump::framed(data),
        Form::ByKind => String::from_utf8_lossy(data).into_owned(),
    };
    text.push('\n');
    text.into_bytes()
}
