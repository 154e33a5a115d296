//! What can go wrong with files, said so that an operator knows what, where and what to do.

use ostler_model::Zxid;
use ostler_tree::LoadError;
use std::io;
use std::path::PathBuf;

/// An error of the store. Every message ends with a `hint:` line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}\n  hint: {}", path.display(), io_hint(source))]
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
        "the transaction log failed earlier and takes no more records\n  hint: fix the cause named in the first error and restart the server"
    )]
    LogFailed,
    /// An epoch file failed before and is not written any more.
    #[error("an epoch file in {} could not be written earlier and is not tried again\n  hint: fix the cause named in the first error and restart the server", dir.display())]
    EpochsFailed {
        /// The snapshot directory.
        dir: PathBuf,
    },
    /// An epoch file that makes no sense.
    #[error("{}: {why}\n  hint: {hint}", file.display())]
    EpochFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file of the ensemble's configuration that cannot be used.
    #[error("{}: {why}\n  hint: {hint}", file.display())]
    ConfigFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// A directory is missing and may not be created.
    #[error("the data directory {} does not exist\n  hint: create it, or set zookeeper.datadir.autocreate=true", .0.display())]
    MissingDir(PathBuf),
    /// Another server uses the directory.
    #[error("the data directory {} is in use by {}\n  hint: stop that server first, or give this one another dataDir", dir.display(), holder(*pid))]
    InUse {
        /// Which.
        dir: PathBuf,
        /// By whom, if the lock file says so.
        pid: Option<u32>,
    },
    /// A snapshot in the log directory or a log in the snapshot directory.
    #[error("{} lies in the directory for {expected}\n  hint: dataDir and dataLogDir may be swapped in the configuration; if they were split only now, move the snapshot.* files to dataDir/version-2 and the log.* files to dataLogDir/version-2", file.display())]
    WrongDir {
        /// The file.
        file: PathBuf,
        /// "snapshots" or "logs".
        expected: &'static str,
    },
    /// Bytes that no torn write explains.
    #[error("{} is corrupt at offset {offset}: {why}\n  hint: {hint}", file.display())]
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
    #[error("{} continues with zxid {next} at offset {offset}, but the history before it ends at {last}: transactions are missing{}\n  hint: bring back the missing log files; if they are lost for good, start once with --accept-gap (Apache joins the two without a word)", file.display(), because(why))]
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
    /// The log does not hold a range of the history, or no longer.
    #[error(
        "the log does not hold the transactions behind {after} up to {to}: {why}\n  hint: the learner gets a snapshot instead; if this happens often, keep more logs (autopurge.snapRetainCount)"
    )]
    NotInLog {
        /// The zxid before the range.
        after: Zxid,
        /// The last of it.
        to: Zxid,
        /// What is there instead.
        why: String,
    },
    /// A leader's stream that is no tree.
    #[error(
        "the snapshot that the leader sends is not readable at offset {offset}: {why}\n  hint: the server connects again and asks once more; if that does not help, compare jute.maxbuffer and the versions of both servers"
    )]
    TreeStream {
        /// Where in the stream.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// Candidates, but none readable.
    #[error("no valid snapshot in {}: {}\n  hint: restore a snapshot from a backup or from another server", dir.display(), tried.join("; "))]
    NoValidSnapshot {
        /// The snapshot directory.
        dir: PathBuf,
        /// File and reason of each.
        tried: Vec<String>,
    },
    /// Logs without any snapshot.
    #[error("{} holds transaction logs but {} holds no snapshot: something is missing\n  hint: bring back the snapshots; only if this server never wrote one (ZooKeeper before 3.5), set zookeeper.snapshot.trust.empty=true for one start", logs.display(), snapshots.display())]
    LogsWithoutSnapshot {
        /// The log directory.
        logs: PathBuf,
        /// The snapshot directory.
        snapshots: PathBuf,
    },
    /// Records behind the end of the newest log.
    #[error("{} holds something at offset {behind}, behind the end of its records at {offset}\n  hint: if the server has just lost power, what lies there was never acknowledged to a client: start once with --accept-gap, which ignores it as Apache does; otherwise restore the file from a backup", file.display())]
    BytesBehindEnd {
        /// The newest log.
        file: PathBuf,
        /// Where its records end.
        offset: u64,
        /// The first byte behind that is not zero.
        behind: u64,
    },
    /// No database, and none may be created.
    #[error("{} holds no database and db.autocreate is false\n  hint: create the file {} to allow a new, empty database", dir.display(), marker.display())]
    NoDatabase {
        /// The snapshot directory.
        dir: PathBuf,
        /// The marker that allows one.
        marker: PathBuf,
    },
    /// The replayed tree is not complete.
    #[error(transparent)]
    Tree(#[from] LoadError),
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
        io::ErrorKind::NotADirectory => "a part of this path is a file: check dataDir and dataLogDir",
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
