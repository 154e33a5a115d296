//! The event heap: what happens next, ordered by (virtual time, sequence). Nothing else moves the world.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Microseconds since the world began.
pub type Micros = u64;

#[derive(Debug)]
struct Entry<E> {
    at: Micros,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    /// The earliest is the greatest, as the heap of the standard library gives out the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Future events.
#[derive(Debug)]
pub struct Heap<E> {
    entries: BinaryHeap<Entry<E>>,
    sequence: u64,
    now: Micros,
}

impl<E> Heap<E> {
    /// Time 0, nothing planned.
    pub fn new() -> Heap<E> {
        Heap { entries: BinaryHeap::new(), sequence: 0, now: 0 }
    }

    /// The time of the event that was taken last.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Plans an event; what lies in the past happens now.
    pub fn push(&mut self, at: Micros, event: E) {
        self.sequence += 1;
        self.entries.push(Entry { at: at.max(self.now), sequence: self.sequence, event });
    }

    /// The next event; time moves to it.
    pub fn pop(&mut self) -> Option<E> {
        let Entry { at, event, .. } = self.entries.pop()?;
        self.now = at;
        Some(event)
    }
}

impl<E> Default for Heap<E> {
    fn default() -> Self {
        Heap::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_the_order_planned() {
        let mut heap = Heap::new();
        heap.push(5, "c");
        heap.push(3, "a");
        heap.push(3, "b");
        assert_eq!((heap.pop(), heap.now()), (Some("a"), 3));
        heap.push(1, "late");
        assert_eq!((heap.pop(), heap.now()), (Some("b"), 3));
        assert_eq!((heap.pop(), heap.now()), (Some("late"), 3));
        assert_eq!((heap.pop(), heap.now()), (Some("c"), 5));
        assert_eq!(heap.pop(), None);
    }
}
