//! Work that the server gives itself, in portions that leave room for clients: deleting empty containers and expired
//! TTL nodes (client-protocol.md section 16), and emptying sessions with very many ephemerals before they close.

use super::Replica;
use super::expiry::Asker;
use crate::Now;
use ostler_model::{AuthId, AuthIds, Delete, Owner, Request, SessionId, Zxid};
use ostler_tree::{SweepCursor, Tree};
use std::collections::VecDeque;
use std::sync::Arc;

/// The rounds of the container and TTL sweeper.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The round under way.
    cursor: Option<SweepCursor>,
    /// Found in this round, to be deleted one by one.
    found: VecDeque<String>,
    round_ms: u64,
    next_delete_ms: u64,
}

impl Sweep {
    pub(super) fn starting(at_ms: u64) -> Sweep {
        Sweep { cursor: None, found: VecDeque::new(), round_ms: at_ms, next_delete_ms: at_ms }
    }

    /// When there is something to do.
    pub(super) fn next_ms(&self) -> u64 {
        match (self.found.is_empty(), self.cursor) {
            (false, _) => self.next_delete_ms,
            (true, Some(_)) => 0,
            (true, None) => self.round_ms,
        }
    }
}

/// A session that is emptied by delete transactions before it is closed (BUG-24: one transaction would be too large).
#[derive(Debug)]
pub(super) struct Drain {
    session: SessionId,
    request: Option<Asker>,
    /// Once this is applied nothing of the session is pending any more: it is closing, so nothing can follow.
    settled: Zxid,
    paths: Option<VecDeque<String>>,
}

impl Drain {
    pub(super) fn new(session: SessionId, request: Option<Asker>, settled: Zxid) -> Drain {
        Drain { session, request, settled, paths: None }
    }
}

impl Replica {
    /// When the sweeper has something to do. While there is no room for what it found, an apply comes first: a time that
    /// has passed would only keep the server turning.
    pub(super) fn sweep_deadline(&self) -> Option<u64> {
        (self.sweep.found.is_empty() || self.has_room()).then(|| self.sweep.next_ms())
    }

    /// One step of the sweeper: a look at a bounded number of candidates, or a paced deletion.
    pub(super) fn sweep_due(&mut self, now: Now, tree: &Tree) {
        if self.sweep.found.is_empty() && self.sweep.cursor.is_none() && now.mono_ms >= self.sweep.round_ms {
            self.sweep.cursor = Some(SweepCursor::default());
            self.sweep.round_ms = now.mono_ms + self.config.container_check_interval_ms.max(1);
        }
        if self.sweep.found.is_empty()
            && let Some(cursor) = &mut self.sweep.cursor
        {
            self.sweep.found = tree.sweep(cursor, now.wall_ms, self.config.policy.container_max_never_used_ms).into();
            if cursor.is_done() {
                self.sweep.cursor = None;
            }
        }
        let pace_ms = 60_000 / u64::from(self.config.container_max_per_minute.max(1));
        while !self.sweep.found.is_empty() && now.mono_ms >= self.sweep.next_delete_ms && self.has_room() {
            let path = self.sweep.found.pop_front().expect("not empty");
            self.sweep.next_delete_ms = now.mono_ms + pace_ms;
            if is_due(tree, &path, now.wall_ms) {
                let nobody: AuthIds = Arc::from([]);
                let request = Request::DeleteContainer { path: Some(path.into()) };
                self.propose(now, tree, (SessionId::NONE, 0), &nobody, &request, None);
            }
        }
    }

    /// Deletes ephemerals of closing sessions while there is room, and closes the sessions that are empty.
    pub(super) fn drain_sessions(&mut self, now: Now, tree: &Tree) {
        while let Some(mut drain) = self.drains.pop_front() {
            if tree.zxid() < drain.settled {
                self.drains.push_front(drain);
                return;
            }
            let paths = drain.paths.get_or_insert_with(|| tree.ephemerals(drain.session).into());
            let server: AuthIds = Arc::from([AuthId { scheme: "super".into(), id: String::new() }]);
            while let Some(path) = if self.has_room() { paths.pop_front() } else { None } {
                let request = Request::Delete(Delete { path: Some(path.into()), version: -1 });
                self.propose(now, tree, (SessionId::NONE, 0), &server, &request, None);
            }
            if !paths.is_empty() {
                self.drains.push_front(drain);
                return;
            }
            self.propose_close(now, tree, drain.session, drain.request);
        }
    }

    /// Room in the window for work that no client waits for.
    fn has_room(&self) -> bool {
        self.window.len() < self.config.outstanding_max
    }
}

/// A TTL node may have been modified since it was found: its time begins anew.
fn is_due(tree: &Tree, path: &str, wall_ms: i64) -> bool {
    tree.node(path).is_some_and(|node| match node.owner() {
        Owner::Ttl(ttl_ms) => wall_ms - node.stat().mtime > ttl_ms,
        _ => true,
    })
}
