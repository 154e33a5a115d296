//! What reaches the election transport and what it wants done.

use crate::Notification;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use ostler_model::ServerId;

/// Names a connection of the election port; the caller gives it out and never uses it again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum LinkEvent {
    /// Who the members of the ensembles (in force and newest) are. The first event, and after each change.
    Members {
        /// Those that vote.
        voters: BTreeSet<ServerId>,
        /// The others.
        observers: BTreeSet<ServerId>,
    },
    /// This server begins (or ceases) to look for a leader.
    Looking(bool),
    /// [`Effect::Notify`](crate::Effect::Notify).
    Notify {
        /// Whom.
        to: ServerId,
        /// What.
        notification: Notification,
    },
    /// The connection asked for by [`LinkAction::Dial`] stands; nothing was sent on it.
    Dialled {
        /// The other end.
        peer: ServerId,
        /// The connection.
        conn: ConnId,
    },
    /// It could not be made.
    DialFailed {
        /// The other end.
        peer: ServerId,
    },
    /// Somebody connected to the election port and sent a valid handshake.
    Accepted {
        /// The id in the handshake.
        peer: ServerId,
        /// The connection.
        conn: ConnId,
        /// The election address in the handshake, if it had one.
        address: Option<Arc<str>>,
    },
    /// A notification arrived on this connection.
    Heard {
        /// The connection.
        conn: ConnId,
    },
    /// What was to be sent was given to the operating system: the next may follow.
    Written {
        /// The connection.
        conn: ConnId,
    },
    /// The connection ended, for whatever reason but [`LinkAction::Close`].
    Down {
        /// The connection.
        conn: ConnId,
    },
    /// Nothing but time passed.
    Tick,
}

/// Something is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum LinkAction {
    /// Connect to the election port of this server, and report [`LinkEvent::Dialled`] or [`LinkEvent::DialFailed`].
    /// Names are resolved anew each time.
    Dial {
        /// Whom.
        peer: ServerId,
        /// Where; none: where the ensemble says.
        address: Option<Arc<str>>,
    },
    /// Send the opening message, in one write.
    Handshake {
        /// The connection.
        conn: ConnId,
    },
    /// Send this notification, then report [`LinkEvent::Written`].
    Send {
        /// The connection.
        conn: ConnId,
        /// What.
        notification: Notification,
    },
    /// Close this connection after what was sent on it. No [`LinkEvent::Down`] follows.
    Close {
        /// The connection.
        conn: ConnId,
        /// For the log.
        why: LinkClose,
    },
    /// [`Event::ElectionUp`](crate::Event::ElectionUp). Also when a connection takes the place of another one.
    Up {
        /// The other end.
        peer: ServerId,
    },
    /// [`Event::ElectionDown`](crate::Event::ElectionDown).
    Down {
        /// The other end.
        peer: ServerId,
    },
}

/// Why a connection of the election port is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkClose {
    /// It was made only to wake a server with a greater id, which connects back.
    WokeUp,
    /// A server with a smaller id woke this one, which connects back.
    Woken,
    /// A newer connection to the same server took its place.
    Replaced,
    /// Nothing was heard on it, and the server could not be connected to again.
    Silent,
    /// The other side claims the id of this server: two servers have the same `myid`.
    OwnId,
    /// The other side claims an id that no server can have.
    BadId,
    /// Too many servers that are no members are connected.
    Strangers,
    /// It was not asked for (any more).
    Unwanted,
}
