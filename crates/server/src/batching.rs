//! How long the log thread waits for more records before it writes those it has (`flushDelay`,
//! `maxWriteQueuePollTime`, `maxBatchSize`).
//!
//! By default it does not wait: the batch is what arrived during the last sync. With `flushDelay` two syncs are that
//! far apart, unless nothing new arrives for `maxWriteQueuePollTime` or the batch is full: fewer syncs for later
//! answers.

use std::time::Duration;

/// The rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batching {
    /// `maxBatchSize`: records of one commit, 0 = unlimited.
    pub records_max: usize,
    /// `flushDelay`: least time between two commits that anybody waits for; 0 = off.
    pub flush_delay: Duration,
    /// `maxWriteQueuePollTime`: without a new record for this long the batch is written all the same.
    pub poll_time: Duration,
}

impl Batching {
    /// Records of one commit.
    pub fn records_max(&self) -> usize {
        if self.records_max == 0 { usize::MAX } else { self.records_max }
    }

    /// How long to wait for another record, `since_commit` after the last commit and with `records` waiting;
    /// `None`: write now.
    pub fn patience(&self, since_commit: Duration, records: usize) -> Option<Duration> {
        let left = self.flush_delay.saturating_sub(since_commit).min(self.poll_time);
        (records < self.records_max() && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn by_default_nothing_waits() {
        let batching = Batching { records_max: 1_000, flush_delay: ms(0), poll_time: ms(50) };
        assert_eq!(batching.patience(ms(0), 1), None);
        assert_eq!(batching.patience(ms(0), 0), None);
    }

    #[test]
    fn commits_are_a_flush_delay_apart() {
        let batching = Batching { records_max: 0, flush_delay: ms(30), poll_time: ms(10) };
        // Right after a commit: until the poll time is over, each time.
        assert_eq!(batching.patience(ms(0), 1), Some(ms(10)));
        assert_eq!(batching.patience(ms(15), 1_000_000), Some(ms(10)));
        // The end of the delay comes first.
        assert_eq!(batching.patience(ms(27), 1), Some(ms(3)));
        assert_eq!(batching.patience(ms(30), 1), None);
        assert_eq!(batching.patience(ms(5_000), 1), None);
    }

    #[test]
    fn a_full_batch_and_a_poll_time_of_zero_do_not_wait() {
        let batching = Batching { records_max: 3, flush_delay: ms(30), poll_time: ms(10) };
        assert_eq!(batching.patience(ms(0), 2), Some(ms(10)));
        assert_eq!(batching.patience(ms(0), 3), None);
        assert_eq!(Batching { poll_time: ms(0), ..batching }.patience(ms(0), 1), None);
    }
}
