//! The configuration of an ensemble: who its members are, who votes, and since when (ensemble.md sections 15 and 16).
//!
//! [`Ensemble`] is a value: parsed from Apache's text ([`Ensemble::parse`]), printed as Apache prints it (`Display`),
//! asked for quorums ([`Ensemble::is_quorum`]) and changed into the next one ([`Reconfig`]). Quorums are majorities;
//! groups and weights are refused where the text is read.

mod address;
mod error;
mod member;
mod reconfig;
mod text;

pub use address::{Endpoint, Host, PeerAddress};
pub use error::EnsembleError;
pub use member::{ClientAddress, Member, Role};
pub use reconfig::{Reconfig, ReconfigError};
pub use text::version_of_file_name;

use crate::ServerId;
use crate::limits::ENSEMBLE_MEMBERS_MAX;
use alloc::vec::Vec;

/// The members of an ensemble and the version of this list.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Ensemble {
    /// By id, ascending, none twice.
    members: Vec<Member>,
    /// Never negative.
    version: i64,
}

impl Ensemble {
    /// The ensemble of these members.
    ///
    /// # Errors
    /// Too many, two members have the same id, an id is out of range, or the version is negative.
    pub fn new(mut members: Vec<Member>, version: i64) -> Result<Ensemble, EnsembleError> {
        if members.len() > ENSEMBLE_MEMBERS_MAX {
            return Err(EnsembleError::TooManyMembers);
        }
        members.sort_by_key(|member| member.id);
        for (index, member) in members.iter().enumerate() {
            if !member.id.is_legal() {
                return Err(EnsembleError::ServerIdOutOfRange(member.id.0));
            }
            if members.get(index + 1).is_some_and(|next| next.id == member.id) {
                return Err(EnsembleError::RepeatedServer(member.id));
            }
        }
        if version < 0 {
            return Err(EnsembleError::BadVersion(alloc::format!("{version:x}")));
        }
        Ok(Ensemble { members, version })
    }

    /// All members, ascending by id.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The zxid of the transaction that made this configuration, or `epoch << 32` for the first one that an ensemble
    /// established; 0 as long as it comes from a static file.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// The same members under another version.
    ///
    /// # Panics
    /// The version is negative: it is a zxid.
    #[must_use]
    pub fn with_version(mut self, version: i64) -> Ensemble {
        assert!(version >= 0, "the version of a configuration is a zxid, not {version}");
        self.version = version;
        self
    }

    /// The member of this id.
    pub fn member(&self, id: ServerId) -> Option<&Member> {
        let at = self.members.binary_search_by_key(&id, |member| member.id).ok()?;
        self.members.get(at)
    }

    /// Says where this server's clients connect, if its line does not: known here only, and never printed.
    pub fn set_static_client(&mut self, id: ServerId, endpoint: Endpoint) {
        if let Ok(at) = self.members.binary_search_by_key(&id, |member| member.id)
            && self.members[at].client.is_none()
        {
            self.members[at].client = Some(ClientAddress { endpoint, from_static: true });
        }
    }

    /// The ids that vote, ascending.
    pub fn voters(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.members.iter().filter(|member| member.role == Role::Participant).map(|member| member.id)
    }

    /// The ids that do not vote, ascending.
    pub fn observers(&self) -> impl Iterator<Item = ServerId> + '_ {
        self.members.iter().filter(|member| member.role == Role::Observer).map(|member| member.id)
    }

    /// True if this server votes.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.member(id).is_some_and(|member| member.role == Role::Participant)
    }

    /// True if the servers for which `has` holds contain more than half of the voters. Only voters are asked, each
    /// once: nobody else can count, and nobody twice.
    pub fn is_quorum(&self, mut has: impl FnMut(ServerId) -> bool) -> bool {
        let (mut voters, mut in_favour) = (0, 0);
        for id in self.voters() {
            voters += 1;
            in_favour += usize::from(has(id));
        }
        in_favour > voters / 2
    }

    /// Apache's equality: the same version, or the same members (ids, roles, addresses, client addresses).
    pub fn is_same(&self, other: &Ensemble) -> bool {
        self.version == other.version || self.has_same_members(other)
    }

    /// True if nothing but the version differs.
    pub fn has_same_members(&self, other: &Ensemble) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(one, another)| one.is_same(another))
    }

    /// What Apache demands of each configuration it reads (section 16.8).
    ///
    /// # Errors
    /// No participant although `standalone_enabled` is off; observers with less than two participants.
    pub fn check_roles(&self, standalone_enabled: bool) -> Result<(), EnsembleError> {
        let has_observers = self.observers().next().is_some();
        match self.voters().take(2).count() {
            0 if !standalone_enabled => Err(EnsembleError::NoParticipants),
            0 if has_observers => Err(EnsembleError::ObserversWithoutParticipants),
            1 if standalone_enabled && has_observers => Err(EnsembleError::ObserversWithoutQuorum),
            _ => Ok(()),
        }
    }

    /// True if a server with this list is part of an ensemble, false if it serves alone.
    pub fn is_distributed(&self, standalone_enabled: bool) -> bool {
        let voters = self.voters().take(2).count();
        voters > 1 || (voters == 1 && !standalone_enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::String;
    use alloc::vec;

    fn ensemble(participants: i64, observers: i64) -> Ensemble {
        let mut members = Vec::new();
        for id in (1..=participants + observers).rev() {
            let role = if id <= participants { "participant" } else { "observer" };
            members.push(Member::parse(ServerId(id), &alloc::format!("h{id}:1:2:{role}")).unwrap());
        }
        Ensemble::new(members, 0).unwrap()
    }

    #[test]
    fn more_than_half_of_the_voters() {
        for (voters, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)] {
            let ensemble = ensemble(voters, 2);
            assert_eq!(ensemble.voters().count(), usize::try_from(voters).unwrap());
            assert!(ensemble.is_quorum(|id| id.0 <= needed), "{needed} of {voters}");
            assert!(!ensemble.is_quorum(|id| id.0 < needed), "{} of {voters}", needed - 1);
            assert!(!ensemble.is_quorum(|id| id.0 < needed || id.0 > voters), "observers count");
        }
        assert!(!ensemble(0, 3).is_quorum(|_| true));
    }

    #[test]
    fn any_two_quorums_meet() {
        let ensemble = ensemble(5, 1);
        let quorums: Vec<u32> = (0..64).filter(|set| ensemble.is_quorum(|id| set >> id.0 & 1 == 1)).collect();
        for one in &quorums {
            assert!(quorums.iter().all(|another| one & another & 0b11_1110 != 0));
        }
        assert_eq!(quorums.len(), 2 * 16);
    }

    #[test]
    fn members_by_id() {
        let ensemble = ensemble(3, 1);
        assert_eq!(ensemble.members().iter().map(|member| member.id.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(ensemble.observers().collect::<BTreeSet<_>>(), BTreeSet::from([ServerId(4)]));
        assert!(ensemble.is_voter(ServerId(3)) && !ensemble.is_voter(ServerId(4)) && !ensemble.is_voter(ServerId(5)));
        assert_eq!(ensemble.member(ServerId(2)).unwrap().addresses()[0].host.as_str(), "h2");
        assert!(ensemble.member(ServerId(0)).is_none());
    }

    #[test]
    fn what_is_no_ensemble() {
        let member = |id| Member::parse(ServerId(id), "h:1:2").unwrap();
        let twice = Ensemble::new(vec![member(2), member(1), member(2)], 0);
        assert_eq!(twice, Err(EnsembleError::RepeatedServer(ServerId(2))));
        for id in [-1, i64::MIN, i64::MAX] {
            assert_eq!(Ensemble::new(vec![member(id)], 0), Err(EnsembleError::ServerIdOutOfRange(id)));
        }
        assert_eq!(Ensemble::new(vec![], -1), Err(EnsembleError::BadVersion(String::from("ffffffffffffffff"))));
        assert!(Ensemble::new(vec![member(0)], i64::MAX).is_ok());
        assert!(Ensemble::new((0..255).map(member).collect(), 0).is_ok());
        assert_eq!(Ensemble::new((0..256).map(member).collect(), 0), Err(EnsembleError::TooManyMembers));
    }

    #[test]
    fn apaches_equality() {
        let (three, four) = (ensemble(3, 0), ensemble(3, 1));
        assert!(three.is_same(&four), "equal versions");
        assert!(!three.is_same(&four.clone().with_version(1)));
        assert!(three.is_same(&three.clone().with_version(1)));
        assert!(!three.has_same_members(&four) && three.has_same_members(&three.clone().with_version(1)));
    }

    #[test]
    fn roles_that_make_sense() {
        for (participants, observers, standalone, alone) in [
            (0, 0, Ok(()), Err(EnsembleError::NoParticipants)),
            (0, 1, Err(EnsembleError::ObserversWithoutParticipants), Err(EnsembleError::NoParticipants)),
            (1, 0, Ok(()), Ok(())),
            (1, 1, Err(EnsembleError::ObserversWithoutQuorum), Ok(())),
            (2, 1, Ok(()), Ok(())),
        ] {
            let ensemble = ensemble(participants, observers);
            assert_eq!(ensemble.check_roles(true), standalone);
            assert_eq!(ensemble.check_roles(false), alone);
        }
        assert!(!ensemble(0, 0).is_distributed(false) && !ensemble(1, 0).is_distributed(true));
        assert!(ensemble(1, 0).is_distributed(false) && ensemble(2, 0).is_distributed(true));
    }

    #[test]
    fn the_static_client_address_of_this_server() {
        let mut ensemble = ensemble(2, 0);
        let endpoint = Endpoint::parse("0.0.0.0:2181").unwrap();
        ensemble.set_static_client(ServerId(2), endpoint.clone());
        ensemble.set_static_client(ServerId(9), endpoint.clone());
        assert_eq!(ensemble.member(ServerId(1)).unwrap().client, None);
        let client = ClientAddress { endpoint, from_static: true };
        assert_eq!(ensemble.member(ServerId(2)).unwrap().client, Some(client.clone()));
        ensemble.set_static_client(ServerId(2), Endpoint::parse("0.0.0.0:1").unwrap());
        assert_eq!(ensemble.member(ServerId(2)).unwrap().client, Some(client), "the first one stays");
    }
}
