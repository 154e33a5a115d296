//! A fair lock: whoever asks first has it first, and a dead holder's lock goes with its session.
//!
//! Each asker has an ephemeral sequential znode below the lock's path and waits for the one in front of it only, so that a
//! release wakes one. Names begin with an id of the attempt: after a lost connection the asker finds out whether its znode
//! was made. They look as Curator's do (`_c_ID-lock-0000000007`), in the same order, so that both can share a lock.

use crate::aio::{Client, CreateMode, Error, ErrorCode, Retry, Zxid};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Digits at the end of a sequential znode's name.
const DIGITS: usize = 10;
/// Losses of connections are waited out until the session is back or over.
const PATIENT: Retry =
    Retry { attempts: u32::MAX, first_wait: Duration::from_millis(20), wait_max: Duration::from_secs(1) };

/// A lock at a path. Everybody who uses the same path excludes one another.
///
/// A holder can lose its session without noticing at once (a pause, a partition), and another then holds the lock. What
/// must not happen twice has to be guarded where it happens: hand [`LockGuard::token`] on with every request, and refuse
/// tokens smaller than one seen before.
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
}

/// The lock is held. Dropping it releases it soon; [`LockGuard::release`] waits for that.
#[derive(Debug)]
#[must_use = "dropping it releases the lock"]
pub struct LockGuard {
    place: Place,
    token: Zxid,
}

/// A znode in the queue, deleted when this is dropped.
#[derive(Debug)]
struct Place {
    client: Client,
    parent: String,
    id: String,
    /// Its full path once that is known.
    path: Option<String>,
    released: bool,
}

impl Lock {
    /// The lock at this path, whose znodes are made when they are needed (as containers, which go when they are empty).
    pub fn new(client: &Client, path: &str) -> Lock {
        Lock { client: client.clone(), path: path.to_owned() }
    }

    /// Waits for the lock. Lost connections are waited out; dropping the future gives the place up.
    ///
    /// # Errors
    /// The session ended, or the server refused something (an ACL, a path).
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        let mut place = Place::new(&self.client, &self.path);
        place.enter().await?;
        let path = place.path.clone().expect("entered");
        loop {
            match self.before(&path).await? {
                Turn::Mine(token) => return Ok(LockGuard { place, token }),
                Turn::Behind(name) => {
                    let watched = format!("{}/{name}", self.path);
                    let (stat, gone) = PATIENT.run(|| self.client.exists_and_watch(&watched)).await?;
                    if stat.is_some() {
                        // However it ends, the queue is looked at again.
                        let _ = gone.await;
                    }
                }
            }
        }
    }

    /// Whose turn it is, seen from this znode.
    async fn before(&self, path: &str) -> Result<Turn, Error> {
        let (names, _) = PATIENT.run(|| self.client.get_children(&self.path)).await?;
        let own = path.rsplit('/').next().unwrap_or(path);
        let number = sequence(own);
        let before = names.iter().filter(|name| sequence(name) < number && sequence(name).is_some());
        if let Some(name) = before.max_by_key(|name| sequence(name)) {
            return Ok(Turn::Behind(name.clone()));
        }
        // The znode itself says whether it is still there, and since when.
        let (_, stat) = PATIENT.run(|| self.client.get_data(path)).await?;
        Ok(Turn::Mine(stat.czxid))
    }
}

enum Turn {
    Mine(Zxid),
    Behind(String),
}

/// The number at the end of a sequential znode's name; `None` for a znode that is no such.
fn sequence(name: &str) -> Option<u64> {
    name.get(name.len().checked_sub(DIGITS)?..)?.parse().ok()
}

impl LockGuard {
    /// The fencing token: it grows with every holder.
    pub fn token(&self) -> Zxid {
        self.token
    }

    /// The holder's znode. It goes with the session: a write in a multi with a check of this path happens only while the
    /// lock is held.
    pub fn path(&self) -> &str {
        self.place.path.as_deref().expect("a lock that is held has a znode")
    }

    /// Releases the lock and waits until that is done.
    ///
    /// # Errors
    /// The session ended, which releases it too.
    pub async fn release(mut self) -> Result<(), Error> {
        self.place.leave().await
    }
}

impl Place {
    fn new(client: &Client, parent: &str) -> Place {
        let random = RandomState::new();
        let id = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
        Place { client: client.clone(), parent: parent.to_owned(), id, path: None, released: false }
    }

    /// Makes the znode, exactly once over all losses.
    async fn enter(&mut self) -> Result<(), Error> {
        let prefix = format!("{}/_c_{}-lock-", self.parent, self.id);
        loop {
            match self.client.create(&prefix, b"", CreateMode::EphemeralSequential).await {
                Ok((path, _)) => {
                    self.path = Some(path);
                    return Ok(());
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    make_parents(&self.client, &self.parent).await?;
                }
                Err(error) if error.is_transient() => {
                    self.path = self.find().await?;
                    if self.path.is_some() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The znode of this attempt, if it was made.
    async fn find(&self) -> Result<Option<String>, Error> {
        let look = async || {
            // What an earlier server passed on may not have come to the present one yet: sync waits for it.
            let (sync, names) = (self.client.sync(&self.parent), self.client.get_children(&self.parent));
            sync.await?;
            names.await
        };
        let names = match PATIENT.run(look).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(None),
            other => other?.0,
        };
        let own = names.into_iter().find(|name| name.contains(&self.id));
        Ok(own.map(|name| format!("{}/{name}", self.parent)))
    }

    async fn leave(&mut self) -> Result<(), Error> {
        let result = self.delete().await;
        // Not before: when this is dropped half-way, Drop goes on with it.
        self.released = true;
        result
    }

    async fn delete(&mut self) -> Result<(), Error> {
        if self.path.is_none() {
            self.path = self.find().await?;
        }
        if let Some(path) = &self.path {
            match PATIENT.run(|| self.client.delete(path, -1)).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                other => other?,
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.released || self.client.state().is_none_or(|state| state.is_final()) {
            return;
        }
        let (client, parent) = (self.client.clone(), std::mem::take(&mut self.parent));
        let (id, path) = (std::mem::take(&mut self.id), self.path.take());
        let mut place = Place { client, parent, id, path, released: true };
        // Without a runtime, or with one that ends and drops the task at once, the session ends, and the znode with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { place.leave().await });
        }
    }
}

/// Makes the znodes of a path that are missing.
async fn make_parents(client: &Client, path: &str) -> Result<(), Error> {
    for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
        let made = PATIENT.run(|| client.create(&path[..at], b"", CreateMode::Container)).await;
        match made {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => (),
            other => drop(other?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_at_the_end_of_any_clients_name() {
        assert_eq!(sequence("_c_0a1b-lock-0000000007"), Some(7));
        assert_eq!(sequence("0123abcd__lock__0000000008"), Some(8));
        assert_eq!(sequence("config"), None);
        assert_eq!(sequence("lock-000000000x"), None);
    }
}
