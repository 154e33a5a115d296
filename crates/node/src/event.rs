//! What replica and shards tell the shell for its logs: one value per thing an operator asks about.

use crate::{AuditRecord, ConnId};
use ostler_model::{SessionId, Zxid};
use std::net::SocketAddr;

/// Why a connection was closed by the server (or given up).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The client closed its session, or its side of the connection.
    Client,
    /// A frame's length is negative, too small or above `jute.maxbuffer`.
    BadFrameLength(i32),
    /// The handshake or a request header does not decode.
    Malformed,
    /// No handshake within the time allowed.
    HandshakeTimeout,
    /// The client has seen a newer transaction than this server.
    AheadOfServer(Zxid),
    /// The session's id or password is not valid (any more).
    InvalidSession,
    /// The session moved to another connection.
    Moved,
    /// The session expired.
    Expired,
    /// Authentication failed or is missing.
    AuthFailed,
    /// An opcode that clients must not use.
    BadOperation(i32),
    /// The client does not read its output.
    SlowReader,
    /// Too many bytes of unfinished requests in the whole server.
    InputLimit,
    /// The answer to one request grew beyond its bound.
    AnswerTooLong,
    /// `connection_throttle_*`: too many handshakes.
    ConnectionThrottle,
    /// `request_stale_latency_check`: a request waited longer than the session's time-out.
    StaleRequest,
    /// `largeRequestMaxBytes`: a request of so many bytes does not fit beside the other large ones.
    LargeRequest(usize),
    /// The server stops.
    Shutdown,
    /// The server is not part of a quorum (any more).
    NotServing,
    /// The server has no quorum and is read-only, which the client did not ask for.
    ReadOnlyServer,
    /// The server is read-only, and the session belongs to the whole ensemble.
    GlobalSession,
    /// A four-letter word was answered.
    Command,
}

/// Something worth a line in the log or a counter.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum NodeEvent {
    SessionCreated {
        session: SessionId,
        conn: ConnId,
        timeout_ms: i32,
    },
    SessionReattached {
        session: SessionId,
        conn: ConnId,
        timeout_ms: i32,
    },
    SessionRefused {
        session: SessionId,
        conn: ConnId,
    },
    SessionClosed {
        session: SessionId,
    },
    SessionExpired {
        session: SessionId,
        timeout_ms: i32,
    },
    /// The tree differs from what prepare foresaw: a bug of ours, or of memory.
    DigestMismatch {
        zxid: Zxid,
    },
    /// A line for the audit log.
    Audit(Box<AuditRecord>),
    ConnectionRefused {
        peer: SocketAddr,
    },
    ConnectionClosed {
        conn: ConnId,
        peer: SocketAddr,
        session: SessionId,
        reason: CloseReason,
    },
}
