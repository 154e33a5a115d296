//! Several members in one value: a network of bytes, disks that sync at once, time that the test moves.
//!
//! What needs whole trees on the wire or on disk (SNAP, reloads of another history) is the simulation's business: this
//! net carries histories only.

use super::client::{Reply, handshake, payloads, replies};
use crate::{ConnId, ConnStatus, Member, NodeConfig, Now, Order, Outbox, Parts, Replica, Shard, Stream};
use ostler_model::{Endpoint, Ensemble, PeerAddress, Role, ServerId, SessionId, Zxid, session_password};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::client::ConnectResponse;
use ostler_wire::txn::decode;
use ostler_zab::{Boot, DiskDone, DiskOp, Epochs, History, LinkId, Payload, PeerState, Settings};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) const PACKET_MAX: usize = 2 << 20;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
struct Disk {
    records: Vec<(Zxid, Payload)>,
    epochs: Epochs,
}

struct Running {
    tree: Tree,
    replica: Replica,
    shard: Shard,
    streams: Vec<Stream>,
    member: Member,
    received: BTreeMap<ConnId, Vec<u8>>,
}

struct Server {
    disk: Disk,
    running: Option<Running>,
}

/// One end of a connection between members.
type End = (usize, LinkId);

pub(super) struct Cluster {
    servers: Vec<Server>,
    now: Now,
    ends: BTreeMap<End, End>,
    port: u16,
    reconfigures: bool,
    read_only_mode: bool,
    local_sessions: bool,
    /// What this server sends to others, and they to it, is lost without a word.
    cut_off: Option<usize>,
}

fn ensemble(servers: usize) -> Ensemble {
    let member = |index: usize| {
        let host = ostler_model::Host::new("localhost").unwrap();
        let port = 10_000 + 10 * index as u16;
        let address = PeerAddress { host: host.clone(), quorum_port: port, election_port: port + 1 };
        let client = Endpoint { host, port: port + 2 };
        ostler_model::Member::new(ServerId(index as i64 + 1), Role::Participant, address, Some(client))
    };
    Ensemble::new((0..servers).map(member).collect(), 0).unwrap()
}

impl Cluster {
    pub(super) fn new(servers: usize) -> Cluster {
        let servers = (0..servers).map(|_| Server { disk: Disk::default(), running: None }).collect();
        let now = Now { mono_ms: 1_000_000, wall_ms: 1_000_000 };
        Cluster {
            servers,
            now,
            ends: BTreeMap::new(),
            port: 1_024,
            reconfigures: false,
            read_only_mode: false,
            local_sessions: false,
            cut_off: None,
        }
    }

    /// The same with `reconfigEnabled` and `skipACL`.
    pub(super) fn reconfigured(servers: usize) -> Cluster {
        Cluster { reconfigures: true, ..Cluster::new(servers) }
    }

    /// The same with `readonlymode.enabled`.
    pub(super) fn read_only(servers: usize, local_sessions: bool) -> Cluster {
        Cluster { read_only_mode: true, local_sessions, ..Cluster::new(servers) }
    }

    pub(super) fn start(&mut self, index: usize) {
        let mut config = NodeConfig { server_id: index as u8 + 1, ..NodeConfig::default() };
        (config.read_only_mode, config.local_sessions) = (self.read_only_mode, self.local_sessions);
        config.policy.reconfig_enabled = self.reconfigures;
        config.policy.skip_acl = self.reconfigures;
        let config = Arc::new(config);
        let mut tree = Tree::new(TreeConfig { seed: 0, digest: true });
        let disk = &self.servers[index].disk;
        let mut history = History { trusted: true, ..History::default() };
        for (zxid, payload) in &disk.records {
            history.push(*zxid);
            let record = decode(payload, PACKET_MAX).unwrap();
            tree.apply(&record.header, &record.txn, &mut Vec::new());
        }
        let ensemble = ensemble(self.servers.len());
        let boot = Boot { epochs: disk.epochs, history, committed: ensemble.clone(), last_seen: ensemble };
        let settings = Settings { reconfig_enabled: self.reconfigures, ..Settings::new(ServerId(index as i64 + 1)) };
        let mut replica = Replica::member(config.clone(), &tree, self.now);
        let mut streams = vec![Stream::new()];
        let mut parts = Parts { now: self.now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
        let member = Member::new(settings, boot, PACKET_MAX, &mut parts);
        let shard = Shard::member(config, 0);
        let received = BTreeMap::new();
        self.servers[index].running = Some(Running { tree, replica, shard, streams, member, received });
    }

    /// The process dies; connections of it end.
    pub(super) fn crash(&mut self, index: usize) {
        self.servers[index].running = None;
        let ends: Vec<(End, End)> = self.ends.iter().map(|(one, other)| (*one, *other)).collect();
        for (one, other) in ends {
            if one.0 == index {
                self.ends.remove(&one);
                self.ends.remove(&other);
                self.with(other.0, |running, parts| running.hung_up(parts, other.1));
            }
        }
    }

    fn with<T>(&mut self, index: usize, call: impl FnOnce(&mut Member, &mut Parts<'_>) -> T) -> Option<T> {
        let now = self.now;
        let Running { tree, replica, streams, member, .. } = self.servers[index].running.as_mut()?;
        let mut parts = Parts { now, tree, replica, streams };
        Some(call(member, &mut parts))
    }

    /// Lets everything happen that happens without time.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for index in 0..self.servers.len() {
                moved |= self.turn(index);
            }
            if !moved {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Lets things happen until this server has heard of a commit that it has not applied; returns its zxid.
    pub(super) fn until_unapplied(&mut self, index: usize) -> Zxid {
        for turn in 0..10_000 {
            self.turn(turn % self.servers.len());
            let Running { tree, replica, .. } = self.running(index);
            if replica.committed() > tree.zxid() {
                return replica.committed();
            }
        }
        panic!("nothing is committed");
    }

    pub(super) fn advance(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now.mono_ms += 10;
            self.now.wall_ms += 10;
            for index in 0..self.servers.len() {
                self.with(index, Member::tick);
            }
            self.settle();
        }
    }

    fn turn(&mut self, index: usize) -> bool {
        let now = self.now;
        let Some(Running { tree, replica, shard, streams, member, received }) = &mut self.servers[index].running else {
            return false;
        };
        let mut outbox = Outbox::default();
        let mut moved = shard.turn(now, tree, &mut streams[0], &mut outbox).more;
        replica.touch(now, &outbox.touches);
        moved |= !outbox.submits.is_empty();
        for submit in outbox.submits {
            replica.receive(now, tree, streams, submit);
        }
        replica.tick(now, tree, streams);
        member.run(&mut Parts { now, tree, replica, streams });
        let applied = replica.apply(now, tree, streams);
        moved |= applied.txns > 0;
        member.applied(&mut Parts { now, tree, replica, streams }, applied);
        for conn in shard.take_dirty() {
            let output = shard.output(conn).to_vec();
            moved = true;
            let closed = shard.wrote(conn, output.len()) == ConnStatus::Closed;
            if !closed || !output.is_empty() {
                received.entry(conn).or_default().extend(output);
            }
        }
        moved |= shard.has_work() || !streams[0].is_empty();
        let (orders, dirty) = (member.take_orders(), member.take_dirty());
        moved |= !orders.is_empty() || !dirty.is_empty();
        for order in orders {
            self.order(index, order);
        }
        for link in dirty {
            self.carry(index, link);
        }
        moved
    }

    fn carry(&mut self, index: usize, link: LinkId) {
        let Some(running) = &self.servers[index].running else { return };
        let output = running.member.output(link).to_vec();
        let open = self.with(index, |member, parts| member.wrote(parts, link, output.len())) == Some(true);
        let Some(other) = self.ends.get(&(index, link)).copied() else { return };
        let is_lost = self.cut_off.is_some_and(|server| server == index || server == other.0);
        if !output.is_empty() && !is_lost {
            self.with(other.0, |member, parts| member.input(parts, other.1, &output));
        }
        if !open && !is_lost {
            self.ends.remove(&(index, link));
            self.ends.remove(&other);
            self.with(other.0, |member, parts| member.hung_up(parts, other.1));
        }
    }

    fn order(&mut self, index: usize, order: Order) {
        match order {
            Order::Dial { link, server, port, .. } => {
                let target = server.0 as usize - 1;
                match self.with(target, |member, parts| member.accepted(parts, port)) {
                    Some(accepted) => {
                        self.ends.insert((index, link), (target, accepted));
                        self.ends.insert((target, accepted), (index, link));
                        self.with(index, |member, parts| member.connected(parts, link));
                    }
                    None => {
                        self.with(index, |member, parts| member.hung_up(parts, link));
                    }
                }
            }
            Order::Disk { generation, op } => {
                let disk = &mut self.servers[index].disk;
                let done = match op {
                    DiskOp::Append { zxid, payload } => {
                        disk.records.push((zxid, payload));
                        DiskDone::Synced { zxid }
                    }
                    DiskOp::SaveEpochs(epochs) => {
                        disk.epochs = epochs;
                        DiskDone::EpochsSaved(epochs)
                    }
                    DiskOp::Truncate { to } => {
                        disk.records.retain(|(zxid, _)| *zxid <= to);
                        DiskDone::Truncated
                    }
                    DiskOp::Fence => DiskDone::Fenced,
                    DiskOp::SaveConfig { .. } => DiskDone::ConfigSaved,
                    DiskOp::Install { .. } => panic!("this net carries histories only"),
                };
                self.with(index, |member, parts| member.disk_done(parts, generation, done));
            }
            Order::SendHistory { link, after, upto } => {
                let records = self.servers[index].disk.records.clone();
                self.with(index, |member, parts| {
                    for (zxid, payload) in records.iter().filter(|(zxid, _)| after < *zxid && *zxid <= upto) {
                        member.send_record(link, *zxid, payload);
                    }
                    member.history_sent(parts, link, true);
                });
            }
            Order::Reload { generation, upto } => {
                let mut tree = Tree::new(TreeConfig { seed: 0, digest: true });
                for (_, payload) in self.servers[index].disk.records.iter().filter(|(zxid, _)| *zxid <= upto) {
                    let record = decode(payload, PACKET_MAX).unwrap();
                    tree.apply(&record.header, &record.txn, &mut Vec::new());
                }
                self.with(index, |member, parts| {
                    *parts.tree = tree;
                    member.tree_reloaded(parts, generation);
                });
            }
            Order::SendTree { .. } | Order::TreeBytes { .. } => panic!("this net carries histories only"),
            Order::PeerTrouble { what, .. } | Order::PeerNotice { what } => panic!("{what}"),
            Order::Forget { .. }
            | Order::Serving { .. }
            | Order::StoppedServing
            | Order::ServingReadOnly
            | Order::NothingToShow
            | Order::StoppedReadOnly
            | Order::Activate(_)
            | Order::Resigned
            | Order::Trace(_) => {}
        }
    }

    /// Which server leads and serves.
    pub(super) fn leader(&self) -> Option<usize> {
        self.servers.iter().position(|server| {
            server.running.as_ref().is_some_and(|running| {
                let status = running.member.status();
                status.peer_state == PeerState::Leading && status.is_serving
            })
        })
    }

    pub(super) fn is_serving(&self, index: usize) -> bool {
        self.servers[index].running.as_ref().is_some_and(|running| running.member.status().is_serving)
    }

    pub(super) fn cut_off(&mut self, server: usize) {
        self.cut_off = Some(server);
    }

    pub(super) fn is_read_only(&mut self, index: usize) -> bool {
        self.running(index).replica.is_read_only()
    }

    /// Everything that is replicated, as this server holds it: tree, window, disk.
    pub(super) fn replicated(&mut self, index: usize) -> impl PartialEq + std::fmt::Debug + use<> {
        let disk = self.servers[index].disk.clone();
        let Running { tree, replica, .. } = self.running(index);
        let window = (replica.last_proposed(), replica.committed(), replica.stats().outstanding);
        (tree.zxid(), tree.digest(), tree.sessions().count(), window, disk.records, disk.epochs)
    }

    /// The tree of this server is one that was received while it changed, as behind half a synchronisation.
    pub(super) fn unsettle(&mut self, index: usize) {
        let Running { tree, replica, .. } = self.running(index);
        replica.tree_replaced(tree, false);
    }

    pub(super) fn is_open(&mut self, index: usize, conn: ConnId) -> bool {
        self.running(index).shard.is_open(conn)
    }

    /// A client connects and sends this; what comes back.
    pub(super) fn dial(&mut self, index: usize, bytes: &[u8]) -> (ConnId, Vec<Vec<u8>>) {
        self.port += 1;
        let (now, port) = (self.now, self.port);
        let running = self.running(index);
        let conn = running.shard.open(now, SocketAddr::from(([127, 0, 0, 1], port))).expect("there is room");
        running.shard.input(now, conn, bytes);
        self.settle();
        let answer = self.running(index).received.remove(&conn).unwrap_or_default();
        (conn, payloads(&answer))
    }

    pub(super) fn zxid_and_digest(&self, index: usize) -> (Zxid, i64) {
        let tree = &self.servers[index].running.as_ref().expect("it runs").tree;
        (tree.zxid(), tree.digest())
    }

    fn running(&mut self, index: usize) -> &mut Running {
        self.servers[index].running.as_mut().expect("it runs")
    }

    /// A client connects, with a session it has or a new one; `None`: no answer, the connection was closed.
    pub(super) fn attach(&mut self, index: usize, session: SessionId, timeout_ms: i32) -> (ConnId, Option<SessionId>) {
        let (conn, answers) = self.dial(index, &handshake(session, session_password(session), timeout_ms, 0));
        let answer = answers.first().map(|answer| ConnectResponse::decode(answer).unwrap().session);
        (conn, answer)
    }

    pub(super) fn send(&mut self, index: usize, conn: ConnId, frames: &[Vec<u8>]) {
        let now = self.now;
        self.running(index).shard.input(now, conn, &frames.concat());
    }

    pub(super) fn received(&mut self, index: usize, conn: ConnId) -> Vec<Reply> {
        replies(&self.running(index).received.remove(&conn).unwrap_or_default())
    }

    pub(super) fn ask(&mut self, index: usize, conn: ConnId, frames: &[Vec<u8>]) -> Vec<Reply> {
        self.send(index, conn, frames);
        self.settle();
        self.received(index, conn)
    }
}
