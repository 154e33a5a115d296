//! Calls that read, with and without a watch.

use crate::aio::call::Call;
use crate::aio::calls::{data, stat};
use crate::aio::client::{Client, good_reply, other_shape};
use crate::aio::error::Error;
use crate::aio::shared::Registration;
use crate::aio::watcher::{Kind, WatchOnce, Watcher};
use crate::calls::owned;
use ostler_model::{Acl, ErrorCode, Request, Stat, Text, WireAcl};
use ostler_wire::peer::Reply;

impl Client {
    /// A znode's data and Stat. Null data reads as empty.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// let (data, stat) = client.get_data("/zookeeper").await?;
    /// assert_eq!(stat.data_length as usize, data.len());
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_data(&self, path: &str) -> Call<(Vec<u8>, Stat)> {
        let request = Request::GetData { path: Some(path.into()), watch: false };
        self.ask_answer(&request, None, |answer, asked| {
            let (data, stat) = data_span(&good_reply(&answer, asked.path)?).ok_or_else(|| other_shape(&answer))?;
            // The body's memory becomes the data's.
            let mut body = answer.raw.body;
            body.truncate(DATA_AT + data);
            body.drain(..DATA_AT.min(body.len()));
            Ok((body, stat))
        })
    }

    /// The same, and a watch that tells when the data is no longer true or the znode is gone.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{CreateMode, EventType};
    /// client.create("/a", b"one", CreateMode::Persistent).await?;
    /// let (data, _, changed) = client.get_data_and_watch("/a").await?;
    /// client.set_data("/a", b"two", -1).await?;
    /// assert_eq!(changed.await.unwrap().kind, EventType::NodeDataChanged);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_data_and_watch(&self, path: &str) -> Call<(Vec<u8>, Stat, WatchOnce)> {
        let (watch, seat) = self.registration(path, Kind::Data);
        let request = Request::GetData { path: Some(path.into()), watch: true };
        self.ask_and(&request, Some(watch), |reply, _| {
            data(&reply).map(|(data, stat)| (data, stat, WatchOnce::new(seat)))
        })
    }

    /// A znode's Stat, or `None` if it is not there.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// assert!(client.exists("/zookeeper").await?.is_some());
    /// assert_eq!(client.exists("/nothing").await?, None);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn exists(&self, path: &str) -> Call<Option<Stat>> {
        self.exists_of(path, false, None, |stat| stat)
    }

    /// The same, and a watch that tells when the znode comes, changes or goes.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{CreateMode, EventType};
    /// let (stat, created) = client.exists_and_watch("/a").await?;
    /// assert_eq!(stat, None);
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// assert_eq!(created.await.unwrap().kind, EventType::NodeCreated);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn exists_and_watch(&self, path: &str) -> Call<(Option<Stat>, WatchOnce)> {
        let (watch, seat) = self.registration(path, Kind::Data);
        self.exists_of(path, true, Some(watch), |stat| (stat, WatchOnce::new(seat)))
    }

    fn exists_of<T>(
        &self,
        path: &str,
        watch: bool,
        registration: Option<Registration>,
        result: impl FnOnce(Option<Stat>) -> T + Send + 'static,
    ) -> Call<T> {
        let request = Request::Exists { path: Some(path.into()), watch };
        self.ask_answer(&request, registration, move |answer, asked| {
            let reply = match good_reply(&answer, asked.path) {
                Err(error @ Error::Server { .. }) if error.code() == Some(ErrorCode::NoNode) => {
                    return Ok(result(None));
                }
                other => other?,
            };
            stat(&reply).map(|stat| result(Some(stat))).ok_or_else(|| other_shape(&answer))
        })
    }

    /// The names of a znode's children, in no order, and its Stat.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// let (names, stat) = client.get_children("/").await?;
    /// assert_eq!((names, stat.num_children), (vec!["zookeeper".to_owned()], 1));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_children(&self, path: &str) -> Call<(Vec<String>, Stat)> {
        self.ask(&Request::GetChildren2 { path: Some(path.into()), watch: false }, |reply, _| children(reply))
    }

    /// The same, and a watch that tells when a child comes or goes, or the znode goes.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::CreateMode;
    /// let (_, _, changed) = client.get_children_and_watch("/").await?;
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// assert_eq!(changed.await.unwrap().path, "/");
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_children_and_watch(&self, path: &str) -> Call<(Vec<String>, Stat, WatchOnce)> {
        let (watch, seat) = self.registration(path, Kind::Child);
        let request = Request::GetChildren2 { path: Some(path.into()), watch: true };
        self.ask_and(&request, Some(watch), |reply, _| {
            children(reply).map(|(names, stat)| (names, stat, WatchOnce::new(seat)))
        })
    }

    /// How many znodes are below a path, at any depth.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// assert!(client.all_children_number("/").await? >= 1);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn all_children_number(&self, path: &str) -> Call<i32> {
        self.ask(&Request::GetAllChildrenNumber { path: Some(path.into()) }, |reply, _| match reply {
            Reply::Number(number) => Some(number),
            _ => None,
        })
    }

    /// The paths of this session's ephemerals that begin with a prefix, in no order.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::CreateMode;
    /// client.create("/here", b"", CreateMode::Ephemeral).await?;
    /// assert_eq!(client.get_ephemerals("/").await?, ["/here"]);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_ephemerals(&self, prefix: &str) -> Call<Vec<String>> {
        self.ask(&Request::GetEphemerals { prefix: Some(prefix.into()) }, |reply, chroot| {
            let Reply::Names(paths) = reply else { return None };
            Some(names(paths).into_iter().map(|path| chroot.inside(&path).to_owned()).collect())
        })
    }

    /// A znode's ACL and Stat.
    pub fn get_acl(&self, path: &str) -> Call<(Vec<Acl>, Stat)> {
        self.ask(&Request::GetAcl { path: Some(path.into()) }, |reply, _| {
            let Reply::Acl { acl, stat } = reply else { return None };
            let entry =
                |entry: WireAcl<'_>| Acl { perms: entry.perms, scheme: owned(entry.scheme), id: owned(entry.id) };
            Some((acl.unwrap_or_default().into_iter().map(entry).collect(), stat))
        })
    }

    /// A persistent watch: every change of the znode, there or not, and the coming and going of its children.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::aio::{CreateMode, Notice};
    /// let mut watcher = client.watch("/a").await?;
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// client.set_data("/a", b"new", -1).await?;
    /// for _ in 0..2 {
    ///     let Some(Notice::Event(event)) = watcher.next().await else { panic!("no connection was lost") };
    ///     println!("{:?} {}", event.kind, event.path);
    /// }
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn watch(&self, path: &str) -> Call<Watcher> {
        self.add_watch(path, false, Kind::Persistent)
    }

    /// A recursive watch: every coming, change and going of the znode and all below it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::aio::{CreateMode, Notice};
    /// let mut watcher = client.watch_recursive("/").await?;
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// client.create("/a/b", b"", CreateMode::Persistent).await?;
    /// for path in ["/a", "/a/b"] {
    ///     assert!(matches!(watcher.next().await, Some(Notice::Event(event)) if event.path == path));
    /// }
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn watch_recursive(&self, path: &str) -> Call<Watcher> {
        self.add_watch(path, true, Kind::Recursive)
    }

    fn add_watch(&self, path: &str, recursive: bool, kind: Kind) -> Call<Watcher> {
        let (watch, seat) = self.registration(path, kind);
        let request = Request::AddWatch { path: Some(path.into()), recursive };
        self.ask_and(&request, Some(watch), |_, _| Some(Watcher::new(seat)))
    }
}

/// Where data begins in the reply to getData: behind its length.
const DATA_AT: usize = 4;

/// How long the data of a reply to getData is.
fn data_span(reply: &Reply<'_>) -> Option<(usize, Stat)> {
    match reply {
        Reply::Data { data, stat } => Some((data.map_or(0, <[u8]>::len), *stat)),
        _ => None,
    }
}

fn names(names: Option<Vec<Text<'_>>>) -> Vec<String> {
    names.unwrap_or_default().into_iter().map(owned).collect()
}

fn children(reply: Reply<'_>) -> Option<(Vec<String>, Stat)> {
    match reply {
        Reply::Children2 { names: list, stat } => Some((names(list), stat)),
        _ => None,
    }
}
