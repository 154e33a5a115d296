//! A part of the tree kept in memory, and a stream of what changes in it.

use crate::aio::mailbox::Mailbox;
use crate::aio::{Call, Client, Error, ErrorCode, Notice, Stat, Watcher};
use crate::recipes::mirror::{Bounds, Change, Entry, Found, Mirror, Read};
use crate::recipes::place::PATIENT;
use futures_core::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Reads on their way at a time.
const READS_MAX: usize = 64;
/// Events kept for one who does not take them; when there are more they become one [`CacheEvent::Missed`].
pub const CACHE_EVENTS_MAX: usize = 4_096;
/// Before reads are tried again that a connection took with it; while there is none the client waits by itself.
const AGAIN: Duration = Duration::from_millis(20);

/// What a cache tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CacheEvent {
    /// A znode is there that was not.
    Created(Arc<Entry>),
    /// A znode has new data.
    Changed {
        /// As it is.
        new: Arc<Entry>,
        /// As it was.
        old: Arc<Entry>,
    },
    /// A znode is gone; this is what was there.
    Deleted(Arc<Entry>),
    /// All that was there when the cache began to load is in it. Told once at the beginning, and after each lost
    /// connection when the cache has caught up.
    Loaded,
    /// Events were not taken in time ([`CACHE_EVENTS_MAX`]) and are gone; the cache itself is as it should be.
    Missed,
    /// The session is over, the server refused something, or the cache would grow too large: nothing changes any more.
    /// Final.
    Ended(CacheError),
}

/// Why a cache ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CacheError {
    /// The client's error.
    #[error(transparent)]
    Client(#[from] Error),
    /// There is more than the cache may hold.
    #[error(
        "the cache of {path} would hold more than {entries_max} znodes or {bytes_max} bytes\nhint: raise entries_max or bytes_max of CacheBuilder, or cache a smaller part of the tree"
    )]
    TooLarge {
        /// Its root.
        path: String,
        /// The bound that was set.
        entries_max: usize,
        /// The bound that was set.
        bytes_max: usize,
    },
}

/// Settings of a cache, and the way to start it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before start()"]
pub struct CacheBuilder {
    client: Client,
    path: String,
    depth: usize,
    bounds: Bounds,
}

impl CacheBuilder {
    /// How many znodes the cache may hold: 1,000,000 unless set.
    pub fn entries_max(mut self, entries: usize) -> CacheBuilder {
        self.bounds.entries = entries;
        self
    }

    /// How many bytes of paths and data (and 160 for each znode) the cache may hold: 1 GiB unless set.
    pub fn bytes_max(mut self, bytes: usize) -> CacheBuilder {
        self.bounds.bytes = bytes;
        self
    }

    /// How many levels below its root the cache holds.
    pub fn depth(mut self, levels: usize) -> CacheBuilder {
        self.depth = levels;
        self
    }

    /// Starts to load. The task behind the cache runs on the present tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self) -> Cache {
        let mirror = Mutex::new(Mirror::new(&self.path, self.depth, self.bounds));
        let (loaded, is_loaded) = watch::channel(None);
        let core = Arc::new(Core { mirror, events: Mailbox::new(CACHE_EVENTS_MAX) });
        let task = tokio::spawn(run(self, Arc::clone(&core), loaded));
        Cache { core, is_loaded, task }
    }
}

#[derive(Debug)]
struct Core {
    mirror: Mutex<Mirror>,
    events: Mailbox<CacheEvent>,
}

impl Core {
    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().expect("nothing panics while it holds a mirror")
    }

    fn tell(&self, event: CacheEvent) {
        self.events.push(event, |events| {
            events.clear();
            events.push_back(CacheEvent::Missed);
        });
    }
}

/// A part of the tree in memory: one znode, its children, or all below it, there or not. A stream of [`CacheEvent`]s.
///
/// * Each entry is data and Stat of one moment; entries of different znodes may be of different moments. When the tree
///   rests, the cache is equal to it.
/// * Every znode's last state arrives. States in between may be left out, as watches do: a znode that was deleted and made
///   again is told as both.
/// * It is loaded after [`Cache::loaded`]. While the connection is lost it keeps what it has, which grows old
///   ([`Client::states`] tells); then it loads again and tells the difference.
/// * Memory is bounded ([`CacheBuilder::entries_max`], [`CacheBuilder::bytes_max`]): a cache that would grow larger ends.
///
/// Znodes that this client may not read are left out. It uses persistent watches (servers from 3.6 on). Dropping it ends it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::aio::CreateMode;
/// use ostler_client::recipes::{Cache, CacheEvent};
/// client.create("/app", b"", CreateMode::Persistent).await?;
/// client.create("/app/a", b"1", CreateMode::Persistent).await?;
/// let mut cache = Cache::tree(&client, "/app").start();
/// cache.loaded().await?;
/// assert_eq!(cache.get("/app/a").unwrap().data, b"1");
/// while cache.next().await != Some(CacheEvent::Loaded) {}
/// client.set_data("/app/a", b"2", -1).await?;
/// let Some(CacheEvent::Changed { new, old }) = cache.next().await else { panic!("nothing else changed") };
/// assert_eq!((old.data.as_slice(), new.data.as_slice()), (&b"1"[..], &b"2"[..]));
/// assert_eq!(cache.children("/app").len(), 1);
/// # Ok::<(), ostler_client::recipes::CacheError>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends it"]
pub struct Cache {
    core: Arc<Core>,
    is_loaded: watch::Receiver<Option<Result<(), CacheError>>>,
    task: JoinHandle<()>,
}

impl Cache {
    fn builder(client: &Client, path: &str, depth: usize) -> CacheBuilder {
        let bounds = Bounds { entries: 1_000_000, bytes: 1 << 30 };
        CacheBuilder { client: client.clone(), path: path.to_owned(), depth, bounds }
    }

    /// A cache of one znode.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::recipes::Cache;
    /// let cache = Cache::node(&client, "/not-yet").start();
    /// cache.loaded().await?;
    /// assert_eq!(cache.get("/not-yet"), None);
    /// # Ok::<(), ostler_client::recipes::CacheError>(()) }).unwrap();
    /// ```
    pub fn node(client: &Client, path: &str) -> CacheBuilder {
        Cache::builder(client, path, 0)
    }

    /// A cache of a znode and its children.
    pub fn children_of(client: &Client, path: &str) -> CacheBuilder {
        Cache::builder(client, path, 1)
    }

    /// A cache of a znode and all below it; [`CacheBuilder::depth`] cuts it.
    pub fn tree(client: &Client, path: &str) -> CacheBuilder {
        Cache::builder(client, path, usize::MAX)
    }

    /// Waits until the cache is loaded.
    ///
    /// # Errors
    /// It ended before.
    pub async fn loaded(&self) -> Result<(), CacheError> {
        let mut is_loaded = self.is_loaded.clone();
        let result = is_loaded.wait_for(Option::is_some).await;
        let gone = || Err(CacheError::Client(Error::Closed { sent: false }));
        result.map_or_else(|_| gone(), |result| result.clone().unwrap_or_else(gone))
    }

    /// True once the cache was loaded.
    pub fn is_loaded(&self) -> bool {
        self.core.mirror().is_loaded()
    }

    /// A znode as the cache has it.
    pub fn get(&self, path: &str) -> Option<Arc<Entry>> {
        self.core.mirror().get(path).cloned()
    }

    /// The children of a znode as the cache has them, in the order of their names.
    pub fn children(&self, path: &str) -> Vec<Arc<Entry>> {
        self.core.mirror().children(path)
    }

    /// Everything that the cache has, in the order of the paths.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.core.mirror().entries().cloned().collect()
    }

    /// The next event; `None` behind [`CacheEvent::Ended`].
    pub async fn next(&mut self) -> Option<CacheEvent> {
        std::future::poll_fn(|context| self.core.events.poll_next(context)).await
    }

    /// Waits for an event behind which the cache is loaded; the end is an error. Can be dropped before it is ready.
    pub(super) async fn news(&mut self) -> Result<(), Error> {
        loop {
            match self.next().await {
                Some(CacheEvent::Ended(CacheError::Client(error))) => return Err(error),
                Some(CacheEvent::Ended(CacheError::TooLarge { bytes_max, .. })) => {
                    return Err(Error::TooLarge { bytes: bytes_max, bytes_max });
                }
                None => return Err(Error::Closed { sent: false }),
                Some(_) if self.is_loaded() => return Ok(()),
                Some(_) => (),
            }
        }
    }
}

impl Stream for Cache {
    type Item = CacheEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<CacheEvent>> {
        self.core.events.poll_next(context)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(settings: CacheBuilder, core: Arc<Core>, loaded: watch::Sender<Option<Result<(), CacheError>>>) {
    let error = follow(&settings, &core, &loaded).await;
    core.tell(CacheEvent::Ended(error.clone()));
    core.events.end();
    loaded.send_if_modified(|result| {
        let was_waited_for = result.is_none();
        if was_waited_for {
            *result = Some(Err(error));
        }
        was_waited_for
    });
}

/// Follows the tree until something ends it for good.
async fn follow(
    settings: &CacheBuilder,
    core: &Core,
    loaded: &watch::Sender<Option<Result<(), CacheError>>>,
) -> CacheError {
    let CacheBuilder { client, path, depth, bounds } = settings;
    let watcher = match PATIENT.run(|| watch(client, path, *depth)).await {
        Ok(watcher) => watcher,
        Err(error) => return error.into(),
    };
    let mut watcher = watcher;
    core.mirror().load();
    let mut flights = VecDeque::new();
    loop {
        while flights.len() < READS_MAX
            && let Some(read) = core.mirror().next_read()
        {
            flights.push_back(Flight::new(client, read));
        }
        tokio::select! {
            notice = watcher.next() => match notice {
                Some(Notice::Event(event)) => core.mirror().event(&event.path),
                Some(Notice::Missed) => core.mirror().load(),
                None => return over(client).into(),
            },
            result = landed(&mut flights) => {
                let flight = flights.pop_front().expect("it has landed");
                match result {
                    Ok(found) => {
                        let changes = core.mirror().found(&flight.path, found);
                        for change in changes {
                            if change == Change::Loaded {
                                loaded.send_replace(Some(Ok(())));
                            }
                            core.tell(change.into());
                        }
                    }
                    Err(error) if error.is_transient() => {
                        core.mirror().failed(&flight.path);
                        tokio::time::sleep(AGAIN).await;
                    }
                    Err(error) => return error.into(),
                }
            },
        }
        if core.mirror().is_too_large() {
            let (path, entries_max, bytes_max) = (path.clone(), bounds.entries, bounds.bytes);
            return CacheError::TooLarge { path, entries_max, bytes_max };
        }
    }
}

fn watch(client: &Client, path: &str, depth: usize) -> Call<Watcher> {
    // A recursive watch would bring events of all that is below.
    if depth == 0 { client.watch(path) } else { client.watch_recursive(path) }
}

/// Why the session is over.
pub(crate) fn over(client: &Client) -> Error {
    use crate::aio::SessionState;
    match client.state() {
        Some(SessionState::Expired) => Error::SessionExpired,
        Some(SessionState::AuthFailed) => Error::AuthFailed { sent: false },
        _ => Error::Closed { sent: false },
    }
}

impl From<Change> for CacheEvent {
    fn from(change: Change) -> CacheEvent {
        match change {
            Change::Created(new) => CacheEvent::Created(new),
            Change::Changed { new, old } => CacheEvent::Changed { new, old },
            Change::Deleted(old) => CacheEvent::Deleted(old),
            Change::Loaded => CacheEvent::Loaded,
        }
    }
}

/// A read on its way.
struct Flight {
    path: String,
    data: Call<(Vec<u8>, Stat)>,
    names: Option<Call<(Vec<String>, Stat)>>,
    /// What came of `data`.
    answer: Option<Result<(Vec<u8>, Stat), Error>>,
}

impl Flight {
    fn new(client: &Client, read: Read) -> Flight {
        let data = client.get_data(&read.path);
        let names = read.names.then(|| client.get_children(&read.path));
        Flight { path: read.path, data, names, answer: None }
    }

    /// Can be dropped before it is ready, and called again.
    async fn landed(&mut self) -> Result<Found, Error> {
        if self.answer.is_none() {
            self.answer = Some((&mut self.data).await);
        }
        let names = match &mut self.names {
            Some(names) => match names.await {
                Ok((names, _)) => names,
                // It went between the two, of which an event tells.
                Err(error) if matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::NoAuth)) => Vec::new(),
                Err(error) => return Err(error),
            },
            None => Vec::new(),
        };
        match self.answer.take().expect("it was just set") {
            Ok((data, stat)) => Ok(Some((data, stat, names))),
            Err(error) if matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::NoAuth)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Replies come in the order of their requests, so only the first is waited for.
async fn landed(flights: &mut VecDeque<Flight>) -> Result<Found, Error> {
    match flights.front_mut() {
        Some(flight) => flight.landed().await,
        None => std::future::pending().await,
    }
}
