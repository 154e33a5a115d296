//! The configuration: parsed once into a [`Config`] and passed on. zoo.cfg as Apache's, plus flags.
//!
//! [`Inputs`] is everything that the process was given (file, arguments, `-D` items, flags); [`Config::load`] turns
//! it into a value or into an error that says what, where and what to do (operations.md sections 1 and 2). Notices
//! are what an operator should hear although the server starts.

mod build;
mod ensemble;
mod keys;
mod number;
mod servers;
mod throttle;
mod values;

pub use build::Inputs;
pub use ensemble::{Dynamic, EnsembleConfig};
pub use throttle::Throttle;

use crate::batching::Batching;
use ostler_node::DigestAlgorithm;
use std::path::PathBuf;

/// Exit code of a bad invocation or configuration (operations.md section 1.5).
pub const EXIT_CONFIG: u8 = 2;
/// Exit code of anything unexpected.
pub const EXIT_FAILURE: u8 = 1;

/// A configuration with which the server does not start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {what}\nhint: {hint}")]
pub struct ConfigError {
    /// File and line, flag, or key.
    pub place: String,
    /// What is wrong, in Apache's words where it has any.
    pub what: String,
    /// What to do.
    pub hint: String,
    /// The process ends with it.
    pub exit_code: u8,
}

impl ConfigError {
    fn at(place: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { place: place.into(), what: what.into(), hint: hint.into(), exit_code: EXIT_CONFIG }
    }
}

/// Something to tell the operator about the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// False: worth a debug line only.
    pub warning: bool,
    /// What and where.
    pub what: String,
    /// What to do, empty for debug lines.
    pub hint: String,
}

impl Notice {
    fn warn(what: impl Into<String>, hint: impl Into<String>) -> Notice {
        Notice { warning: true, what: what.into(), hint: hint.into() }
    }

    fn debug(what: String) -> Notice {
        Notice { warning: false, what, hint: String::new() }
    }
}

/// How the server was told what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nothing was given: the embedded default.
    Embedded,
    /// A configuration file.
    File(PathBuf),
    /// `ostler PORT DATADIR [TICK] [MAXCNXNS]`.
    Arguments,
}

/// A server's configuration, checked. Field names follow Apache's settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where it comes from.
    pub origin: Origin,
    /// Snapshots; its `version-2` subdirectory is used.
    pub data_dir: PathBuf,
    /// Transaction logs; equal to `data_dir` unless set.
    pub data_log_dir: PathBuf,
    /// Where clients connect. Without it nobody can, which Apache allows too.
    pub listen: Option<Listen>,
    /// The ensemble it is a member of; `None`: it is alone.
    pub ensemble: Option<EnsembleConfig>,
    /// Length of the tick, to which expiry is rounded.
    pub tick_time_ms: i32,
    /// Session time-outs are clamped to this and the next.
    pub min_session_timeout_ms: i32,
    /// See above.
    pub max_session_timeout_ms: i32,
    /// Connections of one remote address, 0 = unlimited.
    pub max_client_cnxns: i32,
    /// Connections in all, 0 = unlimited.
    pub max_cnxns: i32,
    /// Connections without a session are closed after this.
    pub sessionless_timeout_ms: u64,
    /// SO_KEEPALIVE on client connections.
    pub tcp_keep_alive: bool,
    /// `jute.maxbuffer`: frames above it close the connection.
    pub frame_bytes_max: usize,
    /// Limit of one record in files: frame limit plus `jute.maxbuffer.extrasize`.
    pub record_bytes_max: usize,
    /// Requests in flight before sockets are no longer read.
    pub global_outstanding_limit: usize,
    /// The audit log (`audit.enable`).
    pub audit: bool,
    /// Turning clients away and slowing them down.
    pub throttle: Throttle,
    /// An orderly stop waits this long for writes under way (`request_throttler.shutdownTimeout`).
    pub stop_ms: u64,
    /// TTL nodes.
    pub extended_types: bool,
    /// Refuse writes over a hard quota.
    pub enforce_quota: bool,
    /// No ACL checks.
    pub skip_acl: bool,
    /// The reconfig operation (which a standalone server refuses either way).
    pub reconfig_enabled: bool,
    /// A member without a quorum serves clients that are content with reading; `isro` is allowed without a whitelist
    /// entry.
    pub read_only_mode: bool,
    /// Only read-only mode asks for it (client-protocol.md section 18): all other sessions are global.
    pub local_sessions: bool,
    /// Authentication.
    pub auth: Auth,
    /// Which four-letter words are answered.
    pub words: Whitelist,
    /// Transaction log.
    pub log: Log,
    /// Snapshots and recovery.
    pub snapshot: Snapshot,
    /// Cleaning of containers and TTL nodes.
    pub containers: Containers,
    /// Autopurge.
    pub purge: Purge,
}

/// Address of the client port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Host name or address; `None` = all addresses.
    pub host: Option<String>,
    /// 0 = any free port (only by flag).
    pub port: u16,
    /// `clientPortListenBacklog`; -1 = the default of 50.
    pub backlog: i32,
    /// A flag named the port: a reconfiguration does not move it.
    pub is_fixed: bool,
}

/// Who may do what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Auth {
    /// The digest scheme.
    pub digest: bool,
    /// `user:base64(hash)` of the super user.
    pub super_digest: Option<String>,
    /// `digestAlg`.
    pub digest_algorithm: DigestAlgorithm,
    /// Schemes of which every connection must have an id.
    pub enforced_schemes: Option<Vec<String>>,
    /// `ensembleAuthName`; `None` = no provider registers the scheme, empty = registered without names.
    pub ensemble_names: Option<Vec<String>>,
}

/// `4lw.commands.whitelist`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Whitelist {
    /// `*`.
    pub all: bool,
    /// The words listed, trimmed.
    pub words: Vec<String>,
}

/// Transaction log settings (storage.md sections 3.3 and 3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log {
    /// `preAllocSize` in bytes, 0 = off.
    pub prealloc_bytes: u64,
    /// `snapCount`, at least 2.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes, 0 = off.
    pub snap_size_limit_bytes: u64,
    /// `txnLogSizeLimitInKb` in bytes, 0 = off.
    pub size_limit_bytes: u64,
    /// fdatasync before acknowledging.
    pub force_sync: bool,
    /// `fsync.warningthresholdms`.
    pub slow_sync_ms: u64,
    /// When a batch is written.
    pub batching: Batching,
    /// Write closeSession transactions with the list of ephemerals.
    pub close_session_paths: bool,
}

/// Snapshot and recovery settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// `snapshot.compression.method`.
    pub compression: Compression,
    /// Logs without a snapshot are not an error.
    pub trust_empty: bool,
    /// Create missing directories.
    pub create_dirs: bool,
    /// Start with an empty database when there is none.
    pub create_db: bool,
    /// Compute, write and check digests.
    pub digest: bool,
    /// Write the zxid section.
    pub last_zxid_section: bool,
    /// `--accept-gap`: replay over a hole in the history.
    pub accept_gap: bool,
}

/// How snapshots are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum Compression {
    Plain,
    Gzip,
    Snappy,
}

/// `znode.container.*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Containers {
    /// Between two rounds, ms.
    pub interval_ms: u64,
    /// Deletes in one minute.
    pub per_minute_max: u32,
    /// A container that never had children is deleted after this, 0 = never.
    pub never_used_ms: i64,
}

/// `autopurge.*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purge {
    /// Snapshots to keep, at least 3.
    pub retain: usize,
    /// Hours between two purges, 0 = off.
    pub interval_hours: u32,
}

/// A configuration and what there is to say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The value.
    pub config: Config,
    /// To be logged once logging is on.
    pub notices: Vec<Notice>,
}

impl Whitelist {
    /// Apache's syntax: comma separated, blanks trimmed, `*` = all.
    pub fn parse(text: &str) -> Whitelist {
        let words: Vec<String> = text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        Whitelist { all: words.iter().any(|word| word == "*"), words }
    }
}
