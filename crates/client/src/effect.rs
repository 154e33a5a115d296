//! What goes into the session core and what comes out of it: settings, requests, effects, and the reasons of
//! everything that can go wrong, in words.

use crate::texts;
use ostler_model::{EventType, OpCode, SessionId, Zxid};

/// Bytes of paths in one setWatches packet, well below every server's frame limit.
pub const SET_WATCHES_BYTES_MAX: usize = 128 << 10;

/// Settings of a session. Times in milliseconds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The time-out to ask for; the server answers with its own within its bounds.
    pub session_timeout_ms: u32,
    /// How many servers the connection string names (at least one).
    pub servers: usize,
    /// Accept a server that can only be read.
    pub read_only_allowed: bool,
    /// Requests waiting to be sent or answered, at most.
    pub pending_max: usize,
    /// Bytes of requests waiting to be sent, at most (one request may exceed it alone).
    pub pending_bytes_max: usize,
    /// The largest reply that is taken, bytes. A list of children has no bound of its own at the server.
    pub reply_bytes_max: usize,
    /// Bytes of paths in one setWatches packet (one path may exceed it alone).
    pub set_watches_bytes_max: usize,
    /// Decides the order of servers and the waits between attempts.
    pub seed: u64,
}

impl Config {
    /// Usual settings for this many servers.
    pub fn new(session_timeout_ms: u32, servers: usize, seed: u64) -> Config {
        Config {
            session_timeout_ms,
            servers: servers.max(1),
            read_only_allowed: false,
            pending_max: 10_000,
            pending_bytes_max: 64 << 20,
            reply_bytes_max: 256 << 20,
            set_watches_bytes_max: SET_WATCHES_BYTES_MAX,
            seed,
        }
    }
}

/// One TCP connection of this session; never reused, so that news of an old one cannot be taken for the new one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names a request to its caller, over all reconnects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Open a TCP connection to the server with this index; answer with `connected` or `link_down`.
    Connect {
        /// The new connection's name.
        link: LinkId,
        /// Index into the connection string's servers.
        server: usize,
    },
    /// Write these bytes.
    Send {
        /// The connection.
        link: LinkId,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// Close the connection; nothing more is expected of it.
    Disconnect {
        /// The connection.
        link: LinkId,
    },
    /// Ask this server whether it can write: connect, send `isro`, read; then tell `probed`, soon and in any case. Only at a
    /// server that can only be read.
    Probe {
        /// Index into the connection string's servers.
        server: usize,
    },
    /// A request is done.
    Reply {
        /// Which.
        id: RequestId,
        /// What was asked.
        op: OpCode,
        /// The server's answer, or why there is none.
        result: Result<RawReply, RequestError>,
    },
    /// A watch fired.
    Event(WatchEvent),
    /// The session's state changed.
    State(SessionState),
}

/// A server's answer to a request, body not decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct RawReply {
    pub zxid: Zxid,
    /// 0 or an error code of client-protocol.md section 8.
    pub err: i32,
    pub body: Vec<u8>,
}

/// A watch event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchEvent {
    /// The zxid of the change; -1 from servers before 3.9 and for what was missed while disconnected.
    pub zxid: Zxid,
    /// What happened.
    pub kind: EventType,
    /// To which znode.
    pub path: String,
}

/// Why a request has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection was lost before the answer came.
    #[error("{}", texts::loss(*.sent, .why))]
    ConnectionLoss {
        /// True if the request may have reached the server.
        sent: bool,
        /// Why the connection was lost.
        why: Cause,
    },
    /// The server does not know the session any more; its ephemerals are gone.
    #[error("{}", texts::EXPIRED)]
    SessionExpired,
    /// An auth packet was refused; the session is of no use any more.
    #[error("{}", texts::AUTH_FAILED)]
    AuthFailed,
    /// The session was closed by its own side.
    #[error("the session is closed")]
    Closed,
    /// Only reads are possible at the server that this session has now.
    #[error("{}", texts::READ_ONLY)]
    ReadOnly,
}

/// Why a request was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too many requests wait.
    #[error("too many requests wait for their answer\nhint: wait for replies before asking more, or raise pending_max")]
    Full,
    /// The session has ended.
    #[error("the session has ended\nhint: open a new one")]
    Ended,
}

/// The state of a session, as its events tell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionState {
    /// A server holds the session.
    Connected {
        /// The session.
        session: SessionId,
        /// The time-out that the server granted, milliseconds.
        timeout_ms: u32,
        /// The server can only be read.
        read_only: bool,
        /// True if this client was connected before. (The session is another one if it was held by a read-only server
        /// only.)
        again: bool,
    },
    /// No server holds the session; it is being reconnected. Sent once for each loss, and for each failed attempt.
    Suspended(Cause),
    /// The server declared the session dead. Final.
    Expired,
    /// An auth packet was refused. Final.
    AuthFailed,
    /// Closed by its own side. Final.
    Closed,
}

impl SessionState {
    /// True if the session is over: no other state follows.
    pub fn is_final(&self) -> bool {
        matches!(self, SessionState::Expired | SessionState::AuthFailed | SessionState::Closed)
    }
}

/// Why a connection ended or could not be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Cause {
    /// The shell could not connect or lost the connection.
    #[error("{0}")]
    Link(String),
    /// The server closed it.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// The server closed it instead of answering the handshake: it does not serve now, or has not yet seen all that
    /// this client has.
    #[error("the server closed the connection instead of answering (it does not serve, or is behind zxid {0})")]
    Refused(Zxid),
    /// No connection and answer to the handshake in time.
    #[error("no answer to the handshake within {0} ms")]
    ConnectTimeout(u64),
    /// Nothing heard for two thirds of the session's time-out.
    #[error("nothing heard from the server for {0} ms")]
    ReadTimeout(u64),
    /// The server sent what the protocol does not allow.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// Left for a server that can write.
    #[error("the server can only be read, and one that can write was found")]
    Moving,
    /// Closed by its own side.
    #[error("closed by this client")]
    Own,
}
