//! When a member serves read-only clients: after some time without a quorum, and until there is one or anything happens
//! to the tree.

use super::{Member, Order, Parts};
use ostler_zab::{DiskOp, Effect};

/// True if the effect leaves alone what read-only clients look at: tree, window, sessions.
pub(super) fn is_beside_the_tree(effect: &Effect) -> bool {
    match effect {
        Effect::Notify { .. }
        | Effect::Send { .. }
        | Effect::CloseLink { .. }
        | Effect::Trace(_)
        | Effect::Resigned
        | Effect::Disk { op: DiskOp::SaveEpochs(_) | DiskOp::Fence, .. } => true,
        Effect::DialLeader { .. }
        | Effect::SendHistory { .. }
        | Effect::SendTree { .. }
        | Effect::ReceiveTree { .. }
        | Effect::Deliver { .. }
        | Effect::AnswerPing { .. }
        | Effect::Disk { .. }
        | Effect::Replay { .. }
        | Effect::Commit { .. }
        | Effect::Forget { .. }
        | Effect::Reload { .. }
        | Effect::Reached { .. }
        | Effect::Serve { .. }
        | Effect::StopServing
        | Effect::Activate { .. } => false,
    }
}

impl Member {
    /// The server began or ceased to look for a leader.
    pub(super) fn plan_read_only(&mut self, parts: &mut Parts<'_>) {
        self.end_read_only(parts);
        let wait_ms = if self.looking { parts.replica.read_only_after_ms() } else { None };
        self.read_only_at_ms = wait_ms.map(|wait_ms| parts.now.mono_ms + wait_ms);
    }

    /// Read-only mode, if it is time for it.
    pub(super) fn begin_read_only(&mut self, parts: &mut Parts<'_>) {
        if self.read_only_at_ms.is_none_or(|at| parts.now.mono_ms < at) {
            return;
        }
        self.read_only_at_ms = None;
        let shown = parts.replica.serve_read_only(parts.now, parts.tree, parts.streams);
        self.orders.push(if shown { Order::ServingReadOnly } else { Order::NothingToShow });
    }

    /// What is looked at is about to change, or a quorum is there: its clients go.
    pub(super) fn end_read_only(&mut self, parts: &mut Parts<'_>) {
        if parts.replica.is_read_only() {
            parts.replica.stop_serving(parts.streams);
            self.orders.push(Order::StoppedReadOnly);
            // For the case that the search goes on.
            self.read_only_at_ms = parts.replica.read_only_after_ms().map(|wait_ms| parts.now.mono_ms + wait_ms);
        }
    }
}
