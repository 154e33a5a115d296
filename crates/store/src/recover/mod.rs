//! From files to a tree (storage.md section 6, rules.md 1.6): choose a snapshot, replay the logs, refuse what no torn
//! write explains.
//!
//! Nothing is cut or joined silently. Three ends of a history are accepted: that of the newest log, torn or not, if
//! nothing but zeros lies behind it; that of an earlier log if the next one goes on exactly there (a server crashed and
//! was started again); and none at all in a fresh directory.

mod digests;
mod member;
mod replay;
mod snapshots;
#[cfg(test)]
mod tests;

pub use member::{MemberOptions, MemberState, load_upto, recover_member};
pub(crate) use snapshots::is_valid;

use crate::files::logs;
use crate::member::pending;
use crate::names::is_unfinished;
use crate::{DataDirs, Disk, SnapshotFormat, StoreError, write_snapshot};
use digests::Digests;
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The marker that allows a new database when `db.autocreate` is off.
const INITIALIZE: &str = "initialize";

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
    /// Join histories over a hole, and ignore records behind one, as Apache does.
    pub accept_gap: bool,
    /// How `snapshot.0` of a new database is written.
    pub format: SnapshotFormat,
}

impl RecoverOptions {
    /// Apache's defaults.
    pub fn new(tree: TreeConfig) -> RecoverOptions {
        RecoverOptions {
            tree,
            length_max: 2 * 0xf_ffff,
            trust_empty: false,
            autocreate: true,
            accept_gap: false,
            format: SnapshotFormat { digest_section: tree.digest, ..SnapshotFormat::default() },
        }
    }
}

/// How far a recovery is, told now and then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Nodes read from the snapshot.
    pub nodes: u64,
    /// Log records replayed.
    pub records: u64,
    /// Bytes read of the snapshot, or then of the logs.
    pub bytes: u64,
    /// Bytes of the snapshot, or then of the logs to read (preallocated ones count: it is an upper bound).
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
    /// Snapshots that failed the check of their first or last bytes, with the reason.
    pub invalid_snapshots: Vec<(String, String)>,
    /// Snapshots that failed while being read, in the order tried, with the reason.
    pub rejected_snapshots: Vec<(String, String)>,
    /// Nodes in the snapshot.
    pub snapshot_nodes: u64,
    /// Log records applied.
    pub records: u64,
    /// Log files read.
    pub log_files: usize,
    /// Digests that did not match.
    pub digest_mismatches: u64,
    /// The zxid of the first of them.
    pub first_mismatch: Option<Zxid>,
    /// Paths of the ephemerals without a session that were removed.
    pub orphans_removed: Vec<String>,
    /// A half-written record at the end of the newest log was dropped: file and offset.
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

/// Reads the database. Afterwards everything that was read is durable, so that nothing a client sees can vanish in the
/// next power cut. On a fresh directory `snapshot.0` is written. `progress` is called every 10,000 nodes or records.
///
/// # Errors
/// Anything that a torn last record does not explain; the message names the file and what to do.
pub fn recover<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    options: &RecoverOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered, StoreError> {
    let mut recovery = Recovery::new(disk, dirs, options, progress, Purpose::Standalone);
    let mut tree = recovery.read()?;
    recovery.facts.orphans_removed = tree.delete_orphan_ephemerals();
    recovery.complete(&tree)?;
    Ok(Recovered { tree, facts: recovery.facts })
}

/// What the tree is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// To serve alone: what is damaged is refused.
    Standalone,
    /// To join an ensemble: what is damaged can be had from the leader.
    Member,
    /// To have the state at a zxid while the log is open: nothing on disk is touched.
    UpTo(Zxid),
}

impl Purpose {
    fn ends_before(self, zxid: Zxid) -> bool {
        matches!(self, Purpose::UpTo(upto) if zxid > upto)
    }
}

/// A recovery under way.
struct Recovery<'a, D: Disk> {
    disk: &'a D,
    dirs: &'a DataDirs,
    options: &'a RecoverOptions,
    progress: &'a mut dyn FnMut(Progress),
    purpose: Purpose,
    facts: RecoveryFacts,
    /// Where the history of a member breaks off.
    hole: Option<StoreError>,
    /// A member has no database and may not make one.
    untrusted: bool,
    /// False for a leader's snapshot as long as no digest has matched: its ACLs may still be missing.
    settled: bool,
}

impl<'a, D: Disk> Recovery<'a, D> {
    fn new(
        disk: &'a D,
        dirs: &'a DataDirs,
        options: &'a RecoverOptions,
        progress: &'a mut dyn FnMut(Progress),
        purpose: Purpose,
    ) -> Recovery<'a, D> {
        let facts = RecoveryFacts::default();
        Recovery { disk, dirs, options, progress, purpose, facts, hole: None, untrusted: false, settled: true }
    }

    fn read(&mut self) -> Result<Tree, StoreError> {
        pending::finish(self.disk, self.dirs, self.options.length_max, &mut self.facts.warnings)?;
        self.remove_unfinished()?;
        let tree = match self.load_snapshot()? {
            Some((mut tree, mut digests)) => {
                self.replay(&mut tree, &mut digests)?;
                self.settled = digests.is_settled();
                tree
            }
            None => self.without_snapshot()?,
        };
        if self.hole.is_none() && self.settled {
            tree.finish_replay()?;
        }
        self.facts.zxid = tree.zxid();
        self.facts.digest = tree.digest();
        Ok(tree)
    }

    /// The names that were read are durable, a new database gets its first snapshot, and the marker is used up.
    fn complete(&mut self, tree: &Tree) -> Result<(), StoreError> {
        self.sync_dirs()?;
        if self.facts.created {
            write_snapshot(self.disk, self.dirs, tree, self.options.format)?;
        }
        self.remove_initialize()
    }

    /// Nothing to begin with (storage.md section 6.2).
    fn without_snapshot(&mut self) -> Result<Tree, StoreError> {
        let mut tree = Tree::new(self.options.tree);
        if !logs(self.disk, self.dirs)?.is_empty() {
            if !self.options.trust_empty {
                return Err(StoreError::LogsWithoutSnapshot {
                    logs: self.dirs.logs(),
                    snapshots: self.dirs.snapshots(),
                });
            }
            self.facts.warnings.push(format!(
                "{} holds no snapshot; everything is replayed from the logs because of snapshot.trust.empty",
                self.dirs.snapshots().display()
            ));
            if self.purpose == Purpose::Member {
                // So that the directory is like any other from now on.
                write_snapshot(self.disk, self.dirs, &tree, self.options.format)?;
            }
            self.replay(&mut tree, &mut Digests::new(&self.options.tree, None))?;
            return Ok(tree);
        }
        if !self.options.autocreate && self.initialize_files()?.is_empty() {
            if self.purpose == Purpose::Member {
                self.untrusted = true;
                return Ok(tree);
            }
            return Err(StoreError::NoDatabase {
                dir: self.dirs.snapshots(),
                marker: self.dirs.data_dir().join(INITIALIZE),
            });
        }
        self.facts.created = true;
        Ok(tree)
    }

    /// Files that a crash left half-written: they never had the name of a log or snapshot.
    fn remove_unfinished(&self) -> Result<(), StoreError> {
        for dir in self.version_dirs() {
            for entry in self.disk.list(&dir).map_err(StoreError::io("list the directory", &dir))? {
                if is_unfinished(&entry.name) {
                    let path = dir.join(&entry.name);
                    self.disk.remove(&path).map_err(StoreError::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// The names that were read must not vanish either: the writer may have died before it synced the directory.
    fn sync_dirs(&self) -> Result<(), StoreError> {
        for dir in self.version_dirs() {
            self.disk.sync_dir(&dir).map_err(StoreError::io("sync the directory", &dir))?;
        }
        Ok(())
    }

    fn version_dirs(&self) -> Vec<PathBuf> {
        let mut dirs = vec![self.dirs.snapshots()];
        if self.dirs.are_split() {
            dirs.push(self.dirs.logs());
        }
        dirs
    }

    /// The marker lies where the operator put it (dataLogDir) or where zkServer-initialize.sh puts it (dataDir).
    fn initialize_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        let mut look = |dir: &Path| -> Result<(), StoreError> {
            let entries = self.disk.list(dir).map_err(StoreError::io("list the directory", dir))?;
            if entries.iter().any(|entry| entry.name == INITIALIZE) {
                found.push(dir.join(INITIALIZE));
            }
            Ok(())
        };
        look(self.dirs.data_dir())?;
        if self.dirs.are_split() {
            look(self.dirs.data_log_dir())?;
        }
        Ok(found)
    }

    /// It is good for one start, needed or not.
    fn remove_initialize(&self) -> Result<(), StoreError> {
        for path in self.initialize_files()? {
            self.disk.remove(&path).map_err(StoreError::io("remove", &path))?;
        }
        Ok(())
    }

    fn timed<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> (T, Duration) {
        let start = Instant::now();
        let result = run(self);
        (result, start.elapsed())
    }
}
