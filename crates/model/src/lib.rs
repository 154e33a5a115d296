//! The nouns that every part of Ostler shares, with no logic but their validity.
//!
//! Ids and times ([`Zxid`], [`ServerId`], [`SessionId`]), znode paths ([`path`]), [`Stat`], ACLs ([`Acl`],
//! [`AuthId`]), the requests of the client protocol ([`Request`]), the transactions of the log ([`Txn`]), the members
//! of an ensemble ([`Ensemble`]) and the syntax of its configuration ([`properties`]), dates ([`date`]), seeded choices ([`Dice`]), Apache's error codes
//! ([`ErrorCode`]) and the bounds of everything ([`limits`]). Nothing here reads clocks or files.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod acl;
pub mod date;
mod dice;
mod ensemble;
mod error;
mod event;
mod ids;
pub mod limits;
mod op;
mod owner;
pub mod path;
mod peer_state;
pub mod properties;
mod request;
mod stat;
mod txn;

pub use acl::{Acl, AclList, AuthId, AuthIds, open_acl, perms, read_only_acl};
pub use dice::Dice;
pub use ensemble::{
    ClientAddress, Endpoint, Ensemble, EnsembleError, Host, Member, PeerAddress, Reconfig, ReconfigError, Role,
    version_of_file_name,
};
pub use error::ErrorCode;
pub use event::{EventType, KEEPER_STATE_SYNC_CONNECTED, WatchMode};
pub use ids::{ServerId, SessionId, Zxid, session_password};
pub use op::OpCode;
pub use owner::{MAX_TTL_MS, Owner};
pub use peer_state::PeerState;
pub use request::{
    Blob, CheckVersion, Create, CreateOp, Delete, MultiOp, Request, SetAcl, SetData, Text, WatcherType, WireAcl,
};
pub use stat::{Stat, StoredStat};
pub use txn::{CreateTxn, Txn, TxnHeader};
