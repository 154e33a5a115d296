//! A whole server in one value, for tests: bytes in, bytes out, logical time, and a disk that syncs when told.
//!
//! [`Harness::run`] does what a server's loop does until nothing moves, with a disk that syncs at once. The single
//! steps below it are public too: a test that wants another order, delays or lost turns makes its own loop of them.

use crate::{Append, Command, ConnId, ConnStatus, NodeConfig, NodeEvent, Now, Outbox, Replica, Shard, Stream, Submit};
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// A server without sockets, threads and disk. Fields are public: tests look inside.
#[derive(Debug)]
pub struct Harness {
    /// Its settings.
    pub config: Arc<NodeConfig>,
    /// The moment of every call; [`Harness::advance`] moves it.
    pub now: Now,
    /// The state.
    pub tree: Tree,
    /// Decides.
    pub replica: Replica,
    /// Own the connections.
    pub shards: Vec<Shard>,
    /// From the replica to each shard.
    pub streams: Vec<Stream>,
    /// From each shard to the replica.
    pub submits: Vec<VecDeque<Submit>>,
    /// Records that the disk has taken, all of them, in order.
    pub log: Vec<Append>,
    /// Four-letter words that wait for their answer.
    pub commands: Vec<Command>,
    /// What replica and shards told.
    pub events: Vec<NodeEvent>,
    received: BTreeMap<ConnId, Vec<u8>>,
    closed: BTreeSet<ConnId>,
    port: u16,
}

impl Harness {
    /// A fresh server at time 0 (of both clocks plus a million).
    pub fn new(config: NodeConfig) -> Harness {
        let tree = Tree::new(TreeConfig { seed: config.seed, digest: config.digest });
        Harness::with_tree(config, tree)
    }

    /// A server that recovered this tree.
    pub fn with_tree(config: NodeConfig, tree: Tree) -> Harness {
        let config = Arc::new(config);
        let now = Now { mono_ms: 1_000_000, wall_ms: 1_000_000 };
        Harness {
            now,
            replica: Replica::new(config.clone(), &tree, now),
            shards: (0..config.shards).map(|index| Shard::new(config.clone(), index, tree.zxid())).collect(),
            streams: (0..config.shards).map(|_| Stream::new()).collect(),
            submits: vec![VecDeque::new(); config.shards],
            log: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            received: BTreeMap::new(),
            closed: BTreeSet::new(),
            port: 1_024,
            tree,
            config,
        }
    }

    /// Accepts a connection from 127.0.0.1.
    ///
    /// # Panics
    /// The shard refused it.
    pub fn open(&mut self, shard: usize) -> ConnId {
        self.try_open(shard, [127, 0, 0, 1]).expect("there is room for a connection")
    }

    /// Accepts a connection from an address; `None` if the shard refuses it.
    pub fn try_open(&mut self, shard: usize, address: [u8; 4]) -> Option<ConnId> {
        self.port = self.port.wrapping_add(1).max(1_024);
        self.shards[shard].open(self.now, SocketAddr::from((address, self.port)))
    }

    /// Bytes arrive at a connection.
    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.shards[conn.shard()].input(self.now, conn, bytes);
    }

    /// The client closes its side.
    pub fn hang_up(&mut self, conn: ConnId) {
        self.shards[conn.shard()].hung_up(conn);
    }

    /// Everything that a connection was sent since the last call.
    pub fn receive(&mut self, conn: ConnId) -> Vec<u8> {
        self.received.remove(&conn).unwrap_or_default()
    }

    /// True if the server has closed the connection.
    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    /// Lets time pass in steps of a tick, with a busy loop; the process is alive all the time.
    pub fn advance(&mut self, ms: u64) {
        let end_ms = self.now.mono_ms + ms;
        while self.now.mono_ms < end_ms {
            let step_ms = self.config.tick_time_ms.min(end_ms - self.now.mono_ms);
            self.jump(step_ms);
            self.run();
        }
    }

    /// Lets time pass while nothing runs, as under SIGSTOP.
    pub fn jump(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms as i64;
    }

    /// Runs the loop until nothing moves.
    ///
    /// # Panics
    /// It does not come to rest.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            let mut moved = false;
            for shard in 0..self.shards.len() {
                moved |= self.turn(shard);
                moved |= self.deliver(shard, usize::MAX) > 0;
            }
            self.tick();
            moved |= self.sync(Zxid(i64::MAX));
            moved |= self.apply() > 0;
            for shard in 0..self.shards.len() {
                moved |= self.flush(shard);
                moved |= self.shards[shard].has_work() || !self.streams[shard].is_empty();
            }
            if !moved {
                return;
            }
        }
        panic!("the server does not come to rest");
    }

    /// One turn of a shard. True if it left work undone.
    pub fn turn(&mut self, shard: usize) -> bool {
        let mut outbox = Outbox::default();
        let turn = self.shards[shard].turn(self.now, &self.tree, &mut self.streams[shard], &mut outbox);
        self.replica.touch(self.now, &outbox.touches);
        self.submits[shard].extend(outbox.submits);
        self.commands.extend(outbox.commands);
        self.events.extend(self.shards[shard].take_events());
        turn.more
    }

    /// Hands up to `most` of a shard's messages to the replica; how many.
    pub fn deliver(&mut self, shard: usize, most: usize) -> usize {
        let mut delivered = 0;
        while delivered < most
            && let Some(submit) = self.submits[shard].pop_front()
        {
            self.replica.receive(self.now, &self.tree, &mut self.streams, submit);
            delivered += 1;
        }
        delivered
    }

    /// The replica's look at the clock.
    pub fn tick(&mut self) {
        self.replica.tick(self.now, &self.tree, &mut self.streams);
        self.events.extend(self.replica.take_events());
    }

    /// The disk takes everything appended and has synced it up to `zxid`. True if there was something new.
    pub fn sync(&mut self, zxid: Zxid) -> bool {
        let before = self.log.len();
        self.log.extend(self.replica.take_appends());
        let durable = self.log.last().map_or(Zxid::ZERO, |last| last.zxid).min(zxid);
        if durable > self.tree.zxid() {
            self.replica.synced(durable);
        }
        self.log.len() > before
    }

    /// Applies what is durable; how many transactions.
    pub fn apply(&mut self) -> usize {
        let applied = self.replica.apply(self.now, &mut self.tree, &mut self.streams);
        self.events.extend(self.replica.take_events());
        applied.txns
    }

    /// The sockets of a shard take its output. True if there was some.
    pub fn flush(&mut self, shard: usize) -> bool {
        self.shards[shard].settle(self.now);
        let dirty = self.shards[shard].take_dirty();
        for conn in &dirty {
            loop {
                let output = self.shards[shard].output(*conn);
                let taken = output.len();
                self.received.entry(*conn).or_default().extend_from_slice(output);
                match self.shards[shard].wrote(*conn, taken) {
                    ConnStatus::Open { wants_write: true } => {}
                    ConnStatus::Open { wants_write: false } => break,
                    ConnStatus::Closed => {
                        self.closed.insert(*conn);
                        break;
                    }
                }
            }
        }
        !dirty.is_empty()
    }

    /// Puts other settings in force, a broken rule among them.
    #[cfg(any(test, feature = "mutants"))]
    pub fn break_rule(&mut self, config: NodeConfig) {
        self.config = Arc::new(config);
        self.replica.set_config(self.config.clone());
        for shard in &mut self.shards {
            shard.set_config(self.config.clone());
        }
    }
}
