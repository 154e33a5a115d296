//! The text of a configuration: what travels in notifications and NEWLEADER, what /zookeeper/config and the dynamic
//! files hold (ensemble.md sections 16.1 and 16.3).

use super::{Ensemble, EnsembleError, Member};
use crate::ServerId;
use crate::limits::ENSEMBLE_MEMBERS_MAX;
use crate::properties::{self, Entry};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// Key of the line that a text may end with.
const VERSION: &str = "version";

impl Ensemble {
    /// Reads a configuration: Java's properties syntax, `server.N` lines and at most a `version` (0 without one).
    ///
    /// # Errors
    /// Any other key, groups and weights, a malformed line, the same id twice.
    pub fn parse(text: &str) -> Result<Ensemble, EnsembleError> {
        Lines::read(text)?.ensemble()
    }

    /// Reads a dynamic file, whose version is in its name ([`version_of_file_name`]).
    ///
    /// # Errors
    /// As [`Ensemble::parse`]; the text must not have a version.
    ///
    /// # Panics
    /// The version is negative, which that of a name never is.
    pub fn parse_file(text: &str, version: i64) -> Result<Ensemble, EnsembleError> {
        let lines = Lines::read(text)?;
        if lines.version.is_some() {
            return Err(EnsembleError::VersionInFile);
        }
        Ok(lines.ensemble()?.with_version(version))
    }

    /// The text of a dynamic file: lines ordered as texts (server.10 before server.2), no line break at the end.
    /// The committed configuration stands there without its version, the proposed one (`.next`) with it.
    pub fn file_text(&self, with_version: bool) -> String {
        let mut lines: Vec<String> = self.members.iter().map(line).collect();
        lines.sort();
        if with_version {
            lines.push(format!("{VERSION}={:x}", self.version));
        }
        lines.join("\n")
    }
}

/// The lines of a text, each key once.
struct Lines {
    /// By id: key and value of a `server.N`.
    servers: BTreeMap<ServerId, (String, String)>,
    version: Option<String>,
}

impl Lines {
    /// Stops at the first line that does not belong: what a peer sends is no reason to keep much of it.
    fn read(text: &str) -> Result<Lines, EnsembleError> {
        let chars: Vec<char> = text.chars().collect();
        let mut lines = Lines { servers: BTreeMap::new(), version: None };
        for entry in properties::entries(&chars) {
            let Entry { key, value, .. } = entry.map_err(EnsembleError::Escape)?;
            if key == VERSION {
                lines.version = Some(value);
                continue;
            }
            if key.starts_with("group") || key.starts_with("weight") {
                return Err(EnsembleError::Hierarchical(key));
            }
            let Some(id) = key.strip_prefix("server.") else { return Err(EnsembleError::UnknownKey(key)) };
            let id = id.parse::<ServerId>()?;
            // The last of several equal keys counts, but server.01 is another key than server.1.
            match lines.servers.insert(id, (key.clone(), value)) {
                Some((other, _)) if other != key => return Err(EnsembleError::RepeatedServer(id)),
                _ if lines.servers.len() > ENSEMBLE_MEMBERS_MAX => return Err(EnsembleError::TooManyMembers),
                _ => {}
            }
        }
        Ok(lines)
    }

    fn ensemble(&self) -> Result<Ensemble, EnsembleError> {
        let members = self.servers.iter().map(|(id, (_, line))| Member::parse(*id, line));
        let version = self.version.as_deref().map_or(Ok(0), parse_version)?;
        Ensemble::new(members.collect::<Result<Vec<Member>, EnsembleError>>()?, version)
    }
}

fn line(member: &Member) -> String {
    // An id prints as a plain number, never as the name that Debug makes of it.
    format!("server.{}={member}", member.id.0)
}

impl fmt::Display for Ensemble {
    /// Apache's text: a line a member by ascending id, `version=` in hexadecimal as the last one, no line break behind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in &self.members {
            writeln!(f, "{}", line(member))?;
        }
        write!(f, "{VERSION}={:x}", self.version)
    }
}

impl FromStr for ServerId {
    type Err = EnsembleError;

    /// Reads a decimal number, as Java does, and of these only what a member may have.
    fn from_str(text: &str) -> Result<ServerId, EnsembleError> {
        let id = ServerId(text.parse().map_err(|_| EnsembleError::BadServerId(text.to_owned()))?);
        if id.is_legal() { Ok(id) } else { Err(EnsembleError::ServerIdOutOfRange(id.0)) }
    }
}

fn parse_version(text: &str) -> Result<i64, EnsembleError> {
    let version = i64::from_str_radix(text, 16).ok().filter(|version| *version >= 0);
    version.ok_or_else(|| EnsembleError::BadVersion(text.to_owned()))
}

/// The version that the name of a dynamic file carries: what follows its last dot, in hexadecimal; 0 if that is no
/// such number.
pub fn version_of_file_name(name: &str) -> i64 {
    name.rsplit_once('.').and_then(|(_, suffix)| parse_version(suffix).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{ClientAddress, Endpoint, Host, PeerAddress, Role};
    use super::*;
    use alloc::string::ToString;
    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;

    /// From a notification recorded from Apache.
    const RECORDED: &str = "server.1=zkh1:12301:12321:participant;127.0.0.1:12191\n\
                            server.2=zkh2:12302:12322:participant;127.0.0.1:12192\n\
                            server.4=zkh4:12304:12324:observer;127.0.0.1:12194\n\
                            version=100000000";

    #[test]
    fn apaches_text_survives() {
        let ensemble = Ensemble::parse(RECORDED).unwrap();
        assert_eq!(ensemble.version(), 1 << 32);
        assert_eq!(ensemble.voters().map(|id| id.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(ensemble.members()[1].client.as_ref().unwrap().endpoint.to_string(), "127.0.0.1:12192");
        assert_eq!(ensemble.to_string(), RECORDED);
    }

    #[test]
    fn java_properties_are_understood() {
        let text = "# comment\n server.2 : b:1:2 \r\nversion=A\nserver.1\\\n  = a:1:2\\:obs\\\nerver\nserver.2 c:1:2";
        assert_eq!(
            Ensemble::parse(text).unwrap().to_string(),
            "server.1=a:1:2:observer\nserver.2=c:1:2:participant\nversion=a"
        );
        assert_eq!(Ensemble::parse("").unwrap().to_string(), "version=0");
    }

    #[test]
    fn what_is_refused() {
        for (text, expected) in [
            ("server.1=h:1:2\nclientPort=2181", "Unrecognised parameter: clientPort"),
            ("server=h:1:2", "Unrecognised parameter: server"),
            ("server.1=h:1:2\ngroup.1=1", "group.1: hierarchical quorums"),
            ("weight.1=1\nserver.1=h:1:2", "weight.1: hierarchical quorums"),
            ("server.x=h:1:2", "For input string: \"x\""),
            ("server.=h:1:2", "For input string: \"\""),
            ("server.-1=h:1:2", "server id -1 is out of range"),
            ("server.9223372036854775807=h:1:2", "server id 9223372036854775807 is out of range"),
            ("server.1=h:1:2\nserver.01=h:1:2", "server.1 is given twice"),
            ("version=xyz", "version \"xyz\" is no hexadecimal number"),
            ("version=-1", "version \"-1\" is no hexadecimal number"),
            ("version=8000000000000000", "no hexadecimal number"),
            ("\n server.1=\\u00", "malformed \\uxxxx escape in line 2"),
            ("server.1=h\\nserver.2=i:1:2", "is no host name"),
        ] {
            let error = Ensemble::parse(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn a_text_of_many_lines_is_not_read_to_its_end() {
        let mut text: String = (0..256).map(|id| format!("server.{id}=h{id}:1:2\n")).collect();
        text.push_str("server.x=never read");
        assert_eq!(Ensemble::parse(&text), Err(EnsembleError::TooManyMembers));
        let text: String = (0..255).map(|id| format!("server.{id}=h{id}:1:2\nserver.{id}=i{id}:1:2\n")).collect();
        let ensemble = Ensemble::parse(&text).unwrap();
        assert_eq!(ensemble.members().len(), 255);
        assert_eq!(ensemble.members()[7].to_string(), "i7:1:2:participant", "the last of equal keys counts");
    }

    #[test]
    fn dynamic_files() {
        let many: Vec<String> = [1, 2, 10].iter().map(|id| format!("server.{id}=h{id}:1:2:participant")).collect();
        let ensemble = Ensemble::parse(&many.join("\n")).unwrap().with_version(0x1_0000_0002);
        let committed = "server.10=h10:1:2:participant\nserver.1=h1:1:2:participant\nserver.2=h2:1:2:participant";
        assert_eq!(ensemble.file_text(false), committed);
        assert_eq!(ensemble.file_text(true), format!("{committed}\nversion=100000002"));
        let version = version_of_file_name("/etc/zoo.cfg.dynamic.100000002");
        assert_eq!(Ensemble::parse_file(committed, version), Ok(ensemble.clone()));
        assert_eq!(Ensemble::parse(&ensemble.file_text(true)), Ok(ensemble.clone()));
        assert_eq!(Ensemble::parse_file(&ensemble.file_text(true), version), Err(EnsembleError::VersionInFile));
        for (name, version) in [("zoo.cfg.dynamic", 0), ("zoo", 0), ("x.", 0), ("x.-1", 0), ("x.next", 0), ("x.C", 12)]
        {
            assert_eq!(version_of_file_name(name), version, "{name}");
        }
    }

    fn host() -> impl Strategy<Value = Host> {
        let text = prop_oneof![
            "[a-z]([a-z0-9.-]{0,8}[a-z0-9])?",
            any::<[u8; 4]>().prop_map(|bytes| core::net::Ipv4Addr::from(bytes).to_string()),
            any::<[u8; 16]>().prop_map(|bytes| core::net::Ipv6Addr::from(bytes).to_string()),
            "[!\"#$%&'()*+./<>?@^_`{}~-]{1,4}",
        ];
        text.prop_map(|text| Host::new(&text).unwrap())
    }

    prop_compose! {
        fn address()(host in host(), quorum_port: u16, election_port: u16) -> PeerAddress {
            let election_port = if election_port == quorum_port { election_port ^ 1 } else { election_port };
            PeerAddress { host, quorum_port, election_port }
        }
    }

    prop_compose! {
        fn member()(
            addresses in vec(address(), 1..4),
            observer: bool,
            client in option::of((host(), any::<u16>()))
        ) -> Member {
            let role = if observer { Role::Observer } else { Role::Participant };
            let line = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
            let mut member = Member::parse(ServerId(0), &line).unwrap();
            member.role = role;
            let endpoint = |(host, port)| ClientAddress { endpoint: Endpoint { host, port }, from_static: false };
            member.client = client.map(endpoint);
            member
        }
    }

    prop_compose! {
        fn ensemble()(ids in btree_set(prop_oneof![0..20_i64, 0..i64::MAX], 0..6))(
            members in vec(member(), ids.len()),
            ids in Just(ids),
            version in prop_oneof![Just(0), 0..=i64::MAX]
        ) -> Ensemble {
            let with_id = |(id, mut member): (i64, Member)| {
                member.id = ServerId(id);
                member
            };
            Ensemble::new(ids.into_iter().zip(members).map(with_id).collect(), version).unwrap()
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(ensemble in ensemble()) {
            prop_assert_eq!(Ensemble::parse(&ensemble.to_string()), Ok(ensemble.clone()));
            prop_assert_eq!(Ensemble::parse(&ensemble.file_text(true)), Ok(ensemble.clone()));
            prop_assert_eq!(Ensemble::parse_file(&ensemble.file_text(false), ensemble.version()), Ok(ensemble));
        }

        #[test]
        fn what_can_be_read_can_be_printed(text in "((server|version|group)?[.]?[0-9]{0,2}[=: ]?[ha\\[\\]|;:0-9\\\\ -]{0,20}\n?){0,4}") {
            if let Ok(ensemble) = Ensemble::parse(&text) {
                prop_assert_eq!(Ensemble::parse(&ensemble.to_string()), Ok(ensemble));
            }
        }
    }
}
