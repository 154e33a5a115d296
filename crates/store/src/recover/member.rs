//! Recovery of an ensemble member (rules.md 1.2 and 1.6, ensemble.md section 1.3).
//!
//! The history of a member is snapshot and whole log; its tail may be uncommitted, so that the tree is provisional until a
//! leader says otherwise. Where a standalone server refuses to start, a member can do better: it joins an ensemble and copies
//! the leader's history. But it may have forgotten what it acknowledged, so it must not help to elect anybody meanwhile
//! (BUG-23): it is not *trusted*, has no zxid, and the files stay as they are until a snapshot is installed, so that it is
//! not trusted after the next start either.
//!
//! What a power cut leaves of writes that were never synced is no reason for distrust: it is cut off, here and now, so that
//! nobody finds it later.

use super::{Digests, Progress, Purpose, RecoverOptions, Recovered, Recovery, RecoveryFacts};
use crate::member::pending::{self, Pending};
use crate::{DataDirs, Disk, DiskFile, EpochFiles, History, LogReader, StoreError, history};
use ostler_model::Zxid;
use ostler_tree::Tree;
use std::path::Path;

/// The settings of a member's recovery.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// Those of any recovery. `accept_gap` discards what lies behind a hole for good and trusts the rest.
    pub recover: RecoverOptions,
    /// About so many bytes of older logs are read to find out how far back the log is whole.
    pub history_bytes_max: u64,
}

impl MemberOptions {
    /// 256 MiB of history.
    pub fn new(recover: RecoverOptions) -> MemberOptions {
        MemberOptions { recover, history_bytes_max: 256 << 20 }
    }
}

/// What a member knows after its start.
#[derive(Debug)]
pub struct MemberState<D: Disk> {
    /// Snapshot and whole log: **provisional**. Empty if the member is not trusted.
    pub tree: Tree,
    /// False: the snapshot came from a leader (which does not say until where it is fuzzy) and no digest in the log has matched
    /// yet. The server stopped before it had all that the leader sent, or wrote nothing since: until more is applied the tree
    /// may mix states, digests are not to be compared, and [`Tree::finish_replay`] must be asked before anybody is served.
    pub settled: bool,
    /// The end of the history: what votes and ACKEPOCH must name (INV-22). `None`: not trusted, Apache's zxid -1: such a
    /// member joins a leader and takes its snapshot, and never decides an election. It must not append to its log before
    /// a snapshot is installed.
    pub last: Option<Zxid>,
    /// The zxid of the snapshot that was read. `None`: not trusted.
    pub snapshot: Option<Zxid>,
    /// What the log can prove and supply. Empty if not trusted.
    pub history: History,
    /// The epoch files, checked and repaired.
    pub epochs: EpochFiles<D>,
    /// Why the member is not trusted although it had a database, or was not (with `accept_gap`).
    pub hole: Option<String>,
    /// What there is to say.
    pub facts: RecoveryFacts,
}

impl<D: Disk> MemberState<D> {
    /// False for a member that may have forgotten what it acknowledged, or has no database and may not make one
    /// (`db.autocreate`).
    pub fn trusted(&self) -> bool {
        self.last.is_some()
    }
}

/// Reads what the disk holds. Afterwards everything that was read is durable. `progress` is called now and then.
///
/// # Errors
/// Failed disk calls; no readable snapshot where there was one; records that this version does not understand; epoch files
/// that contradict the history.
pub fn recover_member<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    options: &MemberOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<MemberState<D>, StoreError> {
    let mut recovery = Recovery::new(disk, dirs, &options.recover, progress, Purpose::Member);
    let mut tree = recovery.read()?;
    recovery.find_lost_snapshots(&tree);
    let hole = recovery.hole.take().map(|error| first_line(&error));
    if let (Some(hole), true) = (&hole, options.recover.accept_gap) {
        pending::run(disk, dirs, &Pending::Truncate(tree.zxid()), options.recover.length_max)?;
        recovery.facts.warnings.push(format!("{hole}: what lies behind {} was discarded", tree.zxid()));
        tree.finish_replay()?;
    }
    let trusted = !recovery.untrusted && (hole.is_none() || options.recover.accept_gap);
    if !trusted {
        tree = Tree::new(options.recover.tree);
    }
    recovery.complete(&tree)?;
    let settled = recovery.settled;
    let mut facts = recovery.facts;
    let last = trusted.then(|| tree.zxid());
    let epochs = EpochFiles::open(disk, dirs, last.unwrap_or_default(), &mut facts.warnings)?;
    let history = match last {
        Some(last) => history::scan(disk, dirs, last, options.history_bytes_max, options.recover.length_max)?,
        None => History::default(),
    };
    let snapshot = trusted.then_some(facts.snapshot_zxid);
    Ok(MemberState { tree, settled, last, snapshot, history, epochs, hole, facts })
}

/// The state at `upto`: the newest good snapshot with nothing beyond it, and the log from there up to it, while the log may be
/// open for writing (it must be durable up to `upto`). Nothing on disk is changed. The tree's zxid is `upto`, or below it if
/// the history has no such transaction; the caller decides whether that will do. What [`MemberState::settled`] says holds here,
/// too.
///
/// # Errors
/// Failed disk calls, no snapshot to begin with, damage or a hole before `upto`.
pub fn load_upto<D: Disk>(
    disk: &D,
    dirs: &DataDirs,
    options: &RecoverOptions,
    upto: Zxid,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered, StoreError> {
    let options = RecoverOptions { accept_gap: false, ..options.clone() };
    let mut recovery = Recovery::new(disk, dirs, &options, progress, Purpose::UpTo(upto));
    let Some((mut tree, mut digests)) = recovery.load_snapshot()? else {
        return Err(recovery.no_valid_snapshot());
    };
    recovery.replay(&mut tree, &mut digests)?;
    if digests.is_settled() {
        tree.finish_replay()?;
    }
    recovery.facts.zxid = tree.zxid();
    recovery.facts.digest = tree.digest();
    Ok(Recovered { tree, facts: recovery.facts })
}

impl<D: Disk> Recovery<'_, D> {
    /// Snapshots beyond the end of the history that could not be read, or that contain parts of transactions beyond it: the
    /// log was longer once. (`snapshot.<epoch>00000000` of an Apache leader has no transaction of its number.)
    fn find_lost_snapshots(&mut self, tree: &Tree) {
        if self.hole.is_some() {
            return;
        }
        let facts = &self.facts;
        let unread = facts.invalid_snapshots.iter().chain(&facts.rejected_snapshots);
        let beyond = unread.filter_map(|(name, why)| Some((crate::snapshot_zxid(name)?, name, why)));
        let lost = beyond.filter(|(zxid, ..)| *zxid > tree.zxid() && zxid.counter() > 0).max();
        if let Some((_, name, why)) = lost {
            self.hole = Some(StoreError::Corrupt {
                file: self.dirs.snapshots().join(name),
                offset: 0,
                why: format!("{why}; the logs end at {} before it", tree.zxid()),
                hint: "",
            });
        }
    }

    /// The snapshot of a member contains parts of transactions that the log has lost.
    pub(super) fn note_lost_tail(&mut self, digests: &Digests, last: Zxid) {
        if let (Purpose::Member, None, Some(end)) = (self.purpose, &self.hole, digests.lacks()) {
            self.hole = Some(StoreError::Gap {
                file: self.dirs.logs(),
                offset: 0,
                last,
                next: end,
                why: Some("the snapshot contains parts of it".to_owned()),
            });
        }
    }

    /// Whether what is wrong at `offset` of a member's newest log is what a power cut leaves of unsynced writes.
    pub(super) fn is_lost_write<F: DiskFile>(
        &self,
        reader: &LogReader<F>,
        offset: u64,
        newest: bool,
    ) -> Result<bool, StoreError> {
        Ok(newest && self.purpose == Purpose::Member && reader.is_lost_write(offset)?)
    }

    /// The same for a file whose records end, with something behind the end or a record begun there.
    pub(super) fn has_lost_writes<F: DiskFile>(
        &self,
        reader: &mut LogReader<F>,
        newest: bool,
    ) -> Result<bool, StoreError> {
        if !newest || self.purpose != Purpose::Member {
            return Ok(false);
        }
        Ok(reader.ends_torn() || (reader.bytes_behind_end()?.is_some() && reader.is_lost_write(reader.offset())?))
    }

    /// A member's newest log that never got its header was created and not synced: nothing in it was acknowledged.
    pub(super) fn remove_blank(&mut self, path: &Path) -> Result<bool, StoreError> {
        if self.purpose != Purpose::Member || !is_blank(self.disk, path)? {
            return Ok(false);
        }
        self.disk.remove(path).map_err(StoreError::io("remove", path))?;
        self.facts.warnings.push(format!("removed {}, which never got a header", path.display()));
        Ok(true)
    }
}

/// Shorter than a header, or nothing but zeros.
fn is_blank<D: Disk>(disk: &D, path: &Path) -> Result<bool, StoreError> {
    let file = disk.open(path).map_err(StoreError::io("open", path))?;
    if file.len().map_err(StoreError::io("read", path))? < crate::log::HEADER_BYTES {
        return Ok(true);
    }
    let mut chunk = vec![0; 64 << 10];
    let mut offset = 0;
    loop {
        let got = file.read_at(offset, &mut chunk).map_err(StoreError::io("read", path))?;
        if got == 0 {
            return Ok(true);
        }
        if chunk[..got].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        offset += got as u64;
    }
}

fn first_line(error: &StoreError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
