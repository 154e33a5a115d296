//! Apache's bytes: the jute encoding, the records of the client protocol and the records of the transaction log.
//!
//! Decoders never panic, return an error for anything malformed, and allocate no more than the input's size
//! (client-protocol.md sections 1 to 6, 15, 20; storage.md sections 2 and 3).
#![forbid(unsafe_code)]

pub mod client;
pub mod jute;
pub mod txn;
