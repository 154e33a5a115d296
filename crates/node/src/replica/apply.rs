//! Applying what is committed: R1 to R3 of rules.md section 2.

use super::lanes::Place;
use super::{Applied, Proposed, Replica};
use crate::{Batch, Done, DoneBody, Entry, Item, NodeEvent, Now, Origin, Stream};
use ostler_model::{SessionId, limits};
use ostler_tree::{Tree, TxnResult};
use std::sync::Arc;

impl Replica {
    /// Applies durable transactions: at most 64 in one call, none if a stream has no room. Everything is in the
    /// streams before the call returns, so before anybody can see the tree.
    pub fn apply(&mut self, now: Now, tree: &mut Tree, streams: &mut [Stream]) -> Applied {
        let committed = self.committed();
        let ready = |replica: &Replica| replica.window.front().is_some_and(|next| next.header.zxid <= committed);
        if !ready(self) {
            return Applied::default();
        }
        if streams.iter().any(|stream| stream.batches() >= self.config.stream_batches_max) {
            return Applied { txns: 0, more: true };
        }
        let mut batch = Batch::default();
        let mut dones: Vec<Vec<(usize, Done)>> = vec![Vec::new(); streams.len()];
        let room = |batch: &Batch| {
            batch.entries.len() < limits::APPLY_BATCH_MAX && batch.changes.len() < limits::APPLY_CHANGES_MAX
        };
        while room(&batch) && ready(self) {
            let proposed = self.window.pop_front().expect("ready() saw it");
            self.apply_one(tree, proposed, &mut batch, &mut dones);
        }
        let txns = batch.entries.len();
        self.overlay.applied(tree.zxid());
        self.stats.applied += txns as u64;
        self.publish(batch, dones, streams);
        self.drain_sessions(now, tree);
        Applied { txns, more: ready(self) }
    }

    fn apply_one(&mut self, tree: &mut Tree, proposed: Proposed, batch: &mut Batch, dones: &mut [Vec<(usize, Done)>]) {
        let Proposed { header, txn, digest, origin } = proposed;
        let first = batch.changes.len();
        let result = tree.apply(&header, &txn, &mut batch.changes);
        assert_eq!(tree.zxid(), header.zxid, "the tree stands at the transaction it applied");
        if digest.is_some_and(|digest| digest != tree.digest()) {
            self.events.push(NodeEvent::DigestMismatch { zxid: header.zxid });
            debug_assert!(false, "{}: the tree is not what prepare foresaw", header.zxid);
        }
        self.session_effects(header.session, &result, origin);
        let changes = first..batch.changes.len();
        batch.entries.push(Entry { zxid: header.zxid, session: header.session, origin, changes, result });
        if let Some(origin) = origin {
            self.advance_lane(tree, origin, batch.entries.len(), dones);
        }
    }

    /// The lane of an applied write moves on: what stood directly behind it runs exactly here.
    fn advance_lane(&mut self, tree: &Tree, origin: Origin, entries: usize, dones: &mut [Vec<(usize, Done)>]) {
        let conn = origin.conn;
        let lane = self.lanes.get_mut(&conn).expect("a lane lives until its writes are applied");
        let head = lane.places.pop_front();
        assert!(
            matches!(head, Some((seq, Place::Write)) if seq == origin.seq),
            "{conn:?}: request {} applied, but the lane's head is {head:?}",
            origin.seq
        );
        let (session, gone) = (lane.session, lane.gone);
        while let Some(lane) = self.lanes.get_mut(&conn)
            && matches!(lane.places.front(), Some((_, Place::Behind(_))))
            && let Some((seq, Place::Behind(work))) = lane.places.pop_front()
        {
            let origin = Origin { conn, seq };
            let done = if gone {
                Done { origin, zxid: tree.zxid(), body: DoneBody::Dropped }
            } else {
                self.execute(tree, session, origin, work)
            };
            dones[conn.shard()].push((entries, done));
        }
        if gone && self.lanes[&conn].places.is_empty() {
            self.lanes.remove(&conn);
        }
    }

    fn session_effects(&mut self, session: SessionId, result: &TxnResult, origin: Option<Origin>) {
        match (result, origin) {
            (TxnResult::SessionCreated, Some(origin)) => {
                let timeout_ms = self.sessions.get(session).map_or(0, |state| state.timeout_ms);
                self.events.push(NodeEvent::SessionCreated { session, conn: origin.conn, timeout_ms });
            }
            (TxnResult::SessionClosed, _) => {
                if let Some(state) = self.sessions.remove(session) {
                    self.events.push(if state.expired {
                        self.stats.expired += 1;
                        NodeEvent::SessionExpired { session, timeout_ms: state.timeout_ms }
                    } else {
                        NodeEvent::SessionClosed { session }
                    });
                }
            }
            _ => {}
        }
    }

    fn publish(&mut self, batch: Batch, dones: Vec<Vec<(usize, Done)>>, streams: &mut [Stream]) {
        let batch = Arc::new(batch);
        let items = dones.into_iter().map(|dones| Item::Batch { batch: batch.clone(), dones });
        #[cfg(any(test, feature = "mutants"))]
        if self.config.mutant == Some(crate::Mutant::PublishLater) {
            self.unpublished.resize_with(streams.len(), Default::default);
            for (held, item) in self.unpublished.iter_mut().zip(items) {
                held.push_back(item);
            }
            return;
        }
        for (stream, item) in streams.iter_mut().zip(items) {
            stream.push(item);
        }
    }

    /// Mutant `PublishLater`: true if something waits for `publish_held`.
    #[cfg(any(test, feature = "mutants"))]
    pub fn holds_back(&self, shard: usize) -> bool {
        self.unpublished.get(shard).is_some_and(|held| !held.is_empty())
    }

    /// Mutant `Blocking`: true if the replica waits for room in a stream.
    #[cfg(any(test, feature = "mutants"))]
    pub fn is_blocked(&self, streams: &[Stream]) -> bool {
        let full = streams.iter().any(|stream| stream.batches() >= self.config.stream_batches_max);
        full && self.window.front().is_some_and(|next| next.header.zxid <= self.committed())
    }

    /// Mutant `PublishLater`: hands over one batch that `apply` should have published.
    #[cfg(any(test, feature = "mutants"))]
    pub fn publish_held(&mut self, shard: usize, stream: &mut Stream) -> bool {
        let held = self.unpublished.get_mut(shard).and_then(std::collections::VecDeque::pop_front);
        let found = held.is_some();
        if let Some(item) = held {
            stream.push(item);
        }
        found
    }
}
