//! Barriers: a gate that somebody raises and lowers, and one that opens when enough have come.
//!
//! The znodes are those of Curator's `DistributedBarrier` and `DistributedDoubleBarrier`, and of kazoo's `Barrier` and
//! `DoubleBarrier`.

use crate::aio::{Client, CreateMode, Error, ErrorCode};
use crate::recipes::names::{join, uuid};
use crate::recipes::place::{PATIENT, make_parents, names_behind_a_write};

/// A barrier at a path: whoever waits goes on when it is lowered.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::Barrier;
/// let barrier = Barrier::new(&client, "/barrier");
/// barrier.raise().await?;
/// let waiting = tokio::spawn({
///     let barrier = barrier.clone();
///     async move { barrier.wait().await }
/// });
/// barrier.lower().await?;
/// waiting.await.unwrap()?;
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    path: String,
}

impl Barrier {
    /// The barrier at this path.
    pub fn new(client: &Client, path: &str) -> Barrier {
        Barrier { client: client.clone(), path: path.to_owned() }
    }

    /// Raises it: who waits from now on waits. It stays when this session ends. Raising it twice is raising it once.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn raise(&self) -> Result<(), Error> {
        create(&self.client, &self.path, CreateMode::Persistent).await
    }

    /// Lowers it: all that wait go on.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn lower(&self) -> Result<(), Error> {
        delete(&self.client, &self.path).await
    }

    /// Waits until it is down, over lost connections.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn wait(&self) -> Result<(), Error> {
        while until_changed(&self.client, &self.path).await? {}
        Ok(())
    }
}

/// Creates a znode without data, and what is missing above it. It may be there already.
async fn create(client: &Client, path: &str, mode: CreateMode) -> Result<(), Error> {
    loop {
        match PATIENT.run(|| client.create(path, b"", mode)).await {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => return Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                make_parents(client, &path[..path.rfind('/').unwrap_or(0)]).await?;
            }
            other => return other.map(|_| ()),
        }
    }
}

async fn delete(client: &Client, path: &str) -> Result<(), Error> {
    match PATIENT.run(|| client.delete(path, -1)).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
        other => other,
    }
}

/// False if the znode is not there; else true after something happened to it.
async fn until_changed(client: &Client, path: &str) -> Result<bool, Error> {
    let (stat, watch) = PATIENT.run(|| client.exists_and_watch(path)).await?;
    if stat.is_some() {
        watch.await;
    }
    Ok(stat.is_some())
}

/// A double barrier at a path: all go in when enough have come, and all go out when all are done.
///
/// One whose session ends counts no more, inside and outside. The znode that says that enough have come is deleted by who
/// leaves; the same path can be used again when all have left.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::DoubleBarrier;
/// let barrier = DoubleBarrier::new(&client, "/computation", 2);
/// let other = tokio::spawn({
///     let barrier = barrier.clone();
///     async move { barrier.enter().await?.leave().await }
/// });
/// let inside = barrier.enter().await?;
/// inside.leave().await?;
/// other.await.unwrap()?;
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    client: Client,
    path: String,
    members: usize,
}

/// Inside a double barrier. Dropping it goes out without waiting for the others.
#[derive(Debug)]
#[must_use = "dropping it goes out without waiting for the others"]
pub struct Inside {
    client: Client,
    barrier: String,
    own: String,
    is_out: bool,
}

const READY: &str = "ready";

impl DoubleBarrier {
    /// The double barrier at this path, for so many members.
    pub fn new(client: &Client, path: &str, members: usize) -> DoubleBarrier {
        DoubleBarrier { client: client.clone(), path: path.to_owned(), members }
    }

    /// Comes, and waits until enough have come. Dropping the future goes away again.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn enter(&self) -> Result<Inside, Error> {
        let (client, own) = (self.client.clone(), join(&self.path, &uuid()));
        let inside = Inside { client, barrier: self.path.clone(), own, is_out: false };
        let ready = join(&self.path, READY);
        create(&self.client, &inside.own, CreateMode::Ephemeral).await?;
        loop {
            let (is_ready, watch) = PATIENT.run(|| self.client.exists_and_watch(&ready)).await?;
            if is_ready.is_some() {
                return Ok(inside);
            }
            if inside.members().await?.len() >= self.members {
                create(&self.client, &ready, CreateMode::Persistent).await?;
                return Ok(inside);
            }
            watch.await;
        }
    }
}

impl Inside {
    /// The names of those who are inside, sorted.
    async fn members(&self) -> Result<Vec<String>, Error> {
        let mut names = match PATIENT.run(|| self.client.get_children(&self.barrier)).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
            other => other?.0,
        };
        names.retain(|name| name != READY);
        names.sort();
        Ok(names)
    }

    /// Goes out, and waits until all have.
    ///
    /// The lowest stays to the end and waits for the highest, all others go and wait for the lowest: each departure wakes
    /// one.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn leave(mut self) -> Result<(), Error> {
        loop {
            let members = self.members().await?;
            let (Some(lowest), Some(highest)) = (members.first(), members.last()) else { break };
            let [lowest, highest] = [lowest, highest].map(|name| join(&self.barrier, name));
            if lowest == highest && lowest == self.own {
                break;
            }
            if lowest == self.own {
                until_changed(&self.client, &highest).await?;
            } else {
                delete(&self.client, &self.own).await?;
                until_changed(&self.client, &lowest).await?;
            }
        }
        delete(&self.client, &self.own).await?;
        self.is_out = true;
        delete(&self.client, &join(&self.barrier, READY)).await
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.is_out || self.client.state().is_none_or(|state| state.is_final()) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (client, barrier, own) = (self.client.clone(), self.barrier.clone(), self.own.clone());
            runtime.spawn(async move {
                // Behind a write: a create that is on its way has come, or never will.
                let _ = PATIENT.run(|| names_behind_a_write(&client, &barrier)).await;
                delete(&client, &own).await
            });
        }
    }
}
