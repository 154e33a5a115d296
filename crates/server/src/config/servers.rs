//! Server, group and weight lines: enough of them to tell a standalone server from an ensemble and to report
//! malformed lines in Apache's words (operations.md sections 1.3 and 1.4).

use super::values::Values;
use super::{ConfigError, Notice};
use ostler_model::{Ensemble, EnsembleError, Member, ServerId, version_of_file_name};

/// The ensemble that all `server.N` lines describe: those of zoo.cfg, under version 0, or those of the dynamic file
/// that it names.
///
/// # Errors
/// A malformed line; a file that cannot be read; lines in both files.
pub fn ensemble(values: &Values) -> Result<Ensemble, ConfigError> {
    if let Some(file) = values.text("dynamicConfigFile") {
        return dynamic(values, file);
    }
    let mut members = Vec::new();
    for (key, line) in values.with_prefix("server.") {
        let id = key.strip_prefix("server.").unwrap_or(key).parse::<ServerId>();
        let member = id.and_then(|id| Member::parse(id, line));
        members.push(member.map_err(|error| refused(values.place(key), &error))?);
    }
    Ensemble::new(members, 0).map_err(|error| refused("server.N".to_owned(), &error))
}

/// Reads a dynamic file, whose version is in its name (operations.md section 1.3).
fn dynamic(values: &Values, file: &str) -> Result<Ensemble, ConfigError> {
    let both = ["server.", "group", "weight"].into_iter().find_map(|prefix| values.with_prefix(prefix).next());
    if let Some((key, _)) = both {
        let what = format!("parameter: {key} must be in a separate dynamic config file");
        let hint = format!("move the line into {file}, or remove dynamicConfigFile and name all servers here");
        return Err(ConfigError::at(values.place(key), what, hint));
    }
    // Any byte is a character, as in zoo.cfg.
    let bytes = std::fs::read(file).map_err(|error| {
        let (what, hint) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                format!("{file} file is missing"),
                "name the newest file zoo.cfg.dynamic.VERSION, or write the server.N lines into zoo.cfg instead",
            ),
            _ => (format!("{file} cannot be read: {error}"), "let the server's user read it"),
        };
        ConfigError::at(values.place("dynamicConfigFile"), what, hint)
    })?;
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    Ensemble::parse_file(&text, version_of_file_name(file)).map_err(|error| refused(file.to_owned(), &error))
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
    let place = match values.text("dynamicConfigFile") {
        Some(file) => file.to_owned(),
        None => first.map_or("server.N".to_owned(), |member| values.place(&format!("server.{}", member.id))),
    };
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
