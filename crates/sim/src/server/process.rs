//! The running process of a server: what the loop of the real one does (`ostler_server`), in any order that its threads
//! could do it: shards lag behind one another, messages between them and the replica travel in parts.

use super::log::LogThread;
use super::snapshots::Snapshot;
use crate::checks::{Referee, Verdict, broken};
use crate::heap::Micros;
use crate::net::{End, Net, Status};
use crate::rng::Dice;
use crate::settings::Settings;
use ostler_model::{SessionId, Txn, Zxid};
use ostler_node::{ConnId, ConnStatus, NodeConfig, NodeEvent, Now, Outbox, Replica, Shard, Stream, Submit};
use ostler_store::faulty::FaultyDisk;
use ostler_store::{DataDirs, Log, LogConfig, RecoverOptions, StoreError, recover};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Included};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The most that is read from a socket at once, as the real loop does.
const READ_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Socket {
    end: End,
    /// The shard knows that the client closed its side.
    hung_up: bool,
    session: SessionId,
}

/// What a turn works with.
pub struct Scene<'a> {
    /// Which server.
    pub server: usize,
    /// Virtual time.
    pub now: Micros,
    /// What the server's clocks show.
    pub clock: Now,
    /// The network.
    pub net: &'a mut Net,
    /// The checks.
    pub referee: &'a mut Referee,
    /// Chance.
    pub dice: &'a mut Dice,
    /// Of the run.
    pub settings: &'a Settings,
    /// All proposals of this server.
    pub proposed: &'a mut BTreeMap<Zxid, Arc<[u8]>>,
}

/// A running server.
pub struct Process {
    config: Arc<NodeConfig>,
    tree: Tree,
    replica: Replica,
    shards: Vec<Shard>,
    streams: Vec<Stream>,
    submits: Vec<VecDeque<Submit>>,
    sockets: BTreeMap<ConnId, Socket>,
    /// Connections with output that the network did not take.
    backlog: BTreeSet<ConnId>,
    /// The log thread.
    pub log: LogThread,
    /// The snapshot thread's work.
    pub snapshot: Option<Snapshot>,
    started_at: Micros,
    last_turn_ms: u64,
    port: u16,
}

impl Process {
    /// Recovers from the disk and is ready to serve.
    pub fn start(
        disk: &FaultyDisk,
        dirs: &DataDirs,
        settings: &Settings,
        config: Arc<NodeConfig>,
        clock: Now,
        now: Micros,
    ) -> Result<Process, StoreError> {
        dirs.prepare(disk, true)?;
        let tree_config = TreeConfig { seed: config.seed, digest: config.digest };
        let options = RecoverOptions { format: settings.snapshot_format(), ..RecoverOptions::new(tree_config) };
        let recovered = recover(disk, dirs, &options, &mut |_| {})?;
        let tree = recovered.tree;
        let log_config = LogConfig {
            preallocate_bytes: settings.preallocate_bytes,
            force_sync: !settings.breaks("fsync-lies"),
            snap_count: settings.snap_count,
            file_size_limit_bytes: settings.log_file_bytes,
            ..LogConfig::new(dirs.logs(), config.seed)
        };
        Ok(Process {
            replica: Replica::new(config.clone(), &tree, clock),
            shards: (0..config.shards).map(|index| Shard::new(config.clone(), index, tree.zxid())).collect(),
            streams: (0..config.shards).map(|_| Stream::new()).collect(),
            submits: vec![VecDeque::new(); config.shards],
            sockets: BTreeMap::new(),
            backlog: BTreeSet::new(),
            log: LogThread::new(Log::new(disk.clone(), log_config), tree.zxid()),
            snapshot: None,
            started_at: now,
            last_turn_ms: clock.mono_ms,
            port: 1_024,
            tree,
            config,
        })
    }

    /// Its state.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The last transaction applied.
    pub fn zxid(&self) -> Zxid {
        self.tree.zxid()
    }

    /// When a turn is due although nothing happens, in the server's monotonic time.
    pub fn next_deadline(&self) -> Option<u64> {
        self.shards.iter().map(Shard::next_deadline).chain([self.replica.next_deadline()]).flatten().min()
    }

    /// One iteration; true if there is more to do at once.
    pub fn turn(&mut self, scene: &mut Scene<'_>) -> Result<bool, crate::checks::Violation> {
        let gap = scene.clock.mono_ms - self.last_turn_ms > self.config.tick_time_ms;
        self.last_turn_ms = scene.clock.mono_ms;
        self.accept(scene);
        self.note_heard(scene);
        let mut order: Vec<usize> = (0..self.shards.len()).collect();
        scene.dice.shuffle(&mut order);
        let mut more = false;
        for shard in order {
            // A shard with a thread of its own may be late, but not asleep: after a pause all come at once.
            if !gap && scene.dice.percent(scene.settings.lag_percent) {
                more = true;
                continue;
            }
            more |= self.read(scene, shard);
            more |= self.turn_shard(scene, shard);
            self.deliver(scene, shard);
        }
        self.apply(scene)?;
        self.replica.tick(scene.clock, &self.tree, &mut self.streams);
        self.append(scene)?;
        self.flush(scene);
        self.look_at_events(scene)?;
        more |= self.shards.iter().any(Shard::has_work) || self.streams.iter().any(|stream| !stream.is_empty());
        more |= self.submits.iter().any(|queue| !queue.is_empty());
        more |= self.log.synced > self.tree.zxid();
        Ok(more)
    }

    fn accept(&mut self, scene: &mut Scene<'_>) {
        while let Some(end) = scene.net.accept(scene.server, crate::clients::CLIENT_PORT) {
            let shard = scene.dice.index(self.shards.len());
            self.port = self.port.wrapping_add(1).max(1_024);
            let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, scene.net.peer(end) as u8));
            match self.shards[shard].open(scene.clock, SocketAddr::new(ip, self.port)) {
                Some(conn) => {
                    self.sockets.insert(conn, Socket { end, hung_up: false, session: SessionId::NONE });
                }
                None => scene.net.abort(scene.now, end),
            }
        }
    }

    /// For the check of expiry: which sessions this machine has heard of, read or not.
    fn note_heard(&self, scene: &mut Scene<'_>) {
        for socket in self.sockets.values().filter(|socket| socket.session != SessionId::NONE) {
            scene.referee.heard_of(socket.session, scene.net.heard_at(socket.end));
        }
    }

    /// One buffer of each socket; true if there is more to do. The end of a connection shows only behind its last bytes.
    fn read(&mut self, scene: &mut Scene<'_>, shard: usize) -> bool {
        let mut more = false;
        if scene.settings.breaks("deaf-after-pause") && scene.dice.percent(50) {
            return more;
        }
        let conns: Vec<ConnId> = self.sockets.keys().copied().filter(|conn| conn.shard() == shard).collect();
        for conn in conns {
            let socket = self.sockets.get_mut(&conn).expect("just listed");
            if scene.net.readable(socket.end) > 0 && self.shards[shard].wants_read(conn) {
                let bytes = scene.net.read(socket.end, READ_BYTES);
                self.shards[shard].input(scene.clock, conn, &bytes);
                more = true;
                continue;
            }
            match scene.net.status(socket.end) {
                Status::Ended if !socket.hung_up => {
                    socket.hung_up = true;
                    self.shards[shard].hung_up(conn);
                }
                Status::Reset => {
                    self.shards[shard].broken(conn);
                    scene.net.close(scene.now, socket.end);
                    self.sockets.remove(&conn);
                    self.backlog.remove(&conn);
                }
                _ => {}
            }
        }
        more
    }

    fn turn_shard(&mut self, scene: &mut Scene<'_>, shard: usize) -> bool {
        let mut outbox = Outbox::default();
        let turn = self.shards[shard].turn(scene.clock, &self.tree, &mut self.streams[shard], &mut outbox);
        self.replica.touch(scene.clock, &outbox.touches);
        self.submits[shard].extend(outbox.submits);
        turn.more || !outbox.resumed.is_empty()
    }

    /// Hands messages of a shard to the replica: all of them, or with threads of their own some.
    fn deliver(&mut self, scene: &mut Scene<'_>, shard: usize) {
        let all = self.submits[shard].len();
        let count = if scene.settings.lag_percent == 0 { all } else { scene.dice.index(all + 1) };
        for submit in self.submits[shard].drain(..count) {
            self.replica.receive(scene.clock, &self.tree, &mut self.streams, submit);
        }
    }

    fn apply(&mut self, scene: &mut Scene<'_>) -> Verdict {
        if scene.settings.breaks("reply-before-sync") {
            self.replica.synced(self.replica.last_proposed());
        }
        if self.log.synced > Zxid::ZERO {
            self.replica.synced(self.log.synced);
        }
        for _ in 0..scene.dice.between(1, 4) {
            let before = self.tree.zxid();
            let applied = self.replica.apply(scene.clock, &mut self.tree, &mut self.streams);
            // Appended in the same turn: the proposals are known before they can be applied.
            self.note_proposals(scene)?;
            let range = (Excluded(before), Included(self.tree.zxid()));
            let records: Vec<_> = scene.proposed.range(range).map(|(zxid, record)| (*zxid, record.clone())).collect();
            for (zxid, record) in records {
                scene.referee.commit(scene.server, zxid, &record)?;
            }
            scene.referee.compare_digest(scene.server, &self.tree)?;
            if !applied.more {
                break;
            }
        }
        Ok(())
    }

    fn append(&mut self, scene: &mut Scene<'_>) -> Verdict {
        self.note_proposals(scene)
    }

    /// New proposals go to the log; an end of a session that nobody asked for must be due.
    fn note_proposals(&mut self, scene: &mut Scene<'_>) -> Verdict {
        let appends = self.replica.take_appends();
        for append in &appends {
            scene.proposed.insert(append.zxid, append.record.as_slice().into());
            let decoded = txn::decode(&append.record, usize::MAX)
                .map_err(|error| broken("order", format!("the record of {} does not decode: {error}", append.zxid)))?;
            if decoded.header.cxid == 0 && matches!(decoded.txn, Txn::CloseSession { .. }) {
                scene.referee.expires(scene.server, decoded.header.session, scene.now, self.started_at)?;
            }
        }
        self.log.push(appends);
        Ok(())
    }

    fn flush(&mut self, scene: &mut Scene<'_>) {
        let mut conns = std::mem::take(&mut self.backlog);
        for shard in &mut self.shards {
            conns.extend(shard.take_dirty());
        }
        for conn in conns {
            let Some(socket) = self.sockets.get(&conn) else { continue };
            let shard = &mut self.shards[conn.shard()];
            let taken = scene.net.write(scene.now, socket.end, shard.output(conn));
            match shard.wrote(conn, taken) {
                ConnStatus::Closed => {
                    scene.net.close(scene.now, socket.end);
                    self.sockets.remove(&conn);
                }
                ConnStatus::Open { wants_write: true } => {
                    self.backlog.insert(conn);
                }
                ConnStatus::Open { wants_write: false } => {}
            }
        }
    }

    fn look_at_events(&mut self, scene: &mut Scene<'_>) -> Verdict {
        let mut events = self.replica.take_events();
        for shard in &mut self.shards {
            events.extend(shard.take_events());
        }
        for event in events {
            match event {
                NodeEvent::SessionCreated { session, conn, .. } | NodeEvent::SessionReattached { session, conn, .. } => {
                    for socket in self.sockets.values_mut().filter(|socket| socket.session == session) {
                        socket.session = SessionId::NONE;
                    }
                    if let Some(socket) = self.sockets.get_mut(&conn) {
                        socket.session = session;
                        scene.referee.heard_of(session, scene.net.heard_at(socket.end));
                    }
                }
                NodeEvent::DigestMismatch { zxid } => {
                    let words = format!("INV-21: server {} itself finds another digest at {zxid}", scene.server);
                    return Err(broken("digest", words));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
