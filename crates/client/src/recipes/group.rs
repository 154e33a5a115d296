//! Group membership: who is there. The znodes are those of Curator's `GroupMember`: `PATH/NAME`, ephemeral, any data.

use crate::aio::{Client, Error};
use crate::recipes::cache::Cache;
use crate::recipes::names::join;
use crate::recipes::persistent::PersistentNode;
use std::collections::BTreeMap;

/// A group at a path.
///
/// A member whose connection is lost is one until its session is over; one that others see no more learns of it when it is
/// connected again. What only members may do has to be fenced: with a [`Lock`](crate::recipes::Lock), or by a check of the
/// member's znode in the transaction.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::Group;
/// let group = Group::new(&client, "/workers");
/// let member = group.join("host-1", b"4 cores").await?;
/// let mut members = group.watch();
/// assert_eq!(members.changed().await?["host-1"], b"4 cores");
/// member.remove().await?;
/// assert!(members.changed().await?.is_empty());
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    client: Client,
    path: String,
}

impl Group {
    /// The group at this path.
    pub fn new(client: &Client, path: &str) -> Group {
        Group { client: client.clone(), path: path.to_owned() }
    }

    /// Joins under a name, which no other member may have: it would replace this one. The membership lasts as long as the
    /// result and its session.
    ///
    /// # Errors
    /// As [`PersistentNode::create`].
    pub async fn join(&self, name: &str, data: &[u8]) -> Result<PersistentNode, Error> {
        PersistentNode::create(&self.client, &join(&self.path, name), data).await
    }

    /// Keeps the members in memory. The task behind it runs on the present tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn watch(&self) -> Members {
        let cache = Cache::children_of(&self.client, &self.path).start();
        Members { cache, path: self.path.clone(), told: None }
    }
}

/// The members of a group, kept in memory.
#[derive(Debug)]
#[must_use = "dropping it ends it"]
pub struct Members {
    cache: Cache,
    path: String,
    told: Option<BTreeMap<String, Vec<u8>>>,
}

impl Members {
    /// The members as they were heard of last, with their data.
    pub fn now(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = self.cache.children(&self.path);
        entries.iter().map(|entry| (entry.name().to_owned(), entry.data.clone())).collect()
    }

    /// The members once they are loaded, and then whenever they have changed. Can be dropped before it is ready.
    ///
    /// # Errors
    /// The session ended, the server refused something, or there are more than a cache holds.
    pub async fn changed(&mut self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        loop {
            self.cache.news().await?;
            let now = self.now();
            if self.told.as_ref() != Some(&now) {
                self.told = Some(now.clone());
                return Ok(now);
            }
        }
    }
}
