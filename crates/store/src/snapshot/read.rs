//! Reading a snapshot's stream into a tree (storage.md section 4.5), in bounded memory and without copying nodes: they
//! are parsed where they lie in a large buffer and handed to the tree's loader.

use super::{DIGEST_SECTION_BYTES, LAST_ZXID_SECTION_BYTES, MAGIC, SEAL_BYTES, STORED_STAT_BYTES, TERMINATOR, open};
use crate::Disk;
use ostler_model::{AclList, SessionId, StoredStat, Zxid};
use ostler_tree::{LoadError, Loader, NodeImage, Tree, TreeConfig};
use ostler_wire::jute::{DecodeError, Reader};
use ostler_wire::txn::{DIGEST_VERSION, TxnDigest};
use simd_adler32::Adler32;
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

/// Bytes asked for at once: few at first.
const READ_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=1 << 20;
/// Nodes between two calls of `progress`.
const PROGRESS_NODES: u64 = 10_000;
/// Nodes decoded and handed to the loader at once.
const BATCH_NODES: usize = 64;
/// Entries of one ACL: more than any frame can carry.
pub(super) const ACL_ENTRIES_MAX: i32 = 1 << 20;

/// Why a stream is no snapshot.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum SnapshotError {
    #[error("it begins with {0:02x?}, not with ZKSN")]
    Magic([u8; 4]),
    #[error("it ends inside {0}")]
    Truncated(&'static str),
    #[error("a string or buffer of {0} bytes is more than jute.maxbuffer and its extrasize allow, or damage")]
    BadLength(i32),
    #[error("the seal at offset {offset} says {expected:#x}, the bytes before it have {actual:#x}")]
    Checksum { offset: u64, expected: u64, actual: u64 },
    #[error("the seal at offset {offset} does not end as a seal")]
    Seal { offset: u64 },
    #[error("behind the tree comes {0}, not the signature")]
    Signature(String),
    #[error(transparent)]
    Tree(#[from] LoadError),
    #[error("{0}")]
    Read(#[from] io::Error),
}

/// A snapshot read and found whole.
#[derive(Debug)]
pub struct LoadedSnapshot {
    /// The tree, without the log.
    pub tree: Tree,
    /// Nodes read.
    pub nodes: u64,
    /// zxid and digest of the tree when writing ended, if the file says so.
    pub digest: Option<(Zxid, TxnDigest)>,
}

/// Called every now and then with the number of nodes read; answers about how many there will be, 0 = unknown.
type Tell<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Reads the uncompressed stream of `snapshot.<zxid>`. Strings and buffers above `length_max` are refused. `progress` is
/// called with the number of nodes every now and then, and answers about how many there will be in all (0 = unknown).
///
/// # Errors
/// Anything that is not a complete snapshot with matching checksums.
pub fn read_snapshot(
    stream: &mut dyn Read,
    config: TreeConfig,
    zxid: Zxid,
    length_max: usize,
    progress: Tell<'_>,
) -> Result<LoadedSnapshot, SnapshotError> {
    let mut input = Input::new(stream, length_max);
    let mut loader = Loader::new(config, zxid);
    input.header()?;
    input.sessions(&mut loader)?;
    input.acls(&mut loader)?;
    let nodes = input.nodes(&mut loader, progress)?;
    input.seal()?;
    let digest = input.sections()?;
    Ok(LoadedSnapshot { tree: loader.finish(), nodes, digest })
}

/// Reads a snapshot's file, whatever its compression (which the name tells). See [`read_snapshot`].
///
/// # Errors
/// As [`read_snapshot`]; the file cannot be read.
pub fn read_snapshot_file<D: Disk>(
    disk: &D,
    path: &Path,
    config: TreeConfig,
    zxid: Zxid,
    length_max: usize,
) -> Result<LoadedSnapshot, SnapshotError> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let file = disk.open(path)?;
    read_snapshot(&mut open(&file, &name, Rc::default()), config, zxid, length_max, &mut |_| 0)
}

/// The stream through a buffer, summed as it is consumed.
struct Input<'s> {
    stream: &'s mut dyn Read,
    length_max: usize,
    buffer: Vec<u8>,
    /// Consumed bytes of `buffer`.
    start: usize,
    /// Of these, the ones in the checksum.
    summed: usize,
    /// Valid bytes of `buffer`.
    filled: usize,
    /// Offset of `buffer[0]` in the stream.
    base: u64,
    checksum: Adler32,
}

impl<'s> Input<'s> {
    fn new(stream: &'s mut dyn Read, length_max: usize) -> Input<'s> {
        let checksum = Adler32::new();
        Input { stream, length_max, buffer: Vec::new(), start: 0, summed: 0, filled: 0, base: 0, checksum }
    }

    fn header(&mut self) -> Result<(), SnapshotError> {
        let header: [u8; 16] = self.take("the header")?;
        let magic = [header[0], header[1], header[2], header[3]];
        if magic == MAGIC { Ok(()) } else { Err(SnapshotError::Magic(magic)) }
    }

    fn sessions(&mut self, loader: &mut Loader) -> Result<(), SnapshotError> {
        for _ in 0..self.int("the sessions")? {
            let session = SessionId(self.long("the sessions")?);
            loader.session(session, self.int("the sessions")?);
        }
        Ok(())
    }

    fn acls(&mut self, loader: &mut Loader) -> Result<(), SnapshotError> {
        for _ in 0..self.int("the ACL table")? {
            let id = self.long("the ACL table")?;
            loader.acl(id, &self.acl()?);
        }
        Ok(())
    }

    /// One ACL: as many bytes as it takes are gathered first, then decoded.
    fn acl(&mut self) -> Result<AclList, SnapshotError> {
        const WHAT: &str = "the ACL table";
        let count = self.peek_int(0, WHAT)?;
        if count > ACL_ENTRIES_MAX {
            return Err(SnapshotError::BadLength(count));
        }
        let mut len = 4;
        for _ in 0..count {
            len += 4;
            for _ in 0..2 {
                len += 4 + self.peek_length(len, WHAT)?.unwrap_or(0);
            }
        }
        self.need(len, WHAT)?;
        let mut reader = Reader::of_server(&self.buffer[self.start..self.start + len], self.length_max);
        let acl = reader.owned_acl().map_err(|error| decode_error(error, WHAT))?;
        self.start += len;
        Ok(acl.into())
    }

    fn nodes(&mut self, loader: &mut Loader, progress: Tell<'_>) -> Result<u64, SnapshotError> {
        let mut nodes: u64 = 0;
        while self.need_node()? {
            let told = nodes / PROGRESS_NODES;
            let batch = self.batch()?;
            let images: Vec<_> = batch.iter().map(RawNode::image).collect();
            loader.nodes(&images)?;
            nodes += batch.len() as u64;
            self.start += batch.iter().map(|node| node.len).sum::<usize>();
            if nodes / PROGRESS_NODES > told {
                loader.expect(progress(nodes));
            }
        }
        progress(nodes);
        Ok(nodes)
    }

    /// Makes sure that one whole node is in the buffer; false at the terminator, which is consumed.
    fn need_node(&mut self) -> Result<bool, SnapshotError> {
        const WHAT: &str = "the nodes";
        let path_len = self.peek_length(0, WHAT)?.unwrap_or(0);
        self.need(4 + path_len, WHAT)?;
        if self.buffer[self.start..self.start + 4 + path_len] == TERMINATOR {
            self.start += TERMINATOR.len();
            return Ok(false);
        }
        let data_len = self.peek_length(4 + path_len, WHAT)?;
        self.need(4 + path_len + 4 + data_len.unwrap_or(0) + 8 + STORED_STAT_BYTES, WHAT)?;
        Ok(true)
    }

    /// The nodes that lie in the buffer, up to some: at least the one that [`Input::need_node`] made sure of.
    fn batch(&self) -> Result<Vec<RawNode<'_>>, SnapshotError> {
        let mut nodes: Vec<RawNode<'_>> = Vec::with_capacity(BATCH_NODES);
        let mut rest = &self.buffer[self.start..self.filled];
        while nodes.len() < BATCH_NODES && !rest.starts_with(&TERMINATOR) {
            match RawNode::decode(rest, self.length_max) {
                Ok(node) => {
                    rest = &rest[node.len..];
                    nodes.push(node);
                }
                // It is cut, or bad: met again as the first of the next batch.
                Err(_) if !nodes.is_empty() => break,
                Err(error) => return Err(decode_error(error, "the nodes")),
            }
        }
        Ok(nodes)
    }

    /// Compares a seal with what was read before it. The string behind the checksum is "/" in every file there is; Apache does
    /// not look at it, but anything else is damage.
    fn seal(&mut self) -> Result<(), SnapshotError> {
        const WHAT: &str = "a seal";
        self.sum();
        let actual = u64::from(self.checksum.finish());
        let offset = self.base + self.start as u64;
        let expected = u64::from_be_bytes(self.take(WHAT)?);
        if self.take(WHAT)? != TERMINATOR {
            return Err(SnapshotError::Seal { offset });
        }
        if actual == expected { Ok(()) } else { Err(SnapshotError::Checksum { offset, expected, actual }) }
    }

    /// The sections behind the first seal are told by how much is left, whatever the settings were (storage.md 4.5).
    fn sections(&mut self) -> Result<Option<(Zxid, TxnDigest)>, SnapshotError> {
        let left = self.fill(DIGEST_SECTION_BYTES + SEAL_BYTES)?;
        let mut digest = None;
        if left >= DIGEST_SECTION_BYTES + SEAL_BYTES {
            digest = self.digest_section()?;
            self.seal()?;
        } else if left < DIGEST_SECTION_BYTES {
            return Ok(None);
        }
        if self.fill(LAST_ZXID_SECTION_BYTES)? >= LAST_ZXID_SECTION_BYTES {
            self.long("the lastZxid section")?;
            self.seal()?;
        }
        Ok(digest)
    }

    fn digest_section(&mut self) -> Result<Option<(Zxid, TxnDigest)>, SnapshotError> {
        const WHAT: &str = "the digest section";
        let zxid = Zxid(self.long(WHAT)?);
        let version = self.int(WHAT)?;
        if version < DIGEST_VERSION {
            // A string, in hex.
            let len = self.peek_length(0, WHAT)?.unwrap_or(0);
            self.need(4 + len, WHAT)?;
            self.start += 4 + len;
            return Ok(None);
        }
        let tree_digest = self.long(WHAT)?;
        Ok(Some((zxid, TxnDigest { version, tree_digest })))
    }

    fn int(&mut self, what: &'static str) -> Result<i32, SnapshotError> {
        self.take(what).map(i32::from_be_bytes)
    }

    fn long(&mut self, what: &'static str) -> Result<i64, SnapshotError> {
        self.take(what).map(i64::from_be_bytes)
    }

    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], SnapshotError> {
        self.need(N, what)?;
        let bytes = self.buffer[self.start..self.start + N].try_into().expect("a range of N bytes");
        self.start += N;
        Ok(bytes)
    }

    /// An int `at` bytes ahead, not consumed.
    fn peek_int(&mut self, at: usize, what: &'static str) -> Result<i32, SnapshotError> {
        self.need(at + 4, what)?;
        let from = self.start + at;
        Ok(i32::from_be_bytes(self.buffer[from..from + 4].try_into().expect("a range of 4 bytes")))
    }

    /// A length `at` bytes ahead; `None` = null.
    fn peek_length(&mut self, at: usize, what: &'static str) -> Result<Option<usize>, SnapshotError> {
        let len = self.peek_int(at, what)?;
        match usize::try_from(len) {
            Ok(bytes) if bytes <= self.length_max => Ok(Some(bytes)),
            Err(_) if len == -1 => Ok(None),
            _ => Err(SnapshotError::BadLength(len)),
        }
    }

    fn need(&mut self, want: usize, what: &'static str) -> Result<(), SnapshotError> {
        if self.filled - self.start >= want || self.fill(want)? >= want {
            Ok(())
        } else {
            Err(SnapshotError::Truncated(what))
        }
    }

    /// Reads until `want` bytes from `start` on are there, or the stream ends; returns how many are (at most `want`).
    fn fill(&mut self, want: usize) -> Result<usize, SnapshotError> {
        if self.filled - self.start < want {
            self.sum();
            self.buffer.copy_within(self.start..self.filled, 0);
            self.base += self.start as u64;
            self.filled -= self.start;
            self.start = 0;
            self.summed = 0;
            let size = (self.buffer.len() * 2).clamp(*READ_BYTES.start(), *READ_BYTES.end());
            self.buffer.resize(size.max(want).max(self.buffer.len()), 0);
            while self.filled < want {
                match self.stream.read(&mut self.buffer[self.filled..]) {
                    Ok(0) => break,
                    Ok(got) => self.filled += got,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok((self.filled - self.start).min(want))
    }

    /// Takes what was consumed into the checksum.
    fn sum(&mut self) {
        self.checksum.write(&self.buffer[self.summed..self.start]);
        self.summed = self.start;
    }
}

/// A node as it lies in the buffer.
pub(super) struct RawNode<'a> {
    path: Cow<'a, str>,
    data: Option<&'a [u8]>,
    acl_id: i64,
    stat: StoredStat,
    /// Bytes it takes.
    pub(super) len: usize,
}

impl<'a> RawNode<'a> {
    pub(super) fn decode(bytes: &'a [u8], length_max: usize) -> Result<RawNode<'a>, DecodeError> {
        let mut reader = Reader::of_server(bytes, length_max);
        let path = reader.text()?.unwrap_or_default();
        let data = reader.buffer()?;
        let acl_id = reader.long()?;
        let stat = stored_stat(&mut reader)?;
        Ok(RawNode { path, data, acl_id, stat, len: bytes.len() - reader.rest().len() })
    }

    pub(super) fn image(&self) -> NodeImage<'_> {
        NodeImage { path: &self.path, data: self.data, acl_id: self.acl_id, stat: self.stat }
    }
}

fn stored_stat(reader: &mut Reader<'_>) -> Result<StoredStat, DecodeError> {
    Ok(StoredStat {
        czxid: Zxid(reader.long()?),
        mzxid: Zxid(reader.long()?),
        ctime: reader.long()?,
        mtime: reader.long()?,
        version: reader.int()?,
        cversion: reader.int()?,
        aversion: reader.int()?,
        ephemeral_owner: reader.long()?,
        pzxid: Zxid(reader.long()?),
    })
}

fn decode_error(error: DecodeError, what: &'static str) -> SnapshotError {
    match error {
        DecodeError::BadLength(len) => SnapshotError::BadLength(len),
        _ => SnapshotError::Truncated(what),
    }
}
