//! Requests drawn from a seed: every write operation, a good third of them invalid in some way.

use super::{LIMITS, Model, QUOTA, STATS};
use ostler_model::{
    AuthId, CheckVersion, Create, CreateOp, Delete, Dice, ErrorCode, MAX_TTL_MS, MultiOp, Owner, Request, SessionId,
    SetAcl, SetData, Text, TxnHeader, WireAcl, Zxid,
};
use ostler_tree::TxnResult;

pub const SESSIONS: [i64; 5] = [0x0100_0000_0000_0001, 0x0100_0000_0000_0002, -7, 0x0100_0000_0000_0004, 0x77];

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "s-", "..x", "\u{e9}\u{4e2d}"];

const ODD_PATHS: [&str; 22] = [
    "",
    "/",
    "a",
    "a/b",
    "//",
    "//a",
    "/a/",
    "/a//b",
    "/.",
    "/a/..",
    "/a/.b",
    "/\0",
    "/a\0",
    "/a/\u{1}",
    "/\u{e000}",
    "/a/\u{1f600}",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/x",
    "/none/x",
    "/a/b/c/d/e",
];

const DATA: [Option<&[u8]>; 6] = [None, Some(b""), Some(b"x"), Some(b"four"), Some(b"twelve bytes"), Some(&[7; 300])];

const QUOTA_TEXTS: [&str; 15] = [
    "count==5,bytes=7=8",
    "count=",
    ",count=3",
    "=5;;,byteHardLimit=40;",
    ";",
    "=",
    "count=4,bytes=20",
    "count=-1,bytes=-1=;byteHardLimit=16;countHardLimit=3",
    "count=-1,bytes=-1=;countHardLimit=2",
    "byteHardLimit=0",
    "count=1,bytes=1",
    "count=0,bytes=0",
    "",
    "nonsense",
    "count=x,bytes=1",
];

fn auth(scheme: &str, id: &str) -> AuthId {
    AuthId { scheme: scheme.into(), id: id.into() }
}

pub fn ids(dice: &mut Dice) -> Vec<AuthId> {
    let (ip, u, v) = (auth("ip", "10.0.0.1"), auth("digest", "u:h"), auth("digest", "v:g"));
    match dice.index(12) {
        0 => vec![],
        1..=3 => vec![auth("ip", "11.0.0.1")],
        4..=6 => vec![ip],
        7 | 8 => vec![ip, u],
        9 => vec![v, u],
        _ => vec![ip, u, auth("super", "")],
    }
}

fn acl_entry(perms: i32, scheme: &'static str, id: &'static str) -> WireAcl<'static> {
    WireAcl { perms, scheme: Some(scheme.into()), id: Some(id.into()) }
}

fn acl(dice: &mut Dice) -> Option<Vec<WireAcl<'static>>> {
    let world = |perms| acl_entry(perms, "world", "anyone");
    let nulls = |scheme: Option<&'static str>, id: Option<&'static str>| {
        vec![world(31), WireAcl { perms: 1, scheme: scheme.map(Into::into), id: id.map(Into::into) }]
    };
    Some(match dice.index(70) {
        0 => return None,
        1 => vec![],
        2 => vec![world(1)],
        3 => vec![world(31 & !4)],
        4 => vec![world(31 & !8)],
        5 => vec![world(31 & !2), acl_entry(2, "digest", "u:h")],
        6 => vec![world(0)],
        7 => vec![world(-1), world(255)],
        8 => vec![acl_entry(31, "digest", "u:h"), world(1)],
        9 => vec![acl_entry(31, "auth", "whatever")],
        10 => vec![acl_entry(15, "auth", ""), acl_entry(31, "ip", "10.0.0.0/8")],
        11 => vec![acl_entry(31, "ip", "10.0.0.0/8")],
        12 => vec![world(31), world(1), world(31)],
        13 => vec![acl_entry(31, "world", "other")],
        14 => vec![world(31), acl_entry(31, "super", "")],
        15 => vec![acl_entry(31, "sasl", "a")],
        16 => vec![acl_entry(31, "digest", "nocolon")],
        17 => nulls(None, Some("anyone")),
        18 => nulls(Some("world"), None),
        19 => nulls(Some("nonsense"), None),
        20 => nulls(Some("digest"), None),
        _ => vec![world(31)],
    })
}

fn path(dice: &mut Dice, model: &Model) -> Text<'static> {
    let existing = |dice: &mut Dice| {
        let at = dice.index(model.nodes.len());
        model.nodes.keys().nth(at).expect("within the map").clone()
    };
    let child =
        |parent: String, name: &str| if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") };
    let path = match dice.index(100) {
        0 => return None,
        1..=7 => dice.pick(&ODD_PATHS).to_owned(),
        8..=14 => {
            let root = if dice.percent(70) { "/a".to_owned() } else { existing(dice) };
            let name = dice.pick(&["", LIMITS, STATS]);
            child(format!("{QUOTA}{root}"), name).trim_end_matches('/').to_owned()
        }
        15..=24 => "/a".to_owned(),
        25..=44 => existing(dice),
        45..=46 => child(existing(dice), ""),
        _ => {
            let parent = existing(dice);
            // A tree that does not grow into the deep.
            if parent.matches('/').count() > 4 { parent } else { child(parent, dice.pick(&NAMES)) }
        }
    };
    Some(path.into())
}

fn data(dice: &mut Dice, path: &Text<'_>) -> Option<&'static [u8]> {
    match path {
        Some(path) if path.ends_with(LIMITS) || path.ends_with(STATS) => Some(dice.pick(&QUOTA_TEXTS).as_bytes()),
        _ => dice.pick(&DATA),
    }
}

fn version(dice: &mut Dice, current: Option<i32>) -> i32 {
    match dice.index(10) {
        0..=4 => -1,
        5..=7 => current.unwrap_or(0),
        8 => current.unwrap_or(0).wrapping_add(1),
        _ => dice.pick(&[-2, 0, 1, i32::MAX, i32::MIN]),
    }
}

fn create(dice: &mut Dice, model: &Model) -> Create<'static> {
    let path = path(dice, model);
    let op = dice.pick(&[
        CreateOp::Create,
        CreateOp::Create,
        CreateOp::Create2,
        CreateOp::Create2,
        CreateOp::Container,
        CreateOp::Ttl,
    ]);
    let flags = match (op, dice.index(10)) {
        (_, 0) => dice.pick(&[-1, 7, 9, 4, 5, 6]),
        (CreateOp::Ttl, 1..=7) => dice.pick(&[5, 6]),
        _ => dice.pick(&[0, 0, 0, 1, 1, 2, 3]),
    };
    // The order in which the end of a session deletes is open, but a quota node that goes with it makes it matter.
    let is_quota = path.as_deref().is_some_and(|path| path.ends_with(LIMITS) || path.ends_with(STATS));
    let flags = if is_quota { flags & !1 } else { flags };
    let ttl = if op == CreateOp::Ttl { dice.pick(&[1, 40, 1_000, MAX_TTL_MS, MAX_TTL_MS + 1, 0, -1]) } else { -1 };
    let data = data(dice, &path);
    Create { op, data, acl: acl(dice), flags, ttl, path }
}

fn delete(dice: &mut Dice, model: &Model) -> Delete<'static> {
    let path = path(dice, model);
    let current = path.as_deref().and_then(|path| model.stat(path)).map(|stat| stat.version);
    Delete { path, version: version(dice, current) }
}

fn set_data(dice: &mut Dice, model: &Model) -> SetData<'static> {
    let Delete { path, version } = delete(dice, model);
    SetData { data: data(dice, &path), path, version }
}

fn multi_op(dice: &mut Dice, model: &Model) -> MultiOp<'static> {
    match dice.index(100) {
        0..=44 => {
            let mut create = create(dice, model);
            // Mostly what the decoder passes on.
            if dice.percent(95) && create.op != CreateOp::Ttl && !(0..4).contains(&create.flags) {
                create.flags = 0;
            }
            if dice.percent(90) && create.acl.is_none() {
                create.acl = Some(vec![acl_entry(31, "world", "anyone")]);
            }
            MultiOp::Create(create)
        }
        45..=64 => MultiOp::Delete(delete(dice, model)),
        65..=84 => MultiOp::SetData(set_data(dice, model)),
        85..=97 => {
            let Delete { path, version } = delete(dice, model);
            MultiOp::Check(CheckVersion { path, version })
        }
        _ => MultiOp::Refused(ErrorCode::BadArguments),
    }
}

/// Mostly operations that succeed behind those before them, so that a multi fails late or not at all.
fn multi(dice: &mut Dice, model: &Model, ids: &[AuthId], header: &TxnHeader) -> Request<'static> {
    let length = if dice.percent(5) { 0 } else { 1 + dice.index(7) };
    let mut operations = Vec::new();
    for _ in 0..length {
        let mut candidate = multi_op(dice, model);
        for _ in 0..if dice.percent(90) { 8 } else { 0 } {
            let mut tried = operations.clone();
            tried.push(candidate.clone());
            if matches!(would_be(model, ids, header, &Request::Multi(tried)), TxnResult::Multi(_)) {
                break;
            }
            candidate = multi_op(dice, model);
        }
        operations.push(candidate);
    }
    Request::Multi(operations)
}

fn would_be(model: &Model, ids: &[AuthId], header: &TxnHeader, request: &Request<'_>) -> TxnResult {
    model.clone().execute(model, ids, header, request).0
}

/// A request, with the ids and the session it comes from. The header names `zxid`; the clock mostly goes forward.
pub fn request(
    dice: &mut Dice,
    model: &Model,
    zxid: i64,
    time_ms: &mut i64,
) -> (TxnHeader, Vec<AuthId>, Request<'static>) {
    *time_ms += if dice.percent(3) { -200 } else { dice.index(40) as i64 };
    let ids = ids(dice);
    let open: Vec<i64> = model.sessions.keys().copied().collect();
    let any = open.is_empty() || dice.percent(6);
    let session = SessionId(dice.pick(if any { &SESSIONS[..] } else { &open }));
    let mut header = TxnHeader { session, cxid: dice.index(1_000) as i32, zxid: Zxid(zxid), time_ms: *time_ms };
    let request = match dice.index(100) {
        0..=79 => {
            let kind = dice.index(80);
            let mut candidate = write(dice, model, kind);
            for _ in 0..if dice.percent(50) { 5 } else { 0 } {
                if !matches!(would_be(model, &ids, &header, &candidate), TxnResult::Error(_)) {
                    break;
                }
                candidate = write(dice, model, kind);
            }
            candidate
        }
        80..=92 => multi(dice, model, &ids, &header),
        93..=95 => {
            // The last one never begins.
            header.session = SessionId(dice.pick(&SESSIONS[..4]));
            Request::CreateSession { timeout_ms: 1_000 + dice.index(5) as i32 }
        }
        96 | 97 => Request::CloseSession,
        98 => Request::Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 },
        _ => Request::Sync { path: Some("/".into()) },
    };
    if matches!(request, Request::DeleteContainer { .. }) {
        header.session = SessionId::NONE;
    }
    (header, ids, request)
}

fn write(dice: &mut Dice, model: &Model, kind: usize) -> Request<'static> {
    match kind {
        0..=39 => Request::Create(create(dice, model)),
        40..=54 => Request::Delete(delete(dice, model)),
        55..=69 => Request::SetData(set_data(dice, model)),
        70..=75 => {
            let path = path(dice, model);
            let current = path.as_deref().and_then(|path| model.stat(path)).map(|stat| stat.aversion);
            Request::SetAcl(SetAcl { path, acl: acl(dice), version: version(dice, current) })
        }
        _ => {
            let due = |owner| matches!(Owner::from_raw(owner), Owner::Container | Owner::Ttl(_));
            let swept: Vec<_> = model.nodes.iter().filter(|(_, node)| due(node.stat.ephemeral_owner)).collect();
            let any = swept.is_empty() || dice.percent(20);
            let path = if any { path(dice, model) } else { Some(dice.pick(&swept).0.clone().into()) };
            Request::DeleteContainer { path }
        }
    }
}
