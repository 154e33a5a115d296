//! `config`, `reconfig`: the servers of the ensemble.

use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Mode, Output};
use crate::show;
use crate::watches::WatchKind;
use clap::Args;
use ostler_client::aio::Stat;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where servers keep the configuration, for watches.
const CONFIG: &str = "/zookeeper/config";

/// `config`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler config                every server and its role
  ostler config -c             only where clients connect")]
pub struct Config {
    /// Only its version and where clients connect.
    #[arg(short = 'c', long)]
    pub client: bool,
    /// The Stat too.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
    /// Watch for a change.
    #[arg(short = 'w', long = "watch")]
    pub watch: bool,
}

impl Config {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let client = context.client().await?;
        let (text, stat) = if self.watch {
            let (text, stat, watch) = client.get_data_and_watch(CONFIG).await?;
            context.watches.once(out, CONFIG, WatchKind::Data, watch);
            (text, stat)
        } else {
            client.config().await?
        };
        let text = String::from_utf8_lossy(&text);
        let text = if self.client { clients(&text) } else { text.into_owned() };
        show(&text, self.stat, &stat, out)
    }
}

fn show(text: &str, with_stat: bool, stat: &Stat, out: &Output) -> Result<(), CommandError> {
    if out.mode() == Mode::Json {
        return out.json(&json!({ "config": text, "stat": show::stat::object(stat) }));
    }
    out.line(text)?;
    if with_stat { out.line(show::stat::lines(stat, out)) } else { Ok(()) }
}

/// The version, and the addresses for clients, from a configuration's lines.
fn clients(config: &str) -> String {
    let (mut version, mut servers) = ("", Vec::new());
    for line in config.lines() {
        match line.split_once('=') {
            Some(("version", number)) => version = number.trim(),
            Some((key, server)) if key.starts_with("server.") => {
                // The client's part without a host means all addresses, so that of the quorum port is as good.
                let Some((quorum, client)) = server.split_once(';') else { continue };
                servers.push(if client.contains(':') {
                    client.trim().to_owned()
                } else {
                    format!("{}:{}", quorum.split(':').next().unwrap_or_default(), client.trim())
                });
            }
            _ => (),
        }
    }
    format!("{version} {}", servers.join(","))
}

/// `reconfig`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ostler reconfig --add 'server.4=host4:2888:3888;2181'
  ostler reconfig --remove 2,3")]
pub struct Reconfig {
    /// The new Stat of the configuration.
    #[arg(short = 's', long = "stat")]
    pub stat: bool,
    /// Only if the configuration has this version, hexadecimal.
    #[arg(short = 'v', long, value_name = "VERSION", value_parser = version)]
    pub version: Option<i64>,
    /// What changes.
    #[command(flatten)]
    pub members: Members,
}

/// Members that join or leave, or all that there are.
#[derive(Args, Clone, Debug, Default)]
#[group(required = true, multiple = true)]
pub struct Members {
    /// Members that join, with commas: server.ID=HOST:PORT:PORT;PORT.
    #[arg(long, value_name = "SERVERS")]
    pub add: Option<String>,
    /// Ids of members that leave, with commas.
    #[arg(long, value_name = "IDS")]
    pub remove: Option<String>,
    /// All members, with commas.
    #[arg(long, value_name = "SERVERS", conflicts_with_all = ["add", "remove"])]
    pub members: Option<String>,
    /// All members, from a file in the format of zoo.cfg.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["add", "remove", "members"])]
    pub file: Option<PathBuf>,
}

fn version(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16)
        .map_err(|error| format!("{error}; hint: versions are hexadecimal, as `config` shows them"))
}

impl Reconfig {
    pub(super) async fn run(self, context: &mut Context, out: &Output) -> Result<(), CommandError> {
        let from = self.version.unwrap_or(-1);
        let split = |list: &str| list.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>();
        let list = |text: &Option<String>| text.as_deref().map(split).unwrap_or_default();
        let Members { add, remove, members, file } = &self.members;
        let all = match (members, file) {
            (Some(members), _) => Some(split(members)),
            (None, Some(file)) => Some(servers_of(file)?),
            (None, None) => None,
        };
        let client = context.client().await?;
        let call = match &all {
            Some(all) => client.reconfig_to(&all.iter().map(String::as_str).collect::<Vec<_>>(), from),
            None => {
                let (add, remove) = (list(add), list(remove));
                let [add, remove] = [&add, &remove].map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
                client.reconfig(&add, &remove, from)
            }
        };
        let (text, stat) = call.await?;
        let text = String::from_utf8_lossy(&text);
        match out.mode() {
            Mode::Json => out.json(&json!({ "config": text, "stat": show::stat::object(&stat) })),
            Mode::People | Mode::Apache => {
                out.line(format!("Committed new configuration:\n{text}"))?;
                if self.stat { out.line(show::stat::lines(&stat, out)) } else { Ok(()) }
            }
        }
    }
}

/// The lines about servers of a configuration file.
fn servers_of(file: &Path) -> Result<Vec<String>, CommandError> {
    let text = std::fs::read_to_string(file).map_err(|error| CommandError::io(file.display().to_string(), error))?;
    let is_about_servers = |line: &&str| ["server.", "group.", "weight."].iter().any(|key| line.starts_with(key));
    Ok(text.lines().map(str::trim).filter(is_about_servers).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_clients_connect() {
        let config =
            "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888:observer;2182\nversion=100000000";
        assert_eq!(clients(config), "100000000 0.0.0.0:2181,b:2182");
        assert_eq!(clients(""), " ");
    }
}
