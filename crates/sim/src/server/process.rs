//! The running process of a server: what the loop of the real one does (`ostler_server`), in any order that its threads
//! could do it: shards lag behind one another, messages between them and the replica travel in parts.

use super::disk::{DiskThread, EnsembleFiles, RECORD_BYTES_MAX};
use super::log::LogThread;
use super::peers::{Around, Peers};
use super::snapshots::Snapshot;
use super::transfer::Transfers;
use crate::checks::ensemble::Seen;
use crate::checks::{Referee, Verdict, broken};
use crate::heap::Micros;
use crate::net::{End, Net, Status};
use crate::settings::Settings;
use ostler_model::Dice;
use ostler_model::{ServerId, SessionId, Txn, Zxid};
use ostler_node::{
    ConnId, ConnStatus, Member, NodeConfig, NodeEvent, Now, Outbox, Parts, Replica, Shard, Stream, Submit,
};
use ostler_store::faulty::FaultyDisk;
use ostler_store::{
    DataDirs, Log, LogConfig, MemberOptions, MemberState, RecoverOptions, StoreError, load_upto, recover,
    recover_member,
};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn;
use ostler_zab::{Boot, Epochs, Generation, History, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Bound::{Excluded, Included};
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
    /// Which process of this server.
    pub life: u32,
    /// A line of the trace.
    pub say: &'a dyn Fn(&str),
    /// The records of this server's history.
    pub proposed: &'a mut BTreeMap<Zxid, Arc<[u8]>>,
}

/// Who orders the transactions.
pub enum Ordering {
    /// This server alone: what is in its log is committed.
    Alone(Box<LogThread>),
    /// An ensemble.
    Member(Box<Peers>),
}

/// What a member knew when it had recovered.
pub struct Found {
    /// The end of its history; none if it does not trust its disk.
    pub last: Option<Zxid>,
    /// Its epoch files.
    pub epochs: Epochs,
    /// Where the part of its history begins that is in the log.
    pub base: Zxid,
    /// Why it does not trust its disk.
    pub hole: Option<String>,
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
    /// The log thread, or the ensemble.
    pub ordering: Ordering,
    /// The snapshot thread's work.
    pub snapshot: Option<Snapshot>,
    recovery: RecoverOptions,
    /// Since when this server decides about sessions.
    in_charge_since: Micros,
    last_turn_ms: u64,
    port: u16,
    /// The operator stops it with the next turn.
    pub resigns: bool,
}

/// Where a process finds its things.
pub struct Ground<'a> {
    /// The disk.
    pub disk: &'a FaultyDisk,
    /// Its directories.
    pub dirs: &'a DataDirs,
    /// Of the run.
    pub settings: &'a Settings,
    /// Of the node.
    pub config: Arc<NodeConfig>,
    /// What the clocks show.
    pub clock: Now,
    /// Virtual time.
    pub now: Micros,
}

impl Ground<'_> {
    fn recovery(&self) -> RecoverOptions {
        let tree = TreeConfig { seed: self.config.seed, digest: self.config.digest };
        RecoverOptions { format: self.settings.snapshot_format(), ..RecoverOptions::new(tree) }
    }

    /// Whether a refusal is about a tail whose sectors the disk wrote in disorder. A server that stands alone leaves it to
    /// its operator, who does what the hint says. That nothing acknowledged is lost is checked like always.
    pub fn is_disorder(&self, error: &StoreError) -> bool {
        match error {
            StoreError::BytesBehindEnd { .. } => true,
            // Recovery overlooks no wrong checksum: the file is cut by hand.
            StoreError::Corrupt { file, offset, why, .. } if why.contains("checksum") => {
                let bytes = self.disk.contents(file).expect("the file was just read");
                self.disk.put(file, &bytes[..*offset as usize]);
                true
            }
            _ => false,
        }
    }

    fn log_config(&self) -> LogConfig {
        LogConfig {
            preallocate_bytes: self.settings.preallocate_bytes,
            force_sync: !self.settings.breaks("fsync-lies"),
            snap_count: self.settings.snap_count,
            file_size_limit_bytes: self.settings.log_file_bytes,
            ..LogConfig::new(self.dirs.logs(), self.config.seed)
        }
    }

    fn process(&self, tree: Tree, replica: Replica, shards: Vec<Shard>, ordering: Ordering) -> Process {
        Process {
            replica,
            shards,
            streams: (0..self.config.shards).map(|_| Stream::new()).collect(),
            submits: vec![VecDeque::new(); self.config.shards],
            sockets: BTreeMap::new(),
            backlog: BTreeSet::new(),
            ordering,
            snapshot: None,
            recovery: self.recovery(),
            in_charge_since: self.now,
            last_turn_ms: self.clock.mono_ms,
            port: 1_024,
            resigns: false,
            tree,
            config: self.config.clone(),
        }
    }
}

impl Process {
    /// A server that stands alone recovers from the disk and is ready to serve.
    pub fn alone(ground: &Ground<'_>, accept_gap: bool) -> Result<Process, StoreError> {
        ground.dirs.prepare(ground.disk, true)?;
        let options = RecoverOptions { accept_gap, ..ground.recovery() };
        let tree = recover(ground.disk, ground.dirs, &options, &mut |_| {})?.tree;
        let config = &ground.config;
        let replica = Replica::new(config.clone(), &tree, ground.clock);
        let shards = (0..config.shards).map(|index| Shard::new(config.clone(), index, tree.zxid())).collect();
        let log = LogThread::new(Log::new(ground.disk.clone(), ground.log_config()), tree.zxid());
        Ok(ground.process(tree, replica, shards, Ordering::Alone(Box::new(log))))
    }

    /// A member of an ensemble recovers and looks for the others.
    pub fn member(
        ground: &Ground<'_>,
        me: ServerId,
        ensembles: &EnsembleFiles,
    ) -> Result<(Process, Found), StoreError> {
        ground.dirs.prepare(ground.disk, true)?;
        let options = MemberOptions::new(ground.recovery());
        let state = recover_member(ground.disk, ground.dirs, &options, &mut |_| {})?;
        let history = history(&state);
        let base = history.base;
        let MemberState { mut tree, last, epochs: files, hole, .. } = state;
        let saved = files.epochs();
        let epochs = Epochs { accepted: saved.accepted, current: saved.current };
        let log = Log::after(ground.disk.clone(), ground.log_config(), last);
        let mut disk = DiskThread::new(log, files, ground.dirs.clone(), ensembles.clone());
        if ground.settings.breaks("epoch-files-lie") {
            disk.lose_epochs();
        }
        let committed = ensembles.committed.clone();
        let last_seen = ensembles.next.clone().unwrap_or_else(|| committed.clone());
        let boot = Boot { epochs, history, committed, last_seen };
        let config = &ground.config;
        let mut replica = Replica::member(config.clone(), &tree, ground.clock);
        let mut streams: Vec<Stream> = (0..config.shards).map(|_| Stream::new()).collect();
        let now = ground.clock;
        let mut parts = Parts { now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
        let member = Member::new(ground.settings.zab(me), boot, RECORD_BYTES_MAX, &mut parts);
        let shards = (0..config.shards).map(|index| Shard::member(config.clone(), index)).collect();
        let transfers = Transfers::new(ground.disk.clone(), ground.dirs.clone(), ground.recovery());
        let ordering = Ordering::Member(Box::new(Peers::new(member, disk, transfers)));
        let process = Process { streams, ..ground.process(tree, replica, shards, ordering) };
        Ok((process, Found { last, epochs, base, hole }))
    }

    /// Its state.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The last transaction applied.
    pub fn zxid(&self) -> Zxid {
        self.tree.zxid()
    }

    /// When a turn is due although nothing happens, in the server's monotonic time, and who says so.
    pub fn next_deadline(&self) -> Option<(u64, &'static str)> {
        let shards = self.shards.iter().map(|shard| (shard.next_deadline(), "a shard"));
        let peers = match &self.ordering {
            Ordering::Alone(_) => None,
            Ordering::Member(peers) => peers.next_deadline(),
        };
        let others = [(self.replica.next_deadline(), "the replica"), (peers, "the member")];
        shards.chain(others).filter_map(|(at, who)| Some((at?, who))).min()
    }

    /// One iteration; true if there is more to do at once.
    pub fn turn(&mut self, scene: &mut Scene<'_>) -> Result<bool, crate::checks::Violation> {
        let gap = scene.clock.mono_ms - self.last_turn_ms > self.config.tick_time_ms;
        self.last_turn_ms = scene.clock.mono_ms;
        self.accept(scene);
        self.note_heard(scene);
        self.with_peers(scene, Peers::turn)?;
        if std::mem::take(&mut self.resigns) {
            self.with_peers(scene, Peers::resign)?;
        }
        let mut more = self.turn_shards(scene, gap);
        self.with_peers(scene, Peers::run)?;
        self.apply(scene)?;
        self.replica.tick(scene.clock, &self.tree, &mut self.streams);
        self.note_proposals(scene)?;
        self.with_peers(scene, Peers::run)?;
        self.flush(scene);
        self.look_at_events(scene)?;
        more |= self.shards.iter().any(Shard::has_work) || self.streams.iter().any(|stream| !stream.is_empty());
        more |= self.submits.iter().any(|queue| !queue.is_empty());
        more |= match &self.ordering {
            Ordering::Alone(log) => log.synced > self.tree.zxid(),
            Ordering::Member(peers) => peers.has_work(),
        };
        Ok(more)
    }

    fn turn_shards(&mut self, scene: &mut Scene<'_>, gap: bool) -> bool {
        let mut more = false;
        let mut order: Vec<usize> = (0..self.shards.len()).collect();
        scene.dice.shuffle(&mut order);
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
        more
    }

    /// Lets a member of an ensemble do something with the parts it shares with this loop.
    fn with_peers(
        &mut self,
        scene: &mut Scene<'_>,
        call: impl FnOnce(&mut Peers, &mut Parts<'_>, &mut Around<'_>),
    ) -> Verdict {
        let Process { ordering, tree, replica, streams, .. } = self;
        let Ordering::Member(peers) = ordering else { return Ok(()) };
        let mut parts = Parts { now: scene.clock, tree, replica, streams };
        let mut around = Around { server: scene.server, now: scene.now, net: scene.net, dice: scene.dice };
        call(peers, &mut parts, &mut around);
        for seen in std::mem::take(&mut peers.seen) {
            if matches!(seen, Seen::Serving { .. }) {
                self.in_charge_since = scene.now;
            }
            if let Seen::Appended(zxid, payload) = &seen {
                proposed(scene, *zxid, payload, None)?;
            }
            (scene.say)(&format!("server {}: {seen:?}", scene.server));
            scene.referee.saw(scene.server, scene.life, &seen)?;
        }
        Ok(())
    }

    /// Builds the tree anew from disk, as a member was ordered to.
    pub fn reload(&mut self, disk: &FaultyDisk, dirs: &DataDirs, clock: Now) -> Result<(), StoreError> {
        let Process { ordering, tree, replica, streams, recovery, .. } = self;
        let Ordering::Member(peers) = ordering else { return Ok(()) };
        for (generation, upto) in std::mem::take(&mut peers.reloads) {
            let generation: Generation = generation;
            *tree = load_upto(disk, dirs, recovery, upto, &mut |_| {})?.tree;
            peers.reloaded(&mut Parts { now: clock, tree, replica, streams }, generation);
        }
        Ok(())
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
        match &self.ordering {
            Ordering::Alone(_) if scene.settings.breaks("reply-before-sync") => {
                self.replica.synced(self.replica.last_proposed());
            }
            Ordering::Alone(log) if log.synced > Zxid::ZERO => self.replica.synced(log.synced),
            Ordering::Alone(_) => {}
            Ordering::Member(peers) if peers.serving().is_none() => return Ok(()),
            Ordering::Member(_) => {}
        }
        for _ in 0..scene.dice.between(1, 4) {
            let before = self.tree.zxid();
            let applied = self.replica.apply(scene.clock, &mut self.tree, &mut self.streams);
            // Appended in the same turn: the proposals are known before they can be applied.
            self.note_proposals(scene)?;
            let range = (Excluded(before), Included(self.tree.zxid()));
            // A member that serves applies what its epoch's leader proposed; what an older one proposed last and nobody
            // committed stands between those zxids too.
            let epoch = self.tree.zxid().epoch();
            let alone = matches!(self.ordering, Ordering::Alone(_));
            let own = scene.proposed.range(range).filter(|(zxid, _)| alone || zxid.epoch() == epoch);
            let records: Vec<_> = own.map(|(zxid, record)| (*zxid, record.clone())).collect();
            assert_eq!(records.len(), applied.txns, "every transaction applied was proposed");
            for (zxid, record) in records {
                scene.referee.commit(scene.server, zxid, &record)?;
            }
            scene.referee.compare_digest(scene.server, &self.tree)?;
            self.with_peers(scene, |peers, parts, around| peers.applied(parts, around, applied))?;
            if !applied.more {
                break;
            }
        }
        Ok(())
    }

    /// Alone: new proposals go to the log.
    fn note_proposals(&mut self, scene: &mut Scene<'_>) -> Verdict {
        let Ordering::Alone(log) = &mut self.ordering else { return Ok(()) };
        let appends = self.replica.take_appends();
        for append in &appends {
            proposed(scene, append.zxid, &append.record, Some(self.in_charge_since))?;
        }
        log.push(appends);
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
                NodeEvent::SessionCreated { session, conn, .. }
                | NodeEvent::SessionReattached { session, conn, .. } => {
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

/// A transaction is proposed here, or came from the leader. `in_charge_since`: this server alone decides about sessions, so
/// that the end of one that nobody asked for must be due.
fn proposed(scene: &mut Scene<'_>, zxid: Zxid, record: &[u8], in_charge_since: Option<Micros>) -> Verdict {
    scene.proposed.split_off(&zxid);
    scene.proposed.insert(zxid, record.into());
    let Some(in_charge_since) = in_charge_since else { return Ok(()) };
    let decoded = txn::decode(record, usize::MAX)
        .map_err(|error| broken("order", format!("the record of {zxid} does not decode: {error}")))?;
    if decoded.header.cxid == 0 && matches!(decoded.txn, Txn::CloseSession { .. }) {
        scene.referee.expires(scene.server, decoded.header.session, scene.now, in_charge_since)?;
    }
    Ok(())
}

fn history(state: &MemberState<FaultyDisk>) -> History {
    let spans = state.history.spans.iter().map(|span| Span { first: span.first, last: span.last }).collect();
    let history = History { base: state.history.disk_from, spans, trusted: state.trusted() };
    let last = state.last.unwrap_or(Zxid::ZERO);
    if history.last() == last {
        return history;
    }
    // A snapshot beyond the log: the history begins there.
    History { base: last, spans: Vec::new(), trusted: state.trusted() }
}
