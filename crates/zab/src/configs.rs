//! The two ensembles a server knows: the one in force, and the newest one it has seen (E§16.2).
//!
//! They differ only while a reconfiguration is under way; then whatever needs a quorum needs one in both (E§16.5). The
//! exceptions are the two waits of discovery, which look at the ensemble in force alone.

use crate::Quirks;
use alloc::collections::BTreeSet;
use ostler_model::{Ensemble, ServerId};

/// The ensemble in force and the newest one seen.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Configs {
    /// In force.
    pub(crate) committed: Ensemble,
    /// Never of a lower version than `committed`.
    pub(crate) last_seen: Ensemble,
}

impl Configs {
    /// The ensembles of a server that starts.
    pub(crate) fn new(committed: Ensemble, last_seen: Ensemble) -> Configs {
        let last_seen = if last_seen.version() > committed.version() { last_seen } else { committed.clone() };
        Configs { committed, last_seen }
    }

    /// True while a reconfiguration is proposed and not known to be committed.
    pub(crate) fn is_changing(&self) -> bool {
        self.last_seen.version() > self.committed.version()
    }

    /// The voters of both ensembles, ascending.
    pub(crate) fn voters(&self) -> BTreeSet<ServerId> {
        self.committed.voters().chain(self.last_seen.voters()).collect()
    }

    /// True if this server votes in one of them.
    pub(crate) fn is_voter(&self, server: ServerId) -> bool {
        self.committed.is_voter(server) || self.last_seen.is_voter(server)
    }

    /// True if the servers for which `has` holds are a quorum of the ensemble in force and, while it changes, of the
    /// next one too.
    pub(crate) fn is_quorum(&self, quirks: &Quirks, mut has: impl FnMut(ServerId) -> bool) -> bool {
        is_quorum(&self.committed, quirks, &mut has) && (!self.is_changing() || is_quorum(&self.last_seen, quirks, has))
    }

    /// The same, of the ensemble in force alone.
    pub(crate) fn is_committed_quorum(&self, quirks: &Quirks, has: impl FnMut(ServerId) -> bool) -> bool {
        is_quorum(&self.committed, quirks, has)
    }
}

/// A quorum of one ensemble; with the quirk, observers count as if they were voters.
pub(crate) fn is_quorum(ensemble: &Ensemble, quirks: &Quirks, mut has: impl FnMut(ServerId) -> bool) -> bool {
    if quirks.count_observers {
        let voters = ensemble.voters().count();
        let in_favour = ensemble.members().iter().filter(|member| has(member.id)).count();
        return in_favour > voters / 2;
    }
    ensemble.is_quorum(has)
}
