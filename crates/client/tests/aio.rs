//! The asynchronous client against Ostler in this process: failures at each step, expiry, watches over reconnects, order
//! and bounds. The same calls against the real binary and Apache: `interop/run client`.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod embedded;

use embedded::{WAIT, connect, soon};
use ostler_client::aio::{Client, CreateMode, Error, ErrorCode, EventType, Notice, Retry, SessionState};
use ostler_test::{Cut, TestCluster, TestServer};
use std::collections::BTreeMap;
use std::time::Duration;

async fn reconnected(client: &Client) {
    let mut states = client.states();
    while !matches!(soon(states.next()).await.unwrap(), SessionState::Connected { .. }) {}
}

/// Cuts every connection and waits until these clients have noticed and are connected again.
async fn cut(server: &TestServer, clients: &[&Client]) {
    let states: Vec<_> = clients.iter().map(|client| client.states()).collect();
    server.door().cut();
    for mut states in states {
        while !matches!(soon(states.next()).await.unwrap(), SessionState::Suspended(_)) {}
        while !matches!(soon(states.next()).await.unwrap(), SessionState::Connected { again: true, .. }) {}
    }
}

#[tokio::test]
async fn calls_take_effect_in_the_order_they_are_made() {
    let server = TestServer::start();
    let client = connect(&server).await;
    client.create("/n", b"", CreateMode::Persistent).await.unwrap();
    // Many more than are sent at a time, awaited backwards.
    let few = Client::builder(&server.address()).pending_max(3).connect().await.unwrap();
    let sets: Vec<_> = (0..500).map(|n| few.set_data("/n", n.to_string().as_bytes(), n)).collect();
    let last = few.get_data("/n");
    assert_eq!(soon(last).await.unwrap().0, b"499");
    for (n, set) in sets.into_iter().enumerate().rev() {
        assert_eq!(soon(set).await.unwrap().version as usize, n + 1);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_is_not_sent() {
    let server = TestServer::start();
    let client = connect(&server).await;
    // Nothing is taken from the queue before this task waits.
    for _ in 0..5_000 {
        drop(client.create("/n-", b"", CreateMode::PersistentSequential));
    }
    assert_eq!(client.get_children("/").await.unwrap().0, ["zookeeper"]);
}

/// Cuts at every request and every reply of a pipeline: what an error says about what happened is true.
#[tokio::test]
async fn a_loss_at_any_step_says_what_may_have_happened() {
    let server = TestServer::start();
    let client = connect(&server).await;
    for step in 1..=8 {
        for cut in [Cut::Request(step), Cut::Reply(step)] {
            let other = connect(&server).await;
            let before: usize = other.get_children("/").await.unwrap().0.len();
            other.close().await;
            server.door().cut_at(cut);
            let calls: Vec<_> = (0..8).map(|_| client.create("/s-", b"", CreateMode::PersistentSequential)).collect();
            let (mut done, mut perhaps) = (0, 0);
            for call in calls {
                match soon(call).await {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert!(matches!(error, Error::ConnectionLoss { .. }), "{error}");
                        perhaps += usize::from(error.may_have_happened());
                    }
                }
            }
            assert!(!server.door().is_cut_planned(), "{cut:?}");
            reconnected(&client).await;
            let after = client.get_children("/").await.unwrap().0.len();
            let happened = after - before;
            assert!((done..=done + perhaps).contains(&happened), "{cut:?}: {done} done, {perhaps} perhaps, {happened}");
            match cut {
                Cut::Request(_) => assert!(done < step as usize),
                // The one whose reply was cut did happen.
                Cut::Reply(_) => assert!(done == step as usize - 1 && happened >= step as usize),
            }
        }
    }
}

#[tokio::test]
async fn idempotent_calls_survive_a_loss_at_any_step() {
    let server = TestServer::start();
    let client = connect(&server).await;
    client.create("/n", b"", CreateMode::Persistent).await.unwrap();
    let retry = Retry { first_wait: Duration::from_millis(1), ..Retry::default() };
    for cut in [Cut::Request(1), Cut::Reply(1)] {
        server.door().cut_at(cut);
        soon(retry.run(|| client.set_data("/n", b"set", -1))).await.unwrap();
        assert!(!server.door().is_cut_planned());
    }
    assert_eq!(client.get_data("/n").await.unwrap().0, b"set");
}

#[tokio::test]
async fn a_session_outlives_its_connections_with_identities_and_watches() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let writer = connect(&server).await;
    client.add_auth("digest", b"user:secret").await.unwrap();
    client.create("/e", b"", CreateMode::Ephemeral).await.unwrap();
    client.create("/n", b"", CreateMode::Persistent).await.unwrap();
    let session = client.session_id();
    let (_, _, data) = client.get_data_and_watch("/n").await.unwrap();
    let (_, _, names) = client.get_children_and_watch("/").await.unwrap();
    let (none, created) = client.exists_and_watch("/new").await.unwrap();
    assert_eq!(none, None);
    let mut persistent = client.watch("/n").await.unwrap();
    let mut recursive = client.watch_recursive("/").await.unwrap();
    // Whether the client is back before the changes or after them: it is told, or told that it missed something.
    cut(&server, &[&writer]).await;
    writer.set_data("/n", b"new", -1).await.unwrap();
    writer.create("/new", b"", CreateMode::Persistent).await.unwrap();
    let [data, names, created] = [soon(data).await, soon(names).await, soon(created).await].map(Option::unwrap);
    assert_eq!((data.kind, data.path.as_str()), (EventType::NodeDataChanged, "/n"));
    assert_eq!((names.kind, names.path.as_str()), (EventType::NodeChildrenChanged, "/"));
    assert_eq!((created.kind, created.path.as_str()), (EventType::NodeCreated, "/new"));
    assert_eq!(soon(persistent.next()).await, Some(Notice::Missed));
    assert_eq!(soon(recursive.next()).await, Some(Notice::Missed));
    assert_eq!(client.session_id(), session);
    assert!(client.who_am_i().await.unwrap().iter().any(|id| id.id == "user"));
    assert!(client.exists("/e").await.unwrap().is_some());
    // Persistent watches are there again: the second change has events for sure.
    writer.set_data("/n", b"newer", -1).await.unwrap();
    let heard = async |watcher: &mut ostler_client::aio::Watcher| {
        let zxid = client.exists("/n").await.unwrap().unwrap().mzxid;
        loop {
            match soon(watcher.next()).await.unwrap() {
                Notice::Event(event) if event.path == "/n" && event.zxid == zxid => break event.kind,
                _ => (),
            }
        }
    };
    assert_eq!(heard(&mut persistent).await, EventType::NodeDataChanged);
    assert_eq!(heard(&mut recursive).await, EventType::NodeDataChanged);
}

#[tokio::test]
async fn many_watches_are_set_again_in_several_packets() {
    let server = TestServer::start();
    let client = connect(&server).await;
    // Their paths together are longer than one frame may be.
    let long = "x".repeat(1_000);
    let mut watches = Vec::new();
    for n in 0..1_500 {
        watches.push((n, client.exists_and_watch(&format!("/{long}{n}"))));
    }
    let mut created = BTreeMap::new();
    for (n, call) in watches {
        created.insert(n, soon(call).await.unwrap().1);
    }
    cut(&server, &[&client]).await;
    for n in [0, 700, 1_499] {
        client.create(&format!("/{long}{n}"), b"", CreateMode::Persistent).await.unwrap();
        assert_eq!(soon(created.remove(&n).unwrap()).await.unwrap().kind, EventType::NodeCreated);
    }
}

#[tokio::test]
async fn a_dropped_watcher_takes_its_watch_away_and_no_other() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let watching = |kind: &str| server.word(kind).lines().filter(|line| line.contains("/n")).count();
    client.create("/n", b"", CreateMode::Persistent).await.unwrap();
    let (_, _, first) = client.get_data_and_watch("/n").await.unwrap();
    let (_, _, second) = client.get_data_and_watch("/n").await.unwrap();
    drop(first);
    client.sync("/").await.unwrap();
    assert_eq!(watching("wchp"), 1);
    // The removal is sent before the next call that is made after the driver heard of it; either way it comes.
    drop(second);
    soon(async {
        while watching("wchp") > 0 {
            client.sync("/").await.unwrap();
        }
    })
    .await;
    // A watch that is set again at once is not taken away by the removal of the old one.
    for round in 0..50 {
        let (_, _, old) = client.get_data_and_watch("/n").await.unwrap();
        let new = client.get_data_and_watch("/n");
        if round % 2 == 0 {
            // The driver sends it before it hears that the old one is dropped.
            tokio::task::yield_now().await;
        }
        drop(old);
        let (_, _, new) = new.await.unwrap();
        client.set_data("/n", format!("{round}").as_bytes(), -1).await.unwrap();
        assert_eq!(soon(new).await.unwrap().kind, EventType::NodeDataChanged);
    }
}

#[tokio::test]
async fn an_expired_session_ends_everything_with_words() {
    let server = TestServer::start();
    let client = connect(&server).await;
    client.create("/e", b"", CreateMode::Ephemeral).await.unwrap();
    let (_, _, once) = client.get_data_and_watch("/e").await.unwrap();
    let mut watcher = client.watch("/e").await.unwrap();
    let mut states = client.states();
    server.expire(client.session_id());
    while let Some(state) = soon(states.next()).await {
        assert!(!matches!(state, SessionState::Connected { again: true, .. }));
    }
    assert_eq!(client.state(), Some(SessionState::Expired));
    assert_eq!(client.get_data("/e").await.unwrap_err(), Error::SessionExpired);
    // Its end may have been seen as an event before.
    let _ = soon(once).await;
    while soon(watcher.next()).await.is_some() {}
    let next = connect(&server).await;
    assert_eq!(next.exists("/e").await.unwrap(), None);
}

#[tokio::test]
async fn closing_and_dropping_end_the_session_behind_what_was_asked() {
    let server = TestServer::start();
    let other = connect(&server).await;
    for dropping in [false, true] {
        let client = connect(&server).await;
        client.create("/e", b"", CreateMode::Ephemeral).await.unwrap();
        let (_, gone) = other.exists_and_watch("/e").await.unwrap();
        let last = client.create(&format!("/last-{dropping}"), b"", CreateMode::Persistent);
        if dropping {
            drop(client);
        } else {
            soon(client.close()).await;
            assert_eq!(client.get_data("/").await.unwrap_err(), Error::Closed { sent: false });
        }
        soon(last).await.unwrap();
        assert_eq!(soon(gone).await.unwrap().kind, EventType::NodeDeleted);
    }
}

#[tokio::test]
async fn what_waits_while_no_server_is_there_goes_on_with_the_next() {
    let mut server = TestServer::start();
    let client = Client::builder(&server.address()).session_timeout(WAIT).connect().await.unwrap();
    let mut states = client.states();
    server.stop();
    while !matches!(soon(states.next()).await, Some(SessionState::Suspended(_))) {}
    let waiting = client.create("/n", b"", CreateMode::Persistent);
    server.restart();
    soon(waiting).await.unwrap();
    assert!(client.exists("/n").await.unwrap().is_some());
}

#[tokio::test]
async fn a_refusal_names_what_and_where() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let error = client.create("/a/b", b"", CreateMode::Persistent).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoNode));
    assert_eq!(error.to_string(), "Create2 of \"/a/b\": the server answered with error -101 (NoNode)");
    let error = client.create("/big", &vec![0; 2 << 20], CreateMode::Persistent).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let error = Client::connect("a,,b").await.unwrap_err();
    assert!(matches!(error, Error::Address(_)));
    server.door().shut();
    let nobody = Client::builder(&server.address()).connect_timeout(Duration::from_millis(50)).connect().await;
    assert!(matches!(nobody.unwrap_err(), Error::NotConnected { .. }));
}

#[tokio::test]
async fn a_chroot_is_the_whole_world() {
    let server = TestServer::start();
    let client = connect(&server).await;
    client.create("/app", b"", CreateMode::Persistent).await.unwrap();
    let inside = Client::connect(&format!("{}/app", server.address())).await.unwrap();
    let mut watcher = inside.watch_recursive("/").await.unwrap();
    let (path, _) = inside.create("/n-", b"", CreateMode::EphemeralSequential).await.unwrap();
    assert_eq!(path, "/n-0000000000");
    assert_eq!(inside.get_ephemerals("/").await.unwrap(), [path.as_str()]);
    assert!(matches!(soon(watcher.next()).await, Some(Notice::Event(event)) if event.path == path));
    assert!(client.exists(&format!("/app{path}")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_moves_to_another_server_when_the_leader_is_lost() {
    let mut cluster = TestCluster::start(3);
    let client = Client::builder(&cluster.address()).session_timeout(WAIT).connect().await.unwrap();
    client.create("/e", b"one", CreateMode::Ephemeral).await.unwrap();
    let session = client.session_id();
    let dead = cluster.kill_leader();
    let retry = Retry { attempts: 100, ..Retry::default() };
    soon(retry.run(|| client.set_data("/e", b"two", -1))).await.unwrap();
    assert_eq!(soon(retry.run(|| client.get_data("/e"))).await.unwrap().0, b"two");
    assert_eq!(client.session_id(), session);
    cluster.restart(dead);
    cluster.wait_until_serving(dead);
}

/// The last server of three, alone and read-only; what was written before is there.
async fn partitioned() -> TestCluster {
    let mut cluster = TestCluster::with(3, &[("readonlymode.enabled", "true")]);
    let client = soon(Client::connect(&cluster.address())).await.unwrap();
    client.create("/a", b"x", CreateMode::Persistent).await.unwrap();
    client.sync("/a").await.unwrap();
    for server in 0..3 {
        let own = soon(Client::connect(&cluster.address_of(server))).await.unwrap();
        own.sync("/a").await.unwrap();
        own.close().await;
    }
    client.close().await;
    cluster.kill(0);
    cluster.kill(1);
    let end = std::time::Instant::now() + WAIT;
    while cluster.mode(2).as_deref() != Some("read-only") {
        assert!(std::time::Instant::now() < end, "it becomes read-only");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster
}

#[tokio::test]
async fn a_server_without_a_quorum_is_read_by_who_asks_for_it_and_left_when_there_is_one() {
    let mut cluster = partitioned().await;
    let quick = Client::builder(&cluster.address()).connect_timeout(Duration::from_millis(500));
    assert!(matches!(soon(quick.connect()).await, Err(Error::NotConnected { .. })), "who wants to write is not let in");
    let client = soon(Client::builder(&cluster.address()).read_only_allowed(true).connect()).await.unwrap();
    let mut states = client.states();
    assert!(matches!(states.next().await, Some(SessionState::Connected { read_only: true, again: false, .. })));
    assert_eq!(client.get_data("/a").await.unwrap().0, b"x");
    let mut watcher = client.watch("/a").await.unwrap();
    assert!(matches!(client.set_data("/a", b"y", -1).await, Err(Error::ReadOnly)));
    assert!(matches!(client.sync("/a").await, Err(Error::ReadOnly)));
    cluster.restart(0);
    while !matches!(soon(states.next()).await, Some(SessionState::Connected { read_only: false, again: true, .. })) {}
    assert_eq!(soon(client.set_data("/a", b"y", -1)).await.unwrap().version, 1);
    loop {
        match soon(watcher.next()).await.unwrap() {
            Notice::Missed => (),
            Notice::Event(event) => break assert_eq!(event.kind, EventType::NodeDataChanged),
        }
    }
}

#[tokio::test]
async fn a_client_of_a_read_only_server_finds_one_that_can_write_by_itself() {
    let cluster = partitioned().await;
    let other = TestServer::start();
    other.door().shut();
    let both = format!("{},{}", cluster.address_of(2), other.address());
    let client = soon(Client::builder(&both).read_only_allowed(true).connect()).await.unwrap();
    assert!(matches!(client.set_data("/a", b"y", -1).await, Err(Error::ReadOnly)));
    let mut states = client.states();
    other.door().open();
    let moving = |state: &SessionState| matches!(state, SessionState::Suspended(cause) if cause.to_string().contains("can write"));
    while !soon(states.next()).await.is_some_and(|state| moving(&state)) {}
    while !matches!(soon(states.next()).await, Some(SessionState::Connected { read_only: false, .. })) {}
    client.create("/written", b"", CreateMode::Persistent).await.unwrap();
    assert_eq!(cluster.mode(2).as_deref(), Some("read-only"), "nothing changed there");
}
