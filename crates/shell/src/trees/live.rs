//! A tree at servers, read ahead: the walk and a bounded number of reads of data and ACLs are under way together.

use crate::error::CommandError;
use crate::trees::Node;
use crate::walk::{Order, Walk};
use ostler_client::aio::{Acl, Call, Client, ErrorCode, Stat};
use std::collections::VecDeque;

/// Znodes whose data is under way at a time.
pub const READS_MAX: usize = 32;

/// The servers' own znodes, which are no part of what people keep.
const OWN: &str = "/zookeeper";
const OWN_BELOW: &str = "/zookeeper/";

type Data = Call<(Option<Vec<u8>>, Stat)>;
type Lists = Call<(Vec<Acl>, Stat)>;

/// A subtree of a session's servers.
#[derive(Debug)]
pub struct Live {
    client: Client,
    root: String,
    with_acls: bool,
    with_ephemerals: bool,
    walk: Walk,
    walked: bool,
    ahead: VecDeque<(String, Data, Option<Lists>)>,
    /// Ephemerals that were left out.
    pub skipped: u64,
}

impl Live {
    /// A stream of the nodes from this one down; ephemerals only if they are wanted.
    pub fn new(client: &Client, root: &str, with_acls: bool, with_ephemerals: bool) -> Live {
        let walk = Walk::new(client, root, Order::ParentsFirst);
        let (client, root) = (client.clone(), root.to_owned());
        let ahead = VecDeque::new();
        Live { client, root, with_acls, with_ephemerals, walk, walked: false, ahead, skipped: 0 }
    }

    /// The next node. Those that vanish meanwhile are left out, but for the root.
    ///
    /// # Errors
    /// A znode cannot be read.
    pub async fn next(&mut self) -> Result<Option<Node>, CommandError> {
        loop {
            while !self.walked && self.ahead.len() < READS_MAX {
                let Some(visited) = self.walk.next().await? else {
                    self.walked = true;
                    break;
                };
                if self.root == "/" && (visited.path == OWN || visited.path.starts_with(OWN_BELOW)) {
                    continue;
                }
                if visited.stat.ephemeral_owner != 0 && !self.with_ephemerals && visited.depth > 0 {
                    self.skipped += 1;
                    continue;
                }
                let data = self.client.get_nullable(&visited.path);
                let acl = self.with_acls.then(|| self.client.get_acl(&visited.path));
                self.ahead.push_back((visited.path, data, acl));
            }
            let Some((path, data, acl)) = self.ahead.pop_front() else { return Ok(None) };
            let is_gone = |error: &ostler_client::aio::Error| error.code() == Some(ErrorCode::NoNode);
            let data = match data.await {
                Err(error) if is_gone(&error) && path != self.root => continue,
                other => other?.0,
            };
            let acl = match acl {
                None => None,
                Some(acl) => match acl.await {
                    Err(error) if is_gone(&error) && path != self.root => continue,
                    other => Some(other?.0),
                },
            };
            let path = if self.root == "/" { path } else { path[self.root.len()..].to_owned() };
            let path = if path == "/" { String::new() } else { path };
            return Ok(Some(Node { path, data, acl }));
        }
    }
}
