//! The disk thread of a member: one FIFO for everything durable, with group commit for the records of the log
//! (rules.md 1.6).
//!
//! It takes everything that is queued; consecutive records are written together and synced once. Whatever else is in
//! between waits for them and completes in its place. A failed write, sync or rename ends the process: nothing is known
//! afterwards about what the disk holds.

use crate::doorbell::Doorbell;
use crate::error::ServerError;
use crate::log_thread::LogFigures;
use crate::purge_thread;
use ostler_model::Zxid;
use ostler_store::{DataDirs, EnsembleFiles, EpochFiles, Log, RealDisk, SealedSnapshot, StoreError, Truncation};
use ostler_zab::{DiskDone, DiskOp, Epochs, Generation};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{error, info, warn};

/// One item of the FIFO.
pub enum Job {
    /// An effect of zab; its completion is reported.
    Op(Generation, DiskOp),
    /// The snapshot that an [`DiskOp::Install`] asked for is written and takes the place of the history.
    Install(Generation, SealedSnapshot<RealDisk>),
    /// A background snapshot gets its name, if the history still is the one it is part of.
    Publish(SealedSnapshot<RealDisk>),
    /// Old files are removed but for this many snapshots and what is needed behind them.
    Purge(usize),
}

/// What the thread has to say.
#[derive(Debug)]
pub enum Report {
    /// For zab.
    Done(Generation, DiskDone),
    /// A background snapshot has its name, or was thrown away because the history was changed.
    Published(bool),
    /// A snapshot is due: the log was rolled.
    SnapshotDue,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    stop: bool,
    /// The thread waits to be woken.
    idle: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    reports: Mutex<Vec<Report>>,
    figures: Mutex<LogFigures>,
}

impl Shared {
    fn push(&self, jobs: &mut Vec<Job>) {
        let mut queue = lock(&self.queue);
        queue.jobs.append(jobs);
        let wake = std::mem::replace(&mut queue.idle, false);
        drop(queue);
        // Waking is a system call even when nobody sleeps.
        if wake {
            self.filled.notify_one();
        }
    }
}

/// Another thread's way to have something done in the disk's order.
pub struct DiskQueue(Arc<Shared>);

impl DiskQueue {
    /// Removes old files, behind everything that is queued.
    pub fn purge(&self, retain: usize) {
        self.0.push(&mut vec![Job::Purge(retain)]);
    }
}

/// The loop's end of the thread.
pub struct MemberDisk {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread writes to.
pub struct Writer {
    /// The log, open behind the end of the history.
    pub log: Log<RealDisk>,
    /// The epoch files.
    pub epochs: EpochFiles<RealDisk>,
    /// zoo.cfg and what stands beside it, if the ensemble may change (`reconfigEnabled`).
    pub ensemble: Option<EnsembleFiles<RealDisk>>,
    /// Where everything is.
    pub dirs: DataDirs,
    /// The longest record that may be met when the log is cut.
    pub record_bytes_max: usize,
    /// A slower sync is worth a warning.
    pub slow_sync: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic aborts the process, so that nobody sees a poisoned lock outside of tests.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemberDisk {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(writer: Writer, doorbell: Arc<Doorbell>) -> Result<MemberDisk, ServerError> {
        let shared = Arc::new(Shared::default());
        let mut worker = Worker { shared: Arc::clone(&shared), writer, doorbell };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || worker.run())
            .map_err(ServerError::system("start the log thread"))?;
        Ok(MemberDisk { shared, thread: Some(thread) })
    }

    /// Queues jobs, in order.
    pub fn push(&self, jobs: &mut Vec<Job>) {
        if !jobs.is_empty() {
            self.shared.push(jobs);
        }
    }

    /// For other threads.
    pub fn queue(&self) -> DiskQueue {
        DiskQueue(Arc::clone(&self.shared))
    }

    /// What happened since the last call, in order.
    pub fn take_reports(&self) -> Vec<Report> {
        std::mem::take(&mut lock(&self.shared.reports))
    }

    /// What was measured; `reset` clears it.
    pub fn figures(&self, reset: bool) -> LogFigures {
        let mut figures = lock(&self.shared.figures);
        if reset { std::mem::take(&mut *figures) } else { figures.clone() }
    }

    /// Does what is queued, then ends the thread.
    pub fn stop(&mut self) {
        lock(&self.shared.queue).stop = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has already aborted the process.
            let _ = thread.join();
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    writer: Writer,
    doorbell: Arc<Doorbell>,
}

impl Worker {
    fn run(&mut self) {
        while let Some(jobs) = self.take() {
            if let Err(error) = self.work(jobs) {
                give_up(&error);
            }
        }
    }

    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = lock(&self.shared.queue);
        while queue.jobs.is_empty() {
            if queue.stop {
                return None;
            }
            queue.idle = true;
            queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        Some(std::mem::take(&mut queue.jobs))
    }

    fn work(&mut self, jobs: Vec<Job>) -> Result<(), StoreError> {
        // The last record appended and not synced, and whose it is.
        let mut unsynced: Option<(Generation, Zxid)> = None;
        let mut records = 0;
        for job in jobs {
            match job {
                Job::Op(generation, DiskOp::Append { zxid, payload }) => {
                    if self.writer.log.append(zxid, &payload)?.snapshot_due {
                        self.report(Report::SnapshotDue);
                    }
                    unsynced = Some((generation, zxid));
                    records += 1;
                }
                other => {
                    self.sync(unsynced.take(), std::mem::take(&mut records))?;
                    self.other(other)?;
                }
            }
        }
        self.sync(unsynced, records)
    }

    fn sync(&mut self, unsynced: Option<(Generation, Zxid)>, records: u64) -> Result<(), StoreError> {
        let Some((generation, zxid)) = unsynced else { return Ok(()) };
        let commit = self.writer.log.commit()?;
        self.report(Report::Done(generation, DiskDone::Synced { zxid }));
        let slow = commit.sync_time > self.writer.slow_sync;
        let mut figures = lock(&self.shared.figures);
        figures.fsynctime.add(commit.sync_time.as_millis() as u64);
        figures.sync_processor_batch_size.add(records);
        drop(figures);
        if slow {
            let (sync_ms, threshold_ms) = (commit.sync_time.as_millis(), self.writer.slow_sync.as_millis());
            warn!(
                sync_ms = sync_ms as u64,
                threshold_ms = threshold_ms as u64,
                file_bytes = commit.file_bytes,
                "fsync-ing the write ahead log took {sync_ms}ms, which delays every write; hint: give dataLogDir a \
                 disk of its own, or a faster one"
            );
        }
        Ok(())
    }

    fn other(&mut self, job: Job) -> Result<(), StoreError> {
        let writer = &mut self.writer;
        let (generation, done) = match job {
            Job::Op(generation, op) => (generation, op_done(writer, &op)?),
            Job::Install(generation, snapshot) => {
                let zxid = writer.log.install(&writer.dirs, snapshot)?;
                info!(%zxid, "the leader's snapshot {zxid} took the place of the history that was here");
                (generation, DiskDone::Installed { zxid })
            }
            Job::Purge(retain) => {
                purge_thread::run(&RealDisk, &writer.dirs, retain);
                return Ok(());
            }
            Job::Publish(snapshot) => {
                let published = writer.log.publish(snapshot)?;
                self.report(Report::Published(published));
                return Ok(());
            }
        };
        self.report(Report::Done(generation, done));
        Ok(())
    }

    fn report(&self, report: Report) {
        lock(&self.shared.reports).push(report);
        self.doorbell.ring();
    }
}

fn op_done(writer: &mut Writer, op: &DiskOp) -> Result<DiskDone, StoreError> {
    Ok(match op {
        DiskOp::SaveEpochs(epochs) => {
            save_epochs(&mut writer.epochs, *epochs)?;
            DiskDone::EpochsSaved(*epochs)
        }
        DiskOp::Truncate { to } => match writer.log.truncate(&writer.dirs, *to, writer.record_bytes_max)? {
            Truncation::Done { last } if last == *to => {
                info!(%to, "the log was cut behind {to}: the leader has another history from there on");
                DiskDone::Truncated
            }
            Truncation::Done { last } => {
                warn!(%to, %last, "the log could be cut behind {last} only, not behind {to}: the leader sends everything");
                DiskDone::CannotTruncate
            }
            Truncation::CannotTruncate { why } => {
                warn!(%to, "the log cannot be cut behind {to} ({why}): the leader sends everything");
                DiskDone::CannotTruncate
            }
        },
        DiskOp::Fence => DiskDone::Fenced,
        DiskOp::SaveConfig { ensemble, committed } => {
            let files = writer.ensemble.as_mut().expect("without reconfigEnabled zab keeps the ensemble as it is");
            files.save(ensemble, *committed)?;
            DiskDone::ConfigSaved
        }
        DiskOp::Append { .. } | DiskOp::Install { .. } => unreachable!("handled by the callers"),
    })
}

/// In this order a crash in between leaves a current epoch that was accepted.
fn save_epochs(files: &mut EpochFiles<RealDisk>, epochs: Epochs) -> Result<(), StoreError> {
    let saved = files.epochs();
    if epochs.accepted != saved.accepted {
        files.save_accepted(epochs.accepted)?;
    }
    if epochs.current != saved.current {
        files.save_current(epochs.current)?;
    }
    Ok(())
}

/// What failed is never tried again.
fn give_up(error: &StoreError) -> ! {
    error!("what must be durable cannot be written, stopping now so that nothing unsafe is acknowledged: {error}");
    std::process::exit(i32::from(crate::config::EXIT_FAILURE));
}
