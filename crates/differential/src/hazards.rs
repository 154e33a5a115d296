//! Requests that kill or corrupt Apache 3.9.3, or that Ostler answers differently on purpose (client-protocol.md
//! section 20). The generator never sends them; with `--hazards` the list here goes to Ostler alone.

use ostler_model::{Create, CreateOp, Delete, MultiOp, OpCode, Request, SetData, Text};
use ostler_wire::client::{RequestHeader, decode_request};

const LENGTH_MAX: usize = 1 << 20;
const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// Why this frame (with its length prefix) must not be sent to Apache, if so.
pub fn refused(frame: &[u8]) -> Option<&'static str> {
    let (header, body) = RequestHeader::split(frame.get(4..)?).ok()?;
    let op = OpCode::from_i32(header.op)?;
    match op {
        OpCode::DeleteContainer => return Some("row 6: Apache executes it without any check; Ostler closes"),
        OpCode::CreateSession => return Some("row 6: Apache answers with a ConnectResponse; Ostler with -6"),
        _ => {}
    }
    match decode_request(op, body, LENGTH_MAX).ok()? {
        Request::Create(create) => refused_create(&create, true),
        Request::Delete(delete) => refused_delete(&delete),
        Request::SetData(set) => refused_set(&set),
        Request::Multi(ops) => ops.iter().find_map(|op| match op {
            MultiOp::Create(create) => refused_create(create, false),
            MultiOp::Delete(delete) => refused_delete(delete),
            MultiOp::SetData(set) => refused_set(set),
            MultiOp::Check(_) | MultiOp::Refused(_) => None,
        }),
        _ => None,
    }
}

fn refused_create(create: &Create<'_>, single: bool) -> Option<&'static str> {
    if single && create.op == CreateOp::Ttl && (0..=4).contains(&create.flags) && create.ttl < 0 {
        return Some("row 2: createTTL without a TTL mode and with a negative ttl kills Apache for good");
    }
    // A sequence number makes another name of it.
    let sequential = matches!(create.flags, 2 | 3 | 6);
    let bare = |name: &str| text(&create.path).strip_prefix(QUOTA).is_some_and(|rest| rest == name);
    (!sequential && (bare(LIMITS) || bare(STATS))).then_some("row 3: a quota on the root kills Apache for good")
}

fn refused_delete(delete: &Delete<'_>) -> Option<&'static str> {
    let path = text(&delete.path);
    let bad = path.starts_with("/zookeeper") && path.ends_with(LIMITS) && !path.starts_with("/zookeeper/quota/d");
    bad.then_some("row 4: deleting a zookeeper_limits outside the quotas kills Apache for good")
}

fn refused_set(set: &SetData<'_>) -> Option<&'static str> {
    if !text(&set.path).ends_with(STATS) {
        return None;
    }
    let parsable = set.data.and_then(|data| core::str::from_utf8(data).ok()).is_some_and(|data| {
        let mut parts = data.split(',');
        let number = |part: Option<&str>, key: &str| {
            part.and_then(|part| part.strip_prefix(key)).is_some_and(|value| value.parse::<u32>().is_ok())
        };
        number(parts.next(), "count=") && number(parts.next(), "bytes=") && parts.next().is_none()
    });
    (!parsable).then_some("row 5: unparsable quota usage kills Apache at the next write under the quota")
}

fn text<'a>(path: &'a Text<'_>) -> &'a str {
    path.as_deref().unwrap_or_default()
}
