//! What shards send to the replica.

use crate::{Command, ConnId, Origin};
use ostler_model::{AuthIds, OpCode, SessionId};

/// One message of a shard. The messages of a connection are in the order of its requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submit {
    /// Whose, and which.
    pub origin: Origin,
    /// What.
    pub item: SubmitItem,
}

/// What a shard asks of the replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubmitItem {
    /// A handshake, its time-out already clamped.
    Connect {
        /// 0 = a new session.
        session: SessionId,
        /// The password is the one of `session`.
        password_ok: bool,
        /// Negotiated, milliseconds.
        timeout_ms: i32,
    },
    /// A write: decoded and checked by the replica.
    Write {
        /// Which.
        op: OpCode,
        /// The client's number for it.
        xid: i32,
        /// The body of the frame, without header.
        body: Vec<u8>,
        /// Identities at the moment it was received.
        ids: AuthIds,
    },
    /// A read of the tree that stands behind a write of the same connection.
    Read {
        /// Which.
        op: OpCode,
        /// The client's number for it.
        xid: i32,
        /// The body of the frame, without header.
        body: Vec<u8>,
        /// Identities at the moment it was received.
        ids: AuthIds,
    },
    /// Something the shard itself will do when everything before it is done.
    Local,
    /// A sync: the shard echoes its path when everything before it is done; a follower will ask its leader.
    Sync,
    /// closeSession.
    Close {
        /// The client's number for it.
        xid: i32,
    },
    /// The connection is gone; its lane ends. `seq` is not used.
    Gone,
    /// Answer to a probe: nothing was heard of the session's connection. `seq` is not used.
    Silent {
        /// Which.
        session: SessionId,
    },
    /// Answer to [`Item::Stop`](crate::Item::Stop): all connections of the role that ended are let go; the connection
    /// is not used.
    Stopped {
        /// Which shard.
        shard: usize,
    },
    /// Answer to `ReadOnce`; the connection is not used.
    HaveRead {
        /// Which shard.
        shard: usize,
    },
}

/// What one turn of a shard leaves for the shell to carry on. The shell empties it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// For [`Replica::receive`](crate::Replica::receive), in order.
    pub submits: Vec<Submit>,
    /// For [`Replica::touch`](crate::Replica::touch), before the submits: sessions heard of, each about once per tick.
    pub touches: Vec<SessionId>,
    /// Four-letter words to be answered with [`Shard::answer`](crate::Shard::answer).
    pub commands: Vec<Command>,
    /// Connections whose reading had been stopped ([`Shard::wants_read`](crate::Shard::wants_read) was false) and
    /// that want to be read again.
    pub resumed: Vec<ConnId>,
}
