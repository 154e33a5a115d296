//! The lock under contention, lost connections at every step and expired sessions.

use crate::embedded::{connect, soon};
use crate::until_empty;
use ostler_client::aio::{CreateMode, Error, ErrorCode};
use ostler_client::recipes::{Hold, Lock};
use ostler_test::{Cut, TestServer};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn holders_never_overlap_and_tokens_grow() {
    let server = TestServer::start();
    let held = Arc::new(AtomicBool::new(false));
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = connect(&server).await;
        for _ in 0..2 {
            let (lock, held, tokens) = (Lock::new(&client, "/locks/one"), Arc::clone(&held), Arc::clone(&tokens));
            tasks.push(tokio::spawn(async move {
                for _ in 0..10 {
                    let guard = soon(lock.acquire()).await.unwrap();
                    assert!(!held.swap(true, Ordering::SeqCst), "two hold the lock");
                    tokens.lock().unwrap().push(guard.token());
                    tokio::task::yield_now().await;
                    assert!(held.swap(false, Ordering::SeqCst));
                    guard.release().await.unwrap();
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let tokens = tokens.lock().unwrap();
    assert_eq!(tokens.len(), 80);
    assert!(tokens.is_sorted_by(|earlier, later| earlier < later), "{tokens:?}");
}

#[tokio::test]
async fn a_loss_at_any_step_costs_neither_the_lock_nor_a_znode() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let lock = Lock::new(&client, "/lock");
    soon(soon(lock.acquire()).await.unwrap().release()).await.unwrap();
    let mut cuts = 0;
    for step in 1..=8 {
        for cut in [Cut::Request(step), Cut::Reply(step)] {
            server.door().cut_at(cut);
            let guard = soon(lock.acquire()).await.unwrap();
            assert_eq!(client.get_children("/lock").await.map(|(names, _)| names.len()).unwrap_or(1), 1, "{cut:?}");
            soon(guard.release()).await.unwrap();
            cuts += u32::from(!server.door().is_cut_planned());
            server.door().cut_at(Cut::Request(u32::MAX));
            until_empty(&client, "/lock").await;
        }
    }
    // create, children, data, the test's look, delete: both ways.
    assert!(cuts >= 10, "{cuts}");
}

#[tokio::test]
async fn an_expired_holder_has_lost_the_lock_and_its_token_is_old() {
    let server = TestServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    first.create("/data", b"", CreateMode::Persistent).await.unwrap();
    let old = soon(Lock::new(&first, "/lock").acquire()).await.unwrap();
    let path = old.path().to_owned();
    let lock = Lock::new(&second, "/lock");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    // It waits in the queue.
    soon(async { while second.get_children("/lock").await.unwrap().0.len() < 2 {} }).await;
    server.expire(first.session_id());
    let new = soon(waiting).await.unwrap().unwrap();
    assert!(new.token() > old.token());
    // Even a new session of the old holder cannot write in its name.
    let write = second.multi().check(&path, -1).set_data("/data", b"late", -1).commit();
    assert_eq!(write.await.unwrap_err().code(), Some(ErrorCode::NoNode));
    assert_eq!(soon(old.release()).await, Err(Error::SessionExpired));
    soon(new.release()).await.unwrap();
}

#[tokio::test]
async fn an_expired_waiter_hears_of_it() {
    let server = TestServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let held = soon(Lock::new(&first, "/lock").acquire()).await.unwrap();
    let lock = Lock::new(&second, "/lock");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    soon(async { while first.get_children("/lock").await.unwrap().0.len() < 2 {} }).await;
    server.expire(second.session_id());
    assert_eq!(soon(waiting).await.unwrap().unwrap_err(), Error::SessionExpired);
    soon(held.release()).await.unwrap();
}

#[tokio::test]
async fn who_gives_up_leaves_the_queue() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let held = soon(Lock::new(&client, "/lock").acquire()).await.unwrap();
    let lock = Lock::new(&client, "/lock");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    soon(async { while client.get_children("/lock").await.unwrap().0.len() < 2 {} }).await;
    waiting.abort();
    soon(async { while client.get_children("/lock").await.unwrap().0.len() > 1 {} }).await;
    drop(held);
    until_empty(&client, "/lock").await;
    soon(soon(Lock::new(&client, "/lock").acquire()).await.unwrap().release()).await.unwrap();
}

#[test]
fn a_runtime_that_ends_with_a_lock_held_ends_the_session_only() {
    let server = TestServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = runtime.block_on(async {
        let client = connect(&server).await;
        let guard = soon(Lock::new(&client, "/lock").acquire()).await.unwrap();
        let path = guard.path().to_owned();
        tokio::spawn(async move {
            let _held = guard;
            std::future::pending::<()>().await;
        });
        path
    });
    drop(runtime);
    assert!(path.starts_with("/lock/_c_"));
}

#[tokio::test]
async fn a_lock_whose_znode_is_deleted_is_lost_and_its_writes_are_refused() {
    let server = TestServer::start();
    let client = connect(&server).await;
    let guard = soon(Lock::new(&client, "/lock").acquire()).await.unwrap();
    let mut holds = guard.holds();
    assert_eq!(soon(holds.next()).await, Some(Hold::Sure));
    guard.fenced().create("/guarded", b"", CreateMode::Persistent).commit().await.unwrap();
    client.delete(guard.path(), -1).await.unwrap();
    assert_eq!(soon(holds.next()).await, Some(Hold::Lost));
    let refused = guard.fenced().set_data("/guarded", b"late", -1).commit().await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NoNode));
    soon(guard.release()).await.unwrap();
}

/// Somebody who waits and whose znode is deleted stands at the end of the queue.
#[tokio::test]
async fn a_waiter_whose_znode_is_deleted_comes_again() {
    let server = TestServer::start();
    let (first, second) = (connect(&server).await, connect(&server).await);
    let held = soon(Lock::new(&first, "/lock").acquire()).await.unwrap();
    let lock = Lock::new(&second, "/lock").named("second");
    let waiting = tokio::spawn(async move { lock.acquire().await });
    let lock = Lock::new(&first, "/lock");
    let path = soon(async {
        loop {
            if let Some(other) = lock.participants().await.unwrap().into_iter().find(|one| one.name == "second") {
                break other.path;
            }
        }
    })
    .await;
    first.delete(&path, -1).await.unwrap();
    soon(held.release()).await.unwrap();
    let guard = soon(waiting).await.unwrap().unwrap();
    assert_ne!(guard.path(), path);
}
