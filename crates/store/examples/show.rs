//! Prints the database of a data directory as JSON lines, sorted by path: what a client would read from a server on it.
//!
//! `cargo run -p ostler-store --example show -- DATADIR [DATALOGDIR] [--accept-gap]`. What was recovered, and how, goes to
//! stderr. The directory is treated as by a starting server: an empty newest log is removed, a missing database created.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

#[path = "../tests/support/mod.rs"]
mod support;

use ostler_store::{DataDirs, DirLock, RealDisk, RecoverOptions, recover};
use ostler_tree::TreeConfig;
use serde_json::json;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use support::{base64, paths};

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn show() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, dirs): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let data = dirs.first().ok_or("usage: show DATADIR [DATALOGDIR] [--accept-gap]")?;
    let dirs = DataDirs::new(data, dirs.get(1).map(Into::into));
    dirs.prepare(&RealDisk, false)?;
    let _lock = DirLock::acquire(&dirs)?;
    let mut options = RecoverOptions::new(TreeConfig { seed: 1, digest: true });
    options.accept_gap = flags.iter().any(|flag| flag == "--accept-gap");
    let recovered = recover(&RealDisk, &dirs, &options, &mut |_| {})?;
    eprintln!("{:#?}", recovered.facts);
    let tree = &recovered.tree;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for path in paths(tree) {
        let node = tree.node(&path).ok_or("the tree lists a node that it does not have")?;
        let stat = node.stat();
        let acl: Vec<_> =
            node.acl().iter().map(|acl| json!({"perms": acl.perms, "scheme": acl.scheme, "id": acl.id})).collect();
        let line = json!({
            "path": path,
            "data": node.data().map(base64),
            "acl": acl,
            "stat": {
                "czxid": stat.czxid.0, "mzxid": stat.mzxid.0, "ctime": stat.ctime, "mtime": stat.mtime,
                "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
                "ephemeralOwner": stat.ephemeral_owner, "dataLength": stat.data_length,
                "numChildren": stat.num_children, "pzxid": stat.pzxid.0,
            },
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
