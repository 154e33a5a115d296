//! One turn of a shard: S1 to S4 of rules.md section 2.

use super::auditing::Audited;
use super::auth::is_authenticated;
use super::buffer::{Front, front};
use super::conn::{Away, Conn, State, address_text};
use super::handshake::next_touch_ms;
use super::{Shard, Turn};
use crate::{CloseReason, Mutant, Now, Origin, Outbox, Stream, Submit, SubmitItem};
use ostler_model::{OpCode, limits};
use ostler_tree::Tree;
use ostler_wire::client::RequestHeader;

/// How far a connection got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Its next request ran or went away.
    Ran,
    /// There is no next request.
    Idle,
    /// Its next request waits for answers, or for its client to read; something will make it ready again.
    Waiting,
    /// Its next request cannot be submitted now.
    NoCredit,
    /// It used up what one hold of the tree allows.
    Yield,
}

/// What the read path does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Write,
    Sync,
    Close,
    Read,
    Local,
    /// auth and sasl: out of order.
    Inline,
}

/// Everything that clients must not send is a local matter too: an answer or a close in its place.
fn class(op: i32) -> Class {
    use OpCode::{
        Auth, CloseSession, Create, Create2, CreateContainer, CreateTtl, Delete, Exists, GetAcl, GetAllChildrenNumber,
        GetChildren, GetChildren2, GetData, GetEphemerals, Multi, MultiRead, Reconfig, Sasl, SetAcl, SetData,
        SetWatches, SetWatches2, Sync,
    };
    match OpCode::from_i32(op) {
        Some(Create | Create2 | CreateContainer | CreateTtl | Delete | SetData | SetAcl | Multi | Reconfig) => {
            Class::Write
        }
        Some(Sync) => Class::Sync,
        Some(CloseSession) => Class::Close,
        Some(
            Exists | GetData | GetChildren | GetChildren2 | GetAcl | GetEphemerals | GetAllChildrenNumber | MultiRead
            | SetWatches | SetWatches2,
        ) => Class::Read,
        Some(Auth | Sasl) => Class::Inline,
        _ => Class::Local,
    }
}

/// True for operations that end the connection when their turn comes.
pub(super) fn is_last(op: i32) -> bool {
    let legal = |op| {
        matches!(op, OpCode::Ping | OpCode::WhoAmI | OpCode::AddWatch | OpCode::CheckWatches | OpCode::RemoveWatches)
    };
    class(op) == Class::Local && !OpCode::from_i32(op).is_some_and(legal)
}

impl Shard {
    /// One turn: handles the stream, then serves the connections that have something to do, then answers the
    /// replica's questions. The tree must not change during the turn; in a server with several threads its lock is
    /// held meanwhile.
    pub fn turn(&mut self, now: Now, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) -> Turn {
        self.now = now;
        self.turn += 1;
        if !self.waits_for_credit() {
            self.handle_some(tree, stream);
            self.close_overdue();
            self.serve_ready(tree, stream, outbox);
        }
        self.answer_questions(outbox);
        outbox.submits.append(&mut self.gone);
        outbox.touches.append(&mut self.last_words);
        outbox.resumed.append(&mut self.resumed);
        Turn { more: self.has_work() || !stream.is_empty() }
    }

    /// True if a turn would do something although no socket is ready: don't wait before it.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || self.stopped
            || !self.gone.is_empty()
            || !self.probes.is_empty()
            || self.read_once.is_some()
    }

    /// Mutant `Blocking`.
    fn waits_for_credit(&self) -> bool {
        self.config.is_broken(Mutant::Blocking) && !self.starved.is_empty() && !self.has_credit()
    }

    /// S1.
    fn handle_some(&mut self, tree: &Tree, stream: &mut Stream) {
        for _ in 0..self.config.stream_items_per_turn_max {
            let Some(item) = stream.pop() else { break };
            self.handle(item);
            self.run_set_aside(tree);
        }
    }

    /// S3: each ready connection once; what is left goes to the end of the queue.
    fn serve_ready(&mut self, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) {
        if self.has_credit() {
            while let Some(slot) = self.starved.pop_front() {
                // The connection may be gone, and its slot another's, since it was put here.
                if let Some(conn) = self.conns[slot as usize].as_deref_mut().filter(|conn| conn.starved) {
                    conn.starved = false;
                    self.make_ready(slot as usize);
                }
            }
        }
        self.held_bytes = 0;
        for _ in 0..self.ready.len() {
            if self.held_bytes > limits::HOLD_OUTPUT_BYTES_MAX {
                return;
            }
            let Some(slot) = self.ready.pop_front() else { return };
            let Some(conn) = self.conns[slot as usize].as_deref_mut().filter(|conn| conn.queued) else { continue };
            conn.queued = false;
            self.run_collected(slot as usize, tree);
            self.serve(slot as usize, tree, stream, outbox);
        }
    }

    fn serve(&mut self, slot: usize, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) {
        let mut step = Step::Ran;
        for _ in 0..limits::TURN_REQUESTS_MAX {
            step = self.step(slot, tree, stream, outbox);
            if step != Step::Ran || self.held_bytes > limits::HOLD_OUTPUT_BYTES_MAX {
                break;
            }
        }
        match step {
            Step::Ran | Step::Yield => self.make_ready(slot),
            Step::NoCredit => {
                if !std::mem::replace(&mut self.conn_mut(slot).starved, true) {
                    self.starved.push_back(slot as u32);
                }
            }
            Step::Waiting => {}
            Step::Idle => {
                let conn = self.conn(slot);
                if conn.eof && matches!(conn.state, State::Handshake | State::Connecting | State::Open) {
                    self.stats.plain.dropped += 1;
                    self.close(slot, CloseReason::Client);
                }
            }
        }
        self.resume(slot);
    }

    /// The next request of a connection, if there is one. Nothing behind a request is looked at before it ran or is
    /// away.
    fn step(&mut self, slot: usize, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) -> Step {
        let conn = self.conn_mut(slot);
        match conn.state {
            State::Handshake => return self.begin(slot, tree, stream, outbox),
            State::Open => {}
            State::Command | State::Connecting | State::Ending | State::Closing => return Step::Idle,
        }
        if conn.output.len() > limits::OUTPUT_SOFT_MAX {
            conn.choked = true;
            return Step::Waiting;
        }
        if conn.long.is_some() {
            self.enter_gate(tree, stream);
            return self.step_long(slot, tree);
        }
        if self.guarded && !self.reserve_large(slot) {
            return Step::Idle;
        }
        let length = match front(self.conn(slot).input.filled(), 8, self.config.frame_bytes_max) {
            Front::Nothing | Front::Part => return Step::Idle,
            Front::Frame(length) => length,
            Front::Bad(length) => {
                self.close(slot, CloseReason::BadFrameLength(length));
                return Step::Idle;
            }
        };
        let (header, _) = RequestHeader::split(&self.conn(slot).input.filled()[4..4 + length])
            .expect("a frame after the handshake has at least 8 bytes");
        self.request(slot, header, length, tree, stream, outbox)
    }

    fn request(
        &mut self,
        slot: usize,
        header: RequestHeader,
        length: usize,
        tree: &Tree,
        stream: &mut Stream,
        outbox: &mut Outbox,
    ) -> Step {
        let class = class(header.op);
        if class == Class::Inline {
            self.received(slot, 0);
            self.touch(slot, outbox);
            self.authenticate(slot, header, length);
            self.consume(slot, 4 + length);
            return Step::Ran;
        }
        if !is_authenticated(&self.config, self.conn(slot)) {
            self.received(slot, 0);
            self.refuse_unauthenticated(slot, header);
            return Step::Idle;
        }
        if self.read_only && self.is_beyond_reading(slot, header.op) {
            return self.refuse_beyond_reading(slot, header, length, outbox);
        }
        let waited_ms = self.waited_ms(slot, length);
        if self.guarded && self.drop_stale(slot, header.op, waited_ms) {
            return Step::Idle;
        }
        let throttled = self.guarded && self.is_throttled(class, header.op, waited_ms);
        if matches!(class, Class::Read | Class::Local) {
            if self.set_aside(slot, length) {
                return Step::Ran;
            }
            if self.conn(slot).away.is_empty() || self.config.is_broken(Mutant::IgnoreAway) {
                if throttled {
                    self.received(slot, waited_ms);
                    self.touch(slot, outbox);
                    return self.refuse_here(slot, header, length);
                }
                return self.run_here(slot, class, header, length, tree, stream, outbox);
            }
            if class == Class::Read && !throttled && self.is_long(slot, header.op, length, tree) {
                self.conn_mut(slot).waits_for_away = true;
                return Step::Waiting;
            }
        }
        if !self.has_credit() {
            self.starve(slot);
            return Step::NoCredit;
        }
        self.received(slot, waited_ms);
        self.touch(slot, outbox);
        self.submit(slot, if throttled { Class::Local } else { class }, header, length, outbox);
        if throttled {
            self.conn_mut(slot).away.back_mut().expect("just submitted").throttled = true;
        }
        Step::Ran
    }

    /// Nothing of the connection is away: the request runs here and now.
    #[allow(clippy::too_many_arguments, reason = "a request with its circumstances")]
    fn run_here(
        &mut self,
        slot: usize,
        class: Class,
        header: RequestHeader,
        length: usize,
        tree: &Tree,
        stream: &mut Stream,
        outbox: &mut Outbox,
    ) -> Step {
        let mut zxid = self.handled;
        if class == Class::Read {
            zxid = self.enter_gate(tree, stream);
            if self.conn(slot).state != State::Open {
                return Step::Idle;
            }
        } else if self.config.is_broken(Mutant::PingTreeZxid) {
            zxid = tree.zxid();
        }
        self.received(slot, 0);
        self.touch(slot, outbox);
        if class == Class::Read {
            return self.run_read(slot, header, length, tree, zxid);
        }
        let body = if header.op == OpCode::Ping.code() {
            Vec::new()
        } else {
            self.conn(slot).input.filled()[12..4 + length].to_vec()
        };
        self.consume(slot, 4 + length);
        let received_ms = self.now.mono_ms;
        self.run_local(slot, (header.op, header.xid), &body, zxid, received_ms);
        Step::Ran
    }

    /// Takes the gate: handles what the tree contains, so that what is read now is explained by what was handled.
    pub(super) fn enter_gate(&mut self, tree: &Tree, stream: &mut Stream) -> ostler_model::Zxid {
        if self.config.is_broken(Mutant::NoDrain) {
            return tree.zxid();
        }
        while self.handled < tree.zxid() {
            let item = stream.pop().expect("an entry is in the stream before the tree shows it");
            self.handle(item);
        }
        assert_eq!(self.handled, tree.zxid(), "a shard never runs ahead of the tree");
        self.handled
    }

    /// Sends a request away. The body of a local operation stays here: only its place goes.
    fn submit(&mut self, slot: usize, class: Class, header: RequestHeader, length: usize, outbox: &mut Outbox) {
        let received_ms = self.now.mono_ms;
        self.away_total += 1;
        let audits = self.audits.is_some();
        let conn = self.conn_mut(slot);
        let seq = conn.next_seq;
        conn.next_seq += 1;
        let body = conn.input.filled()[12..4 + length].to_vec();
        let (xid, ids) = (header.xid, conn.ids.clone());
        let op = || OpCode::from_i32(header.op).expect("reads and writes have an opcode");
        let (kept, item) = match class {
            Class::Write => (Vec::new(), SubmitItem::Write { op: op(), xid, body, ids }),
            Class::Read => (Vec::new(), SubmitItem::Read { op: op(), xid, body, ids }),
            Class::Sync => (body, SubmitItem::Sync),
            Class::Close => (Vec::new(), SubmitItem::Close { xid }),
            Class::Local | Class::Inline => (body, SubmitItem::Local),
        };
        let audited = (audits && class == Class::Write).then(|| Audited {
            op: header.op,
            ids: conn.ids.clone(),
            ip: address_text(conn.peer.ip()),
            session: conn.session,
            body: conn.input.filled()[12..4 + length].to_vec(),
        });
        let large = std::mem::take(&mut conn.large);
        conn.away.push_back(Away { seq, xid, op: header.op, received_ms, body: kept, throttled: false, large });
        if class == Class::Close || is_last(header.op) {
            conn.state = State::Ending;
        }
        let origin = Origin { conn: conn.id, seq };
        if let Some(audited) = audited {
            self.keep_for_audit(origin, audited);
        }
        outbox.submits.push(Submit { origin, item });
        self.consume(slot, 4 + length);
    }

    pub(super) fn received(&mut self, slot: usize, waited_ms: u64) {
        self.stats.plain.packets_received += 1;
        self.stats.taken(waited_ms);
        let conn = self.conn_mut(slot);
        conn.figures.received += 1;
        conn.starved_ms = 0;
    }

    /// The session was heard of; the replica is told once per tick.
    pub(super) fn touch(&mut self, slot: usize, outbox: &mut Outbox) {
        let (now, tick_ms) = (self.now, self.config.tick_time_ms);
        let conn = self.conn_mut(slot);
        if now.mono_ms >= conn.next_touch_ms {
            conn.next_touch_ms = next_touch_ms(now.mono_ms, conn.timeout_ms, tick_ms);
            outbox.touches.push(conn.session);
        }
    }

    /// Answers probes and calls to read, one whole turn after they were met: the sockets were read in between.
    fn answer_questions(&mut self, outbox: &mut Outbox) {
        let turn = self.turn;
        for (asked, id, session) in std::mem::take(&mut self.probes) {
            if asked == turn {
                self.probes.push((asked, id, session));
                continue;
            }
            let Some(slot) = self.live_slot(id) else { continue };
            if self.was_heard(self.conn(slot)) {
                outbox.touches.push(session);
            } else {
                let item = SubmitItem::Silent { session };
                outbox.submits.push(Submit { origin: Origin { conn: id, seq: 0 }, item });
            }
        }
        let here = Origin { conn: crate::ConnId::new(0, self.index as u8, 0), seq: 0 };
        if std::mem::take(&mut self.stopped) {
            outbox.submits.push(Submit { origin: here, item: SubmitItem::Stopped { shard: self.index } });
        }
        if self.read_once.is_some_and(|asked| asked < turn) {
            self.read_once = None;
            outbox.submits.push(Submit { origin: here, item: SubmitItem::HaveRead { shard: self.index } });
        }
    }

    /// True if the connection spoke within its time-out, or has spoken and was not looked at yet.
    fn was_heard(&self, conn: &Conn) -> bool {
        let waits = matches!(front(conn.input.filled(), 8, self.config.frame_bytes_max), Front::Frame(_));
        // The bucket of the last touch: the replica may not have it yet.
        let bucket_ms = conn.next_touch_ms + u64::try_from(conn.timeout_ms).unwrap_or(0);
        self.now.mono_ms < bucket_ms || (waits && !conn.choked)
    }
}
