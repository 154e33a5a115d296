//! The rules of the election transport (E§2.3, E§2.4): who connects to whom, when again, and what is sent.
//!
//! Two servers share one connection: the one with the greater id makes it. A server with the smaller id that has
//! something to say connects, sends its opening message and hangs up; that wakes the other, which connects back. Each
//! server has a mailbox of one message: a newer one takes the place of one that was not sent yet, since only the
//! newest vote matters.
//!
//! [`Links::step`] takes the time and a [`LinkEvent`] and appends [`LinkAction`]s, to be carried out in order. Sockets
//! and names live elsewhere; handshakes are read there too, any number at a time, so that a silent or
//! ill-behaved caller delays nobody.
//!
//! Beyond Apache's rules:
//! * A voter keeps a connection to every other voter also when nobody looks for a leader: the end of such a connection
//!   tells at once that a server died, and an election begins without dialling.
//! * What waits in a mailbox is dropped when a connection is made: whoever is told [`LinkAction::Up`] sends a fresh
//!   notification (DEV-3).
//! * While looking, a voter that does not answer is dialled again although its connection seems to stand (DEV-13, BUG-40).
//! * Dials to different servers never wait for each other (BUG-35), and their pace is bounded: each failure doubles the
//!   pause, up to a few hundred milliseconds while looking. A connection that did not last counts as a failure: two
//!   servers with the same id would otherwise replace each other's connections without end.

mod api;
mod rules;

pub use api::{ConnId, LinkAction, LinkClose, LinkEvent};

use crate::Notification;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ostler_model::ServerId;

/// The first pause after a failed dial; it doubles with each further one.
const RETRY_MIN_MS: u64 = 20;
/// The longest pause while looking for a leader.
const RETRY_LOOKING_MAX_MS: u64 = 320;
/// The longest pause otherwise.
const RETRY_IDLE_MAX_MS: u64 = 5_000;
/// How long a woken server has for connecting back.
const WAKE_MS: u64 = 250;
/// A connection that lived this long was a good one.
const STABLE_MS: u64 = 1_000;
/// Messages without an answer, and the time without an answer, after which a connection is not trusted any more. The
/// time doubles with each attempt: an Apache server that looks in the same round has nothing to answer.
const UNANSWERED_MAX: u32 = 3;
const PATIENCE_MIN_MS: u64 = 1_000;
const PATIENCE_MAX_MS: u64 = 16_000;
/// Connections of servers that are no members.
const STRANGERS_MAX: usize = 64;

/// The election connections of one server.
#[derive(Clone, Debug)]
pub struct Links {
    me: ServerId,
    voters: BTreeSet<ServerId>,
    observers: BTreeSet<ServerId>,
    looking: bool,
    /// Voters, and whoever is connected or was sent to. Never this server.
    peers: BTreeMap<ServerId, Peer>,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    conn: Option<Conn>,
    dial: Option<Dial>,
    /// The message to be sent next. Present only while `conn` is busy or absent.
    mailbox: Option<Notification>,
    /// Where it said it is: for a member, to be tried once; for a stranger, all there is.
    address: Option<Arc<str>>,
    /// Dials that failed and connections that did not last, since a good one.
    failures: u32,
    /// Not before then, and not before it had time to connect back after it was woken.
    dial_at_ms: u64,
    woken_until_ms: u64,
    /// How long the next silence is borne.
    patience_ms: u64,
    /// What was reported last: true for Up.
    reported: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Conn {
    id: ConnId,
    since_ms: u64,
    /// A message is being written.
    busy: bool,
    unanswered: u32,
    heard_at_ms: u64,
}

/// A dial in progress: one per server at most.
#[derive(Clone, Copy, Debug)]
struct Dial {
    /// The silent connection it is to replace.
    instead_of: Option<ConnId>,
}

impl Links {
    /// No connections, no members.
    pub fn new(me: ServerId) -> Links {
        Links { me, voters: BTreeSet::new(), observers: BTreeSet::new(), looking: false, peers: BTreeMap::new() }
    }

    /// Handles one event.
    pub fn step(&mut self, now_ms: u64, event: LinkEvent, actions: &mut Vec<LinkAction>) {
        match event {
            LinkEvent::Members { voters, observers } => {
                (self.voters, self.observers) = (voters, observers);
                for voter in self.voters.iter().filter(|voter| **voter != self.me) {
                    self.peers.entry(*voter).or_default();
                }
            }
            LinkEvent::Looking(looking) => self.set_looking(now_ms, looking),
            LinkEvent::Notify { to, notification } => self.notify(to, notification, actions),
            LinkEvent::Dialled { peer, conn } => self.dialled(now_ms, peer, conn, actions),
            LinkEvent::DialFailed { peer } => self.dial_failed(now_ms, peer, actions),
            LinkEvent::Accepted { peer, conn, address } => self.accepted(now_ms, peer, conn, address, actions),
            LinkEvent::Heard { conn } => {
                if let Some((_, peer)) = self.find(conn) {
                    peer.heard(now_ms);
                }
            }
            LinkEvent::Written { conn } => self.written(conn, actions),
            LinkEvent::Down { conn } => self.down(now_ms, conn, actions),
            LinkEvent::Tick => {}
        }
        self.dial_what_is_due(now_ms, actions);
        self.forget_strangers();
    }

    /// When [`LinkEvent::Tick`] is due.
    pub fn next_deadline(&self) -> Option<u64> {
        self.peers.iter().filter_map(|(id, peer)| self.due(*id, peer)).min()
    }

    /// If there is a connection to this server.
    pub fn is_up(&self, peer: ServerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.conn.is_some())
    }
}

#[cfg(test)]
mod tests;
