//! Whatever can be said can be read: every request, reply and transaction survives being written and read.

use ostler_model::{
    Acl, CheckVersion, Create, CreateOp, CreateTxn, Delete, ErrorCode, MultiOp, OpCode, Request, SessionId, SetAcl,
    SetData, Stat, Text, Txn, TxnHeader, WatcherType, WireAcl, Zxid,
};
use ostler_wire::client::{ReplyHeader, RequestHeader, decode_request};
use ostler_wire::peer::{ClientInfo, MultiResult, Reply, decode_reply, encode_reply, encode_request};
use ostler_wire::txn::{self, TxnDigest, TxnRecord};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LENGTH_MAX: usize = 1 << 20;

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["/[a-z]{1,5}(/[a-z0-9]{1,8}){0,3}", "\\PC{0,12}", Just(String::new()), Just("\u{1f600}\0".to_owned())]
}

fn text() -> impl Strategy<Value = Text<'static>> {
    option::weighted(0.9, string().prop_map(Into::into))
}

fn bytes() -> impl Strategy<Value = Option<&'static [u8]>> {
    prop::sample::select(vec![None, Some(&b""[..]), Some(b"x"), Some(&[0xff; 300])])
}

fn wire_acl() -> impl Strategy<Value = WireAcl<'static>> {
    (any::<i32>(), text(), text()).prop_map(|(perms, scheme, id)| WireAcl { perms, scheme, id })
}

fn acls() -> impl Strategy<Value = Option<Vec<WireAcl<'static>>>> {
    option::weighted(0.9, vec(wire_acl(), 0..4))
}

fn create_op() -> impl Strategy<Value = CreateOp> {
    prop::sample::select(vec![CreateOp::Create, CreateOp::Create2, CreateOp::Container, CreateOp::Ttl])
}

fn create() -> impl Strategy<Value = Create<'static>> {
    (create_op(), text(), bytes(), acls(), any::<i32>(), any::<i64>()).prop_map(|(op, path, data, acl, flags, ttl)| {
        Create { op, path, data, acl, flags, ttl: if op == CreateOp::Ttl { ttl } else { -1 } }
    })
}

/// Only what the decoder can make: nulls and invalid flags are refused as a whole, other combinations rewritten.
fn multi_op() -> impl Strategy<Value = MultiOp<'static>> {
    let path = || string().prop_map(|path| Some(path.into()));
    let create = (create_op(), path(), bytes(), vec(wire_acl(), 0..3), 0..4, 5..7).prop_map(
        |(op, path, data, acl, plain, ttl_mode)| {
            let (flags, ttl) = if op == CreateOp::Ttl { (ttl_mode, 77) } else { (plain, -1) };
            MultiOp::Create(Create { op, path, data, acl: Some(acl), flags, ttl })
        },
    );
    prop_oneof![
        create,
        (path(), any::<i32>()).prop_map(|(path, version)| MultiOp::Delete(Delete { path, version })),
        (path(), bytes(), any::<i32>()).prop_map(|(path, data, version)| MultiOp::SetData(SetData {
            path,
            data,
            version
        })),
        (path(), any::<i32>()).prop_map(|(path, version)| MultiOp::Check(CheckVersion { path, version })),
        Just(MultiOp::Refused(ErrorCode::BadArguments)),
    ]
}

fn watcher_type() -> impl Strategy<Value = WatcherType> {
    use WatcherType::{Any, Children, Data, Persistent, PersistentRecursive};
    prop::sample::select(vec![Children, Data, Any, Persistent, PersistentRecursive])
}

fn read() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetData { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren { path, watch }),
    ]
}

fn reads() -> impl Strategy<Value = Vec<Request<'static>>> {
    prop_oneof![vec(read(), 0..5), vec(multi_op().prop_map(|op| Request::Multi(vec![op])), 0..5)]
}

fn request() -> impl Strategy<Value = Request<'static>> {
    let texts = || option::weighted(0.9, vec(text(), 0..5));
    let watches = (any::<i64>(), texts(), texts(), texts(), texts(), texts()).prop_map(
        |(relative_zxid, data, exist, child, persistent, recursive)| Request::SetWatches {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            recursive,
        },
    );
    let writes = prop_oneof![
        create().prop_map(Request::Create),
        (text(), any::<i32>()).prop_map(|(path, version)| Request::Delete(Delete { path, version })),
        text().prop_map(|path| Request::DeleteContainer { path }),
        (text(), bytes(), any::<i32>()).prop_map(|(path, data, version)| Request::SetData(SetData {
            path,
            data,
            version
        })),
        (text(), acls(), any::<i32>()).prop_map(|(path, acl, version)| Request::SetAcl(SetAcl { path, acl, version })),
        vec(multi_op(), 0..6).prop_map(Request::Multi),
        (text(), text(), text(), any::<i64>()).prop_map(|(joining, leaving, new_members, config_id)| {
            Request::Reconfig { joining, leaving, new_members, config_id }
        }),
        any::<i32>().prop_map(|timeout_ms| Request::CreateSession { timeout_ms }),
        Just(Request::CloseSession),
    ];
    let reads = prop_oneof![
        text().prop_map(|path| Request::Sync { path }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::Exists { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetData { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren { path, watch }),
        (text(), any::<bool>()).prop_map(|(path, watch)| Request::GetChildren2 { path, watch }),
        text().prop_map(|path| Request::GetAcl { path }),
        text().prop_map(|prefix| Request::GetEphemerals { prefix }),
        text().prop_map(|path| Request::GetAllChildrenNumber { path }),
        reads().prop_map(Request::MultiRead),
        Just(Request::Ping),
        Just(Request::WhoAmI),
    ];
    let rest = prop_oneof![
        (text(), any::<bool>()).prop_map(|(path, recursive)| Request::AddWatch { path, recursive }),
        (text(), watcher_type()).prop_map(|(path, kind)| Request::CheckWatches { path, kind }),
        (text(), watcher_type()).prop_map(|(path, kind)| Request::RemoveWatches { path, kind }),
        watches,
        (text(), bytes()).prop_map(|(scheme, auth)| Request::Auth { scheme, auth }),
        bytes().prop_map(|token| Request::Sasl { token }),
    ];
    prop_oneof![writes, reads, rest]
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(long, int)| Stat {
        czxid: Zxid(long[0]),
        mzxid: Zxid(long[1]),
        ctime: long[2],
        mtime: long[3],
        version: int[0],
        cversion: int[1],
        aversion: int[2],
        ephemeral_owner: long[4],
        data_length: int[3],
        num_children: int[4],
        pzxid: Zxid(long[5]),
    })
}

fn reply() -> impl Strategy<Value = (OpCode, Reply<'static>)> {
    use prop::sample::select;
    let names = || option::weighted(0.9, vec(text(), 0..5));
    let result = prop_oneof![
        text().prop_map(|path| MultiResult::Create { path }),
        (text(), stat()).prop_map(|(path, stat)| MultiResult::Create2 { path, stat }),
        Just(MultiResult::Delete),
        Just(MultiResult::Check),
        stat().prop_map(|stat| MultiResult::SetData { stat }),
        (bytes(), stat()).prop_map(|(data, stat)| MultiResult::GetData { data, stat }),
        names().prop_map(|names| MultiResult::GetChildren { names }),
        any::<i32>().prop_map(MultiResult::Error),
    ];
    prop_oneof![
        (select(vec![OpCode::Delete, OpCode::Ping, OpCode::SetWatches, OpCode::CloseSession]), Just(Reply::Empty)),
        (select(vec![OpCode::Create, OpCode::Sync]), text().prop_map(Reply::Path)),
        (
            select(vec![OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl]),
            (text(), stat()).prop_map(|(path, stat)| Reply::Created { path, stat })
        ),
        (select(vec![OpCode::Exists, OpCode::SetData, OpCode::SetAcl]), stat().prop_map(Reply::Stat)),
        (
            select(vec![OpCode::GetData, OpCode::Reconfig]),
            (bytes(), stat()).prop_map(|(data, stat)| Reply::Data { data, stat })
        ),
        (Just(OpCode::GetAcl), (acls(), stat()).prop_map(|(acl, stat)| Reply::Acl { acl, stat })),
        (select(vec![OpCode::GetChildren, OpCode::GetEphemerals]), names().prop_map(Reply::Names)),
        (Just(OpCode::GetChildren2), (names(), stat()).prop_map(|(names, stat)| Reply::Children2 { names, stat })),
        (select(vec![OpCode::GetAllChildrenNumber, OpCode::AddWatch]), any::<i32>().prop_map(Reply::Number)),
        (Just(OpCode::Sasl), bytes().prop_map(Reply::Token)),
        (
            Just(OpCode::WhoAmI),
            option::of(vec((text(), text()).prop_map(|(scheme, user)| ClientInfo { scheme, user }), 0..4))
                .prop_map(Reply::WhoAmI)
        ),
        (select(vec![OpCode::Multi, OpCode::MultiRead]), vec(result, 0..6).prop_map(Reply::Multi)),
    ]
}

fn acl_list() -> impl Strategy<Value = ostler_model::AclList> {
    vec((any::<i32>(), string(), string()).prop_map(|(perms, scheme, id)| Acl { perms, scheme, id }), 0..4)
        .prop_map(Into::into)
}

fn single_txn() -> impl Strategy<Value = Txn> {
    let data = || bytes().prop_map(|data| data.map(<[u8]>::to_vec));
    let created = (create_op(), string(), data(), acl_list(), any::<bool>(), any::<i32>(), any::<i64>()).prop_map(
        |(op, path, data, acl, ephemeral, parent_cversion, ttl)| {
            let ephemeral = ephemeral && matches!(op, CreateOp::Create | CreateOp::Create2);
            let ttl = if op == CreateOp::Ttl { ttl } else { 0 };
            Txn::Create(CreateTxn { op, path, data, acl, ephemeral, parent_cversion, ttl })
        },
    );
    prop_oneof![
        created,
        string().prop_map(|path| Txn::Delete { path }),
        string().prop_map(|path| Txn::DeleteContainer { path }),
        (string(), data(), any::<i32>()).prop_map(|(path, data, version)| Txn::SetData { path, data, version }),
        (string(), data()).prop_map(|(path, data)| Txn::Reconfig { path, data, version: -1 }),
        (string(), acl_list(), any::<i32>()).prop_map(|(path, acl, version)| Txn::SetAcl { path, acl, version }),
        (string(), any::<i32>()).prop_map(|(path, version)| Txn::Check { path, version }),
        any::<i32>().prop_map(|code| ErrorCode::from_i32(code).map_or(Txn::UnknownError(code), Txn::Error)),
        Just(Txn::Error(ErrorCode::NoNode)),
    ]
}

fn any_txn() -> impl Strategy<Value = Txn> {
    prop_oneof![
        4 => single_txn(),
        1 => any::<i32>().prop_map(|timeout_ms| Txn::CreateSession { timeout_ms }),
        1 => option::of(vec(string(), 0..5)).prop_map(|paths| Txn::CloseSession { paths }),
        2 => vec(single_txn(), 0..5).prop_map(Txn::Multi),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests(xid in any::<i32>(), request in request()) {
        let mut frame = vec![0xaa];
        encode_request(&mut frame, xid, &request);
        let frame = &frame[1..];
        prop_assert_eq!(frame[..4].to_vec(), (frame.len() as u32 - 4).to_be_bytes());
        let (header, body) = RequestHeader::split(&frame[4..]).unwrap();
        prop_assert_eq!(header.xid, xid);
        let decoded = decode_request(OpCode::from_i32(header.op).unwrap(), body, LENGTH_MAX);
        prop_assert_eq!(decoded, Ok(request.clone()));
        // No prefix of a body decodes to the same, or a field would not have been read.
        for end in 0..body.len() {
            let cut = decode_request(OpCode::from_i32(header.op).unwrap(), &body[..end], LENGTH_MAX);
            prop_assert_ne!(cut, Ok(request.clone()), "cut at {}", end);
        }
    }

    #[test]
    fn replies((op, reply) in reply(), zxid in any::<i64>()) {
        let header = ReplyHeader { xid: 5, zxid: Zxid(zxid), err: 0 };
        let mut frame = Vec::new();
        encode_reply(&mut frame, header, &reply);
        let (again, body) = ReplyHeader::split(&frame[4..]).unwrap();
        prop_assert_eq!(again, header);
        prop_assert_eq!(decode_reply(op, &header, body), Ok(reply));
    }

    #[test]
    fn transactions(
        (session, cxid, zxid, time_ms) in any::<(i64, i32, i64, i64)>(),
        txn in any_txn(),
        digest in option::of(any::<i64>()),
    ) {
        let header = TxnHeader { session: SessionId(session), cxid, zxid: Zxid(zxid), time_ms };
        // Without a digest two empty paths look like a digest without a list; nobody has them.
        let ambiguous = matches!(&txn, Txn::CloseSession { paths: Some(paths) } if *paths == ["", ""]);
        prop_assume!(!ambiguous || digest.is_some());
        let digest = digest.map(|tree_digest| TxnDigest { version: txn::DIGEST_VERSION, tree_digest });
        let mut payload = Vec::new();
        txn::encode(&mut payload, &header, &txn, digest);
        let digest = digest.filter(|_| !txn.is_error());
        prop_assert_eq!(txn::decode(&payload, LENGTH_MAX), Ok(TxnRecord { header, txn, digest }));
    }
}
