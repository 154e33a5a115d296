//! The turn loop: everything that happens on the one thread that owns tree, replica, shard and sockets.
//!
//! One turn: wait for sockets, read what is ready, let shard and replica work, hand records to the log thread, apply
//! what has become durable, write once to every connection that has output (architecture.md section 7). Nothing here
//! waits except the poll.

use crate::clock::Clock;
use crate::config::Config;
use crate::doorbell::Doorbell;
use crate::error::ServerError;
use crate::events::EventLog;
use crate::listener::{self, ACCEPT_PAUSE_MS, ACCEPTS_PER_TURN, Accepted};
use crate::log_thread::{LogThread, give_up};
use crate::metrics::Metrics;
use crate::open_port::OpenPort;
use crate::peers::{Context, FIRST_PEER_TOKEN, Peers};
use crate::signals::StopFlag;
use crate::snapshot_thread::{Finished, Snapshots};
use crate::sockets::{READ_BYTES, ReadResult, Sockets};
use crate::words::{Answer, DIGEST_INTERVAL, Scene, Words};
use mio::{Events, Poll, Token};
use ostler_model::limits;
use ostler_node::{Append, AuditRecord, ConnId, ConnStatus, NodeEvent, Now, Outbox, Parts, Replica, Shard, Stream};
use ostler_tree::Tree;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// The listener's token.
pub const LISTENER: Token = Token(0);
/// The waker's token.
pub const WAKER: Token = Token(1);
/// Events of one poll.
const EVENTS_MAX: usize = 1_024;
/// Calls of apply in one turn before sockets are served again.
const APPLIES_PER_TURN: usize = 16;

/// Where the order of writes comes from.
pub enum Order {
    /// This server alone: what is durable is committed.
    Alone(LogThread),
    /// An ensemble.
    Member(Box<Peers>),
}

/// Everything the loop owns.
pub struct Turns {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) poll: Poll,
    pub(crate) doorbell: Arc<Doorbell>,
    pub(crate) stop: StopFlag,
    pub(crate) clients: Option<OpenPort>,
    pub(crate) client_port: i32,
    pub(crate) shard: Shard,
    pub(crate) replica: Replica,
    pub(crate) streams: Vec<Stream>,
    pub(crate) tree: Tree,
    pub(crate) order: Order,
    pub(crate) snapshots: Snapshots,
    pub(crate) words: Words,
    pub(crate) metrics: Metrics,
    pub(crate) events: EventLog,
}

/// What the loop keeps between turns.
struct Desk {
    sockets: Sockets,
    outbox: Outbox,
    appends: Vec<Append>,
    buffer: Box<[u8]>,
    /// Connections whose output can go on.
    writable: Vec<ConnId>,
    /// Connections with more output than one turn writes.
    unwritten: Vec<ConnId>,
    accepting: bool,
    accept_again_ms: Option<u64>,
    /// Something can be done at once.
    more: bool,
    started_mono_ms: u64,
}

impl Turns {
    /// Serves until a stop is asked for, then stops in order.
    ///
    /// # Errors
    /// The system's poll fails.
    pub fn run(mut self) -> Result<(), ServerError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut desk = Desk {
            sockets: Sockets::default(),
            outbox: Outbox::default(),
            appends: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            writable: Vec::new(),
            unwritten: Vec::new(),
            accepting: false,
            accept_again_ms: None,
            more: false,
            started_mono_ms: self.clock.now().mono_ms,
        };
        let mut stopping_until: Option<u64> = None;
        let mut last_turn_ms = desk.started_mono_ms;
        loop {
            let deadline = stopping_until.map(|until| until.min(self.clock.now().mono_ms + 10));
            self.wait(&mut desk, &mut events, deadline)?;
            let now = self.clock.now();
            let gap = now.mono_ms.saturating_sub(last_turn_ms) > self.config.tick_time_ms as u64;
            last_turn_ms = now.mono_ms;
            self.notice(&mut desk, &events);
            if gap {
                self.read_everything_that_waited(&mut desk, &mut events, now)?;
            }
            self.accept(&mut desk, now);
            if stopping_until.is_none() {
                self.read(&mut desk, now);
            }
            self.work(&mut desk, now);
            desk.accepting |= stopping_until.is_none() && self.move_clients(now);
            self.write(&mut desk);
            if self.stop.is_set() {
                let until = *stopping_until.get_or_insert_with(|| {
                    info!("stopping: no new connections; waiting for {} writes", self.replica.stats().outstanding);
                    self.clients = None;
                    if self.config.audit {
                        let record = Box::new(AuditRecord::of_server("serverStop", "invoked"));
                        self.events.log(now, &NodeEvent::Audit(record), &mut self.metrics);
                    }
                    now.mono_ms + self.config.stop_ms
                });
                if self.may_stop(&mut desk, now) || now.mono_ms >= until {
                    break;
                }
            }
        }
        self.finish(&mut desk);
        Ok(())
    }

    /// Alone: everything that was proposed is answered. In an ensemble: the others go on without this server.
    fn may_stop(&mut self, desk: &mut Desk, now: Now) -> bool {
        let is_idle = self.replica.is_idle();
        let mut may = is_idle;
        self.with_peers(desk, now, |peers, parts, context| may = peers.leave(parts, context, is_idle));
        may
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, desk: &mut Desk, events: &mut Events, until: Option<u64>) -> Result<(), ServerError> {
        let rung = !self.doorbell.doze();
        let urgent = rung
            || desk.more
            || desk.accepting
            || !desk.unwritten.is_empty()
            || self.shard.has_work()
            || desk.sockets.has_to_read()
            || match &self.order {
                Order::Alone(log) => log.synced() > self.tree.zxid(),
                Order::Member(peers) => peers.has_work(),
            };
        let timeout = if urgent { Some(Duration::ZERO) } else { self.timeout(desk, until) };
        let result = self.poll.poll(events, timeout);
        self.doorbell.up();
        match result {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(ServerError::System { action: "wait for sockets", source: error })
            }
            _ => Ok(()),
        }
    }

    fn timeout(&self, desk: &Desk, until: Option<u64>) -> Option<Duration> {
        let peers = match &self.order {
            Order::Alone(_) => None,
            Order::Member(peers) => peers.next_deadline(),
        };
        let clients = self.clients.as_ref().and_then(OpenPort::next_deadline);
        let (shard, replica) = (self.shard.next_deadline(), self.replica.next_deadline());
        let deadlines = [shard, replica, desk.accept_again_ms, until, peers, clients];
        let next = deadlines.into_iter().flatten().min()?;
        // One more, because the clock cuts off parts of milliseconds: waking early would mean turning in vain.
        Some(Duration::from_millis((next + 1).saturating_sub(self.clock.now().mono_ms)))
    }

    fn notice(&mut self, desk: &mut Desk, events: &Events) {
        for event in events {
            match event.token() {
                LISTENER => desk.accepting = true,
                WAKER => {}
                Token(token) if token >= FIRST_PEER_TOKEN => {
                    if let Order::Member(peers) = &mut self.order {
                        peers.ready(event);
                    }
                }
                _ => desk.writable.extend(desk.sockets.ready(event)),
            }
        }
    }

    /// After a pause of the whole process, sockets are read before anything expires (rules.md 1.8): all that the
    /// kernel has to say is collected, and one buffer of each connection is read.
    fn read_everything_that_waited(
        &mut self,
        desk: &mut Desk,
        events: &mut Events,
        now: Now,
    ) -> Result<(), ServerError> {
        loop {
            let full = events.iter().count() >= EVENTS_MAX;
            self.read(desk, now);
            if !full {
                return Ok(());
            }
            match self.poll.poll(events, Some(Duration::ZERO)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(ServerError::System { action: "wait for sockets", source: error });
                }
                _ => self.notice(desk, events),
            }
        }
    }

    fn accept(&mut self, desk: &mut Desk, now: Now) {
        if desk.accept_again_ms.is_some_and(|at| now.mono_ms >= at) {
            desk.accept_again_ms = None;
            desk.accepting = true;
        }
        let Some(listener) = self.clients.as_ref().and_then(OpenPort::listener) else {
            desk.accepting = false;
            return;
        };
        if !desk.accepting || desk.accept_again_ms.is_some() {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match listener::accept(listener, self.config.tcp_keep_alive) {
                Accepted::Connection(stream, peer) => {
                    // Refused: dropping the socket closes it before any byte.
                    let Some(conn) = self.shard.open(now, peer) else { continue };
                    if let Err(error) = desk.sockets.insert(self.poll.registry(), conn, stream) {
                        warn!("cannot watch the connection from {peer}: {error}; it is closed");
                        self.shard.broken(conn);
                    }
                }
                Accepted::Nobody => {
                    desk.accepting = false;
                    return;
                }
                Accepted::Failed(error) => {
                    self.events.accept_failed(now, &error);
                    desk.accepting = false;
                    desk.accept_again_ms = Some(now.mono_ms + ACCEPT_PAUSE_MS);
                    return;
                }
            }
        }
    }

    fn read(&mut self, desk: &mut Desk, now: Now) {
        if !desk.sockets.has_to_read() {
            return;
        }
        let list = desk.sockets.take_to_read();
        for &conn in &list {
            // What is not wanted stays in the kernel; `Outbox::resumed` will name the connection.
            if !self.shard.wants_read(conn) {
                continue;
            }
            match desk.sockets.read(conn, &mut desk.buffer) {
                ReadResult::Bytes(bytes) => {
                    self.metrics.bytes_received_count += bytes as u64;
                    self.shard.input(now, conn, &desk.buffer[..bytes]);
                }
                ReadResult::Nothing => {}
                ReadResult::End => self.shard.hung_up(conn),
                ReadResult::Broken => {
                    self.shard.broken(conn);
                    desk.sockets.close(self.poll.registry(), conn, &mut desk.buffer);
                }
            }
        }
        desk.sockets.recycle(list);
    }

    /// Shard, replica, log, apply; then the shard again, so that replies to writes leave in this turn.
    fn work(&mut self, desk: &mut Desk, now: Now) {
        self.with_peers(desk, now, Peers::turn);
        desk.more = self.turn_shard(desk, now);
        if let Order::Alone(log) = &self.order {
            self.replica.synced(log.synced());
        }
        self.with_peers(desk, now, Peers::run);
        for round in 0.. {
            let applied = self.replica.apply(now, &mut self.tree, &mut self.streams);
            if applied.txns > 0 {
                self.with_peers(desk, now, |peers, parts, context| peers.applied(parts, context, applied));
            }
            if !self.streams[0].is_empty() {
                desk.more |= self.turn_shard(desk, now);
            }
            if !applied.more {
                break;
            }
            if round == APPLIES_PER_TURN {
                desk.more = true;
                break;
            }
        }
        self.replica.tick(now, &self.tree, &mut self.streams);
        if !self.streams[0].is_empty() {
            desk.more |= self.turn_shard(desk, now);
        }
        if let Order::Alone(log) = &self.order {
            desk.appends.append(&mut self.replica.take_appends());
            note_digests(&self.config, &mut self.words, &desk.appends);
            log.push(&mut desk.appends);
        }
        // What the last turn of the shard and expiry asked for.
        self.with_peers(desk, now, Peers::run);
        self.snapshot(desk);
        for event in self.shard.take_events().into_iter().chain(self.replica.take_events()) {
            self.events.log(now, &event, &mut self.metrics);
        }
    }

    /// Lets a member of an ensemble do something with the parts it shares with this loop.
    fn with_peers(
        &mut self,
        desk: &mut Desk,
        now: Now,
        call: impl FnOnce(&mut Peers, &mut Parts<'_>, &mut Context<'_>),
    ) {
        let Turns { order, poll, snapshots, tree, replica, streams, .. } = self;
        if let Order::Member(peers) = order {
            let mut context = Context { registry: poll.registry(), snapshots, buffer: &mut desk.buffer };
            call(peers, &mut Parts { now, tree, replica, streams }, &mut context);
        }
    }

    fn turn_shard(&mut self, desk: &mut Desk, now: Now) -> bool {
        let turn = self.shard.turn(now, &self.tree, &mut self.streams[0], &mut desk.outbox);
        if !desk.outbox.touches.is_empty() {
            self.replica.touch(now, &desk.outbox.touches);
            desk.outbox.touches.clear();
        }
        for submit in desk.outbox.submits.drain(..) {
            self.replica.receive(now, &self.tree, &mut self.streams, submit);
        }
        for conn in desk.outbox.resumed.drain(..) {
            desk.sockets.resume(conn);
        }
        if !desk.outbox.commands.is_empty() {
            self.answer_words(desk, now);
        }
        turn.more || !self.streams[0].is_empty()
    }

    fn answer_words(&mut self, desk: &mut Desk, now: Now) {
        for command in desk.outbox.commands.drain(..) {
            let (log, peers) = match &self.order {
                Order::Alone(log) => (Some(log), None),
                Order::Member(peers) => (None, Some(&**peers)),
            };
            let mut scene = Scene {
                config: &self.config,
                client_port: self.client_port,
                now,
                started_mono_ms: desk.started_mono_ms,
                shard: &mut self.shard,
                replica: &mut self.replica,
                tree: &self.tree,
                log,
                peers,
                metrics: &mut self.metrics,
            };
            let text = match self.words.answer(command.word, command.argument, &mut scene) {
                Answer::Text(text) => text,
                Answer::Silence => String::new(),
            };
            self.shard.answer(command.conn, text.as_bytes());
        }
    }

    fn snapshot(&mut self, desk: &mut Desk) {
        let due = match &mut self.order {
            Order::Alone(log) => log.take_snapshot_due(),
            Order::Member(peers) => peers.take_snapshot_due(),
        };
        if due {
            if self.snapshots.is_running() {
                warn!("Too busy to snap, skipping");
            } else {
                self.snapshots.begin(&self.tree);
            }
        }
        if !self.snapshots.is_running() {
            return;
        }
        desk.more |= self.snapshots.step(&self.tree);
        if let Some(done) = self.snapshots.finished() {
            match done.result {
                Ok(finished) => {
                    let bytes = match finished {
                        Finished::Named(bytes) => bytes,
                        Finished::Unnamed(written) => {
                            let bytes = written.bytes;
                            if let Order::Member(peers) = &mut self.order {
                                peers.snapshot_written(written);
                            }
                            bytes
                        }
                    };
                    self.metrics.snapshottime.add(done.took_ms);
                    let (zxid, nodes, took_ms) = (done.zxid, done.nodes, done.took_ms);
                    info!(%zxid, nodes, bytes, took_ms, "Snapshot taken in {took_ms} ms");
                }
                // A leader's tree that this member cannot store: everything behind it would wait for ever.
                Err(error) if done.needed => give_up("the tree of the leader cannot be stored", &error),
                Err(error) => {
                    self.metrics.snapshot_error_count += 1;
                    warn!(
                        "the snapshot failed; the transaction log has everything, and the next one is tried as usual: {error}"
                    );
                }
            }
        }
    }

    fn write(&mut self, desk: &mut Desk) {
        self.shard.settle(self.clock.now());
        for conn in std::mem::take(&mut desk.unwritten) {
            self.write_one(desk, conn);
        }
        for conn in self.shard.take_dirty() {
            self.write_one(desk, conn);
        }
        while let Some(conn) = desk.writable.pop() {
            self.write_one(desk, conn);
        }
    }

    /// Writes what the socket takes, up to a bound for one turn: others wait meanwhile.
    fn write_one(&mut self, desk: &mut Desk, conn: ConnId) {
        let mut written = 0;
        loop {
            let (wrote, status) = self.write_piece(desk, conn);
            written += wrote;
            if wrote == 0 || status != (ConnStatus::Open { wants_write: true }) {
                return;
            }
            if written >= limits::WRITE_BYTES_PER_TURN_MAX {
                desk.unwritten.push(conn);
                return;
            }
        }
    }

    /// One write, and what is left after it.
    fn write_piece(&mut self, desk: &mut Desk, conn: ConnId) -> (usize, ConnStatus) {
        match desk.sockets.write(conn, self.shard.output(conn)) {
            Ok(bytes) => {
                let status = self.shard.wrote(conn, bytes);
                if status == ConnStatus::Closed {
                    desk.sockets.close(self.poll.registry(), conn, &mut desk.buffer);
                }
                (bytes, status)
            }
            Err(_) => {
                self.shard.broken(conn);
                desk.sockets.close(self.poll.registry(), conn, &mut desk.buffer);
                (0, ConnStatus::Closed)
            }
        }
    }

    /// Everything proposed is applied and answered: flush, close, sync, end.
    fn finish(mut self, desk: &mut Desk) {
        self.shard.close_all();
        self.write(desk);
        while !desk.unwritten.is_empty() {
            self.write(desk);
        }
        match self.order {
            Order::Alone(log) => log.stop(),
            Order::Member(mut peers) => peers.stop(),
        }
        self.snapshots.stop();
        info!(zxid = %self.tree.zxid(), "stopped");
    }
}

/// The digest of a record stands in its last 8 bytes, except in error transactions (type -1 in bytes 28 to 31).
fn note_digests(config: &Config, words: &mut Words, appends: &[Append]) {
    if !config.snapshot.digest {
        return;
    }
    for append in appends.iter().filter(|append| append.zxid.0 % DIGEST_INTERVAL == 0) {
        let error = append.record.get(28..32) == Some(&[0xff; 4]);
        if let (false, Some(digest)) = (error, append.record.last_chunk::<8>()) {
            words.note_digest(append.zxid.0, i64::from_be_bytes(*digest));
        }
    }
}
