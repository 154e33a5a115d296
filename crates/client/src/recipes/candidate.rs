//! Leader election as a stream: a candidate stands again and again, and is told when it leads and when no more.
//!
//! The znodes are those of Curator's `LeaderSelector` (a lock's), and of kazoo's `Election` if its lock has
//! `extra_lock_patterns=["-lock-"]`.

use crate::aio::mailbox::Mailbox;
use crate::aio::{Client, Error, Multi, Zxid};
use crate::recipes::contender::Rule;
use crate::recipes::hold::Hold;
use crate::recipes::place::{Participant, Place, participants};
use futures_core::Stream;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::Notify;

/// Standings kept for a candidate that does not read them; the oldest are left out, because the newest is what is true.
const STANDINGS_MAX: usize = 16;

/// Where a candidate stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It leads, with this fencing token, which grows with every leader.
    Leader(Zxid),
    /// It led, and has lost its connection: another may lead. See [`Hold`] for how long it is safe to go on.
    Unsure,
    /// It does not lead; it waits for its turn.
    Follower,
    /// The session is over, or the server refused something: the candidate stands no more. Final.
    Ended(Error),
}

/// A candidate for the leadership at a path: a stream of [`Standing`]s, which ends behind [`Standing::Ended`] or
/// [`Candidate::resign`]. It stands again when its znode is deleted. Dropping it leaves the election soon.
///
/// A task of the present tokio runtime follows the election, whether the stream is read or not.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{Candidate, Standing};
/// let mut candidate = Candidate::stand(&client, "/service/leader", "host-1");
/// assert_eq!(candidate.next().await, Some(Standing::Follower));
/// let Some(Standing::Leader(token)) = candidate.next().await else { panic!("nobody else stands") };
/// println!("leads with token {token}");
/// // An operator deposes it; it stands again.
/// let path = candidate.participants().await?[0].path.clone();
/// client.delete(&path, -1).await?;
/// assert_eq!(candidate.next().await, Some(Standing::Follower));
/// assert!(matches!(candidate.next().await, Some(Standing::Leader(newer)) if newer > token));
/// candidate.resign().await;
/// assert_eq!(Candidate::stand(&client, "/service/leader", "host-2").next().await, Some(Standing::Follower));
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it leaves the election"]
pub struct Candidate {
    client: Client,
    path: String,
    standings: Mailbox<Standing>,
    resign: Arc<Notify>,
    /// The leader's znode, while it leads.
    leads: Arc<Mutex<Option<String>>>,
}

impl Candidate {
    /// Stands for election at this path.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn stand(client: &Client, path: &str, name: &str) -> Candidate {
        let (standings, resign) = (Mailbox::new(STANDINGS_MAX), Arc::new(Notify::new()));
        let place = Place::new(client, path, "lock-", Rule::First, name.as_bytes());
        let leads = Arc::default();
        tokio::spawn(run(place, standings.clone(), Arc::clone(&resign), Arc::clone(&leads)));
        Candidate { client: client.clone(), path: path.to_owned(), standings, resign, leads }
    }

    /// The next standing, beginning with [`Standing::Follower`]; `None` behind the last one.
    pub async fn next(&mut self) -> Option<Standing> {
        std::future::poll_fn(|context| self.standings.poll_next(context)).await
    }

    /// A transaction that happens only while this side leads: it begins with a check of the leader's znode, whose result is
    /// the first. `None` while it does not lead.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::CreateMode;
    /// # use ostler_client::recipes::{Candidate, Standing};
    /// let mut candidate = Candidate::stand(&client, "/leader", "host-1");
    /// assert!(candidate.fenced().is_none());
    /// while !matches!(candidate.next().await, Some(Standing::Leader(_))) {}
    /// let multi = candidate.fenced().expect("it leads");
    /// multi.create("/done", b"", CreateMode::Persistent).commit().await?;
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn fenced(&self) -> Option<Multi<'_>> {
        let leads = self.leads.lock().expect("nothing panics while it holds the path");
        leads.as_ref().map(|path| self.client.multi().check(path, -1))
    }

    /// Leaves the election and waits until that is done.
    pub async fn resign(mut self) {
        self.resign.notify_one();
        while self.next().await.is_some() {}
    }

    /// All candidates, the leader first, other clients' too.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.client, &self.path, |_| true).await
    }
}

impl Stream for Candidate {
    type Item = Standing;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Standing>> {
        self.standings.poll_next(context)
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.resign.notify_one();
    }
}

/// Ends the stream however the task ends, also with its runtime.
struct Ending(Mailbox<Standing>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn run(mut place: Place, standings: Mailbox<Standing>, resign: Arc<Notify>, leads: Arc<Mutex<Option<String>>>) {
    let ending = Ending(standings);
    let tell = |standing| ending.0.push(standing, |kept| drop(kept.pop_front()));
    let now_leads = |path| *leads.lock().expect("nothing panics while it holds the path") = path;
    let result = tokio::select! {
        error = stand(&mut place, &tell, &now_leads) => Err(error),
        () = resign.notified() => Ok(()),
    };
    now_leads(None);
    let result = match result {
        Ok(()) => place.leave().await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tell(Standing::Ended(error));
    }
}

/// Stands until something ends it for good.
async fn stand(place: &mut Place, tell: &impl Fn(Standing), now_leads: &impl Fn(Option<String>)) -> Error {
    loop {
        tell(Standing::Follower);
        let token = match place.hold().await {
            Ok(token) => token,
            Err(error) => return error,
        };
        now_leads(Some(place.path().to_owned()));
        let mut holds = place.holds();
        while let Some(hold) = holds.next().await {
            match hold {
                Hold::Sure => tell(Standing::Leader(token)),
                Hold::Unsure => tell(Standing::Unsure),
                Hold::Lost => break,
            }
        }
        now_leads(None);
        place.lost();
    }
}
