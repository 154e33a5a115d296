//! Hard limits (client-protocol.md section 17), checked only with `enforceQuota=true`.
//!
//! Both the limits and what is used are read from *committed* nodes, as Apache does: a multi or a deep pipeline can
//! overshoot. Only the old length of the data that a setData replaces is the pending one.

use super::Check;
use crate::Tree;
use crate::quota::{Quota, limits_path, stats_path};
use ostler_model::ErrorCode;

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
    let Some(limits) = figures(tree, &limits_path(root)).transpose()? else {
        return Ok(());
    };
    let counts = count != 0 && (limits.count > -1 || limits.hard_count() > -1);
    let weighs = bytes != 0 && (limits.bytes > -1 || limits.hard_bytes() > -1);
    if !counts && !weighs {
        return Ok(());
    }
    let Some(used) = figures(tree, &stats_path(root)).transpose()? else {
        return Ok(());
    };
    let passes = |limit: i64, used: i64, more: i64| limit > -1 && used.saturating_add(more) > limit;
    if counts && passes(limits.hard_count(), used.count, count)
        || weighs && passes(limits.hard_bytes(), used.bytes, bytes)
    {
        return Err(ErrorCode::QuotaExceeded);
    }
    Ok(())
}

/// `None` if the node is missing, -5 if it does not parse.
fn figures(tree: &Tree, path: &str) -> Option<Result<Quota, ErrorCode>> {
    let data = tree.node(path)?.data();
    Some(data.and_then(Quota::parse).ok_or(ErrorCode::MarshallingError))
}
