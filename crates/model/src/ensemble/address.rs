//! Where servers are found: hosts as names, resolved by whoever connects, each time again.

use super::EnsembleError;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name that DNS knows, with its last dot.
const HOST_BYTES_MAX: usize = 254;

/// A host name or a literal address. IPv6 literals are kept in the one form that Java prints (eight groups, none left
/// out), so that texts of the same address are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// All addresses of the machine: the host of a client address that names a port only.
    pub fn any() -> Host {
        Host("0.0.0.0".to_owned())
    }

    /// Takes a name, an IPv4 or an IPv6 address (without brackets).
    ///
    /// # Errors
    /// Empty, not ASCII, or with a character that means something in the configuration's text.
    pub fn new(text: &str) -> Result<Host, EnsembleError> {
        let bad = || EnsembleError::BadHost(text.to_owned());
        if text.len() > HOST_BYTES_MAX {
            return Err(bad());
        }
        if text.contains(':') {
            return ipv6(text).map(Host).ok_or_else(bad);
        }
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '|' | '[' | ']' | ',' | '\\' | '=');
        if text.is_empty() || !text.chars().all(is_plain) {
            return Err(bad());
        }
        Ok(Host(text.to_owned()))
    }

    /// The name or address, IPv6 without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the address that stands for all of a machine (0.0.0.0, ::): nothing can be dialed there.
    pub fn is_wildcard(&self) -> bool {
        self.literal().is_some_and(|address| address.is_unspecified())
    }

    /// True for an address of the machine itself, or `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.0.eq_ignore_ascii_case("localhost") || self.literal().is_some_and(|address| address.is_loopback())
    }

    fn literal(&self) -> Option<IpAddr> {
        let address = self.0.split_once('%').map_or(&*self.0, |(address, _)| address);
        address.parse().ok()
    }
}

/// An IPv6 literal as Java prints it; one that stands for an IPv4 address becomes that.
fn ipv6(text: &str) -> Option<String> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let Some(scope) = scope else {
        return Some(
            address.to_ipv4_mapped().map_or_else(|| long_form(address), |mapped: Ipv4Addr| mapped.to_string()),
        );
    };
    let is_name = !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_name.then(|| format!("{}%{scope}", long_form(address)))
}

fn long_form(address: Ipv6Addr) -> String {
    address.segments().map(|group| format!("{group:x}")).join(":")
}

impl fmt::Display for Host {
    /// With brackets around an IPv6 address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(&self.0) }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A host and a port: where somebody listens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the words say it")]
pub struct Endpoint {
    pub host: Host,
    pub port: u16,
}

impl Endpoint {
    /// Reads `host:port`, IPv6 in brackets.
    ///
    /// # Errors
    /// Another shape, a bad host or port.
    pub fn parse(text: &str) -> Result<Endpoint, EnsembleError> {
        match split(text).as_deref() {
            Some([host, port_text]) => Endpoint::from_parts(host, port_text),
            _ => Err(EnsembleError::Shape(text.to_owned())),
        }
    }

    pub(super) fn from_parts(host: &str, port_text: &str) -> Result<Endpoint, EnsembleError> {
        Ok(Endpoint { host: Host::new(host)?, port: port(host, port_text)? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One address of a member: a host with the port of the leader's learners and the port of elections.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the words say it")]
pub struct PeerAddress {
    pub host: Host,
    pub quorum_port: u16,
    /// Never equal to the other.
    pub election_port: u16,
}

impl PeerAddress {
    /// Where this member's learners connect when it leads.
    pub fn quorum(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.quorum_port }
    }

    /// Where votes are exchanged.
    pub fn election(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.election_port }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.quorum_port, self.election_port)
    }
}

/// Splits at colons, but not inside `[brackets]`, which are taken off. `None`: brackets that do not match, or an
/// empty part.
pub(super) fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, tail) = inner.split_once(']')?;
        parts.push(host);
        if tail.is_empty() {
            return Some(parts);
        }
        rest = tail.strip_prefix(':')?;
    }
    parts.extend(rest.split(':'));
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

pub(super) fn port(host: &str, text: &str) -> Result<u16, EnsembleError> {
    let bad = |_| EnsembleError::BadPort { host: host.to_owned(), text: text.to_owned() };
    let value: i32 = text.parse().map_err(bad)?;
    u16::try_from(value).map_err(|_| EnsembleError::PortOutOfRange(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_the_same_are_equal() {
        let long = Host::new("0:0:0:0:0:0:0:1").unwrap();
        assert_eq!(Host::new("::1").unwrap(), long);
        assert_eq!(long.to_string(), "[0:0:0:0:0:0:0:1]");
        assert_eq!(Host::new("2001:DB8::a").unwrap().as_str(), "2001:db8:0:0:0:0:0:a");
        assert_eq!(Host::new("fe80::1%eth0").unwrap().to_string(), "[fe80:0:0:0:0:0:0:1%eth0]");
        assert_eq!(Host::new("::ffff:10.0.0.1").unwrap(), Host::new("10.0.0.1").unwrap());
        assert_eq!(Host::new("zk-1.example").unwrap().to_string(), "zk-1.example");
    }

    #[test]
    fn what_is_no_host() {
        for text in
            ["", "a b", "a:b", "[::1]", "a;b", "a|b", "a,b", "a\\b", "a\nb", "a=b", "\u{e4}", "::1%", "::1%a]", ":::"]
        {
            assert_eq!(Host::new(text), Err(EnsembleError::BadHost(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn names_have_a_bound() {
        assert!(Host::new(&"a".repeat(254)).is_ok() && Host::new(&"a".repeat(255)).is_err());
        assert!(Host::new(&format!("::1%{}", "a".repeat(251))).is_err());
    }

    #[test]
    fn special_addresses() {
        let host = |text| Host::new(text).unwrap();
        assert!(Host::any().is_wildcard() && host("::").is_wildcard() && !host("::1").is_wildcard());
        assert!(!host("any").is_wildcard());
        assert!(host("127.0.1.7").is_loopback() && host("::1").is_loopback() && host("LocalHost").is_loopback());
        assert!(!host("10.0.0.1").is_loopback() && !host("localhost.example").is_loopback());
    }

    #[test]
    fn endpoints() {
        let endpoint = Endpoint::parse("[::1]:3888").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("0:0:0:0:0:0:0:1", 3888));
        assert_eq!(endpoint.to_string(), "[0:0:0:0:0:0:0:1]:3888");
        for text in ["h", "h:", ":1", "h:1:2", "[::1]", "[::1]1", "[::1:1", "::1:1", "h:x", "h:65536", "h:-1"] {
            assert!(Endpoint::parse(text).is_err(), "{text:?}");
        }
    }
}
