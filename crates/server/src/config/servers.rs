//! Server, group and weight lines: enough of them to tell a standalone server from an ensemble and to report
//! malformed lines in Apache's words (operations.md sections 1.3 and 1.4).

use super::values::Values;
use super::{ConfigError, Notice};

/// A member as its line describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The N of `server.N`.
    pub id: i64,
    /// False: an observer.
    pub participant: bool,
    /// Host (if any) and port of its client part.
    pub client: Option<(Option<String>, u16)>,
}

const SHAPE: &str = "does not have the form server_config or server_config;client_config where server_config is the \
pipe separated list of host:port:port or host:port:port:type and client_config is port or host:port";

/// Reads all `server.N` lines.
///
/// # Errors
/// A malformed line.
pub fn members(values: &Values) -> Result<Vec<Member>, ConfigError> {
    let mut members = Vec::new();
    for (key, line) in values.with_prefix("server.") {
        members.push(member(key, line).map_err(|what| {
            ConfigError::at(
                values.place(key),
                what,
                "a line looks like server.1=host:2888:3888 or server.1=host:2888:3888:participant;2181",
            )
        })?);
    }
    members.sort_by_key(|member| member.id);
    Ok(members)
}

fn member(key: &str, line: &str) -> Result<Member, String> {
    let id_text = key.strip_prefix("server.").unwrap_or(key);
    let id = super::number::parse_decimal(id_text).ok_or_else(|| format!("For input string: \"{id_text}\""))?;
    let shape = || format!("{line} {SHAPE}");
    let mut halves = line.split(';');
    let addresses = halves.next().unwrap_or_default();
    let client = halves.next();
    if halves.next().is_some() {
        return Err(shape());
    }
    let mut role: Option<bool> = None;
    for address in addresses.split('|') {
        let parts = split_address(address).filter(|parts| matches!(parts.len(), 3 | 4)).ok_or_else(shape)?;
        let (quorum, election) = (port(&parts[0], &parts[1])?, port(&parts[0], &parts[2])?);
        if quorum == election {
            return Err(format!(
                "Client and election port must be different! Please update the configuration file on server.{id}"
            ));
        }
        let participant = match parts.get(3).map(|text| text.to_lowercase()).as_deref() {
            None | Some("participant") => true,
            Some("observer") => false,
            Some(_) => return Err(format!("Unrecognised peertype: {}", parts[3])),
        };
        if role.is_some_and(|role| role != participant) {
            let name = |participant| if participant { "participant" } else { "observer" };
            let (first, second) = (name(!participant), name(participant));
            return Err(format!("Multiple addresses should have similar roles: {first} vs {second}"));
        }
        role = Some(participant);
    }
    let client = match client {
        None => None,
        Some(text) => {
            let parts = split_address(text).ok_or_else(shape)?;
            match parts.as_slice() {
                [port_text] => Some((None, port("0.0.0.0", port_text)?)),
                [host, port_text] => Some((Some(host.clone()), port(host, port_text)?)),
                _ => return Err(shape()),
            }
        }
    };
    Ok(Member { id, participant: role.unwrap_or(true), client })
}

/// Splits at colons, but not inside `[brackets]`, which are taken off.
fn split_address(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, tail) = inner.split_once(']')?;
        parts.push(host.to_owned());
        if tail.is_empty() {
            return Some(parts);
        }
        rest = tail.strip_prefix(':')?;
    }
    parts.extend(rest.split(':').map(str::to_owned));
    parts.iter().all(|part| !part.is_empty()).then_some(parts)
}

fn port(host: &str, text: &str) -> Result<u16, String> {
    let value = super::number::parse_decimal(text).ok_or_else(|| format!("Address unresolved: {host}:{text}"))?;
    u16::try_from(value).map_err(|_| format!("port out of range:{value}"))
}

/// Decides whether this is one server or an ensemble, and refuses the latter. Returns the single member, if there is
/// a line for it.
///
/// # Errors
/// An ensemble, or a list that Apache refuses too.
pub fn single(values: &mut Values, standalone_enabled: bool) -> Result<Option<Member>, ConfigError> {
    let mut members = members(values)?;
    check_groups(values, &members)?;
    let observers = members.iter().filter(|member| !member.participant).count();
    let participants = members.len() - observers;
    let place = members.first().map_or("server.N".to_owned(), |member| values.place(&format!("server.{}", member.id)));
    let invalid = |what: &str, hint: &str| Err(ConfigError::at(place.clone(), what, hint));
    if participants == 0 {
        if !standalone_enabled {
            return invalid(
                "standaloneEnabled = false then number of participants should be >0",
                "remove standaloneEnabled=false to run a single server",
            );
        }
        if observers > 0 {
            return invalid(
                "Observers w/o participants is an invalid configuration",
                "add participants, or remove the server lines to run a single server",
            );
        }
        return Ok(None);
    }
    if participants == 1 && observers > 0 && standalone_enabled {
        return invalid(
            "Observers w/o quorum is an invalid configuration",
            "remove the observers to run a single server",
        );
    }
    if participants > 1 || !standalone_enabled {
        return invalid(
            &format!("this is an ensemble of {} servers, and this version runs a single server only", members.len()),
            "to run one server on its own, remove all server.N lines (and standaloneEnabled=false); for an ensemble \
             keep Apache ZooKeeper for now",
        );
    }
    values.notices.push(Notice::warn(
        format!("{place}: Invalid configuration, only one server specified (ignoring)"),
        "running standalone; remove the server line to silence this",
    ));
    Ok(members.pop())
}

fn check_groups(values: &Values, members: &[Member]) -> Result<(), ConfigError> {
    let mut seen: Vec<i64> = Vec::new();
    for (key, line) in values.with_prefix("group") {
        for text in line.split(':') {
            let invalid = |what: String| {
                ConfigError::at(values.place(key), what, "a line looks like group.1=1:2:3, each server in one group")
            };
            let id =
                super::number::parse_decimal(text).ok_or_else(|| invalid(format!("For input string: \"{text}\"")))?;
            if seen.contains(&id) {
                return Err(invalid(format!("Server {id}is in multiple groups")));
            }
            seen.push(id);
        }
    }
    if seen.is_empty() && values.with_prefix("weight").next().is_none() {
        return Ok(());
    }
    match members.iter().find(|member| member.participant && !seen.contains(&member.id)) {
        None => Ok(()),
        Some(member) => Err(ConfigError::at(
            values.place(&format!("server.{}", member.id)),
            format!("Server {}is not in a group", member.id),
            "name it in a group.N line, or remove all group and weight lines",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_lines() {
        let plain = member("server.1", "h:2888:3888").unwrap();
        assert_eq!(plain, Member { id: 1, participant: true, client: None });
        let full = member("server.2", "[::1]:2888:3888:OBSERVER;127.0.0.1:2181").unwrap();
        assert_eq!(full, Member { id: 2, participant: false, client: Some((Some("127.0.0.1".into()), 2181)) });
        let many = member("server.3", "a:2888:3888|b:2888:3888:participant;2181").unwrap();
        assert_eq!(many.client, Some((None, 2181)));
    }

    #[test]
    fn malformed_lines_in_apaches_words() {
        for (line, expected) in [
            ("h:2888", "does not have the form"),
            ("h:2888:3888:participant:x", "does not have the form"),
            ("h:2888:3888;1;2", "does not have the form"),
            ("", "does not have the form"),
            ("h:x:3888", "Address unresolved: h:x"),
            ("h:70000:3888", "port out of range:70000"),
            ("h:2888:2888", "Client and election port must be different!"),
            ("h:2888:3888:voter", "Unrecognised peertype: voter"),
            ("a:1:2:observer|b:1:2", "Multiple addresses should have similar roles: observer vs participant"),
        ] {
            let error = member("server.1", line).unwrap_err();
            assert!(error.contains(expected), "{line:?}: {error}");
        }
        assert_eq!(member("server.x", "h:1:2").unwrap_err(), "For input string: \"x\"");
    }
}
