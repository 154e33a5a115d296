//! Apache's bytes: the jute encoding, the records of the client protocol and the records of the transaction log.
//!
//! [`jute`] has the primitives, [`client`] what a server reads and writes, [`peer`] what a client writes and reads,
//! [`txn`] the records of logs and proposals. Servers among themselves speak [`election`] and [`quorum`]. Decoders never panic, return an error for anything malformed, and
//! allocate no more than a small multiple of the input's size (client-protocol.md sections 1 to 6, 15, 20;
//! storage.md sections 2 and 3;
//! ensemble.md sections 2, 3 and 5).
#![forbid(unsafe_code)]

pub mod client;
pub mod election;
pub mod jute;
pub mod peer;
pub mod quorum;
pub mod txn;
mod utf8;
