//! A small simulated ensemble: several [`Zab`] values, disks that complete late, FIFO links with random delays, crashes
//! at every disk step, partitions, and a client that writes wherever it may.
//!
//! The safety invariants of the catalogue (INV-n) are checked where they can be broken: `checks.rs`. A seed decides
//! everything.

pub mod checks;
pub mod disk;
pub mod effects;
pub mod faults;
pub mod reconfig;
pub mod run;
pub mod server;

use checks::Ghost;
pub use ostler_model::Dice;
use ostler_model::{Ensemble, Member, ServerId, Zxid};
use ostler_zab::{Event, LinkId, Message, Notification, Payload};
use run::Plan;
use server::Server;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is in a pipe.
pub enum Item {
    Message(Message),
    /// The tree behind a SNAP; none while it is being written.
    Tree(Option<disk::Txns>),
    /// The other end has closed.
    End,
}

/// A quorum connection.
pub struct Conn {
    pub learner: (ServerId, u64),
    pub leader: (ServerId, u64),
    pub to_leader: VecDeque<Item>,
    pub to_learner: VecDeque<Item>,
    pub leader_open: bool,
    pub learner_open: bool,
    /// What LEADERINFO said.
    pub epoch: u32,
    /// What NEWLEADER covers.
    pub sync_upto: Zxid,
    pub new_leader_sent: bool,
    /// The last COMMIT on it.
    pub committed: Zxid,
}

/// Something that will happen.
pub enum Action {
    Deliver {
        link: LinkId,
        to_leader: bool,
    },
    Note {
        from: ServerId,
        to: ServerId,
    },
    Dial {
        server: ServerId,
        life: u64,
        leader: ServerId,
        until_ms: u64,
    },
    Disk {
        server: ServerId,
        life: u64,
    },
    Apply {
        server: ServerId,
        life: u64,
    },
    Tick {
        server: ServerId,
        life: u64,
    },
    Tell {
        server: ServerId,
        life: u64,
        event: Event,
    },
    TreeOut {
        link: LinkId,
        label: Zxid,
        from: Zxid,
    },
    TreeIn {
        server: ServerId,
        life: u64,
        link: LinkId,
        label: Zxid,
        tree: disk::Txns,
    },
    Reload {
        server: ServerId,
        life: u64,
    },
    Boot {
        server: ServerId,
    },
    /// The process ends, after it said that it can.
    Stop {
        server: ServerId,
        life: u64,
    },
    Client,
    Reconfigure,
    Fault,
    Heal,
}

pub struct World {
    pub rng: Dice,
    pub now_ms: u64,
    pub ensemble: Ensemble,
    pub servers: BTreeMap<ServerId, Server>,
    pub conns: BTreeMap<LinkId, Conn>,
    pub mail: BTreeMap<(ServerId, ServerId), (Notification, Ensemble)>,
    /// Nothing gets from the first to the second.
    pub cut: BTreeSet<(ServerId, ServerId)>,
    queue: BTreeMap<(u64, u64), Action>,
    seq: u64,
    next_link: u64,
    pub next_payload: u64,
    pub ghost: Ghost,
    pub faults_until_ms: u64,
    pub slow_disk: BTreeSet<ServerId>,
    pub log: bool,
    client_stopped: bool,
    /// While faults happen, votes are exchanged for others: whoever is elected, nothing may be lost.
    pub has_liars: bool,
    pub counts: Counts,
}

#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub events: u64,
    pub faults: u64,
    pub proposals: u64,
    pub commits: u64,
    pub epochs: u64,
    pub diffs: u64,
    pub truncs: u64,
    pub snaps: u64,
    pub from_disk: u64,
    pub reconfigs: u64,
    pub activations: u64,
}

impl Counts {
    #[allow(dead_code, reason = "not every test sums up")]
    pub fn add(&mut self, other: &Counts) {
        self.events += other.events;
        self.faults += other.faults;
        self.proposals += other.proposals;
        self.commits += other.commits;
        self.epochs += other.epochs;
        self.diffs += other.diffs;
        self.truncs += other.truncs;
        self.snaps += other.snaps;
        self.from_disk += other.from_disk;
        self.reconfigs += other.reconfigs;
        self.activations += other.activations;
    }
}

/// A tree that is cut off takes with it what stood behind it.
pub fn cut_tree(pipe: &mut VecDeque<Item>) {
    if let Some(at) = pipe.iter().position(|item| matches!(item, Item::Tree(None))) {
        pipe.truncate(at);
    }
}

pub fn ensemble(voters: i64, observers: i64) -> Ensemble {
    let member = |id: i64| {
        let role = if id <= voters { "participant" } else { "observer" };
        Member::parse(ServerId(id), &format!("host{id}:2888:3888:{role}")).unwrap()
    };
    Ensemble::new((1..=voters + observers).map(member).collect(), 0).unwrap()
}

impl World {
    pub fn new(plan: &Plan) -> World {
        let mut rng = Dice::new(plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        let ensemble = ensemble(plan.voters, plan.observers);
        let strangers = plan.strangers.unwrap_or(0);
        let servers = (1..=plan.voters + plan.observers + strangers).map(ServerId).map(|id| {
            let mut settings = run::settings(id, &mut rng);
            settings.quirks = plan.quirks;
            settings.reconfig_enabled = plan.strangers.is_some();
            (id, Server { disk: disk::Disk::default(), settings, up: None, life: 0 })
        });
        let servers = servers.collect();
        let mut world = World {
            rng,
            now_ms: 0,
            ensemble,
            servers,
            conns: BTreeMap::new(),
            mail: BTreeMap::new(),
            cut: BTreeSet::new(),
            queue: BTreeMap::new(),
            seq: 0,
            next_link: 1,
            next_payload: 1,
            ghost: Ghost::default(),
            faults_until_ms: plan.faults_until_ms,
            slow_disk: BTreeSet::new(),
            log: plan.log,
            client_stopped: false,
            has_liars: plan.seed % 4 == 3,
            counts: Counts::default(),
        };
        for id in world.servers.keys().copied().collect::<Vec<_>>() {
            let at = world.rng.below(400);
            world.later(at, Action::Boot { server: id });
        }
        world.later(50, Action::Client);
        world.later(500, Action::Fault);
        if plan.strangers.is_some() {
            world.later(700, Action::Reconfigure);
        }
        world.later(plan.faults_until_ms, Action::Heal);
        world
    }

    pub fn later(&mut self, delay_ms: u64, action: Action) {
        self.seq += 1;
        self.queue.insert((self.now_ms + delay_ms, self.seq), action);
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.log {
            println!("{:>7} {}", self.now_ms, text());
        }
    }

    /// True if bytes get from one to the other.
    pub fn reaches(&self, from: ServerId, to: ServerId) -> bool {
        !self.cut.contains(&(from, to))
    }

    pub fn is_life(&self, server: ServerId, life: u64) -> bool {
        self.servers[&server].life == life && self.servers[&server].up.is_some()
    }

    /// Lets a server take an event, and carries out what it wants.
    pub fn step(&mut self, id: ServerId, event: Event) {
        let server = self.servers.get_mut(&id).unwrap();
        let Some(up) = &mut server.up else { return };
        self.counts.events += 1;
        if self.log && !matches!(event, Event::Tick | Event::Applied { .. }) {
            println!("{:>7} {id:?} <- {event:?}", self.now_ms);
        }
        let mut effects = Vec::new();
        up.zab.step(self.now_ms, event, &mut effects);
        self.carry_out(id, effects);
    }

    /// Runs until `until_ms`.
    pub fn run(&mut self, until_ms: u64) {
        while let Some(entry) = self.queue.first_entry() {
            let (at_ms, _) = *entry.key();
            if at_ms > until_ms {
                break;
            }
            let action = entry.remove();
            self.now_ms = at_ms;
            self.act(action);
        }
        self.now_ms = until_ms;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Deliver { link, to_leader } => self.deliver(link, to_leader),
            Action::Note { from, to } => self.deliver_note(from, to),
            Action::Dial { server, life, leader, until_ms } => self.dial(server, life, leader, until_ms),
            Action::Disk { server, life } if self.is_life(server, life) => self.disk_step(server),
            Action::Apply { server, life } if self.is_life(server, life) => self.apply(server),
            Action::Tick { server, life } if self.is_life(server, life) => {
                self.servers.get_mut(&server).unwrap().up.as_mut().unwrap().tick_at = None;
                self.step(server, Event::Tick);
            }
            Action::Tell { server, life, event } if self.is_life(server, life) => self.step(server, event),
            Action::TreeOut { link, label, from } => self.tree_out(link, label, from),
            Action::TreeIn { server, life, link, label, tree } if self.is_life(server, life) => {
                self.tree_in(server, link, label, tree);
            }
            Action::Reload { server, life } if self.is_life(server, life) => self.reload(server),
            Action::Boot { server } => self.boot(server),
            Action::Stop { server, life } if self.is_life(server, life) => self.crash(server),
            Action::Client => self.client(),
            Action::Reconfigure => self.reconfigure(),
            Action::Fault => self.fault(),
            Action::Heal => self.heal(),
            // Of an older life.
            Action::Disk { .. }
            | Action::Apply { .. }
            | Action::Tick { .. }
            | Action::Tell { .. }
            | Action::TreeIn { .. }
            | Action::Stop { .. }
            | Action::Reload { .. } => {}
        }
    }

    fn boot(&mut self, id: ServerId) {
        if self.servers[&id].up.is_some() {
            return;
        }
        if self.rng.percent(30) {
            let committed = self.servers[&id].disk.last().min(self.ghost.last());
            self.servers.get_mut(&id).unwrap().disk.roll(committed);
        }
        self.say(|| format!("{id:?} boots"));
        let mut effects = Vec::new();
        let (now_ms, ensemble) = (self.now_ms, self.ensemble.clone());
        self.servers.get_mut(&id).unwrap().boot(now_ms, &ensemble, &mut effects);
        self.check_boot(id);
        self.carry_out(id, effects);
        for other in self.servers.keys().copied().collect::<Vec<_>>() {
            if other != id && self.servers[&other].up.is_some() {
                self.election_link(id, other, true);
            }
        }
    }

    /// Tells both about their election connection.
    pub fn election_link(&mut self, one: ServerId, other: ServerId, up: bool) {
        for (server, peer) in [(one, other), (other, one)] {
            let Some(life) = self.servers[&server].up.as_ref().map(|_| self.servers[&server].life) else { continue };
            let event = if up { Event::ElectionUp { peer } } else { Event::ElectionDown { peer } };
            let delay = self.rng.between(1, 20);
            self.later(delay, Action::Tell { server, life, event });
        }
    }

    fn deliver_note(&mut self, from: ServerId, to: ServerId) {
        if !self.reaches(from, to) {
            return;
        }
        if let Some((mut notification, ensemble)) = self.mail.remove(&(from, to)) {
            if self.has_liars && self.now_ms < self.faults_until_ms && self.rng.percent(20) {
                let voters: Vec<ServerId> = self.ensemble.voters().collect();
                notification.vote.leader = self.rng.pick(&voters);
                notification.vote.peer_epoch += self.rng.below(2) as i64;
                notification.vote.zxid.0 += self.rng.below(1 << 33) as i64;
            }
            if self.servers[&to].settings.reconfig_enabled {
                self.step(to, Event::Gossip { ensemble: Box::new(ensemble) });
            }
            self.step(to, Event::Notified { from, notification });
        }
    }

    fn dial(&mut self, server: ServerId, life: u64, leader: ServerId, until_ms: u64) {
        if !self.is_life(server, life) {
            return;
        }
        let works = self.reaches(server, leader) && self.reaches(leader, server) && self.servers[&leader].up.is_some();
        if !works {
            if self.now_ms >= until_ms {
                self.step(server, Event::DialFailed { leader });
            } else {
                self.later(40, Action::Dial { server, life, leader, until_ms });
            }
            return;
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let conn = Conn {
            learner: (server, life),
            leader: (leader, self.servers[&leader].life),
            to_leader: VecDeque::new(),
            to_learner: VecDeque::new(),
            leader_open: true,
            learner_open: true,
            epoch: 0,
            sync_upto: Zxid::ZERO,
            new_leader_sent: false,
            committed: Zxid::ZERO,
        };
        self.conns.insert(link, conn);
        self.step(leader, Event::LearnerUp { link });
        self.step(server, Event::LeaderUp { link });
    }

    pub fn push(&mut self, link: LinkId, to_leader: bool, item: Item) {
        let Some(conn) = self.conns.get_mut(&link) else { return };
        if to_leader {
            conn.to_leader.push_back(item);
        } else {
            conn.to_learner.push_back(item);
        }
        let delay = self.rng.between(0, 4);
        self.later(delay, Action::Deliver { link, to_leader });
    }

    fn deliver(&mut self, link: LinkId, to_leader: bool) {
        let Some(conn) = self.conns.get(&link) else { return };
        let (from, to) = if to_leader { (conn.learner, conn.leader) } else { (conn.leader, conn.learner) };
        let is_open = if to_leader { conn.leader_open } else { conn.learner_open };
        if !is_open || !self.is_life(to.0, to.1) {
            return;
        }
        let receiving = self.servers[&to.0].up.as_ref().unwrap().receiving;
        let pipe = if to_leader { &conn.to_leader } else { &conn.to_learner };
        let is_waiting = match pipe.front() {
            None => return,
            Some(Item::Tree(None)) => true,
            Some(Item::Tree(Some(_))) => false,
            Some(Item::End) => false,
            Some(Item::Message(_)) => !to_leader && receiving.is_some_and(|(it, _)| it == link),
        };
        if is_waiting || !self.reaches(from.0, to.0) {
            self.later(7, Action::Deliver { link, to_leader });
            return;
        }
        let conn = self.conns.get_mut(&link).unwrap();
        let pipe = if to_leader { &mut conn.to_leader } else { &mut conn.to_learner };
        match pipe.pop_front().unwrap() {
            Item::Message(message) => {
                if let Message::AckEpoch { last, current_epoch: Some(current) } = message {
                    let reported = self.ghost.reported.entry(conn.epoch).or_default();
                    reported.entry(from.0).or_insert((current, last));
                }
                self.step(to.0, Event::Received { link, message });
            }
            Item::Tree(tree) => {
                let (_, label) = receiving.expect("a tree follows SNAP");
                let delay = self.rng.between(1, 60);
                let (server, life, tree) = (to.0, to.1, tree.unwrap());
                self.later(delay, Action::TreeIn { server, life, link, label, tree });
            }
            Item::End => {
                if to_leader {
                    conn.leader_open = false;
                } else {
                    conn.learner_open = false;
                }
                if let Some(up) = &mut self.servers.get_mut(&to.0).unwrap().up
                    && up.receiving.is_some_and(|(it, _)| it == link)
                {
                    up.receiving = None;
                }
                self.step(to.0, Event::LinkDown { link });
            }
        }
    }

    /// Breaks a connection: one end learns of it now, or later.
    pub fn reset(&mut self, link: LinkId) {
        let lost = self.rng.percent(50);
        let Some(conn) = self.conns.get_mut(&link) else { return };
        for pipe in [&mut conn.to_leader, &mut conn.to_learner] {
            if lost {
                pipe.clear();
            }
            cut_tree(pipe);
        }
        self.push(link, true, Item::End);
        self.push(link, false, Item::End);
    }

    pub fn stop_client(&mut self) {
        self.client_stopped = true;
    }

    fn client(&mut self) {
        if self.client_stopped {
            return;
        }
        let delay = self.rng.between(1, 30);
        self.later(delay, Action::Client);
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        let id = self.rng.pick(&ids);
        let Some(up) = &self.servers[&id].up else { return };
        if up.serving.is_none() {
            return;
        }
        let burst = if self.rng.percent(20) { self.rng.below(12) } else { 1 };
        for _ in 0..burst {
            let payload = self.payload();
            if self.propose(id, payload.clone()).is_none() {
                self.step(id, Event::ToLeader { bytes: payload });
            }
        }
        if self.rng.percent(20) && self.servers[&id].up.as_ref().is_some_and(|up| up.zab.status().next_zxid.is_some()) {
            self.next_payload += 1;
            let token = self.next_payload;
            let last = self.servers[&id].up.as_ref().unwrap().zab.status().last;
            self.servers.get_mut(&id).unwrap().up.as_mut().unwrap().barriers.insert(token, last);
            self.step(id, Event::Barrier { token: ostler_zab::Barrier(token) });
        }
    }

    pub fn payload(&mut self) -> Payload {
        self.next_payload += 1;
        Payload::from(self.next_payload.to_be_bytes())
    }

    /// The node of a leader proposes.
    pub fn propose(&mut self, id: ServerId, payload: Payload) -> Option<Zxid> {
        let up = self.servers[&id].up.as_ref()?;
        let status = up.zab.status();
        let zxid = status.next_zxid?;
        self.propose_this(id, zxid, payload, None);
        Some(zxid)
    }

    pub fn propose_this(&mut self, id: ServerId, zxid: Zxid, payload: Payload, reconfig: Option<Box<Ensemble>>) {
        self.note_ensembles(id, zxid);
        self.ghost.proposed(zxid, &payload);
        self.counts.proposals += 1;
        self.step(id, Event::Propose { zxid, payload, reconfig });
    }
}
