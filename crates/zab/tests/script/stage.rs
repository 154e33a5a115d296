//! Where a script plays: servers, disks and connections on which everything happens at once, except what the script
//! holds back.

use super::actor::{Actor, Txns};
use super::checks::Truth;
use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_zab::{DiskOp, Effect, Event, LinkId, Message, Notification, Payload, PeerState, Quirks, Settings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is in a pipe.
pub enum Item {
    Message(Message),
    /// Behind a SNAP.
    Tree(Tree),
    End,
}

/// A tree on its way.
pub struct Tree {
    pub label: Zxid,
    /// Where the sender's tree stood when it began to write.
    pub from: Zxid,
    /// None while it is being written.
    pub body: Option<Txns>,
}

/// A quorum connection.
pub struct Conn {
    pub learner: ServerId,
    pub leader: ServerId,
    pub to_leader: VecDeque<Item>,
    pub to_learner: VecDeque<Item>,
    /// Everything that was sent, pings left out.
    pub told_leader: Vec<Message>,
    pub told_learner: Vec<Message>,
    pub open: bool,
}

#[derive(Default)]
pub struct Held {
    pub disks: BTreeSet<ServerId>,
    /// From the first to the second on the quorum port.
    pub pipes: BTreeSet<(ServerId, ServerId)>,
    /// These servers take their time for writing trees.
    pub trees: BTreeSet<ServerId>,
}

pub struct Stage {
    pub now_ms: u64,
    pub ensemble: Ensemble,
    pub quirks: Quirks,
    pub counter_max: u32,
    pub actors: BTreeMap<ServerId, Actor>,
    pub conns: BTreeMap<LinkId, Conn>,
    pub mail: VecDeque<(ServerId, ServerId, Notification)>,
    pub held: Held,
    /// Nothing gets through, on either port; the smaller id first.
    pub cut: BTreeSet<(ServerId, ServerId)>,
    pub truth: Truth,
    /// What happened, in the words of the effects.
    pub story: Vec<String>,
    next_link: u64,
}

impl Stage {
    pub fn new(ensemble: Ensemble, quirks: Quirks, counter_max: u32) -> Stage {
        let actors = ensemble.members().iter().map(|member| (member.id, Actor::new(false))).collect();
        Stage {
            now_ms: 0,
            ensemble,
            quirks,
            counter_max,
            actors,
            conns: BTreeMap::new(),
            mail: VecDeque::new(),
            held: Held::default(),
            cut: BTreeSet::new(),
            truth: Truth::default(),
            story: Vec::new(),
            next_link: 1,
        }
    }

    pub fn actor(&mut self, id: ServerId) -> &mut Actor {
        self.actors.entry(id).or_insert_with(|| Actor::new(true))
    }

    pub fn reaches(&self, one: ServerId, other: ServerId) -> bool {
        !self.cut.contains(&(one.min(other), one.max(other)))
    }

    fn others(&self, id: ServerId) -> Vec<ServerId> {
        self.actors.keys().copied().filter(|other| *other != id).collect()
    }

    pub fn start(&mut self, id: ServerId) {
        let settings = Settings { quirks: self.quirks, counter_max: self.counter_max, ..Settings::new(id) };
        let (now_ms, ensemble) = (self.now_ms, self.ensemble.clone());
        let effects = self.actor(id).boot(now_ms, &settings, &ensemble);
        self.carry_out(id, effects);
        for other in self.others(id) {
            let up = self.actors[&other].is_there() && self.reaches(id, other);
            self.election_link(id, other, up);
        }
    }

    /// Tells both ends, as far as they run.
    pub fn election_link(&mut self, one: ServerId, other: ServerId, up: bool) {
        for (id, peer) in [(one, other), (other, one)] {
            self.step(id, if up { Event::ElectionUp { peer } } else { Event::ElectionDown { peer } });
        }
    }

    pub fn crash(&mut self, id: ServerId, survive: usize) {
        self.actor(id).crash(survive);
        self.mail.retain(|(from, to, _)| *from != id && *to != id);
        let links: Vec<LinkId> = self.conns.keys().copied().collect();
        for link in links {
            let conn = &self.conns[&link];
            if conn.open && (conn.learner == id || conn.leader == id) {
                self.hang_up(link, id);
            }
        }
        for other in self.others(id) {
            self.election_link(id, other, false);
        }
    }

    /// One end is gone: the other reads what was sent, and then the end.
    pub fn hang_up(&mut self, link: LinkId, by: ServerId) {
        let Some(conn) = self.conns.get_mut(&link) else { return };
        if conn.leader == by {
            if let Some(at) = conn.to_learner.iter().position(is_unwritten) {
                conn.to_learner.truncate(at);
            }
            conn.to_learner.push_back(Item::End);
            conn.to_leader.clear();
        } else {
            conn.to_leader.push_back(Item::End);
            conn.to_learner.clear();
        }
    }

    pub fn step(&mut self, id: ServerId, event: Event) {
        let now_ms = self.now_ms;
        let Some(zab) = self.actor(id).zab.as_mut() else { return };
        let mut effects = Vec::new();
        zab.step(now_ms, event, &mut effects);
        self.carry_out(id, effects);
    }

    /// The newest connection between two servers, whichever way.
    pub fn conn_between(&self, one: ServerId, other: ServerId) -> Option<LinkId> {
        let is_it =
            |conn: &Conn| (conn.learner, conn.leader) == (one, other) || (conn.learner, conn.leader) == (other, one);
        self.conns.iter().rev().find(|(_, conn)| is_it(conn)).map(|(link, _)| *link)
    }

    pub fn connect(&mut self, learner: ServerId, leader: ServerId) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let conn = Conn {
            learner,
            leader,
            to_leader: VecDeque::new(),
            to_learner: VecDeque::new(),
            told_leader: Vec::new(),
            told_learner: Vec::new(),
            open: true,
        };
        self.conns.insert(link, conn);
        self.step(leader, Event::LearnerUp { link });
        self.step(learner, Event::LeaderUp { link });
        link
    }

    pub fn send(&mut self, link: LinkId, from: ServerId, message: Message) {
        let Some(conn) = self.conns.get_mut(&link).filter(|conn| conn.open) else { return };
        let to_leader = conn.learner == from;
        let (pipe, told) = if to_leader {
            (&mut conn.to_leader, &mut conn.told_leader)
        } else {
            (&mut conn.to_learner, &mut conn.told_learner)
        };
        if !matches!(message, Message::Ping { .. }) {
            told.push(message.clone());
        }
        pipe.push_back(Item::Message(message));
    }

    fn carry_out(&mut self, id: ServerId, effects: Vec<Effect>) {
        for effect in effects {
            if !matches!(effect, Effect::Send { message: Message::Ping { .. }, .. } | Effect::AnswerPing { .. }) {
                self.story.push(format!("{:>6} {id}: {effect:?}", self.now_ms));
            }
            self.effect(id, effect);
        }
    }

    fn effect(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Notify { to, notification } => {
                self.check_vote(id, to, &notification);
                self.actor(id).said = Some(notification.clone());
                if self.actor(to).zab.is_some() && self.reaches(id, to) {
                    self.mail.push_back((id, to, notification));
                }
            }
            Effect::DialLeader { leader, until_ms } => {
                self.actor(id).dialling = Some((leader, until_ms));
                self.actor(id).dials += 1;
            }
            Effect::Send { link, message } => {
                self.check_message(id, link, &message);
                self.send(link, id, message);
            }
            Effect::SendHistory { link, after, upto } => {
                let log = self.actors[&id].disk.log.clone();
                let complete = after >= self.actors[&id].disk.base;
                for (zxid, payload) in log.range(Zxid(after.0 + 1)..=upto).filter(|_| complete) {
                    self.send(link, id, proposal(*zxid, payload.clone()));
                    self.send(link, id, Message::Commit { zxid: *zxid });
                }
                self.step(id, Event::HistorySent { link, complete });
            }
            Effect::SendTree { link, at_least } => {
                let from = self.actors[&id].at;
                let label = from.max(at_least);
                self.send(link, id, Message::Snap { zxid: label });
                if let Some(conn) = self.conns.get_mut(&link) {
                    conn.to_learner.push_back(Item::Tree(Tree { label, from, body: None }));
                }
            }
            Effect::ReceiveTree { link, label } => {
                let actor = self.actor(id);
                actor.receiving = Some((link, label));
                actor.pending.clear();
            }
            Effect::CloseLink { link, .. } => {
                self.hang_up(link, id);
            }
            Effect::Deliver { .. } | Effect::Activate { .. } | Effect::Resigned | Effect::Trace(_) => {}
            Effect::AnswerPing { link, zxid } => self.send(link, id, Message::Ping { zxid }),
            Effect::Disk { generation, op } => {
                let actor = self.actor(id);
                if let DiskOp::Append { zxid, payload } = &op {
                    actor.pending.insert(*zxid, payload.clone());
                }
                let tree = actor.tree.clone();
                actor.disk.queue.push_back((generation, op, tree));
            }
            Effect::Commit { upto } => {
                self.check_commit(id, upto);
                self.actor(id).commit(upto);
                self.applied(id);
            }
            Effect::Replay { zxid, payload } => {
                self.actor(id).apply(zxid, payload);
                self.applied(id);
            }
            Effect::Forget { after } => {
                let _ = self.actor(id).pending.split_off(&Zxid(after.0 + 1));
            }
            Effect::Reload { generation, upto } => {
                let actor = self.actor(id);
                actor.reloading = Some((generation, upto));
                actor.receiving = None;
            }
            Effect::Reached { token } => self.actor(id).barriers.retain(|known| *known != token.0),
            Effect::Serve { role, epoch } => {
                self.check_serve(id, role, epoch);
                self.actor(id).serving = Some((role, epoch));
            }
            Effect::StopServing => self.actor(id).serving = None,
        }
    }

    /// The tree reports later, as a node's does: not from within the step that wanted it.
    fn applied(&mut self, id: ServerId) {
        let actor = self.actor(id);
        actor.to_report = Some(actor.at);
    }

    /// Lets everything happen that is not held back, until nothing is left.
    pub fn settle(&mut self) {
        for _ in 0..200_000 {
            if !self.advance() {
                return;
            }
        }
        panic!("the servers never come to rest");
    }

    fn advance(&mut self) -> bool {
        if let Some((from, to, notification)) = self.mail.pop_front() {
            if self.reaches(from, to) {
                self.step(to, Event::Notified { from, notification });
            }
            return true;
        }
        for id in self.actors.keys().copied().collect::<Vec<_>>() {
            if self.server(id) {
                return true;
            }
        }
        for link in self.conns.keys().copied().collect::<Vec<_>>() {
            let conn = &self.conns[&link];
            let (learner, leader) = (conn.learner, conn.leader);
            for (from, to) in [(leader, learner), (learner, leader)] {
                if !self.held.pipes.contains(&(from, to)) && self.reaches(from, to) && self.pass(link, to) {
                    return true;
                }
            }
        }
        false
    }

    /// One thing that a server does for itself.
    fn server(&mut self, id: ServerId) -> bool {
        let now_ms = self.now_ms;
        if self.actors[&id].zab.is_none() {
            return false;
        }
        if let Some(zxid) = self.actor(id).to_report.take() {
            self.step(id, Event::Applied { zxid });
            return true;
        }
        if let Some((leader, until_ms)) = self.actors[&id].dialling {
            if self.actors[&leader].is_there() && self.reaches(id, leader) {
                self.actor(id).dialling = None;
                self.connect(id, leader);
                return true;
            }
            if now_ms >= until_ms {
                self.actor(id).dialling = None;
                self.step(id, Event::DialFailed { leader });
                return true;
            }
        }
        if let Some((generation, upto)) = self.actors[&id].reloading
            && self.actors[&id].disk.queue.is_empty()
        {
            let actor = self.actor(id);
            actor.reloading = None;
            actor.tree = actor.disk.durable();
            actor.tree.retain(|zxid, _| *zxid <= upto);
            actor.at = upto;
            self.step(id, Event::Reloaded { generation, zxid: upto });
            return true;
        }
        if !self.held.trees.contains(&id) && self.write_tree(id) {
            return true;
        }
        if self.held.disks.contains(&id) {
            return false;
        }
        let Some((generation, done)) = self.actor(id).disk.complete_group() else { return false };
        self.step(id, Event::Disk { generation, done });
        true
    }

    /// One operation of a disk that is held.
    pub fn disk_step(&mut self, id: ServerId) -> bool {
        let Some((generation, done)) = self.actor(id).disk.complete() else { return false };
        self.step(id, Event::Disk { generation, done });
        true
    }

    /// Finishes a tree that this server is sending. Fuzzy: it contains what was applied meanwhile.
    fn write_tree(&mut self, id: ServerId) -> bool {
        let tree = self.actors[&id].tree.clone();
        for (link, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.leader == id) {
            if let Some(Item::Tree(unwritten)) = conn.to_learner.iter_mut().find(|item| is_unwritten(item)) {
                unwritten.body = Some(tree);
                let event = Event::TreeSent { link: *link, label: unwritten.label, from: unwritten.from };
                self.step(id, event);
                return true;
            }
        }
        false
    }

    /// Moves the next item to this end of a connection.
    pub fn pass(&mut self, link: LinkId, to: ServerId) -> bool {
        let receiving = self.actors[&to].receiving;
        let Some(conn) = self.conns.get_mut(&link) else { return false };
        let pipe = if conn.leader == to { &mut conn.to_leader } else { &mut conn.to_learner };
        match pipe.front() {
            None => return false,
            Some(item) if is_unwritten(item) => return false,
            Some(Item::Message(_)) if conn.learner == to && receiving.is_some_and(|(it, _)| it == link) => {
                return false;
            }
            Some(_) => {}
        }
        match pipe.pop_front() {
            Some(Item::Message(message)) => self.step(to, Event::Received { link, message }),
            Some(Item::Tree(Tree { label, body, .. })) => {
                let actor = self.actor(to);
                if actor.receiving.take() == Some((link, label)) {
                    (actor.tree, actor.at) = (body.unwrap_or_default(), label);
                    self.step(to, Event::TreeReceived { link, complete: true });
                }
            }
            Some(Item::End) => {
                conn.open = false;
                self.step(to, Event::LinkDown { link });
            }
            None => {}
        }
        true
    }

    /// Time passes, and everything happens in it.
    pub fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        self.settle();
        loop {
            let deadline = |actor: &Actor| {
                let dial = actor.dialling.map(|(_, until_ms)| until_ms);
                actor.zab.as_ref()?.next_deadline().into_iter().chain(dial).min()
            };
            let next = self.actors.iter().filter_map(|(id, actor)| Some((deadline(actor)?, *id))).min();
            let Some((at, id)) = next.filter(|(at, _)| *at <= end) else { break };
            self.now_ms = self.now_ms.max(at);
            self.step(id, Event::Tick);
            self.settle();
        }
        self.now_ms = end;
    }

    /// A leader proposes the next transaction.
    pub fn write(&mut self, id: ServerId) -> Option<Zxid> {
        let zxid = self.actors[&id].zab.as_ref()?.status().next_zxid?;
        let payload = Payload::from(format!("{zxid} by {id}").into_bytes());
        self.step(id, Event::Propose { zxid, payload, reconfig: None });
        Some(zxid)
    }

    pub fn peer_state(&self, id: ServerId) -> Option<PeerState> {
        Some(self.actors[&id].zab.as_ref()?.status().peer_state)
    }
}

fn is_unwritten(item: &Item) -> bool {
    matches!(item, Item::Tree(Tree { body: None, .. }))
}

pub fn proposal(zxid: Zxid, payload: Payload) -> Message {
    Message::Proposal { zxid, payload, reconfig: None }
}
