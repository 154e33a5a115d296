//! Access control lists and the identities of a connection (client-protocol.md section 13).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;

/// Permission bits.
pub mod perms {
    /// Read data and list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// One entry of a znode's ACL. `perms` is kept as the client sent it (Apache validates nothing).
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct Acl {
    pub perms: i32,
    pub scheme: String,
    pub id: String,
}

/// A znode's whole ACL, shared: lists are interned in the tree and travel with events.
pub type AclList = Arc<[Acl]>;

/// An identity that a connection has proved (or was given, for `ip`).
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the protocol's names")]
pub struct AuthId {
    pub scheme: String,
    pub id: String,
}

/// The identities of a connection at one moment. An auth packet makes a new list; requests keep the one they
/// were received under.
pub type AuthIds = Arc<[AuthId]>;

fn world(perms: i32) -> AclList {
    Arc::from(vec![Acl { perms, scheme: "world".into(), id: "anyone".into() }])
}

/// world:anyone:cdrwa.
pub fn open_acl() -> AclList {
    world(perms::ALL)
}

/// world:anyone:r, the ACL of `/zookeeper/config`.
pub fn read_only_acl() -> AclList {
    world(perms::READ)
}
