//! Calls that change something, and what concerns the whole session.

use crate::aio::call::Call;
use crate::aio::client::{Client, good_reply, other_shape};
use crate::aio::multi::{Multi, MultiRead};
use crate::calls::{CreateMode, owned, wire_acl};
use ostler_model::{Acl, AuthId, Delete, Request, SetAcl, SetData, Stat, open_acl};
use ostler_wire::peer::Reply;

/// Where servers keep the ensemble's configuration, whatever the chroot.
const CONFIG: &str = "/zookeeper/config";

impl Client {
    /// Creates a znode that everybody may do everything with; the result is its path, with the number of a sequential one,
    /// and its Stat.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::aio::CreateMode;
    /// let (path, stat) = client.create("/task-", b"to do", CreateMode::PersistentSequential).await?;
    /// assert_eq!((path.as_str(), stat.data_length), ("/task-0000000000", 5));
    /// client.create("/lives-one-minute", b"", CreateMode::Ttl(60_000)).await?;
    /// client.create("/goes-with-its-last-child", b"", CreateMode::Container).await?;
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn create(&self, path: &str, data: &[u8], mode: CreateMode) -> Call<(String, Stat)> {
        self.create_with_acl(path, data, mode, &open_acl())
    }

    /// Creates a znode with an ACL.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::aio::{Acl, CreateMode, perms};
    /// let read = Acl { perms: perms::READ, scheme: "world".into(), id: "anyone".into() };
    /// client.create_with_acl("/fixed", b"data", CreateMode::Persistent, &[read]).await?;
    /// assert!(client.set_data("/fixed", b"other", -1).await.is_err());
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn create_with_acl(&self, path: &str, data: &[u8], mode: CreateMode, acl: &[Acl]) -> Call<(String, Stat)> {
        self.ask(&Request::Create(mode.request(path, data, acl)), |reply, chroot| match reply {
            Reply::Created { path, stat } => Some((chroot.inside(&owned(path)).to_owned(), stat)),
            _ => None,
        })
    }

    /// Deletes a znode without children; version -1 matches any.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{CreateMode, ErrorCode};
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// assert_eq!(client.delete("/a", 7).await.unwrap_err().code(), Some(ErrorCode::BadVersion));
    /// client.delete("/a", 0).await?;
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn delete(&self, path: &str, version: i32) -> Call<()> {
        self.ask(&Request::Delete(Delete { path: Some(path.into()), version }), |_, _| Some(()))
    }

    /// Sets a znode's data; version -1 matches any.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::CreateMode;
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// assert_eq!(client.set_data("/a", b"new", 0).await?.version, 1);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn set_data(&self, path: &str, data: &[u8], version: i32) -> Call<Stat> {
        let request = Request::SetData(SetData { path: Some(path.into()), data: Some(data), version });
        self.ask(&request, |reply, _| stat(&reply))
    }

    /// Sets a znode's ACL; the version is the Stat's `aversion`, -1 matches any.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{Acl, CreateMode, perms};
    /// client.create("/a", b"", CreateMode::Persistent).await?;
    /// let all = Acl { perms: perms::ALL, scheme: "ip".into(), id: "127.0.0.1".into() };
    /// client.set_acl("/a", &[all.clone()], 0).await?;
    /// assert_eq!(client.get_acl("/a").await?.0, [all]);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Call<Stat> {
        let request = Request::SetAcl(SetAcl { path: Some(path.into()), acl: Some(wire_acl(acl)), version });
        self.ask(&request, |reply, _| stat(&reply))
    }

    /// What was written anywhere before this call is seen by reads called after it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// let (sync, names) = (client.sync("/"), client.get_children("/"));
    /// sync.await?;
    /// assert_eq!(names.await?.0, ["zookeeper"]);
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn sync(&self, path: &str) -> Call<()> {
        self.ask(&Request::Sync { path: Some(path.into()) }, |_, _| Some(()))
    }

    /// A transaction: see [`Multi`].
    pub fn multi(&self) -> Multi<'_> {
        Multi::new(self)
    }

    /// Several reads in one request: see [`MultiRead`].
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// The identities of this connection.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// client.add_auth("digest", b"user:secret").await?;
    /// assert!(client.who_am_i().await?.iter().any(|id| (id.scheme.as_str(), id.id.as_str()) == ("digest", "user")));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn who_am_i(&self) -> Call<Vec<AuthId>> {
        self.ask(&Request::WhoAmI, |reply, _| {
            let Reply::WhoAmI(infos) = reply else { return None };
            let ids = infos.unwrap_or_default().into_iter();
            Some(ids.map(|info| AuthId { scheme: owned(info.scheme), id: owned(info.user) }).collect())
        })
    }

    /// The ensemble's configuration as text, and its Stat.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// let (config, _) = client.config().await?;
    /// println!("{}", String::from_utf8_lossy(&config));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn config(&self) -> Call<(Vec<u8>, Stat)> {
        let request = Request::GetData { path: Some(CONFIG.into()), watch: false };
        self.ask_raw(&request, CONFIG, None, |answer, asked| {
            data(&good_reply(&answer, asked.path)?).ok_or_else(|| other_shape(&answer))
        })
    }

    /// Changes the ensemble by members that join (`id=host:port:port;port`) and leave (ids); the result is the new
    /// configuration. `from_version` is that of the configuration to change, in hexadecimal in its last line; -1 matches
    /// any.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// use ostler_client::aio::ErrorCode;
    /// let alone = client.reconfig(&[], &["7"], -1).await.unwrap_err();
    /// assert_eq!(alone.code(), Some(ErrorCode::Unimplemented));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn reconfig(&self, joining: &[&str], leaving: &[&str], from_version: i64) -> Call<(Vec<u8>, Stat)> {
        let list = |items: &[&str]| (!items.is_empty()).then(|| items.join(",").into());
        let (joining, leaving) = (list(joining), list(leaving));
        let request = Request::Reconfig { joining, leaving, new_members: None, config_id: from_version };
        self.ask(&request, |reply, _| data(&reply))
    }

    /// Replaces the whole ensemble by these members (`server.id=host:port:port;port`), as [`Client::reconfig`].
    pub fn reconfig_to(&self, members: &[&str], from_version: i64) -> Call<(Vec<u8>, Stat)> {
        let new_members = Some(members.join(",").into());
        let request = Request::Reconfig { joining: None, leaving: None, new_members, config_id: from_version };
        self.ask(&request, |reply, _| data(&reply))
    }
}

pub(super) fn stat(reply: &Reply<'_>) -> Option<Stat> {
    match reply {
        Reply::Stat(stat) => Some(*stat),
        _ => None,
    }
}

pub(super) fn data(reply: &Reply<'_>) -> Option<(Vec<u8>, Stat)> {
    match reply {
        Reply::Data { data, stat } => Some((data.unwrap_or_default().to_vec(), *stat)),
        _ => None,
    }
}
