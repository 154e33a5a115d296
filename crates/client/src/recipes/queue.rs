//! A queue: what is put in first is taken out first, by one.
//!
//! The znodes are those of Curator's `SimpleDistributedQueue` and of ZooKeeper's own recipe: `PATH/qn-0000000007`, and for a
//! moment `PATH/_mark-UUID` of a change that must happen once.

use crate::aio::{Client, CreateMode, Error, ErrorCode};
use crate::recipes::names::{join, sequence};
use crate::recipes::once::once;
use crate::recipes::place::{PATIENT, make_parents};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const PREFIX: &str = "qn-";

/// A queue at a path.
///
/// An element is put in once and taken by one, over lost connections too. It is gone when it is taken: if the taker dies
/// with it in hand, it is lost. Work that must not be lost is looked at with [`Queue::peek`] under a
/// [`Lock`](crate::recipes::Lock), and deleted when it is done
/// ([`LockGuard::fenced`](crate::recipes::LockGuard::fenced)).
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{Lock, Queue};
/// let queue = Queue::new(&client, "/queue");
/// for data in ["first", "second", "third"] {
///     queue.put(data.as_bytes()).await?;
/// }
/// assert_eq!(queue.take().await?, b"first");
/// assert_eq!(queue.poll().await?.unwrap(), b"second");
/// // Work that must not be lost.
/// let guard = Lock::new(&client, "/lock").acquire().await?;
/// let element = queue.peek().await?.unwrap();
/// assert_eq!(element.data, b"third");
/// guard.fenced().delete(&element.path, -1).commit().await?;
/// assert_eq!(queue.poll().await?, None);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    path: String,
    /// Names that were there when it was looked last, the first one first. Those that come later stand behind them.
    names: Arc<Mutex<VecDeque<String>>>,
}

/// An element that is still in its queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// Its znode.
    pub path: String,
    /// What was put in.
    pub data: Vec<u8>,
}

impl Queue {
    /// The queue at this path.
    pub fn new(client: &Client, path: &str) -> Queue {
        Queue { client: client.clone(), path: path.to_owned(), names: Arc::default() }
    }

    /// Puts an element in, once.
    ///
    /// # Errors
    /// The session ended, in which case it may be in or not; or the server refused it.
    pub async fn put(&self, data: &[u8]) -> Result<(), Error> {
        let prefix = join(&self.path, PREFIX);
        loop {
            let put =
                once(&self.client, &self.path, |multi| multi.create(&prefix, data, CreateMode::PersistentSequential));
            match put.await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => make_parents(&self.client, &self.path).await?,
                other => return other,
            }
        }
    }

    /// Takes the first element, if there is one.
    ///
    /// # Errors
    /// The session ended, in which case one may have been taken or not; or the server refused it.
    pub async fn poll(&self) -> Result<Option<Vec<u8>>, Error> {
        while let Some(element) = self.peek().await? {
            match once(&self.client, &self.path, |multi| multi.delete(&element.path, -1)).await {
                Ok(()) => return Ok(Some(element.data)),
                // Somebody else has it.
                Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes the first element, or waits for one. Dropping the future while it waits takes nothing.
    ///
    /// # Errors
    /// As [`Queue::poll`].
    pub async fn take(&self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(data) = self.poll().await? {
                return Ok(data);
            }
            match PATIENT.run(|| self.client.get_children_and_watch(&self.path)).await {
                Ok((names, _, watch)) => {
                    if !names.iter().any(|name| is_element(name)) {
                        watch.await;
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => make_parents(&self.client, &self.path).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The first element, which stays.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn peek(&self) -> Result<Option<Element>, Error> {
        let mut was_listed = false;
        loop {
            let next = self.names().front().cloned();
            let Some(name) = next else {
                if was_listed {
                    return Ok(None);
                }
                was_listed = true;
                let names = self.list().await?;
                *self.names() = names;
                continue;
            };
            let path = join(&self.path, &name);
            match PATIENT.run(|| self.client.get_data(&path)).await {
                Ok((data, _)) => return Ok(Some(Element { path, data })),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    // Somebody has taken it.
                    let mut names = self.names();
                    if names.front() == Some(&name) {
                        names.pop_front();
                    }
                    was_listed = false;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn names(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.names.lock().expect("nothing panics while it holds the names")
    }

    async fn list(&self) -> Result<VecDeque<String>, Error> {
        let mut names = match PATIENT.run(|| self.client.get_children(&self.path)).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
            other => other?.0,
        };
        names.retain(|name| is_element(name));
        names.sort_by_key(|name| sequence(name));
        Ok(names.into())
    }
}

fn is_element(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        && sequence(name).is_some()
}
