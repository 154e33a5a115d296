//! A read-write lock: many readers or one writer, in the order in which they ask.
//!
//! The znodes are those of Curator's `InterProcessReadWriteLock` (`_c_UUID-__READ__0000000007`, `…-__WRIT__…`). kazoo's
//! `ReadLock` joins with `extra_lock_patterns=["__WRIT__"]`, its `WriteLock` with `["__READ__", "__WRIT__"]`.

use crate::aio::{Client, Error};
use crate::recipes::contender::Rule;
use crate::recipes::lock::{Lock, LockGuard};
use crate::recipes::place::Participant;

/// A read-write lock at a path. Readers wait for the writers before them, writers for all before them, so neither starves.
///
/// Fencing tokens grow in the order of the queue: a writer's is greater than those of all readers and writers before it. How
/// far a holder can go on without a connection stands at [`Hold`](crate::recipes::Hold).
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::ReadWriteLock;
/// let lock = ReadWriteLock::new(&client, "/lock");
/// let (first, second) = (lock.read().await?, lock.read().await?);
/// let writing = tokio::spawn({
///     let lock = lock.clone();
///     async move { lock.write().await }
/// });
/// first.release().await?;
/// second.release().await?;
/// writing.await.unwrap()?.release().await?;
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ReadWriteLock {
    read: Lock,
    write: Lock,
}

impl ReadWriteLock {
    /// The lock at this path.
    pub fn new(client: &Client, path: &str) -> ReadWriteLock {
        ReadWriteLock {
            read: Lock::of(client, path, "__READ__", Rule::Read),
            write: Lock::of(client, path, "__WRIT__", Rule::First),
        }
    }

    /// What this side calls itself: the data of its znodes.
    pub fn named(self, name: &str) -> ReadWriteLock {
        ReadWriteLock { read: self.read.named(name), write: self.write.named(name) }
    }

    /// Waits until no writer that asked before is left.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn read(&self) -> Result<LockGuard, Error> {
        self.read.acquire().await
    }

    /// Waits until nobody that asked before is left.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn write(&self) -> Result<LockGuard, Error> {
        self.write.acquire().await
    }

    /// All that hold the lock or wait for it, in order.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        self.write.participants().await
    }
}
