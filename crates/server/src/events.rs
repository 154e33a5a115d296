//! What replica and shards report, as log lines and counters. Lines that a flood could repeat are limited: one a second
//! about connections, a hundred about expired sessions; the next line tells how many were left out.

use crate::audit::AuditLog;
use crate::metrics::Metrics;
use ostler_node::{CloseReason, NodeEvent, Now};
use std::io;
use tracing::{debug, error, info, warn};

/// Lines of one kind are counted for so long.
const INTERVAL_MS: u64 = 1_000;
/// An operator asks about every session; only a flood of them is cut.
const EXPIRIES_MAX: u64 = 100;

#[derive(Debug)]
struct Limit {
    /// Lines in one interval.
    most: u64,
    printed: u64,
    next_ms: u64,
    suppressed: u64,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit::of(1)
    }
}

impl Limit {
    const fn of(most: u64) -> Limit {
        Limit { most, printed: 0, next_ms: 0, suppressed: 0 }
    }

    /// `Some(n)`: print it, and say that `n` were left out before.
    fn pass(&mut self, now: Now) -> Option<u64> {
        if now.mono_ms >= self.next_ms {
            self.next_ms = now.mono_ms + INTERVAL_MS;
            self.printed = 0;
        }
        if self.printed == self.most {
            self.suppressed += 1;
            return None;
        }
        self.printed += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Turns events into lines.
#[derive(Debug)]
pub struct EventLog {
    refused: Limit,
    accept: Limit,
    closed: Limit,
    expired: Limit,
    audit: AuditLog,
}

impl Default for EventLog {
    fn default() -> EventLog {
        let one = Limit::default;
        EventLog {
            refused: one(),
            accept: one(),
            closed: one(),
            expired: Limit::of(EXPIRIES_MAX),
            audit: AuditLog::new(),
        }
    }
}

impl EventLog {
    /// A connection could not be accepted.
    pub fn accept_failed(&mut self, now: Now, error: &io::Error) {
        if let Some(suppressed) = self.accept.pass(now) {
            warn!(
                suppressed,
                "cannot accept connections: {error}; those connected are served on; hint: raise the limit of open \
                 files (ulimit -n)"
            );
        }
    }

    /// One event.
    pub fn log(&mut self, now: Now, event: &NodeEvent, metrics: &mut Metrics) {
        match event {
            NodeEvent::Audit(record) => self.audit.write(record),
            NodeEvent::SessionCreated { session, conn, timeout_ms } => {
                debug!(%session, ?conn, timeout_ms, "session created");
            }
            NodeEvent::SessionReattached { session, conn, timeout_ms } => {
                debug!(%session, ?conn, timeout_ms, "session reattached");
            }
            NodeEvent::SessionRefused { session, conn } => {
                debug!(%session, ?conn, "session is unknown, closing, or its password is wrong: refused");
            }
            NodeEvent::SessionClosed { session } => debug!(%session, "session closed by its client"),
            NodeEvent::SessionExpired { session, timeout_ms } => {
                if let Some(suppressed) = self.expired.pass(now) {
                    info!(
                        %session,
                        timeout_ms,
                        suppressed,
                        "Expiring session {session}: nothing heard of it for {timeout_ms} ms"
                    );
                }
            }
            NodeEvent::DigestMismatch { zxid } => {
                metrics.digest_mismatches_count += 1;
                error!(%zxid, "the tree is not what was foreseen for {zxid}; hint: this is a bug of Ostler or bad memory, please report it");
            }
            NodeEvent::ConnectionRefused { peer } => {
                if let Some(suppressed) = self.refused.pass(now) {
                    warn!(
                        %peer,
                        suppressed,
                        "Too many connections from {}: refused; hint: raise maxClientCnxns or maxCnxns",
                        peer.ip()
                    );
                }
            }
            NodeEvent::ConnectionClosed { conn, peer, session, reason } => {
                match reason {
                    CloseReason::HandshakeTimeout => metrics.sessionless_connections_expired += 1,
                    CloseReason::AuthFailed => metrics.auth_failed_count += 1,
                    _ => {}
                }
                let quiet = matches!(
                    reason,
                    CloseReason::Client
                        | CloseReason::Command
                        | CloseReason::Moved
                        | CloseReason::Expired
                        | CloseReason::Shutdown
                );
                if quiet {
                    debug!(?conn, %peer, %session, "connection closed: {}", reason_text(*reason));
                } else if let Some(suppressed) = self.closed.pass(now) {
                    info!(%peer, %session, suppressed, "connection closed: {}", reason_text(*reason));
                }
            }
        }
    }
}

fn reason_text(reason: CloseReason) -> String {
    match reason {
        CloseReason::Client => "by the client".to_owned(),
        CloseReason::BadFrameLength(length) => {
            format!("frame length {length} is out of bounds; hint: not a client, or raise jute.maxbuffer")
        }
        CloseReason::Malformed => "it sent something that is not the client protocol".to_owned(),
        CloseReason::HandshakeTimeout => "no handshake in time".to_owned(),
        CloseReason::AheadOfServer(zxid) => {
            format!("the client has seen zxid {zxid}, which this server does not have; hint: was data restored?")
        }
        CloseReason::InvalidSession => "its session is not valid any more".to_owned(),
        CloseReason::Moved => "its session moved to another connection".to_owned(),
        CloseReason::Expired => "its session expired".to_owned(),
        CloseReason::AuthFailed => "authentication failed or is missing".to_owned(),
        CloseReason::BadOperation(op) => format!("operation {op} is not for clients"),
        CloseReason::SlowReader => "it does not read its replies and events".to_owned(),
        CloseReason::InputLimit => "too many unfinished requests in memory".to_owned(),
        CloseReason::AnswerTooLong => "the answer to one request grew beyond its bound".to_owned(),
        CloseReason::ConnectionThrottle => {
            "too many handshakes at a time; hint: connection_throttle_tokens and connection_throttle_fill_time say how \
             many are allowed"
                .to_owned()
        }
        CloseReason::StaleRequest => {
            "a request waited longer than its session's time-out (request_stale_latency_check); hint: the server is \
             overloaded, or request_throttle_max_requests is too small"
                .to_owned()
        }
        CloseReason::LargeRequest(bytes) => format!(
            "a request of {bytes} bytes does not fit beside the other large ones; hint: see largeRequestThreshold and \
             largeRequestMaxBytes"
        ),
        CloseReason::Shutdown => "the server stops".to_owned(),
        CloseReason::NotServing => "this server is in no quorum at the moment".to_owned(),
        CloseReason::ReadOnlyServer => {
            "this server is in no quorum at the moment and read-only, and the client wants to write".to_owned()
        }
        CloseReason::GlobalSession => {
            "this server is in no quorum at the moment and read-only, and the session needs a quorum".to_owned()
        }
        CloseReason::Command => "four-letter word answered".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_prints_one_line_a_second_and_the_number_left_out() {
        let mut limit = Limit::default();
        let at = |mono_ms| Now { mono_ms, wall_ms: 0 };
        assert_eq!(limit.pass(at(5_000)), Some(0));
        assert_eq!(limit.pass(at(5_001)), None);
        assert_eq!(limit.pass(at(5_999)), None);
        assert_eq!(limit.pass(at(6_000)), Some(2));
        assert_eq!(limit.pass(at(9_000)), Some(0));
    }

    #[test]
    fn a_hundred_expired_sessions_are_told_one_by_one() {
        let mut limit = EventLog::default().expired;
        let at = |mono_ms| Now { mono_ms, wall_ms: 0 };
        assert!((0..100).all(|_| limit.pass(at(5_000)) == Some(0)));
        assert_eq!((limit.pass(at(5_001)), limit.pass(at(5_999))), (None, None));
        assert_eq!((limit.pass(at(6_000)), limit.pass(at(6_000))), (Some(2), Some(0)));
    }
}
