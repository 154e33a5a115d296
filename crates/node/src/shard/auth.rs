//! Proving who one is: auth packets, SASL's refusal, enforced authentication (client-protocol.md section 13).
//!
//! These run as soon as their frame is reached, not in the order of what is away, so their replies may overtake.

use super::Shard;
use super::conn::{Conn, address_text};
use super::figures::{Answered, Figures};
use crate::{CloseReason, DigestAlgorithm, NodeConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostler_model::{Blob, ErrorCode, OpCode, Request, Zxid, limits};
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader, decode_request, encode_error};

/// What an auth packet led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Accepted,
    /// -115, then close.
    Refused,
    /// Close without an answer.
    Dropped,
}

impl Shard {
    /// Executes an auth or sasl frame that stands at the front of the input.
    pub(super) fn authenticate(&mut self, slot: usize, header: RequestHeader, length: usize) {
        let config = self.config.clone();
        let now = self.now;
        let Shard { conns, pool, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let body = conn.input.filled()[12..4 + length].to_vec();
        let op = if header.op == OpCode::Auth.code() { OpCode::Auth } else { OpCode::Sasl };
        let (xid, zxid) = (header.xid, Zxid::ZERO);
        let verdict = match decode_request(op, &body, config.frame_bytes_max) {
            Ok(Request::Auth { scheme, auth }) => prove(&config, conn, stats, scheme.as_deref(), auth),
            // Without a SASL login Apache answers success with a null token, and nothing is proved.
            Ok(Request::Sasl { token: Some(_) }) => Verdict::Accepted,
            _ => Verdict::Dropped,
        };
        let before = conn.output.len();
        let out = conn.output.tail(pool);
        match (verdict, op) {
            (Verdict::Accepted, OpCode::Sasl) => {
                let mut frame = FrameWriter::reply(out, ReplyHeader { xid, zxid, err: 0 });
                frame.buffer(None);
                frame.finish();
            }
            (Verdict::Accepted, _) => encode_error(out, xid, zxid, None),
            (Verdict::Refused, _) => encode_error(out, xid, zxid, Some(ErrorCode::AuthFailed)),
            (Verdict::Dropped, _) => {}
        }
        if verdict != Verdict::Dropped {
            let bytes = conn.output.len() - before;
            let (op, received_ms) = (header.op, now.mono_ms);
            conn.count_reply(stats, now, &Answered { op, xid, zxid, received_ms, bytes, update: false });
        }
        self.mark_dirty(slot);
        if verdict != Verdict::Accepted {
            self.close(slot, CloseReason::AuthFailed);
        }
    }

    /// Answers -124 to a request of a connection that has not proved what `enforce.auth.schemes` wants.
    pub(super) fn refuse_unauthenticated(&mut self, slot: usize, header: RequestHeader) {
        let now = self.now;
        let Shard { conns, pool, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let code = ErrorCode::SessionClosedRequireSaslAuth;
        let before = conn.output.len();
        encode_error(conn.output.tail(pool), header.xid, Zxid::ZERO, Some(code));
        let bytes = conn.output.len() - before;
        let (RequestHeader { op, xid }, received_ms) = (header, now.mono_ms);
        conn.count_reply(stats, now, &Answered { op, xid, zxid: Zxid::ZERO, received_ms, bytes, update: false });
        self.mark_dirty(slot);
        self.close(slot, CloseReason::AuthFailed);
    }
}

/// True if the connection may send requests.
pub(super) fn is_authenticated(config: &NodeConfig, conn: &Conn) -> bool {
    config.enforced_schemes.is_empty() || conn.ids.iter().any(|id| config.enforced_schemes.contains(&id.scheme))
}

fn prove(config: &NodeConfig, conn: &mut Conn, stats: &mut Figures, scheme: Option<&str>, auth: Blob<'_>) -> Verdict {
    if conn.ids.len() >= limits::CONN_AUTH_IDS_MAX {
        return Verdict::Refused;
    }
    match (scheme, auth) {
        (Some("ip"), _) if config.policy.schemes.ip => {
            conn.add_id("ip", address_text(conn.peer.ip()));
            Verdict::Accepted
        }
        (Some("digest"), Some(auth)) if config.policy.schemes.digest => {
            let id = digest_id(config.digest_algorithm, auth);
            if config.super_digest.as_deref() == Some(&id) {
                conn.add_id("super", String::new());
            }
            conn.add_id("digest", id);
            Verdict::Accepted
        }
        (Some("ensemble"), auth) if config.policy.schemes.ensemble => {
            let name = String::from_utf8_lossy(auth.unwrap_or_default());
            if name.is_empty() || config.ensemble_names.is_empty() {
                stats.plain.ensemble_auth_skip += 1;
                Verdict::Accepted
            } else if config.ensemble_names.iter().any(|known| *known == name) {
                stats.plain.ensemble_auth_success += 1;
                Verdict::Accepted
            } else {
                stats.plain.ensemble_auth_fail += 1;
                Verdict::Dropped
            }
        }
        _ => Verdict::Refused,
    }
}

/// `user:base64(hash(user:password))`. Without a colon everything is the user.
fn digest_id(algorithm: DigestAlgorithm, auth: &[u8]) -> String {
    let text = String::from_utf8_lossy(auth);
    let hash = algorithm.hash(text.as_bytes());
    let user = text.split(':').next().unwrap_or_default();
    format!("{user}:{}", STANDARD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ids_are_those_of_apache() {
        // The documented example of DigestAuthenticationProvider.
        assert_eq!(digest_id(DigestAlgorithm::Sha1, b"super:admin"), "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
        assert_eq!(digest_id(DigestAlgorithm::Sha1, b""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
        assert_eq!(digest_id(DigestAlgorithm::Md5, b"a"), "a:DMF1ucDxtqgxw5niaXcmYQ==");
        assert!(digest_id(DigestAlgorithm::Sha256, b"a:b:c").starts_with("a:"));
        assert_eq!(digest_id(DigestAlgorithm::Sha512, b"a:b").len(), 2 + 88);
    }
}
