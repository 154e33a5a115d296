//! From files to a tree (storage.md section 6, rules.md 1.6): choose a snapshot, replay the logs, refuse what no torn
//! write explains.

use crate::{DataDirs, Disk, StoreError};
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use std::time::Duration;

/// The settings of a recovery.
#[derive(Clone, Debug)]
pub struct RecoverOptions {
    /// How the tree is made.
    pub tree: TreeConfig,
    /// Strings and buffers above this are refused: jute.maxbuffer + extrasize.
    pub length_max: usize,
    /// `zookeeper.snapshot.trust.empty`: logs without any snapshot start from an empty tree.
    pub trust_empty: bool,
    /// `zookeeper.db.autocreate`: make a new database if there is none.
    pub autocreate: bool,
    /// Join histories over a hole, as Apache does.
    pub accept_gap: bool,
}

impl RecoverOptions {
    /// Apache's defaults.
    pub fn new(tree: TreeConfig) -> RecoverOptions {
        RecoverOptions { tree, length_max: 2 * 0xf_ffff, trust_empty: false, autocreate: true, accept_gap: false }
    }
}

/// How far a recovery is, told now and then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Nodes read from the snapshot.
    pub nodes: u64,
    /// Log records replayed.
    pub records: u64,
    /// Bytes read, of `bytes_total`.
    pub bytes: u64,
    /// Bytes of the snapshot and of the logs to read (preallocated ones count: it is an upper bound).
    pub bytes_total: u64,
}

/// What there is to say about a recovery.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryFacts {
    /// The last transaction.
    pub zxid: Zxid,
    /// The tree's digest before orphans were removed (what Apache logs), 0 with digests off.
    pub digest: i64,
    /// The snapshot that was read; `None`: there was none.
    pub snapshot: Option<String>,
    /// Its zxid.
    pub snapshot_zxid: Zxid,
    /// Snapshots that failed the check of their tail or of their first bytes, with the reason.
    pub invalid_snapshots: Vec<(String, String)>,
    /// Snapshots that failed while being read, in the order tried, with the reason.
    pub rejected_snapshots: Vec<(String, String)>,
    /// Nodes in the snapshot.
    pub snapshot_nodes: u64,
    /// Log records applied.
    pub records: u64,
    /// Log files read.
    pub log_files: usize,
    /// Digests that did not match: zxid of the first, and how many.
    pub digest_mismatches: u64,
    /// The first of them.
    pub first_mismatch: Option<Zxid>,
    /// Ephemerals without a session that were removed.
    pub orphans_removed: usize,
    /// Bytes of a half-written record at the end of the newest log: file and offset where reading ended.
    pub torn_tail: Option<(String, u64)>,
    /// Things an operator should read: joined gaps, removed files.
    pub warnings: Vec<String>,
    /// A new, empty database was made.
    pub created: bool,
    /// Time for the snapshot.
    pub snapshot_time: Duration,
    /// Time for the logs.
    pub replay_time: Duration,
}

/// A recovered database.
#[derive(Debug)]
pub struct Recovered {
    /// The tree, with its sessions.
    pub tree: Tree,
    /// What happened.
    pub facts: RecoveryFacts,
}

/// Reads the database. Afterwards everything that was read is durable, so that nothing a client sees can vanish in the next
/// power cut. On a fresh directory `snapshot.0` is written. `progress` is called about every 10,000 nodes or records.
///
/// # Errors
/// Anything that a torn last record does not explain; the message names the file and what to do.
pub fn recover<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    options: &RecoverOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered, StoreError> {
    let _ = (disk, dirs, options, progress);
    todo!()
}
