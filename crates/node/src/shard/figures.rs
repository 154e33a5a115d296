//! Plain counters for the four-letter words (operations.md section 3).

use super::Shard;
use super::conn::{Conn, State};
use crate::{ConnId, Now};
use ostler_model::{OpCode, SessionId, Zxid};
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

/// Figures of a shard, plain counters; `reset` by `srst`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardStats {
    /// Requests received (handshakes too).
    pub packets_received: u64,
    /// Replies and events sent.
    pub packets_sent: u64,
    /// Requests answered, for the average.
    pub answered: u64,
    /// Sum of their latencies.
    pub latency_total_ms: u64,
    /// Shortest latency.
    pub latency_min_ms: u64,
    /// Longest latency.
    pub latency_max_ms: u64,
    /// Connections open.
    pub connections: usize,
    /// Requests away at the replica.
    pub outstanding: usize,
    /// Connections refused at accept.
    pub refused: u64,
    /// Watches registered (paths x connections).
    pub watches: usize,
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
}

impl ConnFigures {
    pub(super) fn new(established_wall_ms: i64) -> ConnFigures {
        ConnFigures { established_wall_ms, ..ConnFigures::default() }
    }
}

impl Conn {
    /// Counts a reply, for the connection and its shard.
    pub(super) fn count_reply(
        &mut self,
        stats: &mut ShardStats,
        now: Now,
        (op, xid): (i32, i32),
        zxid: Zxid,
        received_ms: u64,
    ) {
        let latency_ms = now.mono_ms.saturating_sub(received_ms);
        let figures = &mut self.figures;
        figures.sent += 1;
        figures.last = Some((op, xid, zxid));
        figures.last_response_mono_ms = now.mono_ms;
        figures.last_latency_ms = latency_ms;
        figures.min_latency_ms =
            if figures.answered == 0 { latency_ms } else { figures.min_latency_ms.min(latency_ms) };
        figures.max_latency_ms = figures.max_latency_ms.max(latency_ms);
        figures.total_latency_ms += latency_ms;
        figures.answered += 1;
        stats.packets_sent += 1;
        stats.latency_min_ms = if stats.answered == 0 { latency_ms } else { stats.latency_min_ms.min(latency_ms) };
        stats.latency_max_ms = stats.latency_max_ms.max(latency_ms);
        stats.latency_total_ms += latency_ms;
        stats.answered += 1;
    }
}

impl Shard {
    /// Figures of the shard.
    pub fn stats(&self) -> ShardStats {
        ShardStats {
            connections: self.connections,
            outstanding: self.away_total,
            watches: self.watches.len(),
            ..self.stats
        }
    }

    /// `srst`.
    pub fn reset_stats(&mut self) {
        self.stats = ShardStats::default();
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
