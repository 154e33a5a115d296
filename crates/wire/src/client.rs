//! Records of the client protocol as a server reads and writes them (client-protocol.md sections 3, 5, 6, 15).
//!
//! A server decodes [`ConnectRequest`], then per frame a [`RequestHeader`] and the body with [`decode_request`]. It
//! answers with a [`FrameWriter`], [`encode_error`] and [`encode_event`], which append whole frames to an output
//! buffer. The other direction is in [`crate::peer`].

mod frame;
mod handshake;
mod header;
mod multi;
mod reply;
mod request;

pub use frame::FrameWriter;
pub use handshake::{ConnectRequest, ConnectResponse};
pub use header::{ReplyHeader, RequestHeader};
pub use reply::{encode_error, encode_event, who_am_i_user};
pub use request::decode_request;
