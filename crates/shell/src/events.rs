//! What a session tells without being asked: its states and the events of its watches.

use crate::output::{Output, Paint};
use ostler_client::aio::{EventType, Notice, SessionState, WatchEvent};
use serde_json::{Value, json};

/// Something that happened while nobody asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The session's state changed.
    State(SessionState),
    /// A watch fired.
    Watch(WatchEvent),
    /// A persistent watch may have missed something below this path.
    Missed(String),
    /// A watch was taken away; `kind` is Apache's name of the event.
    Removed {
        /// `DataWatchRemoved` and so on.
        kind: &'static str,
        /// Where it was.
        path: String,
    },
}

impl Event {
    /// What a persistent watch at `path` tells.
    pub fn of_notice(notice: Notice, path: &str) -> Event {
        match notice {
            Notice::Event(event) => Event::Watch(event),
            Notice::Missed => Event::Missed(path.to_owned()),
        }
    }

    /// One line for people.
    pub fn people(&self, out: &Output) -> String {
        match self {
            Event::State(SessionState::Connected { session, read_only, again, .. }) => {
                let (how, again) =
                    (if *read_only { " for reading only" } else { "" }, if *again { " again" } else { "" });
                out.paint(Paint::Good, format!("connected{again}{how}, session {session}"))
            }
            Event::State(SessionState::Suspended(cause)) => {
                out.paint(Paint::Warning, format!("connection lost ({cause}); trying other servers"))
            }
            Event::State(SessionState::Expired) => {
                out.paint(Paint::Bad, "the session has expired: its ephemerals and watches are gone")
            }
            Event::State(SessionState::AuthFailed) => {
                out.paint(Paint::Bad, "the server refused an identity, which ended the session")
            }
            Event::State(SessionState::Closed) => out.paint(Paint::Dim, "session closed"),
            Event::Watch(event) => {
                let what = match event.kind {
                    EventType::NodeCreated => "created",
                    EventType::NodeDeleted => "deleted",
                    EventType::NodeDataChanged => "data changed",
                    EventType::NodeChildrenChanged => "children changed",
                };
                let zxid = if event.zxid.0 < 0 { String::new() } else { format!(" (zxid 0x{:x})", event.zxid.0) };
                format!("watch: {} {what}{}", out.paint(Paint::Name, &event.path), out.paint(Paint::Dim, zxid))
            }
            Event::Missed(path) => out.paint(
                Paint::Warning,
                format!("watch: something may have changed at {path} while the connection was lost; read it again"),
            ),
            Event::Removed { path, .. } => out.paint(Paint::Dim, format!("watch: taken away from {path}")),
        }
    }

    /// One object for programs.
    pub fn json(&self) -> Value {
        match self {
            Event::State(state) => json!({ "event": "session", "state": apache_state(state) }),
            Event::Watch(event) => {
                json!({ "event": apache_kind(event.kind), "path": event.path, "zxid": event.zxid.0 })
            }
            Event::Missed(path) => json!({ "event": "Missed", "path": path }),
            Event::Removed { kind, path } => json!({ "event": kind, "path": path }),
        }
    }

    /// Apache's two messages, each behind an empty line.
    pub fn apache(&self) -> String {
        let (state, kind, path, zxid) = match self {
            Event::State(state) => (apache_state(state), "None", "null", -1),
            Event::Watch(event) => ("SyncConnected", apache_kind(event.kind), event.path.as_str(), event.zxid.0),
            Event::Removed { kind, path } => ("SyncConnected", *kind, path.as_str(), -1),
            // Apache's client does not tell of what it may have missed.
            Event::Missed(_) => return String::new(),
        };
        format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}")
    }
}

fn apache_state(state: &SessionState) -> &'static str {
    match state {
        SessionState::Connected { read_only: true, .. } => "ConnectedReadOnly",
        SessionState::Connected { .. } => "SyncConnected",
        SessionState::Suspended(_) => "Disconnected",
        SessionState::Expired => "Expired",
        SessionState::AuthFailed => "AuthFailed",
        SessionState::Closed => "Closed",
    }
}

fn apache_kind(kind: EventType) -> &'static str {
    match kind {
        EventType::NodeCreated => "NodeCreated",
        EventType::NodeDeleted => "NodeDeleted",
        EventType::NodeDataChanged => "NodeDataChanged",
        EventType::NodeChildrenChanged => "NodeChildrenChanged",
    }
}
