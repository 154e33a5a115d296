//! Leader election as a latch: one waits to become the leader, and is it until it resigns or loses its session.
//!
//! The znodes are those of Curator's `LeaderLatch`: `_c_UUID-latch-0000000007` with the participant's name as data.

use crate::aio::{Client, Error, Multi, Zxid};
use crate::recipes::contender::Rule;
use crate::recipes::hold::{Hold, Holds};
use crate::recipes::lock::{Lock, LockGuard};
use crate::recipes::place::{Participant, participants};

/// An election at a path: at most one participant leads at a time.
///
/// A leader that cannot reach the servers is not told that another leads: it stops at [`Hold::Unsure`], and hands its
/// [`Leadership::token`] on with what it does, so that others can refuse a leader of the past ([`Hold`] says how far each
/// goes).
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::LeaderLatch;
/// let latch = LeaderLatch::new(&client, "/service/leader").named("host-1");
/// let leadership = latch.acquire().await?;
/// println!("leads with token {}", leadership.token());
/// assert_eq!(latch.leader().await?.unwrap().name, "host-1");
/// leadership.resign().await?;
/// assert_eq!(latch.leader().await?, None);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct LeaderLatch {
    client: Client,
    path: String,
    lock: Lock,
}

/// This side leads. Dropping it resigns soon; [`Leadership::resign`] waits for that.
#[derive(Debug)]
#[must_use = "dropping it resigns"]
pub struct Leadership {
    guard: LockGuard,
}

impl LeaderLatch {
    /// The election at this path.
    pub fn new(client: &Client, path: &str) -> LeaderLatch {
        let lock = Lock::of(client, path, "latch-", Rule::First);
        LeaderLatch { client: client.clone(), path: path.to_owned(), lock }
    }

    /// What this participant calls itself.
    pub fn named(mut self, name: &str) -> LeaderLatch {
        self.lock = self.lock.named(name);
        self
    }

    /// Waits until this side leads. Lost connections are waited out; dropping the future leaves the election.
    ///
    /// # Errors
    /// The session ended, or the server refused something.
    pub async fn acquire(&self) -> Result<Leadership, Error> {
        Ok(Leadership { guard: self.lock.acquire().await? })
    }

    /// All participants, the leader first.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.client, &self.path, |_| true).await
    }

    /// The leader as this client's server sees it.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn leader(&self) -> Result<Option<Participant>, Error> {
        Ok(self.participants().await?.into_iter().next())
    }
}

impl Leadership {
    /// The fencing token: it grows with every leader.
    pub fn token(&self) -> Zxid {
        self.guard.token()
    }

    /// The leader's znode.
    pub fn path(&self) -> &str {
        self.guard.path()
    }

    /// How sure this side can be now.
    pub fn hold(&self) -> Hold {
        self.guard.hold()
    }

    /// Tells at once when this side can be sure no more: see [`Hold`].
    pub fn holds(&self) -> Holds {
        self.guard.holds()
    }

    /// A transaction that happens only while this side leads, as [`LockGuard::fenced`].
    pub fn fenced(&self) -> Multi<'_> {
        self.guard.fenced()
    }

    /// Resigns and waits until that is done.
    ///
    /// # Errors
    /// The session ended, which ends the leadership too.
    pub async fn resign(self) -> Result<(), Error> {
        self.guard.release().await
    }
}
