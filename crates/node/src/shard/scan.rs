//! The listing of a huge directory: a fuzzy scan in pages, corrected by what is created and deleted meanwhile
//! (rules.md 1.10).
//!
//! Between two pages the shard handles entries, so at every page the collected names are exactly: children seen so
//! far and still there, and those created since the beginning. A child that lives through the scan is visited at
//! least once; names are indexed, so seeing it twice does no harm. At the end the collection is the directory as of
//! the zxid handled last, which the reply names.

use crate::reads::Reader;
use crate::watches::Table;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use ostler_model::{ErrorCode, Request, Zxid, limits, path};
use ostler_tree::{Change, ChangeKind, ChildCursor, NodeRef};
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader};
use ostler_wire::jute::put_text;
use std::hash::BuildHasher;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) header: RequestHeader,
    /// As the client wrote it: what a watch is registered under.
    path: String,
    watch: bool,
    with_stat: bool,
    cursor: ChildCursor,
    /// Encoded names, one behind the other.
    names: Vec<u8>,
    /// Where each living name begins in `names`.
    index: HashTable<u32>,
    /// Where names begin that are gone again.
    dead: Vec<u32>,
    hasher: FixedState,
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
            names: Vec::new(),
            index: HashTable::new(),
            dead: Vec::new(),
            hasher: FixedState::with_seed(seed),
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
        if self.index.capacity() == 0 {
            let Scan { names, index, hasher, .. } = self;
            index.reserve(node.num_children() + node.num_children() / 8, |at| hasher.hash_one(name_at(names, *at)));
        }
        let start = self.names.len();
        let mut cursor = self.cursor;
        let mut left = limits::LISTING_CHILDREN_MAX;
        let done = node.list(&mut cursor, |name| {
            self.add(name);
            left -= 1;
            left > 0 && self.names.len() - start < limits::HOLD_OUTPUT_BYTES_MAX
        });
        self.cursor = cursor;
        // A page of names already known costs time too.
        ((self.names.len() - start).max(limits::LISTING_CHILDREN_MAX - left), done)
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
            ChangeKind::Created => self.add(name),
            ChangeKind::Deleted => self.remove(name),
            ChangeKind::DataChanged => {}
        }
    }

    fn add(&mut self, name: &str) {
        let Scan { names, index, hasher, .. } = self;
        let hash = hasher.hash_one(name);
        if index.find(hash, |at| name_at(names, *at) == name).is_none() {
            let at = u32::try_from(names.len()).expect("a directory's names fit in 4 GiB");
            put_text(names, Some(name));
            index.insert_unique(hash, at, |at| hasher.hash_one(name_at(names, *at)));
        }
    }

    fn remove(&mut self, name: &str) {
        let Scan { names, index, hasher, dead, .. } = self;
        if let Ok(entry) = index.find_entry(hasher.hash_one(name), |at| name_at(names, *at) == name) {
            dead.push(entry.remove().0);
        }
    }

    /// Appends the reply.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, zxid: Zxid, node: NodeRef<'_>) {
        let mut frame = FrameWriter::reply(out, ReplyHeader { xid: self.header.xid, zxid, err: 0 });
        self.put(&mut frame, node);
        if self.with_stat {
            frame.stat(&node.stat());
        }
        frame.finish();
    }

    /// Appends the names, as a vector.
    pub(super) fn put(&mut self, frame: &mut FrameWriter<'_>, node: NodeRef<'_>) {
        assert_eq!(self.index.len(), node.num_children(), "{}: the corrected listing is the directory", self.path);
        self.dead.sort_unstable();
        frame.int(i32::try_from(self.index.len()).unwrap_or(i32::MAX));
        let mut from = 0;
        for dead in &self.dead {
            let at = *dead as usize;
            frame.raw(&self.names[from..at]);
            from = at + 4 + name_at(&self.names, *dead).len();
        }
        frame.raw(&self.names[from..]);
    }

    /// The watch that comes with it.
    pub(super) fn watch(&self) -> Option<(&str, Table)> {
        self.watch.then_some((self.path.as_str(), Table::Child))
    }
}

fn name_at(names: &[u8], at: u32) -> &str {
    let (prefix, rest) = names[at as usize..].split_first_chunk::<4>().expect("a name has a length");
    let length = u32::from_be_bytes(*prefix) as usize;
    std::str::from_utf8(&rest[..length]).expect("names are written from strings")
}
