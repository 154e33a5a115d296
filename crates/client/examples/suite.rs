//! The asynchronous client against a real server, for `interop/run client`:
//! `cargo run -p ostler-client --example suite 127.0.0.1:2181`.
//!
//! Prints "ok NAME" for every check and panics at the first failure. It works below a node of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that asserts")]

use ostler_client::aio::{
    Acl, Client, CreateMode, Error, ErrorCode, EventType, MultiResult, Notice, ReadResult, Retry, SessionState, perms,
};
use ostler_test::{Cut, Door};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, what).await.expect("it happens in time")
}

fn ok(name: &str) {
    println!("ok {name}");
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".into());
    let outer = Client::connect(&address).await?;
    let (base, _) = outer.create("/client-suite-", b"", CreateMode::PersistentSequential).await?;
    let door = Door::to(address.rsplit(':').next().unwrap().parse().unwrap());
    let client = Client::connect(&format!("{}{base}", door.address())).await?;
    let writer = Client::connect(&format!("{address}{base}")).await?;
    nodes(&client).await?;
    identities(&client).await?;
    multis(&client).await?;
    order(&client).await?;
    watches(&client, &writer).await?;
    reconnects(&client, &writer, &door).await?;
    losses(&client, &door).await?;
    endings(&client, &writer, &address, &base).await?;
    for name in writer.get_children("/").await?.0 {
        writer.delete(&format!("/{name}"), -1).await?;
    }
    outer.delete(&base, -1).await?;
    Ok(())
}

async fn nodes(client: &Client) -> Result<(), Error> {
    let (path, stat) = client.create("/a", b"one", CreateMode::Persistent).await?;
    assert_eq!((path.as_str(), stat.data_length), ("/a", 3));
    assert_eq!(client.create("/a", b"", CreateMode::Persistent).await.unwrap_err().code(), Some(ErrorCode::NodeExists));
    assert_eq!(client.get_data("/a").await?, (b"one".to_vec(), stat));
    ok("create and get_data");
    assert_eq!(client.set_data("/a", b"three", 0).await?.version, 1);
    assert_eq!(client.set_data("/a", b"", 0).await.unwrap_err().code(), Some(ErrorCode::BadVersion));
    ok("set_data with versions");
    assert_eq!(client.exists("/a").await?.unwrap().data_length, 5);
    assert_eq!(client.exists("/b").await?, None);
    ok("exists");
    let (path, stat) = client.create("/e-", b"", CreateMode::EphemeralSequential).await?;
    assert_eq!((path.as_str(), stat.ephemeral_owner), ("/e-0000000001", client.session_id().0));
    assert_eq!(client.get_ephemerals("/").await?, [path.as_str()]);
    ok("sequential ephemerals and get_ephemerals");
    let (mut names, stat) = client.get_children("/").await?;
    names.sort();
    assert_eq!((names, stat.num_children), (vec!["a".to_owned(), "e-0000000001".to_owned()], 2));
    assert_eq!(client.all_children_number("/").await?, 2);
    ok("get_children and all_children_number");
    client.sync("/").await?;
    client.delete(&path, 0).await?;
    ok("sync and delete");
    client.create("/container", b"", CreateMode::Container).await?;
    client.delete("/container", -1).await?;
    client.create("/ttl", b"", CreateMode::Ttl(60_000)).await?;
    let (path, _) = client.create("/ttl-", b"", CreateMode::TtlSequential(60_000)).await?;
    client.delete("/ttl", -1).await?;
    client.delete(&path, -1).await?;
    ok("containers and TTL nodes");
    let alone = client.reconfig(&[], &["9"], -1).await.unwrap_err();
    assert!(alone.code().is_some(), "{alone}");
    client.config().await?;
    ok("config and reconfig");
    let big = client.set_data("/a", &vec![0; 2 << 20], -1).await.unwrap_err();
    assert!(matches!(big, Error::TooLarge { .. }));
    ok("too large a request harms nobody");
    Ok(())
}

async fn identities(client: &Client) -> Result<(), Error> {
    client.add_auth("digest", b"user:secret").await?;
    assert!(client.who_am_i().await?.iter().any(|id| id.scheme == "digest" && id.id == "user"));
    ok("add_auth and who_am_i");
    let mine = Acl { perms: perms::ALL, scheme: "auth".into(), id: String::new() };
    client.create_with_acl("/mine", b"", CreateMode::Persistent, std::slice::from_ref(&mine)).await?;
    let (acl, stat) = client.get_acl("/mine").await?;
    assert!(acl.iter().all(|acl| acl.scheme != "auth") && acl.iter().any(|acl| acl.id.starts_with("user:")));
    let everybody = Acl { perms: perms::ALL, scheme: "world".into(), id: "anyone".into() };
    assert_eq!(client.set_acl("/mine", &[everybody], stat.aversion).await?.aversion, 1);
    client.delete("/mine", -1).await?;
    ok("ACLs");
    Ok(())
}

async fn multis(client: &Client) -> Result<(), Error> {
    let version = client.exists("/a").await?.unwrap().version;
    let multi = client.multi().check("/a", version).create("/m", b"m", CreateMode::Persistent).set_data("/m", b"n", 0);
    let done =
        multi.create("/m/s-", b"", CreateMode::PersistentSequential).delete("/m/s-0000000000", 0).commit().await?;
    let [
        MultiResult::Checked,
        MultiResult::Created { path, .. },
        MultiResult::Set(stat),
        MultiResult::Created { path: child, .. },
        MultiResult::Deleted,
    ] = &done[..]
    else {
        panic!("{done:?}")
    };
    assert_eq!((path.as_str(), child.as_str(), stat.version), ("/m", "/m/s-0000000000", 1));
    ok("multi");
    let failed = client.multi().delete("/m", -1).check("/a", version + 7).delete("/a", -1).commit().await.unwrap_err();
    let err = ErrorCode::BadVersion.code();
    assert_eq!(failed, Error::Multi { index: 1, err });
    assert!(client.exists("/m").await?.is_some());
    assert_eq!(client.multi().commit().await?, []);
    ok("a multi that fails");
    let read = client.multi_read().get_data("/m").get_data("/nothing").get_children("/m").send().await?;
    let missing = ErrorCode::NoNode.code();
    assert!(matches!(&read[0], Ok(ReadResult::Data(data, _)) if data == b"n"));
    assert_eq!(read[1..], [Err(missing), Ok(ReadResult::Children(Vec::new()))]);
    client.delete("/m", -1).await?;
    ok("multi_read");
    Ok(())
}

async fn order(client: &Client) -> Result<(), Error> {
    let data = vec![7; 50_000];
    let version = client.exists("/a").await?.unwrap().version;
    // More bytes both ways than the sockets hold: neither side may wait for the other.
    let calls: Vec<_> = (0..300).map(|n| (client.set_data("/a", &data, version + n), client.get_data("/a"))).collect();
    for (n, (set, get)) in calls.into_iter().enumerate() {
        let expected = version + 1 + n as i32;
        assert_eq!(soon(set).await?.version, expected);
        assert_eq!(soon(get).await?.1.version, expected);
    }
    ok("a long pipeline in order");
    Ok(())
}

async fn watches(client: &Client, writer: &Client) -> Result<(), Error> {
    let (_, _, names) = client.get_children_and_watch("/").await?;
    let (_, created) = client.exists_and_watch("/w").await?;
    let mut recursive = client.watch_recursive("/").await?;
    let mut persistent = client.watch("/w").await?;
    writer.create("/w", b"", CreateMode::Persistent).await?;
    writer.set_data("/w", b"1", -1).await?;
    assert_eq!(soon(names).await.unwrap().kind, EventType::NodeChildrenChanged);
    assert_eq!(soon(created).await.unwrap().kind, EventType::NodeCreated);
    ok("one-shot watches");
    for kind in [EventType::NodeCreated, EventType::NodeDataChanged] {
        for watcher in [&mut recursive, &mut persistent] {
            let Some(Notice::Event(event)) = soon(watcher.next()).await else { panic!("no connection was lost") };
            assert_eq!((event.kind, event.path.as_str()), (kind, "/w"));
        }
    }
    ok("persistent and recursive watches");
    drop((recursive, persistent));
    let (_, _, changed) = client.get_data_and_watch("/w").await?;
    writer.delete("/w", -1).await?;
    assert_eq!(soon(changed).await.unwrap().kind, EventType::NodeDeleted);
    ok("dropped watchers take their watches away and leave others");
    Ok(())
}

async fn reconnects(client: &Client, writer: &Client, door: &Door) -> Result<(), Error> {
    let session = client.session_id();
    client.create("/r", b"", CreateMode::Ephemeral).await?;
    let (_, _, changed) = client.get_data_and_watch("/r").await?;
    let mut recursive = client.watch_recursive("/").await?;
    let mut states = client.states();
    soon(states.next()).await;
    door.shut();
    writer.set_data("/r", b"missed", -1).await?;
    door.open();
    assert!(matches!(soon(states.next()).await, Some(SessionState::Suspended(_))));
    while !matches!(soon(states.next()).await, Some(SessionState::Connected { again: true, .. })) {}
    assert_eq!(client.session_id(), session);
    ok("the session survives");
    assert_eq!(soon(changed).await.unwrap().kind, EventType::NodeDataChanged);
    assert_eq!(soon(recursive.next()).await, Some(Notice::Missed));
    ok("watches are set again and tell what was missed");
    assert_eq!(client.get_data("/r").await?.0, b"missed");
    assert!(client.who_am_i().await?.iter().any(|id| id.scheme == "digest" && id.id == "user"));
    ok("identities are repeated");
    Ok(())
}

async fn losses(client: &Client, door: &Door) -> Result<(), Error> {
    let retry = Retry { first_wait: Duration::from_millis(1), ..Retry::default() };
    for step in 1..=4 {
        for cut in [Cut::Request(step), Cut::Reply(step)] {
            let before = soon(retry.run(|| client.get_children("/"))).await?.0.len();
            door.cut_at(cut);
            let calls: Vec<_> = (0..4).map(|_| client.create("/l-", b"", CreateMode::PersistentSequential)).collect();
            let (mut done, mut perhaps) = (0, 0);
            for call in calls {
                match soon(call).await {
                    Ok(_) => done += 1,
                    Err(error) => perhaps += usize::from(error.may_have_happened()),
                }
            }
            assert!(!door.is_cut_planned());
            let happened = soon(retry.run(|| client.get_children("/"))).await?.0.len() - before;
            assert!((done..=done + perhaps).contains(&happened), "{cut:?}: {done} {perhaps} {happened}");
        }
    }
    ok("a loss at any step is told truly");
    Ok(())
}

async fn endings(client: &Client, writer: &Client, address: &str, base: &str) -> Result<(), Error> {
    let (_, gone) = writer.exists_and_watch("/r").await?;
    soon(client.close()).await;
    assert_eq!(soon(gone).await.unwrap().kind, EventType::NodeDeleted);
    assert_eq!(client.exists("/a").await, Err(Error::Closed { sent: false }));
    ok("close takes ephemerals away");
    let dropped = Client::connect(&format!("{address}{base}")).await?;
    dropped.create("/r", b"", CreateMode::Ephemeral).await?;
    let (_, gone) = writer.exists_and_watch("/r").await?;
    drop(dropped);
    assert_eq!(soon(gone).await.unwrap().kind, EventType::NodeDeleted);
    ok("dropping the last handle does, too");
    Ok(())
}
