//! A long recovery says how far it is, every few seconds; a short one says nothing.

use ostler_store::Progress;
use std::time::Duration;

/// How often.
const INTERVAL: Duration = Duration::from_secs(3);

/// When the last line was printed.
#[derive(Debug, Default)]
pub struct ProgressLine {
    last: Duration,
}

impl ProgressLine {
    /// The line to print `elapsed` after the beginning, if one is due.
    pub fn due(&mut self, elapsed: Duration, progress: &Progress) -> Option<String> {
        if elapsed.saturating_sub(self.last) < INTERVAL {
            return None;
        }
        self.last = elapsed;
        let Progress { nodes, records, bytes, bytes_total } = progress;
        let percent = (bytes.saturating_mul(100) / (*bytes_total).max(1)).min(100);
        let seconds = elapsed.as_secs();
        Some(format!("reading the data: {percent}% after {seconds} s ({nodes} nodes, {records} log records)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_line_every_three_seconds() {
        let mut line = ProgressLine::default();
        let half = Progress { nodes: 7, records: 5, bytes: 50, bytes_total: 100 };
        assert_eq!(line.due(at(0), &half), None);
        assert_eq!(line.due(at(2_999), &half), None);
        let text = line.due(at(3_000), &half);
        assert_eq!(text.as_deref(), Some("reading the data: 50% after 3 s (7 nodes, 5 log records)"));
        assert_eq!(line.due(at(3_001), &half), None);
        // After a long step: the next one is three seconds after it.
        assert!(line.due(at(10_500), &half).is_some());
        assert_eq!(line.due(at(13_499), &half), None);
        assert!(line.due(at(13_500), &half).is_some());
    }

    #[test]
    fn odd_totals_are_borne() {
        let mut line = ProgressLine::default();
        let empty = Progress { nodes: 0, records: 0, bytes: 0, bytes_total: 0 };
        assert!(line.due(at(3_000), &empty).is_some_and(|text| text.contains(" 0% ")));
        let over = Progress { bytes: 300, bytes_total: 100, ..empty };
        assert!(line.due(at(9_000), &over).is_some_and(|text| text.contains(" 100% ")));
    }
}
