//! Applying what is committed: R1 to R3 of rules.md section 2.

use super::lanes::{Place, Work};
use super::{Applied, Outbound, Proposed, Replica, Role};
use crate::{Batch, ConnId, Done, DoneBody, Entry, Item, NodeEvent, Now, Origin, Stream};
use ostler_model::{SessionId, limits};
use ostler_tree::{Tree, TxnResult};
use std::sync::Arc;

impl Replica {
    /// Applies durable transactions: at most 64 and about 200 us of work in one call, none if a stream has no room. Everything is in the
    /// streams before the call returns, so before anybody can see the tree.
    pub fn apply(&mut self, now: Now, tree: &mut Tree, streams: &mut [Stream]) -> Applied {
        if matches!(self.role, Role::Idle | Role::ReadOnly) {
            return Applied::default();
        }
        let committed = self.committed;
        let ready = |replica: &Replica| replica.window.front().is_some_and(|next| next.header.zxid <= committed);
        if !ready(self) {
            return Applied::default();
        }
        if streams.iter().any(|stream| stream.batches() >= self.config.stream_batches_max) {
            return Applied { more: true, ..Applied::default() };
        }
        let mut batch = Batch::default();
        let mut dones: Vec<Vec<(usize, Done)>> = vec![Vec::new(); streams.len()];
        let mut work = 0;
        while batch.entries.len() < limits::APPLY_BATCH_MAX && ready(self) {
            let next = self.window.front().expect("ready() saw it");
            work += next.txn.work();
            if work > limits::APPLY_WORK_MAX && !batch.entries.is_empty() {
                break;
            }
            let proposed = self.window.pop_front().expect("ready() saw it");
            self.propagation.add(u64::try_from(now.wall_ms - proposed.header.time_ms).unwrap_or(0));
            self.apply_one(tree, &proposed, &mut batch, &mut dones);
        }
        let txns = batch.entries.len();
        self.overlay.applied(tree.zxid());
        self.stats.applied += txns as u64;
        self.publish(batch, dones, streams);
        self.drain_sessions(now, tree);
        Applied { txns, more: ready(self), diverged: self.diverged.take() }
    }

    fn apply_one(&mut self, tree: &mut Tree, proposed: &Proposed, batch: &mut Batch, dones: &mut [Vec<(usize, Done)>]) {
        let first = batch.changes.len();
        let result = tree.apply_prepared(&proposed.header, &proposed.txn, proposed.found, &mut batch.changes);
        let agrees = self.digest_agrees(tree, proposed);
        debug_assert!(agrees || self.role == Role::Learner, "{}: not what prepare foresaw", tree.zxid());
        if !agrees {
            self.diverged.get_or_insert(tree.zxid());
        }
        let &Proposed { header, origin, .. } = proposed;
        self.session_effects(header.session, &result, origin);
        let changes = first..batch.changes.len();
        batch.entries.push(Entry { zxid: header.zxid, session: header.session, origin, changes, result });
        let entries = batch.entries.len();
        if let Some(origin) = origin {
            self.advance_lane(tree, origin, entries, dones);
        }
        while let Some(conn) = self.next_due_sync(tree.zxid()) {
            self.run_lane(tree, conn, |done| dones[conn.shard()].push((entries, done)));
        }
    }

    /// True if the tree is what the leader (or prepare here) foresaw; else it is told.
    pub(super) fn digest_agrees(&mut self, tree: &Tree, applied: &Proposed) -> bool {
        let zxid = applied.header.zxid;
        assert_eq!(tree.zxid(), zxid, "the tree stands at the transaction it applied");
        let agrees = !self.settled || applied.digest.is_none_or(|digest| digest == tree.digest());
        if !agrees {
            self.differs = true;
            self.events.push(NodeEvent::DigestMismatch { zxid });
        }
        agrees
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
        self.run_lane(tree, conn, |done| dones[conn.shard()].push((entries, done)));
    }

    /// Runs what stands at the head of a lane and waits for nothing more.
    fn run_lane(&mut self, tree: &Tree, conn: ConnId, mut answer: impl FnMut(Done)) {
        while let Some(lane) = self.lanes.get_mut(&conn) {
            let (session, gone) = (lane.session, lane.gone);
            let runs = match lane.places.front() {
                Some((_, Place::Behind(_))) => true,
                Some((_, Place::Sync(ready))) => ready.is_some_and(|ready| ready <= tree.zxid()),
                Some((_, Place::Write)) | None => false,
            };
            let Some((seq, place)) = (if runs { lane.places.pop_front() } else { None }) else {
                if gone && lane.places.is_empty() {
                    self.lanes.remove(&conn);
                }
                return;
            };
            let origin = Origin { conn, seq };
            let work = if let Place::Behind(work) = place { work } else { Work::Local };
            answer(if gone {
                Done { origin, zxid: tree.zxid(), body: DoneBody::Dropped }
            } else {
                self.execute(tree, session, origin, work)
            });
        }
    }

    /// The same outside of `apply`.
    pub(super) fn run_lane_now(&mut self, tree: &Tree, streams: &mut [Stream], conn: ConnId) {
        self.run_lane(tree, conn, |done| streams[conn.shard()].push(Item::Done(done)));
    }

    fn session_effects(&mut self, session: SessionId, result: &TxnResult, origin: Option<Origin>) {
        match (result, origin) {
            (TxnResult::SessionCreated, Some(origin)) => {
                let timeout_ms = self.sessions.get(session).map_or(0, |state| state.timeout_ms);
                self.events.push(NodeEvent::SessionCreated { session, conn: origin.conn, timeout_ms });
            }
            (TxnResult::SessionClosed, _) => {
                for link in self.asked_after.remove(&session).unwrap_or_default() {
                    self.outbound.push(Outbound::Ended { link, session });
                }
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
        full && self.window.front().is_some_and(|next| next.header.zxid <= self.committed)
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
