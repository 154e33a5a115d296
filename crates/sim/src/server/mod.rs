//! A whole server: the real Replica, Shards and store, driven by bytes, completions of its disk and time.
//!
//! A server is a machine with a disk, a clock and perhaps a [`Process`]. The world calls [`Server::boot`],
//! [`Server::turn`], [`Server::log_done`] and [`Server::snapshot_step`] when their time has come; each may plan more.

mod disk;
mod log;
mod peers;
mod process;
mod snapshots;
mod transfer;

use crate::checks::{Referee, Verdict, Violation};
use crate::clock::Clock;
use crate::heap::Micros;
use crate::net::{Host, Net};
use crate::settings::Settings;
pub use disk::Durable;
use disk::EnsembleFiles;
use ostler_model::Dice;
use ostler_model::Zxid;
use ostler_node::NodeConfig;
use ostler_store::faulty::{Fault, FaultyDisk, Stop};
use ostler_store::{DataDirs, StoreError, purge};
use ostler_tree::Policy;
pub use process::Found;
use process::{Ground, Ordering, Process};
use snapshots::{Snapshot, Step};
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
    /// A member's tree is built anew from disk.
    Reload,
}

/// An error of the store within so many calls behind an injected one is taken for its consequence.
const FAULT_ECHO_CALLS: u64 = 20;
/// A deadline that has passed asks for a turn; after so many of them it is wrong.
const OVERDUE_TURNS_MAX: u32 = 1_000;
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
    /// Power went while the disk was writing its sectors in any order.
    disorder: bool,
    dirs: DataDirs,
    /// Snapshots begun: each has an unfinished name of its own.
    snapshots_begun: u64,
    dice: Dice,
    settings: Arc<Settings>,
    /// Everything proposed here that recovery may find.
    proposed: BTreeMap<Zxid, Arc<[u8]>>,
    plans: Vec<(Micros, Later)>,
    /// Turns in a row that a deadline asked for and that did not move it.
    overdue: u32,
    /// The files of its ensembles.
    ensembles: EnsembleFiles,
    /// Prints lines of the trace.
    pub trace: bool,
    /// Starts of the process.
    pub boots: u64,
    /// Snapshots completed.
    pub snapshots: u64,
}

impl Server {
    /// A machine with an empty disk.
    pub fn new(mut dice: Dice, index: usize, settings: Arc<Settings>) -> Server {
        let disk = FaultyDisk::new(dice.number());
        let first = settings.first_ensemble_of(index);
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
            disorder: false,
            snapshots_begun: 0,
            dirs: DataDirs::new("/data", settings.split_dirs.then(|| "/log".into())),
            dice,
            settings,
            proposed: BTreeMap::new(),
            plans: Vec::new(),
            overdue: 0,
            ensembles: EnsembleFiles { committed: first, next: None },
            trace: false,
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
            _ if !referee.is_member(self.index) => None,
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
        let process = self.process.as_ref().filter(|_| referee.is_member(self.index));
        process.map_or(Ok(()), |process| referee.compare_content(self.index, process.tree()))
    }

    /// Starts the process: recovery with the real store.
    pub fn boot(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Outcome {
        assert!(self.process.is_none(), "server {} runs already", self.index);
        self.life += 1;
        self.boots += 1;
        net.power_on(self.host());
        let config = Arc::new(self.config());
        let clock = self.clock.now(now);
        let ground = Ground { disk: &self.disk, dirs: &self.dirs, settings: &self.settings, config, clock, now };
        let started = if self.settings.servers == 1 {
            let mut started = Process::alone(&ground, false);
            if let Err(error) = &started
                && self.disorder
                && !self.disk.is_down()
                && ground.is_disorder(error)
            {
                started = Process::alone(&ground, true);
            }
            started.map(|process| (process, None))
        } else {
            let me = self.settings.server_id(self.index);
            Process::member(&ground, me, &self.ensembles).map(|(process, found)| (process, Some(found)))
        };
        let (process, found) = match started {
            Ok(started) => started,
            Err(error) => return self.disk_error(&error.to_string(), "recovery refuses to start"),
        };
        let verdict = match found {
            None => referee.recovered_alone(self.index, process.tree(), &self.proposed),
            Some(found) => referee.recovered_member(self.index, &found),
        };
        if let Err(violation) = verdict {
            return Outcome::Broken(violation);
        }
        self.proposed.retain(|zxid, _| *zxid <= process.zxid());
        referee.begins_with(self.index, self.ensembles.committed.version());
        net.listen(now, self.host(), crate::clients::CLIENT_PORT, true);
        if self.settings.servers > 1 {
            net.listen(now, self.host(), peers::ELECTION_PORT, true);
            net.listen(now, self.host(), peers::QUORUM_PORT, true);
        }
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
            policy: Policy {
                standalone: settings.servers == 1,
                extended_types: true,
                reconfig_enabled: settings.reconfigures,
                ..Policy::default()
            },
            super_digest: settings.reconfigures.then(|| crate::tap::OPERATOR.1.to_owned()),
            outstanding_max: settings.outstanding_max,
            stream_batches_max: settings.stream_batches_max,
            shards: settings.shards,
            seed: self.dice.number(),
            #[cfg(feature = "mutants")]
            mutant: settings.node_mutant,
            ..NodeConfig::default()
        }
    }

    /// The operator stops the process in an orderly way.
    pub fn resign(&mut self) {
        if let Some(process) = &mut self.process {
            process.resigns = true;
        }
    }

    /// One iteration of the process's loop.
    pub fn turn(&mut self, now: Micros, net: &mut Net, referee: &mut Referee) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        let trace = self.trace;
        let mut scene = process::Scene {
            server: self.index,
            life: self.life,
            now,
            clock: self.clock.now(now),
            net,
            referee,
            dice: &mut self.dice,
            settings: &self.settings,
            proposed: &mut self.proposed,
            say: &|words| {
                if trace {
                    crate::report::say(&format!("            {words}"));
                }
            },
        };
        let more = match process.turn(&mut scene) {
            Ok(more) => more,
            Err(violation) => return Outcome::Broken(violation),
        };
        if self.disk.is_down() {
            return self.disk_error("", "");
        }
        if matches!(&process.ordering, Ordering::Member(peers) if peers.has_resigned) {
            return Outcome::Died(Death::Killed, "it was stopped".into());
        }
        let begun = match &mut process.ordering {
            Ordering::Alone(log) => log.begin(now, &mut self.dice, self.disk_us),
            Ordering::Member(peers) => {
                if !peers.reloads.is_empty() {
                    self.plans.push((now + self.dice.between(1, 100_000), Later::Reload));
                }
                peers.disk.begin(now, &mut self.dice, self.disk_us)
            }
        };
        match begun {
            Ok(at) => self.plans.extend(at.map(|at| (at, Later::LogDone))),
            Err(error) => return self.disk_error(&error.to_string(), "the log failed"),
        }
        if let Err(violation) = self.tell_durable(referee) {
            return Outcome::Broken(violation);
        }
        if let Err(error) = self.snapshots_wanted(now) {
            return self.disk_error(&error.to_string(), "an installation failed");
        }
        let process = self.process.as_ref().expect("it just had its turn");
        let next = if more {
            Some(now + self.dice.long_tailed(self.turn_us, self.turn_us * 20))
        } else {
            let deadline = process.next_deadline();
            let overdue = deadline.filter(|(mono_ms, _)| *mono_ms <= self.clock.now(now).mono_ms);
            self.overdue = if overdue.is_some() { self.overdue + 1 } else { 0 };
            if let Some((mono_ms, who)) = overdue.filter(|_| self.overdue > OVERDUE_TURNS_MAX) {
                let words =
                    format!("server {} turns in vain: {who} wants a turn at {mono_ms} ms, again and again", self.index);
                return Outcome::Broken(crate::checks::broken("liveness", words));
            }
            deadline.map(|(mono_ms, _)| self.clock.when(mono_ms).max(now + 1))
        };
        Outcome::Fine(next)
    }

    fn tell_durable(&mut self, referee: &mut Referee) -> Verdict {
        if let Some(Process { ordering: Ordering::Member(peers), .. }) = &mut self.process {
            for durable in peers.disk.take_durable() {
                referee.durable(self.index, &durable)?;
            }
        }
        Ok(())
    }

    /// Begins the snapshot that is due, or that a member was ordered to install.
    fn snapshots_wanted(&mut self, now: Micros) -> Result<(), StoreError> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let mut install = None;
        let due = match &mut process.ordering {
            Ordering::Alone(log) => std::mem::take(&mut log.snapshot_due),
            Ordering::Member(peers) => {
                for wanted in std::mem::take(&mut peers.wanted) {
                    match wanted {
                        peers::Wanted::Abort => (process.snapshot, install) = (None, None),
                        peers::Wanted::Install(zxid) => install = Some(zxid),
                    }
                }
                peers.take_snapshot_due()
            }
        };
        let zxid = install.or_else(|| (due && process.snapshot.is_none()).then(|| process.zxid()));
        let Some(zxid) = zxid else { return Ok(()) };
        let format = self.settings.snapshot_format();
        self.snapshots_begun += 1;
        match Snapshot::begin(&self.disk, &self.dirs, format, process.tree(), zxid, self.snapshots_begun) {
            Ok(snapshot) => {
                process.snapshot = Some(snapshot);
                self.plans.push((now + self.dice.between(1, 20_000), Later::SnapshotStep));
                Ok(())
            }
            // A background snapshot that fails is given up; the log has everything.
            Err(_) if install.is_none() && !self.disk.is_down() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The log thread's batch is done.
    pub fn log_done(&mut self, now: Micros, referee: &mut Referee) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        let finished = match &mut process.ordering {
            Ordering::Alone(log) => log.finish(),
            Ordering::Member(peers) => peers.disk.finish(),
        };
        if let Err(violation) = self.tell_durable(referee) {
            return Outcome::Broken(violation);
        }
        match finished {
            Ok(()) => Outcome::Fine(Some(now)),
            Err(error) => self.disk_error(&error.to_string(), "the log failed"),
        }
    }

    /// A member's tree is built anew.
    pub fn reload(&mut self, now: Micros) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        match process.reload(&self.disk, &self.dirs, self.clock.now(now)) {
            Ok(()) => Outcome::Fine(Some(now)),
            Err(error) => self.disk_error(&error.to_string(), "the tree cannot be built anew"),
        }
    }

    /// The snapshot thread goes on. A snapshot that fails is given up; the log has everything.
    pub fn snapshot_step(&mut self, now: Micros) -> Outcome {
        let Some(process) = &mut self.process else { return Outcome::Fine(None) };
        let Some(snapshot) = process.snapshot.take() else { return Outcome::Fine(None) };
        let done = match snapshot.step(process.tree(), &mut self.dice) {
            Ok(Step::More(snapshot)) => {
                process.snapshot = Some(*snapshot);
                self.plans.push((now + self.dice.between(1, 20_000), Later::SnapshotStep));
                return Outcome::Fine(None);
            }
            Ok(Step::Sealed(sealed)) => match &mut process.ordering {
                Ordering::Alone(_) => sealed.publish().map(|_| ()),
                Ordering::Member(peers) => {
                    peers.snapshot_written(sealed);
                    Ok(())
                }
            },
            Err(error) => Err(error),
        };
        let purged = match done {
            Ok(()) => {
                self.snapshots += 1;
                if self.dice.percent(30) { purge(&self.disk, &self.dirs, 3).map(|_| ()) } else { Ok(()) }
            }
            Err(error) => Err(error),
        };
        match (purged, &process.ordering) {
            (Err(_), _) if self.disk.is_down() => self.disk_error("", ""),
            (Err(error), Ordering::Member(peers)) if peers.is_installing() => {
                self.disk_error(&error.to_string(), "an installation failed")
            }
            _ => Outcome::Fine(Some(now)),
        }
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
    ///
    /// # Errors
    /// What the disk got in its last moment breaks an invariant.
    pub fn die(&mut self, now: Micros, death: Death, net: &mut Net, referee: &mut Referee) -> Verdict {
        referee.members.serving[self.index] = false;
        if let Some(mut process) = self.process.take() {
            let partly = self.dice.percent(60);
            if partly {
                self.disk.fail_at(self.dice.between(1, 8), Fault::Crash);
            }
            match &mut process.ordering {
                Ordering::Alone(log) if partly => log.interrupted(),
                Ordering::Alone(_) => {}
                Ordering::Member(peers) => {
                    if partly {
                        peers.disk.interrupted();
                    }
                    self.ensembles = peers.disk.ensembles.clone();
                    for durable in peers.disk.take_durable() {
                        referee.durable(self.index, &durable)?;
                    }
                }
            }
        }
        self.life += 1;
        self.paused_until = 0;
        let stop = match death {
            Death::Killed => Stop::Kill,
            Death::PowerLost => self.dice.pick(&[Stop::PowerCut, Stop::PowerCutSectors]),
        };
        self.disorder |= stop == Stop::PowerCutSectors;
        self.disk.restart(stop);
        match death {
            Death::Killed => net.process_died(now, self.host()),
            Death::PowerLost => net.power_off(now, self.host()),
        }
        Ok(())
    }
}
