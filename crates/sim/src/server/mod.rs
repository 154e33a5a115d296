//! A whole server: the real Replica, Shards and store, driven by bytes, completions of its disk and time.
//!
//! A server is a machine with a disk, a clock and perhaps a [`Process`]. The world calls [`Server::boot`],
//! [`Server::turn`], [`Server::log_done`] and [`Server::snapshot_step`] when their time has come; each may plan more.

mod log;
mod process;
mod snapshots;

use crate::checks::{Referee, Violation};
use crate::clock::Clock;
use crate::heap::Micros;
use crate::net::{Host, Net};
use crate::rng::Dice;
use crate::settings::Settings;
use ostler_model::Zxid;
use ostler_node::NodeConfig;
use ostler_store::DataDirs;
use ostler_store::faulty::{Fault, FaultyDisk, Stop};
use process::Process;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a server wants to happen later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Later {
    /// Start the process.
    Boot,
    /// The log thread is done with its batch.
    LogDone,
    /// A step of the snapshot.
    SnapshotStep,
}

/// An error of the store within so many calls behind an injected one is taken for its consequence.
const FAULT_ECHO_CALLS: u64 = 20;
/// So far away that it never comes.
const NEVER_CALLS: u64 = 1 << 60;

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// SIGKILL, or its own decision: the operating system lives on.
    Killed,
    /// The machine stops, too.
    PowerLost,
}

/// What the world must know of a call.
#[derive(Debug)]
pub enum Outcome {
    /// All is well; look again at this time.
    Fine(Option<Micros>),
    /// The disk failed it.
    Died(Death, String),
    /// An invariant is broken.
    Broken(Violation),
}

/// A machine.
pub struct Server {
    /// Its number, also its host.
    pub index: usize,
    /// Its disk.
    pub disk: FaultyDisk,
    /// Its clocks.
    pub clock: Clock,
    /// Counts processes, so that what was planned for an older one is known.
    pub life: u32,
    /// The process, if it runs.
    process: Option<Process>,
    /// Stopped as by SIGSTOP until then.
    pub paused_until: Micros,
    /// What the disk usually takes for a batch.
    pub disk_us: u64,
    /// What the processor takes between two turns.
    pub turn_us: u64,
    /// The call of the disk at which the last injected fault lies.
    fault_at: u64,
    dirs: DataDirs,
    dice: Dice,
    settings: Arc<Settings>,
    /// Everything proposed here that recovery may find.
    proposed: BTreeMap<Zxid, Arc<[u8]>>,
    plans: Vec<(Micros, Later)>,
    /// Starts of the process.
    pub boots: u64,
    /// Snapshots completed.
    pub snapshots: u64,
}

impl Server {
    /// A machine with an empty disk.
    pub fn new(mut dice: Dice, index: usize, settings: Arc<Settings>) -> Server {
        let disk = FaultyDisk::new(dice.number());
        if settings.breaks("dir-syncs-lie") {
            disk.ignore_dir_syncs();
        }
        Server {
            index,
            disk,
            clock: Clock::new(&mut dice),
            life: 0,
            process: None,
            paused_until: 0,
            disk_us: settings.disk_us,
            turn_us: settings.turn_us,
            fault_at: 0,
            dirs: DataDirs::new("/data", settings.split_dirs.then(|| "/log".into())),
            dice,
            settings,
            proposed: BTreeMap::new(),
            plans: Vec::new(),
            boots: 0,
            snapshots: 0,
        }
    }

    /// Its machine in the network.
    pub fn host(&self) -> Host {
        self.index
    }

    /// True while a process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// What was planned since the last call.
    pub fn take_plans(&mut self) -> Vec<(Micros, Later)> {
        std::mem::take(&mut self.plans)
    }

    /// Plans a start of the process.
    pub fn boot_at(&mut self, at: Micros) {
        self.plans.push((at, Later::Boot));
    }

    /// Lets the disk fail at the `nth` call from now.
    pub fn fail_disk(&mut self, nth: u64, fault: Fault) {
        self.fault_at = self.disk.calls() + nth;
        self.disk.fail_at(nth, fault);
    }

    /// A fault that was planned and not met yet is called off.
    pub fn forget_disk_fault(&mut self) {
        if !self.disk.is_down() {
            self.disk.fail_at(NEVER_CALLS, Fault::Crash);
        }
    }

    /// What stands in the way of a healthy end: not running, or behind.
    pub fn complaint(&self, referee: &Referee) -> Option<String> {
        match &self.process {
            None => Some(format!("server {} does not run", self.index)),
            Some(process) if process.zxid() < referee.last_zxid() => {
                Some(format!("server {} stands at {}, not {}", self.index, process.zxid(), referee.last_zxid()))
            }
            Some(_) => None,
        }
    }

    /// Compares the whole tree with the model.
    ///
    /// # Errors
    /// It differs.
    pub fn compare(&self, referee: &Referee) -> Result<(), Violation> {
        self.process.as_ref().map_or(Ok(()), |process| referee.compare_content(self.index, process.tree()))
    }

    /// Starts the process: recovery with the real store.
    pub fn boot(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Outcome {
        assert!(self.process.is_none(), "server {} runs already", self.index);
        self.life += 1;
        self.boots += 1;
        net.power_on(self.host());
        let config = Arc::new(self.config());
        let outcome = Process::start(&self.disk, &self.dirs, &self.settings, config, self.clock.now(now), now);
        let process = match outcome {
            Ok(process) => process,
            Err(error) => return self.disk_error(&error.to_string(), "recovery refuses to start"),
        };
        if let Err(violation) = referee.recovered_alone(self.index, process.tree(), &self.proposed) {
            return Outcome::Broken(violation);
        }
        self.proposed.retain(|zxid, _| *zxid <= process.zxid());
        net.listen(now, self.host(), crate::clients::CLIENT_PORT, true);
        self.process = Some(process);
        Outcome::Fine(Some(now))
    }

    fn config(&mut self) -> NodeConfig {
        let settings = &self.settings;
        NodeConfig {
            server_id: self.index as u8 + 1,
            tick_time_ms: settings.tick_ms,
            min_session_timeout_ms: 2 * settings.tick_ms as i32,
            max_session_timeout_ms: 20 * settings.tick_ms as i32,
            container_check_interval_ms: 3_000,
            outstanding_max: settings.outstanding_max,
            stream_batches_max: settings.stream_batches_max,
            shards: settings.shards,
            seed: self.dice.number(),
            #[cfg(feature = "mutants")]
            mutant: settings.node_mutant,
            ..NodeConfig::default()
        }
    }

    /// One iteration of the process's loop.
    pub fn turn(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        let mut scene = process::Scene {
            server: self.index,
            now,
            clock: self.clock.now(now),
            net,
            referee,
            dice: &mut self.dice,
            settings: &self.settings,
            proposed: &mut self.proposed,
        };
        let more = match process.turn(&mut scene) {
            Ok(more) => more,
            Err(violation) => return Outcome::Broken(violation),
        };
        match process.log.begin(now, &mut self.dice, self.disk_us) {
            Ok(Some(at)) => self.plans.push((at, Later::LogDone)),
            Ok(None) => {}
            Err(error) => return self.disk_error(&error.to_string(), "the log failed"),
        }
        if let Some(outcome) = self.begin_snapshot(now) {
            return outcome;
        }
        let process = self.process.as_ref().expect("it just had its turn");
        let next = if more {
            Some(now + self.dice.long_tailed(self.turn_us, self.turn_us * 20))
        } else {
            process.next_deadline().map(|mono_ms| self.clock.when(mono_ms).max(now + 1))
        };
        Outcome::Fine(next)
    }

    fn begin_snapshot(&mut self, now: Micros) -> Option<Outcome> {
        let process = self.process.as_mut()?;
        if !std::mem::take(&mut process.log.snapshot_due) || process.snapshot.is_some() {
            return None;
        }
        match snapshots::Snapshot::begin(&self.disk, &self.dirs, self.settings.snapshot_format(), process.tree()) {
            Ok(snapshot) => {
                process.snapshot = Some(snapshot);
                self.plans.push((now + self.dice.between(1, 20_000), Later::SnapshotStep));
                None
            }
            Err(_) if self.disk.is_down() => Some(self.disk_error("", "")),
            Err(_) => None,
        }
    }

    /// The log thread's batch is done.
    pub fn log_done(&mut self, now: Micros) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        match process.log.finish() {
            Ok(()) => Outcome::Fine(Some(now)),
            Err(error) => self.disk_error(&error.to_string(), "the log failed"),
        }
    }

    /// The snapshot thread goes on. A snapshot that fails is given up; the log has everything.
    pub fn snapshot_step(&mut self, now: Micros) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        let Some(snapshot) = process.snapshot.take() else { return Outcome::Fine(None) };
        match snapshot.step(process.tree(), &self.disk, &self.dirs, &mut self.dice) {
            Ok(Some(snapshot)) => {
                process.snapshot = Some(snapshot);
                self.plans.push((now + self.dice.between(1, 20_000), Later::SnapshotStep));
            }
            Ok(None) => self.snapshots += 1,
            Err(_) if self.disk.is_down() => return self.disk_error("", ""),
            Err(_) => {}
        }
        Outcome::Fine(None)
    }

    /// An error of the store: injected, or it is a violation.
    fn disk_error(&mut self, error: &str, what: &str) -> Outcome {
        if self.disk.is_down() {
            return Outcome::Died(Death::PowerLost, "the machine stops inside a call of the disk".into());
        }
        if (self.fault_at..self.fault_at + FAULT_ECHO_CALLS).contains(&self.disk.calls()) {
            return Outcome::Died(Death::Killed, format!("{what}: {error}"));
        }
        Outcome::Broken(crate::checks::broken("survival", format!("server {}: {what}: {error}", self.index)))
    }

    /// The process ends. What the disk had not made durable may be lost; the machine is ready for the next boot.
    pub fn die(&mut self, now: Micros, death: Death, net: &mut Net) {
        if let Some(mut process) = self.process.take() {
            if self.dice.percent(60) {
                self.disk.fail_at(self.dice.between(1, 8), Fault::Crash);
                process.log.interrupted();
            }
        }
        self.life += 1;
        self.paused_until = 0;
        let stop = match death {
            Death::Killed => Stop::Kill,
            Death::PowerLost => self.dice.pick(&[Stop::PowerCut, Stop::PowerCutSectors]),
        };
        self.disk.restart(stop);
        match death {
            Death::Killed => net.process_died(now, self.host()),
            Death::PowerLost => net.power_off(now, self.host()),
        }
    }
}
