//! What can be wrong with the configuration of an ensemble, in Apache's words where it has any (operations.md
//! section 1.4).

use crate::ServerId;
use crate::limits::{ENSEMBLE_MEMBERS_MAX, MEMBER_ADDRESSES_MAX};
use crate::properties::BadEscape;
use alloc::string::String;
use core::fmt;

/// Why a configuration, or a line of one, is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "Display says it")]
pub enum EnsembleError {
    Escape(BadEscape),
    UnknownKey(String),
    /// Groups and weights are not supported; the key that asks for them.
    Hierarchical(String),
    BadServerId(String),
    /// Negative, or the id that means "anonymous".
    ServerIdOutOfRange(i64),
    RepeatedServer(ServerId),
    TooManyMembers,
    TooManyAddresses(ServerId),
    /// The whole line.
    Shape(String),
    BadHost(String),
    BadPort {
        host: String,
        text: String,
    },
    PortOutOfRange(i32),
    SamePorts(ServerId),
    BadRole(String),
    MixedRoles(ServerId),
    BadVersion(String),
    VersionInFile,
    NoParticipants,
    ObserversWithoutParticipants,
    ObserversWithoutQuorum,
}

impl EnsembleError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            EnsembleError::Escape(_) => "write a backslash as \\\\",
            EnsembleError::UnknownKey(_) => "only server.N, group.N, weight.N and version may stand here",
            EnsembleError::Hierarchical(_) => "remove all group.N and weight.N lines: every voter then counts as one",
            EnsembleError::BadServerId(_) => "the N of server.N is a decimal number",
            EnsembleError::ServerIdOutOfRange(_) => "the N of server.N is at least 0 and below 9223372036854775807",
            EnsembleError::RepeatedServer(_) => "give each server a number of its own",
            EnsembleError::TooManyMembers => "an ensemble of more than seven voters is slower, not safer",
            EnsembleError::TooManyAddresses(_) => "one address for each network that connects the members is enough",
            EnsembleError::Shape(_) | EnsembleError::BadPort { .. } | EnsembleError::PortOutOfRange(_) => {
                "a line looks like server.1=host:2888:3888 or server.1=host:2888:3888:participant;2181"
            }
            EnsembleError::BadHost(_) => "give a host name or an address; IPv6 addresses stand in [brackets]",
            EnsembleError::SamePorts(_) => {
                "the first port is the quorum's, the second that of elections, e.g. 2888:3888"
            }
            EnsembleError::BadRole(_) => "a role is participant or observer",
            EnsembleError::MixedRoles(_) => "name the same role with each address, or only with the last one",
            EnsembleError::BadVersion(_) => "a version is a hexadecimal number without 0x, at most 7fffffffffffffff",
            EnsembleError::VersionInFile => "remove the line: the version is the last part of the file's name",
            EnsembleError::NoParticipants => "remove standaloneEnabled=false to run a single server",
            EnsembleError::ObserversWithoutParticipants => {
                "add participants, or remove the server lines to run a single server"
            }
            EnsembleError::ObserversWithoutQuorum => "remove the observers to run a single server",
        }
    }
}

impl fmt::Display for EnsembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnsembleError::Escape(error) => write!(f, "{error} in line {}", error.line),
            EnsembleError::UnknownKey(key) => write!(f, "Unrecognised parameter: {key}"),
            EnsembleError::Hierarchical(key) => {
                write!(f, "{key}: hierarchical quorums (groups and weights) are not supported by this version")
            }
            EnsembleError::BadServerId(text) => write!(f, "For input string: \"{text}\""),
            EnsembleError::ServerIdOutOfRange(id) => write!(f, "server id {id} is out of range"),
            EnsembleError::RepeatedServer(id) => write!(f, "server.{id} is given twice"),
            EnsembleError::TooManyMembers => write!(f, "more than {ENSEMBLE_MEMBERS_MAX} servers"),
            EnsembleError::TooManyAddresses(id) => {
                write!(f, "server.{id} has more than {MEMBER_ADDRESSES_MAX} addresses")
            }
            EnsembleError::Shape(line) => write!(
                f,
                "{line} does not have the form server_config or server_config;client_config where server_config is \
                 the pipe separated list of host:port:port or host:port:port:type and client_config is port or \
                 host:port"
            ),
            EnsembleError::BadHost(text) => write!(f, "{text:?} is no host name or address"),
            EnsembleError::BadPort { host, text } => write!(f, "Address unresolved: {host}:{text}"),
            EnsembleError::PortOutOfRange(port) => write!(f, "port out of range:{port}"),
            EnsembleError::SamePorts(id) => write!(
                f,
                "Client and election port must be different! Please update the configuration file on server.{id}"
            ),
            EnsembleError::BadRole(text) => write!(f, "Unrecognised peertype: {text}"),
            EnsembleError::MixedRoles(id) => {
                write!(f, "Multiple addresses should have similar roles: participant vs observer in server.{id}")
            }
            EnsembleError::BadVersion(text) => write!(f, "version {text:?} is no hexadecimal number"),
            EnsembleError::VersionInFile => f.write_str("dynamic file shouldn't have version inside"),
            EnsembleError::NoParticipants => {
                f.write_str("standaloneEnabled = false then number of participants should be >0")
            }
            EnsembleError::ObserversWithoutParticipants => {
                f.write_str("Observers w/o participants is an invalid configuration")
            }
            EnsembleError::ObserversWithoutQuorum => f.write_str("Observers w/o quorum is an invalid configuration"),
        }
    }
}

impl core::error::Error for EnsembleError {}
