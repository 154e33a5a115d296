//! Simulated clients: the client library's real session core, a workload, and a [`Tap`] on each connection.

use crate::checks::fifo::Told;
use crate::checks::reconnect::Armed;
use crate::checks::{Referee, Verdict, Violation, broken};
use crate::contenders::Contending;
use crate::heap::Micros;
use crate::net::{End, Host, Net, Port, Status};
use crate::settings::Settings;
use crate::tap::{Counted, Tap, is_write, operator, user};
use crate::workload::{Ask, PARENTS, Workload};
use ostler_client::{
    Cause, Config, CreateMode, Effect, LinkId, RawReply, RequestError, RequestId, Session, SessionState, WatchKind,
};
use ostler_model::Dice;
use ostler_model::{AuthId, ErrorCode, EventType, OpCode, Role, SessionId, WatcherType, open_acl};
use std::collections::BTreeMap;

/// Where servers listen for clients.
pub const CLIENT_PORT: Port = 2181;

/// A connection under way.
#[derive(Debug)]
struct Wire {
    link: LinkId,
    end: End,
    connected: bool,
    unsent: Vec<u8>,
    tap: Tap,
}

/// What a client has done.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "self-explanatory")]
pub struct Done {
    pub asked: u64,
    pub answered: u64,
    pub lost: u64,
    pub sessions: u64,
    pub expired: u64,
    pub connections: u64,
}

/// A client and its session; a new session follows an ended one.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub index: usize,
    /// Its machine.
    pub host: Host,
    servers: usize,
    dice: Dice,
    session: Session,
    session_timeout_ms: u32,
    mutant: Option<String>,
    user: Option<(&'static str, Vec<AuthId>)>,
    /// What this session was told.
    pub told: Told,
    armed: Armed,
    wire: Option<Wire>,
    workload: Workload,
    contending: Option<Contending>,
    waiting: BTreeMap<RequestId, Ask>,
    depth: usize,
    think_us: Micros,
    next_ask: Micros,
    /// When the next session begins after one has ended.
    reborn_at: Option<Micros>,
    /// It asks for nothing by itself.
    pub quiet: bool,
    /// Writes answered well since this was set to zero.
    pub writes_answered: u64,
    /// Figures.
    pub done: Done,
    /// Figures.
    pub counted: Counted,
    /// Sessions that were told that they are expired.
    pub told_expired: Vec<SessionId>,
}

impl Client {
    /// A client that begins at once.
    pub fn new(mut dice: Dice, index: usize, host: Host, settings: &Settings) -> Client {
        let (servers, session_timeout_ms) = (settings.servers, settings.session_timeout_ms);
        let is_operator = settings.reconfigures && index == 0;
        let user = if is_operator { Some(operator()) } else { dice.percent(50).then(|| user(&mut dice)) };
        let changes = if is_operator { changes(settings) } else { Vec::new() };
        let workload = Workload::new(&mut dice, index, user.is_some(), changes);
        let depth = dice.pick(&[1, 1, 2, 4, 8, 16]);
        let think_us = dice.pick(&[20_000, 60_000, 120_000, 250_000]);
        let session = Session::new(0, Config::new(session_timeout_ms, servers, dice.number()));
        // Dice of its own: those of runs without contenders fall as ever.
        let own = Dice::new(settings.seed ^ (index as u64) << 32 ^ 0x10c4);
        let contending = || Contending::new(own, index, settings.breaks("two-holders"));
        let mut client = Client {
            index,
            host,
            servers,
            dice,
            session,
            session_timeout_ms,
            mutant: settings.mutant.clone(),
            user,
            told: Told::default(),
            armed: Armed::default(),
            wire: None,
            workload,
            contending: settings.contended.then(contending),
            waiting: BTreeMap::new(),
            depth,
            think_us,
            next_ask: 0,
            reborn_at: None,
            quiet: false,
            writes_answered: 0,
            done: Done::default(),
            counted: Counted::default(),
            told_expired: Vec::new(),
        };
        client.begin(0);
        client
    }

    /// A new session.
    fn begin(&mut self, now: Micros) {
        let mut config = Config::new(self.session_timeout_ms, self.servers, self.dice.number());
        if self.dice.percent(50) {
            config.set_watches_bytes_max = 24;
        }
        self.session = Session::new(now / 1_000, config);
        self.told = Told::default();
        self.armed = Armed::default();
        self.waiting.clear();
        if let Some(contending) = &mut self.contending {
            contending.begin();
        }
        self.reborn_at = None;
        self.done.sessions += 1;
        if let Some((packet, _)) = &self.user {
            self.session.add_auth(now / 1_000, "digest", packet.as_bytes()).expect("a new session");
        }
        for path in PARENTS {
            let (path, acl) = (path.to_owned(), open_acl().to_vec());
            self.ask(now, Ask::Create { path, data: Vec::new(), mode: CreateMode::Persistent, acl });
        }
    }

    /// True if everything asked was answered and the session is connected.
    pub fn is_settled(&self) -> bool {
        let connected = self.wire.as_ref().is_some_and(|wire| wire.tap.session().is_some());
        connected
            && !self.session.has_ended()
            && self.session.pending() == 0
            && self.waiting.is_empty()
            && self.contending.as_ref().is_none_or(Contending::is_gone)
    }

    /// Asks for something out of turn.
    pub fn ask(&mut self, now: Micros, ask: Ask) -> Option<RequestId> {
        let id = self.session.submit(now / 1_000, &ask.request()).ok()?;
        self.done.asked += 1;
        self.waiting.insert(id, ask);
        Some(id)
    }

    /// The contender goes on.
    fn contend(&mut self, now: Micros, referee: &mut Referee) -> Verdict {
        if self.session.has_ended() {
            return Ok(());
        }
        let Some(mut contending) = self.contending.take() else { return Ok(()) };
        let verdict = contending.work(now, self.quiet, referee, |ask| self.ask(now, ask));
        self.contending = Some(contending);
        verdict
    }

    /// One look at everything; returns when the next is due.
    ///
    /// # Errors
    /// What it was told breaks an invariant.
    pub fn turn(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Result<Option<Micros>, Violation> {
        self.listen(now, net, referee)?;
        if self.reborn_at.is_some_and(|at| now >= at) {
            self.begin(now);
        }
        self.session.tick(now / 1_000);
        self.work(now);
        self.contend(now, referee)?;
        self.carry_out(now, net, referee)?;
        if let Some(wire) = &mut self.wire
            && wire.connected
        {
            let taken = net.write(now, wire.end, &wire.unsent);
            wire.unsent.drain(..taken);
        }
        let deadline = self.session.next_deadline_ms().map(|ms| ms * 1_000);
        let asking = (!self.quiet && !self.session.has_ended()).then_some(self.next_ask);
        let reading = self.wire.as_ref().filter(|wire| net.readable(wire.end) > 0).map(|_| now + 100);
        let contending = self.contending.as_ref().filter(|_| !self.session.has_ended());
        let contending = contending.and_then(|contending| contending.due(self.quiet));
        Ok([deadline, asking, self.reborn_at, reading, contending].into_iter().flatten().min())
    }

    fn listen(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Verdict {
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let (link, end) = (wire.link, wire.end);
        let now_ms = now / 1_000;
        if net.status(end) == Status::Open && !wire.connected {
            wire.connected = true;
            self.session.connected(now_ms, link);
            self.carry_out(now, net, referee)?;
        }
        let most = if self.dice.percent(30) { self.dice.between(1, 40) as usize } else { usize::MAX };
        let bytes = net.read(end, most);
        if let Some(wire) = self.wire.as_mut().filter(|_| !bytes.is_empty()) {
            wire.tap.received(referee, &mut self.told, &mut self.counted, &bytes)?;
            self.session.received(now_ms, link, &bytes);
            self.carry_out(now, net, referee)?;
        }
        let why = match net.status(end) {
            Status::Ended => None,
            Status::Reset => Some("reset".to_owned()),
            Status::Open | Status::Opening => return Ok(()),
        };
        if self.wire.as_ref().is_some_and(|wire| wire.link == link) {
            self.drop_wire(now, net);
            self.session.link_down(now_ms, link, why);
        }
        self.carry_out(now, net, referee)
    }

    fn drop_wire(&mut self, now: Micros, net: &mut Net) {
        if let Some(wire) = self.wire.take() {
            net.close(now, wire.end);
        }
    }

    /// New requests, up to the depth of its pipeline.
    fn work(&mut self, now: Micros) {
        if self.quiet || self.session.has_ended() || now < self.next_ask {
            return;
        }
        while self.waiting.len() < self.depth {
            let ask = self.workload.next(&mut self.dice);
            self.ask(now, ask);
            if self.dice.percent(40) {
                break;
            }
        }
        self.next_ask = now + self.dice.long_tailed(self.think_us, 2_000_000);
    }

    fn carry_out(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Verdict {
        while let Some(effect) = self.session.take_effect() {
            match effect {
                Effect::Connect { link, server } => {
                    self.drop_wire(now, net);
                    self.done.connections += 1;
                    let end = net.dial(now, self.host, server, CLIENT_PORT);
                    let who = format!("client {} at server {server}", self.index);
                    self.wire = Some(Wire {
                        link,
                        end,
                        connected: false,
                        unsent: Vec::new(),
                        tap: Tap::new(who, self.mutant.as_deref()),
                    });
                }
                Effect::Send { link, bytes } => {
                    if let Some(wire) = self.wire.as_mut().filter(|wire| wire.link == link) {
                        wire.tap.sent(referee, &bytes, self.user.as_ref().map_or(&[], |(_, ids)| &ids[..]));
                        wire.unsent.extend_from_slice(&bytes);
                    }
                }
                Effect::Probe { .. } => unreachable!("these clients take only servers that can write"),
                Effect::Disconnect { link } => {
                    if let Some(wire) = self.wire.as_ref().filter(|wire| wire.link == link) {
                        // What stands before the end of the connection goes out, as with a socket.
                        if wire.connected {
                            net.write(now, wire.end, &wire.unsent);
                        }
                        self.drop_wire(now, net);
                    }
                }
                Effect::Reply { id, op, result } => {
                    if let Some(contending) = &mut self.contending {
                        contending.answered(now, id, op, &result);
                    }
                    self.answered(id, op, result)?;
                }
                Effect::Event(event) => {
                    if let Some(contending) = &mut self.contending {
                        contending.event(now, &event.path);
                    }
                    let spent: &[WatchKind] = match event.kind {
                        EventType::NodeDeleted => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
                        EventType::NodeChildrenChanged => &[WatchKind::Child],
                        EventType::NodeCreated | EventType::NodeDataChanged => &[WatchKind::Data, WatchKind::Exist],
                    };
                    self.armed.forget(&event.path, spent);
                }
                Effect::State(state) => self.moved_to(now, state)?,
            }
        }
        Ok(())
    }

    fn answered(&mut self, id: RequestId, op: OpCode, result: Result<RawReply, RequestError>) -> Verdict {
        let Some(ask) = self.waiting.remove(&id) else {
            return if op == OpCode::Auth {
                Ok(())
            } else {
                Err(broken("client", format!("client {}: request {id:?} is answered twice", self.index)))
            };
        };
        let Ok(reply) = result else {
            self.done.lost += 1;
            return Ok(());
        };
        self.done.answered += 1;
        if is_write(op) && reply.err == 0 {
            self.writes_answered += 1;
        }
        match ask {
            Ask::Get { path, watch: true } if reply.err == 0 => self.armed.set(WatchKind::Data, &path, reply.zxid),
            Ask::Exists { path, watch: true } if reply.err == 0 => self.armed.set(WatchKind::Data, &path, reply.zxid),
            Ask::Exists { path, watch: true } if reply.err == ErrorCode::NoNode.code() => {
                self.armed.set(WatchKind::Exist, &path, reply.zxid);
            }
            Ask::Children { path, watch: true, .. } if reply.err == 0 => {
                self.armed.set(WatchKind::Child, &path, reply.zxid);
            }
            Ask::RemoveWatches { path, kind } if reply.err == 0 => {
                let gone: &[WatchKind] = match kind {
                    WatcherType::Children => &[WatchKind::Child],
                    WatcherType::Data => &[WatchKind::Data, WatchKind::Exist],
                    WatcherType::Any => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
                    WatcherType::Persistent | WatcherType::PersistentRecursive => &[],
                };
                self.armed.forget(&path, gone);
            }
            _ => {}
        }
        Ok(())
    }

    fn moved_to(&mut self, now: Micros, state: SessionState) -> Verdict {
        let pause_us = self.dice.between(1_000, 500_000);
        match state {
            SessionState::Connected { .. } => {}
            SessionState::Suspended(Cause::Protocol(what)) => {
                return Err(broken("client", format!("client {}: the server broke the protocol: {what}", self.index)));
            }
            SessionState::Suspended(_) => {}
            SessionState::Expired => {
                self.done.expired += 1;
                self.told_expired.push(self.session.id());
                self.reborn_at = Some(now + pause_us);
            }
            SessionState::Closed => self.reborn_at = Some(now + pause_us),
            SessionState::AuthFailed => {
                return Err(broken("client", format!("client {}: its identity is refused", self.index)));
            }
        }
        Ok(())
    }

    /// The process dies without a word; another one begins.
    pub fn crash(&mut self, now: Micros, net: &mut Net) {
        if let Some(wire) = self.wire.take() {
            net.abort(now, wire.end);
        }
        self.begin(now);
    }

    /// It closes its session; another one follows.
    pub fn close(&mut self, now: Micros) {
        self.session.close(now / 1_000);
    }

    /// Its connection is lost; another server gets the session.
    pub fn lose_connection(&mut self, now: Micros, net: &mut Net) {
        if let Some(wire) = self.wire.take() {
            net.abort(now, wire.end);
            self.session.link_down(now / 1_000, wire.link, Some("moved".into()));
        }
    }

    /// The session's watches have missed nothing.
    pub fn watches_complete(&self, referee: &Referee) -> Verdict {
        let ids: Vec<AuthId> = self.user.iter().flat_map(|(_, ids)| ids.clone()).collect();
        let who = format!("client {}", self.index);
        self.armed.complete(referee, &who, &ids, |path, kind| self.session.watches().holds(path, kind))
    }
}

/// What an operator may do to an ensemble: every server in every part, and out.
fn changes(settings: &Settings) -> Vec<Ask> {
    let parts = [(Role::Participant, false), (Role::Participant, true), (Role::Observer, false)];
    let of = |index: usize| {
        let joins = parts.map(|(role, moved)| {
            let joining = Some(settings.member_line(index, role, moved));
            Ask::Reconfig { joining, leaving: None }
        });
        let leaves = Ask::Reconfig { joining: None, leaving: Some(settings.server_id(index).0.to_string()) };
        joins.into_iter().chain([leaves])
    };
    (0..settings.servers).flat_map(of).collect()
}
