//! The log thread: group commit. It takes everything that is queued, writes it, syncs once, and says how far it is.
//!
//! The batch is whatever arrived during the last sync, unless [`Batching`] asks for patience. A failed write or sync ends the process,
//! because nothing is known afterwards about what the disk holds (architecture.md, invariant 5).

use crate::batching::Batching;
use crate::doorbell::Doorbell;
use crate::error::ServerError;
use crate::metrics::Summary;
use ostler_model::Zxid;
use ostler_node::Append;
use ostler_store::{Disk, Log, StoreError};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{error, warn};

#[derive(Debug, Default)]
struct Queue {
    records: Vec<Append>,
    stop: bool,
    idle: bool,
}

#[derive(Debug, Default)]
struct Figures {
    sync_ms: Summary,
    batch: Summary,
    slow_syncs: u64,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    synced: AtomicI64,
    snapshot_due: AtomicBool,
    figures: Mutex<Figures>,
}

/// The loop's end of the log thread.
#[derive(Debug)]
pub struct LogThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the log thread measured since it was last asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "see the metrics of the same names")]
pub struct LogFigures {
    pub fsynctime: Summary,
    pub sync_processor_batch_size: Summary,
    pub fsync_threshold_exceed_count: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic aborts the process, so that nobody sees a poisoned lock outside of tests.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogThread {
    /// Starts it. `synced` is the last transaction that is already durable.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start<D: Disk>(
        log: Log<D>,
        synced: Zxid,
        batching: Batching,
        slow_sync: Duration,
        doorbell: Arc<Doorbell>,
    ) -> Result<LogThread, ServerError> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            filled: Condvar::new(),
            synced: AtomicI64::new(synced.0),
            snapshot_due: AtomicBool::new(false),
            figures: Mutex::new(Figures::default()),
        });
        let last_commit = Instant::now();
        let mut writer = Writer { shared: Arc::clone(&shared), log, batching, last_commit, slow_sync, doorbell };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())
            .map_err(ServerError::system("start the log thread"))?;
        Ok(LogThread { shared, thread: Some(thread) })
    }

    /// Queues records, in zxid order, and leaves `records` empty. Its buffer is swapped, not copied, when it can be.
    pub fn push(&self, records: &mut Vec<Append>) {
        if records.is_empty() {
            return;
        }
        let mut queue = lock(&self.shared.queue);
        if queue.records.is_empty() {
            std::mem::swap(&mut queue.records, records);
        } else {
            queue.records.append(records);
        }
        let wake = std::mem::replace(&mut queue.idle, false);
        drop(queue);
        if wake {
            self.shared.filled.notify_one();
        }
    }

    /// Everything up to here is durable.
    pub fn synced(&self) -> Zxid {
        Zxid(self.shared.synced.load(Ordering::SeqCst))
    }

    /// True once after a roll: a snapshot should be taken.
    pub fn take_snapshot_due(&self) -> bool {
        self.shared.snapshot_due.load(Ordering::Relaxed) && self.shared.snapshot_due.swap(false, Ordering::SeqCst)
    }

    /// What was measured; `reset` clears it.
    pub fn figures(&self, reset: bool) -> LogFigures {
        let mut figures = lock(&self.shared.figures);
        let copy = LogFigures {
            fsynctime: figures.sync_ms,
            sync_processor_batch_size: figures.batch,
            fsync_threshold_exceed_count: figures.slow_syncs,
        };
        if reset {
            *figures = Figures::default();
        }
        copy
    }

    /// Writes and syncs what is queued, then ends the thread.
    pub fn stop(mut self) {
        lock(&self.shared.queue).stop = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has already aborted the process.
            let _ = thread.join();
        }
    }
}

struct Writer<D: Disk> {
    shared: Arc<Shared>,
    log: Log<D>,
    batching: Batching,
    last_commit: Instant,
    slow_sync: Duration,
    doorbell: Arc<Doorbell>,
}

impl<D: Disk> Writer<D> {
    fn run(&mut self) {
        let mut batch: Vec<Append> = Vec::new();
        while self.take(&mut batch) {
            for part in batch.chunks(self.batching.records_max()) {
                if let Err(error) = self.commit(part) {
                    give_up(&error);
                }
            }
            batch.clear();
        }
    }

    /// Waits for records; false = the queue is empty and the server stops.
    fn take(&self, batch: &mut Vec<Append>) -> bool {
        let mut queue = lock(&self.shared.queue);
        while queue.records.is_empty() {
            if queue.stop {
                return false;
            }
            queue.idle = true;
            queue = self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        while !queue.stop
            && let Some(patience) = self.batching.patience(self.last_commit.elapsed(), queue.records.len())
        {
            queue.idle = true;
            let before = queue.records.len();
            let waited = self.shared.filled.wait_timeout(queue, patience);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.records.len() == before {
                break;
            }
        }
        queue.idle = false;
        std::mem::swap(&mut queue.records, batch);
        true
    }

    fn commit(&mut self, records: &[Append]) -> Result<(), StoreError> {
        let mut snapshot_due = false;
        for append in records {
            snapshot_due |= self.log.append(append.zxid, &append.record)?.snapshot_due;
        }
        let commit = self.log.commit()?;
        self.last_commit = Instant::now();
        if let Some(last) = commit.last {
            self.shared.synced.store(last.0, Ordering::SeqCst);
        }
        if snapshot_due {
            self.shared.snapshot_due.store(true, Ordering::SeqCst);
        }
        self.doorbell.ring();
        let slow = commit.sync_time > self.slow_sync;
        let sync_ms = commit.sync_time.as_millis() as u64;
        let mut figures = lock(&self.shared.figures);
        figures.sync_ms.add(sync_ms);
        figures.batch.add(records.len() as u64);
        figures.slow_syncs += u64::from(slow);
        drop(figures);
        if slow {
            warn!(
                sync_ms,
                threshold_ms = self.slow_sync.as_millis() as u64,
                records = records.len(),
                file_bytes = commit.file_bytes,
                "fsync-ing the write ahead log took {sync_ms}ms, which delays every write; hint: give dataLogDir a \
                 disk of its own, or a faster one"
            );
        }
        Ok(())
    }
}

/// A log that failed is never written again.
fn give_up(error: &StoreError) -> ! {
    error!("the transaction log cannot be written, stopping now so that nothing unsafe is acknowledged: {error}");
    std::process::exit(i32::from(crate::config::EXIT_FAILURE));
}
