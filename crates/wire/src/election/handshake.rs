//! The opening message of whoever dials an election port (ensemble.md section 2.2). There is no answer to it.

use crate::jute::{self, DecodeError, Reader};
use crate::utf8;
use ostler_model::limits::HANDSHAKE_ADDRESSES_BYTES_MAX;
use ostler_model::{Endpoint, ServerId};

/// Says that one address follows.
const V1: i64 = -65_536;
/// Says that several addresses follow.
const V2: i64 = -65_535;
const SEPARATOR: char = '|';

/// Who dials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handshake {
    /// Before 3.5: nothing but the id.
    Legacy {
        /// The dialer.
        server: ServerId,
    },
    /// Since 3.5.
    V1 {
        /// The dialer.
        server: ServerId,
        /// Its election address as its configuration names it; more than one only if the dialer breaks the rule.
        addresses: Vec<Endpoint>,
    },
    /// Since 3.6, and sent only where several addresses are enabled.
    V2 {
        /// The dialer.
        server: ServerId,
        /// Its election addresses.
        addresses: Vec<Endpoint>,
    },
}

impl Handshake {
    /// What every server since 3.5 understands.
    pub fn new(server: ServerId, address: Endpoint) -> Handshake {
        Handshake::V1 { server, addresses: vec![address] }
    }

    /// The dialer. It may be any number: what has no [`ServerId::is_legal`] id is nobody to talk to.
    pub const fn server(&self) -> ServerId {
        match self {
            Handshake::Legacy { server } | Handshake::V1 { server, .. } | Handshake::V2 { server, .. } => *server,
        }
    }

    /// Where it can be dialed back. Empty: only its configured address can tell.
    pub fn dialable(&self) -> impl Iterator<Item = &Endpoint> {
        let addresses = match self {
            Handshake::Legacy { .. } => &[],
            Handshake::V1 { addresses, .. } | Handshake::V2 { addresses, .. } => &addresses[..],
        };
        addresses.iter().filter(|address| !address.host.is_wildcard())
    }

    /// Decodes the handshake at the front of `bytes` and says how long it is; `None` while it is not complete.
    ///
    /// # Errors
    /// Another protocol, an unreasonable length, or what is no list of `host:port`: the connection is closed.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Handshake, usize)>, DecodeError> {
        match Handshake::take(bytes) {
            Ok(found) => Ok(Some(found)),
            Err(DecodeError::Truncated) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(bytes: &[u8]) -> Result<(Handshake, usize), DecodeError> {
        let mut r = Reader::of_server(bytes, HANDSHAKE_ADDRESSES_BYTES_MAX);
        let version = r.long()?;
        if version >= 0 {
            return Ok((Handshake::Legacy { server: ServerId(version) }, bytes.len() - r.rest().len()));
        }
        if !matches!(version, V1 | V2) {
            return Err(DecodeError::UnknownProtocol(version));
        }
        let server = ServerId(r.long()?);
        let text = r.buffer()?.ok_or(DecodeError::BadLength(-1))?;
        if text.is_empty() {
            return Err(DecodeError::BadLength(0));
        }
        let addresses = utf8::decode(text, false)
            .split(SEPARATOR)
            .map(|address| Endpoint::parse(address).map_err(|_| DecodeError::BadAddress))
            .collect::<Result<Vec<Endpoint>, DecodeError>>()?;
        let handshake =
            if version == V1 { Handshake::V1 { server, addresses } } else { Handshake::V2 { server, addresses } };
        Ok((handshake, bytes.len() - r.rest().len()))
    }

    /// Appends the handshake. It must leave in one write: Apache does not wait for the rest of the addresses. Those
    /// beyond the length that it reads are left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (version, server, addresses) = match self {
            Handshake::Legacy { server } => return jute::put_long(out, server.0),
            Handshake::V1 { server, addresses } => (V1, server, addresses),
            Handshake::V2 { server, addresses } => (V2, server, addresses),
        };
        let mut text = String::new();
        for address in addresses.iter().map(ToString::to_string) {
            if text.len() + 1 + address.len() > HANDSHAKE_ADDRESSES_BYTES_MAX {
                break;
            }
            if !text.is_empty() {
                text.push(SEPARATOR);
            }
            text.push_str(&address);
        }
        jute::put_long(out, version);
        jute::put_long(out, server.0);
        jute::put_text(out, Some(&text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    fn bytes(version: i64, length: i32, text: &str) -> Vec<u8> {
        [&version.to_be_bytes()[..], &7_i64.to_be_bytes(), &length.to_be_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn all_three_forms() {
        for (handshake, written) in [
            (Handshake::Legacy { server: ServerId(7) }, 7_i64.to_be_bytes().to_vec()),
            (Handshake::new(ServerId(7), endpoint("zk:3888")), bytes(V1, 7, "zk:3888")),
            (
                Handshake::V2 { server: ServerId(7), addresses: vec![endpoint("zk:3888"), endpoint("[::1]:1")] },
                bytes(V2, 27, "zk:3888|[0:0:0:0:0:0:0:1]:1"),
            ),
        ] {
            let mut out = Vec::new();
            handshake.encode(&mut out);
            assert_eq!(out, written);
            assert_eq!(Handshake::decode(&out), Ok(Some((handshake.clone(), out.len()))));
            for end in 0..out.len() {
                assert_eq!(Handshake::decode(&out[..end]), Ok(None), "{handshake:?} of {end} bytes");
            }
            let longer = [&out[..], &[1, 2, 3]].concat();
            assert_eq!(Handshake::decode(&longer), Ok(Some((handshake, out.len()))), "stops behind itself");
        }
    }

    #[test]
    fn what_is_refused_at_once() {
        for version in [-1, -65_534, -65_537, i64::MIN] {
            let error = Err(DecodeError::UnknownProtocol(version));
            assert_eq!(Handshake::decode(&version.to_be_bytes()), error);
        }
        for length in [0, -1, -2, 2_049, i32::MAX] {
            assert_eq!(Handshake::decode(&bytes(V1, length, "")), Err(DecodeError::BadLength(length)));
        }
        for text in ["zk", "zk:1:2", "zk:x", "zk:65536", "zk:1|", "[::1:1", "\u{e4}:1"] {
            let length = i32::try_from(text.len()).unwrap();
            assert_eq!(Handshake::decode(&bytes(V2, length, text)), Err(DecodeError::BadAddress), "{text}");
        }
        assert_eq!(Handshake::decode(&bytes(V1, 2_048, "zk")), Ok(None), "2048 is the greatest length");
    }

    #[test]
    fn wildcards_cannot_be_dialed() {
        let addresses = ["0.0.0.0:1", "zk:2", "[::]:3"].map(endpoint).to_vec();
        let handshake = Handshake::V2 { server: ServerId(7), addresses };
        assert_eq!(handshake.dialable().collect::<Vec<_>>(), [&endpoint("zk:2")]);
        assert_eq!(Handshake::Legacy { server: ServerId(7) }.dialable().count(), 0);
    }

    #[test]
    fn more_addresses_than_fit_are_left_out() {
        let addresses = vec![endpoint(&format!("{}:3888", "z".repeat(250))); 16];
        let mut out = Vec::new();
        Handshake::V2 { server: ServerId(7), addresses: addresses.clone() }.encode(&mut out);
        let (read, length) = Handshake::decode(&out).unwrap().unwrap();
        assert_eq!(
            (read, length),
            (Handshake::V2 { server: ServerId(7), addresses: addresses[..8].to_vec() }, out.len())
        );
    }
}
