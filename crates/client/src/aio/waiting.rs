//! Calls that the session has: in the order in which they were asked, which is almost always that of the answers.

use crate::aio::call::Slot;
use crate::aio::shared::Registration;
use crate::effect::RequestId;
use std::collections::VecDeque;
use std::sync::Arc;

/// Whom to answer, and the watcher that begins with the answer.
type Asked = (Arc<Slot>, Option<Registration>);

/// Sorted by request; what is answered behind one that is not leaves its place empty.
#[derive(Debug, Default)]
pub(crate) struct Waiting(VecDeque<(RequestId, Option<Asked>)>);

impl Waiting {
    /// Ids grow.
    pub fn insert(&mut self, id: RequestId, slot: Arc<Slot>, watch: Option<Registration>) {
        assert!(self.0.back().is_none_or(|(last, _)| *last < id), "request ids grow");
        self.0.push_back((id, Some((slot, watch))));
    }

    /// Finds the first one at once, others by halves (an auth packet is answered out of the order of requests).
    pub fn remove(&mut self, id: RequestId) -> Option<Asked> {
        let at = match self.0.front() {
            Some((first, _)) if *first == id => 0,
            _ => self.0.binary_search_by_key(&id, |(other, _)| *other).ok()?,
        };
        let found = self.0[at].1.take();
        while self.0.front().is_some_and(|(_, slot)| slot.is_none()) {
            self.0.pop_front();
        }
        found
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Arc<Slot>> {
        self.0.drain(..).filter_map(|(_, slot)| slot.map(|(slot, _)| slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_once_in_any_order() {
        let mut waiting = Waiting::default();
        for id in [2, 3, 5, 8] {
            waiting.insert(RequestId(id), Arc::new(Slot::taken()), None);
        }
        let mut found = |id| waiting.remove(RequestId(id)).is_some();
        assert_eq!([5, 2, 2, 4, 8, 5, 3, 3].map(&mut found), [true, true, false, false, true, false, true, false]);
        assert!(waiting.0.is_empty());
    }
}
