//! What a member of an ensemble asks of its shell: sockets, the disk, the tree's bytes.

use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_zab::{DiskOp, Generation, LinkId, ServingRole, Trace};
use std::sync::Arc;

/// Which port of a server a connection goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Port {
    /// Votes.
    Election,
    /// Learner and leader.
    Quorum,
}

/// Something to be done by the shell, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Connect; then tell [`Member::connected`](super::Member::connected) or
    /// [`Member::hung_up`](super::Member::hung_up). Names are resolved anew each time.
    Dial {
        /// The name of the connection.
        link: LinkId,
        /// The server.
        server: ServerId,
        /// Its port.
        port: Port,
        /// Where, if not where the ensemble says: `host:port`.
        address: Option<Arc<str>>,
    },
    /// A durable effect: all of them pass through one FIFO, in order. Answered by
    /// [`Member::disk_done`](super::Member::disk_done).
    Disk {
        /// Comes back with the answer.
        generation: Generation,
        /// What.
        op: DiskOp,
    },
    /// Build the tree anew from disk, put it in the place of the one there is, then tell
    /// [`Member::tree_reloaded`](super::Member::tree_reloaded).
    Reload {
        /// Comes back with the answer.
        generation: Generation,
        /// The last transaction to be contained.
        upto: Zxid,
    },
    /// Read records from the log and hand them over with [`Member::send_record`](super::Member::send_record) while
    /// [`Member::has_room`](super::Member::has_room), then tell [`Member::history_sent`](super::Member::history_sent).
    SendHistory {
        /// The connection.
        link: LinkId,
        /// Exclusive.
        after: Zxid,
        /// Inclusive.
        upto: Zxid,
    },
    /// Walk the tree (E§7.4): first [`Member::begin_tree`](super::Member::begin_tree), then bytes with
    /// [`Member::send_tree`](super::Member::send_tree) while [`Member::has_room`](super::Member::has_room), then
    /// [`Member::tree_sent`](super::Member::tree_sent).
    SendTree {
        /// The connection.
        link: LinkId,
        /// What the SNAP packet must name at least.
        at_least: Zxid,
    },
    /// These bytes are part of a tree that is being received. Answered, when it is whole or damaged, by
    /// [`Member::tree_received`](super::Member::tree_received).
    TreeBytes {
        /// The connection.
        link: LinkId,
        /// What the SNAP packet named: the zxid of that tree.
        label: Zxid,
        /// The next ones.
        bytes: Vec<u8>,
    },
    /// Whatever is being sent to or received from this connection: stop.
    Forget {
        /// The connection.
        link: LinkId,
    },
    /// Clients are served from now on.
    Serving {
        /// As what.
        role: ServingRole,
        /// In which epoch.
        epoch: u32,
    },
    /// Clients are not served any more.
    StoppedServing,
    /// There is no quorum: clients that ask for no more may read from now on.
    ServingReadOnly,
    /// There is no quorum, and what this server holds is no state that may be shown.
    NothingToShow,
    /// Read-only mode is over.
    StoppedReadOnly,
    /// This ensemble is in force.
    Activate(Box<Ensemble>),
    /// Leadership was handed over, or there was none: nothing keeps this server.
    Resigned,
    /// For logs and metrics.
    Trace(Trace),
    /// Something is wrong with what a peer says, and does not matter here.
    PeerNotice {
        /// What, in words.
        what: String,
    },
    /// Something about a peer that an operator asks about: its connection is closed.
    PeerTrouble {
        /// Which connection.
        link: LinkId,
        /// Who is at the other end, if known.
        server: Option<ServerId>,
        /// What happened, in words.
        what: String,
    },
}
