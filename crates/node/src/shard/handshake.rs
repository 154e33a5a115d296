//! The first bytes of a connection: a four-letter word, or the handshake (client-protocol.md sections 2 and 3).

use super::buffer::{Front, front};
use super::conn::{Away, State};
use super::figures::Answered;
use super::turn::Step;
use super::{Command, Shard};
use crate::replica::expiry_bucket;
use crate::{CloseReason, Origin, Outbox, Stream, Submit, SubmitItem};
use ostler_model::{OpCode, SessionId, session_password};
use ostler_tree::Tree;
use ostler_wire::client::{ConnectRequest, ConnectResponse};

/// The words of 3.9 (operations.md section 3); the shell knows which are allowed.
const WORDS: [&[u8; 4]; 18] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"envi", b"gtmk", b"hash", b"isro", b"mntr", b"ruok", b"srst",
    b"srvr", b"stat", b"stmk", b"wchc", b"wchp", b"wchs",
];
/// What telnet sends to close: answered by closing.
const TELNET_CLOSE: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

impl Shard {
    /// Looks at the first bytes.
    pub(super) fn begin(&mut self, slot: usize, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) -> Step {
        let conn = self.conn(slot);
        let input = conn.input.filled();
        let Some(word) = input.first_chunk::<4>().copied() else { return Step::Idle };
        if word == TELNET_CLOSE {
            self.close(slot, CloseReason::Command);
            return Step::Idle;
        }
        if WORDS.contains(&&word) {
            return self.command(slot, word, outbox);
        }
        let first = front(input, 0, self.config.frame_bytes_max);
        if self.guarded && !self.reserve_large(slot) {
            return Step::Idle;
        }
        match first {
            Front::Nothing | Front::Part => Step::Idle,
            Front::Bad(length) => {
                self.close(slot, CloseReason::BadFrameLength(length));
                Step::Idle
            }
            // Held back until a quorum is there, or the time for a handshake is over.
            Front::Frame(_) if !self.serving => Step::Idle,
            Front::Frame(_) if !self.has_credit() => Step::NoCredit,
            Front::Frame(length) => {
                self.enter_gate(tree, stream);
                self.connect(slot, length, tree, outbox);
                Step::Idle
            }
        }
    }

    fn command(&mut self, slot: usize, word: [u8; 4], outbox: &mut Outbox) -> Step {
        let conn = self.conn(slot);
        let argument = conn.input.filled().get(4..12).and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
        if &word == b"stmk" && argument.is_none() {
            return Step::Idle;
        }
        outbox.commands.push(Command { conn: conn.id, word, argument });
        let Shard { conns, pool, input_bytes, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("looked at above");
        conn.state = State::Command;
        conn.figures.received += 1;
        stats.plain.packets_received += 1;
        *input_bytes -= conn.input.len();
        conn.input.release(pool);
        Step::Idle
    }

    /// The checks of section 3, in order; the shard has handled everything that the tree contains.
    fn connect(&mut self, slot: usize, length: usize, tree: &Tree, outbox: &mut Outbox) {
        let config = self.config.clone();
        let seen_max = self.handled.max(self.epoch_start);
        let conn = self.conn(slot);
        if conn.state != State::Handshake {
            return;
        }
        let request = ConnectRequest::decode(&conn.input.filled()[4..4 + length], config.frame_bytes_max);
        self.consume(slot, 4 + length);
        self.stats.plain.packets_received += 1;
        let Ok(request) = request else {
            self.close(slot, CloseReason::Malformed);
            return;
        };
        if !self.admit_handshake(request.session) {
            self.close(slot, CloseReason::ConnectionThrottle);
            return;
        }
        if let Some(reason) = self.refuses_read_only(&request, tree) {
            self.close(slot, reason);
            return;
        }
        if request.last_zxid_seen > seen_max {
            self.close(slot, CloseReason::AheadOfServer(request.last_zxid_seen));
            return;
        }
        let timeout_ms = request.timeout_ms.clamp(config.min_session_timeout_ms, config.max_session_timeout_ms);
        let received_ms = self.now.mono_ms;
        self.set_deadline(slot, None);
        self.away_total += 1;
        let conn = self.conn_mut(slot);
        conn.figures.received += 1;
        conn.state = State::Connecting;
        conn.timeout_ms = timeout_ms;
        conn.knows_read_only = request.read_only.is_some();
        conn.foreign = request.session != SessionId::NONE && !config.local_sessions;
        let seq = conn.next_seq;
        conn.next_seq += 1;
        conn.away.push_back(Away {
            seq,
            xid: 0,
            op: OpCode::CreateSession.code(),
            received_ms,
            body: Vec::new(),
            throttled: false,
            large: 0,
        });
        let session = request.session;
        let password_ok = request.password == session_password(session);
        let item = SubmitItem::Connect { session, password_ok, timeout_ms };
        outbox.submits.push(Submit { origin: Origin { conn: conn.id, seq }, item });
    }

    /// The replica's answer to a handshake: a session, or none.
    pub(super) fn attached(&mut self, slot: usize, session: SessionId, timeout_ms: Option<i32>, created: bool) {
        let (now, handled) = (self.now, self.handled);
        let Shard { conns, pool, stats, sessions, read_only, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let away = conn.away.pop_front().expect("the handshake is away");
        assert_eq!(conn.state, State::Connecting, "{:?} was not connecting", conn.id);
        let read_only = conn.knows_read_only.then_some(*read_only);
        let answer = match timeout_ms {
            Some(timeout_ms) => {
                conn.session = session;
                conn.timeout_ms = timeout_ms;
                conn.state = State::Open;
                // The replica counts from when it answered, perhaps a tick ago: the first request moves the session.
                conn.next_touch_ms = 0;
                sessions.insert(session, slot as u32);
                ConnectResponse { timeout_ms, session, password: session_password(session), read_only }
            }
            None => ConnectResponse { timeout_ms: 0, session: SessionId::NONE, password: [0; 16], read_only },
        };
        answer.encode(conn.output.tail(pool));
        let Away { op, xid, received_ms, .. } = away;
        conn.count_reply(stats, now, &Answered { op, xid, zxid: handled, received_ms, bytes: 0, update: created });
        self.mark_dirty(slot);
        match timeout_ms {
            Some(_) => self.make_ready(slot),
            None => self.close(slot, CloseReason::InvalidSession),
        }
    }
}

/// From when on a request moves a session, heard of at `mono_ms`, to a later bucket.
pub(super) fn next_touch_ms(mono_ms: u64, timeout_ms: i32, tick_ms: u64) -> u64 {
    expiry_bucket(mono_ms, timeout_ms, tick_ms) - u64::try_from(timeout_ms).unwrap_or(0)
}
