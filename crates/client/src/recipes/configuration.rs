//! Configuration in a znode: one publishes, all others are told.
//!
//! The znode is a plain one: kazoo's `DataWatch`, Curator's `NodeCache` and `zkCli.sh set` work on the same.

use crate::aio::{Client, CreateMode, Error, ErrorCode, Stat};
use crate::recipes::cache::{Cache, CacheError, CacheEvent};
use crate::recipes::mirror::Entry;
use crate::recipes::place::{PATIENT, make_parents};
use std::sync::Arc;

/// A piece of configuration at a path: [`Configuration::publish`] it, [`Configuration::subscribe`] to it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::Configuration;
/// let configuration = Configuration::new(&client, "/app/settings");
/// let mut subscription = configuration.subscribe();
/// assert_eq!(subscription.next().await?, None);
/// configuration.publish(b"colour = red").await?;
/// assert_eq!(subscription.next().await?.unwrap().data, b"colour = red");
/// // Only if nobody else has published meanwhile.
/// let (_, stat) = client.get_data("/app/settings").await?;
/// configuration.publish_if(stat.version, b"colour = blue").await?;
/// assert!(configuration.publish_if(stat.version, b"colour = green").await.is_err());
/// assert_eq!(subscription.next().await?.unwrap().data, b"colour = blue");
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Configuration {
    client: Client,
    path: String,
}

impl Configuration {
    /// The configuration at this path, which need not exist yet.
    pub fn new(client: &Client, path: &str) -> Configuration {
        Configuration { client: client.clone(), path: path.to_owned() }
    }

    /// Publishes, whatever is there. Over a lost connection it is published again: it may then replace what somebody else
    /// published at the same time, as in any race of two; [`Configuration::publish_if`] does not.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn publish(&self, data: &[u8]) -> Result<Stat, Error> {
        loop {
            match PATIENT.run(|| self.client.set_data(&self.path, data, -1)).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                other => return other,
            }
            match PATIENT.run(|| self.client.create(&self.path, data, CreateMode::Persistent)).await {
                Ok((_, stat)) => return Ok(stat),
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => (),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => self.make_parents().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Publishes if the version (of [`Stat`]) is still this one, exactly once also over lost connections.
    ///
    /// # Errors
    /// `BadVersion`: somebody else has published; `NoNode`: nobody has yet. The session ended, or the server refused it.
    pub async fn publish_if(&self, version: i32, data: &[u8]) -> Result<Stat, Error> {
        let mut was_lost = false;
        loop {
            match self.client.set_data(&self.path, data, version).await {
                Err(error) if error.is_transient() => was_lost |= error.may_have_happened(),
                Err(error) if was_lost && error.code() == Some(ErrorCode::BadVersion) => {
                    // The lost one may have been it: then this data is there, one version on.
                    let (there, stat) = PATIENT.run(|| self.client.get_data(&self.path)).await?;
                    let is_own = there == data && stat.version == version.wrapping_add(1);
                    return if is_own { Ok(stat) } else { Err(error) };
                }
                other => return other,
            }
        }
    }

    /// Follows the configuration. The task behind it runs on the present tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn subscribe(&self) -> Subscription {
        let cache = Cache::node(&self.client, &self.path).start();
        Subscription { cache, path: self.path.clone(), told: None }
    }

    async fn make_parents(&self) -> Result<(), Error> {
        match self.path.rfind('/') {
            None | Some(0) => Ok(()),
            Some(slash) => make_parents(&self.client, &self.path[..slash]).await,
        }
    }
}

/// What is published, from now on: the present configuration first, then each change. Of several changes at once the last
/// is told. While the connection is lost nothing is; then what is new.
#[derive(Debug)]
pub struct Subscription {
    cache: Cache,
    path: String,
    /// The zxids of what was told last; `None` inside: that nothing is there.
    told: Option<Option<(i64, i64)>>,
}

impl Subscription {
    /// The configuration as it is, or when it changes; `None`: there is none. Can be dropped before it is ready.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn next(&mut self) -> Result<Option<Arc<Entry>>, Error> {
        loop {
            let event = self.cache.next().await;
            match event {
                Some(CacheEvent::Ended(CacheError::Client(error))) => return Err(error),
                Some(CacheEvent::Ended(CacheError::TooLarge { .. })) => unreachable!("one znode is below the bound"),
                None => return Err(Error::Closed { sent: false }),
                Some(_) if self.cache.is_loaded() => {
                    let now = self.cache.get(&self.path);
                    let zxids = now.as_ref().map(|entry| (entry.stat.czxid.0, entry.stat.mzxid.0));
                    if self.told.replace(zxids) != Some(zxids) {
                        return Ok(now);
                    }
                }
                Some(_) => (),
            }
        }
    }
}
