//! What an ACL id may look like in each scheme, and how addresses are compared (client-protocol.md section 13.1;
//! IPv6 as in Apache 3.9.6, section 21).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the number of leading bits that count.
#[derive(Clone, Copy)]
struct IpPrefix {
    address: IpAddr,
    bits: u32,
}

/// True for `1.2.3.4`, `1.2.3.0/24`, `::1`, `fe80::/10`.
pub(super) fn is_ip(id: &str) -> bool {
    prefix(id).is_some()
}

/// True if the address of a connection lies within the ACL id.
pub(super) fn ip_matches(acl_id: &str, address: &str) -> bool {
    match (prefix(acl_id), remote(address)) {
        (Some(prefix), Some(address)) => match (prefix.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                prefix.bits == 0 || (a.to_bits() ^ b.to_bits()) >> (32 - prefix.bits) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                prefix.bits == 0 || (a.to_bits() ^ b.to_bits()) >> (128 - prefix.bits) == 0
            }
            _ => false,
        },
        _ => false,
    }
}

/// A connection's address. A listener for both families reports IPv4 peers as `::ffff:1.2.3.4`: they are IPv4.
fn remote(address: &str) -> Option<IpAddr> {
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn prefix(id: &str) -> Option<IpPrefix> {
    let (address, bits) = match id.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (id, None),
    };
    let address = if address.contains(':') { v6(address)? } else { v4(address)? };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => width,
        Some(text) => u32::try_from(text.parse::<i32>().ok()?).ok().filter(|bits| *bits <= width)?,
    };
    Some(IpPrefix { address, bits })
}

/// Four decimal numbers; unlike std, leading zeros and a plus sign pass, as Apache reads them.
fn v4(text: &str) -> Option<IpAddr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
    }
    if parts.next().is_some() { None } else { Some(IpAddr::V4(Ipv4Addr::from(octets))) }
}

/// Hexadecimal groups; the mixed form `::ffff:1.2.3.4` is refused, as by 3.9.6.
fn v6(text: &str) -> Option<IpAddr> {
    if text.contains('.') { None } else { text.parse::<Ipv6Addr>().ok().map(IpAddr::V6) }
}

/// `user:hash`: exactly two parts, not counting empty ones at the end.
pub(super) fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').matches(':').count() == 1
}

/// A Kerberos name: without '@' anything, else `primary[/host]@REALM`.
pub(super) fn is_sasl(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => name.matches('/').count() <= 1 && !realm.contains(['/', '@']),
    }
}

/// An X.500 name as in RFC 2253: `KEY=value` parts between ',', ';' or '+', where a value may be quoted and a
/// backslash takes the meaning from the character behind it. Empty is the empty name.
pub(super) fn is_x509(id: &str) -> bool {
    id.trim().is_empty() || name_parts(id).is_some_and(|parts| parts.iter().all(|part| is_name_part(part)))
}

fn is_name_part(part: &str) -> bool {
    part.split_once('=').is_some_and(|(key, _)| {
        let key = key.trim();
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ' '))
    })
}

fn name_parts(id: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    let mut chars = id.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next()?;
            }
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                parts.push(&id[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&id[start..]);
    if quoted { None } else { Some(parts) }
}
