//! From one configuration to the next: what a reconfig request asks for, and the checks that depend on nothing but
//! configurations (ensemble.md section 16.4).

use super::address::Endpoint;
use super::{Ensemble, EnsembleError, Member};
use crate::limits::ENSEMBLE_MEMBERS_MAX;
use crate::{ErrorCode, ServerId};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a reconfig request asks for, as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reconfig<'a> {
    /// `server.N=...` lines of members to add or replace, separated by commas.
    pub joining: Option<&'a str>,
    /// Ids of members to remove, separated by commas.
    pub leaving: Option<&'a str>,
    /// All members of the next configuration, separated by commas or line breaks; if given, the others are ignored.
    pub new_members: Option<&'a str>,
    /// Only if this is the version of the current configuration; -1 = whichever it is.
    pub from_version: i64,
}

impl Reconfig<'_> {
    /// The next configuration under its new version, the zxid of the transaction that brings it. The caller has
    /// checked that reconfig is enabled and whose session it is, and asks afterwards whether a quorum of the result is
    /// in sync and whether the client may write /zookeeper/config.
    ///
    /// # Errors
    /// In the order of the leader's checks.
    pub fn next(
        &self,
        committed: &Ensemble,
        last_seen: &Ensemble,
        standalone_enabled: bool,
        version: i64,
    ) -> Result<Ensemble, ReconfigError> {
        if last_seen.version() != committed.version() {
            return Err(ReconfigError::InProgress);
        }
        if self.from_version != -1 && self.from_version != last_seen.version() {
            return Err(ReconfigError::BadVersion { asked: self.from_version, current: last_seen.version() });
        }
        let next = match self.new_members {
            Some(members) => Ensemble::apply_full(members)?,
            None => last_seen.apply_incremental(self.joining, self.leaving)?,
        };
        let needed = if standalone_enabled { 2 } else { 1 };
        if next.voters().count() < needed {
            return Err(ReconfigError::TooFewVoters { needed });
        }
        next.check_roles(standalone_enabled)?;
        Ok(next.with_version(version))
    }
}

impl Ensemble {
    /// These members without those of `leaving`, with those of `joining` added or put in place of their namesakes.
    /// The version stays.
    ///
    /// # Errors
    /// A malformed id or line, a joining member without a client address, or one at an address of another member.
    pub fn apply_incremental(&self, joining: Option<&str>, leaving: Option<&str>) -> Result<Ensemble, ReconfigError> {
        let leaving = items(leaving).map(str::parse).collect::<Result<BTreeSet<ServerId>, EnsembleError>>()?;
        let mut members: Vec<Member> = self.members().to_vec();
        members.retain(|member| !leaving.contains(&member.id));
        // Each joiner is compared with all others: what a client may ask for has a bound.
        if items(joining).nth(ENSEMBLE_MEMBERS_MAX).is_some() {
            return Err(EnsembleError::TooManyMembers.into());
        }
        for line in items(joining) {
            let joiner = parse_joiner(line)?;
            members.retain(|member| member.id != joiner.id);
            if let Some((address, other)) = members.iter().find_map(|other| Some((clash(&joiner, other)?, other.id))) {
                return Err(ReconfigError::AddressClash { id: joiner.id, other, address });
            }
            members.push(joiner);
        }
        Ok(Ensemble::new(members, self.version())?)
    }

    /// The members of a whole new list, lines or parts separated by commas. Its version is 0 or what the text says.
    ///
    /// # Errors
    /// As [`Ensemble::parse`].
    pub fn apply_full(new_members: &str) -> Result<Ensemble, ReconfigError> {
        Ok(Ensemble::parse(&new_members.replace(',', "\n"))?)
    }
}

fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn parse_joiner(line: &str) -> Result<Member, ReconfigError> {
    let shape = || ReconfigError::JoinerShape(line.to_owned());
    let (key, value) = line.split_once('=').ok_or_else(shape)?;
    if value.contains('=') || key.trim().is_empty() || value.trim().is_empty() {
        return Err(shape());
    }
    // As Apache's leader does: whatever stands before the last dot.
    let key = key.trim();
    let id = key.rsplit_once('.').map_or(key, |(_, id)| id);
    let member = Member::parse(id.parse()?, value.trim())?;
    if member.client.is_none() {
        return Err(ReconfigError::NoClientAddress(member.id));
    }
    Ok(member)
}

/// An address that both members would listen at. Loopback and wildcard addresses do not tell machines apart.
fn clash(joiner: &Member, other: &Member) -> Option<Endpoint> {
    let taken = endpoints(other);
    endpoints(joiner)
        .into_iter()
        .filter(|endpoint| !endpoint.host.is_loopback() && !endpoint.host.is_wildcard())
        .find(|endpoint| taken.contains(endpoint))
}

fn endpoints(member: &Member) -> Vec<Endpoint> {
    let client = member.client.iter().map(|client| client.endpoint.clone());
    member.addresses().iter().flat_map(|address| [address.quorum(), address.election()]).chain(client).collect()
}

/// Why a reconfig request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "Display says it")]
pub enum ReconfigError {
    InProgress,
    BadVersion { asked: i64, current: i64 },
    Config(EnsembleError),
    JoinerShape(String),
    NoClientAddress(ServerId),
    AddressClash { id: ServerId, other: ServerId, address: Endpoint },
    TooFewVoters { needed: usize },
}

impl ReconfigError {
    /// The answer to the client.
    pub const fn code(&self) -> ErrorCode {
        match self {
            ReconfigError::InProgress => ErrorCode::ReconfigInProgress,
            ReconfigError::BadVersion { .. } => ErrorCode::BadVersion,
            // Where a number is missing, Apache's leader fails outside of its checks.
            ReconfigError::Config(EnsembleError::BadServerId(_)) => ErrorCode::MarshallingError,
            _ => ErrorCode::BadArguments,
        }
    }
}

impl From<EnsembleError> for ReconfigError {
    fn from(error: EnsembleError) -> ReconfigError {
        ReconfigError::Config(error)
    }
}

impl fmt::Display for ReconfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReconfigError::InProgress => f.write_str("another reconfiguration is not committed yet"),
            ReconfigError::BadVersion { asked, current } => {
                write!(f, "Reconfiguration from version {asked:x} failed -- last seen version is {current:x}")
            }
            ReconfigError::Config(error) => fmt::Display::fmt(error, f),
            ReconfigError::JoinerShape(line) => write!(f, "Wrong format of server string: {line}"),
            ReconfigError::NoClientAddress(id) => write!(
                f,
                "Wrong format of server string - each server should have 3 ports specified: server.{id} has no \
                 client port"
            ),
            ReconfigError::AddressClash { id, other, address } => {
                write!(f, "{address} of server.{id} conflicts with that of server.{other}")
            }
            ReconfigError::TooFewVoters { needed } => {
                write!(f, "Reconfig failed - new configuration must include at least {needed} participants")
            }
        }
    }
}

impl core::error::Error for ReconfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const THREE: &str = "server.1=a:1:2;11\nserver.2=b:1:2;11\nserver.3=c:1:2;11\nversion=5";

    fn three() -> Ensemble {
        Ensemble::parse(THREE).unwrap()
    }

    fn ids(ensemble: &Ensemble) -> Vec<i64> {
        ensemble.members().iter().map(|member| member.id.0).collect()
    }

    fn request<'a>(joining: Option<&'a str>, leaving: Option<&'a str>, new_members: Option<&'a str>) -> Reconfig<'a> {
        Reconfig { joining, leaving, new_members, from_version: -1 }
    }

    fn next(request: &Reconfig<'_>) -> Result<Ensemble, ReconfigError> {
        request.next(&three(), &three(), true, 0x1_0000_0007)
    }

    #[test]
    fn members_leave_and_join() {
        let changed =
            next(&request(Some("server.4=d:1:2;11, server.2=e:1:2:observer;12,"), Some(" 3 ,9"), None)).unwrap();
        assert_eq!(
            changed.to_string(),
            "server.1=a:1:2:participant;0.0.0.0:11\nserver.2=e:1:2:observer;0.0.0.0:12\n\
             server.4=d:1:2:participant;0.0.0.0:11\nversion=100000007"
        );
        assert_eq!(ids(&next(&request(None, Some("1"), None)).unwrap()), [2, 3]);
        assert!(next(&request(None, None, None)).unwrap().has_same_members(&three()));
    }

    #[test]
    fn a_member_that_leaves_makes_room_for_its_address() {
        assert_eq!(ids(&next(&request(Some("server.7=a:1:2;11"), Some("1"), None)).unwrap()), [2, 3, 7]);
        assert_eq!(ids(&next(&request(Some("server.1=a:1:3;11"), None, None)).unwrap()), [1, 2, 3]);
    }

    #[test]
    fn only_the_number_of_a_joiner_is_looked_at() {
        for joining in ["4=d:1:2;11", "x.4=d:1:2;11", " server.4 = d:1:2;11 "] {
            assert_eq!(ids(&next(&request(Some(joining), None, None)).unwrap()), [1, 2, 3, 4], "{joining}");
        }
    }

    #[test]
    fn a_whole_list() {
        for text in ["server.1=a:1:2,server.5=e:1:2;7", "server.1=a:1:2\nserver.5=e:1:2;7\nversion=3"] {
            let changed = next(&request(Some("ignored"), Some("ignored"), Some(text))).unwrap();
            assert_eq!((ids(&changed), changed.version()), ([1, 5].to_vec(), 0x1_0000_0007));
        }
    }

    #[test]
    fn bad_arguments() {
        for (joining, leaving, new_members, expected) in [
            (Some("server.4"), None, None, "Wrong format of server string: server.4"),
            (Some("server.4=d:1:2;11=x"), None, None, "Wrong format of server string"),
            (Some("=d:1:2;11"), None, None, "Wrong format of server string"),
            (Some("server.4="), None, None, "Wrong format of server string"),
            (Some("server4=d:1:2;11"), None, None, "For input string: \"server4\""),
            (Some("server.x=d:1:2;11"), None, None, "For input string: \"x\""),
            (Some("server.4=d:1:2"), None, None, "server.4 has no client port"),
            (Some("server.4=d:1:1;11"), None, None, "must be different"),
            (Some("server.4=a:9:1;11"), None, None, "a:1 of server.4 conflicts with that of server.1"),
            (Some("server.4=d:1:2;b:2"), None, None, "b:2 of server.4 conflicts with that of server.2"),
            (
                Some("server.4=d:1:2;11,server.5=d:2:3;11"),
                None,
                None,
                "d:2 of server.5 conflicts with that of server.4",
            ),
            (None, Some("1;2"), None, "For input string: \"1;2\""),
            (None, Some("1,2"), None, "at least 2 participants"),
            (Some("server.1=a:1:2:observer;11"), Some("2"), None, "at least 2 participants"),
            (None, None, Some(""), "at least 2 participants"),
            (None, None, Some("server.1=a:1:2,group.1=1"), "hierarchical"),
            (None, None, Some("server.1=a:1:2,x=1"), "Unrecognised parameter: x"),
        ] {
            let error = next(&request(joining, leaving, new_members)).unwrap_err();
            let is_number = expected.starts_with("For input string");
            let code = if is_number { ErrorCode::MarshallingError } else { ErrorCode::BadArguments };
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(expected), "{joining:?} {leaving:?} {new_members:?}: {error}");
        }
    }

    #[test]
    fn a_long_list_is_refused_before_the_work() {
        let joining = alloc::vec!["server.4=d:1:2;11"; 256].join(",");
        assert_eq!(next(&request(Some(&joining[18..]), None, None)).unwrap().members().len(), 4);
        let error = next(&request(Some(&joining), None, None)).unwrap_err();
        assert_eq!(error, ReconfigError::Config(EnsembleError::TooManyMembers));
    }

    #[test]
    fn machines_are_not_told_apart_by_loopback_and_wildcard() {
        let here = Ensemble::parse("server.1=127.0.0.1:1:2;3\nserver.2=localhost:1:2;[::]:3").unwrap();
        let joining = "server.3=127.0.0.1:1:2;3,server.4=localhost:1:2;[::]:3";
        assert_eq!(ids(&here.apply_incremental(Some(joining), None).unwrap()), [1, 2, 3, 4]);
    }

    #[test]
    fn one_change_at_a_time_and_from_the_version_named() {
        let proposed = three().with_version(6);
        let change = request(None, Some("9"), None);
        assert_eq!(change.next(&three(), &proposed, true, 7).unwrap_err().code(), ErrorCode::ReconfigInProgress);
        for (from_version, code) in [(4, Some(ErrorCode::BadVersion)), (5, None), (-2, Some(ErrorCode::BadVersion))] {
            let change = Reconfig { from_version, ..change };
            assert_eq!(next(&change).err().map(|error| error.code()), code);
        }
    }

    #[test]
    fn a_single_voter_needs_an_ensemble_that_is_never_standalone() {
        let change = request(None, Some("1,2"), None);
        assert_eq!(ids(&change.next(&three(), &three(), false, 7).unwrap()), [3]);
        let none = request(None, Some("1,2,3"), None);
        assert_eq!(none.next(&three(), &three(), false, 7), Err(ReconfigError::TooFewVoters { needed: 1 }));
    }
}
