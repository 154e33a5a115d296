//! Barriers, groups and persistent nodes over lost connections at every step and expiry.

use crate::embedded::{connect, soon};
use crate::{at_every_step, until_empty};
use ostler_client::aio::{Error, Retry};
use ostler_client::recipes::{Barrier, DoubleBarrier, Group, PersistentNode, Presence};
use ostler_test::TestServer;

#[tokio::test]
async fn a_loss_at_any_step_of_a_barrier_is_survived() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let barrier = Barrier::new(&client, "/gates/barrier");
    let cuts = at_every_step(&server, async |_| {
        soon(barrier.raise()).await.unwrap();
        let waiting = tokio::spawn({
            let barrier = barrier.clone();
            async move { barrier.wait().await }
        });
        soon(barrier.lower()).await.unwrap();
        soon(waiting).await.unwrap().unwrap();
        soon(barrier.wait()).await.unwrap();
    })
    .await;
    assert!(cuts >= 6, "{cuts}");
}

#[tokio::test]
async fn a_raised_barrier_keeps_all_that_come() {
    let server = TestServer::start();
    let (client, other) = (connect(&server).await, connect(&server).await);
    let barrier = Barrier::new(&client, "/barrier");
    soon(barrier.raise()).await.unwrap();
    let waiting = tokio::spawn(async move { Barrier::new(&other, "/barrier").wait().await });
    // It waits when its watch is set.
    soon(async {
        while !server.word("wchp").contains("/barrier") {
            client.sync("/").await.unwrap();
        }
    })
    .await;
    assert!(!waiting.is_finished());
    soon(barrier.lower()).await.unwrap();
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_loss_at_any_step_of_a_double_barrier_is_survived() {
    let server = TestServer::start();
    let (client, looking) = (connect(&server).await, connect(&server).await);
    let barrier = DoubleBarrier::new(&client, "/double", 3);
    let cuts = at_every_step(&server, async |_| {
        let member = || {
            let barrier = barrier.clone();
            tokio::spawn(async move { barrier.enter().await?.leave().await })
        };
        let members = [member(), member(), member()];
        for member in members {
            soon(member).await.unwrap().unwrap();
        }
        until_empty(&looking, "/double").await;
    })
    .await;
    assert!(cuts >= 20, "{cuts}");
}

#[tokio::test]
async fn who_dies_inside_a_double_barrier_is_not_waited_for() {
    let server = TestServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let dying = DoubleBarrier::new(&first, "/double", 2);
    let entering = tokio::spawn(async move { dying.enter().await });
    let inside = soon(DoubleBarrier::new(&second, "/double", 2).enter()).await.unwrap();
    let dead = soon(entering).await.unwrap().unwrap();
    let leaving = tokio::spawn(async move { inside.leave().await });
    server.expire(first.session_id());
    soon(leaving).await.unwrap().unwrap();
    assert_eq!(soon(dead.leave()).await, Err(Error::SessionExpired));
    until_empty(&second, "/double").await;
}

#[tokio::test]
async fn who_gives_up_at_a_double_barrier_goes_away() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let barrier = DoubleBarrier::new(&client, "/double", 2);
    let waiting = tokio::spawn(async move { barrier.enter().await });
    soon(async { while client.get_children("/double").await.is_ok_and(|(names, _)| names.is_empty()) {} }).await;
    waiting.abort();
    until_empty(&client, "/double").await;
}

#[tokio::test]
async fn a_loss_at_any_step_of_a_member_is_survived() {
    let server = TestServer::start();
    let (client, watching) = (connect(&server).await, connect(&server).await);
    let group = Group::new(&client, "/group");
    let mut members = Group::new(&watching, "/group").watch();
    assert!(soon(members.changed()).await.unwrap().is_empty());
    let cuts = at_every_step(&server, async |_| {
        let member = soon(group.join("me", b"here")).await.unwrap();
        soon(async { while members.changed().await.unwrap().get("me").is_none_or(|data| data != b"here") {} }).await;
        soon(member.remove()).await.unwrap();
        soon(async { while !members.changed().await.unwrap().is_empty() {} }).await;
    })
    .await;
    assert!(cuts >= 8, "{cuts}");
}

#[tokio::test]
async fn a_deleted_node_comes_again_at_any_step() {
    let server = TestServer::start();
    let (client, operator) = (connect(&server).await, connect(&server).await);
    let mut node = soon(PersistentNode::create(&client, "/node", b"0")).await.unwrap();
    let mut round = 0;
    let there = async |node: &mut PersistentNode| loop {
        match soon(node.next()).await.unwrap() {
            Presence::There(stat) => break stat,
            Presence::Away => (),
            Presence::Ended(error) => panic!("{error}"),
        }
    };
    let mut last = there(&mut node).await;
    let cuts = at_every_step(&server, async |cut| {
        round += 1;
        let data = format!("{round}").into_bytes();
        soon(node.set_data(&data)).await.unwrap();
        let retry = Retry::default();
        let _ = soon(retry.run(|| operator.delete("/node", -1))).await;
        let now = there(&mut node).await;
        assert!(now.czxid > last.czxid, "{cut:?}");
        last = now;
        // A deletion whose answer was lost is done again, perhaps to the next znode.
        let (found, stat) = soon(async {
            loop {
                if let Ok(found) = operator.get_data("/node").await {
                    break found;
                }
            }
        })
        .await;
        assert_eq!((found, stat.ephemeral_owner), (data, client.session_id().0));
    })
    .await;
    assert!(cuts >= 8, "{cuts}");
    server.expire(client.session_id());
    while !matches!(soon(node.next()).await.unwrap(), Presence::Ended(Error::SessionExpired)) {}
    assert_eq!(soon(node.next()).await, None);
}

#[tokio::test]
async fn nobody_is_out_of_a_double_barrier_before_all_are() {
    let server = TestServer::start();
    let client = connect(&server).await;
    // Names are random, and who has the lower one goes another way: in ten rounds both go first.
    for round in 0..10 {
        let path = format!("/double-{round}");
        let barrier = DoubleBarrier::new(&client, &path, 2);
        let entering = tokio::spawn({
            let barrier = barrier.clone();
            async move { barrier.enter().await.unwrap() }
        });
        let (first, second) = (soon(barrier.enter()).await.unwrap(), soon(entering).await.unwrap());
        let leaving = tokio::spawn(async move { first.leave().await });
        // It waits for the other one when it watches it.
        let waits = |line: &str| line.starts_with(&format!("{path}/")) && !line.ends_with("/ready");
        soon(async {
            while !server.word("wchp").lines().any(waits) {
                // Waiting for an answer lets the others go on, too.
                client.sync("/").await.unwrap();
            }
        })
        .await;
        assert!(!leaving.is_finished());
        soon(second.leave()).await.unwrap();
        soon(leaving).await.unwrap().unwrap();
    }
}
