//! What goes wrong: workers and servers are killed and paused, doors are shut and cut.

use crate::servers::{Process, SERVERS, Server};
use crate::worker::{Plan, SESSION_TIMEOUT};
use ostler_model::Dice;
use ostler_test::Door;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a killed server may take to serve again.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Workers are killed and started anew.
    KillWorkers,
    /// Workers sleep through the end of their sessions.
    PauseWorkers,
    /// Workers sleep, but not that long.
    PauseWorkersBriefly,
    /// Workers reach no server until their sessions are over.
    ShutOut,
    /// Every connection is cut once.
    Cut,
    KillLeader,
    KillFollower,
    PauseServer,
}

impl Fault {
    const ALL: [Fault; 8] = [
        Fault::KillWorkers,
        Fault::PauseWorkers,
        Fault::PauseWorkersBriefly,
        Fault::ShutOut,
        Fault::Cut,
        Fault::KillLeader,
        Fault::KillFollower,
        Fault::PauseServer,
    ];
}

/// A process of holders, and its way to each server.
pub struct Worker {
    pub plan: Plan,
    pub process: Process,
    pub doors: Vec<Door>,
}

pub struct World {
    pub servers: Vec<Server>,
    pub workers: Vec<Worker>,
    pub dice: Dice,
    pub happened: BTreeMap<Fault, u32>,
    /// Those that the present round has not had yet.
    round: Vec<Fault>,
}

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

impl World {
    pub fn new(servers: Vec<Server>, workers: Vec<Worker>, dice: Dice) -> World {
        World { servers, workers, dice, happened: BTreeMap::new(), round: Vec::new() }
    }

    /// One fault from its beginning to its end. Each kind comes once before any comes again.
    pub fn fault(&mut self, spawn: impl Fn(&Plan) -> Process) {
        if self.round.is_empty() {
            self.round = Fault::ALL.to_vec();
            self.dice.shuffle(&mut self.round);
        }
        let fault = self.round.pop().expect("it was just filled");
        *self.happened.entry(fault).or_default() += 1;
        let long = SESSION_TIMEOUT.as_millis() as u64;
        let some: Vec<usize> = (0..self.workers.len()).filter(|_| self.dice.percent(30)).collect();
        match fault {
            Fault::KillWorkers => {
                for worker in some {
                    let worker = &mut self.workers[worker];
                    worker.process.kill();
                    worker.process = spawn(&worker.plan);
                }
            }
            Fault::PauseWorkers | Fault::PauseWorkersBriefly => {
                some.iter().for_each(|worker| self.workers[*worker].process.signal("STOP"));
                let briefly = fault == Fault::PauseWorkersBriefly;
                sleep(if briefly { self.dice.between(50, long / 2) } else { self.dice.between(long + 500, 2 * long) });
                some.iter().for_each(|worker| self.workers[*worker].process.signal("CONT"));
            }
            Fault::ShutOut => {
                some.iter().flat_map(|worker| &self.workers[*worker].doors).for_each(Door::shut);
                sleep(self.dice.between(long, 2 * long));
                some.iter().flat_map(|worker| &self.workers[*worker].doors).for_each(Door::open);
            }
            Fault::Cut => self.workers.iter().flat_map(|worker| &worker.doors).for_each(Door::cut),
            Fault::KillLeader | Fault::KillFollower => {
                let leader = self.servers.iter().position(|server| server.mode().as_deref() == Some("leader"));
                let leader = leader.unwrap_or(0);
                let server = if fault == Fault::KillLeader { leader } else { (leader + 1) % SERVERS };
                self.servers[server].process.kill();
                sleep(self.dice.between(50, 1_500));
                self.servers[server].restart();
                self.wait_until_all_serve();
            }
            Fault::PauseServer => {
                let server = self.dice.index(SERVERS);
                self.servers[server].process.signal("STOP");
                sleep(self.dice.between(200, 2 * long));
                self.servers[server].process.signal("CONT");
                self.wait_until_all_serve();
            }
        }
        sleep(self.dice.between(100, 700));
    }

    pub fn wait_until_all_serve(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.servers.iter().all(|server| server.mode().is_some()) {
            assert!(Instant::now() < end, "the servers do not serve again within {} s", PATIENCE.as_secs());
            sleep(20);
        }
    }
}
