//! Server, group and weight lines: enough of them to tell a standalone server from an ensemble and to report
//! malformed lines in Apache's words (operations.md sections 1.3 and 1.4).

use super::values::Values;
use super::{ConfigError, Notice};
use ostler_model::{Ensemble, EnsembleError, Member, ServerId};

/// The ensemble that all `server.N` lines describe, under version 0.
///
/// # Errors
/// A malformed line.
pub fn ensemble(values: &Values) -> Result<Ensemble, ConfigError> {
    let mut members = Vec::new();
    for (key, line) in values.with_prefix("server.") {
        let id = key.strip_prefix("server.").unwrap_or(key).parse::<ServerId>();
        let member = id.and_then(|id| Member::parse(id, line));
        members.push(member.map_err(|error| refused(values.place(key), &error))?);
    }
    Ensemble::new(members, 0).map_err(|error| refused("server.N".to_owned(), &error))
}

fn refused(place: String, error: &EnsembleError) -> ConfigError {
    ConfigError::at(place, error.to_string(), error.hint())
}

/// What the server lines make of this server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Servers {
    /// It is alone; with the one line there may be for it.
    Alone(Option<Member>),
    /// It is a member of an ensemble.
    Several(Ensemble),
}

/// Decides whether this is one server or an ensemble.
///
/// # Errors
/// A list that Apache refuses too.
pub fn servers(values: &mut Values, standalone_enabled: bool) -> Result<Servers, ConfigError> {
    let ensemble = ensemble(values)?;
    check_groups(values, &ensemble)?;
    let first = ensemble.members().first();
    let place = first.map_or("server.N".to_owned(), |member| values.place(&format!("server.{}", member.id)));
    ensemble.check_roles(standalone_enabled).map_err(|error| refused(place.clone(), &error))?;
    let Some(voter) = ensemble.voters().next() else { return Ok(Servers::Alone(None)) };
    if ensemble.is_distributed(standalone_enabled) {
        return Ok(Servers::Several(ensemble));
    }
    values.notices.push(Notice::warn(
        format!("{place}: Invalid configuration, only one server specified (ignoring)"),
        "running standalone; remove the server line to silence this",
    ));
    Ok(Servers::Alone(ensemble.member(voter).cloned()))
}

fn check_groups(values: &Values, ensemble: &Ensemble) -> Result<(), ConfigError> {
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
    match ensemble.voters().find(|id| !seen.contains(&id.0)) {
        None => Ok(()),
        Some(id) => Err(ConfigError::at(
            values.place(&format!("server.{id}")),
            format!("Server {id}is not in a group"),
            "name it in a group.N line, or remove all group and weight lines",
        )),
    }
}
