//! What errors say that the session core, the blocking driver and the asynchronous client have in common.

use crate::effect::Cause;
use std::time::Duration;

pub(crate) const EXPIRED: &str =
    "the session has expired\nhint: open a new one; ephemeral nodes and watches have to be made again";
pub(crate) const AUTH_FAILED: &str = "the server refused the identity given with an auth packet\nhint: check scheme and credentials, then open a new session";
pub(crate) const READ_ONLY: &str =
    "the server can only be read while it has no quorum\nhint: wait until the session is connected again for writing";

/// The connection was lost before the answer; `sent`: the request may have reached a server.
pub(crate) fn loss(sent: bool, why: &Cause) -> String {
    let hint = if sent {
        "a write may have happened: read before you repeat it"
    } else {
        "it was not sent: it can be repeated"
    };
    format!("the connection was lost before the answer ({why})\nhint: {hint}")
}

/// No server took the session; `last` is what the last attempt met.
pub(crate) fn not_connected(waited: Duration, last: &str) -> String {
    let ms = waited.as_millis();
    format!("no server took the session within {ms} ms: {last}\nhint: is a server running at this address?")
}
