//! A [`Contender`] on the asynchronous client: does its steps, and deletes its znode when it is dropped.

use crate::aio::{Client, CreateMode, Error, ErrorCode, Retry, WatchOnce, Zxid};
use crate::recipes::contender::{Contender, Outcome, Rule, Step};
use crate::recipes::hold::Holds;
use crate::recipes::names::{join, sequence, uuid};
use std::time::Duration;

/// Losses of connections are waited out until the session is back or over.
pub(crate) const PATIENT: Retry =
    Retry { attempts: u32::MAX, first_wait: Duration::from_millis(20), wait_max: Duration::from_secs(1) };
/// Before a step is done again. While there is no connection the client waits by itself.
const AGAIN: Duration = Duration::from_millis(20);

/// A znode in a queue.
#[derive(Debug)]
pub(crate) struct Place {
    client: Client,
    contender: Contender,
    data: Vec<u8>,
    watch: Option<WatchOnce>,
    /// Nobody is left to finish what this does not: it was dropped before.
    is_last_try: bool,
}

impl Place {
    pub fn new(client: &Client, parent: &str, kind: &'static str, rule: Rule, data: &[u8]) -> Place {
        let contender = Contender::new(parent, kind, &uuid(), rule);
        Place { client: client.clone(), contender, data: data.to_vec(), watch: None, is_last_try: false }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The znode, of one that is held.
    pub fn path(&self) -> &str {
        self.contender.path().expect("what is held has a znode")
    }

    /// How sure the holder can be.
    pub fn holds(&self) -> Holds {
        Holds::new(&self.client, self.path())
    }

    /// Waits until it is held.
    pub async fn hold(&mut self) -> Result<Zxid, Error> {
        loop {
            match self.contender.step() {
                Step::Held(token) => return Ok(token),
                step => self.take(step).await?,
            }
        }
    }

    /// Its znode was deleted by somebody else while it was held.
    pub fn lost(&mut self) {
        self.contender.lost();
    }

    pub async fn leave(&mut self) -> Result<(), Error> {
        self.contender.leave();
        loop {
            match self.contender.step() {
                Step::Gone => return Ok(()),
                step => self.take(step).await?,
            }
        }
    }

    async fn take(&mut self, step: Step) -> Result<(), Error> {
        let outcome = match self.ask(step).await {
            Ok(outcome) => outcome,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Outcome::NoNode,
            Err(error) if error.is_transient() => {
                tokio::time::sleep(AGAIN).await;
                Outcome::Lost
            }
            Err(error) => return Err(error),
        };
        self.contender.answer(outcome);
        Ok(())
    }

    async fn ask(&mut self, step: Step) -> Result<Outcome, Error> {
        let (client, parent) = (&self.client, self.contender.parent());
        Ok(match step {
            Step::Create(prefix) => {
                Outcome::Created(client.create(&prefix, &self.data, CreateMode::EphemeralSequential).await?.0)
            }
            Step::MakeParent => {
                make_parents(client, parent).await?;
                Outcome::Done
            }
            Step::Search => Outcome::Names(names_behind_a_write(client, parent).await?),
            Step::List => Outcome::Names(client.get_children(parent).await?.0),
            Step::ListAndWatch => {
                let (names, _, watch) = client.get_children_and_watch(parent).await?;
                self.watch = Some(watch);
                Outcome::Names(names)
            }
            Step::Watch(path) => {
                let (stat, watch) = client.exists_and_watch(&path).await?;
                self.watch = Some(watch);
                if stat.is_some() { Outcome::Present } else { Outcome::NoNode }
            }
            Step::Wait => {
                // However it ends, the queue is looked at again.
                if let Some(watch) = &mut self.watch {
                    watch.await;
                }
                self.watch = None;
                Outcome::Fired
            }
            Step::Confirm(path) => Outcome::Stat(client.get_data(&path).await?.1.czxid),
            Step::Delete(path) => {
                client.delete(&path, -1).await?;
                Outcome::Done
            }
            Step::Held(_) | Step::Gone => unreachable!("nothing is to be done"),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_over = self.client.state().is_none_or(|state| state.is_final());
        if is_over || self.is_last_try || self.contender.step() == Step::Gone {
            return;
        }
        // Without a runtime, or with one that ends and drops the task at once, the session ends, and the znode with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (client, contender) = (self.client.clone(), self.contender.clone());
            let mut place = Place { client, contender, data: Vec::new(), watch: None, is_last_try: true };
            runtime.spawn(async move { place.leave().await });
        }
    }
}

/// The names of a znode's children, behind a write of this session: what it sent on lost connections is among them, if it
/// ever comes. A sync would do, were it not answered by leaders, too, that do not know yet that they lead no more.
pub(crate) async fn names_behind_a_write(client: &Client, parent: &str) -> Result<Vec<String>, Error> {
    let (write, names) = (client.multi().check(parent, -1).commit(), client.get_children(parent));
    match write.await {
        Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error),
        _ => (),
    }
    Ok(names.await?.0)
}

/// Makes the znodes of a path that are missing, as containers, which go when they are empty.
pub(crate) async fn make_parents(client: &Client, path: &str) -> Result<(), Error> {
    for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
        let made = PATIENT.run(|| client.create(&path[..at], b"", CreateMode::Container)).await;
        match made {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => (),
            other => drop(other?),
        }
    }
    Ok(())
}

/// Somebody who stands in a queue.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::LeaderLatch;
/// let latch = LeaderLatch::new(&client, "/leader").named("host-1");
/// let leadership = latch.acquire().await?;
/// let participants = latch.participants().await?;
/// assert_eq!(participants[0].name, "host-1");
/// assert_eq!(participants[0].path, leadership.path());
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Participant {
    /// What it calls itself: its znode's data.
    pub name: String,
    /// Its znode.
    pub path: String,
    /// Its fencing token, if its turn is or comes.
    pub token: Zxid,
}

/// All that stand in a queue, in order; those of other clients too, if `kind` is in their names.
pub(crate) async fn participants(
    client: &Client,
    parent: &str,
    is_one: impl Fn(&str) -> bool,
) -> Result<Vec<Participant>, Error> {
    let mut names = match PATIENT.run(|| client.get_children(parent)).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(Vec::new()),
        other => other?.0,
    };
    names.retain(|name| sequence(name).is_some() && is_one(name));
    names.sort_by_key(|name| sequence(name));
    let mut found = Vec::new();
    for name in names {
        let path = join(parent, &name);
        match PATIENT.run(|| client.get_data(&path)).await {
            Ok((data, stat)) => {
                let name = String::from_utf8_lossy(&data).into_owned();
                found.push(Participant { name, path, token: stat.czxid });
            }
            // It has left meanwhile.
            Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
