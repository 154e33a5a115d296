//! What a shard does with the items of its stream: S1 of rules.md section 2. Needs no tree, no lock, no submit.

use super::Shard;
use super::conn::{Away, State};
use super::figures::Answered;
use crate::reply::encode_result;
use crate::{Batch, CloseReason, ConnId, Done, DoneBody, Entry, Item, Origin};
use ostler_model::{ErrorCode, EventType, WatchMode, Zxid, limits, perms};
use ostler_tree::{Change, TxnResult};
use ostler_wire::client::{encode_error, encode_event};

impl Away {
    fn answered(&self, zxid: Zxid, bytes: usize, update: bool) -> Answered {
        Answered { op: self.op, xid: self.xid, zxid, received_ms: self.received_ms, bytes, update }
    }
}

impl Shard {
    pub(super) fn handle(&mut self, item: Item) {
        match item {
            Item::Batch { batch, dones } => self.batch(&batch, dones),
            Item::Done(done) => self.done(done),
            Item::Evict(conn) => {
                if let Some(slot) = self.live_slot(conn) {
                    self.close(slot, CloseReason::Moved);
                }
            }
            Item::Attached { conn, session, timeout_ms } => {
                self.away_total -= 1;
                if let Some(slot) = self.live_slot(conn) {
                    self.attached(slot, session, timeout_ms, false);
                }
            }
            Item::Probe { conn, session } => self.probes.push((self.turn, conn, session)),
            Item::ReadOnce => self.read_once = Some(self.turn),
            Item::Start { zxid, epoch } => self.start(zxid, Zxid::new(epoch, 0), false),
            Item::StartReadOnly { zxid } => self.start(zxid, zxid, true),
            Item::Stop => self.stop(),
        }
    }

    /// The role begins. Handshakes that came too early are looked at now.
    fn start(&mut self, zxid: Zxid, epoch_start: Zxid, read_only: bool) {
        assert!(!self.serving, "a role begins when the one before has ended");
        (self.serving, self.read_only) = (true, read_only);
        (self.handled, self.epoch_start) = (zxid, epoch_start);
        for slot in 0..self.conns.len() {
            if self.conns[slot].as_ref().is_some_and(|conn| conn.state == State::Handshake) {
                self.make_ready(slot);
            }
        }
    }

    /// The role ends: nobody answers what is away.
    fn stop(&mut self) {
        (self.serving, self.read_only) = (false, false);
        self.stopped = true;
        for slot in 0..self.conns.len() {
            if self.conns[slot].as_ref().is_some_and(|conn| !matches!(conn.state, State::Handshake | State::Command)) {
                self.close(slot, CloseReason::NotServing);
            }
        }
        self.gone.clear();
        self.probes.clear();
        self.read_once = None;
        self.away_total = 0;
        if let Some(audits) = &mut self.audits {
            audits.clear();
        }
    }

    fn batch(&mut self, batch: &Batch, dones: Vec<(usize, Done)>) {
        let mut dones = dones.into_iter().peekable();
        for (index, entry) in batch.entries.iter().enumerate() {
            self.entry(entry, &batch.changes[entry.changes.clone()]);
            while let Some((_, done)) = dones.next_if(|(behind, _)| *behind == index + 1) {
                self.done(done);
            }
        }
        assert!(dones.peek().is_none(), "every answer stands behind an entry of its batch");
    }

    /// One applied transaction: first its watches, then the reply if its connection lives here.
    fn entry(&mut self, entry: &Entry, changes: &[Change]) {
        let next = entry.zxid;
        assert!(self.handled.is_followed_by(next), "entry {next} behind {}: a hole in the stream", self.handled);
        for change in changes {
            self.fire(entry, change);
            self.note_in_listings(change);
        }
        self.handled = next;
        if self.audits.is_some() {
            self.audit_entry(entry, changes);
        }
        if let Some(origin) = entry.origin.filter(|origin| origin.conn.shard() == self.index) {
            self.away_total -= 1;
            match self.live_slot(origin.conn) {
                Some(slot) => self.reply_to_write(slot, origin, entry),
                None => self.stats.plain.stale_replies += 1,
            }
        }
        if entry.result == TxnResult::SessionClosed
            && let Some(slot) = self.sessions.get(&entry.session).copied()
        {
            self.close(slot as usize, CloseReason::Expired);
        }
    }

    fn fire(&mut self, entry: &Entry, change: &Change) {
        if self.watches.is_empty() {
            return;
        }
        let Shard { watches, conns, pool, dirty, config, stats, overflowing, .. } = self;
        // Connections told, by kind of event: at most three kinds fire for one change, in runs.
        let mut told: Option<(EventType, u64)> = None;
        watches.fire(change, |event| {
            match &mut told {
                Some((kind, count)) if *kind == event.kind => *count += 1,
                _ => {
                    if let Some((kind, count)) = told.replace((event.kind, 1)) {
                        stats.watchers(kind, count);
                    }
                }
            }
            let conn = conns[event.slot as usize].as_deref_mut().expect("watches end with their connection");
            if !config.policy.allows(event.acl, perms::READ, &conn.ids) {
                return;
            }
            if conn.output.len() > limits::OUTPUT_HARD_MAX {
                overflowing.push(conn.id);
                return;
            }
            let before = conn.output.len();
            encode_event(conn.output.tail(pool), entry.zxid, event.kind, event.path);
            conn.figures.sent += 1;
            stats.plain.packets_sent += 1;
            stats.plain.watch_bytes += (conn.output.len() - before - 4) as u64;
            if !conn.dirty {
                conn.dirty = true;
                dirty.push(conn.id);
            }
        });
        if let Some((kind, count)) = told {
            stats.watchers(kind, count);
        }
        while let Some(conn) = self.overflowing.pop() {
            self.give_up(conn);
        }
    }

    fn reply_to_write(&mut self, slot: usize, origin: Origin, entry: &Entry) {
        if entry.result == TxnResult::SessionCreated {
            let timeout_ms = self.conn(slot).timeout_ms;
            self.attached(slot, entry.session, Some(timeout_ms), true);
            return;
        }
        let away = self.come_back(slot, origin);
        if self.overflows(slot) {
            return;
        }
        if entry.result == TxnResult::Error(ErrorCode::SessionMoved.code()) {
            self.close(slot, CloseReason::Moved);
            return;
        }
        let now = self.now;
        let Shard { conns, pool, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let before = conn.output.len();
        encode_result(conn.output.tail(pool), away.xid, entry.zxid, &entry.result);
        let bytes = conn.output.len() - before;
        conn.count_reply(stats, now, &away.answered(entry.zxid, bytes, true));
        self.mark_dirty(slot);
        if entry.result == TxnResult::SessionClosed {
            self.close(slot, CloseReason::Client);
        }
    }

    /// Later input is not looked at; what ends the session or the role ends the connection.
    fn ignore_the_rest(&mut self, slot: usize) {
        let conn = self.conn_mut(slot);
        if conn.state == State::Open {
            conn.state = State::Ending;
        }
    }

    /// An answer of the replica that is no transaction.
    fn done(&mut self, done: Done) {
        assert_eq!(done.zxid, self.handled, "{:?}: an answer stands exactly behind what it saw", done.origin);
        self.away_total -= 1;
        self.audit_done(done.origin, &done.body);
        let Some(slot) = self.live_slot(done.origin.conn) else { return };
        let away = self.come_back(slot, done.origin);
        if self.overflows(slot) {
            return;
        }
        match done.body {
            DoneBody::Local if away.throttled => self.refuse_throttled(slot, &away, done.zxid),
            DoneBody::Local => {
                self.run_local(slot, (away.op, away.xid), &away.body, done.zxid, away.received_ms);
            }
            // The session is ending, or has gone elsewhere: nothing behind the request is answered either, or a reply
            // would overtake one that never comes (INV-30).
            DoneBody::Dropped => self.ignore_the_rest(slot),
            DoneBody::Undecodable => {
                let before = self.conn(slot).output.len();
                encode_error(self.output_of(slot), away.xid, done.zxid, Some(ErrorCode::MarshallingError));
                self.answered(slot, &away, done.zxid, before);
            }
            DoneBody::Reply { frame, watch } => {
                if let Some(watch) = watch {
                    self.watches.add(slot as u32, &watch.path, watch.table, WatchMode::Standard);
                }
                let before = self.conn(slot).output.len();
                self.output_of(slot).extend_from_slice(&frame);
                self.answered(slot, &away, done.zxid, before);
            }
        }
    }

    /// The answer to a request that was away is what the output holds beyond `before`.
    pub(super) fn answered(&mut self, slot: usize, away: &Away, zxid: Zxid, before: usize) {
        let now = self.now;
        let Shard { conns, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let bytes = conn.output.len() - before;
        conn.count_reply(stats, now, &away.answered(zxid, bytes, false));
        self.mark_dirty(slot);
    }

    /// A request is back: the first that went away.
    fn come_back(&mut self, slot: usize, origin: Origin) -> Away {
        let conn = self.conn_mut(slot);
        let away = conn.away.pop_front().expect("something is away");
        assert_eq!(away.seq, origin.seq, "{:?}: answers come in the order of the requests", conn.id);
        let large = away.large;
        if conn.away.is_empty() && conn.waits_for_away {
            conn.waits_for_away = false;
            self.make_ready(slot);
        }
        self.large_bytes -= large;
        away
    }

    /// True (and the end of the connection) if so much output is waiting that nothing may be added. One reply may
    /// exceed the bound alone, so this is asked before.
    pub(super) fn overflows(&mut self, slot: usize) -> bool {
        let conn = self.conn(slot);
        let (id, overflows) = (conn.id, conn.output.len() > limits::OUTPUT_HARD_MAX);
        if overflows {
            self.give_up(id);
        }
        overflows
    }

    /// The client does not read: its output is thrown away.
    fn give_up(&mut self, conn: ConnId) {
        let Some(slot) = self.live_slot(conn) else { return };
        let Shard { conns, pool, .. } = self;
        conns[slot].as_deref_mut().expect("just found").output.release(pool);
        self.close(slot, CloseReason::SlowReader);
    }
}
