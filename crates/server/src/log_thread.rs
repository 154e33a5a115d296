//! The log thread: group commit. It takes everything that is queued, writes it, syncs once, and says how far it is.
//!
//! The batch is whatever arrived during the last sync, unless [`Batching`] asks for patience. A failed write or sync ends the process,
//! because nothing is known afterwards about what the disk holds (architecture.md, invariant 5).

use crate::batching::Batching;
use crate::doorbell::Doorbell;
use crate::error::ServerError;
use ostler_model::Zxid;
use ostler_node::{Append, Distribution, Summary};
use ostler_store::{Disk, Log, StoreError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{error, warn};

#[derive(Debug, Default)]
struct Queue {
    records: Vec<Append>,
    /// How many records came when, for the figures.
    pushes: VecDeque<(usize, Instant)>,
    stop: bool,
    idle: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    synced: AtomicI64,
    snapshot_due: AtomicBool,
    figures: Mutex<LogFigures>,
}

/// The loop's end of the log thread.
#[derive(Debug)]
pub struct LogThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the log thread measured since it was last asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "see the metrics of the same names")]
pub struct LogFigures {
    pub fsynctime: Summary,
    pub sync_processor_batch_size: Summary,
    /// Records found waiting when a batch was taken.
    pub sync_processor_queue_size: Summary,
    /// Writing and syncing one batch.
    pub sync_process_time: Summary,
    pub sync_processor_queue_time_ms: Distribution,
    pub sync_processor_queue_flush_time_ms: Distribution,
    pub sync_processor_queue_and_flush_time_ms: Distribution,
    pub fsync_threshold_exceed_count: u64,
}

impl LogFigures {
    /// `records` of those that came at `pushes` were written from `begin` to `end`; they are taken off `pushes`.
    fn note(&mut self, records: usize, begin: Instant, end: Instant, pushes: &mut VecDeque<(usize, Instant)>) {
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_millis() as u64;
        self.sync_processor_queue_size.add(pushes.iter().map(|(count, _)| *count as u64).sum());
        self.sync_processor_batch_size.add(records as u64);
        self.sync_process_time.add(ms(begin, end));
        let mut left = records;
        while left > 0
            && let Some((count, pushed)) = pushes.front_mut()
        {
            let of_this = left.min(*count);
            self.sync_processor_queue_time_ms.add_many(ms(*pushed, begin), of_this as u64);
            self.sync_processor_queue_and_flush_time_ms.add_many(ms(*pushed, end), of_this as u64);
            left -= of_this;
            *count -= of_this;
            if *count == 0 {
                pushes.pop_front();
            }
        }
    }
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
            figures: Mutex::new(LogFigures::default()),
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
        let now = Instant::now();
        let mut queue = lock(&self.shared.queue);
        queue.pushes.push_back((records.len(), now));
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
        if reset { std::mem::take(&mut *figures) } else { figures.clone() }
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
        let mut pushes = VecDeque::new();
        while self.take(&mut batch, &mut pushes) {
            for part in batch.chunks(self.batching.records_max()) {
                if let Err(error) = self.commit(part, &mut pushes) {
                    give_up("the transaction log cannot be written", &error);
                }
            }
            batch.clear();
            pushes.clear();
        }
    }

    /// Waits for records; false = the queue is empty and the server stops.
    fn take(&self, batch: &mut Vec<Append>, pushes: &mut VecDeque<(usize, Instant)>) -> bool {
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
        std::mem::swap(&mut queue.pushes, pushes);
        true
    }

    fn commit(&mut self, records: &[Append], pushes: &mut VecDeque<(usize, Instant)>) -> Result<(), StoreError> {
        let begin = Instant::now();
        let mut snapshot_due = false;
        for append in records {
            snapshot_due |= self.log.append(append.zxid, &append.record)?.snapshot_due;
        }
        let commit = self.log.commit()?;
        self.last_commit = Instant::now();
        let slow = commit.sync_time > self.slow_sync;
        let sync_ms = commit.sync_time.as_millis() as u64;
        // Before anybody can have an answer: who reads the figures then finds this commit in them.
        let mut figures = lock(&self.shared.figures);
        figures.note(records.len(), begin, self.last_commit, pushes);
        figures.fsynctime.add(sync_ms);
        figures.sync_processor_queue_flush_time_ms.add(sync_ms);
        figures.fsync_threshold_exceed_count += u64::from(slow);
        drop(figures);
        if let Some(last) = commit.last {
            self.shared.synced.store(last.0, Ordering::SeqCst);
        }
        if snapshot_due {
            self.shared.snapshot_due.store(true, Ordering::SeqCst);
        }
        self.doorbell.ring();
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

/// What failed once is never written again: nobody knows what the disk holds now.
pub(crate) fn give_up(what: &str, error: &StoreError) -> ! {
    error!("{what}, stopping now so that nothing unsafe is acknowledged: {error}");
    std::process::exit(i32::from(crate::config::EXIT_FAILURE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_those_of_the_records() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pushes = VecDeque::from([(2, at(0)), (3, at(10))]);
        let mut figures = LogFigures::default();
        figures.note(4, at(20), at(25), &mut pushes);
        assert_eq!(pushes, [(1, at(10))]);
        let queue = figures.sync_processor_queue_time_ms.summary();
        assert_eq!((queue.count, queue.sum, queue.min, queue.max), (4, 20 + 20 + 10 + 10, 10, 20));
        let all = figures.sync_processor_queue_and_flush_time_ms.summary();
        assert_eq!((all.count, all.sum), (4, 25 + 25 + 15 + 15));
        figures.note(1, at(25), at(30), &mut pushes);
        assert!(pushes.is_empty());
        assert_eq!(figures.sync_processor_queue_size, Summary { count: 2, sum: 6, min: 1, max: 5 });
        assert_eq!(figures.sync_processor_batch_size, Summary { count: 2, sum: 5, min: 1, max: 4 });
        assert_eq!(figures.sync_process_time, Summary { count: 2, sum: 10, min: 5, max: 5 });
    }
}
