//! Read-write lock and semaphore: who may be inside together, over lost connections at every step and expiry.

use crate::embedded::{connect, soon};
use crate::{at_every_step, until_empty};
use ostler_client::recipes::{Hold, Lock, ReadWriteLock, Semaphore};
use ostler_test::TestServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

#[tokio::test]
async fn a_loss_at_any_step_costs_neither_kind_of_lock() {
    let server = TestServer::start();
    let (client, looking) = (connect(&server).await, connect(&server).await);
    let lock = ReadWriteLock::new(&client, "/rw").named("me");
    let cuts = at_every_step(&server, async |_| {
        let (first, second) = (soon(lock.read()).await.unwrap(), soon(lock.read()).await.unwrap());
        soon(first.release()).await.unwrap();
        soon(second.release()).await.unwrap();
        let write = soon(lock.write()).await.unwrap();
        soon(write.release()).await.unwrap();
        until_empty(&looking, "/rw").await;
    })
    .await;
    assert!(cuts >= 20, "{cuts}");
}

#[tokio::test]
async fn writers_wait_for_readers_and_later_readers_for_writers() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let lock = ReadWriteLock::new(&client, "/rw");
    let first = soon(lock.read()).await.unwrap();
    let waiting = |count| {
        let lock = lock.clone();
        async move { soon(async { while lock.participants().await.unwrap().len() < count {} }).await }
    };
    let writer = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await.unwrap() }
    });
    waiting(2).await;
    let reader = tokio::spawn({
        let lock = lock.clone();
        async move { lock.read().await.unwrap() }
    });
    waiting(3).await;
    assert!(!writer.is_finished() && !reader.is_finished());
    let token = first.token();
    soon(first.release()).await.unwrap();
    let write = soon(writer).await.unwrap();
    assert!(write.token() > token && !reader.is_finished());
    let token = write.token();
    soon(write.release()).await.unwrap();
    assert!(soon(reader).await.unwrap().token() > token);
}

/// A lock with a read-write lock's znodes in it waits for all of them, and the other way round.
#[tokio::test]
async fn a_plain_lock_is_a_writer() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let plain = soon(Lock::new(&client, "/rw").acquire()).await.unwrap();
    let lock = ReadWriteLock::new(&client, "/rw");
    let reader = tokio::spawn(async move { lock.read().await.unwrap() });
    let queue = Lock::new(&client, "/rw");
    soon(async { while queue.participants().await.unwrap().len() < 2 {} }).await;
    assert!(!reader.is_finished());
    soon(plain.release()).await.unwrap();
    drop(soon(reader).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_inside_who_may_not() {
    let server = TestServer::start();
    // Positive: so many readers; -1: a writer.
    let inside = Arc::new(AtomicI32::new(0));
    let leased = Arc::new(AtomicI32::new(0));
    let mut tasks = Vec::new();
    for n in 0..6 {
        let client = connect(&server).await;
        let (inside, leased) = (Arc::clone(&inside), Arc::clone(&leased));
        tasks.push(tokio::spawn(async move {
            let (lock, semaphore) = (ReadWriteLock::new(&client, "/rw"), Semaphore::new(&client, "/semaphore", 2));
            for round in 0..10 {
                if (n + round) % 3 == 0 {
                    let guard = soon(lock.write()).await.unwrap();
                    assert_eq!(inside.swap(-1, Ordering::SeqCst), 0, "a writer beside others");
                    tokio::task::yield_now().await;
                    assert_eq!(inside.swap(0, Ordering::SeqCst), -1, "others beside a writer");
                    soon(guard.release()).await.unwrap();
                } else {
                    let guard = soon(lock.read()).await.unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0, "a reader beside a writer");
                    tokio::task::yield_now().await;
                    assert!(inside.fetch_sub(1, Ordering::SeqCst) > 0, "a writer beside a reader");
                    soon(guard.release()).await.unwrap();
                }
                let lease = soon(semaphore.acquire()).await.unwrap();
                assert!(leased.fetch_add(1, Ordering::SeqCst) < 2, "a lease too many");
                tokio::task::yield_now().await;
                leased.fetch_sub(1, Ordering::SeqCst);
                soon(lease.release()).await.unwrap();
            }
        }));
    }
    for _ in 0..20 {
        server.door().cut();
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_loss_at_any_step_costs_no_lease() {
    let server = TestServer::start();
    let (client, looking) = (connect(&server).await, connect(&server).await);
    let semaphore = Semaphore::new(&client, "/semaphore", 2).named("me");
    let cuts = at_every_step(&server, async |_| {
        let first = soon(semaphore.acquire()).await.unwrap();
        let second = soon(semaphore.acquire()).await.unwrap();
        assert!(second.token() > first.token());
        soon(first.release()).await.unwrap();
        soon(second.release()).await.unwrap();
        until_empty(&looking, "/semaphore/leases").await;
        until_empty(&looking, "/semaphore/locks").await;
    })
    .await;
    assert!(cuts >= 28, "{cuts}");
}

#[tokio::test]
async fn the_lease_of_an_expired_session_is_free() {
    let server = TestServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let lease = soon(Semaphore::new(&first, "/semaphore", 1).acquire()).await.unwrap();
    let mut holds = lease.holds();
    assert_eq!(soon(holds.next()).await, Some(Hold::Sure));
    let semaphore = Semaphore::new(&second, "/semaphore", 1);
    let waiting = tokio::spawn(async move { semaphore.acquire().await.unwrap() });
    soon(async { while second.get_children("/semaphore/leases").await.unwrap().0.len() < 2 {} }).await;
    server.expire(first.session_id());
    while soon(holds.next()).await.unwrap() != Hold::Lost {}
    assert!(soon(waiting).await.unwrap().token() > lease.token());
}

#[tokio::test]
async fn one_more_than_there_are_leases_waits() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let semaphore = Semaphore::new(&client, "/semaphore", 2);
    let first = soon(semaphore.acquire()).await.unwrap();
    let _second = soon(semaphore.acquire()).await.unwrap();
    let waiting = tokio::spawn(async move { semaphore.acquire().await.unwrap() });
    soon(async { while client.get_children("/semaphore/leases").await.unwrap().0.len() < 3 {} }).await;
    // It has time for the few requests that would give it the lease.
    for _ in 0..20 {
        client.sync("/").await.unwrap();
    }
    assert!(!waiting.is_finished());
    soon(first.release()).await.unwrap();
    drop(soon(waiting).await.unwrap());
}
