//! The log thread in virtual time: takes what is queued, writes and syncs it with the real store on the faulty disk,
//! and says so some time later. The calls of the store happen at the beginning or at the end of that time.

use crate::heap::Micros;
use ostler_model::Dice;
use ostler_model::Zxid;
use ostler_node::Append;
use ostler_store::faulty::FaultyDisk;
use ostler_store::{Log, StoreError};

#[derive(Debug)]
struct Batch {
    records: Vec<Append>,
    /// The store has it already; only the news is under way.
    written: bool,
}

/// The queue, the log and what is known to be durable.
#[derive(Debug)]
pub struct LogThread {
    log: Log<FaultyDisk>,
    queue: Vec<Append>,
    flight: Option<Batch>,
    /// Everything up to here is durable.
    pub synced: Zxid,
    /// A file was finished: a snapshot should be taken.
    pub snapshot_due: bool,
}

impl LogThread {
    /// A thread that has nothing to do.
    pub fn new(log: Log<FaultyDisk>, synced: Zxid) -> LogThread {
        LogThread { log, queue: Vec::new(), flight: None, synced, snapshot_due: false }
    }

    /// Queues records.
    pub fn push(&mut self, records: Vec<Append>) {
        self.queue.extend(records);
    }

    /// Begins a batch if the thread is idle and there is one; returns when it will be done.
    ///
    /// # Errors
    /// The disk failed.
    pub fn begin(&mut self, now: Micros, dice: &mut Dice, usual_us: u64) -> Result<Option<Micros>, StoreError> {
        if self.flight.is_some() || self.queue.is_empty() {
            return Ok(None);
        }
        let mut batch = Batch { records: std::mem::take(&mut self.queue), written: dice.percent(50) };
        if batch.written {
            self.write(&batch.records)?;
        }
        batch.records.shrink_to_fit();
        self.flight = Some(batch);
        Ok(Some(now + dice.long_tailed(usual_us, usual_us * 50)))
    }

    /// The batch is done.
    ///
    /// # Errors
    /// The disk failed.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        let batch = self.flight.take().expect("a batch is under way");
        if !batch.written {
            self.write(&batch.records)?;
        }
        self.synced = batch.records.last().map_or(self.synced, |last| last.zxid);
        Ok(())
    }

    /// The process dies: whatever part of the batch the disk still gets.
    pub fn interrupted(&mut self) {
        if let Some(batch) = self.flight.take().filter(|batch| !batch.written) {
            // Nobody is left to hear of an error.
            let _ = self.write(&batch.records);
        }
    }

    fn write(&mut self, records: &[Append]) -> Result<(), StoreError> {
        for append in records {
            self.snapshot_due |= self.log.append(append.zxid, &append.record)?.snapshot_due;
        }
        self.log.commit().map(|_| ())
    }
}
