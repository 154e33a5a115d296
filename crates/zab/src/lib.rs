//! ZAB: election, discovery, synchronisation and broadcast as one pure state machine.
//!
//! [`Zab::step`] takes the time and an [`Event`], and appends [`Effect`]s to a list; [`Zab::next_deadline`] says when it
//! wants to be called again. Clocks, sockets, files, threads and random numbers live elsewhere. Payloads are opaque
//! bytes: what a transaction means is the node's business.
//!
//! A reader who knows the paper finds each phase in a place of its own:
//!
//! | phase | file |
//! |---|---|
//! | 0, leader election (fast leader election) | `election.rs`, its transport rules in `links.rs` |
//! | 1, discovery | `leader/discovery.rs`, `learner/discovery.rs` |
//! | 2, synchronisation | `leader/sync.rs` (the choice of DIFF, TRUNC or SNAP in `plan.rs`), `learner/sync.rs` |
//! | 3, broadcast | `leader/broadcast.rs`, `learner/broadcast.rs` |
//!
//! Citations: "E§" is the ensemble reference, INV, BUG and DEV the catalogue of invariants, known bugs and safe
//! deviations.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod configs;
mod effect;
mod election;
mod event;
mod history;
mod leader;
mod learner;
mod links;
mod message;
mod plan;
mod settings;
mod state;
mod status;
mod trace;
mod vote;
mod window;
mod zab;

pub use effect::{CloseWhy, DiskOp, Effect, ServingRole};
pub use event::{Boot, DiskDone, Event};
pub use history::{Epochs, History, Span};
pub use links::{ConnId, LinkAction, LinkClose, LinkEvent, Links};
pub use message::Message;
pub use ostler_model::PeerState;
pub use settings::{Quirks, Settings};
pub use status::{LearnerPhase, LearnerStatus, Status, ZabPhase};
pub use trace::{RoleEnd, SyncKind, Trace};
pub use vote::{Notification, Vote};
pub use zab::Zab;

/// The bytes of a transaction as they stand in the log: shared, never copied.
pub type Payload = alloc::sync::Arc<[u8]>;

/// Names a quorum connection for as long as the process lives; never reused. The node gives it out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId(pub u64);

/// Counts the roles of this process, Looking included. Durable effects of an older one are not waited for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Generation(pub u64);

/// Names a barrier; the node gives it out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Barrier(pub u64);
