//! Connections: their bytes, their requests, their watches (rules.md section 2, SHARD).
//!
//! The shell feeds accepted sockets and bytes in, calls [`Shard::turn`], and writes out what [`Shard::take_dirty`]
//! names. A request waits as bytes in its connection's input until its turn comes; if nothing of the connection is
//! away at the replica, a read runs from there straight into the output, else it goes away behind what is before it.

mod arrivals;
mod auditing;
mod auth;
mod buffer;
mod conn;
mod ephemerals;
mod figures;
mod handle;
mod handshake;
mod long;
mod multi_read;
mod mutants;
mod names;
mod read_only;
mod requests;
mod scan;
mod set_watches;
mod throttling;
mod token_bucket;
mod turn;

use crate::watches::WatchTables;
use crate::{CloseReason, ConnId, NodeConfig, NodeEvent, Now, Origin, Submit, SubmitItem};
use auditing::Audited;
use buffer::{Front, Pool, front};
use conn::{Conn, State};
use figures::Figures;
pub use figures::{ConnStats, ResponseSizes, ShardStats};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ostler_model::{SessionId, Zxid, limits};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use token_bucket::TokenBucket;

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

/// Connections, handshakes, reads, watches, buffers.
#[derive(Debug)]
pub struct Shard {
    config: Arc<NodeConfig>,
    index: usize,
    now: Now,
    /// Number of the turn under way.
    turn: u64,
    /// zxid of the last entry handled; what replies name.
    handled: Zxid,
    /// Where the epoch begins in which this member serves: clients may have seen that much elsewhere.
    epoch_start: Zxid,
    /// False for a member that is in no quorum: only four-letter words are answered.
    serving: bool,
    /// True for one that has no quorum and serves clients that are content with reading.
    read_only: bool,
    /// The replica is to be told that all connections of its last role are gone.
    stopped: bool,
    conns: Vec<Option<Box<Conn>>>,
    free: Vec<u32>,
    serial: u64,
    connections: usize,
    by_address: HashMap<IpAddr, usize, FixedState>,
    sessions: HashMap<SessionId, u32, FixedState>,
    watches: WatchTables,
    /// Connections that may have a request that can run.
    ready: VecDeque<u32>,
    /// Connections whose next request needs a credit.
    starved: VecDeque<u32>,
    dirty: Vec<ConnId>,
    resumed: Vec<ConnId>,
    /// Connections with a listing under way.
    scans: Vec<u32>,
    /// Requests at the replica, those of connections that are gone included.
    away_total: usize,
    /// How many may be there.
    credits: usize,
    input_bytes: usize,
    /// Output produced in this hold of the tree.
    held_bytes: usize,
    pool: Pool,
    deadlines: BTreeSet<(u64, ConnId)>,
    /// The replica's questions: in which turn they were met, and whose session is meant.
    probes: Vec<(u64, ConnId, SessionId)>,
    read_once: Option<u64>,
    /// Connections whose end the replica does not know yet.
    gone: Vec<Submit>,
    /// Sessions whose connection ended with requests that had been read and were still waiting: they were heard of.
    last_words: Vec<SessionId>,
    overflowing: Vec<ConnId>,
    /// Writes at the replica, by connection and number, if they are audited.
    audits: Option<HashMap<(u64, u64), Audited, FixedState>>,
    /// Handshakes that may pass.
    tokens: TokenBucket,
    /// A setting asks for the age or the size of requests: the rare case, asked for by one branch.
    guarded: bool,
    /// Bytes of the large requests that are being received, waiting or away.
    large_bytes: usize,
    stats: Figures,
    events: Vec<NodeEvent>,
}

impl Shard {
    /// Shard `index` of a node whose tree stands at `zxid`.
    pub fn new(config: Arc<NodeConfig>, index: usize, zxid: Zxid) -> Shard {
        assert!(index < config.shards, "shard {index} of {}", config.shards);
        let hasher = FixedState::with_seed(config.seed);
        let throttle = config.request_throttle;
        let outstanding_max = match throttle.requests_max {
            0 => config.outstanding_max,
            most => config.outstanding_max.min(most),
        };
        Shard {
            index,
            now: Now::default(),
            turn: 0,
            handled: zxid,
            epoch_start: Zxid::ZERO,
            serving: true,
            read_only: false,
            stopped: false,
            conns: Vec::new(),
            free: Vec::new(),
            serial: 0,
            connections: 0,
            by_address: HashMap::with_hasher(hasher),
            sessions: HashMap::with_hasher(hasher),
            watches: WatchTables::new(config.seed),
            ready: VecDeque::new(),
            starved: VecDeque::new(),
            dirty: Vec::new(),
            resumed: Vec::new(),
            scans: Vec::new(),
            away_total: 0,
            credits: (outstanding_max / config.shards).max(1),
            input_bytes: 0,
            held_bytes: 0,
            pool: Pool::default(),
            deadlines: BTreeSet::new(),
            probes: Vec::new(),
            read_once: None,
            gone: Vec::new(),
            last_words: Vec::new(),
            overflowing: Vec::new(),
            audits: config.audit.then(|| HashMap::with_hasher(hasher)),
            tokens: TokenBucket::new(config.connection_throttle, config.seed),
            guarded: throttle.asks_for_ages() || config.large_requests.above_bytes.is_some(),
            large_bytes: 0,
            stats: Figures::default(),
            events: Vec::new(),
            config,
        }
    }

    /// Shard `index` of a member of an ensemble: it serves when the replica says so.
    pub fn member(config: Arc<NodeConfig>, index: usize) -> Shard {
        Shard { serving: false, ..Shard::new(config, index, Zxid::ZERO) }
    }

    /// A socket was accepted; `None`: refused (`maxClientCnxns`, `maxCnxns`), close it.
    pub fn open(&mut self, now: Now, peer: SocketAddr) -> Option<ConnId> {
        self.now = now;
        let full = |most: usize, count: usize| most != 0 && count >= most;
        let of_address = self.by_address.entry(peer.ip().to_canonical()).or_insert(0);
        if full(self.config.connections_per_address_max, *of_address)
            || full(self.config.connections_max, self.connections)
            || self.connections >= ConnId::SLOTS
        {
            self.stats.plain.refused += 1;
            self.events.push(NodeEvent::ConnectionRefused { peer });
            return None;
        }
        *of_address += 1;
        self.connections += 1;
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            (self.conns.len() - 1) as u32
        });
        let id = ConnId::new(self.serial, self.index as u8, slot as usize);
        let mut conn = Box::new(Conn::new(id, peer, now.wall_ms));
        if self.config.request_throttle.asks_for_ages() {
            conn.arrivals = Some(Box::default());
        }
        self.conns[slot as usize] = Some(conn);
        // Rounded up to a multiple of itself, as Apache's timer.
        let timeout_ms = self.config.sessionless_timeout_ms.max(1);
        self.set_deadline(slot as usize, Some(((now.mono_ms + timeout_ms) / timeout_ms + 1) * timeout_ms));
        Some(id)
    }

    /// Bytes were read, in any split. Only call it while [`Shard::wants_read`]; at most 64 KiB a call.
    pub fn input(&mut self, now: Now, conn: ConnId, bytes: &[u8]) {
        self.now = now;
        let Some(slot) = self.slot_of(conn) else { return };
        let Shard { conns, pool, input_bytes, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("just found");
        if matches!(conn.state, State::Command | State::Ending | State::Closing) {
            return;
        }
        conn.input.tail(pool).extend_from_slice(bytes);
        *input_bytes += bytes.len();
        if let Some(arrivals) = &mut conn.arrivals {
            arrivals.note(bytes.len(), now.mono_ms);
        }
        let unfinished = !matches!(front(conn.input.filled(), 0, self.config.frame_bytes_max), Front::Frame(_));
        if self.input_bytes > limits::QUEUE_BYTES_MAX && unfinished {
            self.close(slot, CloseReason::InputLimit);
        } else {
            self.make_ready(slot);
        }
    }

    /// Whether to read the connection's socket. After false, stop reading until [`crate::Outbox::resumed`] names it.
    pub fn wants_read(&mut self, conn: ConnId) -> bool {
        let Some(slot) = self.slot_of(conn) else { return false };
        let wants = self.has_input_room(self.conn(slot));
        self.conn_mut(slot).paused = !wants;
        wants
    }

    fn has_input_room(&self, conn: &Conn) -> bool {
        conn.input.len() < limits::CONN_INPUT_MAX
            || front(conn.input.filled(), 0, self.config.frame_bytes_max) == Front::Part
    }

    /// The peer closed its sending side. What it sent before is still processed; then the connection is closed
    /// (it appears in [`Shard::take_dirty`] and [`Shard::wrote`] answers `Closed`).
    pub fn hung_up(&mut self, conn: ConnId) {
        if let Some(slot) = self.slot_of(conn) {
            self.conn_mut(slot).eof = true;
            self.make_ready(slot);
        }
    }

    /// The socket failed: the shard forgets the connection at once, the shell closes the socket.
    pub fn broken(&mut self, conn: ConnId) {
        if let Some(slot) = self.slot_of(conn) {
            self.stats.plain.dropped += u64::from(self.conn(slot).state != State::Closing);
            self.close(slot, CloseReason::Client);
            self.forget(slot);
        }
    }

    /// When a turn is due although no socket is ready (handshake time-outs), in [`Now::mono_ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Connections with new output, or to be closed; each once. For each: write [`Shard::output`], tell
    /// [`Shard::wrote`].
    pub fn take_dirty(&mut self) -> Vec<ConnId> {
        let dirty = std::mem::take(&mut self.dirty);
        for conn in &dirty {
            if let Some(slot) = self.slot_of(*conn) {
                let conn = self.conn_mut(slot);
                conn.dirty = false;
                conn.figures.turn_over();
            }
        }
        dirty
    }

    /// What is to be written to the socket next; call [`Shard::wrote`] and ask again for what is behind it. Empty: that
    /// was all, or the connection is unknown.
    pub fn output(&self, conn: ConnId) -> &[u8] {
        self.slot_of(conn).map_or(&[], |slot| self.conn(slot).output.filled())
    }

    /// The socket took the first `bytes` of the output (0: it took none, or there was none).
    pub fn wrote(&mut self, conn: ConnId, bytes: usize) -> ConnStatus {
        let Some(slot) = self.slot_of(conn) else { return ConnStatus::Closed };
        let Shard { conns, pool, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("just found");
        conn.output.consume(bytes, pool);
        let (left, closing) = (conn.output.len(), conn.state == State::Closing);
        if closing && left == 0 {
            self.forget(slot);
            return ConnStatus::Closed;
        }
        if conn.choked && left <= limits::OUTPUT_SOFT_MAX {
            conn.choked = false;
            self.make_ready(slot);
        }
        ConnStatus::Open { wants_write: left > 0 }
    }

    /// Answers a four-letter word; the connection is closed once that is written. Call `take_dirty` afterwards.
    pub fn answer(&mut self, conn: ConnId, text: &[u8]) {
        let Some(slot) = self.slot_of(conn) else { return };
        self.output_of(slot).extend_from_slice(text);
        let conn = self.conn_mut(slot);
        conn.figures.sent += 1;
        self.stats.plain.packets_sent += 1;
        self.close(slot, CloseReason::Command);
    }

    /// Closes all connections without a message (shutdown); output already queued is flushed first.
    pub fn close_all(&mut self) {
        for slot in 0..self.conns.len() {
            if self.conns[slot].is_some() {
                self.close(slot, CloseReason::Shutdown);
            }
        }
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<NodeEvent> {
        std::mem::take(&mut self.events)
    }

    /// zxid of the last entry handled.
    pub fn handled(&self) -> Zxid {
        self.handled
    }

    /// True if `take_dirty` has something to say.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn nothing_waits_for_audit(&self) -> bool {
        self.audits.as_ref().is_none_or(HashMap::is_empty)
    }

    /// True until the connection is closed or on its way out.
    #[cfg(test)]
    pub(crate) fn is_open(&self, conn: ConnId) -> bool {
        self.live_slot(conn).is_some()
    }

    /// Connections that the replica knows.
    #[cfg(test)]
    pub(crate) fn connected(&self) -> Vec<ConnId> {
        let known = |conn: &Conn| conn.next_seq > 0 && conn.state != State::Closing;
        self.conns.iter().flatten().filter(|conn| known(conn)).map(|conn| conn.id).collect()
    }

    /// Takes a connection out of the ready queue, so that a test can let others overtake it.
    #[cfg(test)]
    pub(crate) fn stop_serving(&mut self, conn: ConnId) -> u32 {
        let slot = self.slot_of(conn).expect("the connection is open") as u32;
        self.ready.retain(|ready| *ready != slot);
        slot
    }

    #[cfg(test)]
    pub(crate) fn serve_again(&mut self, slot: u32) {
        self.conn_mut(slot as usize).queued = false;
        self.make_ready(slot as usize);
    }

    #[cfg(any(test, feature = "mutants"))]
    #[allow(dead_code, reason = "used by the harness")]
    pub(crate) fn set_config(&mut self, config: Arc<NodeConfig>) {
        self.config = config;
    }

    fn has_credit(&self) -> bool {
        self.away_total < self.credits
    }

    fn slot_of(&self, conn: ConnId) -> Option<usize> {
        let slot = conn.slot();
        self.conns.get(slot)?.as_ref().filter(|found| found.id == conn).map(|_| slot)
    }

    /// As `slot_of`, if the connection is not on its way out.
    fn live_slot(&self, conn: ConnId) -> Option<usize> {
        self.slot_of(conn).filter(|slot| self.conn(*slot).state != State::Closing)
    }

    fn conn(&self, slot: usize) -> &Conn {
        self.conns[slot].as_deref().expect("the slot is taken")
    }

    fn conn_mut(&mut self, slot: usize) -> &mut Conn {
        self.conns[slot].as_deref_mut().expect("the slot is taken")
    }

    fn output_of(&mut self, slot: usize) -> &mut Vec<u8> {
        let Shard { conns, pool, .. } = self;
        conns[slot].as_deref_mut().expect("the slot is taken").output.tail(pool)
    }

    fn make_ready(&mut self, slot: usize) {
        let conn = self.conn_mut(slot);
        if !conn.queued {
            conn.queued = true;
            self.ready.push_back(slot as u32);
        }
    }

    fn mark_dirty(&mut self, slot: usize) {
        let Shard { conns, dirty, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the slot is taken");
        if !conn.dirty {
            conn.dirty = true;
            dirty.push(conn.id);
        }
    }

    /// The front of the input is done with.
    fn consume(&mut self, slot: usize, bytes: usize) {
        let Shard { conns, pool, input_bytes, large_bytes, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the slot is taken");
        // A request that closed its connection has released the input already.
        if conn.state != State::Closing {
            conn.input.consume(bytes, pool);
            *input_bytes -= bytes;
            *large_bytes -= std::mem::take(&mut conn.large);
            if let Some(arrivals) = &mut conn.arrivals {
                arrivals.take(bytes);
            }
        }
    }

    /// Reading goes on if it was stopped and there is room again.
    fn resume(&mut self, slot: usize) {
        let conn = self.conn(slot);
        if conn.paused && self.has_input_room(conn) {
            let id = conn.id;
            self.conn_mut(slot).paused = false;
            self.resumed.push(id);
        }
    }

    fn set_deadline(&mut self, slot: usize, at_ms: Option<u64>) {
        let Shard { conns, deadlines, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the slot is taken");
        if let Some(before) = conn.deadline_ms.take() {
            deadlines.remove(&(before, conn.id));
        }
        if let Some(at_ms) = at_ms {
            deadlines.insert((at_ms, conn.id));
        }
        conn.deadline_ms = at_ms;
    }

    /// Connections that took too long for their handshake, or for their last output.
    fn close_overdue(&mut self) {
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now.mono_ms) {
            self.deadlines.remove(&(at, id));
            let Some(slot) = self.slot_of(id) else { continue };
            self.conn_mut(slot).deadline_ms = None;
            self.close(slot, CloseReason::HandshakeTimeout);
            let Shard { conns, pool, .. } = self;
            conns[slot].as_deref_mut().expect("just found").output.release(pool);
            self.mark_dirty(slot);
        }
    }

    /// Ends a connection: nothing more is read or answered, what was answered is flushed.
    fn close(&mut self, slot: usize, reason: CloseReason) {
        let now_ms = self.now.mono_ms;
        let Shard {
            conns,
            pool,
            input_bytes,
            large_bytes,
            watches,
            sessions,
            scans,
            gone,
            last_words,
            events,
            config,
            ..
        } = self;
        let conn = conns[slot].as_deref_mut().expect("the slot is taken");
        if conn.state == State::Closing {
            return;
        }
        if conn.state == State::Open && matches!(front(conn.input.filled(), 8, config.frame_bytes_max), Front::Frame(_))
        {
            last_words.push(conn.session);
        }
        if conn.next_seq > 0 {
            gone.push(Submit { origin: Origin { conn: conn.id, seq: conn.next_seq }, item: SubmitItem::Gone });
        }
        conn.state = State::Closing;
        conn.long = None;
        *large_bytes -= std::mem::take(&mut conn.large) + conn.away.iter().map(|away| away.large).sum::<usize>();
        conn.away.clear();
        *input_bytes -= conn.input.len();
        conn.input.release(pool);
        watches.remove_conn(slot as u32);
        scans.retain(|scanning| *scanning != slot as u32);
        if sessions.get(&conn.session) == Some(&(slot as u32)) {
            sessions.remove(&conn.session);
        }
        let (id, peer, session) = (conn.id, conn.peer, conn.session);
        events.push(NodeEvent::ConnectionClosed { conn: id, peer, session, reason });
        self.set_deadline(slot, Some(now_ms + limits::FLUSH_TIMEOUT_MS));
        self.mark_dirty(slot);
    }

    /// The socket is closed: the slot is free.
    fn forget(&mut self, slot: usize) {
        self.set_deadline(slot, None);
        let Shard { conns, pool, by_address, free, connections, .. } = self;
        let mut conn = conns[slot].take().expect("the slot is taken");
        conn.output.release(pool);
        free.push(slot as u32);
        *connections -= 1;
        let address = conn.peer.ip().to_canonical();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}
