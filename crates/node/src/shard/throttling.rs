//! Turning requests and handshakes away, or slowing them down, as an operator asked for (`request_throttle_*`,
//! `throttled_op_wait_time`, `connection_throttle_*`, `largeRequest*`). Off by default: then one branch per request.

use super::Shard;
use super::conn::Away;
use super::figures::Answered;
use super::turn::{Class, Step, is_last};
use crate::CloseReason;
use ostler_model::{ErrorCode, OpCode, SessionId, Zxid};
use ostler_wire::client::{RequestHeader, encode_error};

impl Shard {
    /// Takes the tokens of a handshake; false: it is turned away.
    pub(super) fn admit_handshake(&mut self, session: SessionId) -> bool {
        let weights = self.config.connection_throttle.weights;
        let weight = if session == SessionId::NONE { weights.new_session } else { weights.renewal };
        let admitted = self.tokens.admit(self.now.mono_ms, weight);
        let plain = &mut self.stats.plain;
        if admitted {
            plain.handshakes += 1;
            plain.token_deficit.add(self.tokens.deficit());
        } else {
            plain.handshakes_throttled += 1;
        }
        admitted
    }

    /// Reserves room for the request at the front of the input, if it is a large one; its length is enough to know
    /// that. False: there is no room, and the connection is closed.
    pub(super) fn reserve_large(&mut self, slot: usize) -> bool {
        let limits = self.config.large_requests;
        let Some(above) = limits.above_bytes else { return true };
        let conn = self.conn(slot);
        let claimed = conn.input.filled().first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
        let bytes = usize::try_from(claimed).unwrap_or(0);
        if bytes <= above || conn.large > 0 || bytes > self.config.frame_bytes_max {
            return true;
        }
        if self.large_bytes.saturating_add(bytes) > limits.total_bytes_max {
            self.stats.plain.large_requests_rejected += 1;
            self.close(slot, CloseReason::LargeRequest(bytes));
            return false;
        }
        self.large_bytes += bytes;
        self.conn_mut(slot).large = bytes;
        true
    }

    /// How long the request at the front of the input has waited: exactly if a setting asks for that, else as long as
    /// it was seen to wait for a credit.
    pub(super) fn waited_ms(&self, slot: usize, length: usize) -> u64 {
        let conn = self.conn(slot);
        let since_ms = match &conn.arrivals {
            None if conn.starved_ms == 0 => return 0,
            None => conn.starved_ms,
            Some(arrivals) => arrivals.arrived_ms(4 + length).unwrap_or(self.now.mono_ms),
        };
        self.now.mono_ms.saturating_sub(since_ms)
    }

    /// The next request of a connection waits for a credit.
    pub(super) fn starve(&mut self, slot: usize) {
        let (now_ms, throttles) = (self.now.mono_ms, self.config.request_throttle.requests_max > 0);
        let conn = self.conn_mut(slot);
        if conn.starved_ms == 0 {
            conn.starved_ms = now_ms.max(1);
            self.stats.plain.throttle_waits += u64::from(throttles);
        }
    }

    /// Looks whether a request waited longer than its session's time-out; true: it is dropped, and its connection
    /// closed. closeSession outlives its session.
    pub(super) fn drop_stale(&mut self, slot: usize, op: i32, waited_ms: u64) -> bool {
        let throttle = self.config.request_throttle;
        let timeout_ms = u64::try_from(self.conn(slot).timeout_ms).unwrap_or(0);
        if !throttle.stale_latency_check || op == OpCode::CloseSession.code() || waited_ms <= timeout_ms {
            return false;
        }
        self.stats.plain.stale_requests += 1;
        let drop = throttle.requests_max > 0 && throttle.drop_stale;
        if drop {
            self.stats.plain.stale_requests_dropped += 1;
            self.close(slot, CloseReason::StaleRequest);
        }
        drop
    }

    /// True if a request waited so long that it is refused with -127. Pings, closeSession and what is no operation
    /// for clients are not.
    pub(super) fn is_throttled(&self, class: Class, op: i32, waited_ms: u64) -> bool {
        let most_ms = self.config.request_throttle.wait_ms_max;
        let may_be = class != Class::Close && op != OpCode::Ping.code() && !is_last(op);
        most_ms > 0 && waited_ms > most_ms && may_be
    }

    /// Refuses the request at the front of the input; nothing of the connection is away.
    pub(super) fn refuse_here(&mut self, slot: usize, header: RequestHeader, length: usize) -> Step {
        let RequestHeader { op, xid } = header;
        let (zxid, received_ms) = (self.handled, self.now.mono_ms);
        self.consume(slot, 4 + length);
        self.throttled_reply(slot, &Answered { op, xid, zxid, received_ms, bytes: 0, update: false });
        Step::Ran
    }

    /// Refuses a request whose place in the order has come.
    pub(super) fn refuse_throttled(&mut self, slot: usize, away: &Away, zxid: Zxid) {
        let Away { op, xid, received_ms, .. } = *away;
        self.throttled_reply(slot, &Answered { op, xid, zxid, received_ms, bytes: 0, update: false });
    }

    fn throttled_reply(&mut self, slot: usize, answered: &Answered) {
        let now = self.now;
        let Shard { conns, pool, stats, .. } = self;
        let conn = conns[slot].as_deref_mut().expect("the caller looked at it");
        let before = conn.output.len();
        encode_error(conn.output.tail(pool), answered.xid, answered.zxid, Some(ErrorCode::ThrottledOp));
        stats.plain.throttled_ops += 1;
        let bytes = conn.output.len() - before;
        conn.count_reply(stats, now, &Answered { bytes, ..*answered });
        self.mark_dirty(slot);
    }
}
