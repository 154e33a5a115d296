//! Plain counters for the four-letter words (operations.md sections 3 and 5). The hot path adds to fields; nothing is
//! locked, nothing is kept per request beyond its turn.

use super::Shard;
use super::conn::{Conn, State};
use crate::{ConnId, Distribution, Now, Summary};
use ostler_model::{EventType, OpCode, SessionId, Zxid};
use std::net::SocketAddr;

/// Figures of one connection, for `cons` and `stat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named after the fields of operations.md section 3, cons")]
pub struct ConnStats {
    pub conn: ConnId,
    pub peer: SocketAddr,
    pub session: SessionId,
    pub session_timeout_ms: i32,
    /// Requests being processed.
    pub outstanding: usize,
    pub received: u64,
    pub sent: u64,
    pub established_wall_ms: i64,
    /// Opcode of the last answered request.
    pub last_op: Option<i32>,
    pub last_cxid: Option<i32>,
    pub last_zxid: Option<Zxid>,
    pub last_response_mono_ms: u64,
    pub last_latency_ms: u64,
    pub min_latency_ms: u64,
    pub avg_latency_ms: u64,
    pub max_latency_ms: u64,
    /// It is read at present.
    pub reading: bool,
    /// Output waits for the socket.
    pub writing: bool,
}

/// Lengths of replies, without their prefix; those of handshakes are not counted, as in Apache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct ResponseSizes {
    pub last: u64,
    pub min: u64,
    pub max: u64,
}

/// Figures of a shard, plain counters; cleared by `srst`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardStats {
    /// Requests received (handshakes and four-letter words too).
    pub packets_received: u64,
    /// Replies and events sent.
    pub packets_sent: u64,
    /// Latencies of all requests answered, milliseconds.
    pub latency_ms: Summary,
    /// Connections open.
    pub connections: usize,
    /// Requests away at the replica.
    pub outstanding: usize,
    /// Connections refused at accept.
    pub refused: u64,
    /// Connections that ended because the peer closed them or their socket failed.
    pub dropped: u64,
    /// Handshakes that passed the throttle.
    pub handshakes: u64,
    /// Handshakes turned away by the throttle.
    pub handshakes_throttled: u64,
    /// Tokens that were missing after each handshake.
    pub token_deficit: Summary,
    /// Requests that had to wait because of `request_throttle_max_requests`.
    pub throttle_waits: u64,
    /// Requests refused with -127.
    pub throttled_ops: u64,
    /// Requests that waited longer than their session's time-out.
    pub stale_requests: u64,
    /// Those of them that were dropped.
    pub stale_requests_dropped: u64,
    /// Transactions whose connection was gone before its reply.
    pub stale_replies: u64,
    /// Connections closed because of `largeRequestMaxBytes`.
    pub large_requests_rejected: u64,
    /// Bytes of replies, pings and handshakes left out.
    pub response_bytes: u64,
    /// Lengths of replies; `None` before the first.
    pub response_sizes: Option<ResponseSizes>,
    /// Bytes of watch events.
    pub watch_bytes: u64,
    /// Connections told of each creation that anybody watched.
    pub created_watchers: Summary,
    /// The same of deletions.
    pub deleted_watchers: Summary,
    /// The same of changes of data.
    pub changed_watchers: Summary,
    /// The same of changes of children.
    pub children_watchers: Summary,
    /// Auth packets of scheme ensemble that named this ensemble.
    pub ensemble_auth_success: u64,
    /// Those that named another one.
    pub ensemble_auth_fail: u64,
    /// Those without a name, or without names to compare with.
    pub ensemble_auth_skip: u64,
    /// Watches registered (paths x connections).
    pub watches: usize,
}

/// What a shard counts.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) plain: ShardStats,
    /// Reads answered in the turn in which they were read from the socket.
    reads_at_once: u64,
    /// Latencies, without this turn's part, of everything else that this turn answered; true for a transaction.
    answered: Vec<(bool, u64)>,
    read_latency: Distribution,
    update_latency: Distribution,
    /// How long requests waited that had to wait before they went to the replica.
    waits: Distribution,
    /// Requests that went to the replica or ran here.
    taken: u64,
}

/// A request that is answered now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) op: i32,
    pub(super) xid: i32,
    pub(super) zxid: Zxid,
    pub(super) received_ms: u64,
    /// Length of its frames with their prefixes; 0 = not counted (handshakes).
    pub(super) bytes: usize,
    /// It became a transaction.
    pub(super) update: bool,
}

impl Figures {
    fn reply(&mut self, latency_ms: u64, answered: &Answered) {
        self.plain.packets_sent += 1;
        if latency_ms == 0 && !answered.update {
            self.reads_at_once += 1;
        } else {
            self.answered.push((answered.update, latency_ms));
        }
        let Some(bytes) = answered.bytes.checked_sub(4) else { return };
        let bytes = bytes as u64;
        if answered.op != OpCode::Ping.code() {
            self.plain.response_bytes += bytes;
        }
        let sizes = self.plain.response_sizes.get_or_insert(ResponseSizes { last: 0, min: bytes, max: 0 });
        sizes.last = bytes;
        sizes.min = sizes.min.min(bytes);
        sizes.max = sizes.max.max(bytes);
    }

    /// A request is taken from its connection after `waited_ms`.
    pub(super) fn taken(&mut self, waited_ms: u64) {
        self.taken += 1;
        if waited_ms > 0 {
            self.waits.add(waited_ms);
        }
    }

    /// Connections told of one change, by kind of event.
    pub(super) fn watchers(&mut self, kind: EventType, count: u64) {
        let plain = &mut self.plain;
        match kind {
            EventType::NodeCreated => plain.created_watchers.add(count),
            EventType::NodeDeleted => plain.deleted_watchers.add(count),
            EventType::NodeDataChanged => plain.changed_watchers.add(count),
            EventType::NodeChildrenChanged => plain.children_watchers.add(count),
        }
    }

    /// The turn took `turn_ms`: what it answered is that much older.
    fn settle(&mut self, turn_ms: u64) {
        self.read_latency.add_many(turn_ms, std::mem::take(&mut self.reads_at_once));
        for (update, latency_ms) in self.answered.drain(..) {
            let distribution = if update { &mut self.update_latency } else { &mut self.read_latency };
            distribution.add(latency_ms + turn_ms);
        }
    }
}

/// What is counted per connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnFigures {
    pub(super) received: u64,
    pub(super) sent: u64,
    established_wall_ms: i64,
    last: Option<(i32, i32, Zxid)>,
    last_response_mono_ms: u64,
    last_latency_ms: u64,
    min_latency_ms: u64,
    max_latency_ms: u64,
    total_latency_ms: u64,
    answered: u64,
    /// Replies since the connection was last made known as dirty.
    answered_in_turn: u64,
}

impl ConnFigures {
    pub(super) fn new(established_wall_ms: i64) -> ConnFigures {
        ConnFigures { established_wall_ms, ..ConnFigures::default() }
    }

    /// The turn that answered took so long.
    fn settle(&mut self, turn_ms: u64) {
        if self.answered_in_turn > 0 {
            self.last_latency_ms += turn_ms;
            self.max_latency_ms = self.max_latency_ms.max(self.last_latency_ms);
            self.total_latency_ms += turn_ms * self.answered_in_turn;
            if self.answered == self.answered_in_turn {
                self.min_latency_ms += turn_ms;
            }
        }
        self.answered_in_turn = 0;
    }

    /// The output of a turn is about to be written.
    pub(super) fn turn_over(&mut self) {
        self.answered_in_turn = 0;
    }
}

impl Conn {
    /// Counts a reply, for the connection and its shard.
    pub(super) fn count_reply(&mut self, stats: &mut Figures, now: Now, answered: &Answered) {
        let latency_ms = now.mono_ms.saturating_sub(answered.received_ms);
        let figures = &mut self.figures;
        figures.sent += 1;
        figures.last = Some((answered.op, answered.xid, answered.zxid));
        figures.last_response_mono_ms = now.mono_ms;
        figures.last_latency_ms = latency_ms;
        figures.min_latency_ms =
            if figures.answered == 0 { latency_ms } else { figures.min_latency_ms.min(latency_ms) };
        figures.max_latency_ms = figures.max_latency_ms.max(latency_ms);
        figures.total_latency_ms += latency_ms;
        figures.answered += 1;
        figures.answered_in_turn += 1;
        stats.reply(latency_ms, answered);
    }
}

impl Shard {
    /// Figures of the shard, as of the last [`Shard::settle`].
    pub fn stats(&self) -> ShardStats {
        let Figures { plain, read_latency, update_latency, .. } = &self.stats;
        ShardStats {
            latency_ms: read_latency.summary().merged(update_latency.summary()),
            connections: self.connections,
            outstanding: self.away_total,
            watches: self.watches.len(),
            ..*plain
        }
    }

    /// The turn is over at `now`: latencies of what it answered are known. Call it once per turn, before
    /// [`Shard::take_dirty`].
    pub fn settle(&mut self, now: Now) {
        let turn_ms = now.mono_ms.saturating_sub(self.now.mono_ms);
        self.stats.settle(turn_ms);
        if turn_ms > 0 {
            let Shard { dirty, conns, .. } = self;
            for id in dirty {
                if let Some(conn) = conns[id.slot()].as_deref_mut().filter(|conn| conn.id == *id) {
                    conn.figures.settle(turn_ms);
                }
            }
        }
    }

    /// Latencies of requests that made no transaction, milliseconds.
    pub fn read_latency(&self) -> &Distribution {
        &self.stats.read_latency
    }

    /// Latencies of transactions, milliseconds.
    pub fn update_latency(&self) -> &Distribution {
        &self.stats.update_latency
    }

    /// How long requests waited in their connection before they were taken, milliseconds.
    pub fn request_waits(&self) -> Distribution {
        let mut waits = self.stats.waits.clone();
        waits.add_many(0, self.stats.taken - waits.summary().count);
        waits
    }

    /// The chance that the next handshake is turned away, between 0 and 1.
    pub fn connection_drop_probability(&self) -> f64 {
        self.tokens.drop_probability()
    }

    /// `srst`.
    pub fn reset_stats(&mut self) {
        self.stats = Figures::default();
    }

    /// Figures of every connection.
    pub fn connections(&self) -> Vec<ConnStats> {
        self.conns.iter().flatten().map(|conn| conn_stats(conn)).collect()
    }

    /// `crst`.
    pub fn reset_connection_stats(&mut self) {
        for conn in self.conns.iter_mut().flatten() {
            conn.figures = ConnFigures::new(conn.figures.established_wall_ms);
        }
    }

    /// Data and exist watches: path and the sessions that watch it, sorted (wchp; wchs and wchc are made of it).
    pub fn watches(&self) -> Vec<(String, Vec<SessionId>)> {
        let session = |slot: u32| self.conns[slot as usize].as_ref().map(|conn| conn.session);
        let mut watches: Vec<(String, Vec<SessionId>)> = self
            .watches
            .data_watches()
            .map(|(path, slots)| {
                let mut sessions: Vec<SessionId> = slots.filter_map(session).collect();
                sessions.sort_unstable();
                (path.to_owned(), sessions)
            })
            .collect();
        watches.sort_unstable();
        watches
    }

    /// Sessions that watch, or have watched, something: `wchc` lists them even when all their watches fired. Sorted.
    pub fn watching_sessions(&self) -> Vec<SessionId> {
        let session = |slot: u32| self.conns[slot as usize].as_ref().map(|conn| conn.session);
        let mut sessions: Vec<SessionId> = self.watches.watching().filter_map(session).collect();
        sessions.sort_unstable();
        sessions
    }
}

fn conn_stats(conn: &Conn) -> ConnStats {
    let figures = &conn.figures;
    ConnStats {
        conn: conn.id,
        peer: conn.peer,
        session: conn.session,
        session_timeout_ms: conn.timeout_ms,
        outstanding: conn.away.len(),
        received: figures.received,
        sent: figures.sent,
        established_wall_ms: figures.established_wall_ms,
        last_op: figures.last.map(|(op, ..)| op),
        // A new session counts as request 0 (clients that parse `cons` want the field); pings and the like have none.
        last_cxid: figures.last.and_then(|(op, xid, _)| match op == OpCode::CreateSession.code() {
            true => Some(0),
            false => (xid >= 0).then_some(xid),
        }),
        last_zxid: figures.last.map(|(.., zxid)| zxid),
        last_response_mono_ms: figures.last_response_mono_ms,
        last_latency_ms: figures.last_latency_ms,
        min_latency_ms: figures.min_latency_ms,
        avg_latency_ms: figures.total_latency_ms.checked_div(figures.answered).unwrap_or(0),
        max_latency_ms: figures.max_latency_ms,
        reading: !conn.paused && conn.state != State::Closing,
        writing: !conn.output.is_empty(),
    }
}
