//! Every call of the blocking driver against a real server, with assertions:
//! `cargo run -p ostler-client --example every_call 127.0.0.1:2181`.
//!
//! It works below a node of its own and leaves nothing behind. Containers and TTLs are tried if the server has them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that asserts")]

use ostler_client::{Client, ClientError, CreateMode, MultiAnswer, SessionState};
use ostler_model::{
    CheckVersion, Delete, ErrorCode, EventType, MultiOp, Request, SetData, WatcherType, open_acl, read_only_acl,
};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);

fn main() -> Result<(), ClientError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let mut outer = Client::connect(&address, WAIT)?;
    let (base, _) = outer.create("/every-call-", b"", &open_acl(), CreateMode::PersistentSequential)?;
    let mut client = Client::connect(&format!("{address}{base}"), WAIT)?;
    nodes(&mut client)?;
    acls_and_identities(&mut client)?;
    multis(&mut client)?;
    watches(&mut client, &mut outer, &base)?;
    pipeline(&mut client)?;
    reconnect(&mut client, &mut outer, &base)?;
    client.close();
    for name in outer.get_children(&base, false)? {
        outer.delete(&format!("{base}/{name}"), -1)?;
    }
    outer.delete(&base, -1)?;
    outer.close();
    println!("every call of the driver works at {address}");
    Ok(())
}

fn nodes(client: &mut Client) -> Result<(), ClientError> {
    let acl = open_acl();
    let (path, stat) = client.create("/a", b"one", &acl, CreateMode::Persistent)?;
    assert_eq!((path.as_str(), stat.data_length), ("/a", 3));
    let twice = client.create("/a", b"", &acl, CreateMode::Persistent).unwrap_err();
    assert_eq!(twice.code(), Some(ErrorCode::NodeExists));
    assert_eq!(client.get_data("/a", false)?, (Some(b"one".to_vec()), stat));
    assert_eq!(client.set_data("/a", b"three", 0)?.version, 1);
    assert_eq!(client.exists("/a", false)?.unwrap().data_length, 5);
    assert_eq!(client.exists("/b", false)?, None);
    let (ephemeral, stat) = client.create("/a/e-", b"", &acl, CreateMode::EphemeralSequential)?;
    assert_eq!((ephemeral.as_str(), stat.ephemeral_owner), ("/a/e-0000000000", client.session_id().0));
    assert_eq!(client.get_ephemerals("/")?, ["/a/e-0000000000"]);
    assert_eq!(client.get_children("/a", false)?, ["e-0000000000"]);
    assert_eq!(client.get_children2("/a", false)?.1.num_children, 1);
    assert_eq!(client.all_children_number("/")?, 2);
    client.sync("/a")?;
    client.delete(&ephemeral, -1)?;
    match client.create("/ttl", b"", &acl, CreateMode::Ttl(60_000)) {
        Ok(_) => client.delete("/ttl", -1)?,
        Err(error) => assert_eq!(error.code(), Some(ErrorCode::Unimplemented)),
    }
    client.create("/container", b"", &acl, CreateMode::Container)?;
    client.delete("/container", 0)
}

fn acls_and_identities(client: &mut Client) -> Result<(), ClientError> {
    client.add_auth("digest", b"user:secret")?;
    assert!(client.who_am_i()?.iter().any(|id| id.scheme == "digest" && id.id == "user"));
    assert_eq!(client.get_acl("/a")?.0, *open_acl());
    assert_eq!(client.set_acl("/a", &read_only_acl(), 0)?.aversion, 1);
    let refused = client.set_data("/a", b"", -1).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NoAuth));
    Ok(())
}

fn multis(client: &mut Client) -> Result<(), ClientError> {
    let acl = open_acl();
    let check = |version| MultiOp::Check(CheckVersion { path: Some("/a".into()), version });
    let create = || MultiOp::Create(CreateMode::Persistent.request("/m", b"m", &acl));
    let set = || MultiOp::SetData(SetData { path: Some("/m".into()), data: Some(b"n"), version: 0 });
    let done = client.multi(vec![check(1), create(), set()])?;
    let [MultiAnswer::Done, MultiAnswer::Created(path, Some(_)), MultiAnswer::Stat(stat)] = &done[..] else {
        panic!("{done:?}")
    };
    assert_eq!((path.as_str(), stat.version), ("/m", 1));
    let failed = client.multi(vec![check(1), check(7), create()])?;
    assert_eq!(failed, [MultiAnswer::Error(0), MultiAnswer::Error(-103), MultiAnswer::Error(-2)]);
    let get = Request::GetData { path: Some("/m".into()), watch: false };
    let list = Request::GetChildren { path: Some("/m".into()), watch: false };
    let read = client.multi_read(vec![get, list])?;
    assert_eq!(read, [MultiAnswer::Data(Some(b"n".to_vec()), *stat), MultiAnswer::Children(Vec::new())]);
    let delete = MultiOp::Delete(Delete { path: Some("/m".into()), version: 1 });
    assert_eq!(client.multi(vec![delete])?, [MultiAnswer::Done]);
    Ok(())
}

fn watches(client: &mut Client, outer: &mut Client, base: &str) -> Result<(), ClientError> {
    client.get_children("/", true)?;
    client.exists("/w", true)?;
    client.add_watch("/", true)?;
    client.check_watches("/", WatcherType::PersistentRecursive)?;
    outer.create(&format!("{base}/w"), b"", &open_acl(), CreateMode::Persistent)?;
    let events: Vec<_> =
        (0..2).map(|_| client.next_event(WAIT).unwrap()).map(|event| (event.kind, event.path)).collect();
    assert_eq!(events, [(EventType::NodeCreated, "/w".into()), (EventType::NodeChildrenChanged, "/".into())]);
    client.remove_watches("/", WatcherType::PersistentRecursive)?;
    assert_eq!(client.check_watches("/", WatcherType::Any).unwrap_err().code(), Some(ErrorCode::NoWatcher));
    outer.delete(&format!("{base}/w"), -1)?;
    assert_eq!(client.next_event(Duration::from_millis(50)), None);
    Ok(())
}

fn pipeline(client: &mut Client) -> Result<(), ClientError> {
    client.create("/p", b"", &open_acl(), CreateMode::Persistent)?;
    let data = vec![7; 100_000];
    let set = Request::SetData(SetData { path: Some("/p".into()), data: Some(&data), version: -1 });
    let get = Request::GetData { path: Some("/p".into()), watch: false };
    // More bytes both ways than the sockets hold: neither side may wait for the other.
    let ids: Result<Vec<_>, _> = (0..100).flat_map(|_| [&set, &get]).map(|request| client.submit(request)).collect();
    let mut zxid = None;
    for id in ids? {
        let answer = client.wait(id)?;
        assert_eq!(answer.raw.err, 0);
        assert!(zxid <= Some(answer.raw.zxid));
        zxid = Some(answer.raw.zxid);
    }
    client.delete("/p", 100)
}

fn reconnect(client: &mut Client, outer: &mut Client, base: &str) -> Result<(), ClientError> {
    let session = client.session_id();
    client.create("/r", b"", &open_acl(), CreateMode::Ephemeral)?;
    client.get_data("/r", true)?;
    while client.next_state().is_some() {}
    client.cut();
    outer.set_data(&format!("{base}/r"), b"missed", -1)?;
    let event = client.next_event(WAIT).unwrap();
    assert_eq!((event.kind, event.path.as_str(), event.zxid.0), (EventType::NodeDataChanged, "/r", -1));
    assert!(matches!(client.next_state(), Some(SessionState::Suspended(_))));
    assert!(
        matches!(client.next_state(), Some(SessionState::Connected { session: same, again: true, .. }) if same == session)
    );
    assert_eq!(client.get_data("/r", false)?.0, Some(b"missed".to_vec()));
    assert!(client.who_am_i()?.iter().any(|id| id.scheme == "digest" && id.id == "user"));
    Ok(())
}
