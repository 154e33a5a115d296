//! Settings that slow clients down or turn them away before the server is overrun (operations.md section 2.2).

/// `request_throttle_*` and `throttled_op_wait_time`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestThrottle {
    /// `request_throttle_max_requests`: requests that may be away at the replica, over all shards; 0 = only
    /// `globalOutstandingLimit` counts.
    pub requests_max: usize,
    /// `request_throttle_drop_stale`: a stale request is not executed, and its connection is closed.
    pub drop_stale: bool,
    /// `request_stale_latency_check`: a request that waited longer than its session's time-out is stale.
    pub stale_latency_check: bool,
    /// `throttled_op_wait_time`: a request that waited longer is refused with -127; 0 = never.
    pub wait_ms_max: u64,
}

impl Default for RequestThrottle {
    fn default() -> Self {
        RequestThrottle { requests_max: 0, drop_stale: true, stale_latency_check: false, wait_ms_max: 0 }
    }
}

impl RequestThrottle {
    /// True if it matters how long a request waited.
    pub(crate) fn asks_for_ages(&self) -> bool {
        self.wait_ms_max > 0 || self.stale_latency_check
    }
}

/// `largeRequestThreshold` and `largeRequestMaxBytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LargeRequests {
    /// Frames with more bytes are large; `None` = none is.
    pub above_bytes: Option<usize>,
    /// Bytes of all large requests in the server, from their length prefix to their answer; one too many closes its
    /// connection.
    pub total_bytes_max: usize,
}

impl Default for LargeRequests {
    fn default() -> Self {
        LargeRequests { above_bytes: None, total_bytes_max: 100 << 20 }
    }
}

/// Probabilities are counted in billionths, so that they add up exactly.
pub const ONE: u32 = 1_000_000_000;

/// `connection_throttle_*`: a bucket of tokens for handshakes, and chance on top of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionThrottle {
    /// `_tokens`: what the bucket holds; 0 = no throttling.
    pub tokens_max: u64,
    /// `_fill_time`: how often tokens are added, at least 1.
    pub fill_time_ms: u64,
    /// `_fill_count`: how many then.
    pub fill_count: u64,
    /// `_freeze_time`: how often the chance of being turned away is adjusted; `None` = there is no chance involved.
    pub freeze_time_ms: Option<u64>,
    /// `_drop_increase`, in billionths: added to the chance when the bucket is found empty.
    pub drop_increase: u32,
    /// `_drop_decrease`, in billionths: taken from the chance when the bucket is found full enough.
    pub drop_decrease: u32,
    /// `_decrease_ratio`, in billionths: the part of the bucket that may be empty then.
    pub decrease_ratio: u32,
    /// What a handshake costs.
    pub weights: ConnectionWeights,
}

/// Tokens that a handshake costs: 1 each unless `connection_throttle_weight_enabled`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionWeights {
    /// A new session (`_global_session_weight`).
    pub new_session: u64,
    /// A known session on a new connection (`_renew_session_weight`).
    pub renewal: u64,
}

impl Default for ConnectionThrottle {
    fn default() -> Self {
        ConnectionThrottle {
            tokens_max: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: ONE / 50,
            drop_decrease: ONE / 500,
            decrease_ratio: 0,
            weights: ConnectionWeights { new_session: 1, renewal: 1 },
        }
    }
}
