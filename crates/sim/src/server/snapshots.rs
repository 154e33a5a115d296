//! The snapshot thread in virtual time: a fuzzy walk of small steps between which the tree changes, written by the real
//! store on the faulty disk.

use crate::rng::Dice;
use ostler_store::faulty::FaultyDisk;
use ostler_store::{DataDirs, SnapshotFile, SnapshotFormat, StoreError, encode_node, encode_snapshot_start, purge};
use ostler_tree::{Tree, Walk};

/// A snapshot under way.
pub struct Snapshot {
    walk: Walk,
    file: SnapshotFile<FaultyDisk>,
    walked: bool,
}

impl Snapshot {
    /// Begins one of the tree as it is now.
    ///
    /// # Errors
    /// The disk failed.
    pub fn begin(
        disk: &FaultyDisk,
        dirs: &DataDirs,
        format: SnapshotFormat,
        tree: &Tree,
    ) -> Result<Snapshot, StoreError> {
        let walk = tree.walk();
        let mut file = SnapshotFile::create(disk, dirs, walk.zxid, format)?;
        let mut chunk = Vec::new();
        encode_snapshot_start(&mut chunk, &walk);
        file.write(&chunk)?;
        Ok(Snapshot { walk, file, walked: false })
    }

    /// One step; gives the snapshot back while there is more to do.
    ///
    /// # Errors
    /// The disk failed.
    pub fn step(
        mut self,
        tree: &Tree,
        disk: &FaultyDisk,
        dirs: &DataDirs,
        dice: &mut Dice,
    ) -> Result<Option<Snapshot>, StoreError> {
        if self.walked {
            self.file.seal(tree.zxid(), tree.digest())?.publish()?;
            if dice.percent(50) {
                purge(disk, dirs, 3)?;
            }
            return Ok(None);
        }
        let mut chunk = Vec::new();
        self.walked = self.walk.step(tree, dice.between(1, 30) as usize, |node| encode_node(&mut chunk, &node));
        self.file.write(&chunk)?;
        Ok(Some(self))
    }
}
