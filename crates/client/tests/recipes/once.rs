//! Queue and counter: every change happens once, over lost connections at every step, and among many.

use crate::at_every_step;
use crate::embedded::{connect, soon};
use ostler_client::aio::Client;
use ostler_client::recipes::{Counter, Format, Queue};
use ostler_test::{TestCluster, TestServer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn a_loss_at_any_step_neither_loses_nor_doubles_an_element() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let queue = Queue::new(&client, "/work/queue");
    let mut round = 0;
    let cuts = at_every_step(&server, async |cut| {
        round += 1;
        let (first, second) = (format!("{round}a").into_bytes(), format!("{round}b").into_bytes());
        soon(queue.put(&first)).await.unwrap();
        soon(queue.put(&second)).await.unwrap();
        assert_eq!(soon(queue.poll()).await.unwrap(), Some(first), "{cut:?}");
        assert_eq!(soon(queue.take()).await.unwrap(), second, "{cut:?}");
        assert_eq!(soon(queue.poll()).await.unwrap(), None, "{cut:?}");
    })
    .await;
    assert!(cuts >= 24, "{cuts}");
}

#[tokio::test]
async fn a_loss_at_any_step_neither_loses_nor_doubles_an_addition() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let mut expected = 0;
    let counter = Counter::new(&client, "/numbers/counter").format(Format::Text);
    let cuts = at_every_step(&server, async |cut| {
        for add in [3, -1] {
            expected += add;
            assert_eq!(soon(counter.add(add)).await.unwrap(), expected, "{cut:?}");
        }
        assert!(soon(counter.compare_and_set(expected, expected + 5)).await.unwrap(), "{cut:?}");
        expected += 5;
        assert!(!soon(counter.compare_and_set(expected + 1, 0)).await.unwrap());
        assert_eq!(soon(counter.get()).await.unwrap(), expected);
    })
    .await;
    assert!(cuts >= 18, "{cuts}");
}

/// Producers, consumers and counters while connections are cut.
#[tokio::test(flavor = "multi_thread")]
async fn many_change_once_each() {
    let server = TestServer::start();
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut tasks = Vec::new();
    for n in 0..3 {
        let (producer, consumer) = (connect(&server).await, connect(&server).await);
        let taken = Arc::clone(&taken);
        tasks.push(tokio::spawn(async move {
            let queue = Queue::new(&producer, "/queue");
            for element in 0..20 {
                soon(queue.put(format!("{n}:{element:02}").as_bytes())).await.unwrap();
                soon(Counter::new(&producer, "/counter").add(1)).await.unwrap();
            }
        }));
        tasks.push(tokio::spawn(async move {
            let queue = Queue::new(&consumer, "/queue");
            for _ in 0..20 {
                let data = soon(queue.take()).await.unwrap();
                taken.lock().unwrap().push(String::from_utf8(data).unwrap());
            }
        }));
    }
    let client = connect(&server).await;
    let mut cut_at = 0;
    while tasks.iter().any(|task| !task.is_finished()) {
        // Now and then, as the work goes on.
        let number = soon(Counter::new(&client, "/counter").get()).await.unwrap();
        if number > cut_at + 8 {
            cut_at = number;
            server.door().cut();
        }
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(soon(Counter::new(&client, "/counter").get()).await.unwrap(), 60);
    let taken = taken.lock().unwrap();
    let mut counts = BTreeMap::new();
    taken.iter().for_each(|element| *counts.entry(element.clone()).or_insert(0) += 1);
    assert_eq!(counts.len(), 60, "{counts:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crash_of_a_leader_neither_loses_nor_doubles() {
    let mut cluster = TestCluster::start(3);
    let client = soon(Client::connect(&cluster.address())).await.unwrap();
    let adding = tokio::spawn(async move {
        let (counter, queue) = (Counter::new(&client, "/counter"), Queue::new(&client, "/queue"));
        for n in 1..=100 {
            assert_eq!(soon(counter.add(1)).await.unwrap(), n);
            soon(queue.put(n.to_string().as_bytes())).await.unwrap();
        }
        for n in 1..=100 {
            assert_eq!(soon(queue.take()).await.unwrap(), n.to_string().into_bytes());
        }
        assert_eq!(soon(queue.poll()).await.unwrap(), None);
    });
    for _ in 0..2 {
        let old = cluster.kill_leader();
        cluster.wait_for_leader();
        cluster.restart(old);
        cluster.wait_until_serving(old);
    }
    adding.await.unwrap();
}
