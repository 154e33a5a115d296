//! A semaphore: at most so many hold a lease at a time, in the order in which they ask.
//!
//! The znodes are those of Curator's `InterProcessSemaphoreV2`: leases below `PATH/leases`, and a lock at `PATH/locks` that is
//! held by the one whose turn it is to take the next lease.

use crate::aio::{Client, Error};
use crate::recipes::contender::Rule;
use crate::recipes::lock::{Lock, LockGuard};
use crate::recipes::names::join;
use crate::recipes::place::Participant;

/// A semaphore at a path. Everybody who uses the path has to give the same number of leases.
///
/// A lease has a fencing token, which grows with every lease. A resource that keeps the tokens of its present users can
/// refuse those that are gone: a lease whose znode is gone never comes back.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::Semaphore;
/// use std::time::Duration;
/// let semaphore = Semaphore::new(&client, "/printers", 2);
/// let (first, _second) = (semaphore.acquire().await?, semaphore.acquire().await?);
/// assert!(tokio::time::timeout(Duration::from_millis(50), semaphore.acquire()).await.is_err());
/// first.release().await?;
/// semaphore.acquire().await?.release().await?;
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    turn: Lock,
    leases: Lock,
}

impl Semaphore {
    /// The semaphore at this path with so many leases.
    pub fn new(client: &Client, path: &str, leases: usize) -> Semaphore {
        Semaphore {
            turn: Lock::new(client, &join(path, "locks")),
            leases: Lock::of(client, &join(path, "leases"), "lease-", Rule::AtMost(leases)),
        }
    }

    /// What this side calls itself: the data of its leases.
    pub fn named(self, name: &str) -> Semaphore {
        Semaphore { turn: self.turn.named(name), leases: self.leases.named(name) }
    }

    /// Waits for a lease, which is held and lost as a lock is ([`LockGuard`]).
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        // Whose turn it is counts the leases; if that lock were lost, a lease too many would wait, not be taken: each
        // counts those that are there with its own.
        let turn = self.turn.acquire().await?;
        let lease = self.leases.acquire().await?;
        turn.release().await?;
        Ok(lease)
    }

    /// All that have a lease or are about to take one, in order.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        self.leases.participants().await
    }
}
