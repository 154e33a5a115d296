//! A fair lock: whoever asks first has it first, and a dead holder's lock goes with its session.
//!
//! The znodes are those of Curator's `InterProcessMutex`, in the same order, so that both can share a lock; kazoo's `Lock`
//! joins with `extra_lock_patterns=["-lock-"]`.

use crate::aio::{Client, Error, Multi, Zxid};
use crate::recipes::contender::Rule;
use crate::recipes::hold::{Hold, Holds, hold_now};
use crate::recipes::place::{Participant, Place, participants};

/// A lock at a path. Everybody who uses the same path excludes one another.
///
/// A holder can lose its session without noticing at once (a pause, a partition), and another then holds the lock. What
/// must not happen twice has to be guarded where it happens: hand [`LockGuard::token`] on with every request, and refuse
/// tokens smaller than one seen before. What is in the tree itself is guarded by [`LockGuard::fenced`].
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::Lock;
/// let lock = Lock::new(&client, "/locks/report");
/// let first = lock.acquire().await?;
/// let token = first.token();
/// first.release().await?;
/// let second = lock.acquire().await?;
/// assert!(second.token() > token);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    client: Client,
    path: String,
    name: Vec<u8>,
    kind: &'static str,
    rule: Rule,
}

/// The lock is held. Dropping it releases it soon; [`LockGuard::release`] waits for that.
#[derive(Debug)]
#[must_use = "dropping it releases the lock"]
pub struct LockGuard {
    place: Place,
    token: Zxid,
}

impl Lock {
    /// The lock at this path, whose znodes are made when they are needed (as containers, which go when they are empty).
    pub fn new(client: &Client, path: &str) -> Lock {
        Lock::of(client, path, "lock-", Rule::First)
    }

    pub(crate) fn of(client: &Client, path: &str, kind: &'static str, rule: Rule) -> Lock {
        Lock { client: client.clone(), path: path.to_owned(), name: Vec::new(), kind, rule }
    }

    /// What this side calls itself, for those who look at the queue: the data of its znodes.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::recipes::Lock;
    /// let lock = Lock::new(&client, "/lock").named("host-1");
    /// let guard = lock.acquire().await?;
    /// assert_eq!(lock.participants().await?[0].name, "host-1");
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn named(mut self, name: &str) -> Lock {
        self.name = name.into();
        self
    }

    /// Waits for the lock. Lost connections are waited out; dropping the future gives the place up, as a time-out around
    /// it does.
    ///
    /// # Errors
    /// The session ended, or the server refused something (an ACL, a path).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::recipes::Lock;
    /// use std::time::Duration;
    /// let held = Lock::new(&client, "/lock").acquire().await?;
    /// let second = Lock::new(&client, "/lock");
    /// assert!(tokio::time::timeout(Duration::from_millis(50), second.acquire()).await.is_err());
    /// held.release().await?;
    /// second.acquire().await?.release().await?;
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        let mut place = Place::new(&self.client, &self.path, self.kind, self.rule, &self.name);
        let token = place.hold().await?;
        Ok(LockGuard { place, token })
    }

    /// All that hold the lock or wait for it, in order, other clients' too.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.client, &self.path, |_| true).await
    }
}

impl LockGuard {
    /// The fencing token: it grows with every holder.
    pub fn token(&self) -> Zxid {
        self.token
    }

    /// The holder's znode. It goes with the session.
    pub fn path(&self) -> &str {
        self.place.path()
    }

    /// How sure this side can be now. Whether somebody deleted the znode only [`LockGuard::holds`] tells.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::recipes::{Hold, Lock};
    /// let guard = Lock::new(&client, "/lock").acquire().await?;
    /// assert_eq!(guard.hold(), Hold::Sure);
    /// client.close().await;
    /// assert_eq!(guard.hold(), Hold::Lost);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn hold(&self) -> Hold {
        hold_now(self.place.client())
    }

    /// Tells at once when this side can be sure no more: see [`Hold`].
    pub fn holds(&self) -> Holds {
        self.place.holds()
    }

    /// A transaction that happens only while the lock is held: it begins with a check of the holder's znode, whose result
    /// is the first.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{CreateMode, ErrorCode};
    /// # use ostler_client::recipes::Lock;
    /// let guard = Lock::new(&client, "/lock").acquire().await?;
    /// guard.fenced().create("/done", b"", CreateMode::Persistent).commit().await?;
    /// client.delete(guard.path(), -1).await?;
    /// let refused = guard.fenced().delete("/done", -1).commit().await.unwrap_err();
    /// assert_eq!(refused.code(), Some(ErrorCode::NoNode));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn fenced(&self) -> Multi<'_> {
        self.place.client().multi().check(self.path(), -1)
    }

    /// Releases the lock and waits until that is done.
    ///
    /// # Errors
    /// The session ended, which releases it too.
    pub async fn release(mut self) -> Result<(), Error> {
        self.place.leave().await
    }
}
