//! What can go wrong while looking.

use ostler_store::{SnapshotError, StoreError};
use std::io;
use std::path::PathBuf;

/// An error of a tool. Every message ends with a `hint:` line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// From the files themselves.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A snapshot that does not read.
    #[error("{} is not a whole snapshot: {why}\n  hint: a server passes it over and begins with an older one; `ostler doctor DATADIR` says with which", file.display())]
    Snapshot {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: SnapshotError,
    },
    /// A name that tells no zxid.
    #[error("{} is not named as a {kind}\n  hint: a {kind} is called {kind}.ZXID, with a hexadecimal zxid; rename a copy if it was renamed", file.display())]
    Name {
        /// The file.
        file: PathBuf,
        /// "log" or "snapshot".
        kind: &'static str,
    },
    /// A record that is whole and says nothing.
    #[error("{}: the record at offset {offset} does not decode: {why}\n  hint: its checksum is right, so that it was written like this: by a version with other transactions?", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// The target of a copy is there already.
    #[error("{} exists already\n  hint: remove it, or name another file with --output", .0.display())]
    Exists(PathBuf),
    /// Nothing to do.
    #[error("{} holds no transaction up to {zxid}\n  hint: its first one is {first}", file.display())]
    NothingLeft {
        /// The file.
        file: PathBuf,
        /// The bound.
        zxid: ostler_model::Zxid,
        /// What the file begins with.
        first: ostler_model::Zxid,
    },
    /// A node that is not in the snapshot.
    #[error("{} has no node {path}\n  hint: `ostler snapshot show FILE` lists them all", file.display())]
    NoNode {
        /// The file.
        file: PathBuf,
        /// The node.
        path: String,
    },
    /// A file of the operating system.
    #[error("cannot {action} {}: {source}\n  hint: check the path and who may read and write it", path.display())]
    Io {
        /// "read", "write", ...
        action: &'static str,
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The output could not be written; a closed pipe is the reader's right and ends the tool quietly.
    #[error("cannot write the output: {0}\n  hint: is the disk full?")]
    Output(#[from] io::Error),
}

impl InspectError {
    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> InspectError {
        let path = path.into();
        move |source| InspectError::Io { action, path, source }
    }

    /// True if whoever read the output has seen enough.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, InspectError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
