//! `ostler log`, `ostler snapshot` and `ostler doctor`: the files of a data directory, looked at without a server.

use clap::{Args, Subcommand, ValueEnum};
use ostler_inspect::doctor::{self, Health, Visit};
use ostler_inspect::{InspectError, LENGTH_MAX, log, snapshot};
use ostler_model::{SessionId, Zxid};
use ostler_store::Compression;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXIT_CODES: &str =
    "Exit codes: 0 all is well, 1 failure (or differences), 2 bad invocation, 3 something is damaged.";

/// Nothing failed, but what was looked at is damaged.
const DAMAGED: u8 = 3;

/// Tools for transaction logs.
#[derive(Subcommand, Debug)]
#[command(after_help = EXIT_CODES)]
pub enum Log {
    /// Print the transactions of a log, one a line.
    #[command(after_help = "Example: ostler log dump data/version-2/log.1 --path /brokers --from 0x100000000")]
    Dump {
        /// log.ZXID, of Ostler or Apache.
        file: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// From this zxid on (decimal or 0x...).
        #[arg(long, value_parser = zxid)]
        from: Option<Zxid>,
        /// Up to this zxid.
        #[arg(long, value_parser = zxid)]
        upto: Option<Zxid>,
        /// Only what touches this node or one below it.
        #[arg(long)]
        path: Option<String>,
        /// Only of this session.
        #[arg(long, value_parser = session)]
        session: Option<SessionId>,
    },
    /// Read logs to their ends: checksums, contents, order.
    #[command(after_help = "Example: ostler log verify data/version-2/log.*")]
    Verify {
        /// log.ZXID files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Copy the transactions up to a zxid to a new file.
    #[command(
        after_help = "Example: ostler log chop log.1 --zxid 0x2f writes log.1.chopped47, which a server reads in place of log.1."
    )]
    Chop {
        /// log.ZXID; it is not changed.
        file: PathBuf,
        /// The last transaction to keep (decimal or 0x...).
        #[arg(long, value_parser = zxid)]
        zxid: Zxid,
        /// The new file; FILE.choppedZXID if it is not given.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

/// Tools for snapshots.
#[derive(Subcommand, Debug)]
#[command(after_help = EXIT_CODES)]
pub enum Snapshot {
    /// Print the tree.
    #[command(after_help = "Example: ostler snapshot show snapshot.1f --path /hbase --depth 2")]
    Show {
        /// snapshot.ZXID[.gz|.snappy], of Ostler or Apache.
        file: PathBuf,
        /// Only this node and what lies below it.
        #[arg(long)]
        path: Option<String>,
        /// So many levels below it.
        #[arg(long)]
        depth: Option<usize>,
        /// Stat and ACL of each node too.
        #[arg(long, short)]
        long: bool,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Count: nodes, bytes, sessions, ephemerals by owner, the biggest nodes, the fullest parents.
    #[command(after_help = "Example: ostler snapshot stats data/version-2/snapshot.1f --top 20")]
    Stats {
        /// The snapshot.
        file: PathBuf,
        /// Length of the lists.
        #[arg(long, default_value_t = 10)]
        top: usize,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print what differs between two snapshots; exit code 1 if anything does.
    #[command(after_help = "Example: ostler snapshot diff snapshot.1f other/snapshot.1f")]
    Diff {
        /// One snapshot.
        left: PathBuf,
        /// Another one.
        right: PathBuf,
    },
    /// Read snapshots to their ends: seals, structure, digest.
    #[command(after_help = "Example: ostler snapshot verify data/version-2/snapshot.*")]
    Verify {
        /// snapshot.ZXID files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write a snapshot with another compression, under the name that belongs to it.
    #[command(after_help = "Example: ostler snapshot convert snapshot.1f --to gz")]
    Convert {
        /// The snapshot; it is not changed.
        file: PathBuf,
        /// The compression.
        #[arg(long)]
        to: Kind,
        /// Where to; the directory of FILE if it is not given.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
}

/// Compressions that Apache knows.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub enum Kind {
    /// None.
    Plain,
    /// gzip.
    Gz,
    /// snappy.
    Snappy,
}

/// `ostler doctor`.
#[derive(Args, Debug)]
#[command(after_help = format!("Examples:
  ostler doctor /var/lib/zookeeper                    what is there and what a start would do
  ostler doctor /var/lib/zookeeper --write            repair, with a backup

{EXIT_CODES}"))]
pub struct Doctor {
    /// dataDir of a server that is not running.
    data_dir: PathBuf,
    /// dataLogDir, if the logs have a directory of their own.
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// Join histories where transactions are missing.
    #[arg(long)]
    accept_gap: bool,
    /// Repair: copy everything to --backup, do what a start would do, and write a fresh snapshot.
    #[arg(long)]
    write: bool,
    /// Where the copy goes; DATADIR-backup if it is not given.
    #[arg(long, requires = "write")]
    backup: Option<PathBuf>,
}

/// Decimal, or hexadecimal with 0x.
fn number(text: &str) -> Result<i64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).map(|number| number as i64),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; hint: write a decimal number or a hexadecimal one with 0x in front"))
}

fn zxid(text: &str) -> Result<Zxid, String> {
    number(text).map(Zxid)
}

fn session(text: &str) -> Result<SessionId, String> {
    number(text).map(SessionId)
}

/// Runs a tool with the standard output, which is flushed at the end.
#[allow(clippy::print_stderr, reason = "errors of a command")]
fn to_stdout(tool: impl FnOnce(&mut dyn Write) -> Result<u8, InspectError>) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let result = tool(&mut out).and_then(|code| {
        out.flush()?;
        Ok(code)
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // What was found before the error comes first.
            let _ = out.flush();
            eprintln!("ostler: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `ostler log`.
#[allow(clippy::print_stderr, reason = "summaries do not belong into the data")]
pub fn run_log(command: Log) -> ExitCode {
    to_stdout(|out| match command {
        Log::Dump { file, json, from, upto, path, session } => {
            let summary = log::dump(&file, &log::Filter { from, upto, path, session }, json, LENGTH_MAX, out)?;
            out.flush()?;
            let range = summary.range.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
            eprintln!("{}: {} transactions{range}", file.display(), summary.records);
            for problem in &summary.problems {
                eprintln!("{}: {problem}", file.display());
            }
            Ok(if summary.problems.is_empty() { 0 } else { DAMAGED })
        }
        Log::Verify { files } => {
            let mut code = 0;
            for file in files {
                let summary = log::verify(&file, LENGTH_MAX)?;
                let range = summary.range.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
                let verdict = if summary.problems.is_empty() { "whole" } else { "DAMAGED" };
                writeln!(
                    out,
                    "{}: {verdict}: {} transactions{range}, {} bytes",
                    file.display(),
                    summary.records,
                    summary.end
                )?;
                for problem in &summary.problems {
                    code = DAMAGED;
                    writeln!(out, "  {}", problem.replace('\n', "\n  "))?;
                }
            }
            Ok(code)
        }
        Log::Chop { file, zxid, output } => {
            let (written, summary) = log::chop(&file, zxid, output, LENGTH_MAX)?;
            let last = summary.range.map_or(zxid, |(_, last)| last);
            writeln!(
                out,
                "{}: {} transactions up to {last}, {} bytes",
                written.display(),
                summary.records,
                summary.end
            )?;
            Ok(0)
        }
    })
}

/// Runs `ostler snapshot`.
pub fn run_snapshot(command: Snapshot) -> ExitCode {
    to_stdout(|out| match command {
        Snapshot::Show { file, path, depth, long, json } => {
            snapshot::show(&file, &snapshot::Shown { path, depth, long, json }, LENGTH_MAX, out)?;
            Ok(0)
        }
        Snapshot::Stats { file, top, json } => {
            snapshot::stats(&file, top, json, LENGTH_MAX, out)?;
            Ok(0)
        }
        Snapshot::Diff { left, right } => Ok(u8::from(snapshot::diff(&left, &right, LENGTH_MAX, out)? > 0)),
        Snapshot::Verify { files } => {
            let mut code = 0;
            for file in files {
                match snapshot::verify(&file, LENGTH_MAX) {
                    Ok(line) => writeln!(out, "{}: whole: {line}", file.display())?,
                    Err(error @ InspectError::Snapshot { .. }) => {
                        code = DAMAGED;
                        writeln!(out, "DAMAGED: {error}")?;
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(code)
        }
        Snapshot::Convert { file, to, dir } => {
            let compression = match to {
                Kind::Plain => Compression::None,
                Kind::Gz => Compression::Gzip,
                Kind::Snappy => Compression::Snappy,
            };
            writeln!(out, "{}", snapshot::convert(&file, compression, dir.as_deref(), LENGTH_MAX)?.display())?;
            Ok(0)
        }
    })
}

/// Runs `ostler doctor`.
pub fn run_doctor(doctor: Doctor) -> ExitCode {
    let backup = doctor.write.then(|| {
        doctor.backup.unwrap_or_else(|| {
            let mut name = doctor.data_dir.clone().into_os_string();
            name.push("-backup");
            name.into()
        })
    });
    let Doctor { data_dir, log_dir, accept_gap, .. } = doctor;
    let visit = Visit { data_dir, log_dir, accept_gap, backup, length_max: LENGTH_MAX };
    to_stdout(|out| {
        Ok(match doctor::visit(&visit, out)? {
            Health::Sound | Health::Remarks => 0,
            Health::Ill => DAMAGED,
        })
    })
}
