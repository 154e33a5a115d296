//! One member of an ensemble, and the line that describes it (ensemble.md section 16.1).

use super::EnsembleError;
use super::address::{self, Endpoint, Host, PeerAddress};
use crate::ServerId;
use crate::limits::MEMBER_ADDRESSES_MAX;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;

/// What a member does in elections and quorums.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// Votes and counts.
    Participant,
    /// Follows every transaction, but never counts.
    Observer,
}

impl Role {
    /// Its word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Participant => "participant",
            Role::Observer => "observer",
        }
    }

    fn parse(text: &str) -> Result<Role, EnsembleError> {
        [Role::Participant, Role::Observer]
            .into_iter()
            .find(|role| text.eq_ignore_ascii_case(role.name()))
            .ok_or_else(|| EnsembleError::BadRole(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a member's clients connect.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct ClientAddress {
    /// The wildcard as a host means all addresses.
    pub endpoint: Endpoint,
    /// From `clientPort` of this server's own zoo.cfg: known here only, never written into the ensemble's text.
    pub from_static: bool,
}

/// A member: the value of a `server.N` line.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Member {
    /// The N of `server.N`.
    pub id: ServerId,
    /// Whether it votes.
    pub role: Role,
    /// At least one, ordered, none twice.
    addresses: Vec<PeerAddress>,
    /// Where its clients connect, if the line or this server's own file says so.
    pub client: Option<ClientAddress>,
}

impl Member {
    /// A member with one address.
    pub fn new(id: ServerId, role: Role, address: PeerAddress, client: Option<Endpoint>) -> Member {
        let client = client.map(|endpoint| ClientAddress { endpoint, from_static: false });
        Member { id, role, addresses: alloc::vec![address], client }
    }

    /// Where it is found, ordered by host. Never empty.
    pub fn addresses(&self) -> &[PeerAddress] {
        &self.addresses
    }

    /// Reads the value of a `server.N` line: `host:quorumPort:electionPort[:role][|...][;[host:]clientPort]`.
    ///
    /// # Errors
    /// Another shape, a bad host, port or role, equal ports.
    pub fn parse(id: ServerId, line: &str) -> Result<Member, EnsembleError> {
        let shape = || EnsembleError::Shape(line.to_owned());
        let mut halves = line.split(';');
        let (servers, client) = (halves.next().unwrap_or_default(), halves.next());
        if halves.next().is_some() {
            return Err(shape());
        }
        let mut addresses = Vec::new();
        let mut role = None;
        for text in servers.split('|') {
            let parts = address::split(text).ok_or_else(shape)?;
            let (host, quorum, election, role_text) = match parts[..] {
                [host, quorum, election] => (host, quorum, election, None),
                [host, quorum, election, role] => (host, quorum, election, Some(role)),
                _ => return Err(shape()),
            };
            let quorum = Endpoint::from_parts(host, quorum)?;
            let election_port = address::port(host, election)?;
            if quorum.port == election_port {
                return Err(EnsembleError::SamePorts(id));
            }
            if addresses.len() == MEMBER_ADDRESSES_MAX {
                return Err(EnsembleError::TooManyAddresses(id));
            }
            addresses.push(PeerAddress { host: quorum.host, quorum_port: quorum.port, election_port });
            if let Some(text) = role_text {
                let named = Role::parse(text)?;
                // The canonical text names the role once, behind the last address.
                if role.is_some_and(|role| role != named) {
                    return Err(EnsembleError::MixedRoles(id));
                }
                role = Some(named);
            }
        }
        addresses.sort();
        addresses.dedup();
        let client = client.map(|text| client_endpoint(text, line)).transpose()?;
        let client = client.map(|endpoint| ClientAddress { endpoint, from_static: false });
        Ok(Member { id, role: role.unwrap_or(Role::Participant), addresses, client })
    }

    /// True if the two say the same of a member, wherever they know the client address from.
    pub fn is_same(&self, other: &Member) -> bool {
        let client = |member: &Member| member.client.as_ref().map(|client| client.endpoint.clone());
        (self.id, self.role, &self.addresses) == (other.id, other.role, &other.addresses)
            && client(self) == client(other)
    }
}

fn client_endpoint(text: &str, line: &str) -> Result<Endpoint, EnsembleError> {
    match address::split(text).as_deref() {
        Some([port_text]) => Ok(Endpoint { port: address::port("0.0.0.0", port_text)?, host: Host::any() }),
        Some([host, port_text]) => Endpoint::from_parts(host, port_text),
        _ => Err(EnsembleError::Shape(line.to_owned())),
    }
}

impl fmt::Display for Member {
    /// The value of its `server.N` line as Apache writes it: the role always, the client address unless it is known
    /// from this server's own file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if index == 0 { "" } else { "|" })?;
        }
        write!(f, ":{}", self.role)?;
        match &self.client {
            Some(ClientAddress { endpoint, from_static: false }) => write!(f, ";{endpoint}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn member(line: &str) -> Result<Member, EnsembleError> {
        Member::parse(ServerId(1), line)
    }

    #[test]
    fn well_formed_lines_in_their_canonical_form() {
        for (line, canonical) in [
            ("h:2888:3888", "h:2888:3888:participant"),
            ("h:2888:3888;2181", "h:2888:3888:participant;0.0.0.0:2181"),
            (" h:2888:3888:OBSERVER;127.0.0.1:2181", "h:2888:3888:observer;127.0.0.1:2181"),
            ("[::1]:2888:3888;[::]:2181", "[0:0:0:0:0:0:0:1]:2888:3888:participant;[0:0:0:0:0:0:0:0]:2181"),
            ("b:2888:3888|a:1:2", "a:1:2|b:2888:3888:participant"),
            ("b:2888:3888:observer|a:1:2", "a:1:2|b:2888:3888:observer"),
            ("a:1:2|a:1:2|b:1:2:observer", "a:1:2|b:1:2:observer"),
            ("h:0:65535", "h:0:65535:participant"),
        ] {
            let read = member(line).unwrap();
            assert_eq!(read.to_string(), canonical, "{line:?}");
            assert_eq!(member(canonical).unwrap(), read);
        }
    }

    #[test]
    fn malformed_lines_in_apaches_words() {
        for (line, expected) in [
            ("h:2888", "does not have the form"),
            ("h:2888:3888:participant:x", "does not have the form"),
            ("h:2888:3888;1;2", "does not have the form"),
            ("h:2888:3888;a:1:2", "does not have the form"),
            ("h:2888:3888;", "does not have the form"),
            ("h:2888:3888|", "does not have the form"),
            ("", "does not have the form"),
            ("[::1:1:2", "does not have the form"),
            ("::1:1:2", "does not have the form"),
            ("h:x:3888", "Address unresolved: h:x"),
            ("h:1:9999999999", "Address unresolved: h:9999999999"),
            ("h:1:2;x", "Address unresolved: 0.0.0.0:x"),
            ("h:70000:3888", "port out of range:70000"),
            ("h:1:-2", "port out of range:-2"),
            ("h:2888:2888", "Client and election port must be different!"),
            ("h:2888:3888:voter", "Unrecognised peertype: voter"),
            ("a:1:2:observer|b:1:2:participant", "Multiple addresses should have similar roles"),
            ("a b:1:2", "\"a b\" is no host name or address"),
            ("[a]:1:2;[x:y]:1", "\"x:y\" is no host name or address"),
        ] {
            let error = member(line).unwrap_err();
            assert!(error.to_string().contains(expected), "{line:?}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn addresses_are_bounded() {
        let line = |count: usize| alloc::vec!["h:1:2"; count].join("|");
        assert!(member(&line(16)).is_ok());
        assert_eq!(member(&line(17)), Err(EnsembleError::TooManyAddresses(ServerId(1))));
    }

    #[test]
    fn a_static_client_address_is_known_here_only() {
        let mut here = member("h:1:2;10.0.0.1:3").unwrap();
        let there = here.clone();
        here.client.as_mut().unwrap().from_static = true;
        assert_eq!(here.to_string(), "h:1:2:participant");
        assert!(here.is_same(&there));
        assert!(!here.is_same(&member("h:1:2").unwrap()));
        assert!(!member("h:1:2").unwrap().is_same(&member("h:1:2:observer").unwrap()));
    }
}
