//! Connection strings: `host1:2181,host2,[::1]:2182/chroot`.
//!
//! The session core knows servers by their index only; names and ports are for the driver, which resolves them.
//! The chroot is put before every path a caller names and taken off every path a server names.

use ostler_model::path;

/// The port of a host without one.
pub const DEFAULT_PORT: u16 = 2181;

/// A parsed connection string.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectString {
    /// The servers in the order given; at least one.
    pub hosts: Vec<Host>,
    /// The subtree that this client sees as its whole world; empty for none.
    pub chroot: Chroot,
}

/// A server: a name or an address (IPv6 without brackets), and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the field's own names")]
pub struct Host {
    pub name: String,
    pub port: u16,
}

/// Why a connection string cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// Nothing between two commas, or nothing at all.
    #[error("connection string {0:?}: a host name is missing\nhint: write host:port,host:port/chroot")]
    NoHost(String),
    /// The port is not a number from 1 to 65535.
    #[error(
        "connection string: {0:?} is not a port\nhint: ports are numbers from 1 to 65535; IPv6 addresses stand in []"
    )]
    BadPort(String),
    /// The chroot is not a legal path.
    #[error(
        "connection string: {0:?} is not a legal chroot\nhint: a chroot is a path such as /app, without a slash at its end"
    )]
    BadChroot(String),
}

impl ConnectString {
    /// Parses `host[:port][,host[:port]]...[/chroot]`.
    ///
    /// # Errors
    /// A host is missing, a port is no port, or the chroot is no legal path.
    pub fn parse(text: &str) -> Result<ConnectString, AddressError> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let hosts = hosts.split(',').map(|host| parse_host(text, host.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(ConnectString { hosts, chroot: Chroot::new(chroot)? })
    }
}

fn parse_host(whole: &str, text: &str) -> Result<Host, AddressError> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    if name.is_empty() {
        return Err(AddressError::NoHost(whole.into()));
    }
    if name.contains(':') && !text.starts_with('[') {
        return Err(AddressError::BadPort(text.into()));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(AddressError::BadPort(port.into())),
            Ok(port) => port,
        },
    };
    Ok(Host { name: name.into(), port })
}

/// A prefix of all paths; empty for none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chroot(String);

impl Chroot {
    /// "" and "/" mean no chroot.
    ///
    /// # Errors
    /// The path is not legal.
    pub fn new(text: &str) -> Result<Chroot, AddressError> {
        match text {
            "" | "/" => Ok(Chroot::default()),
            _ if path::is_valid(text) => Ok(Chroot(text.into())),
            _ => Err(AddressError::BadChroot(text.into())),
        }
    }

    /// No prefix: paths are the server's.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The server's name of a path of ours. A path that is not absolute is passed on, so that the server refuses
    /// it in its own words.
    pub fn outside(&self, inside: &str) -> String {
        match inside {
            "/" if !self.0.is_empty() => self.0.clone(),
            _ if inside.starts_with('/') => format!("{}{inside}", self.0),
            _ => inside.into(),
        }
    }

    /// Our name of a server's path. A path outside the chroot is returned as it is.
    pub fn inside<'a>(&self, outside: &'a str) -> &'a str {
        match outside.strip_prefix(self.0.as_str()) {
            Some("") if !self.0.is_empty() => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    #[test]
    fn hosts_ports_and_chroot() {
        let parsed = ConnectString::parse("a, b:1,[::1]:2,[fe80::1]/app/x").expect("legal");
        assert_eq!(parsed.hosts, [host("a", 2181), host("b", 1), host("::1", 2), host("fe80::1", 2181)]);
        assert_eq!(parsed.chroot, Chroot("/app/x".into()));
        assert_eq!(ConnectString::parse("a/").expect("legal").chroot, Chroot::default());
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let refused = |text| ConnectString::parse(text).expect_err("illegal");
        assert!(matches!(refused(""), AddressError::NoHost(_)));
        assert!(matches!(refused("a,,b"), AddressError::NoHost(_)));
        assert!(matches!(refused(":1"), AddressError::NoHost(_)));
        assert!(matches!(refused("a:0"), AddressError::BadPort(_)));
        assert!(matches!(refused("a:99999"), AddressError::BadPort(_)));
        assert!(matches!(refused("::1"), AddressError::BadPort(_)));
        assert!(matches!(refused("a/b/"), AddressError::BadChroot(_)));
        assert!(matches!(refused("a/b//c"), AddressError::BadChroot(_)));
    }

    #[test]
    fn chroot_goes_on_and_off() {
        let chroot = Chroot::new("/app").expect("legal");
        for (inside, outside) in [("/", "/app"), ("/a", "/app/a"), ("/app", "/app/app")] {
            assert_eq!(chroot.outside(inside), outside);
            assert_eq!(chroot.inside(outside), inside);
        }
        assert_eq!(chroot.outside("a"), "a");
        assert_eq!(chroot.inside("/apple"), "/apple");
        let none = Chroot::default();
        assert_eq!(none.outside("/"), "/");
        assert_eq!(none.inside("/"), "/");
        assert_eq!(none.inside("/a"), "/a");
    }
}
