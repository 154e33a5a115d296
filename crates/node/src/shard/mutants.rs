//! Two of the seven broken variants of the read path need code of their own (see [`crate::Mutant`]): requests that
//! are set aside while others go ahead. Without the feature both functions do nothing.

use super::Shard;
use ostler_tree::Tree;

#[cfg(not(any(test, feature = "mutants")))]
impl Shard {
    pub(super) fn set_aside(&mut self, _slot: usize, _length: usize) -> bool {
        false
    }

    pub(super) fn run_set_aside(&mut self, _tree: &Tree) {}

    pub(super) fn run_collected(&mut self, _slot: usize, _tree: &Tree) {}
}

#[cfg(any(test, feature = "mutants"))]
mod broken {
    use super::*;
    use crate::Mutant;
    use crate::shard::buffer::{Front, front};
    use ostler_model::OpCode;
    use ostler_wire::client::RequestHeader;

    impl Shard {
        /// Takes a read or local request out of the line, if a mutant wants that.
        pub(in crate::shard) fn set_aside(&mut self, slot: usize, length: usize) -> bool {
            let conn = self.conn(slot);
            let wanted = match self.config.mutant {
                Some(Mutant::ReadAtEntry) => !conn.away.is_empty(),
                Some(Mutant::Collect) => conn.away.is_empty() || !conn.set_aside.is_empty(),
                _ => false,
            };
            if wanted {
                let frame = conn.input.filled()[..4 + length].to_vec();
                let next_seq = conn.next_seq;
                self.conn_mut(slot).set_aside.push_back((next_seq, frame));
                self.consume(slot, 4 + length);
            }
            wanted
        }

        /// `ReadAtEntry`: runs what stands behind writes that were just handled, against the tree as it is now.
        pub(in crate::shard) fn run_set_aside(&mut self, tree: &Tree) {
            if !self.config.is_broken(Mutant::ReadAtEntry) {
                return;
            }
            for slot in 0..self.conns.len() {
                let ready = |shard: &Shard| {
                    let conn = shard.conns[slot].as_deref()?;
                    let (behind, _) = conn.set_aside.front()?;
                    conn.away.front().is_none_or(|away| away.seq >= *behind).then_some(())
                };
                while ready(self).is_some() {
                    self.run_next_aside(slot, tree);
                }
            }
        }

        /// `Collect`: runs what was collected, some turns later.
        pub(in crate::shard) fn run_collected(&mut self, slot: usize, tree: &Tree) {
            if self.config.is_broken(Mutant::Collect) {
                while self.conns[slot].as_deref().is_some_and(|conn| !conn.set_aside.is_empty()) {
                    self.run_next_aside(slot, tree);
                }
            }
        }

        fn run_next_aside(&mut self, slot: usize, tree: &Tree) {
            let Some((_, frame)) = self.conn_mut(slot).set_aside.pop_front() else { return };
            let Front::Frame(length) = front(&frame, 8, usize::MAX >> 1) else { return };
            let (header, body) = RequestHeader::split(&frame[4..4 + length]).expect("it was split before");
            let body = body.to_vec();
            if header.op == OpCode::Ping.code() {
                let handled = self.handled;
                self.run_local(slot, (header.op, header.xid), &body, handled, 0);
                return;
            }
            // The read takes its place at the front of the input for as long as it runs.
            let rest = self.conn(slot).input.filled().to_vec();
            let Shard { conns, pool, input_bytes, .. } = self;
            let conn = conns[slot].as_deref_mut().expect("looked at above");
            *input_bytes += frame.len();
            conn.input.release(pool);
            conn.input.tail(pool).extend_from_slice(&frame);
            conn.input.tail(pool).extend_from_slice(&rest);
            self.run_read(slot, header, length, tree, tree.zxid());
        }
    }
}
