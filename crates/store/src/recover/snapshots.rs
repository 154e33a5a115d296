//! Which snapshot to begin with (storage.md section 6.1): the newest that reads well; each failure starts clean.

use super::{Digests, Progress, Purpose, Recovery};
use crate::member::pending::is_snapshot_beyond;
use crate::names::snapshot_zxid;
use crate::snapshot::{check, open};
use crate::{Disk, DiskFile, LoadedSnapshot, SnapshotError, StoreError, read_snapshot};
use ostler_model::Zxid;
use ostler_tree::Tree;
use std::path::Path;
use std::rc::Rc;

/// Candidates that are tried.
const CANDIDATES_MAX: usize = 100;

impl<D: Disk> Recovery<'_, D> {
    /// The tree of the newest good snapshot; `None` if there is no candidate.
    pub(super) fn load_snapshot(&mut self) -> Result<Option<(Tree, Digests)>, StoreError> {
        let candidates = self.candidates()?;
        let (loaded, time) = self.timed(|recovery| {
            candidates.iter().find_map(|(zxid, name)| match recovery.try_snapshot(*zxid, name) {
                Ok(loaded) => Some((*zxid, name, loaded)),
                Err(why) => {
                    recovery.facts.rejected_snapshots.push((name.clone(), why.to_string()));
                    None
                }
            })
        });
        let Some((zxid, name, loaded)) = loaded else {
            return if self.is_fresh(&candidates) { Ok(None) } else { Err(self.no_valid_snapshot()) };
        };
        self.facts.snapshot = Some(name.clone());
        self.facts.snapshot_zxid = zxid;
        self.facts.snapshot_nodes = loaded.nodes;
        self.facts.snapshot_time = time;
        let mut digests = Digests::new(&self.options.tree, loaded.digest);
        if self.purpose != Purpose::Standalone && loaded.digest.is_none() {
            digests.wait_for_a_match();
        }
        digests.after_snapshot(&loaded.tree, &mut self.facts);
        Ok(Some((loaded.tree, digests)))
    }

    /// Names that parse and pass the quick check, newest first.
    fn candidates(&mut self) -> Result<Vec<(Zxid, String)>, StoreError> {
        let dir = self.dirs.snapshots();
        let entries = self.disk.list(&dir).map_err(StoreError::io("list the directory", &dir))?;
        let mut names: Vec<(Zxid, String)> =
            entries.into_iter().filter_map(|entry| Some((snapshot_zxid(&entry.name)?, entry.name))).collect();
        names.sort_by(|a, b| b.cmp(a));
        let mut candidates = Vec::new();
        if let Purpose::UpTo(upto) = self.purpose {
            for (zxid, name) in std::mem::take(&mut names) {
                if !is_snapshot_beyond(self.disk, &dir.join(&name), zxid, upto)? {
                    names.push((zxid, name));
                }
            }
        }
        for (zxid, name) in names {
            let checked = self.disk.open(&dir.join(&name)).and_then(|file| check(&file, &name));
            match checked {
                // One that cannot be looked at is there all the same: it fails when it is read.
                Ok(Ok(())) | Err(_) => candidates.push((zxid, name)),
                Ok(Err(why)) => self.facts.invalid_snapshots.push((name, why)),
            }
            if candidates.len() == CANDIDATES_MAX {
                break;
            }
        }
        Ok(candidates)
    }

    fn try_snapshot(&mut self, zxid: Zxid, name: &str) -> Result<LoadedSnapshot, SnapshotError> {
        let path = self.dirs.snapshots().join(name);
        let mut file = self.disk.open(&path)?;
        let bytes_total = file.len()?;
        let read = Rc::default();
        let mut stream = open(&file, name, Rc::clone(&read));
        let progress = &mut *self.progress;
        let mut tell = |nodes| {
            progress(Progress { nodes, records: 0, bytes: read.get(), bytes_total });
            // As many to the byte as before.
            (u128::from(nodes) * u128::from(bytes_total)).checked_div(read.get().into()).unwrap_or(0) as u64
        };
        let loaded = read_snapshot(&mut stream, self.options.tree, zxid, self.options.length_max, &mut tell)?;
        drop(stream);
        if !matches!(self.purpose, Purpose::UpTo(_)) {
            // It may have been in memory only when its writer died.
            file.sync()?;
        }
        Ok(loaded)
    }

    /// No snapshot worth mentioning: at most a `snapshot.0` that was never completed, which a server that crashed in its
    /// first start leaves behind. Anything else held data. (Apache starts empty on any directory whose snapshots all fail
    /// the quick check and that has no logs.)
    fn is_fresh(&self, candidates: &[(Zxid, String)]) -> bool {
        let invalid = &self.facts.invalid_snapshots;
        candidates.is_empty() && invalid.iter().all(|(name, _)| snapshot_zxid(name) == Some(Zxid::ZERO))
    }

    pub(super) fn no_valid_snapshot(&self) -> StoreError {
        let facts = &self.facts;
        let tried = facts.rejected_snapshots.iter().chain(&facts.invalid_snapshots);
        let tried = tried.map(|(name, why)| format!("{name}: {why}")).collect();
        StoreError::NoValidSnapshot { dir: self.dirs.snapshots(), tried }
    }
}

/// Whether a file passes the quick check; an unreadable one does not.
pub(crate) fn is_valid<D: Disk>(disk: &D, path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    matches!(disk.open(path).and_then(|file| check(&file, &name)), Ok(Ok(())))
}
