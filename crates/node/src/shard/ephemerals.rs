//! getEphemerals of a session with many: its ephemerals in pages (rules.md 1.10).
//!
//! Only the session's own requests make ephemerals of its own, and those wait behind this one on its only connection. So
//! what is collected is corrected by deletes alone.

use super::names::Names;
use ostler_model::{SessionId, limits};
use ostler_tree::{Change, ChangeKind, EphemeralCursor, Tree};
use ostler_wire::client::{ReplyHeader, RequestHeader};

/// One under way.
#[derive(Debug)]
pub(super) struct Ephemerals {
    pub(super) header: RequestHeader,
    /// "" for all.
    prefix: String,
    cursor: EphemeralCursor,
    names: Names,
}

impl Ephemerals {
    pub(super) fn new(header: RequestHeader, prefix: &str, seed: u64) -> Ephemerals {
        Ephemerals { header, prefix: prefix.to_owned(), cursor: EphemeralCursor::default(), names: Names::new(seed) }
    }

    /// Collects one page: what it cost in bytes, and whether it was the last.
    pub(super) fn page(&mut self, tree: &Tree, session: SessionId) -> (usize, bool) {
        let Ephemerals { prefix, cursor, names, .. } = self;
        let before = names.bytes();
        let mut looked_at = 0;
        let done = tree.list_ephemerals(session, cursor, |path| {
            if path.starts_with(prefix.as_str()) {
                names.add(&path);
            }
            looked_at += path.len();
            looked_at < limits::HOLD_OUTPUT_BYTES_MAX / 4
        });
        ((names.bytes() - before).max(looked_at), done)
    }

    pub(super) fn note(&mut self, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            self.names.remove(&change.path);
        }
    }

    pub(super) fn reply(&mut self, header: ReplyHeader) -> Vec<Vec<u8>> {
        self.names.reply(header, |_| {})
    }
}
