//! Several operations in one request: transactions, and reads.

use crate::address::Chroot;
use crate::aio::call::Call;
use crate::aio::client::{Client, good_reply, other_shape};
use crate::aio::error::Error;
use crate::calls::{CreateMode, owned};
use ostler_model::{Acl, AclList, CheckVersion, Delete, MultiOp, Request, SetData, Stat, open_acl};
use ostler_wire::peer::{MultiResult as WireResult, Reply};

/// One operation as the caller gave it.
#[derive(Clone, Debug)]
enum Op {
    Create { path: String, data: Vec<u8>, mode: CreateMode, acl: AclList },
    Delete { path: String, version: i32 },
    SetData { path: String, data: Vec<u8>, version: i32 },
    Check { path: String, version: i32 },
}

/// A transaction: all of its operations happen, with one zxid, or none. [`Multi::commit`] sends it.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::aio::{CreateMode, Error, ErrorCode, MultiResult};
/// client.create("/a", b"one", CreateMode::Persistent).await?;
/// let done = client.multi().check("/a", 0).set_data("/a", b"two", 0).create("/b", b"", CreateMode::Persistent).commit().await?;
/// let [MultiResult::Checked, MultiResult::Set(stat), MultiResult::Created { path, .. }] = &done[..] else { panic!() };
/// assert_eq!((stat.version, path.as_str()), (1, "/b"));
/// let error = client.multi().delete("/b", -1).check("/a", 0).commit().await.unwrap_err();
/// assert!(matches!(error, Error::Multi { index: 1, .. }));
/// assert_eq!(error.code(), Some(ErrorCode::BadVersion));
/// assert!(client.exists("/b").await?.is_some());
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before commit()"]
pub struct Multi<'a> {
    client: &'a Client,
    ops: Vec<Op>,
}

/// What an operation of a transaction did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MultiResult {
    /// A znode was created.
    Created {
        /// Its path, with the number of a sequential one.
        path: String,
        /// Its Stat.
        stat: Stat,
    },
    /// A znode was deleted.
    Deleted,
    /// Data was set.
    Set(Stat),
    /// A version was as asked.
    Checked,
}

impl<'a> Multi<'a> {
    pub(super) fn new(client: &'a Client) -> Multi<'a> {
        Multi { client, ops: Vec::new() }
    }

    fn with(mut self, op: Op) -> Multi<'a> {
        self.ops.push(op);
        self
    }

    /// Creates a znode that everybody may do everything with.
    pub fn create(self, path: &str, data: &[u8], mode: CreateMode) -> Multi<'a> {
        self.create_with_acl(path, data, mode, &open_acl())
    }

    /// Creates a znode with an ACL.
    pub fn create_with_acl(self, path: &str, data: &[u8], mode: CreateMode, acl: &[Acl]) -> Multi<'a> {
        self.with(Op::Create { path: path.into(), data: data.into(), mode, acl: acl.into() })
    }

    /// Deletes a znode; version -1 matches any.
    pub fn delete(self, path: &str, version: i32) -> Multi<'a> {
        self.with(Op::Delete { path: path.into(), version })
    }

    /// Sets data; version -1 matches any.
    pub fn set_data(self, path: &str, data: &[u8], version: i32) -> Multi<'a> {
        self.with(Op::SetData { path: path.into(), data: data.into(), version })
    }

    /// Goes on only if the znode is there with this version; -1 matches any.
    pub fn check(self, path: &str, version: i32) -> Multi<'a> {
        self.with(Op::Check { path: path.into(), version })
    }

    /// Sends the transaction. The results are in the order of its operations; a refused operation is an [`Error::Multi`].
    pub fn commit(self) -> Call<Vec<MultiResult>> {
        let request = Request::Multi(self.ops.iter().map(wire).collect());
        let count = self.ops.len();
        self.client.ask_answer(&request, None, move |answer, asked| {
            let Reply::Multi(results) = good_reply(&answer, asked.path)? else { return Err(other_shape(&answer)) };
            // Those before the one that failed say 0, those behind it that something else failed.
            let is_cause = |result: &WireResult<'_>| matches!(result, WireResult::Error(err) if *err != 0);
            if let Some(index) = results.iter().position(is_cause) {
                let WireResult::Error(err) = results[index] else { unreachable!("it was just found") };
                return Err(Error::Multi { index, err });
            }
            let done: Option<Vec<_>> = results.into_iter().map(|result| done(result, asked.chroot)).collect();
            done.filter(|done| done.len() == count).ok_or_else(|| other_shape(&answer))
        })
    }
}

fn wire(op: &Op) -> MultiOp<'_> {
    match op {
        Op::Create { path, data, mode, acl } => MultiOp::Create(mode.request(path, data, acl)),
        Op::Delete { path, version } => MultiOp::Delete(Delete { path: Some(path.as_str().into()), version: *version }),
        Op::SetData { path, data, version } => {
            MultiOp::SetData(SetData { path: Some(path.as_str().into()), data: Some(data), version: *version })
        }
        Op::Check { path, version } => {
            MultiOp::Check(CheckVersion { path: Some(path.as_str().into()), version: *version })
        }
    }
}

fn done(result: WireResult<'_>, chroot: &Chroot) -> Option<MultiResult> {
    Some(match result {
        WireResult::Create2 { path, stat } => {
            MultiResult::Created { path: chroot.inside(&owned(path)).to_owned(), stat }
        }
        WireResult::Delete => MultiResult::Deleted,
        WireResult::SetData { stat } => MultiResult::Set(stat),
        WireResult::Check => MultiResult::Checked,
        // Creates are sent in the form that answers with a Stat.
        WireResult::Create { .. }
        | WireResult::GetData { .. }
        | WireResult::GetChildren { .. }
        | WireResult::Error(_) => {
            return None;
        }
    })
}

/// Several reads in one request. Each succeeds or fails on its own; they are not a snapshot of one moment.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let server = ostler_test::TestServer::start();
/// # let client = ostler_client::aio::Client::connect(&server.address()).await?;
/// use ostler_client::aio::{ErrorCode, ReadResult};
/// let results = client.multi_read().get_children("/").get_data("/nothing").send().await?;
/// assert_eq!(results, [Ok(ReadResult::Children(vec!["zookeeper".into()])), Err(ErrorCode::NoNode.code())]);
/// # Ok::<(), ostler_client::aio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before send()"]
pub struct MultiRead<'a> {
    client: &'a Client,
    /// Path, and whether its children are asked for.
    reads: Vec<(String, bool)>,
}

/// What one of several reads found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadResult {
    /// A znode's data and Stat.
    Data(Vec<u8>, Stat),
    /// The names of a znode's children, in no order.
    Children(Vec<String>),
}

impl<'a> MultiRead<'a> {
    pub(super) fn new(client: &'a Client) -> MultiRead<'a> {
        MultiRead { client, reads: Vec::new() }
    }

    /// Reads a znode's data.
    pub fn get_data(mut self, path: &str) -> MultiRead<'a> {
        self.reads.push((path.into(), false));
        self
    }

    /// Reads the names of a znode's children.
    pub fn get_children(mut self, path: &str) -> MultiRead<'a> {
        self.reads.push((path.into(), true));
        self
    }

    /// Sends the request. The results are in the order of the reads, each an answer or the server's error code
    /// (see [`ErrorCode`](crate::aio::ErrorCode)).
    pub fn send(self) -> Call<Vec<Result<ReadResult, i32>>> {
        let read = |(path, is_children): &(String, bool)| {
            let path = Some(path.clone().into());
            if *is_children {
                Request::GetChildren { path, watch: false }
            } else {
                Request::GetData { path, watch: false }
            }
        };
        let count = self.reads.len();
        self.client.ask(&Request::MultiRead(self.reads.iter().map(read).collect()), move |reply, _| {
            let Reply::Multi(results) = reply else { return None };
            let found: Option<Vec<_>> = results.into_iter().map(found).collect();
            found.filter(|found| found.len() == count)
        })
    }
}

fn found(result: WireResult<'_>) -> Option<Result<ReadResult, i32>> {
    Some(match result {
        WireResult::GetData { data, stat } => Ok(ReadResult::Data(data.unwrap_or_default().to_vec(), stat)),
        WireResult::GetChildren { names } => {
            Ok(ReadResult::Children(names.unwrap_or_default().into_iter().map(owned).collect()))
        }
        WireResult::Error(err) => Err(err),
        WireResult::Create { .. }
        | WireResult::Create2 { .. }
        | WireResult::Delete
        | WireResult::Check
        | WireResult::SetData { .. } => return None,
    })
}
