//! What can go wrong with files, said so that an operator knows what, where and what to do.

use ostler_model::Zxid;
use std::io;
use std::path::PathBuf;

/// An error of the store. Every message ends with a `hint:` line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}\nhint: {}", path.display(), io_hint(source))]
    Io {
        /// What was tried: "write", "sync", "open".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The log failed before and takes nothing any more.
    #[error(
        "the transaction log failed earlier and takes no more records\nhint: fix the cause named in the first error and restart the server"
    )]
    LogFailed,
    /// A directory is missing and may not be created.
    #[error("the data directory {} does not exist\nhint: create it, or set zookeeper.datadir.autocreate=true", .0.display())]
    MissingDir(PathBuf),
    /// Another server uses the directory.
    #[error("the data directory {} is in use by {}\nhint: stop that server first, or give this one another dataDir", dir.display(), holder(*pid))]
    InUse {
        /// Which.
        dir: PathBuf,
        /// By whom, if the lock file says so.
        pid: Option<u32>,
    },
    /// A snapshot in the log directory or a log in the snapshot directory.
    #[error("{} lies in the directory for {expected}\nhint: dataDir and dataLogDir may be swapped in the configuration; if they were split only now, move the snapshot.* files to dataDir/version-2 and the log.* files to dataLogDir/version-2", file.display())]
    WrongDir {
        /// The file.
        file: PathBuf,
        /// "snapshots" or "logs".
        expected: &'static str,
    },
    /// Bytes that no torn write explains.
    #[error("{} is corrupt at offset {offset}: {why}\nhint: {hint}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in it (uncompressed).
        offset: u64,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Transactions are missing between two that are there.
    #[error("{} continues with zxid {next} at offset {offset}, but the history before it ends at {last}: transactions are missing{}\nhint: bring back the missing log files; if they are lost for good, start once with --accept-gap (Apache joins the two without a word)", file.display(), because(why))]
    Gap {
        /// The file in which the history goes on.
        file: PathBuf,
        /// Where the record that does not follow begins.
        offset: u64,
        /// The last zxid before the hole.
        last: Zxid,
        /// The first behind it.
        next: Zxid,
        /// What ended the previous file, if known.
        why: Option<String>,
    },
    /// Candidates, but none readable.
    #[error("no valid snapshot in {}: {}\nhint: restore a snapshot from a backup or from another server", dir.display(), tried.join("; "))]
    NoValidSnapshot {
        /// The snapshot directory.
        dir: PathBuf,
        /// File and reason of each.
        tried: Vec<String>,
    },
    /// Logs without any snapshot.
    #[error("{} holds transaction logs but {} holds no snapshot: something is missing\nhint: bring back the snapshots; only if this server never wrote one (ZooKeeper before 3.5), set zookeeper.snapshot.trust.empty=true for one start", logs.display(), snapshots.display())]
    LogsWithoutSnapshot {
        /// The log directory.
        logs: PathBuf,
        /// The snapshot directory.
        snapshots: PathBuf,
    },
    /// No database, and none may be created.
    #[error("{} holds no database and db.autocreate is false\nhint: create the file {} to allow a new, empty database", dir.display(), dir.join("../initialize").display())]
    NoDatabase {
        /// The snapshot directory.
        dir: PathBuf,
    },
    /// A node refers to an ACL that neither snapshot nor logs define.
    #[error(
        "node {path} refers to ACL {acl_id}, which neither the snapshot nor the logs define\nhint: restore an older snapshot together with the logs after it"
    )]
    UnresolvedAcl {
        /// The node.
        path: String,
        /// The id.
        acl_id: i64,
    },
}

impl StoreError {
    /// For `map_err`: what was tried on which path.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { action, path, source }
    }
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path in the configuration",
        io::ErrorKind::PermissionDenied => {
            "make the directory and its files readable and writable for the user that runs the server (chown -R)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: remount it writable, or look in the kernel log for why it was remounted"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free space (old snapshots and logs can be purged), then restart the server"
        }
        _ => "look in the kernel log for errors of the disk",
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another server".to_owned(), |pid| format!("another server (pid {pid})"))
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
}
