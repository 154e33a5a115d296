//! The settings that turn clients away or slow them down (operations.md section 2.2). Values that Apache corrects are
//! corrected in the same way, with a warning.

use super::Notice;
use super::values::Values;
use ostler_node::{ConnectionThrottle, ConnectionWeights, LargeRequests, ONE, RequestThrottle};

/// All of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Throttle {
    /// `request_throttle_*`, `throttled_op_wait_time`.
    pub requests: RequestThrottle,
    /// `connection_throttle_*`.
    pub connections: ConnectionThrottle,
    /// `largeRequest*`.
    pub large: LargeRequests,
}

pub(super) fn read(values: &mut Values) -> Throttle {
    Throttle { requests: requests(values), connections: connections(values), large: large(values) }
}

fn requests(values: &mut Values) -> RequestThrottle {
    RequestThrottle {
        requests_max: values.lenient_long("request_throttle_max_requests", 0).max(0) as usize,
        drop_stale: values.lenient_flag("request_throttle_drop_stale", true),
        stale_latency_check: values.lenient_flag("request_stale_latency_check", false),
        wait_ms_max: values.lenient_long("throttled_op_wait_time", 0).max(0) as u64,
    }
}

fn connections(values: &mut Values) -> ConnectionThrottle {
    let least = |value: i64, least: u64| u64::try_from(value).unwrap_or(0).max(least);
    ConnectionThrottle {
        tokens_max: least(values.lenient_long("connection_throttle_tokens", 0), 0),
        fill_time_ms: least(values.lenient_long("connection_throttle_fill_time", 1), 1),
        fill_count: least(values.lenient_long("connection_throttle_fill_count", 1), 0),
        freeze_time_ms: u64::try_from(values.lenient_long("connection_throttle_freeze_time", -1)).ok(),
        drop_increase: values.lenient_fraction("connection_throttle_drop_increase", ONE / 50),
        drop_decrease: values.lenient_fraction("connection_throttle_drop_decrease", ONE / 500),
        decrease_ratio: values.lenient_fraction("connection_throttle_decrease_ratio", 0),
        weights: weights(values),
    }
}

/// A standalone server has global sessions only. Their weight, and that of a renewal, is at least a local one's.
fn weights(values: &mut Values) -> ConnectionWeights {
    let mut weight = |key: &str, default: i64, least: i64| {
        let value = values.lenient_long(key, default);
        if value > 0 && value >= least {
            return value;
        }
        let used = default.max(least);
        values.notices.push(Notice::warn(
            format!("{}: {value} is no weight, {used} is used", values.place(key)),
            "weights are positive, and that of a local session is the smallest".to_owned(),
        ));
        used
    };
    let local = weight("connection_throttle_local_session_weight", 1, 1);
    let global = weight("connection_throttle_global_session_weight", 3.max(local), local);
    let renewal = weight("connection_throttle_renew_session_weight", 2.max(local), local);
    if values.lenient_flag("connection_throttle_weight_enabled", false) {
        ConnectionWeights { new_session: global as u64, renewal: renewal as u64 }
    } else {
        ConnectionWeights { new_session: 1, renewal: 1 }
    }
}

fn large(values: &mut Values) -> LargeRequests {
    let threshold = values.lenient_long("largeRequestThreshold", -1);
    let above_bytes = usize::try_from(threshold).ok().filter(|bytes| *bytes > 0);
    if above_bytes.is_none() && threshold != -1 {
        values.notices.push(Notice::warn(
            format!("{}: {threshold} is no threshold, there is none", values.place("largeRequestThreshold")),
            "it is a positive number of bytes, or -1",
        ));
    }
    let default = LargeRequests::default().total_bytes_max;
    let total = values.lenient_long("largeRequestMaxBytes", default as i64);
    let total_bytes_max = usize::try_from(total).ok().filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        values.notices.push(Notice::warn(
            format!("{}: {total} is no limit, {default} is used", values.place("largeRequestMaxBytes")),
            "it is a positive number of bytes",
        ));
        default
    });
    LargeRequests { above_bytes, total_bytes_max }
}
