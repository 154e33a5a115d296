//! Connections: their bytes, their requests, their watches.

use crate::{ConnId, NodeConfig, NodeEvent, Now, Outbox, Stream};
use ostler_model::{SessionId, Zxid};
use ostler_tree::Tree;
use std::net::SocketAddr;
use std::sync::Arc;

/// A four-letter word that arrived instead of a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command {
    /// Where the answer goes.
    pub conn: ConnId,
    /// The word, known to the protocol (whitelisting is the shell's).
    pub word: [u8; 4],
    /// The 8 bytes behind `stmk`.
    pub argument: Option<i64>,
}

/// What the shell should do with a connection's socket after writing to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnStatus {
    /// Keep it. `wants_write`: output is left, write again when the socket takes it.
    Open {
        /// Output is left.
        wants_write: bool,
    },
    /// Close it; the shard has forgotten it.
    Closed,
}

/// What a turn left undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Requests are waiting that could run now (budget spent): come back without waiting for sockets.
    pub more: bool,
}

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

/// Connections, handshakes, reads, watches, buffers.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// Shard `index` of a node whose tree stands at `zxid`.
    pub fn new(config: Arc<NodeConfig>, index: usize, zxid: Zxid) -> Shard {
        let _ = (config, index, zxid);
        todo!()
    }
    /// A socket was accepted; `None`: refused (`maxClientCnxns`, `maxCnxns`), close it.
    pub fn open(&mut self, now: Now, peer: SocketAddr) -> Option<ConnId> {
        let _ = (now, peer);
        todo!()
    }
    /// Bytes were read, in any split. Only call it while [`Shard::wants_read`]; at most 64 KiB a call.
    pub fn input(&mut self, now: Now, conn: ConnId, bytes: &[u8]) {
        let _ = (now, conn, bytes);
        todo!()
    }
    /// Whether to read the connection's socket. After false, stop reading until [`Outbox::resumed`] names it.
    pub fn wants_read(&mut self, conn: ConnId) -> bool {
        let _ = conn;
        todo!()
    }
    /// The peer closed its sending side. What it sent before is still processed; then the connection is closed
    /// (it appears in [`Shard::take_dirty`] and [`Shard::wrote`] answers `Closed`).
    pub fn hung_up(&mut self, conn: ConnId) {
        let _ = conn;
        todo!()
    }
    /// The socket failed: the shard forgets the connection at once, the shell closes the socket.
    pub fn broken(&mut self, conn: ConnId) {
        let _ = conn;
        todo!()
    }
    /// One turn: S1 to S4 of rules.md section 2.
    pub fn turn(&mut self, now: Now, tree: &Tree, stream: &mut Stream, outbox: &mut Outbox) -> Turn {
        let _ = (now, tree, stream, outbox);
        todo!()
    }
    /// When a turn is due although no socket is ready (handshake time-outs), in [`Now::mono_ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        todo!()
    }
    /// Connections with new output, or to be closed; each once. For each: write [`Shard::output`], tell
    /// [`Shard::wrote`].
    pub fn take_dirty(&mut self) -> Vec<ConnId> {
        todo!()
    }
    /// What is to be written to the socket. Empty for unknown connections.
    pub fn output(&self, conn: ConnId) -> &[u8] {
        let _ = conn;
        todo!()
    }
    /// The socket took the first `bytes` of the output (0: it took none, or there was none).
    pub fn wrote(&mut self, conn: ConnId, bytes: usize) -> ConnStatus {
        let _ = (conn, bytes);
        todo!()
    }
    /// Answers a four-letter word; the connection is closed once that is written. Call `take_dirty` afterwards.
    pub fn answer(&mut self, conn: ConnId, text: &[u8]) {
        let _ = (conn, text);
        todo!()
    }
    /// Closes all connections without a message (shutdown); output already queued is flushed first.
    pub fn close_all(&mut self) {
        todo!()
    }
    /// Figures of the shard.
    pub fn stats(&self) -> ShardStats {
        todo!()
    }
    /// `srst`.
    pub fn reset_stats(&mut self) {
        todo!()
    }
    /// Figures of every connection.
    pub fn connections(&self) -> Vec<ConnStats> {
        todo!()
    }
    /// `crst`.
    pub fn reset_connection_stats(&mut self) {
        todo!()
    }
    /// Data and exist watches: path and the sessions that watch it (wchp; wchs and wchc are derived from it). Sorted.
    pub fn watches(&self) -> Vec<(String, Vec<SessionId>)> {
        todo!()
    }
    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<NodeEvent> {
        todo!()
    }
}
