//! From a leader's stream to a snapshot that can be installed ([`crate::Log::install`]), and on the way, if wanted, to the tree:
//! the stream is read once, and no second tree is held.

use super::stream::{Pushed, TreePart, TreeStream};
use super::{DBID, MAGIC, VERSION};
use crate::{Compression, DataDirs, Disk, SealedSnapshot, SnapshotFile, SnapshotFormat, StoreError};
use ostler_model::Zxid;
use ostler_tree::{Loader, Tree, TreeConfig};

/// A snapshot being received.
pub struct SnapshotReceiver<D: Disk> {
    stream: TreeStream,
    file: SnapshotFile<D>,
    loader: Option<Loader>,
    zxid: Zxid,
}

impl<D: Disk> SnapshotReceiver<D> {
    /// `zxid` is that of the SNAP packet. With `tree` the tree is made as well, which checks the stream for what only a tree
    /// can tell (a node without its parent); ACL ids that are not in the table wait for the transactions behind it, see
    /// [`Tree::finish_replay`]. Strings and buffers above `length_max` are refused.
    ///
    /// # Errors
    /// A failed disk call. A file left behind is removed by the next recovery; the same holds for all methods.
    pub fn new(
        disk: &D,
        dirs: &DataDirs,
        zxid: Zxid,
        compression: Compression,
        tree: Option<TreeConfig>,
        length_max: usize,
    ) -> Result<Self, StoreError> {
        // Until where a leader's snapshot is fuzzy is not known here, so there is nothing to say in sections.
        let format = SnapshotFormat { compression, digest_section: false, last_zxid_section: false };
        let mut file = SnapshotFile::create_received(disk, dirs, zxid, format)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_be_bytes());
        header.extend_from_slice(&DBID.to_be_bytes());
        file.write(&header)?;
        let loader = tree.map(|config| Loader::new(config, zxid));
        Ok(SnapshotReceiver { stream: TreeStream::new(length_max), file, loader, zxid })
    }

    /// Takes the next bytes from the leader.
    ///
    /// # Errors
    /// [`StoreError::TreeStream`] for anything that is not a tree's stream: the link is of no more use. A failed disk call.
    ///
    /// # Panics
    /// If the stream is complete already.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Pushed, StoreError> {
        let SnapshotReceiver { stream, file, loader, .. } = self;
        let mut load = |part: TreePart<'_>| loader.as_mut().map_or(Ok(()), |loader| part.load(loader));
        stream.push_raw(bytes, &mut load, &mut |tree| file.write(tree))
    }

    /// Nodes received.
    pub fn nodes(&self) -> u64 {
        self.stream.nodes()
    }

    /// Makes the file durable, without its name, and gives out the tree if one was wanted.
    ///
    /// # Errors
    /// A failed disk call.
    ///
    /// # Panics
    /// If the stream is not complete.
    pub fn finish(self) -> Result<(SealedSnapshot<D>, Option<Tree>), StoreError> {
        assert!(self.stream.is_complete(), "half a tree is no snapshot");
        let sealed = self.file.seal(self.zxid, 0)?;
        Ok((sealed, self.loader.map(Loader::finish)))
    }

    /// Throws the file away: the link broke.
    ///
    /// # Errors
    /// A failed disk call.
    pub fn discard(self) -> Result<(), StoreError> {
        self.file.discard()
    }
}
