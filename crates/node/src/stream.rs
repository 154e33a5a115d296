//! The ordered stream of a shard: applied entries, answers of the replica, attachments (rules.md section 2).
//!
//! The shell owns one [`Stream`] per shard. Only [`Replica`](crate::Replica) pushes, only [`Shard`](crate::Shard)
//! pops. Entries of one apply are one [`Batch`] that all shards share.

use crate::ConnId;
use crate::watches::Table;
use ostler_model::{SessionId, Zxid};
use ostler_tree::{Change, TxnResult};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// The request that a transaction or an answer belongs to. Replies belong to a connection, never to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The connection it came from.
    pub conn: ConnId,
    /// Its number among the requests of that connection that went away.
    pub seq: u64,
}

/// One applied transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the order.
    pub zxid: Zxid,
    /// Whose session it was, or [`SessionId::NONE`].
    pub session: SessionId,
    /// Who waits for the reply: only the shard of that connection looks at it.
    pub origin: Option<Origin>,
    /// Its changes, as a range of [`Batch::changes`].
    pub changes: Range<usize>,
    /// The reply.
    pub result: TxnResult,
}

/// The transactions of one apply, the same for all shards.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In zxid order.
    pub entries: Vec<Entry>,
    /// The changes of all entries.
    pub changes: Vec<Change>,
}

/// The replica's answer to a request that was away and made no transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Whose request.
    pub origin: Origin,
    /// The tree's zxid when it ran; the shard has handled exactly this much when it meets the answer.
    pub zxid: Zxid,
    /// The answer.
    pub body: DoneBody,
}

/// What the replica did with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DoneBody {
    /// A read, executed: the whole reply frame, and whether its watch (if it asked for one) is to be registered.
    Reply {
        /// Frame with length prefix and header.
        frame: Vec<u8>,
        /// The watch it asked for, if it is to be registered.
        watch: Option<WatchOn>,
    },
    /// Runs at the shard, here: ping, whoAmI, watches, sync's echo, refusals.
    Local,
    /// A write that does not decode: -5 without a transaction.
    Undecodable,
    /// Nothing is answered: the session is closing, or the connection is gone.
    Dropped,
}

/// A one-shot watch that comes with a read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchOn {
    pub(crate) table: Table,
    pub(crate) path: Arc<str>,
}

/// One item of a stream.
#[derive(Clone, Debug)]
pub enum Item {
    /// Entries, and this shard's answers between them: each stands behind the first `n` entries.
    Batch {
        /// Shared by all shards.
        batch: Arc<Batch>,
        /// (n, answer), n ascending.
        dones: Vec<(usize, Done)>,
    },
    /// An answer behind everything pushed before.
    Done(Done),
    /// The session of this connection was taken over by another one, or the connection spoke for a session that is
    /// not its own: close it.
    Evict(ConnId),
    /// A handshake with an existing session succeeded (`Some`: its time-out) or failed (`None`: the expired answer).
    Attached {
        /// The connection that asked.
        conn: ConnId,
        /// The session it now holds.
        session: SessionId,
        /// Milliseconds; `None` = invalid.
        timeout_ms: Option<i32>,
    },
    /// The replica is about to expire this session: has its connection been silent since? (rules.md 1.8)
    Probe {
        /// The connection that holds it.
        conn: ConnId,
        /// The session that is due.
        session: SessionId,
    },
    /// A member begins to serve clients in an established epoch.
    Start {
        /// Where the tree stands.
        zxid: Zxid,
        /// The epoch: clients that have seen its beginning are welcome.
        epoch: u32,
    },
    /// A member without a quorum begins to serve clients that are content with reading.
    StartReadOnly {
        /// Where the tree stands, and stays.
        zxid: Zxid,
    },
    /// A member serves no more: all connections are closed; answer with
    /// [`SubmitItem::Stopped`](crate::SubmitItem::Stopped).
    Stop,
    /// Read the sockets once, then answer [`SubmitItem::HaveRead`](crate::SubmitItem::HaveRead) (rules.md 1.8).
    ReadOnce,
}

/// A shard's FIFO.
#[derive(Debug, Default)]
pub struct Stream {
    items: VecDeque<Item>,
    batches: usize,
}

impl Stream {
    /// An empty stream.
    pub fn new() -> Stream {
        Stream::default()
    }

    /// Batches pushed and not yet popped.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Items pushed and not yet popped.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True if the shard has nothing to handle.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.batches += usize::from(matches!(item, Item::Batch { .. }));
        self.items.push_back(item);
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.batches -= usize::from(matches!(item, Item::Batch { .. }));
        Some(item)
    }
}
