//! What Apache's shell says when something cannot be done.

use crate::error::{CommandError, PathFault};
use ostler_client::aio::{Error, ErrorCode};

/// Why a line is not run, or how it failed.
#[derive(Debug)]
pub enum Refusal {
    /// The words do not fit: the command's usage line.
    Usage,
    /// This text, on stderr.
    Err(String),
    /// This text, on stdout.
    Out(String),
    /// There is no such command, which was said.
    Unknown,
    /// This text, on stderr; Apache counts it as done all the same.
    Said(String),
    /// There is no session any more; counted as done, too.
    NotConnected,
    /// Nothing is said.
    Nothing,
    /// A word that should be a number; Apache's shell ends with a stack trace here.
    NotANumber(String),
    /// The command failed.
    Command(CommandError),
}

/// The text for a failed command that was about this path.
pub fn text(error: &CommandError, path: &str) -> String {
    match error {
        CommandError::Client(error) => client(error, path),
        CommandError::Path { path, fault } => of_path(path, *fault),
        CommandError::NotConnected => "Not connected".into(),
        CommandError::Usage(text) | CommandError::Failed(text) => {
            text.split("\nhint: ").next().unwrap_or_default().into()
        }
        CommandError::Io { place, error } => {
            // The system's words without its number.
            let error = error.to_string();
            format!("Error processing {place}{place} ({})", error.split(" (os error").next().unwrap_or_default())
        }
    }
}

fn of_path(path: &str, fault: PathFault) -> String {
    let reason = match fault {
        PathFault::Empty => return "Path length must be > 0".into(),
        PathFault::Relative => return "Path must start with / character".into(),
        PathFault::TrailingSlash => return "Path must not end with / character".into(),
        PathFault::EmptyName(at) => format!("empty node name specified @{at}"),
        PathFault::DotName(at) => format!("relative paths not allowed @{at}"),
        PathFault::Character(at) if path.chars().nth(at) == Some('\0') => format!("null character not allowed @{at}"),
        PathFault::Character(at) => format!("invalid character @{at}"),
    };
    format!("Invalid path string \"{path}\" caused by {reason}")
}

fn client(error: &Error, path: &str) -> String {
    let code = match error {
        Error::Server { .. } | Error::Multi { .. } => error.code(),
        Error::SessionExpired => Some(ErrorCode::SessionExpired),
        Error::AuthFailed { .. } => Some(ErrorCode::AuthFailed),
        Error::ReadOnly => Some(ErrorCode::NotReadOnly),
        Error::NotConnected { .. } | Error::ConnectionLoss { .. } | Error::Closed { .. } => {
            Some(ErrorCode::ConnectionLoss)
        }
        // It breaks the connection there.
        Error::TooLarge { .. } => Some(ErrorCode::ConnectionLoss),
        _ => None,
    };
    let path = match error {
        Error::Server { path, .. } => path,
        _ => path,
    };
    let Some(code) = code else { return error.to_string() };
    let before = match code {
        ErrorCode::NoNode => "Node does not exist: ",
        ErrorCode::NoChildrenForEphemerals => "Ephemerals cannot have children: ",
        ErrorCode::NodeExists => "Node already exists: ",
        ErrorCode::NotEmpty => "Node not empty: ",
        ErrorCode::NotReadOnly => "Not a read-only call: ",
        ErrorCode::InvalidAcl => "Acl is not valid : ",
        ErrorCode::NoAuth => "Insufficient permission : ",
        ErrorCode::BadArguments => "Arguments are not valid : ",
        ErrorCode::BadVersion => "version No is not valid : ",
        ErrorCode::QuotaExceeded => "Quota has exceeded : ",
        ErrorCode::ReconfigInProgress => {
            return "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)".into();
        }
        ErrorCode::NewConfigNoQuorum => {
            return "No quorum of new config is connected and up-to-date with the leader of last commmitted config - try invoking reconfiguration after new servers are connected and synced".into();
        }
        _ => return keeper(code, path),
    };
    format!("{before}{path}")
}

/// The text of Apache's exceptions.
pub fn keeper(code: ErrorCode, path: &str) -> String {
    if path.is_empty() {
        format!("KeeperErrorCode = {}", code.name())
    } else {
        format!("KeeperErrorCode = {} for {path}", code.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_model::OpCode;

    #[test]
    fn refusals_in_apaches_words() {
        let server = |code: ErrorCode, path: &str| {
            text(&Error::Server { op: OpCode::GetData, path: path.into(), err: code.code() }.into(), "/other")
        };
        assert_eq!(server(ErrorCode::NoNode, "/a"), "Node does not exist: /a");
        assert_eq!(server(ErrorCode::NoWatcher, "/a"), "KeeperErrorCode = No such watcher for /a");
        assert_eq!(server(ErrorCode::ReconfigDisabled, ""), "KeeperErrorCode = Reconfig is disabled");
        assert_eq!(text(&Error::SessionExpired.into(), "/a"), "KeeperErrorCode = Session expired for /a");
        let path = |path: &str| text(&crate::error::check_path(path).unwrap_err(), "");
        assert_eq!(path("/bad//path"), "Invalid path string \"/bad//path\" caused by empty node name specified @5");
        assert_eq!(path("/a/../b"), "Invalid path string \"/a/../b\" caused by relative paths not allowed @4");
        assert_eq!(path("rel"), "Path must start with / character");
        assert_eq!(path("/a/"), "Path must not end with / character");
        assert_eq!(path(""), "Path length must be > 0");
    }
}
