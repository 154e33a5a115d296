//! Why the server did not start, or stopped; each with the exit code that scripts know (operations.md section 1.5).

use crate::config::{ConfigError, EXIT_CONFIG, EXIT_FAILURE};
use ostler_store::StoreError;
use std::io;
use std::path::PathBuf;

/// Exit code of an unusable data directory.
const EXIT_DATA_DIR: u8 = 3;

/// The end of the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration.
    #[error("{0}\nInvalid config, exiting abnormally")]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error("{0}\nUnable to access datadir, exiting abnormally")]
    DataDir(StoreError),
    /// The files of the ensemble's configuration cannot be read or written.
    #[error(
        "{0}\nhint: with reconfigEnabled=true the server writes zoo.cfg and files beside it; without it, it does not\nInvalid config, exiting abnormally"
    )]
    EnsembleFiles(StoreError),
    /// The name of the configuration file does not do.
    #[error("{}: {why}\nhint: with reconfigEnabled=true the server rewrites this file: give its path as plain text\nInvalid config, exiting abnormally", path.display())]
    ConfigPath {
        /// As it was given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The data cannot be read.
    #[error("{0}")]
    Recovery(StoreError),
    /// The client port cannot be opened.
    #[error("cannot listen on {address}: {source}\nhint: {}", listen_hint(source))]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The system refuses something a server needs: an epoll instance, a thread, a signal handler.
    #[error("cannot {action}: {source}\nhint: look at the limits of the process (ulimit -a) and the kernel log")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl ServerError {
    /// The process ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServerError::Config(error) => error.exit_code,
            ServerError::EnsembleFiles(_) | ServerError::ConfigPath { .. } => EXIT_CONFIG,
            ServerError::DataDir(_) => EXIT_DATA_DIR,
            ServerError::Recovery(_) | ServerError::Listen { .. } | ServerError::System { .. } => EXIT_FAILURE,
        }
    }

    /// For `map_err`.
    pub(crate) fn system(action: &'static str) -> impl FnOnce(io::Error) -> ServerError {
        move |source| ServerError::System { action, source }
    }
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or choose another port (clientPort=..., --port)"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need root; choose another (clientPort=..., --port)",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::NotFound => {
            "this machine does not have that address: check clientPortAddress"
        }
        _ => "check clientPort and clientPortAddress",
    }
}
