//! The two ensembles a server knows: the one in force, and the newest one it has seen (E§16.2).
//!
//! They differ only while a reconfiguration is under way; then whatever needs a quorum needs one in both (E§16.5).
//! Apache's discovery looks at the ensemble in force alone. A server of the next one that holds newer transactions and
//! had promised the epoch before would then be cut without having been asked (its second promise does not count, and
//! its history is not compared): so we ask both there too.
//!
//! The newest ensemble seen belongs to the history: it is that of the newest reconfiguration in it, and goes with it when
//! the history is cut.

use crate::Quirks;
use alloc::collections::BTreeSet;
use ostler_model::{Ensemble, Role, ServerId};

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
        let old = is_quorum(&self.committed, quirks, &mut has);
        if !self.is_changing() || quirks.only_old_quorum {
            return old;
        }
        (old || quirks.only_new_quorum) && is_quorum(&self.last_seen, quirks, has)
    }

    /// True if this server wants to be told what is committed only, and not to be asked: an observer. Who stands in no
    /// ensemble follows (E§1.1).
    pub(crate) fn observes(&self, server: ServerId) -> bool {
        self.committed.member(server).is_some_and(|member| member.role == Role::Observer)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn changing() -> Configs {
        let text = |ids: [i64; 3], version| {
            let lines = ids.map(|id| alloc::format!("server.{id}=h{id}:1:2\n"));
            Ensemble::parse(&alloc::format!("{}version={version}", lines.concat())).unwrap()
        };
        Configs::new(text([1, 2, 3], 1), text([3, 4, 5], 2))
    }

    #[test]
    fn a_change_needs_quorums_of_both() {
        let configs = changing();
        let count = |ids: &[i64], quirks: Quirks| configs.is_quorum(&quirks, |server| ids.contains(&server.0));
        let (old, new) = (Quirks { only_old_quorum: true, ..Quirks::default() }, [3, 4]);
        for (ids, is_quorum) in [(&[1, 2][..], false), (&new, false), (&[1, 2, 4, 5], true), (&[1, 3, 4], true)] {
            assert_eq!(count(ids, Quirks::default()), is_quorum, "{ids:?}");
        }
        // Each half alone is what the checks must notice.
        assert!(count(&[1, 2], old));
        assert!(count(&new, Quirks { only_new_quorum: true, ..Quirks::default() }));
    }

    #[test]
    fn the_next_one_alone_counts_when_it_is_in_force() {
        let mut configs = changing();
        configs.committed = configs.last_seen.clone();
        assert!(!configs.is_changing());
        assert!(configs.is_quorum(&Quirks::default(), |server| server.0 >= 4));
        assert!(!configs.is_quorum(&Quirks::default(), |server| server.0 <= 2));
    }
}
