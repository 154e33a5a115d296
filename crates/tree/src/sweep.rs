//! Which containers and TTL nodes are due to be deleted (client-protocol.md section 16).

use crate::Tree;
use crate::table::NodeId;
use core::ops::Bound;
use ostler_model::{Owner, StoredStat};

/// Candidates that one call looks at.
const EXAMINED_MAX: usize = 1_024;

/// A position in a round of [`Tree::sweep`]; a round begins with the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepCursor {
    after: Option<NodeId>,
    done: bool,
}

impl SweepCursor {
    /// True when the round has seen all candidates.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

impl Tree {
    /// Containers and TTL nodes that are due to be deleted at `now_ms` (client-protocol.md section 16). Looks at a
    /// bounded number of candidates from `cursor` on; the round is over when [`SweepCursor::is_done`]. Each path found
    /// must be checked again when its deletion is prepared.
    pub fn sweep(&self, cursor: &mut SweepCursor, now_ms: i64, max_never_used_ms: i64) -> Vec<String> {
        let from = cursor.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut due = Vec::new();
        let mut examined = 0;
        for id in self.expiring.range((from, Bound::Unbounded)).take(EXAMINED_MAX) {
            examined += 1;
            cursor.after = Some(*id);
            if self.is_due(*id, now_ms, max_never_used_ms) {
                due.push(self.path_of(*id));
            }
        }
        cursor.done = examined < EXAMINED_MAX;
        due
    }

    fn is_due(&self, id: NodeId, now_ms: i64, max_never_used_ms: i64) -> bool {
        let node = self.node_ref(id);
        node.num_children() == 0 && is_due(&node.stored(), now_ms, max_never_used_ms)
    }
}

/// Whether a node without children is to be deleted: a container that had some, or was not used for too long (0: never
/// too long), or a TTL node whose time is over.
pub(crate) fn is_due(stat: &StoredStat, now_ms: i64, max_never_used_ms: i64) -> bool {
    let idle_ms = now_ms.saturating_sub(stat.mtime);
    match Owner::from_raw(stat.ephemeral_owner) {
        Owner::Container if stat.cversion > 0 => true,
        Owner::Container => max_never_used_ms != 0 && idle_ms > max_never_used_ms,
        Owner::Ttl(ttl_ms) => idle_ms > ttl_ms,
        Owner::Persistent | Owner::Session(_) => false,
    }
}
