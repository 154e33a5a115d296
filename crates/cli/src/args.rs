//! The command line and the environment.

use crate::cluster::Cluster;
use crate::files::{Doctor, Log, Snapshot};
use crate::generate::{Completions, Man};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ostler_server::config::Inputs;
use ostler_server::logging::LogFormat;
use ostler_shell::{FourLetters, Interactive, OneShot};
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// `-Dname=value` items: name, value, where they stood.
type Properties = Vec<(String, String, &'static str)>;

const AFTER_HELP: &str = "\
Examples:
  ostler serve --data-dir /var/lib/ostler   a server on port 2181
  ostler cluster start                      three servers on this machine
  ostler shell --server host:2181           look into servers, line by line
  ostler ls /, ostler get /app              one command

Also understood, as by Apache ZooKeeper's main class:
  ostler zoo.cfg                            serve with this configuration
  ostler PORT DATADIR [TICK] [MAXCNXNS]     serve without one
  -Dzookeeper.snapCount=1000 ...            system properties, anywhere on the command line
  SERVER_JVMFLAGS, JVMFLAGS                 -D items in these variables; other JVM flags are ignored

What overrides what: variables' -D items < -D arguments < zoo.cfg < OSTLER_SET < --set and other flags.
Exit codes: 0 orderly end, 1 failure, 2 bad invocation or configuration, 3 data directory unusable.";

/// A coordination service that every ZooKeeper client can use unchanged.
#[derive(Parser, Debug)]
#[command(name = "ostler", version, about, after_help = AFTER_HELP, args_conflicts_with_subcommands = true,
    arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub log: LogArgs,
    /// A configuration file, or `PORT DATADIR [TICK] [MAXCNXNS]`.
    #[arg(value_name = "ZOO.CFG | PORT DATADIR", num_args = 1..)]
    pub apache: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a server: on port 2181 with data in ./ostler-data, or as a configuration file says.
    Serve(Serve),
    /// Run a whole ensemble on this machine.
    #[command(subcommand)]
    Cluster(Cluster),
    /// Load a server and measure throughput, latency and, with --pid, what an operation costs it.
    Bench(ostler_bench::Args),
    /// Look into transaction logs: dump, verify, chop.
    #[command(subcommand)]
    Log(Log),
    /// Look into snapshots: show, stats, diff, verify, convert.
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Explain a data directory: what is there, what is damaged, what to do. Changes nothing without --write.
    Doctor(Doctor),
    /// Print the completions of a shell.
    Completions(Completions),
    /// Write the manual pages of all commands into a folder.
    Man(Man),
    /// Look into servers and change what they hold, line by line.
    Shell(Interactive),
    /// Ask servers with a four-letter word: srvr, mntr, ruok.
    Word(FourLetters),
    /// Commands about znodes, with a session of their own.
    #[command(flatten)]
    OneShot(OneShot),
}

#[derive(ClapArgs, Debug)]
pub struct LogArgs {
    /// Shape of log lines (on stderr).
    #[arg(long = "log-format", env = "OSTLER_LOG_FORMAT", default_value = "human")]
    pub format: Format,
    /// Least severe log lines to print.
    #[arg(long = "log-level", env = "OSTLER_LOG_LEVEL", default_value = "info")]
    pub level: Level,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Format {
    Human,
    Json,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Serve {
    /// A configuration file in the format of zoo.cfg.
    #[arg(long, short = 'c', env = "OSTLER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Client port; 0 = any free one. Overrides clientPort.
    #[arg(long, env = "OSTLER_PORT")]
    pub port: Option<u16>,
    /// Address to listen on. Overrides clientPortAddress.
    #[arg(long, env = "OSTLER_ADDRESS")]
    pub address: Option<String>,
    /// Where snapshots are kept, and logs too unless --data-log-dir is given. Overrides dataDir.
    #[arg(long, env = "OSTLER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where transaction logs are kept. Overrides dataLogDir.
    #[arg(long, env = "OSTLER_DATA_LOG_DIR", value_name = "DIR")]
    pub data_log_dir: Option<String>,
    /// Any setting of zoo.cfg, for example --set snapCount=1000. May be repeated; in OSTLER_SET separated by `;`.
    #[arg(long, env = "OSTLER_SET", value_name = "KEY=VALUE", value_delimiter = ';', value_parser = setting)]
    pub set: Vec<String>,
    /// Start although transactions are missing between two that are there. What is lost stays lost.
    #[arg(long, env = "OSTLER_ACCEPT_GAP")]
    pub accept_gap: bool,
    #[command(flatten)]
    pub log: LogArgs,
}

/// A setting without a value would silently be an empty one.
fn setting(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('=') {
        Ok(text.to_owned())
    } else {
        Err(format!("it has no value; hint: write {text}=VALUE"))
    }
}

impl Serve {
    /// What the configuration is made from, without properties.
    pub fn inputs(self) -> Inputs {
        let mut overrides = Vec::new();
        for item in self.set.iter().filter(|item| !item.is_empty()) {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            overrides.push((key.trim().to_owned(), value.trim().to_owned(), "--set"));
        }
        let port = self.port.map(|port| port.to_string());
        for (key, value, flag) in [
            ("clientPort", port, "--port"),
            ("clientPortAddress", self.address, "--address"),
            ("dataDir", self.data_dir, "--data-dir"),
            ("dataLogDir", self.data_log_dir, "--data-log-dir"),
        ] {
            overrides.extend(value.map(|value| (key.to_owned(), value, flag)));
        }
        Inputs { file: self.config, overrides, accept_gap: self.accept_gap, ..Inputs::default() }
    }
}

/// Apache's forms: one argument is a file, more are port and directory.
pub fn apache_inputs(arguments: &[String]) -> Inputs {
    match arguments {
        [file] => Inputs { file: Some(file.into()), ..Inputs::default() },
        _ => Inputs { arguments: Some(arguments.to_vec()), ..Inputs::default() },
    }
}

/// Takes the `-Dname=value` items out of the arguments, and adds those of the variables that Apache's scripts use.
pub fn split_properties(arguments: impl Iterator<Item = String>) -> (Vec<String>, Properties) {
    let mut properties = Vec::new();
    for variable in ["SERVER_JVMFLAGS", "JVMFLAGS"] {
        let flags = std::env::var(variable).unwrap_or_default();
        properties.extend(flags.split_whitespace().filter_map(|flag| property(flag, variable)));
    }
    let arguments: Vec<String> = arguments.collect();
    // A command's data may look like a property: `ostler set /x -Dy=z`.
    if arguments.get(1).is_some_and(|name| name == "shell" || OneShot::is_command(name)) {
        return (arguments, properties);
    }
    let mut rest = Vec::new();
    for argument in arguments {
        match property(&argument, "argument") {
            Some(property) => properties.push(property),
            None => rest.push(argument),
        }
    }
    (rest, properties)
}

fn property(flag: &str, origin: &'static str) -> Option<(String, String, &'static str)> {
    let (name, value) = flag.strip_prefix("-D")?.split_once('=').unwrap_or((flag.strip_prefix("-D")?, ""));
    Some((name.to_owned(), value.trim_matches(['"', '\'']).to_owned(), origin))
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> LogFormat {
        match format {
            Format::Human => LogFormat::Human,
            Format::Json => LogFormat::Json,
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> LevelFilter {
        match level {
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
            Level::Trace => LevelFilter::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> (Args, Properties) {
        let (rest, properties) = split_properties(line.split(' ').map(str::to_owned));
        (Args::try_parse_from(rest).unwrap(), properties)
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn apaches_forms() {
        let (args, properties) = parse("ostler -Dzookeeper.snapCount=7 zoo.cfg -Dx");
        assert_eq!(apache_inputs(&args.apache).file, Some("zoo.cfg".into()));
        assert_eq!(
            properties,
            [("zookeeper.snapCount".into(), "7".into(), "argument"), ("x".into(), String::new(), "argument")]
        );
        let (args, _) = parse("ostler 2181 /data 2000 60");
        let expected = ["2181", "/data", "2000", "60"].map(str::to_owned).to_vec();
        assert_eq!(apache_inputs(&args.apache).arguments, Some(expected));
    }

    #[test]
    fn a_setting_needs_a_value() {
        let parse = |text: &str| Args::try_parse_from(["ostler", "serve", "--set", text]);
        let error = parse("tickTime").unwrap_err().to_string();
        assert!(error.contains("hint: write tickTime=VALUE"), "{error}");
        assert!(parse("tickTime=").is_ok() && parse("a=1;b=2;").is_ok());
    }

    #[test]
    fn flags_become_overrides_in_order() {
        let (args, _) = parse("ostler serve --set clientPort=1 --set tickTime=5 --port 7 --data-dir d --accept-gap");
        let Some(Command::Serve(serve)) = args.command else { panic!("serve") };
        let inputs = serve.inputs();
        assert!(inputs.accept_gap);
        let keys: Vec<_> = inputs.overrides.iter().map(|(key, value, _)| format!("{key}={value}")).collect();
        assert_eq!(keys, ["clientPort=1", "tickTime=5", "clientPort=7", "dataDir=d"]);
    }
}
