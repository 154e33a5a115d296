//! Why a command failed: what, where, what to do, and the exit code for scripts.

use ostler_client::aio;
use ostler_client::aio::ErrorCode;
use serde_json::{Value, json};

/// The command did what was asked.
pub const EXIT_DONE: u8 = 0;
/// A server refused it, or something else went wrong.
pub const EXIT_FAILED: u8 = 1;
/// It makes no sense as it was written.
pub const EXIT_USAGE: u8 = 2;
/// No server took the session, or the session was lost.
pub const EXIT_NO_SERVER: u8 = 3;
/// The znode that was named is not there.
pub const EXIT_NO_NODE: u8 = 4;

/// What `--help` says about exit codes.
pub const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 bad invocation, 3 no server or session lost, 4 no such znode.\nData goes to stdout, everything else to stderr.";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The session, the connection, or the server's refusal.
    #[error("{}", client(.0))]
    Client(#[from] aio::Error),
    /// A path that no znode can have.
    #[error("{path:?} is not a path: {}\nhint: a path is /name/name, without a slash at its end", .fault.describe(.path))]
    Path {
        /// What was written.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// It makes no sense as it was written. The text has its hint.
    #[error("{0}")]
    Usage(String),
    /// A file, the terminal or a pipe.
    #[error("{place}: {error}\nhint: is it there, and may it be used by this user?")]
    Io {
        /// Which.
        place: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// There is no session: it was closed.
    #[error("not connected\nhint: `connect` opens a session, `connect HOST:PORT` elsewhere")]
    NotConnected,
    /// Something that a command found out. The text has its hint.
    #[error("{0}")]
    Failed(String),
}

/// What is wrong with a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathFault {
    /// Nothing is there.
    Empty,
    /// It begins with something else than `/`.
    Relative,
    /// It ends with `/`.
    TrailingSlash,
    /// Two slashes; the place of the second, in characters.
    EmptyName(usize),
    /// `.` or `..` as a name; the place of its last character.
    DotName(usize),
    /// A character that no name has; its place.
    Character(usize),
}

impl PathFault {
    fn describe(self, path: &str) -> String {
        match self {
            PathFault::Empty => "it is empty".into(),
            PathFault::Relative => "it does not begin with /".into(),
            PathFault::TrailingSlash => "it ends with /".into(),
            PathFault::EmptyName(at) => format!("a name is empty at character {at}"),
            PathFault::DotName(at) => format!("`.` and `..` are no names, at character {at}"),
            PathFault::Character(at) => {
                let found = path.chars().nth(at).unwrap_or_default();
                format!("U+{:04X} at character {at} is not allowed in names", found as u32)
            }
        }
    }
}

/// `Ok` if a znode can have this path.
pub fn check_path(path: &str) -> Result<(), CommandError> {
    match fault(path) {
        None => Ok(()),
        Some(fault) => Err(CommandError::Path { path: path.into(), fault }),
    }
}

fn fault(path: &str) -> Option<PathFault> {
    if ostler_model::path::is_valid(path) {
        return None;
    }
    if path.is_empty() {
        return Some(PathFault::Empty);
    }
    if !path.starts_with('/') {
        return Some(PathFault::Relative);
    }
    if path.ends_with('/') {
        return Some(PathFault::TrailingSlash);
    }
    let mut at = 0;
    for name in path[1..].split('/') {
        at += 1;
        let length = name.chars().count();
        if let Some(bad) = name.chars().position(|c| !ostler_model::path::is_valid(&format!("/x{c}"))) {
            return Some(PathFault::Character(at + bad));
        }
        match name {
            "" => return Some(PathFault::EmptyName(at)),
            "." | ".." => return Some(PathFault::DotName(at + length - 1)),
            _ => at += length,
        }
    }
    Some(PathFault::Relative)
}

/// What the client's error says to a person at a command line.
fn client(error: &aio::Error) -> String {
    let aio::Error::Server { path, err, .. } = error else { return error.to_string() };
    let (what, hint) = match error.code() {
        Some(ErrorCode::NoNode) => {
            ("there is no such znode, or no parent for it", "`ls` of the parent shows what is there")
        }
        Some(ErrorCode::NodeExists) => ("it is there already", "`set` changes its data"),
        Some(ErrorCode::NotEmpty) => ("it has children", "`deleteall` deletes a znode with all below it"),
        Some(ErrorCode::BadVersion) => ("it has another version", "`stat` shows the versions"),
        Some(ErrorCode::NoAuth) => (
            "the ACL does not allow it",
            "`getAcl` shows who may do what; --auth SCHEME:ID or `addauth` proves an identity",
        ),
        Some(ErrorCode::InvalidAcl) => (
            "the server does not accept this ACL",
            "write SCHEME:ID:PERMS, for example world:anyone:r or digest:USER:HASH:cdrwa",
        ),
        Some(ErrorCode::NoChildrenForEphemerals) => {
            ("an ephemeral znode has no children", "create the parent without -e")
        }
        Some(ErrorCode::QuotaExceeded) => ("a hard quota is used up", "`listquota` shows it"),
        Some(ErrorCode::NotReadOnly) => ("this server can only be read now", "try again when it has a quorum"),
        Some(ErrorCode::BadArguments) => {
            ("the server does not accept the arguments", "some znodes, such as /zookeeper, cannot be changed")
        }
        Some(ErrorCode::Unimplemented) => ("this server cannot do it", "is it too old, or not part of an ensemble?"),
        Some(ErrorCode::ReconfigDisabled) => ("reconfig is disabled", "set reconfigEnabled=true on the servers"),
        Some(ErrorCode::ReconfigInProgress) => ("another reconfig is in progress", "try again when it has ended"),
        Some(ErrorCode::NewConfigNoQuorum) => (
            "no quorum of the new configuration is up to date",
            "start the new servers first and wait until they follow",
        ),
        Some(ErrorCode::NoWatcher) => ("there is no such watch", "watches belong to the session that set them"),
        _ => return error.to_string(),
    };
    let subject = if path.is_empty() { String::new() } else { format!("{path}: ") };
    let name = ErrorCode::from_i32(*err).map_or("unknown", ErrorCode::name);
    format!("{subject}{what} ({name})\nhint: {hint}")
}

impl CommandError {
    /// A file or pipe that failed.
    pub fn io(place: impl Into<String>, error: std::io::Error) -> CommandError {
        CommandError::Io { place: place.into(), error }
    }

    /// The server's code, if it refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            CommandError::Client(error) => error.code(),
            _ => None,
        }
    }

    /// True if the reader of the output went away, which is no failure: `ostler ls -R / | head`.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, CommandError::Io { error, .. } if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// For scripts; see [`EXIT_CODES`].
    pub fn exit_code(&self) -> u8 {
        match self {
            _ if self.is_closed_pipe() => EXIT_DONE,
            CommandError::Client(aio::Error::Address(_) | aio::Error::Tls { .. })
            | CommandError::Usage(_)
            | CommandError::Path { .. } => EXIT_USAGE,
            CommandError::Client(error) if error.code() == Some(ErrorCode::NoNode) => EXIT_NO_NODE,
            CommandError::Client(
                aio::Error::NotConnected { .. }
                | aio::Error::ConnectionLoss { .. }
                | aio::Error::SessionExpired
                | aio::Error::AuthFailed { .. }
                | aio::Error::Closed { .. },
            )
            | CommandError::NotConnected => EXIT_NO_SERVER,
            CommandError::Client(_) | CommandError::Io { .. } | CommandError::Failed(_) => EXIT_FAILED,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let text = self.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message, Some(hint)),
            None => (text.as_str(), None),
        };
        let code = self.code().map(ErrorCode::name);
        json!({ "error": { "message": message, "hint": hint, "code": code, "exit": self.exit_code() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_paths() {
        for (path, expected) in [
            ("/", None),
            ("/a b/c", None),
            ("", Some(PathFault::Empty)),
            ("a", Some(PathFault::Relative)),
            ("/a/", Some(PathFault::TrailingSlash)),
            ("//", Some(PathFault::TrailingSlash)),
            ("/a//b", Some(PathFault::EmptyName(3))),
            ("/bad//path", Some(PathFault::EmptyName(5))),
            ("/a/./b", Some(PathFault::DotName(3))),
            ("/a/..", Some(PathFault::DotName(4))),
            ("/a\u{1}", Some(PathFault::Character(2))),
        ] {
            assert_eq!(fault(path), expected, "{path:?}");
        }
    }

    #[test]
    fn every_error_says_what_where_and_a_hint() {
        use ostler_model::OpCode;
        let refused = |code: ErrorCode| {
            CommandError::from(aio::Error::Server { op: OpCode::GetData, path: "/x".into(), err: code.code() })
        };
        let error = refused(ErrorCode::NoNode);
        assert_eq!((error.exit_code(), error.code()), (EXIT_NO_NODE, Some(ErrorCode::NoNode)));
        for code in [ErrorCode::NoNode, ErrorCode::NoAuth, ErrorCode::NotEmpty, ErrorCode::InvalidAcl] {
            let text = refused(code).to_string();
            assert!(text.starts_with("/x: ") && text.contains(code.name()) && text.contains("\nhint: "), "{text}");
        }
        let json = refused(ErrorCode::NotEmpty).json();
        assert_eq!(json["error"]["code"], "Directory not empty");
        assert!(json["error"]["hint"].is_string());
    }
}
