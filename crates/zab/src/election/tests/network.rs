//! Several servers that elect, and the messages under way between them. Nothing moves by itself.

use crate::configs::Configs;
use crate::election::{Candidate, Decided, Decision, Election, Voting};
use crate::{Effect, Notification, PeerState, Quirks, Settings, Trace, Vote};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ostler_model::{Ensemble, Member, Role, ServerId, Zxid};

/// Servers, running or not, and everything between them.
pub(super) struct Network {
    pub(super) now_ms: u64,
    pub(super) configs: Configs,
    pub(super) settings: fn(ServerId) -> Settings,
    pub(super) quirks: Quirks,
    pub(super) servers: BTreeMap<ServerId, Server>,
    /// Oldest first.
    pub(super) under_way: VecDeque<Message>,
    /// If a message takes the place of an older one to the same server that is still under way, as in a mailbox.
    pub(super) mailboxes: bool,
    /// Pairs that cannot talk; the smaller id first.
    pub(super) cut: BTreeSet<(ServerId, ServerId)>,
    /// What happened, in words.
    pub(super) story: Vec<String>,
}

/// A server and what it has on disk.
pub(super) struct Server {
    pub(super) candidate: Candidate,
    /// None: it does not run.
    pub(super) election: Option<Election>,
    /// How its last election ended, if it does not look.
    pub(super) decided: Option<Decided>,
    /// Every decision since the network exists.
    pub(super) decisions: Vec<Decided>,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) from: ServerId,
    pub(super) to: ServerId,
    pub(super) notification: Notification,
}

/// Voters 1..=n and observers behind them.
pub(super) fn ensemble(voters: &[i64], observers: &[i64], version: i64) -> Ensemble {
    let member = |id: &i64, role| Member::parse(ServerId(*id), &format!("h{id}:2888:3888:{role}")).unwrap();
    let voters = voters.iter().map(|id| member(id, "participant"));
    let observers = observers.iter().map(|id| member(id, "observer"));
    Ensemble::new(voters.chain(observers).collect(), version).unwrap()
}

impl Network {
    pub(super) fn new(committed: Ensemble) -> Network {
        Network {
            now_ms: 0,
            configs: Configs { last_seen: committed.clone(), committed },
            settings: Settings::new,
            quirks: Quirks::default(),
            servers: BTreeMap::new(),
            under_way: VecDeque::new(),
            mailboxes: false,
            cut: BTreeSet::new(),
            story: Vec::new(),
        }
    }

    /// Says what a server has on disk; if it runs, that counts from its next election on.
    pub(super) fn add(&mut self, id: ServerId, current_epoch: u32, last: Zxid, trusted: bool) {
        let voting = match self.configs.committed.member(id) {
            Some(member) if member.role == Role::Participant => Voting::Voter,
            Some(_) => Voting::Observer,
            None => Voting::Unlisted,
        };
        let candidate = Candidate { last, current_epoch, trusted, voting };
        if let Some(server) = self.servers.get_mut(&id) {
            server.candidate = candidate;
            return;
        }
        self.servers.insert(id, Server { candidate, election: None, decided: None, decisions: Vec::new() });
    }

    fn pair(one: ServerId, other: ServerId) -> (ServerId, ServerId) {
        (one.min(other), one.max(other))
    }

    pub(super) fn connected(&self, one: ServerId, other: ServerId) -> bool {
        let runs = |id| self.servers.get(&id).is_some_and(|server| server.election.is_some());
        one != other && runs(one) && runs(other) && !self.cut.contains(&Self::pair(one, other))
    }

    fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    /// Lets one server do something, and takes what it wants sent.
    fn with(
        &mut self,
        id: ServerId,
        act: impl FnOnce(&mut Election, Candidate, &Configs, u64, &mut Vec<Effect>) -> Option<Decided>,
    ) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let Some(election) = &mut server.election else { return };
        let mut effects = Vec::new();
        let decided = act(election, server.candidate, &self.configs, self.now_ms, &mut effects);
        if election.state() == PeerState::Looking {
            server.decided = None;
        }
        if let Some(decided) = decided {
            server.decided = Some(decided);
            server.decisions.push(decided);
        }
        for effect in effects {
            match effect {
                Effect::Notify { to, notification } => {
                    assert_ne!(to, id, "nobody writes to himself");
                    if self.connected(id, to) {
                        if self.mailboxes {
                            self.under_way.retain(|older| older.from != id || older.to != to);
                        }
                        self.under_way.push_back(Message { from: id, to, notification });
                    }
                }
                Effect::Trace(trace) => self.story.push(told(id, &trace)),
                other => panic!("an election does not want {other:?}"),
            }
        }
    }

    /// Starts a server: links to all that run come up, and it looks for a leader.
    pub(super) fn boot(&mut self, id: ServerId) {
        let mut settings = (self.settings)(id);
        settings.quirks = self.quirks;
        let server = self.servers.get_mut(&id).expect("the server was described");
        server.election = Some(Election::new(&settings));
        server.decided = None;
        self.look(id);
        // What it said until now went nowhere.
        self.under_way.retain(|message| message.from != id);
        for other in self.ids() {
            self.link_up(id, other);
        }
    }

    pub(super) fn link_up(&mut self, one: ServerId, other: ServerId) {
        if self.connected(one, other) {
            self.peer_up(one, other);
            self.peer_up(other, one);
        }
    }

    fn peer_up(&mut self, id: ServerId, peer: ServerId) {
        self.with(id, |election, _, configs, _, effects| {
            election.peer_up(peer, configs, effects);
            None
        });
    }

    pub(super) fn peer_down(&mut self, id: ServerId, peer: ServerId) {
        self.with(id, |election, _, configs, now, effects| election.peer_down(now, peer, configs, effects));
    }

    /// A server stops: what it had under way is lost, and the others notice.
    pub(super) fn crash(&mut self, id: ServerId) {
        let server = self.servers.get_mut(&id).expect("the server was described");
        server.election = None;
        server.decided = None;
        self.under_way.retain(|message| message.from != id && message.to != id);
        for other in self.ids() {
            self.peer_down(other, id);
        }
    }

    /// The link between two servers breaks; they notice unless it happens silently.
    pub(super) fn cut(&mut self, one: ServerId, other: ServerId, silently: bool) {
        self.cut.insert(Self::pair(one, other));
        self.under_way.retain(|message| Self::pair(message.from, message.to) != Self::pair(one, other));
        if !silently {
            self.peer_down(one, other);
            self.peer_down(other, one);
        }
    }

    pub(super) fn heal(&mut self, one: ServerId, other: ServerId) {
        if self.cut.remove(&Self::pair(one, other)) {
            self.link_up(one, other);
        }
    }

    /// The role of a server ended.
    pub(super) fn look(&mut self, id: ServerId) {
        self.with(id, |election, candidate, configs, now, effects| election.start(now, candidate, configs, effects));
    }

    /// A leader hands over: it looks with a vote for another server.
    pub(super) fn hand_over(&mut self, id: ServerId, vote: Vote) {
        self.with(id, |election, _, configs, now, effects| election.start_with(now, vote, configs, effects));
    }

    pub(super) fn established(&mut self, id: ServerId, epoch: u32) {
        self.with(id, |election, _, _, _, _| {
            election.established(epoch);
            None
        });
    }

    /// A reconfiguration names the leader.
    pub(super) fn appoint(&mut self, id: ServerId, leader: ServerId, zxid: Zxid) {
        let (state, decision) = if id == leader {
            (PeerState::Leading, Decision::Lead)
        } else {
            (PeerState::Following, Decision::Follow(leader))
        };
        self.with(id, |election, _, _, _, _| {
            election.appointed(state, leader, zxid);
            Some(Decided { decision, vote: election.vote(), round: election.round() })
        });
    }

    /// A message reaches its end, wherever it came from.
    pub(super) fn hear(&mut self, message: &Message) {
        self.story.push(format!("{} hears {}", message.to, said(message.from, &message.notification)));
        self.with(message.to, |election, _, configs, now, effects| {
            election.notified(now, message.from, &message.notification, configs, effects)
        });
    }

    /// Delivers the oldest message for which `which` holds.
    pub(super) fn deliver(&mut self, which: impl Fn(&Message) -> bool) -> bool {
        let Some(at) = self.under_way.iter().position(which) else { return false };
        let message = self.under_way.remove(at).expect("it is there");
        self.hear(&message);
        true
    }

    /// Delivers everything, and what that causes, until nothing is under way.
    pub(super) fn deliver_all(&mut self) {
        for _ in 0..100_000 {
            if !self.deliver(|_| true) {
                return;
            }
        }
        panic!("the servers talk without end");
    }

    /// Time passes, and nothing else; timers go off in their order.
    pub(super) fn wait(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.step_time(end) {}
    }

    /// Time passes, and every message arrives at once.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        self.deliver_all();
        while self.step_time(end) {
            self.deliver_all();
        }
    }

    /// Goes to the next timer, not beyond `end`; false if that is reached.
    fn step_time(&mut self, end: u64) -> bool {
        let deadline = |server: &Server| server.election.as_ref().and_then(Election::next_deadline);
        let next = self.servers.iter().filter_map(|(id, server)| Some((deadline(server)?, *id))).min();
        match next {
            Some((at, id)) if at <= end => {
                self.now_ms = self.now_ms.max(at);
                self.with(id, |election, _, configs, now, effects| election.tick(now, configs, effects));
                true
            }
            _ => {
                self.now_ms = end;
                false
            }
        }
    }

    pub(super) fn election(&self, id: ServerId) -> &Election {
        self.servers[&id].election.as_ref().expect("the server runs")
    }

    /// The server that this one decided for, itself included.
    pub(super) fn leader_of(&self, id: ServerId) -> Option<ServerId> {
        match self.servers.get(&id)?.decided?.decision {
            Decision::Lead => Some(id),
            Decision::Follow(leader) | Decision::Observe(leader) => Some(leader),
        }
    }
}

/// A vote in words.
pub(super) fn vote(vote: &Vote) -> String {
    match vote.leader {
        ServerId::NONE => String::from("nobody"),
        leader => format!("{leader} (epoch {}, zxid {})", vote.peer_epoch, vote.zxid),
    }
}

/// A notification in words.
pub(super) fn said(from: ServerId, n: &Notification) -> String {
    let state = match n.state {
        PeerState::Looking => "looking",
        PeerState::Following => "following",
        PeerState::Leading => "leading",
        PeerState::Observing => "observing",
    };
    format!("{from}: {state}, votes {}, round {}", vote(&n.vote), n.round)
}

fn told(id: ServerId, trace: &Trace) -> String {
    match trace {
        Trace::ElectionStarted { round, vote: own } => format!("{id} looks: votes {}, round {round}", vote(own)),
        Trace::VoteChanged { round, vote: new, heard_from } => {
            format!("{id} votes {} now, as {heard_from} does, round {round}", vote(new))
        }
        Trace::Elected { round, vote: won, state: PeerState::Leading } => {
            format!("{id} leads: a quorum votes {}, round {round}", vote(won))
        }
        Trace::Elected { round, vote: won, state } => {
            let what = if *state == PeerState::Observing { "observes" } else { "follows" };
            format!("{id} {what} {}: a quorum votes {}, round {round}", won.leader, vote(won))
        }
        other => panic!("an election does not tell of {other:?}"),
    }
}
