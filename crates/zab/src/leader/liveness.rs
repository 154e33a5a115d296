//! Time: pings, learners that fell silent, and the quorum of those that did not (E§11.2).

use super::{Joint, Leader, LinkStage, Stage, Step};
use crate::configs::is_quorum;
use crate::state::State;
use crate::{CloseWhy, LinkId, RoleEnd};
use alloc::vec::Vec;

impl Leader {
    pub(crate) fn tick(&mut self, state: &mut State) -> Step {
        if self.stage != Stage::Broadcast && state.now_ms >= self.stage_until_ms {
            return Err(RoleEnd::EstablishmentTimeout);
        }
        let silent: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.close_at_ms <= state.now_ms).map(|(id, _)| *id).collect();
        for id in silent {
            self.drop_link(state, id, CloseWhy::Silent);
        }
        if state.now_ms >= self.next_ping_ms {
            self.next_ping_ms = state.now_ms + (state.settings.tick_ms / 2).max(1);
            self.half_ticks += 1;
            self.drop_debtors(state);
            self.ping(state);
            if self.half_ticks.is_multiple_of(2) {
                self.look_at_quorum(state)?;
            }
        }
        Ok(())
    }

    /// Those that did not acknowledge a proposal for too long.
    fn drop_debtors(&mut self, state: &mut State) {
        let patience_ms = state.ticks(state.settings.sync_limit);
        let debtors: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.owes_since_ms.is_some_and(|since_ms| since_ms + patience_ms <= state.now_ms))
            .map(|(id, _)| *id)
            .collect();
        for id in debtors {
            self.drop_link(state, id, CloseWhy::Slow);
        }
    }

    fn look_at_quorum(&self, state: &State) -> Step {
        if self.stage != Stage::Broadcast {
            return Ok(());
        }
        // BUG-43: an observer that will vote in the next ensemble acknowledges nothing before.
        let is_alive = |server| {
            self.links.values().any(|link| {
                link.server == Some(server)
                    && !link.observer
                    && link.stage >= LinkStage::Proposed
                    && link.alive_until_ms >= state.now_ms
            })
        };
        // What waits for the old ensemble as well is committed by the next leader, if that does not answer any more: whoever
        // begins an epoch in the new one needs no other.
        let (me, quirks) = (state.settings.me, &state.settings.quirks);
        let waits = |joint: &&Joint| joint.upto > self.committed;
        let is_old_alive = self
            .joint
            .as_ref()
            .filter(waits)
            .is_none_or(|joint| is_quorum(&joint.old, quirks, |server| server == me || is_alive(server)));
        let is_quorum = Leader::is_quorum_with_me(state, is_alive);
        if is_quorum && is_old_alive { Ok(()) } else { Err(RoleEnd::NoQuorum) }
    }

    /// Keeps the window in its bounds. A learner that is synchronised and needs far too much of it is given up.
    pub(crate) fn evict(&mut self, state: &mut State) {
        let needed = |links: &alloc::collections::BTreeMap<LinkId, super::Link>| {
            let needs = links.iter().filter_map(|(id, link)| Some((link.needs_after()?, *id)));
            needs.min()
        };
        let bounds = (state.settings.window_txns_max * 16, state.settings.window_bytes_max * 4);
        while state.window.len() > bounds.0 || state.window.bytes() > bounds.1 {
            match needed(&self.links) {
                Some((zxid, id)) if zxid < state.tree.applied.min(state.synced) => {
                    self.drop_link(state, id, CloseWhy::Slow);
                }
                _ => break,
            }
        }
        let keep_after = needed(&self.links).map_or(state.history.last(), |(zxid, _)| zxid);
        state.evict(keep_after.min(self.committed));
    }
}
