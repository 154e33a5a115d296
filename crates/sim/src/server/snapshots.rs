//! The snapshot thread in virtual time: a fuzzy walk of small steps between which the tree changes, written by the real
//! store on the faulty disk.

use ostler_model::Dice;
use ostler_model::Zxid;
use ostler_store::faulty::FaultyDisk;
use ostler_store::{
    DataDirs, SealedSnapshot, SnapshotFile, SnapshotFormat, StoreError, encode_node, encode_snapshot_start,
};
use ostler_tree::{Tree, Walk};

/// A snapshot under way.
pub struct Snapshot {
    walk: Walk,
    file: SnapshotFile<FaultyDisk>,
    zxid: Zxid,
    walked: bool,
}

/// How far it is.
pub enum Step {
    /// There is more to do.
    More(Box<Snapshot>),
    /// It is whole, durable and without its name.
    Sealed(SealedSnapshot<FaultyDisk>),
}

impl Snapshot {
    /// Begins one of the tree as it is now, under this zxid; no number is used twice.
    ///
    /// # Errors
    /// The disk failed.
    pub fn begin(
        disk: &FaultyDisk,
        dirs: &DataDirs,
        format: SnapshotFormat,
        tree: &Tree,
        zxid: Zxid,
        number: u64,
    ) -> Result<Snapshot, StoreError> {
        let walk = tree.walk();
        let mut file = SnapshotFile::create_numbered(disk, dirs, zxid, format, number)?;
        let mut chunk = Vec::new();
        encode_snapshot_start(&mut chunk, &walk);
        file.write(&chunk)?;
        Ok(Snapshot { walk, file, zxid, walked: false })
    }

    /// One step.
    ///
    /// # Errors
    /// The disk failed.
    pub fn step(mut self, tree: &Tree, dice: &mut Dice) -> Result<Step, StoreError> {
        if self.walked {
            let sealed = self.file.seal(tree.zxid().max(self.zxid), tree.digest())?;
            return Ok(Step::Sealed(sealed));
        }
        let mut chunk = Vec::new();
        self.walked = self.walk.step(tree, dice.between(1, 30) as usize, |node| encode_node(&mut chunk, &node));
        self.file.write(&chunk)?;
        Ok(Step::More(Box::new(self)))
    }
}
