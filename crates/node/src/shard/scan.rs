//! The listing of a huge directory: a fuzzy scan in pages, corrected by what is created and deleted meanwhile
//! (rules.md 1.10).
//!
//! Between two pages the shard handles entries, so at every page the collected names are exactly: children seen so
//! far and still there, and those created since the beginning. A child that lives through the scan is visited at
//! least once; names are indexed, so seeing it twice does no harm. At the end the collection is the directory as of
//! the zxid handled last, which the reply names.

use super::names::Names;
use crate::reads::Reader;
use crate::watches::Table;
use ostler_model::{ErrorCode, Request, Zxid, limits, path};
use ostler_tree::{Change, ChangeKind, ChildCursor, NodeRef};
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader};

/// A listing under way.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) header: RequestHeader,
    /// As the client wrote it: what a watch is registered under.
    path: String,
    watch: bool,
    with_stat: bool,
    cursor: ChildCursor,
    names: Names,
    /// The directory itself was deleted.
    parent_gone: bool,
}

impl Scan {
    pub(super) fn new(header: RequestHeader, request: &Request<'_>, seed: u64) -> Scan {
        let (path, watch, with_stat) = match request {
            Request::GetChildren { path, watch } => (path, *watch, false),
            Request::GetChildren2 { path, watch } => (path, *watch, true),
            other => unreachable!("{other:?} is no listing"),
        };
        Scan {
            header,
            path: path.as_deref().unwrap_or_default().to_owned(),
            watch,
            with_stat,
            cursor: ChildCursor::default(),
            names: Names::new(seed),
            parent_gone: false,
        }
    }

    /// The directory, if it is still there and may still be read.
    pub(super) fn check<'a>(&self, reader: &'a Reader<'_>, needed: i32) -> Result<NodeRef<'a>, ErrorCode> {
        if self.parent_gone {
            return Err(ErrorCode::NoNode);
        }
        reader.node(&Some(self.path.as_str().into()), needed)
    }

    /// Collects one page: its bytes, and whether it was the last.
    pub(super) fn page(&mut self, node: NodeRef<'_>) -> (usize, bool) {
        self.names.expect(node.num_children());
        let (names, mut cursor) = (&mut self.names, self.cursor);
        let start = names.bytes();
        let mut left = limits::LISTING_PAGE_CHILDREN_MAX;
        let done = node.list(&mut cursor, |name| {
            names.add(name);
            left -= 1;
            left > 0 && names.bytes() - start < limits::HOLD_OUTPUT_BYTES_MAX
        });
        self.cursor = cursor;
        // A page of names already known costs time too.
        ((names.bytes() - start).max(limits::LISTING_PAGE_CHILDREN_MAX - left), done)
    }

    /// A change of the directory, or of a child.
    pub(super) fn note(&mut self, change: &Change) {
        let own = if self.path.is_empty() { "/" } else { &self.path };
        if change.kind == ChangeKind::Deleted && *change.path == *own {
            self.parent_gone = true;
        }
        if path::parent(&change.path) != Some(own) || *change.path == *"/" {
            return;
        }
        let Some((_, name)) = path::split(&change.path) else { return };
        match change.kind {
            ChangeKind::Created => self.names.add(name),
            ChangeKind::Deleted => self.names.remove(name),
            ChangeKind::DataChanged => {}
        }
    }

    /// The reply, in pieces.
    pub(super) fn reply(&mut self, zxid: Zxid, node: NodeRef<'_>) -> Vec<Vec<u8>> {
        self.check_count(node);
        let header = ReplyHeader { xid: self.header.xid, zxid, err: 0 };
        let with_stat = self.with_stat;
        self.names.reply(header, |frame| {
            if with_stat {
                frame.stat(&node.stat());
            }
        })
    }

    /// Bytes of names so far.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes()
    }

    /// Appends the names, as a vector.
    pub(super) fn put(&mut self, frame: &mut FrameWriter<'_>, node: NodeRef<'_>) {
        self.check_count(node);
        self.names.put(frame);
    }

    fn check_count(&self, node: NodeRef<'_>) {
        assert_eq!(self.names.len(), node.num_children(), "{}: the corrected listing is the directory", self.path);
    }

    /// The watch that comes with it.
    pub(super) fn watch(&self) -> Option<(&str, Table)> {
        self.watch.then_some((self.path.as_str(), Table::Child))
    }
}
