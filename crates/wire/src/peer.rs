//! Records of the client protocol as a client writes and reads them: the other side of [`crate::client`].
//!
//! [`encode_request`] appends a whole request frame, [`decode_reply`] reads the body of a reply to a known operation
//! and [`WatcherEvent::decode`] an event's. [`encode_reply`] is the inverse for tests and for servers that hold a
//! whole [`Reply`].

mod reply;
mod request;

pub use reply::{ClientInfo, MultiResult, Reply, WatcherEvent, decode_reply, encode_reply};
pub use request::{encode_request, op_code};
