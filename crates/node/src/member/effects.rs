//! What zab wants, done to the parts of this server or ordered from its shell.

use super::pipe::Source;
use super::quorum::{self, Asked, Mode, QuorumLink, Side};
use super::{Dialling, Member, Order, Parts, Port};
use ostler_model::{OpCode, ServerId, Zxid, limits};
use ostler_wire::quorum::{ToLeader, ToLearner, Touch};
use ostler_wire::txn::TxnRecord;
use ostler_zab::LinkEvent;
use ostler_zab::{Barrier, DiskOp, Effect, Event, LinkId, Payload};

impl Member {
    pub(super) fn effect(&mut self, parts: &mut Parts<'_>, effect: Effect) {
        match effect {
            Effect::Notify { to, notification } => self.links_step(parts, LinkEvent::Notify { to, notification }),
            Effect::DialLeader { leader, until_ms } => {
                self.dialling = Some(Dialling { leader, until_ms, link: None, again_ms: 0 });
                self.redial(parts.now.mono_ms);
            }
            Effect::Send { link, message } => self.send(link, |out| quorum::encode(out, &message)),
            Effect::SendHistory { link, after, upto } => self.begin(link, Source::History { after, upto }),
            Effect::SendTree { link, at_least } => self.begin(link, Source::Tree { at_least }),
            Effect::ReceiveTree { link, label } => {
                if let Some(conn) = self.quorum.get_mut(&link) {
                    conn.mode = Mode::Tree { label };
                }
            }
            Effect::CloseLink { link, why: _ } => self.close_link(link),
            Effect::Deliver { link, bytes, .. } => self.deliver(parts, link, &bytes),
            Effect::AnswerPing { link, zxid } => {
                let heard = parts.replica.take_touches().into_iter();
                let touched: Vec<Touch> = heard.map(|(session, timeout_ms)| Touch { session, timeout_ms }).collect();
                // Several answers rather than one that Apache would find too long; none would mean a dead learner.
                let answers = touched.len().div_ceil(limits::PING_TOUCHES_MAX).max(1);
                // The leader counts the last part only (zab's `fresh.rs`).
                let zxid = |part| if part + 1 == answers { zxid } else { Zxid(-1) };
                for part in 0..answers {
                    let rest = &touched[(part * limits::PING_TOUCHES_MAX)..];
                    let touched = rest[..rest.len().min(limits::PING_TOUCHES_MAX)].to_vec();
                    self.send(link, |out| ToLeader::Ping { zxid: zxid(part), touched }.encode(out));
                }
            }
            Effect::Disk { generation, op } => {
                if let DiskOp::Append { zxid, payload } = &op
                    && !parts.replica.is_leader()
                {
                    let record = self.record(*zxid, payload);
                    parts.replica.proposed(parts.tree, parts.streams, record);
                }
                if let DiskOp::SaveConfig { ensemble, .. } = &op {
                    self.last_seen = (**ensemble).clone();
                    self.tell_members(parts);
                }
                self.orders.push(Order::Disk { generation, op });
            }
            Effect::Replay { zxid, payload } => {
                let record = self.record(zxid, &payload);
                parts.replica.proposed(parts.tree, parts.streams, record);
                self.commit(parts, zxid);
            }
            Effect::Commit { upto } => self.commit(parts, upto),
            Effect::Forget { after } => parts.replica.forget(after),
            Effect::Reload { generation, upto } => self.orders.push(Order::Reload { generation, upto }),
            Effect::Reached { token } => match self.barriers.remove(&token.0) {
                Some(Some(link)) => self.send(link, |out| ToLearner::Sync.encode(out)),
                Some(None) => parts.replica.sync_answered(parts.tree, parts.streams),
                None => {}
            },
            Effect::Serve { role, epoch } => {
                self.apply(parts);
                let text = self.committed.to_string();
                parts.tree.write_config(&text, self.committed.version(), parts.now.wall_ms);
                parts.replica.serve(parts.now, role, epoch, parts.tree, parts.streams);
                if parts.tree.finish_replay().is_err() {
                    // A node without its ACL: the leader's tree was not whole.
                    parts.replica.distrust_tree();
                    self.events.push_back(Event::Diverged { zxid: parts.tree.zxid() });
                }
                self.orders.push(Order::Serving { role, epoch });
            }
            Effect::StopServing => {
                parts.replica.stop_serving(parts.streams);
                // What the replica proposed and zab did not take any more is nobody's.
                parts.replica.forget(self.zab.status().last);
                // What was committed and not applied yet: the shell did that in portions while clients were served.
                self.apply(parts);
                self.barriers.clear();
                self.orders.push(Order::StoppedServing);
            }
            Effect::Activate { ensemble } => {
                self.committed = (*ensemble).clone();
                if self.last_seen.version() < ensemble.version() {
                    self.last_seen = (*ensemble).clone();
                }
                self.tell_members(parts);
                self.orders.push(Order::Activate(ensemble));
            }
            Effect::Resigned => self.orders.push(Order::Resigned),
            Effect::Trace(trace) => self.orders.push(Order::Trace(trace)),
        }
    }

    /// The record of a transaction that zab took: it was decoded when it arrived.
    fn record(&mut self, zxid: Zxid, payload: &Payload) -> TxnRecord {
        while let Some(record) = self.decoded.pop_front() {
            if record.header.zxid == zxid {
                return record;
            }
        }
        let (record, _) = quorum::transaction(zxid, payload, payload.len())
            .expect("what does not decode is refused where it arrives, and the leader's own records are its own");
        record
    }

    fn commit(&mut self, parts: &mut Parts<'_>, upto: Zxid) {
        parts.replica.commit(upto);
        self.apply(parts);
    }

    /// Applies what is committed; while clients are served the shell does it, in portions.
    fn apply(&mut self, parts: &mut Parts<'_>) {
        if !parts.replica.is_serving() && !parts.replica.apply_quietly(parts.tree) {
            self.events.push_back(Event::Diverged { zxid: parts.tree.zxid() });
        }
    }

    pub(super) fn send(&mut self, link: LinkId, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.quorum.get_mut(&link) else { return };
        conn.pipe.send(encode);
        if conn.pipe.is_full() && !std::mem::replace(&mut conn.full, true) {
            self.events.push_back(Event::PipeFull { link });
        }
        self.mark_dirty(link);
    }

    fn begin(&mut self, link: LinkId, source: Source) {
        if self.quorum.get_mut(&link).is_some_and(|conn| conn.pipe.begin(source)) {
            self.order_source(link, source);
        }
    }

    fn close_link(&mut self, link: LinkId) {
        if let Some(conn) = self.quorum.get_mut(&link) {
            conn.pipe.finish();
            self.orders.push(Order::Forget { link });
            self.mark_dirty(link);
        }
        if self.dialling.is_some_and(|dialling| dialling.link == Some(link)) {
            self.dialling = None;
        }
    }

    /// Whoever asks for a sync is told when its turn has come.
    pub(super) fn barrier(&mut self, asker: Option<LinkId>) -> Event {
        self.next_barrier += 1;
        self.barriers.insert(self.next_barrier, asker);
        Event::Barrier { token: Barrier(self.next_barrier) }
    }

    /// A learner's question or request, in order with everything else on its connection.
    fn deliver(&mut self, parts: &mut Parts<'_>, link: LinkId, bytes: &[u8]) {
        if !parts.replica.is_leader() {
            return;
        }
        match quorum::asked(bytes) {
            Some(Asked::Request(request)) if request.op == OpCode::Sync => {
                let barrier = self.barrier(Some(link));
                self.events.push_back(barrier);
            }
            Some(Asked::Request(request)) => {
                parts.replica.learner_request(parts.now, parts.tree, parts.streams, link, request);
            }
            Some(Asked::Revalidate(session, timeout_ms)) => {
                let valid = parts.replica.revalidate_for(parts.now, parts.streams, link, session, timeout_ms);
                if let Some(valid) = valid {
                    self.send(link, |out| ToLearner::Revalidate { session, valid }.encode(out));
                }
            }
            None => {}
        }
    }

    /// The next attempt to connect to the leader, if it is time for it.
    pub(super) fn redial(&mut self, now_ms: u64) {
        let Some(dialling) = self.dialling.filter(|dialling| dialling.link.is_none()) else { return };
        if now_ms >= dialling.until_ms {
            self.dialling = None;
            self.events.push_back(Event::DialFailed { leader: dialling.leader });
        } else if now_ms >= dialling.again_ms {
            let link = self.dial(dialling.leader);
            self.dialling = Some(Dialling { link: Some(link), ..dialling });
        }
    }

    fn dial(&mut self, leader: ServerId) -> LinkId {
        let link = self.new_link();
        self.quorum.insert(link, QuorumLink::new(Side::Leader));
        self.orders.push(Order::Dial { link, server: leader, port: Port::Quorum, address: None });
        link
    }

    /// The server looks for another leader: an attempt under way is given up.
    pub(super) fn stop_dialling(&mut self) {
        if let Some(link) = self.dialling.take().and_then(|dialling| dialling.link) {
            self.close_link(link);
        }
    }
}
