//! What must hold for any bytes at all, decoder by decoder. The fuzz targets (`fuzz/`) and the tests run the same
//! functions: none of them may panic, take memory out of proportion, or accept something that does not survive being
//! written and read again.

use ostler_model::{MultiOp, OpCode, Request, Text, Txn, WireAcl, Zxid};
use ostler_wire::client::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, decode_request};
use ostler_wire::peer::{self, MultiResult, Reply, WatcherEvent};
use ostler_wire::txn;
use std::mem::size_of;

pub mod servers;

const LENGTH_MAX: usize = 1 << 20;
/// A decoded value may take this many times the bytes it came from: a null string is 4 bytes on the wire and 24 in
/// memory, an operation of a multiRead 14 and a whole [`Request`], and vectors grow by doubling.
const GROWTH_MAX: usize = 32;

/// Feeds bytes to a decoder and checks what it makes of them.
pub type Target = fn(&[u8]);

/// Every decoder, by the name of its fuzz target.
pub const ALL: [(&str, Target); 11] = [
    ("connect", connect),
    ("request", request),
    ("multi", multi),
    ("reply", reply),
    ("event", event),
    ("txn_record", txn_record),
    ("to_leader", servers::to_leader),
    ("to_learner", servers::to_learner),
    ("handshake", servers::handshake),
    ("notification", servers::notification),
    ("ensemble", servers::ensemble),
];

/// Both handshake records.
pub fn connect(bytes: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(bytes, LENGTH_MAX) {
        assert!(request.password.capacity() <= bytes.len());
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(ConnectRequest::decode(&again[4..], LENGTH_MAX), Ok(request));
    }
    if let Ok(response) = ConnectResponse::decode(bytes) {
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(ConnectResponse::decode(&again[4..]), Ok(response));
    }
}

/// A request's payload, header included.
pub fn request(bytes: &[u8]) {
    let Ok((header, body)) = RequestHeader::split(bytes) else { return };
    if let Some(op) = OpCode::from_i32(header.op) {
        request_body(op, body, header.xid);
    }
}

/// The body of a multi and of a multiRead, without a header to guess.
pub fn multi(bytes: &[u8]) {
    request_body(OpCode::Multi, bytes, 1);
    request_body(OpCode::MultiRead, bytes, 1);
}

fn request_body(op: OpCode, body: &[u8], xid: i32) {
    let Ok(request) = decode_request(op, body, LENGTH_MAX) else { return };
    assert!(request_weight(&request) <= GROWTH_MAX * body.len(), "{request:?}");
    let mut again = Vec::new();
    peer::encode_request(&mut again, xid, &request);
    let (header, body) = RequestHeader::split(&again[4..]).expect("just written");
    assert_eq!(header.xid, xid);
    let op = OpCode::from_i32(header.op).expect("just written");
    assert_eq!(decode_request(op, body, 4 * LENGTH_MAX), Ok(request));
}

/// The opcode of the request it answers, then a reply's payload.
pub fn reply(bytes: &[u8]) {
    let Some((op, payload)) = bytes.split_first_chunk::<4>() else { return };
    let Some(op) = OpCode::from_i32(i32::from_be_bytes(*op)) else { return };
    let Ok((header, body)) = ReplyHeader::split(payload) else { return };
    let Ok(reply) = peer::decode_reply(op, &header, body) else { return };
    assert!(reply_weight(&reply) <= GROWTH_MAX * body.len(), "{reply:?}");
    let mut again = Vec::new();
    peer::encode_reply(&mut again, header, &reply);
    let (_, body) = ReplyHeader::split(&again[4..]).expect("just written");
    assert_eq!(peer::decode_reply(op, &header, body), Ok(reply));
}

/// The payload of a watch event, header included.
pub fn event(bytes: &[u8]) {
    if let Ok(event) = ReplyHeader::split(bytes).and_then(|(_, body)| WatcherEvent::decode(body)) {
        assert!(text_weight(&event.path) <= GROWTH_MAX * bytes.len());
    }
}

/// The payload of a record of the log.
pub fn txn_record(bytes: &[u8]) {
    let Ok(record) = txn::decode(bytes, LENGTH_MAX) else { return };
    assert!(txn_weight(&record.txn) <= GROWTH_MAX * bytes.len(), "{record:?}");
    // A null list before a digest of another version, and a list of two empty paths without a digest, which looks
    // like a digest without a list: nobody writes them, and neither can we.
    let unwritable = match &record.txn {
        Txn::CloseSession { paths: None } => record.digest.is_some_and(|digest| digest.version != 2),
        Txn::CloseSession { paths: Some(paths) } => record.digest.is_none() && *paths == ["", ""],
        _ => false,
    };
    if unwritable {
        return;
    }
    let mut again = Vec::new();
    txn::encode(&mut again, &record.header, &record.txn, record.digest);
    assert_eq!(txn::decode(&again, 4 * LENGTH_MAX), Ok(record));
    // Malformed text grows threefold when it is replaced, nothing else grows.
    assert!(again.len() <= 3 * bytes.len() + 16, "{} from {}", again.len(), bytes.len());
}

fn text_weight(text: &Text<'_>) -> usize {
    match text {
        Some(std::borrow::Cow::Owned(text)) => text.capacity(),
        _ => 0,
    }
}

fn texts_weight(texts: Option<&Vec<Text<'_>>>) -> usize {
    texts.map_or(0, |t| t.capacity() * size_of::<Text<'_>>() + t.iter().map(text_weight).sum::<usize>())
}

fn acl_weight(acl: Option<&Vec<WireAcl<'_>>>) -> usize {
    let entry = |acl: &WireAcl<'_>| text_weight(&acl.scheme) + text_weight(&acl.id);
    acl.map_or(0, |acl| acl.capacity() * size_of::<WireAcl<'_>>() + acl.iter().map(entry).sum::<usize>())
}

fn multi_weight(ops: &Vec<MultiOp<'_>>) -> usize {
    let one = |op: &MultiOp<'_>| match op {
        MultiOp::Create(create) => text_weight(&create.path) + acl_weight(create.acl.as_ref()),
        MultiOp::Delete(delete) => text_weight(&delete.path),
        MultiOp::SetData(set) => text_weight(&set.path),
        MultiOp::Check(check) => text_weight(&check.path),
        MultiOp::Refused(_) => 0,
    };
    ops.capacity() * size_of::<MultiOp<'_>>() + ops.iter().map(one).sum::<usize>()
}

fn request_weight(request: &Request<'_>) -> usize {
    match request {
        Request::Create(create) => text_weight(&create.path) + acl_weight(create.acl.as_ref()),
        Request::SetAcl(set) => text_weight(&set.path) + acl_weight(set.acl.as_ref()),
        Request::Multi(ops) => multi_weight(ops),
        Request::MultiRead(reads) => {
            reads.capacity() * size_of::<Request<'_>>() + reads.iter().map(request_weight).sum::<usize>()
        }
        Request::SetWatches { data, exist, child, persistent, recursive, .. } => {
            [data, exist, child, persistent, recursive].into_iter().map(|list| texts_weight(list.as_ref())).sum()
        }
        Request::Reconfig { joining, leaving, new_members, .. } => {
            text_weight(joining) + text_weight(leaving) + text_weight(new_members)
        }
        // One string at most, replaced in place of at most as many bytes.
        _ => 0,
    }
}

fn reply_weight(reply: &Reply<'_>) -> usize {
    match reply {
        Reply::Acl { acl, .. } => acl_weight(acl.as_ref()),
        Reply::Names(names) | Reply::Children2 { names, .. } => texts_weight(names.as_ref()),
        Reply::WhoAmI(infos) => infos.as_ref().map_or(0, |infos| infos.capacity() * size_of::<peer::ClientInfo<'_>>()),
        Reply::Multi(results) => {
            let one = |result: &MultiResult<'_>| match result {
                MultiResult::GetChildren { names } => texts_weight(names.as_ref()),
                _ => 0,
            };
            results.capacity() * size_of::<MultiResult<'_>>() + results.iter().map(one).sum::<usize>()
        }
        _ => 0,
    }
}

fn txn_weight(txn: &Txn) -> usize {
    match txn {
        Txn::Create(create) => {
            let acl = create.acl.iter().map(|acl| size_of_val(acl) + acl.scheme.capacity() + acl.id.capacity());
            create.path.capacity() + create.data.as_ref().map_or(0, Vec::capacity) + acl.sum::<usize>()
        }
        Txn::SetData { path, data, .. } => path.capacity() + data.as_ref().map_or(0, Vec::capacity),
        Txn::CloseSession { paths: Some(paths) } => {
            paths.capacity() * size_of::<String>() + paths.iter().map(String::capacity).sum::<usize>()
        }
        Txn::Multi(txns) => txns.capacity() * size_of::<Txn>() + txns.iter().map(txn_weight).sum::<usize>(),
        _ => 0,
    }
}

/// A zxid for replies made up in tests.
#[allow(dead_code, reason = "not every user of this module makes replies")]
pub const ANY_ZXID: Zxid = Zxid(0x1_0000_0007);
