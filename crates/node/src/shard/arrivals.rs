//! When the bytes of a connection came in. Kept only if a setting asks how long requests wait
//! (`throttled_op_wait_time`, `request_stale_latency_check`).

use std::collections::VecDeque;

/// Marks of one connection: up to which byte its input had come at which time.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    received: u64,
    taken: u64,
    /// (end, time), ascending; only those beyond `taken`. At most one per millisecond.
    marks: VecDeque<(u64, u64)>,
}

impl Arrivals {
    /// More bytes were read.
    pub(super) fn note(&mut self, bytes: usize, now_ms: u64) {
        self.received += bytes as u64;
        match self.marks.back_mut() {
            Some((end, at)) if *at == now_ms => *end = self.received,
            _ => self.marks.push_back((self.received, now_ms)),
        }
    }

    /// When the last of the first `bytes` waiting bytes came in; `None` if they are not all there.
    pub(super) fn arrived_ms(&self, bytes: usize) -> Option<u64> {
        let end = self.taken + bytes as u64;
        self.marks.iter().find(|(until, _)| *until >= end).map(|(_, at)| *at)
    }

    /// The first `bytes` waiting bytes are done with.
    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        while self.marks.front().is_some_and(|(end, _)| *end <= self.taken) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_old_as_its_last_byte() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.arrived_ms(1), None);
        arrivals.note(10, 100);
        arrivals.note(5, 100);
        arrivals.note(5, 200);
        assert_eq!(arrivals.marks.len(), 2, "one mark per millisecond");
        assert_eq!(arrivals.arrived_ms(15), Some(100));
        assert_eq!(arrivals.arrived_ms(16), Some(200));
        assert_eq!(arrivals.arrived_ms(21), None);
        arrivals.take(12);
        assert_eq!(arrivals.arrived_ms(3), Some(100));
        assert_eq!(arrivals.arrived_ms(8), Some(200));
        arrivals.take(8);
        assert!(arrivals.marks.is_empty());
        arrivals.note(1, 300);
        assert_eq!(arrivals.arrived_ms(1), Some(300));
    }
}
