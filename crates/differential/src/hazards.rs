//! Requests that kill or corrupt Apache 3.9.3, or that Ostler answers differently on purpose (client-protocol.md
//! section 20). The generator never sends them; with `--hazards` the list here goes to Ostler alone.

use crate::generate::Generator;
use crate::report;
use crate::side::{Key, Side};
use ostler_model::{Create, CreateOp, Delete, MultiOp, OpCode, Request, SetData, Text};
use ostler_wire::client::{FrameWriter, ReplyHeader, RequestHeader, decode_request};
use ostler_wire::jute::DecodeError;
use std::io;
use std::net::SocketAddr;

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
        Request::Multi(ops) => ops
            .iter()
            .find_map(|op| match op {
                MultiOp::Create(create) => refused_create(create, false),
                MultiOp::Delete(delete) => refused_delete(delete),
                MultiOp::SetData(set) => refused_set(set),
                MultiOp::Check(_) | MultiOp::Refused(_) => None,
            })
            .or_else(|| refused_behind_a_container(&ops)),
        _ => None,
    }
}

/// True for a multi that Apache gives up half-way over a null path or a null ACL id: it forgets to take back what the
/// operations before had made pending, so that writes behind it are checked against a state that never was.
pub fn leaves_changes_pending(frame: &[u8]) -> bool {
    let Some(Ok((header, body))) = frame.get(4..).map(RequestHeader::split) else { return false };
    if header.op != OpCode::Multi.code() {
        return false;
    }
    let has_null_id = |op: &MultiOp<'_>| match op {
        MultiOp::Create(create) => create.acl.iter().flatten().any(|entry| entry.id.is_none()),
        _ => false,
    };
    match decode_request(OpCode::Multi, body, LENGTH_MAX) {
        Ok(Request::Multi(ops)) => ops.iter().any(has_null_id),
        Err(DecodeError::Null) => true,
        _ => false,
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

/// In a multi it is no chance what the operations behind such a container meet.
fn refused_behind_a_container(ops: &[MultiOp<'_>]) -> Option<&'static str> {
    let (_, ahead) = ops.split_last()?;
    let is_ephemeral_to_apache = |op: &MultiOp<'_>| match op {
        MultiOp::Create(create) => create.op == CreateOp::Container && matches!(create.flags, 1 | 3),
        _ => false,
    };
    let any = ahead.iter().any(is_ephemeral_to_apache);
    any.then_some("a container made with an ephemeral mode is an ephemeral node to Apache until it is committed")
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

/// What Ostler must do with a request that Apache is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// The reply's error code; the connection stays.
    Err(i32),
    /// This error code, then the connection is closed.
    ErrAndClosed(i32),
    /// Closed without a reply.
    Closed,
}

/// One of the requests of section 20.
struct Case {
    row: &'static str,
    op: OpCode,
    path: &'static str,
    data: Option<&'static [u8]>,
    expected: Expected,
}

const fn case(row: &'static str, op: OpCode, path: &'static str, expected: Expected) -> Case {
    Case { row, op, path, data: Some(b"x"), expected }
}

/// In this order: later ones build on earlier ones.
const CASES: [Case; 23] = {
    use Expected::{Closed, Err, ErrAndClosed};
    [
        case("2: createTTL, flags 0, ttl -1", OpCode::CreateTtl, "/hazard-ttl", Err(-8)),
        case("3: limits on the root", OpCode::Create, "/zookeeper/quota/zookeeper_limits", Err(0)),
        case("3: usage on the root", OpCode::Create, "/zookeeper/quota/zookeeper_stats", Err(0)),
        case("3: a write while they are there", OpCode::Create, "/hazard", Err(0)),
        case("3: another", OpCode::Create, "/hazard/a", Err(0)),
        case("3: another", OpCode::Create, "/hazard/b", Err(0)),
        case("4: limits of the root go", OpCode::Delete, "/zookeeper/quota/zookeeper_limits", Err(0)),
        case("4: usage of the root goes", OpCode::Delete, "/zookeeper/quota/zookeeper_stats", Err(0)),
        case("4: limits outside the quotas", OpCode::Create, "/zookeeper/zookeeper_limits", Err(0)),
        case("4: limits outside the quotas go", OpCode::Delete, "/zookeeper/zookeeper_limits", Err(0)),
        case("5: a quota", OpCode::Create, "/zookeeper/quota/hazard", Err(0)),
        Case {
            data: Some(b"count=9,bytes=-1"),
            ..case("5: its limits", OpCode::Create, "/zookeeper/quota/hazard/zookeeper_limits", Err(0))
        },
        case("5: its usage", OpCode::Create, "/zookeeper/quota/hazard/zookeeper_stats", Err(0)),
        case("5: unparsable usage", OpCode::SetData, "/zookeeper/quota/hazard/zookeeper_stats", Err(0)),
        case("5: a write of the same length under it", OpCode::SetData, "/hazard/a", Err(0)),
        // This one Apache survives, and answers the same.
        case("5: a create under it, with enforceQuota", OpCode::Create, "/hazard/c", Err(-5)),
        case("5: a delete under it", OpCode::Delete, "/hazard/a", Err(0)),
        Case {
            data: None,
            ..case("5: null usage", OpCode::SetData, "/zookeeper/quota/hazard/zookeeper_stats", Err(0))
        },
        case("5: a delete under it", OpCode::Delete, "/hazard/b", Err(0)),
        case("6: deleteContainer of a plain node", OpCode::DeleteContainer, "/hazard", Closed),
        case("6: which is still there", OpCode::Exists, "/hazard", Err(0)),
        case("6: createSession in a session", OpCode::CreateSession, "\0", ErrAndClosed(-6)),
        case("the server is well", OpCode::Exists, "/", Err(0)),
    ]
};

/// Sends the server everything that Apache does not survive; each answer must be the documented one. The lines of the
/// report, and whether all is well.
///
/// # Errors
/// The server cannot be reached.
pub fn run(address: SocketAddr) -> io::Result<(Vec<String>, bool)> {
    let mut side = Side::new(address, 1);
    let mut generator = Generator::new(0);
    let (mut lines, mut good) = (Vec::new(), true);
    for case in CASES {
        side.forget_session(0);
        side.connect(0)?;
        let auth = generator.good_auth("digest", b"super:test");
        side.send(0, &auth.frame);
        side.collect(0, &[auth]);
        let made = generator.frame(case.op.code(), |_, f| put(f, &case));
        side.send(0, &made.frame);
        let seen = if matches!(case.expected, Expected::Err(_)) {
            side.collect(0, std::slice::from_ref(&made))
        } else {
            side.collect_to_end(0, Some(case.op))
        };
        let err = seen.first().and_then(|seen| ReplyHeader::split(&seen.raw).ok()).map(|(header, _)| header.err);
        let closed = seen.last().is_some_and(|seen| seen.key == Key::Closed);
        let right = match case.expected {
            Expected::Err(code) => err == Some(code) && !closed,
            Expected::ErrAndClosed(code) => err == Some(code) && closed && seen.len() == 2,
            Expected::Closed => closed && seen.len() == 1,
        };
        good &= right;
        lines.push(format!("{} row {}: {:?}", if right { "ok   " } else { "WRONG" }, case.row, case.expected));
        if !right {
            lines.extend(seen.iter().map(|seen| format!("      got {}", report::seen(seen))));
        }
        side.hang_up(0);
    }
    Ok((lines, good))
}

fn put(f: &mut FrameWriter<'_>, case: &Case) {
    f.text(Some(case.path));
    match case.op {
        OpCode::Create | OpCode::CreateTtl => {
            f.buffer(case.data);
            f.vector(Some(&[()]), |f, ()| f.acl_entry(31, Some("world"), Some("anyone")));
            f.int(0);
            f.long(-1);
        }
        OpCode::SetData => {
            f.buffer(case.data);
            f.int(-1);
        }
        OpCode::Delete => f.int(-1),
        _ => f.bool(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A multi of a setData and whatever `more` adds.
    fn multi(more: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        let mut f = FrameWriter::request(&mut out, RequestHeader { xid: 1, op: OpCode::Multi.code() });
        f.multi_header(OpCode::SetData.code(), false, -1);
        f.text(Some("/a"));
        f.buffer(None);
        f.int(-1);
        more(&mut f);
        f.multi_header(-1, true, -1);
        f.finish();
        out
    }

    #[test]
    fn nothing_stands_behind_a_container_with_an_ephemeral_mode() {
        let create = |op: OpCode, flags: i32, more: bool| {
            multi(move |f| {
                for (op, flags) in [(op, flags), (OpCode::Create, 0)].into_iter().take(1 + usize::from(more)) {
                    f.multi_header(op.code(), false, -1);
                    f.text(Some("/b"));
                    f.buffer(None);
                    f.vector(Some(&[()]), |f, ()| f.acl_entry(31, Some("world"), Some("anyone")));
                    f.int(flags);
                }
            })
        };
        for (op, flags, expected) in [
            (OpCode::CreateContainer, 1, true),
            (OpCode::CreateContainer, 3, true),
            (OpCode::CreateContainer, 4, false),
            (OpCode::Create, 1, false),
        ] {
            assert_eq!(refused(&create(op, flags, true)).is_some(), expected, "{op:?} {flags}");
            assert!(refused(&create(op, flags, false)).is_none(), "{op:?} {flags}: nothing behind it");
        }
    }

    #[test]
    fn multis_that_apache_gives_up_half_way() {
        let create = |id: Option<&'static str>| {
            multi(move |f| {
                f.multi_header(OpCode::Create.code(), false, -1);
                f.text(Some("/b"));
                f.buffer(None);
                f.vector(Some(&[()]), |f, ()| f.acl_entry(31, Some("ip"), id));
                f.int(0);
            })
        };
        let delete = |path: Option<&'static str>| {
            multi(move |f| {
                f.multi_header(OpCode::Delete.code(), false, -1);
                f.text(path);
                f.int(-1);
            })
        };
        assert!(leaves_changes_pending(&create(None)) && leaves_changes_pending(&delete(None)));
        assert!(!leaves_changes_pending(&create(Some("1.2.3.4"))) && !leaves_changes_pending(&delete(Some("/"))));
        assert!(!leaves_changes_pending(&multi(|_| ())) && !leaves_changes_pending(&[]));
    }
}
