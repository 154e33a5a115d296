//! What must hold, one invariant a file, each with its source. The [`Referee`] keeps what they need: the order of all
//! committed transactions, the naive model after each of them, and what clients asked for.

pub mod digest;
pub mod ensemble;
pub mod expiry;
pub mod fifo;
pub mod liveness;
pub mod locks;
pub mod order;
pub mod reads;
pub mod realtime;
pub mod reconnect;
pub mod survival;
pub mod watches;
pub mod writes;

use crate::heap::Micros;
use crate::model::{Change, State, Versions, members_in};
use ostler_model::{AuthIds, Ensemble, OpCode, SessionId, Txn, TxnHeader, Zxid};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An invariant is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The check that found it.
    pub check: &'static str,
    /// What, where.
    pub words: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.check, self.words)
    }
}

/// Nothing, or what is broken.
pub type Verdict = Result<(), Violation>;

/// A broken invariant in words.
pub fn broken(check: &'static str, words: impl Into<String>) -> Violation {
    Violation { check, words: words.into() }
}

/// A committed transaction and what it did.
#[derive(Debug)]
pub struct Entry {
    /// Its place.
    pub zxid: Zxid,
    /// Header, body and digest, as in the log.
    pub record: Arc<[u8]>,
    /// Decoded.
    pub header: TxnHeader,
    /// Decoded.
    pub txn: Txn,
    /// What happened to nodes, in the order in which watches fire.
    pub changes: Vec<Change>,
    /// The model's digest behind it.
    pub digest: i64,
}

/// A write that a client sent.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which operation.
    pub op: OpCode,
    /// Its body.
    pub body: Vec<u8>,
    /// The identities of the connection.
    pub ids: AuthIds,
    /// The transaction it became.
    pub done: Option<Zxid>,
}

/// The order of transactions, the model, the requests.
pub struct Referee {
    /// Committed, in order.
    pub entries: Vec<Entry>,
    /// The model behind the last entry.
    pub state: State,
    /// The model behind every entry.
    pub versions: Versions,
    /// How many entries each server has applied.
    pub applied: Vec<usize>,
    /// Writes by session and xid.
    pub asked: BTreeMap<(SessionId, i32), Asked>,
    /// Of each session the xid of its last transaction.
    pub last_cxid: BTreeMap<SessionId, i32>,
    /// The newest zxid that a client was told of a write, by epoch.
    pub acknowledged: BTreeMap<u32, Zxid>,
    /// Writes acknowledged to clients.
    pub acknowledged_count: u64,
    /// What the members of an ensemble did.
    pub members: ensemble::Members,
    /// Who holds the lock that recipes' contenders want.
    pub locks: locks::Locks,
    /// When bytes of a session last reached the machine of the server that holds it.
    pub heard: BTreeMap<SessionId, Micros>,
}

impl Referee {
    /// Nothing has happened yet.
    pub fn new(servers: usize, first: Ensemble) -> Referee {
        let mut state = State::new();
        state.members = members_in(&first.to_string());
        Referee {
            entries: Vec::new(),
            versions: Versions::of(&state),
            state,
            applied: vec![0; servers],
            asked: BTreeMap::new(),
            last_cxid: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            acknowledged_count: 0,
            members: ensemble::Members::new(servers, first),
            locks: locks::Locks::default(),
            heard: BTreeMap::new(),
        }
    }

    /// The last committed transaction.
    pub fn last_zxid(&self) -> Zxid {
        self.entries.last().map_or(Zxid::ZERO, |entry| entry.zxid)
    }

    /// How many entries there are up to and including `zxid`.
    pub fn position(&self, zxid: Zxid) -> usize {
        self.entries.partition_point(|entry| entry.zxid <= zxid)
    }

    /// The entry with this zxid.
    pub fn entry(&self, zxid: Zxid) -> Option<&Entry> {
        let position = self.position(zxid).checked_sub(1)?;
        Some(&self.entries[position]).filter(|entry| entry.zxid == zxid)
    }
}
