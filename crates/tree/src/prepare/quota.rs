//! Hard limits (client-protocol.md section 17), checked only with `enforceQuota=true`.
//!
//! Both the limits and what is used are read from *committed* nodes, as Apache does: a multi or a deep pipeline can
//! overshoot. Only the old length of the data that a setData replaces is the pending one.

use super::Check;
use crate::Tree;
use ostler_model::{ErrorCode, path};

/// -125 if a new node with `data` at `path` would pass a hard limit.
pub(super) fn check_create(check: &Check<'_>, path: &str, data: Option<&[u8]>) -> Result<(), ErrorCode> {
    if !check.policy.enforce_quota {
        return Ok(());
    }
    check_limits(check.view.tree, path, 1, length(data))
}

/// -125 if `data` in place of `bytes_before` would pass a hard limit.
pub(super) fn check_set_data(
    check: &Check<'_>,
    path: &str,
    bytes_before: usize,
    data: Option<&[u8]>,
) -> Result<(), ErrorCode> {
    if !check.policy.enforce_quota {
        return Ok(());
    }
    check_limits(check.view.tree, path, 0, length(data) - bytes_before as i64)
}

fn length(data: Option<&[u8]>) -> i64 {
    data.map_or(0, <[u8]>::len) as i64
}

/// A quota that a change does not touch is not looked at: an equally long setData passes any limit.
fn check_limits(tree: &Tree, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
    let Some(root) = tree.quota_root(path) else {
        return Ok(());
    };
    let Some(limits) = figures(tree, root, path::QUOTA_LIMITS).transpose()? else {
        return Ok(());
    };
    let counts = count != 0 && (limits.count > -1 || limits.count_hard_limit > -1);
    let weighs = bytes != 0 && (limits.bytes > -1 || limits.byte_hard_limit > -1);
    if !counts && !weighs {
        return Ok(());
    }
    let Some(used) = figures(tree, root, path::QUOTA_STATS).transpose()? else {
        return Ok(());
    };
    let passes = |limit: i64, used: i64, more: i64| limit > -1 && used.saturating_add(more) > limit;
    if counts && passes(limits.count_hard_limit, used.count, count)
        || weighs && passes(limits.byte_hard_limit, used.bytes, bytes)
    {
        return Err(ErrorCode::QuotaExceeded);
    }
    Ok(())
}

/// What a limits or stats node says; -1 = nothing.
struct Figures {
    count: i64,
    bytes: i64,
    count_hard_limit: i64,
    byte_hard_limit: i64,
}

/// `None` if the node is missing, -5 if it does not parse.
fn figures(tree: &Tree, root: &str, name: &str) -> Option<Result<Figures, ErrorCode>> {
    let node = tree.node(&format!("{}{root}/{name}", path::QUOTA))?;
    let text = node.data().map(String::from_utf8_lossy);
    Some(text.and_then(|text| Figures::parse(&text)).ok_or(ErrorCode::MarshallingError))
}

impl Figures {
    /// `key=value` pairs between runs of ',' and ';'. `None` for anything else.
    fn parse(text: &str) -> Option<Figures> {
        let mut figures = Figures { count: -1, bytes: -1, count_hard_limit: -1, byte_hard_limit: -1 };
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            // Only the first value counts: Apache itself writes "bytes=-1=;byteHardLimit=10".
            let value = value.split('=').next().unwrap_or_default();
            let value = if value.is_empty() { -1 } else { value.parse().ok()? };
            match key {
                "count" => figures.count = value,
                "bytes" => figures.bytes = value,
                "countHardLimit" => figures.count_hard_limit = value,
                "byteHardLimit" => figures.byte_hard_limit = value,
                _ => {}
            }
        }
        Some(figures)
    }
}
