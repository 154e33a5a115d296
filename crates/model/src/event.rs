//! Watch events and watch modes (client-protocol.md section 14).

/// The state field of every watch event a server sends.
pub const KEEPER_STATE_SYNC_CONNECTED: i32 = 3;

/// The type field of a watch event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(i32)]
#[allow(missing_docs, reason = "the protocol's names")]
pub enum EventType {
    NodeCreated = 1,
    NodeDeleted = 2,
    NodeDataChanged = 3,
    NodeChildrenChanged = 4,
}

/// How a registered watch behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WatchMode {
    /// Fires once.
    Standard,
    /// Stays, for the path and its children's comings and goings.
    Persistent,
    /// Stays, for the path and everything below it.
    Recursive,
}
