//! Elections: latch and candidates over losses, expiry, deposition and the crash of servers.

use crate::embedded::{connect, soon};
use crate::{at_every_step, until_empty};
use ostler_client::aio::{Client, Error};
use ostler_client::recipes::{Candidate, Hold, LeaderLatch, Standing};
use ostler_test::{TestCluster, TestServer};

async fn leads(candidate: &mut Candidate) -> ostler_client::aio::Zxid {
    loop {
        match soon(candidate.next()).await {
            Some(Standing::Leader(token)) => return token,
            Some(Standing::Follower | Standing::Unsure) => (),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_loss_at_any_step_costs_neither_the_leadership_nor_a_znode() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let looking = connect(&server).await;
    let mut last = None;
    let cuts = at_every_step(&server, async |cut| {
        let latch = LeaderLatch::new(&client, "/latch").named("me");
        let leadership = soon(latch.acquire()).await.unwrap();
        assert!(last < Some(leadership.token()), "{cut:?}");
        last = Some(leadership.token());
        soon(leadership.resign()).await.unwrap();
        until_empty(&looking, "/latch").await;
    })
    .await;
    assert!(cuts >= 8, "{cuts}");
}

#[tokio::test]
async fn a_loss_at_any_step_of_a_candidate_is_survived() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let looking = connect(&server).await;
    let cuts = at_every_step(&server, async |_| {
        let mut candidate = Candidate::stand(&client, "/candidates", "me");
        leads(&mut candidate).await;
        soon(candidate.resign()).await;
        until_empty(&looking, "/candidates").await;
    })
    .await;
    assert!(cuts >= 10, "{cuts}");
}

#[tokio::test]
async fn succession_goes_in_the_order_of_arrival() {
    let server = TestServer::start();
    let clients = [connect(&server).await, connect(&server).await, connect(&server).await];
    let mut candidates = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        candidates.push(Candidate::stand(client, "/leader", &format!("host-{n}")));
        soon(async { while candidates[0].participants().await.unwrap().len() <= n {} }).await;
    }
    let names: Vec<_> = candidates[0].participants().await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["host-0", "host-1", "host-2"]);
    let mut last = None;
    for (n, mut candidate) in candidates.into_iter().enumerate() {
        let token = leads(&mut candidate).await;
        assert!(Some(token) > last);
        last = Some(token);
        match n {
            0 => {
                server.expire(clients[0].session_id());
                while !matches!(soon(candidate.next()).await.unwrap(), Standing::Ended(Error::SessionExpired)) {}
                assert_eq!(soon(candidate.next()).await, None);
            }
            1 => drop(candidate),
            _ => soon(candidate.resign()).await,
        }
    }
}

#[tokio::test]
async fn a_leader_hears_at_once_of_a_lost_connection_and_of_its_deposition() {
    let server = TestServer::start();
    let (client, operator) = (connect(&server).await, connect(&server).await);
    let leadership = soon(LeaderLatch::new(&client, "/latch").acquire()).await.unwrap();
    let mut holds = leadership.holds();
    assert_eq!(soon(holds.next()).await, Some(Hold::Sure));
    server.door().shut();
    assert_eq!(soon(holds.next()).await, Some(Hold::Unsure));
    assert_eq!(leadership.hold(), Hold::Unsure);
    server.door().open();
    assert_eq!(soon(holds.next()).await, Some(Hold::Sure));
    let path = leadership.path().to_owned();
    soon(ostler_client::aio::Retry::default().run(|| operator.delete(&path, -1))).await.unwrap();
    assert_eq!(soon(holds.next()).await, Some(Hold::Lost));
    assert_eq!(soon(holds.next()).await, None);
}

#[tokio::test]
async fn a_deposition_while_nobody_is_connected_is_told_after_it() {
    let server = TestServer::start();
    let (client, operator) = (connect(&server).await, connect(&server).await);
    let leadership = soon(LeaderLatch::new(&client, "/latch").acquire()).await.unwrap();
    let mut holds = leadership.holds();
    assert_eq!(soon(holds.next()).await, Some(Hold::Sure));
    // The request that the operator sends is the first to arrive after the cut.
    server.door().cut();
    let path = leadership.path().to_owned();
    soon(ostler_client::aio::Retry::default().run(|| operator.delete(&path, -1))).await.unwrap();
    while soon(holds.next()).await.unwrap() != Hold::Lost {}
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_die_and_servers_too_and_tokens_grow() {
    let mut cluster = TestCluster::start(3);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(soon(Client::connect(&cluster.address())).await.unwrap());
    }
    let mut candidates: Vec<_> =
        clients.iter().enumerate().map(|(n, client)| Candidate::stand(client, "/leader", &n.to_string())).collect();
    let mut last = None;
    for round in 0..3 {
        let leader = soon(async {
            loop {
                match candidates[0].participants().await {
                    Ok(all) if !all.is_empty() => break all[0].name.parse::<usize>().unwrap(),
                    Ok(_) => (),
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        let token = leads(&mut candidates[leader]).await;
        assert!(Some(token) >= last, "{token:?} after {last:?}");
        last = Some(token);
        if round < 2 {
            let old = cluster.kill_leader();
            cluster.wait_for_leader();
            cluster.restart(old);
            cluster.wait_until_serving(old);
        }
    }
    // Over both crashes nobody's session ended, so nobody else came to lead.
    for candidate in candidates {
        soon(candidate.resign()).await;
    }
}
