//! The tree as a leader streams it behind SNAP (ensemble.md section 7.4): sessions, ACL table and nodes as in a snapshot file,
//! then "/" and a signature; no header, no checksum, no digest.
//!
//! A leader walks its tree and encodes with [`encode_tree_start`], [`crate::encode_node`] and [`encode_tree_end`].
//! [`TreeStream`] is the way back: it takes the bytes as they come, cut anywhere, holds no more than one element of them, and
//! knows where the stream ends and the next packet begins.

use super::TERMINATOR;
use super::encode::{encode_rows, encode_tables};
use super::read::{ACL_ENTRIES_MAX, RawNode, SnapshotError};
use crate::StoreError;
use ostler_model::{AclList, SessionId};
use ostler_tree::{LoadError, Loader, NodeImage, Walk};
use ostler_wire::jute::{DecodeError, Reader};

/// What Apache expects behind the tree, as a string.
const SIGNATURE: &[u8] = b"BenWasHere";
/// Room in an element for everything but its two longest parts.
const ELEMENT_FRAME_BYTES: usize = 1 << 10;
/// Nodes handed on at once.
const BATCH_NODES: usize = 64;

/// Appends everything before the first node.
pub fn encode_tree_start(out: &mut Vec<u8>, walk: &Walk) {
    encode_tables(out, walk);
}

/// As [`encode_tree_start`], but only the rows (sessions, then ACLs) from `row` on, at most `most` of them. The row to go on
/// from; `None`: the first node comes next.
pub fn encode_tree_start_part(out: &mut Vec<u8>, walk: &Walk, row: usize, most: usize) -> Option<usize> {
    encode_rows(out, walk, row, most)
}

/// Appends what follows the last node.
pub fn encode_tree_end(out: &mut Vec<u8>) {
    out.extend_from_slice(&TERMINATOR);
    out.extend_from_slice(&(SIGNATURE.len() as u32).to_be_bytes());
    out.extend_from_slice(SIGNATURE);
}

/// A piece of a tree, in the order of the stream.
#[derive(Clone, Copy, Debug)]
pub enum TreePart<'a> {
    /// A session and its time-out in ms.
    Session(SessionId, i32),
    /// An entry of the ACL table.
    Acl(i64, &'a AclList),
    /// Nodes, parents before children; the same path again replaces what came before.
    Nodes(&'a [NodeImage<'a>]),
}

impl TreePart<'_> {
    /// Hands it to the loader of a tree.
    ///
    /// # Errors
    /// Nodes that do not fit what came before.
    pub fn load(self, loader: &mut Loader) -> Result<(), LoadError> {
        match self {
            TreePart::Session(session, timeout_ms) => loader.session(session, timeout_ms),
            TreePart::Acl(id, acl) => loader.acl(id, acl),
            TreePart::Nodes(nodes) => loader.nodes(nodes)?,
        }
        Ok(())
    }
}

/// What [`TreeStream::push`] made of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Pushed {
    /// So many of them belong to the stream; what is left is the next packet's.
    pub used: usize,
    /// The stream is complete.
    pub complete: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    Signature,
    Complete,
}

/// A stream being read.
#[derive(Debug)]
pub struct TreeStream {
    length_max: usize,
    stage: Stage,
    /// The beginning of an element that is not complete yet.
    buffer: Vec<u8>,
    /// Offset of the buffer in the stream.
    offset: u64,
    nodes: u64,
}

/// Where the parsed part of a buffer ends.
struct Parsed {
    /// Bytes of sessions, ACLs and nodes.
    tree: usize,
    /// All bytes, those of the end included.
    all: usize,
}

impl TreeStream {
    /// Strings and buffers above `length_max` are refused.
    pub fn new(length_max: usize) -> TreeStream {
        TreeStream { length_max, stage: Stage::SessionCount, buffer: Vec::new(), offset: 0, nodes: 0 }
    }

    /// Takes the next bytes and hands on what is complete.
    ///
    /// # Errors
    /// [`StoreError::TreeStream`] for anything that is not a tree's stream, and for what `part` answers.
    ///
    /// # Panics
    /// If the stream is complete already.
    pub fn push(
        &mut self,
        bytes: &[u8],
        part: &mut dyn FnMut(TreePart<'_>) -> Result<(), LoadError>,
    ) -> Result<Pushed, StoreError> {
        self.push_raw(bytes, part, &mut |_| Ok(()))
    }

    /// The same; `raw` gets the bytes of the tree alone, without its end.
    pub(super) fn push_raw(
        &mut self,
        bytes: &[u8],
        part: &mut dyn FnMut(TreePart<'_>) -> Result<(), LoadError>,
        raw: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<Pushed, StoreError> {
        assert!(self.stage != Stage::Complete, "what follows the stream is a packet");
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut parsed = Parsed { tree: 0, all: 0 };
        let result = self.parse(&buffer, &mut parsed, part);
        self.buffer = buffer;
        result.map_err(|error| StoreError::TreeStream {
            offset: self.offset + parsed.all as u64,
            why: error.to_string(),
        })?;
        raw(&self.buffer[..parsed.tree])?;
        self.buffer.drain(..parsed.all);
        self.offset += parsed.all as u64;
        let complete = self.stage == Stage::Complete;
        if complete {
            let rest = std::mem::take(&mut self.buffer);
            return Ok(Pushed { used: bytes.len() - rest.len(), complete });
        }
        if self.buffer.len() > self.element_bytes_max() {
            let why = format!("an element of more than {} bytes", self.buffer.len());
            return Err(StoreError::TreeStream { offset: self.offset, why });
        }
        Ok(Pushed { used: bytes.len(), complete })
    }

    /// Nodes so far.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// Bytes so far, without those of an element that is not complete.
    pub fn bytes(&self) -> u64 {
        self.offset
    }

    /// True once the signature was read.
    pub fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// A node is a path and data; an ACL came in a transaction that was not longer.
    fn element_bytes_max(&self) -> usize {
        2 * self.length_max + ELEMENT_FRAME_BYTES
    }

    fn parse(
        &mut self,
        buffer: &[u8],
        parsed: &mut Parsed,
        part: &mut dyn FnMut(TreePart<'_>) -> Result<(), LoadError>,
    ) -> Result<(), SnapshotError> {
        loop {
            let rest = &buffer[parsed.all..];
            let step = match self.stage {
                Stage::Complete => return Ok(()),
                Stage::Nodes => self.parse_nodes(rest, parsed, part),
                Stage::Signature => self.parse_signature(rest, parsed),
                _ => self.parse_table(rest, parsed, part),
            };
            match step {
                Err(SnapshotError::Truncated(_)) => return Ok(()),
                other => other?,
            }
        }
    }

    /// One count or entry of the two tables.
    fn parse_table(
        &mut self,
        rest: &[u8],
        parsed: &mut Parsed,
        part: &mut dyn FnMut(TreePart<'_>) -> Result<(), LoadError>,
    ) -> Result<(), SnapshotError> {
        let mut reader = Reader::of_server(rest, self.length_max);
        let next = match self.stage {
            Stage::SessionCount => Stage::Sessions(reader.int().map_err(decode_error)?),
            Stage::Sessions(..1) => Stage::AclCount,
            Stage::Sessions(left) => {
                let session = SessionId(reader.long().map_err(decode_error)?);
                let timeout_ms = reader.int().map_err(decode_error)?;
                part(TreePart::Session(session, timeout_ms))?;
                Stage::Sessions(left - 1)
            }
            Stage::AclCount => Stage::Acls(reader.int().map_err(decode_error)?),
            Stage::Acls(..1) => Stage::Nodes,
            Stage::Acls(left) => {
                let id = reader.long().map_err(decode_error)?;
                let count = reader.clone().int().map_err(decode_error)?;
                if count > ACL_ENTRIES_MAX {
                    return Err(SnapshotError::BadLength(count));
                }
                let acl: AclList = reader.owned_acl().map_err(decode_error)?.into();
                part(TreePart::Acl(id, &acl))?;
                Stage::Acls(left - 1)
            }
            Stage::Nodes | Stage::Signature | Stage::Complete => unreachable!("these are no tables"),
        };
        self.stage = next;
        parsed.all += rest.len() - reader.rest().len();
        parsed.tree = parsed.all;
        Ok(())
    }

    /// Some nodes, or the end of them.
    fn parse_nodes(
        &mut self,
        rest: &[u8],
        parsed: &mut Parsed,
        part: &mut dyn FnMut(TreePart<'_>) -> Result<(), LoadError>,
    ) -> Result<(), SnapshotError> {
        if rest.starts_with(&TERMINATOR) {
            parsed.all += TERMINATOR.len();
            self.stage = Stage::Signature;
            return Ok(());
        }
        let mut nodes: Vec<RawNode<'_>> = Vec::new();
        let mut ahead = rest;
        while nodes.len() < BATCH_NODES && !ahead.starts_with(&TERMINATOR) {
            match RawNode::decode(ahead, self.length_max) {
                Ok(node) => {
                    ahead = &ahead[node.len..];
                    nodes.push(node);
                }
                // It is cut, or bad: met again as the first of the next batch.
                Err(_) if !nodes.is_empty() => break,
                Err(error) => return Err(decode_error(error)),
            }
        }
        let images: Vec<_> = nodes.iter().map(RawNode::image).collect();
        part(TreePart::Nodes(&images))?;
        self.nodes += nodes.len() as u64;
        parsed.all += rest.len() - ahead.len();
        parsed.tree = parsed.all;
        Ok(())
    }

    fn parse_signature(&mut self, rest: &[u8], parsed: &mut Parsed) -> Result<(), SnapshotError> {
        let mut reader = Reader::of_server(rest, SIGNATURE.len());
        let signature = match reader.buffer() {
            Err(DecodeError::Truncated) => return Err(SnapshotError::Truncated("the signature")),
            Ok(signature) => signature.unwrap_or_default(),
            Err(DecodeError::BadLength(len)) => {
                return Err(SnapshotError::Signature(format!("a string of {len} bytes")));
            }
            Err(_) => unreachable!("a buffer is too short or too long"),
        };
        if signature != SIGNATURE {
            return Err(SnapshotError::Signature(format!("{:?}", String::from_utf8_lossy(signature))));
        }
        parsed.all += rest.len() - reader.rest().len();
        self.stage = Stage::Complete;
        Ok(())
    }
}

fn decode_error(error: DecodeError) -> SnapshotError {
    match error {
        DecodeError::BadLength(len) => SnapshotError::BadLength(len),
        _ => SnapshotError::Truncated("the stream"),
    }
}
