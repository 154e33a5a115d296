//! A persistent ephemeral: a znode that is there as long as its session, whoever deletes it. Curator's `PersistentNode`.

use crate::aio::mailbox::Mailbox;
use crate::aio::{Client, CreateMode, Error, ErrorCode, EventType, Stat};
use crate::recipes::cache::over;
use crate::recipes::place::{PATIENT, make_parents};
use ostler_model::OpCode;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

/// Presences kept for one who does not read them; the oldest are left out.
const PRESENCES_MAX: usize = 16;

/// Whether a persistent node is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It is there, and of this session.
    There(Stat),
    /// It is not: it was deleted and is made again, or another session has a znode of the same path, which is waited out.
    Away,
    /// The session is over, or the server refused something. Final.
    Ended(Error),
}

/// An ephemeral znode that is made again when somebody deletes it. It goes when this is dropped, and with the session: a
/// program that opens a new session makes a new one, which takes the place of the old session's.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{PersistentNode, Presence};
/// let mut node = PersistentNode::create(&client, "/hosts/a", b"up").await?;
/// assert!(matches!(node.next().await, Some(Presence::There(_))));
/// client.delete("/hosts/a", -1).await?;
/// assert_eq!(node.next().await, Some(Presence::Away));
/// assert!(matches!(node.next().await, Some(Presence::There(_))));
/// node.set_data(b"busy").await?;
/// assert_eq!(client.get_data("/hosts/a").await?.0, b"busy");
/// node.remove().await?;
/// assert_eq!(client.exists("/hosts/a").await?, None);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it deletes the znode"]
pub struct PersistentNode {
    node: Arc<Node>,
}

#[derive(Debug)]
struct Node {
    client: Client,
    path: String,
    /// The data, and how often it was set.
    data: Mutex<(Vec<u8>, u64)>,
    presences: Mailbox<Presence>,
    remove: Notify,
}

impl PersistentNode {
    /// Makes the znode and what is missing above it, and waits until it is there. An ephemeral of another session at the
    /// path is taken to be this program's own of before it started again, and replaced.
    ///
    /// # Errors
    /// The session ended, the server refused something, or a znode that is no ephemeral is at the path (`NodeExists`).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn create(client: &Client, path: &str, data: &[u8]) -> Result<PersistentNode, Error> {
        let node = Arc::new(Node {
            client: client.clone(),
            path: path.to_owned(),
            data: Mutex::new((data.to_vec(), 0)),
            presences: Mailbox::new(PRESENCES_MAX),
            remove: Notify::new(),
        });
        // From here on dropping it removes it, also when this future is dropped.
        let persistent = PersistentNode { node: Arc::clone(&node) };
        let (made, is_made) = oneshot::channel();
        tokio::spawn(async move { node.run(made).await });
        is_made.await.unwrap_or(Err(Error::Closed { sent: true }))?;
        Ok(persistent)
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.node.path
    }

    /// Sets its data, now and whenever it is made again.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn set_data(&self, data: &[u8]) -> Result<(), Error> {
        {
            let mut kept = self.node.data();
            *kept = (data.to_vec(), kept.1 + 1);
        }
        match self.node.write().await {
            // It is being made again, with this data.
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            other => other,
        }
    }

    /// The next presence; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Presence> {
        std::future::poll_fn(|context| self.node.presences.poll_next(context)).await
    }

    /// Deletes the znode and waits until that is done.
    ///
    /// # Errors
    /// The session ended, which deletes it, too.
    pub async fn remove(mut self) -> Result<(), Error> {
        self.node.remove.notify_one();
        while let Some(presence) = self.next().await {
            if let Presence::Ended(error) = presence {
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for PersistentNode {
    fn drop(&mut self) {
        self.node.remove.notify_one();
    }
}

impl Node {
    fn data(&self) -> MutexGuard<'_, (Vec<u8>, u64)> {
        self.data.lock().expect("nothing panics while it holds the data")
    }

    fn tell(&self, presence: Presence) {
        self.presences.push(presence, |kept| drop(kept.pop_front()));
    }

    /// Makes the znode for the first time, in place of another session's ephemeral.
    async fn replace(&self) -> Result<Stat, Error> {
        loop {
            if let Some(stat) = self.make().await? {
                return Ok(stat);
            }
            let Some(other) = PATIENT.run(|| self.client.exists(&self.path)).await? else { continue };
            if other.ephemeral_owner == 0 {
                let (op, path, err) = (OpCode::Create, self.path.clone(), ErrorCode::NodeExists.code());
                return Err(Error::Server { op, path, err });
            }
            // At once, so that the other one has no time to make it again. What came of it the next round sees.
            let data = self.data().0.clone();
            let replace = self.client.multi().delete(&self.path, other.version);
            match replace.create(&self.path, &data, CreateMode::Ephemeral).commit().await {
                Err(error) if error.is_transient() => tokio::time::sleep(PATIENT.first_wait).await,
                Err(error) if matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::BadVersion)) => (),
                other => drop(other?),
            }
        }
    }

    /// Makes the znode; `None` if another session has one there.
    async fn make(&self) -> Result<Option<Stat>, Error> {
        loop {
            let (data, number) = self.data().clone();
            match PATIENT.run(|| self.client.create(&self.path, &data, CreateMode::Ephemeral)).await {
                Ok((_, stat)) => {
                    // Set meanwhile, when it was not there to be set.
                    if self.data().1 == number {
                        return Ok(Some(stat));
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => (),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    let slash = self.path.rfind('/').unwrap_or(0);
                    if slash > 0 {
                        make_parents(&self.client, &self.path[..slash]).await?;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            // There, and perhaps of this session: of a create whose answer was lost.
            match PATIENT.run(|| self.client.exists(&self.path)).await? {
                Some(stat) if stat.ephemeral_owner != self.client.session_id().0 => return Ok(None),
                Some(_) => match self.write().await {
                    Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                    Err(error) => return Err(error),
                    Ok(()) => {
                        if let Some(stat) = PATIENT.run(|| self.client.exists(&self.path)).await? {
                            return Ok(Some(stat));
                        }
                    }
                },
                None => (),
            }
        }
    }

    /// Writes the data as it is now. Several at once end with the last one: each writes what is kept when it is sent.
    async fn write(&self) -> Result<(), Error> {
        loop {
            let (data, number) = self.data().clone();
            PATIENT.run(|| self.client.set_data(&self.path, &data, -1)).await?;
            if self.data().1 == number {
                return Ok(());
            }
        }
    }

    async fn run(&self, made: oneshot::Sender<Result<(), Error>>) {
        let result = tokio::select! {
            result = self.keep(made) => result,
            () = self.remove.notified() => self.delete().await,
        };
        if let Err(error) = result {
            self.tell(Presence::Ended(error));
        }
        self.presences.end();
    }

    /// Keeps it until the session is over.
    async fn keep(&self, made: oneshot::Sender<Result<(), Error>>) -> Result<(), Error> {
        let first = self.replace().await;
        if let Ok(stat) = first {
            self.tell(Presence::There(stat));
        }
        // Nobody waits for it if the future was dropped; then the next thing to come is the wish to remove it.
        let _ = made.send(first.clone().map(|_| ()));
        first?;
        let mut is_there = true;
        loop {
            let (stat, watch) = PATIENT.run(|| self.client.exists_and_watch(&self.path)).await?;
            let is_own = stat.is_some_and(|stat| stat.ephemeral_owner == self.client.session_id().0);
            if is_there && !is_own {
                self.tell(Presence::Away);
                is_there = false;
            }
            if stat.is_some() {
                match watch.await {
                    None => return Err(over(&self.client)),
                    Some(event) if event.kind == EventType::NodeDeleted && is_there => {
                        self.tell(Presence::Away);
                        is_there = false;
                    }
                    Some(_) => (),
                }
            } else if let Some(stat) = self.make().await? {
                self.tell(Presence::There(stat));
                is_there = true;
            }
        }
    }

    /// Deletes it if it is this session's.
    async fn delete(&self) -> Result<(), Error> {
        // Behind a write: a create that is on its way has come, or never will.
        match PATIENT.run(|| self.client.multi().check(&self.path, -1).commit()).await {
            Err(error) if error.is_final() => return Err(error),
            _ => (),
        }
        loop {
            let Some(stat) = PATIENT.run(|| self.client.exists(&self.path)).await? else { return Ok(()) };
            if stat.ephemeral_owner != self.client.session_id().0 {
                return Ok(());
            }
            match PATIENT.run(|| self.client.delete(&self.path, stat.version)).await {
                Err(error) if error.code() == Some(ErrorCode::BadVersion) => (),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
                other => return other,
            }
        }
    }
}
