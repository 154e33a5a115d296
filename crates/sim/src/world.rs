//! The world of one seed: machines, network, clients and faults in one event heap; everything that happens is decided by
//! the seed.
//!
//! A run has three parts. For at least 60 virtual seconds clients work while things go wrong, until enough was asked.
//! Then everything is healed and clients go on for a while. At last they are quiet; the run is good if within a bound
//! all servers show the same complete state, all clients have written since the healing and nothing is unanswered.

use crate::checks::liveness::{HEALED_WITHIN_US, late};
use crate::checks::{Referee, Violation, broken};
use crate::clients::Client;
use crate::faults::{Fault, schedule};
use crate::heap::{Heap, Micros};
use crate::net::{Net, Weather};
use crate::report::Tally;
use crate::server::{Death, Later, Outcome, Server};
use crate::settings::Settings;
use crate::workload::Ask;
use ostler_model::Dice;
use ostler_store::faulty;
use std::sync::Arc;

const SECOND_US: Micros = 1_000_000;
/// Faults happen in this time.
const FAULTS_UNTIL_US: Micros = 60 * SECOND_US;
/// A run asks for at least this much.
const ASKED_MIN: u64 = 2_000;
/// Even if less was asked, healing begins.
const HEAL_AT_LATEST_US: Micros = 240 * SECOND_US;
/// Clients go on for this long after healing.
const CALM_US: Micros = 5 * SECOND_US;
/// Liveness is promised for a network and disks that are quick beside the time-outs: with the slowest ones a handshake may take
/// longer than the shortest time-outs let a client wait, and the sessions that are opened again and again in vain are all
/// that the servers ever get done. So in the end nothing is slower than this.
const CALM_DELAY_US: Micros = 1_000;
const CALM_DISK_US: Micros = 1_000;
const CALM_BUFFER_BYTES: usize = 16 << 10;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    /// The head of a connection's direction arrives.
    Arrive {
        link: usize,
        side: usize,
    },
    /// A server looks at everything. Stale if another time was planned since.
    Turn {
        server: usize,
    },
    Later {
        server: usize,
        life: u32,
        what: Later,
    },
    Client {
        client: usize,
    },
    Fault(Fault),
    /// The supervisor looks: has enough happened?
    Look,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Faults,
    Calm { until: Micros },
    Quiet { since: Micros },
    Over,
}

/// One run.
pub struct World {
    settings: Arc<Settings>,
    heap: Heap<Event>,
    dice: Dice,
    net: Net,
    servers: Vec<Server>,
    /// The time of each server's next turn.
    turns: Vec<Option<Micros>>,
    clients: Vec<Client>,
    client_turns: Vec<Option<Micros>>,
    client_paused: Vec<Micros>,
    referee: Referee,
    phase: Phase,
    healed_at: Micros,
    hash: u64,
    trace: bool,
    /// Figures.
    pub tally: Tally,
}

impl World {
    /// The world of these settings, at time 0.
    pub fn new(settings: Settings, trace: bool) -> World {
        let settings = Arc::new(settings);
        let mut dice = Dice::new(settings.seed);
        let weather = Weather {
            delay_us: settings.delay_us,
            piece_bytes: settings.piece_bytes,
            buffer_bytes: settings.buffer_bytes,
        };
        let servers = (0..settings.servers).map(|index| Server::new(dice.fork(), index, settings.clone())).collect();
        let client = |index: usize, dice: Dice| Client::new(dice, index, settings.servers + index, &settings);
        let clients = (0..settings.clients).map(|index| client(index, dice.fork())).collect();
        let mut world = World {
            heap: Heap::new(),
            net: Net::new(dice.fork(), weather),
            servers,
            turns: vec![None; settings.servers],
            clients,
            client_turns: vec![None; settings.clients],
            client_paused: vec![0; settings.clients],
            referee: Referee::new(settings.servers, settings.ensemble()),
            phase: Phase::Faults,
            healed_at: 0,
            hash: settings.seed,
            trace,
            tally: Tally::default(),
            settings,
            dice,
        };
        for server in &mut world.servers {
            server.trace = trace;
        }
        for (at, fault) in schedule(&mut world.dice, &world.settings, SECOND_US, FAULTS_UNTIL_US) {
            world.heap.push(at, Event::Fault(fault));
        }
        for server in 0..world.servers.len() {
            let at = world.dice.between(0, 500_000);
            world.servers[server].boot_at(at);
            world.collect_server_plans(server);
        }
        for client in 0..world.clients.len() {
            world.wake_client(client, 0);
        }
        world.heap.push(FAULTS_UNTIL_US, Event::Look);
        world
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// What is broken, and when.
    pub fn run(&mut self) -> Result<(), Violation> {
        while self.phase != Phase::Over {
            let Some(event) = self.heap.pop() else {
                return Err(broken("liveness", "nothing will ever happen again"));
            };
            self.tally.events += 1;
            self.note(&event);
            let result = self.happen(event);
            self.carry();
            if let Err(violation) = result {
                self.finish_tally();
                return Err(violation);
            }
        }
        self.finish_tally();
        Ok(())
    }

    /// A number that is equal for equal runs.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Virtual time.
    pub fn now(&self) -> Micros {
        self.heap.now()
    }

    fn finish_tally(&mut self) {
        self.tally.virtual_us = self.heap.now();
        self.tally.lock_turns = self.referee.locks.turns;
        self.tally.txns = self.referee.entries.len() as u64;
        self.tally.boots = self.servers.iter().map(|server| server.boots).sum();
        self.tally.snapshots = self.servers.iter().map(|server| server.snapshots).sum();
        for client in &self.clients {
            self.tally.asked += client.done.asked;
            self.tally.answered += client.done.answered;
            self.tally.sessions += client.done.sessions;
            self.tally.expired += client.done.expired;
            self.tally.connections += client.done.connections;
            self.tally.watch_events += client.counted.events;
        }
    }

    /// Folds an event into the hash, and prints it if asked to.
    fn note(&mut self, event: &Event) {
        let (kind, number) = match event {
            Event::Arrive { link, side } => (1, *link * 2 + *side),
            Event::Turn { server } => (2, *server),
            Event::Later { server, what, .. } => (3, *server * 8 + *what as usize),
            Event::Client { client } => (4, *client),
            Event::Fault(_) => (5, 0),
            Event::Look => (6, 0),
        };
        let mut mix = Dice::new(self.hash ^ self.heap.now().rotate_left(17) ^ (number as u64) << 4 ^ kind);
        self.hash = mix.number() ^ self.referee.last_zxid().0 as u64;
        if self.trace {
            let now = self.heap.now();
            crate::report::say(&format!("{:>4}.{:06} {event:?}", now / SECOND_US, now % SECOND_US));
        }
    }

    fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            crate::report::say(&format!("            {}", words()));
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        let now = self.heap.now();
        match event {
            Event::Arrive { link, side } => {
                self.net.arrive(now, link, side);
                Ok(())
            }
            Event::Turn { server } => self.turn(server),
            Event::Later { server, life, what } => self.later(server, life, what),
            Event::Client { client } => self.client_turn(client),
            Event::Fault(fault) => {
                if self.phase == Phase::Faults {
                    self.tally.faults += u64::from(!matches!(
                        fault,
                        Fault::NetworkAgain | Fault::DiskAgain { .. } | Fault::ProcessAgain { .. }
                    ));
                    return self.strike(fault);
                }
                Ok(())
            }
            Event::Look => self.look(),
        }
    }

    /// What the actors left to be planned.
    fn carry(&mut self) {
        for (at, link, side) in self.net.take_plans() {
            self.heap.push(at, Event::Arrive { link, side });
        }
        let now = self.heap.now();
        for host in self.net.take_wakes() {
            if host < self.servers.len() {
                let at = now + self.dice.below(200);
                self.wake_server(host, at);
            } else {
                let at = now + self.dice.below(100);
                self.wake_client(host - self.servers.len(), at);
            }
        }
    }

    fn wake_server(&mut self, server: usize, at: Micros) {
        if self.servers[server].is_up() && self.turns[server].is_none_or(|planned| planned > at) {
            self.turns[server] = Some(at);
            self.heap.push(at, Event::Turn { server });
        }
    }

    fn wake_client(&mut self, client: usize, at: Micros) {
        if self.client_turns[client].is_none_or(|planned| planned > at) {
            self.client_turns[client] = Some(at);
            self.heap.push(at, Event::Client { client });
        }
    }

    fn collect_server_plans(&mut self, server: usize) {
        let life = self.servers[server].life;
        for (at, what) in self.servers[server].take_plans() {
            self.heap.push(at, Event::Later { server, life, what });
        }
    }

    fn turn(&mut self, server: usize) -> Result<(), Violation> {
        let now = self.heap.now();
        if self.turns[server] != Some(now) {
            return Ok(());
        }
        self.turns[server] = None;
        if self.servers[server].paused_until > now {
            let at = self.servers[server].paused_until;
            self.wake_server(server, at);
            return Ok(());
        }
        let outcome = self.servers[server].turn(now, &mut self.net, &mut self.referee);
        self.outcome(server, outcome)
    }

    fn later(&mut self, server: usize, life: u32, what: Later) -> Result<(), Violation> {
        let now = self.heap.now();
        if self.servers[server].life != life {
            return Ok(());
        }
        if self.servers[server].paused_until > now {
            let at = self.servers[server].paused_until;
            self.heap.push(at, Event::Later { server, life, what });
            return Ok(());
        }
        let outcome = match what {
            Later::Boot => self.servers[server].boot(now, &mut self.net, &mut self.referee),
            Later::LogDone => self.servers[server].log_done(now, &mut self.referee),
            Later::Reload => self.servers[server].reload(now),
            Later::SnapshotStep => self.servers[server].snapshot_step(now),
        };
        self.outcome(server, outcome)
    }

    fn outcome(&mut self, server: usize, outcome: Outcome) -> Result<(), Violation> {
        let result = match outcome {
            Outcome::Fine(next) => {
                if let Some(at) = next {
                    self.wake_server(server, at);
                }
                Ok(())
            }
            Outcome::Died(death, why) => {
                let back_us = self.dice.between(20_000, 3_000_000);
                self.kill(server, death, back_us, &why)
            }
            Outcome::Broken(violation) => Err(violation),
        };
        self.collect_server_plans(server);
        result
    }

    fn kill(&mut self, server: usize, death: Death, back_us: u64, why: &str) -> Result<(), Violation> {
        self.say(|| format!("server {server} dies ({death:?}): {why}"));
        let now = self.heap.now();
        self.tally.deaths += 1;
        self.turns[server] = None;
        self.servers[server].take_plans();
        let verdict = self.servers[server].die(now, death, &mut self.net, &mut self.referee);
        if !self.settings.breaks("never-restart") {
            self.servers[server].boot_at(now + back_us);
        }
        self.collect_server_plans(server);
        verdict
    }

    fn client_turn(&mut self, client: usize) -> Result<(), Violation> {
        let now = self.heap.now();
        if self.client_turns[client] != Some(now) {
            return Ok(());
        }
        self.client_turns[client] = None;
        if self.client_paused[client] > now {
            let at = self.client_paused[client];
            self.wake_client(client, at);
            return Ok(());
        }
        if let Some(at) = self.clients[client].turn(now, &mut self.net, &mut self.referee)? {
            self.wake_client(client, at.max(now + 1));
        }
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Violation> {
        let now = self.heap.now();
        match fault {
            Fault::Kill { server, back_us } if self.servers[server].is_up() => {
                return self.kill(server, Death::Killed, back_us, "SIGKILL");
            }
            Fault::PowerCut { server, back_us } if self.servers[server].is_up() => {
                return self.kill(server, Death::PowerLost, back_us, "power cut");
            }
            Fault::Kill { .. } | Fault::PowerCut { .. } => {}
            Fault::Stop { server } => {
                self.servers[server].resign();
                self.wake_server(server, now);
            }
            Fault::CrashAtCall { server, nth } => self.servers[server].fail_disk(nth, faulty::Fault::Crash),
            Fault::DiskError { server, nth, full } => {
                let fault = if full { faulty::Fault::DiskFull } else { faulty::Fault::Device };
                self.servers[server].fail_disk(nth, fault);
            }
            Fault::SlowDisk { server, factor } => self.servers[server].disk_us = self.settings.disk_us * factor,
            Fault::DiskAgain { server } => self.servers[server].disk_us = self.settings.disk_us,
            Fault::SlowProcess { server, factor } => self.servers[server].turn_us = self.settings.turn_us * factor,
            Fault::ProcessAgain { server } => self.servers[server].turn_us = self.settings.turn_us,
            Fault::Pause { server, for_us } => self.servers[server].paused_until = now + for_us,
            Fault::ClockJump { server } => self.servers[server].clock.jump(&mut self.dice),
            Fault::Partition { from, to, both_ways } => {
                for from in &from {
                    for to in &to {
                        self.net.block(*from, *to);
                        if both_ways {
                            self.net.block(*to, *from);
                        }
                    }
                }
            }
            Fault::SlowLinks { from, to, extra_us } => self.net.slow_down(from, to, extra_us),
            Fault::NetworkAgain => self.net.heal(now),
            Fault::CutLinks { percent } => {
                for link in self.net.live_links() {
                    if self.dice.percent(percent) {
                        let told = self.dice.pick(&[None, None, Some(0), Some(1)]);
                        self.net.cut(now, link, told);
                    }
                }
            }
            Fault::ClientCrash { client } => {
                self.clients[client].crash(now, &mut self.net);
                self.wake_client(client, now);
            }
            Fault::ClientClose { client } => {
                self.clients[client].close(now);
                self.wake_client(client, now);
            }
            Fault::ClientMoves { client } => {
                self.clients[client].lose_connection(now, &mut self.net);
                self.wake_client(client, now);
            }
            Fault::ClientPause { client, for_us } => self.client_paused[client] = now + for_us,
        }
        Ok(())
    }

    /// Moves the run from part to part.
    fn look(&mut self) -> Result<(), Violation> {
        let now = self.heap.now();
        match self.phase {
            Phase::Faults => {
                let asked: u64 = self.clients.iter().map(|client| client.done.asked).sum();
                if asked >= ASKED_MIN || now >= HEAL_AT_LATEST_US {
                    self.heal();
                }
            }
            Phase::Calm { until } if now >= until => {
                for client in &mut self.clients {
                    client.quiet = true;
                }
                self.phase = Phase::Quiet { since: now };
            }
            Phase::Quiet { since } => return self.try_to_end(since),
            Phase::Calm { .. } | Phase::Over => {}
        }
        self.heap.push(now + SECOND_US / 2, Event::Look);
        Ok(())
    }

    fn heal(&mut self) {
        let now = self.heap.now();
        self.say(|| "everything is healed".to_owned());
        self.healed_at = now;
        self.phase = Phase::Calm { until: now + CALM_US };
        self.net.heal(now);
        self.net.calm_down(CALM_DELAY_US, CALM_BUFFER_BYTES);
        for server in &mut self.servers {
            server.disk_us = self.settings.disk_us.min(CALM_DISK_US);
            server.turn_us = self.settings.turn_us;
            server.paused_until = server.paused_until.min(now);
            server.forget_disk_fault();
        }
        for client in 0..self.clients.len() {
            self.clients[client].writes_answered = 0;
            self.client_paused[client] = now;
            self.wake_client(client, now);
        }
        for server in 0..self.servers.len() {
            self.wake_server(server, now);
        }
    }

    /// Ends the run if everything is in order; asks clients to look once more if not.
    fn try_to_end(&mut self, since: Micros) -> Result<(), Violation> {
        let now = self.heap.now();
        let last = self.referee.last_zxid();
        let mut missing: Vec<String> =
            self.servers.iter().filter_map(|server| server.complaint(&self.referee)).collect();
        for client in &mut self.clients {
            if !client.is_settled() {
                missing.push(format!("client {} waits for answers or a connection", client.index));
            } else if client.writes_answered == 0 {
                missing.push(format!("client {} has not written since", client.index));
                let register = format!("/final{}", client.index);
                client.ask(now, Ask::Set { path: "/set".into(), data: register.into_bytes(), version: -1 });
            } else if client.told.zxid < last {
                missing.push(format!("client {} has seen {}, not {last}", client.index, client.told.zxid));
                client.ask(now, Ask::Exists { path: "/".into(), watch: false });
            }
        }
        for client in 0..self.clients.len() {
            self.wake_client(client, now);
        }
        if missing.is_empty() {
            return self.end();
        }
        if now > since + HEALED_WITHIN_US {
            return late(&missing);
        }
        self.heap.push(now + SECOND_US / 4, Event::Look);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Violation> {
        self.phase = Phase::Over;
        self.referee.compare_ensembles()?;
        for server in &self.servers {
            server.compare(&self.referee)?;
        }
        for client in &self.clients {
            client.watches_complete(&self.referee)?;
            for session in &client.told_expired {
                if self.referee.state.sessions.contains_key(session) {
                    let words = format!("INV-36: client {} was told that {session} is expired; it lives", client.index);
                    return Err(broken("expiry", words));
                }
            }
        }
        Ok(())
    }
}
