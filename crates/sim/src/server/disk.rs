//! The disk thread of a member in virtual time: one FIFO for everything durable (rules.md 1.6), with the real store on
//! the faulty disk. What is queued is done together, at the beginning or at the end of the time it takes.

use crate::heap::Micros;
use ostler_model::Dice;
use ostler_model::{Ensemble, Zxid};
use ostler_store::faulty::FaultyDisk;
use ostler_store::{DataDirs, EpochFiles, Log, SealedSnapshot, StoreError, Truncation};
use ostler_zab::{DiskDone, DiskOp, Epochs, Generation};

/// The longest record that may be met when the log is cut.
pub const RECORD_BYTES_MAX: usize = 2 << 20;

/// One item of the FIFO.
pub enum Job {
    /// An effect of zab.
    Op(Generation, DiskOp),
    /// The snapshot that an installation asked for is written.
    Install(Generation, SealedSnapshot<FaultyDisk>),
    /// A background snapshot gets its name.
    Publish(SealedSnapshot<FaultyDisk>),
}

/// What the thread has to say.
#[derive(Debug)]
pub enum Report {
    /// For zab.
    Done(Generation, DiskDone),
    /// A background snapshot has its name.
    Published,
    /// The log was rolled.
    SnapshotDue,
}

/// What is durable, for the checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Durable {
    /// Records up to here.
    Upto(Zxid),
    /// From now on until the next news the history may also end here.
    Perhaps(Zxid),
    /// The history ends here now.
    Cut(Zxid),
    /// A snapshot took the place of the history.
    Base(Zxid),
    /// The epoch files.
    Epochs(Epochs),
}

/// See the module.
pub struct DiskThread {
    log: Log<FaultyDisk>,
    epochs: EpochFiles<FaultyDisk>,
    dirs: DataDirs,
    jobs: Vec<Job>,
    flight: Option<Flight>,
    /// Done, not yet told to the member.
    reports: Vec<Report>,
    /// What became durable since the last look, told or not.
    durable: Vec<Durable>,
    epoch_files_lie: bool,
    /// The files of ensembles.
    pub ensembles: EnsembleFiles,
}

/// The files of the ensembles that a member knows; each takes the place of the old one at once.
#[derive(Clone, Debug)]
pub struct EnsembleFiles {
    /// In force.
    pub committed: Ensemble,
    /// Proposed.
    pub next: Option<Ensemble>,
}

enum Flight {
    /// To be done at the end.
    Jobs(Vec<Job>),
    /// Done; the news is under way.
    Reports(Vec<Report>),
}

impl DiskThread {
    /// Nothing queued.
    pub fn new(log: Log<FaultyDisk>, epochs: EpochFiles<FaultyDisk>, dirs: DataDirs, ensembles: EnsembleFiles) -> Self {
        let (jobs, reports, durable) = (Vec::new(), Vec::new(), Vec::new());
        let epoch_files_lie = false;
        DiskThread { log, epochs, dirs, jobs, flight: None, reports, durable, epoch_files_lie, ensembles }
    }

    /// Queues a job.
    pub fn push(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// The epoch files are never written (a mutant).
    pub fn lose_epochs(&mut self) {
        self.epoch_files_lie = true;
    }

    /// What happened since the last call, in order.
    pub fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// What became durable since the last call.
    pub fn take_durable(&mut self) -> Vec<Durable> {
        std::mem::take(&mut self.durable)
    }

    /// Begins what is queued; returns when it will be done.
    ///
    /// # Errors
    /// The disk failed.
    pub fn begin(&mut self, now: Micros, dice: &mut Dice, usual_us: u64) -> Result<Option<Micros>, StoreError> {
        if self.flight.is_some() || self.jobs.is_empty() {
            return Ok(None);
        }
        let jobs = std::mem::take(&mut self.jobs);
        self.flight = Some(if dice.percent(50) { Flight::Reports(self.work(jobs)?) } else { Flight::Jobs(jobs) });
        Ok(Some(now + dice.long_tailed(usual_us, usual_us * 50)))
    }

    /// The time is over.
    ///
    /// # Errors
    /// The disk failed.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        let reports = match self.flight.take().expect("something is under way") {
            Flight::Reports(reports) => reports,
            Flight::Jobs(jobs) => self.work(jobs)?,
        };
        self.reports.extend(reports);
        Ok(())
    }

    /// The process dies: whatever part of the work the disk still gets.
    pub fn interrupted(&mut self) {
        if let Some(Flight::Jobs(jobs)) = self.flight.take() {
            // Nobody is left to hear of an error.
            let _ = self.work(jobs);
        }
    }

    fn work(&mut self, jobs: Vec<Job>) -> Result<Vec<Report>, StoreError> {
        let mut reports = Vec::new();
        let mut unsynced: Option<(Generation, Zxid)> = None;
        for job in jobs {
            if let Job::Op(generation, DiskOp::Append { zxid, payload }) = job {
                if self.log.append(zxid, &payload)?.snapshot_due {
                    reports.push(Report::SnapshotDue);
                }
                unsynced = Some((generation, zxid));
                continue;
            }
            self.sync(unsynced.take(), &mut reports)?;
            reports.push(self.other(job)?);
        }
        self.sync(unsynced, &mut reports)?;
        Ok(reports)
    }

    fn sync(&mut self, unsynced: Option<(Generation, Zxid)>, reports: &mut Vec<Report>) -> Result<(), StoreError> {
        let Some((generation, zxid)) = unsynced else { return Ok(()) };
        self.log.commit()?;
        self.durable.push(Durable::Upto(zxid));
        reports.push(Report::Done(generation, DiskDone::Synced { zxid }));
        Ok(())
    }

    fn other(&mut self, job: Job) -> Result<Report, StoreError> {
        let (generation, done) = match job {
            Job::Op(generation, op) => (generation, self.op(&op)?),
            Job::Install(generation, snapshot) => {
                self.durable.push(Durable::Perhaps(snapshot.zxid()));
                let zxid = self.log.install(&self.dirs, snapshot)?;
                self.durable.push(Durable::Base(zxid));
                (generation, DiskDone::Installed { zxid })
            }
            Job::Publish(snapshot) => {
                self.log.publish(snapshot)?;
                return Ok(Report::Published);
            }
        };
        Ok(Report::Done(generation, done))
    }

    fn op(&mut self, op: &DiskOp) -> Result<DiskDone, StoreError> {
        Ok(match *op {
            DiskOp::SaveEpochs(epochs) => {
                let saved = self.epochs.epochs();
                if epochs.accepted != saved.accepted && !self.epoch_files_lie {
                    self.epochs.save_accepted(epochs.accepted)?;
                }
                if epochs.current != saved.current && !self.epoch_files_lie {
                    self.epochs.save_current(epochs.current)?;
                }
                self.durable.push(Durable::Epochs(epochs));
                DiskDone::EpochsSaved(epochs)
            }
            DiskOp::Truncate { to } => {
                // It may end before `to`, if that is no transaction of this history.
                self.durable.push(Durable::Perhaps(Zxid::ZERO));
                match self.log.truncate(&self.dirs, to, RECORD_BYTES_MAX)? {
                    Truncation::Done { last } => {
                        self.durable.push(Durable::Cut(last));
                        if last == to { DiskDone::Truncated } else { DiskDone::CannotTruncate }
                    }
                    Truncation::CannotTruncate { .. } => DiskDone::CannotTruncate,
                }
            }
            DiskOp::Fence => DiskDone::Fenced,
            DiskOp::SaveConfig { ref ensemble, committed } => {
                let files = &mut self.ensembles;
                files.next = (!committed).then(|| Ensemble::clone(ensemble));
                if committed {
                    files.committed = Ensemble::clone(ensemble);
                }
                DiskDone::ConfigSaved
            }
            DiskOp::Append { .. } | DiskOp::Install { .. } => unreachable!("handled by the callers"),
        })
    }
}
