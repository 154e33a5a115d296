//! What a leader must know of its ensemble to check a reconfig request (E§16.4).

use super::Replica;
use ostler_model::{Ensemble, ErrorCode, Reconfig, Request, ServerId, Txn, Zxid};
use std::collections::BTreeSet;

/// The ensemble as the leader sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// In force.
    pub committed: Ensemble,
    /// Proposed, or the same.
    pub last_seen: Ensemble,
    /// Who would take part in a quorum at once: the leader, and followers that have its whole history.
    pub synced: BTreeSet<ServerId>,
}

impl Replica {
    /// What zab knows now. A reconfiguration that is prepared here and did not reach zab yet stays the last one seen.
    pub fn set_membership(&mut self, mut membership: Membership) {
        if let Some(before) = self.membership.take()
            && before.last_seen.version() > membership.last_seen.version()
        {
            membership.last_seen = before.last_seen;
        }
        self.membership = Some(membership);
    }

    /// The ensemble that a request asks for, if it may be proposed. None: there is no ensemble, or that is no such
    /// request.
    pub(super) fn next_ensemble(&self, request: &Request<'_>, zxid: Zxid) -> Option<Result<Ensemble, ErrorCode>> {
        let Request::Reconfig { joining, leaving, new_members, config_id } = request else { return None };
        let Membership { committed, last_seen, synced } = self.membership.as_ref()?;
        let asked = Reconfig {
            joining: joining.as_deref(),
            leaving: leaving.as_deref(),
            new_members: new_members.as_deref(),
            from_version: *config_id,
        };
        let next = asked.next(committed, last_seen, self.config.standalone_enabled, zxid.0);
        Some(next.map_err(|error| error.code()).and_then(|next| {
            let is_ready = next.is_quorum(|server| synced.contains(&server));
            if is_ready { Ok(next) } else { Err(ErrorCode::NewConfigNoQuorum) }
        }))
    }

    /// One at a time: until this one is committed the next is refused.
    pub(super) fn note_reconfig(&mut self, next: Ensemble) {
        if let Some(membership) = &mut self.membership {
            membership.last_seen = next;
        }
    }
}

/// The ensemble that a transaction puts into force.
pub(crate) fn ensemble_in(txn: &Txn) -> Option<Box<Ensemble>> {
    match txn {
        Txn::Reconfig { data: Some(text), .. } => {
            std::str::from_utf8(text).ok().and_then(|text| Ensemble::parse(text).ok()).map(Box::new)
        }
        _ => None,
    }
}
