//! Service discovery: instances register, clients find them and are told when they come and go.
//!
//! The znodes are those of Curator's x-discovery: `BASE/SERVICE/ID`, JSON as data ([`ServiceInstance`]).

use crate::aio::{Client, CreateMode, Error, ErrorCode};
use crate::recipes::cache::Cache;
use crate::recipes::instance::{ServiceInstance, ServiceKind};
use crate::recipes::mirror::Entry;
use crate::recipes::names::join;
use crate::recipes::persistent::{PersistentNode, Presence};
use crate::recipes::place::{PATIENT, make_parents};
use std::sync::Arc;

/// The services below a base path.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::recipes::{Discovery, ServiceInstance};
/// let discovery = Discovery::new(&client, "/services");
/// let mut service = discovery.watch("web");
/// assert!(service.changed().await?.is_empty());
/// let web = ServiceInstance::new("web", "10.0.0.7").port(8080);
/// let registration = discovery.register(&web).await?;
/// assert_eq!(service.changed().await?, [web.clone()]);
/// assert_eq!(discovery.names().await?, ["web"]);
/// assert_eq!(discovery.instances("web").await?, [web]);
/// registration.unregister().await?;
/// assert!(service.changed().await?.is_empty());
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Discovery {
    client: Client,
    base: String,
}

impl Discovery {
    /// Services below this path.
    pub fn new(client: &Client, base: &str) -> Discovery {
        Discovery { client: client.clone(), base: base.to_owned() }
    }

    fn path_of(&self, service: &str) -> String {
        join(&self.base, service)
    }

    /// Registers an instance. A dynamic one is there as long as the [`Registration`] and its session, whoever deletes its
    /// znode; one of the same id that an earlier session left is replaced. Others stay until [`Discovery::unregister`].
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn register(&self, instance: &ServiceInstance) -> Result<Registration, Error> {
        let path = join(&self.path_of(&instance.name), &instance.id);
        let json = instance.to_json();
        if instance.kind == ServiceKind::Dynamic {
            let node = PersistentNode::create(&self.client, &path, &json).await?;
            return Ok(Registration { client: self.client.clone(), path, node: Some(node) });
        }
        loop {
            match PATIENT.run(|| self.client.create(&path, &json, CreateMode::Persistent)).await {
                Ok(_) => break,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    make_parents(&self.client, &self.path_of(&instance.name)).await?;
                }
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                    match PATIENT.run(|| self.client.set_data(&path, &json, -1)).await {
                        Ok(_) => break,
                        Err(error) if error.code() == Some(ErrorCode::NoNode) => (),
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Registration { client: self.client.clone(), path, node: None })
    }

    /// Takes an instance away, whoever registered it. A dynamic one whose [`Registration`] lives comes again.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn unregister(&self, service: &str, id: &str) -> Result<(), Error> {
        delete(&self.client, &join(&self.path_of(service), id)).await
    }

    /// The names of services that have or had instances, sorted.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn names(&self) -> Result<Vec<String>, Error> {
        self.names_below(&self.base).await
    }

    async fn names_below(&self, path: &str) -> Result<Vec<String>, Error> {
        let mut names = match PATIENT.run(|| self.client.get_children(path)).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
            other => other?.0,
        };
        names.sort();
        Ok(names)
    }

    /// The instances of a service as they are now, in the order of their ids. Znodes that are none are left out. Who asks
    /// often watches ([`Discovery::watch`]).
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn instances(&self, service: &str) -> Result<Vec<ServiceInstance>, Error> {
        let mut found = Vec::new();
        for id in self.names_below(&self.path_of(service)).await? {
            found.extend(self.instance(service, &id).await?);
        }
        Ok(found)
    }

    /// One instance by its id.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn instance(&self, service: &str, id: &str) -> Result<Option<ServiceInstance>, Error> {
        match PATIENT.run(|| self.client.get_data(&join(&self.path_of(service), id))).await {
            Ok((json, _)) => Ok(ServiceInstance::from_json(&json).ok()),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps the instances of a service in memory. The task behind it runs on the present tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn watch(&self, service: &str) -> Service {
        let path = self.path_of(service);
        Service { cache: Cache::children_of(&self.client, &path).start(), path, told: None }
    }
}

/// An instance is registered. Dropping it unregisters a dynamic one.
#[derive(Debug)]
#[must_use = "dropping it unregisters a dynamic instance"]
pub struct Registration {
    client: Client,
    path: String,
    /// Of a dynamic instance.
    node: Option<PersistentNode>,
}

impl Registration {
    /// Replaces what is told of the instance. Its name and id stay.
    ///
    /// # Errors
    /// The session ended, or the server refused it.
    pub async fn update(&self, instance: &ServiceInstance) -> Result<(), Error> {
        match &self.node {
            Some(node) => node.set_data(&instance.to_json()).await,
            None => PATIENT.run(|| self.client.set_data(&self.path, &instance.to_json(), -1)).await.map(|_| ()),
        }
    }

    /// Whether a dynamic instance's znode is there; the end of its session is the last that it tells. `None` behind that,
    /// and at once for others.
    pub async fn next(&mut self) -> Option<Presence> {
        self.node.as_mut()?.next().await
    }

    /// Unregisters the instance and waits until that is done.
    ///
    /// # Errors
    /// The session ended, which unregisters a dynamic one, too.
    pub async fn unregister(mut self) -> Result<(), Error> {
        match self.node.take() {
            Some(node) => node.remove().await,
            None => delete(&self.client, &self.path).await,
        }
    }
}

/// The instances of a service, kept in memory. While the connection is lost they grow old
/// ([`Client::states`](crate::aio::Client::states) tells), which is better than none.
#[derive(Debug)]
#[must_use = "dropping it ends it"]
pub struct Service {
    cache: Cache,
    path: String,
    told: Option<Vec<Arc<Entry>>>,
}

impl Service {
    /// The instances as they were heard of last, in the order of their ids. Znodes that are none are left out.
    pub fn instances(&self) -> Vec<ServiceInstance> {
        instances(&self.cache.children(&self.path))
    }

    /// The instances once they are loaded, and then whenever they have changed. Can be dropped before it is ready.
    ///
    /// # Errors
    /// The session ended, the server refused something, or there are more than a cache holds (as
    /// [`Error::TooLarge`]).
    pub async fn changed(&mut self) -> Result<Vec<ServiceInstance>, Error> {
        loop {
            self.cache.news().await?;
            let now = self.cache.children(&self.path);
            if self.told.as_ref() != Some(&now) {
                let found = instances(&now);
                self.told = Some(now);
                return Ok(found);
            }
        }
    }
}

async fn delete(client: &Client, path: &str) -> Result<(), Error> {
    match PATIENT.run(|| client.delete(path, -1)).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
        other => other,
    }
}

fn instances(entries: &[Arc<Entry>]) -> Vec<ServiceInstance> {
    entries.iter().filter_map(|entry| ServiceInstance::from_json(&entry.data).ok()).collect()
}
