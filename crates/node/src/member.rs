//! A member of an ensemble: zab, its connections to the other members, and what they mean for the replica.
//!
//! Like a shard, a [`Member`] knows neither sockets nor files. The shell feeds in connections, bytes and completions,
//! writes out what [`Member::take_dirty`] names, and carries out [`Member::take_orders`] in order. Every call gets the
//! [`Parts`] that an effect of zab may change: the tree, the replica, the streams to the shards. When a call returns,
//! everything that follows from its event has happened.
//!
//! ```text
//! sockets -> member.accepted / connected / input / hung_up          disk FIFO -> member.disk_done
//! shards  -> replica.receive ..., then member.run                   replica.apply -> member.applied
//! member.take_orders() -> dial, disk, history and trees to send     member.take_dirty() -> member.output -> sockets
//! ```

mod effects;
mod elections;
mod order;
mod pipe;
mod quorum;
mod read_only;

pub use order::{Order, Port};

use crate::{Applied, Membership, Now, Outbound, Replica, Stream};
use elections::ElectionLink;
use ostler_model::{Endpoint, Ensemble, ServerId, Zxid};
use ostler_tree::Tree;
use ostler_wire::quorum::ToLearner;
use ostler_wire::txn::TxnRecord;
use ostler_zab::{
    Boot, DiskDone, Effect, Event, Generation, LearnerPhase, LinkId, Message, PeerState, Settings, Status, Zab,
};
use ostler_zab::{ConnId, LinkEvent, Links};
use pipe::Source;
use quorum::{Arrived, Mode, QuorumLink, Side};
use std::collections::{BTreeMap, VecDeque};

/// Pause between two attempts to connect to the leader, milliseconds. It holds early learners, so that one attempt is
/// enough unless its process is only starting.
const REDIAL_MS: u64 = 50;

/// What zab's effects change.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The moment of the call.
    pub now: Now,
    /// The state.
    pub tree: &'a mut Tree,
    /// Sessions, prepare, apply.
    pub replica: &'a mut Replica,
    /// To the shards.
    pub streams: &'a mut [Stream],
}

/// The leader is being dialled.
#[derive(Clone, Copy, Debug)]
struct Dialling {
    leader: ServerId,
    until_ms: u64,
    /// The attempt under way.
    link: Option<LinkId>,
    /// When the next one begins.
    again_ms: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Member {
    me: ServerId,
    zab: Zab,
    links: Links,
    committed: Ensemble,
    last_seen: Ensemble,
    /// Where this server takes votes, or took them when it was last a member.
    own_address: Option<Endpoint>,
    quorum: BTreeMap<LinkId, QuorumLink>,
    elections: BTreeMap<LinkId, ElectionLink>,
    dialling: Option<Dialling>,
    serial: u64,
    /// For zab, in order.
    events: VecDeque<Event>,
    orders: Vec<Order>,
    dirty: Vec<LinkId>,
    /// Records of proposals that zab has not appended yet: decoded once, when they arrived.
    decoded: VecDeque<TxnRecord>,
    /// Who waits for the answer to a sync, by its barrier: a learner, or a client of this server.
    barriers: BTreeMap<u64, Option<LinkId>>,
    next_barrier: u64,
    /// What zab knows to be applied.
    applied: Zxid,
    /// `reconfigEnabled`. Without it the replica knows no ensemble that could be changed.
    reconfigures: bool,
    /// Whether the transport rules know that this server is looking for a leader.
    looking: bool,
    /// When read-only mode begins, if nobody is found before, in [`Now::mono_ms`].
    read_only_at_ms: Option<u64>,
    /// The largest buffer in a packet.
    packet_bytes_max: usize,
}

impl Member {
    /// A member that has just recovered. `packet_bytes_max` bounds what a peer may send in one packet.
    pub fn new(settings: Settings, boot: Boot, packet_bytes_max: usize, parts: &mut Parts<'_>) -> Member {
        let mut member = Member {
            me: settings.me,
            links: Links::new(settings.me),
            own_address: None,
            committed: boot.committed.clone(),
            last_seen: boot.last_seen.clone(),
            reconfigures: settings.reconfig_enabled,
            zab: Zab::new(settings),
            quorum: BTreeMap::new(),
            elections: BTreeMap::new(),
            dialling: None,
            serial: 0,
            events: VecDeque::from([Event::Boot(Box::new(boot))]),
            orders: Vec::new(),
            dirty: Vec::new(),
            decoded: VecDeque::new(),
            barriers: BTreeMap::new(),
            next_barrier: 0,
            applied: parts.tree.zxid(),
            looking: false,
            read_only_at_ms: None,
            packet_bytes_max,
        };
        member.tell_members(parts);
        member.run(parts);
        member
    }

    fn tell_members(&mut self, parts: &Parts<'_>) {
        self.note_own_address();
        let both = || [&self.committed, &self.last_seen].into_iter();
        let voters = both().flat_map(Ensemble::voters).collect();
        let observers = both().flat_map(Ensemble::observers).collect();
        self.links_step(parts, LinkEvent::Members { voters, observers });
    }

    fn new_link(&mut self) -> LinkId {
        self.serial += 1;
        LinkId(self.serial)
    }

    /// Somebody connected to one of this server's ports.
    pub fn accepted(&mut self, parts: &mut Parts<'_>, port: Port) -> LinkId {
        let link = self.new_link();
        match port {
            Port::Election => {
                self.elections.insert(link, ElectionLink::default());
            }
            Port::Quorum => {
                self.quorum.insert(link, QuorumLink::new(Side::Learner));
                self.events.push_back(Event::LearnerUp { link });
            }
        }
        self.run(parts);
        link
    }

    /// A connection that was ordered stands.
    pub fn connected(&mut self, parts: &mut Parts<'_>, link: LinkId) {
        if let Some(conn) = self.elections.get_mut(&link) {
            conn.dialling = false;
            if let Some(peer) = conn.server {
                self.links_step(parts, LinkEvent::Dialled { peer, conn: ConnId(link.0) });
            }
        } else if self.dialling.is_some_and(|dialling| dialling.link == Some(link)) {
            self.dialling = None;
            self.events.push_back(Event::LeaderUp { link });
        }
        self.run(parts);
    }

    /// A connection ended, or could not be made.
    pub fn hung_up(&mut self, parts: &mut Parts<'_>, link: LinkId) {
        self.lost(parts, link);
        self.run(parts);
    }

    fn lost(&mut self, parts: &Parts<'_>, link: LinkId) {
        if let Some(conn) = self.elections.remove(&link) {
            match conn.server {
                Some(peer) if conn.dialling => self.links_step(parts, LinkEvent::DialFailed { peer }),
                Some(_) if !conn.ending => self.links_step(parts, LinkEvent::Down { conn: ConnId(link.0) }),
                _ => {}
            }
            return;
        }
        let Some(conn) = self.quorum.remove(&link) else { return };
        self.orders.push(Order::Forget { link });
        if let Some(dialling) = self.dialling.as_mut().filter(|dialling| dialling.link == Some(link)) {
            (dialling.link, dialling.again_ms) = (None, parts.now.mono_ms + REDIAL_MS);
        } else if !conn.pipe.is_ending() {
            self.events.push_back(Event::LinkDown { link });
        }
    }

    /// Bytes arrived, in any split.
    pub fn input(&mut self, parts: &mut Parts<'_>, link: LinkId, bytes: &[u8]) {
        if let Some(conn) = self.elections.get_mut(&link) {
            conn.input.extend_from_slice(bytes);
            if !self.election_input(parts, link) {
                self.trouble(link, "what it sends on the election port is no election message".to_owned());
                self.drop_link(parts, link);
            }
        } else if let Some(conn) = self.quorum.get_mut(&link) {
            conn.input.extend_from_slice(bytes);
            self.quorum_input(parts, link);
        }
        self.run(parts);
    }

    /// Takes packets from the front of the input, each with all its consequences before the next is looked at.
    fn quorum_input(&mut self, parts: &mut Parts<'_>, link: LinkId) {
        let mut at = 0;
        loop {
            let Some(conn) = self.quorum.get_mut(&link) else { return };
            if conn.pipe.is_ending() {
                return;
            }
            if let Mode::Tree { label } = conn.mode {
                let bytes = conn.input.split_off(at);
                conn.input.clear();
                if !bytes.is_empty() {
                    self.orders.push(Order::TreeBytes { link, label, bytes });
                    // The leader is alive: a tree may take longer than zab waits for a message.
                    self.events.push_back(Event::Received { link, message: Message::Unknown });
                }
                return;
            }
            match quorum::take(conn.side, &conn.input[at..], self.packet_bytes_max) {
                Ok(None) => break,
                Ok(Some((arrived, length))) => {
                    at += length;
                    self.arrived(parts, link, arrived);
                    self.run(parts);
                }
                Err(error) => {
                    self.trouble(link, format!("what it sends on the quorum port cannot be read: {error}"));
                    self.drop_link(parts, link);
                    return;
                }
            }
        }
        if let Some(conn) = self.quorum.get_mut(&link) {
            conn.input.drain(..at);
        }
    }

    fn arrived(&mut self, parts: &mut Parts<'_>, link: LinkId, arrived: Arrived) {
        let message = match arrived {
            Arrived::Zab(message, record) => {
                self.decoded.extend(record);
                message
            }
            Arrived::NewLeader(_, Some(what)) if self.reconfigures => {
                self.trouble(link, what);
                return self.drop_link(parts, link);
            }
            Arrived::NewLeader(message, what) => {
                self.orders.extend(what.map(|what| Order::PeerNotice { what }));
                message
            }
            Arrived::Touches(zxid, touched) => {
                if parts.replica.is_leader() {
                    for touch in touched {
                        parts.replica.touched_by_learner(parts.now, touch.session, touch.timeout_ms);
                    }
                }
                Message::Ping { zxid }
            }
            Arrived::Revalidated(session, valid) => {
                parts.replica.revalidated(parts.now, parts.streams, session, valid);
                Message::Unknown
            }
            Arrived::SyncAnswered => {
                parts.replica.sync_answered(parts.tree, parts.streams);
                Message::Unknown
            }
        };
        self.events.push_back(Event::Received { link, message });
    }

    fn trouble(&mut self, link: LinkId, what: String) {
        let server = self.elections.get(&link).and_then(|conn| conn.server);
        self.orders.push(Order::PeerTrouble { link, server, what });
    }

    /// Closes a connection at once, whatever waits on it.
    fn drop_link(&mut self, parts: &Parts<'_>, link: LinkId) {
        self.lost(parts, link);
        self.dirty.push(link);
    }

    /// Connections with new output, or to be closed. For each: write [`Member::output`], tell [`Member::wrote`].
    pub fn take_dirty(&mut self) -> Vec<LinkId> {
        for link in &self.dirty {
            if let Some(conn) = self.elections.get_mut(link) {
                conn.dirty = false;
            } else if let Some(conn) = self.quorum.get_mut(link) {
                conn.dirty = false;
            }
        }
        std::mem::take(&mut self.dirty)
    }

    /// What is to be written to the socket.
    pub fn output(&self, link: LinkId) -> &[u8] {
        match (self.elections.get(&link), self.quorum.get(&link)) {
            (Some(conn), _) => &conn.output,
            (None, Some(conn)) => conn.pipe.output(),
            (None, None) => &[],
        }
    }

    /// The socket took this many bytes. False: close it now; nothing more is to be told about it.
    pub fn wrote(&mut self, parts: &mut Parts<'_>, link: LinkId, bytes: usize) -> bool {
        if let Some(conn) = self.elections.get_mut(&link) {
            conn.output.drain(..bytes);
            if conn.output.is_empty() {
                if conn.ending {
                    self.elections.remove(&link);
                    return false;
                }
                if std::mem::take(&mut conn.writing) {
                    self.links_step(parts, LinkEvent::Written { conn: ConnId(link.0) });
                    self.run(parts);
                }
            }
            return true;
        }
        let Some(conn) = self.quorum.get_mut(&link) else { return false };
        conn.pipe.wrote(bytes);
        if conn.pipe.is_finished() {
            self.quorum.remove(&link);
            self.orders.push(Order::Forget { link });
            return false;
        }
        true
    }

    /// A durable effect is done.
    pub fn disk_done(&mut self, parts: &mut Parts<'_>, generation: Generation, done: DiskDone) {
        self.events.push_back(Event::Disk { generation, done });
        self.run(parts);
    }

    /// The tree in `parts` is the one that was ordered by [`Order::Reload`].
    pub fn tree_reloaded(&mut self, parts: &mut Parts<'_>, generation: Generation) {
        let zxid = parts.tree.zxid();
        self.end_read_only(parts);
        parts.replica.tree_replaced(parts.tree, true);
        self.applied = zxid;
        self.events.push_back(Event::Reloaded { generation, zxid });
        self.run(parts);
    }

    /// `Some(rest)`: the tree in `parts` is the one that was received, and these bytes stood behind it. `None`: what was
    /// received is damaged.
    pub fn tree_received(&mut self, parts: &mut Parts<'_>, link: LinkId, rest: Option<Vec<u8>>) {
        let Some(conn) = self.quorum.get_mut(&link) else { return };
        conn.mode = Mode::Packets;
        let complete = rest.is_some();
        conn.input = rest.unwrap_or_default();
        if complete {
            self.end_read_only(parts);
            parts.replica.tree_replaced(parts.tree, false);
            self.applied = parts.tree.zxid();
        }
        self.events.push_back(Event::TreeReceived { link, complete });
        self.run(parts);
        self.quorum_input(parts, link);
    }

    /// True if the connection takes more of what is produced for it.
    pub fn has_room(&self, link: LinkId) -> bool {
        self.quorum.get(&link).is_some_and(|conn| conn.pipe.has_room())
    }

    /// A record of the history that was ordered.
    pub fn send_record(&mut self, link: LinkId, zxid: Zxid, record: &[u8]) {
        self.portion(link, |out| {
            ToLearner::Proposal { zxid, txn: record }.encode(out);
            ToLearner::Commit { zxid }.encode(out);
        });
    }

    /// The history that was ordered is sent; false: it cannot be read.
    pub fn history_sent(&mut self, parts: &mut Parts<'_>, link: LinkId, complete: bool) {
        self.source_ended(link);
        self.events.push_back(Event::HistorySent { link, complete });
        self.run(parts);
    }

    /// The walk begins at the tree's zxid; returns what the SNAP packet says.
    pub fn begin_tree(&mut self, link: LinkId, tree: Zxid, at_least: Zxid) -> Zxid {
        let label = tree.max(at_least);
        self.portion(link, |out| ToLearner::Snap { zxid: label }.encode(out));
        label
    }

    /// Bytes of the tree that was ordered.
    pub fn send_tree(&mut self, link: LinkId, bytes: &[u8]) {
        self.portion(link, |out| out.extend_from_slice(bytes));
    }

    /// The tree is sent; the walk had begun at `from`.
    pub fn tree_sent(&mut self, parts: &mut Parts<'_>, link: LinkId, label: Zxid, from: Zxid) {
        self.source_ended(link);
        self.events.push_back(Event::TreeSent { link, label, from });
        self.run(parts);
    }

    fn portion(&mut self, link: LinkId, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.quorum.get_mut(&link).filter(|conn| conn.pipe.source().is_some()) else { return };
        conn.pipe.portion(encode);
        self.mark_dirty(link);
    }

    fn source_ended(&mut self, link: LinkId) {
        let Some(conn) = self.quorum.get_mut(&link).filter(|conn| conn.pipe.source().is_some()) else { return };
        if let Some(next) = conn.pipe.end() {
            self.order_source(link, next);
        }
        self.mark_dirty(link);
    }

    fn order_source(&mut self, link: LinkId, source: Source) {
        self.orders.push(match source {
            Source::History { after, upto } => Order::SendHistory { link, after, upto },
            Source::Tree { at_least } => Order::SendTree { link, at_least },
        });
    }

    fn mark_dirty(&mut self, link: LinkId) {
        if let Some(conn) = self.quorum.get_mut(&link)
            && !std::mem::replace(&mut conn.dirty, true)
        {
            self.dirty.push(link);
        }
    }

    /// What [`Replica::apply`] did.
    pub fn applied(&mut self, parts: &mut Parts<'_>, applied: Applied) {
        if let Some(zxid) = applied.diverged {
            self.events.push_back(Event::Diverged { zxid });
        }
        self.run(parts);
    }

    /// Hands leadership over, if this server has it; [`Order::Resigned`] says when that is done.
    pub fn resign(&mut self, parts: &mut Parts<'_>) {
        self.events.push_back(Event::Resign);
        self.run(parts);
    }

    /// When [`Member::tick`] has something to do, in [`Now::mono_ms`].
    pub fn next_deadline(&self) -> Option<u64> {
        let redial = self.dialling.filter(|dialling| dialling.link.is_none()).map(|dialling| dialling.again_ms);
        [self.zab.next_deadline(), self.links.next_deadline(), redial, self.read_only_at_ms].into_iter().flatten().min()
    }

    /// Time passed.
    pub fn tick(&mut self, parts: &mut Parts<'_>) {
        let now_ms = parts.now.mono_ms;
        if self.links.next_deadline().is_some_and(|at| at <= now_ms) {
            self.links_step(parts, LinkEvent::Tick);
        }
        if self.zab.next_deadline().is_some_and(|at| at <= now_ms) {
            self.events.push_back(Event::Tick);
        }
        self.redial(now_ms);
        self.run(parts);
        self.begin_read_only(parts);
    }

    /// What is to be done, in order; handed out once.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// What zab is doing.
    pub fn status(&self) -> Status {
        self.zab.status()
    }

    /// The ensemble in force.
    pub fn ensemble(&self) -> &Ensemble {
        &self.committed
    }

    /// A server's line, in the ensemble in force or in the newest one seen: where it is dialled.
    pub fn member(&self, server: ServerId) -> Option<&ostler_model::Member> {
        self.committed.member(server).or_else(|| self.last_seen.member(server))
    }

    fn tell_membership(&self, parts: &mut Parts<'_>) {
        let learners = self.zab.status().learners;
        let followers = learners.iter().filter(|it| it.phase == LearnerPhase::Active && !it.observer);
        parts.replica.set_membership(Membership {
            committed: self.committed.clone(),
            last_seen: self.last_seen.clone(),
            synced: followers.filter_map(|it| it.server).chain([self.me]).collect(),
        });
    }

    /// The newest ensemble seen.
    pub fn last_seen(&self) -> &Ensemble {
        &self.last_seen
    }

    /// Lets everything happen that follows from what is there: events for zab, its effects, what the replica wants to
    /// send. Called by every other method; the shell calls it after [`Replica::receive`] and [`Replica::tick`].
    pub fn run(&mut self, parts: &mut Parts<'_>) {
        let mut effects = Vec::new();
        loop {
            for outbound in parts.replica.take_outbound() {
                let event = match outbound {
                    Outbound::Ended { link, session } => {
                        self.send(link, |out| ToLearner::Revalidate { session, valid: false }.encode(out));
                        continue;
                    }
                    Outbound::Barrier => self.barrier(None),
                    Outbound::Propose { zxid, record, reconfig } => {
                        Event::Propose { zxid, payload: record.into(), reconfig }
                    }
                    Outbound::Request(forward) => Event::ToLeader { bytes: quorum::request(&forward) },
                    Outbound::Revalidate { session, timeout_ms } => {
                        Event::ToLeader { bytes: quorum::revalidate(session, timeout_ms) }
                    }
                };
                self.events.push_back(event);
            }
            if parts.tree.zxid() != self.applied {
                self.applied = parts.tree.zxid();
                self.events.push_back(Event::Applied { zxid: self.applied });
            }
            let Some(event) = self.events.pop_front() else { return };
            let is_down = matches!(event, Event::LinkDown { .. });
            self.zab.step(parts.now.mono_ms, event, &mut effects);
            if parts.replica.is_read_only() && !effects.iter().all(read_only::is_beside_the_tree) {
                self.end_read_only(parts);
            }
            // Learners came or went, or the ensemble changed: rare.
            let changed = is_down || effects.iter().any(|it| matches!(it, Effect::Trace(_) | Effect::Activate { .. }));
            for effect in effects.drain(..) {
                self.effect(parts, effect);
            }
            if changed && self.reconfigures && parts.replica.is_leader() {
                self.tell_membership(parts);
            }
            let looking = self.zab.status().peer_state == PeerState::Looking;
            if looking != self.looking {
                self.looking = looking;
                if looking {
                    self.stop_dialling();
                }
                self.plan_read_only(parts);
                self.links_step(parts, LinkEvent::Looking(looking));
            }
        }
    }
}
