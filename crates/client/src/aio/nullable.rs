//! Null data. Servers keep apart a znode whose data is empty and one that has none, as Apache's shell makes them; programs
//! seldom care, tools must show it.

use crate::aio::call::Call;
use crate::aio::client::Client;
use crate::aio::watcher::{Kind, WatchOnce};
use crate::calls::{CreateMode, owned};
use ostler_model::{Acl, Create, Request, Stat};
use ostler_wire::peer::Reply;

impl Client {
    /// A znode's data, `None` if it is null, and its Stat.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let server = ostler_test::TestServer::start();
    /// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
    /// # use ostler_client::aio::{Acl, CreateMode, perms};
    /// let open = [Acl { perms: perms::ALL, scheme: "world".into(), id: "anyone".into() }];
    /// client.create_nullable("/null", None, CreateMode::Persistent, &open).await?;
    /// client.create_nullable("/empty", Some(b""), CreateMode::Persistent, &open).await?;
    /// assert_eq!(client.get_nullable("/null").await?.0, None);
    /// assert_eq!(client.get_nullable("/empty").await?.0, Some(Vec::new()));
    /// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
    /// ```
    pub fn get_nullable(&self, path: &str) -> Call<(Option<Vec<u8>>, Stat)> {
        self.ask(&Request::GetData { path: Some(path.into()), watch: false }, |reply, _| nullable(&reply))
    }

    /// The same, and a watch that tells when the data is no longer true or the znode is gone.
    pub fn get_nullable_and_watch(&self, path: &str) -> Call<(Option<Vec<u8>>, Stat, WatchOnce)> {
        let (watch, seat) = self.registration(path, Kind::Data);
        let request = Request::GetData { path: Some(path.into()), watch: true };
        self.ask_and(&request, Some(watch), |reply, _| {
            nullable(&reply).map(|(data, stat)| (data, stat, WatchOnce::new(seat)))
        })
    }

    /// Creates a znode with data or without.
    pub fn create_nullable(
        &self,
        path: &str,
        data: Option<&[u8]>,
        mode: CreateMode,
        acl: &[Acl],
    ) -> Call<(String, Stat)> {
        let create = Create { data, ..mode.request(path, &[], acl) };
        self.ask(&Request::Create(create), |reply, chroot| match reply {
            Reply::Created { path, stat } => Some((chroot.inside(&owned(path)).to_owned(), stat)),
            _ => None,
        })
    }
}

fn nullable(reply: &Reply<'_>) -> Option<(Option<Vec<u8>>, Stat)> {
    match reply {
        Reply::Data { data, stat } => Some((data.map(<[u8]>::to_vec), *stat)),
        _ => None,
    }
}
