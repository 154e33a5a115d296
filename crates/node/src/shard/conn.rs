//! One connection.

use super::arrivals::Arrivals;
use super::buffer::Buffer;
use super::figures::ConnFigures;
use super::long::Long;
use crate::ConnId;
use ostler_model::{AuthId, AuthIds, SessionId};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Waits for its first frame, or a four-letter word.
    Handshake,
    /// A four-letter word is with the shell.
    Command,
    /// The handshake is with the replica; nothing more is looked at until it is answered.
    Connecting,
    /// Serving a session.
    Open,
    /// The last request that will be answered is away; later input is ignored.
    Ending,
    /// Output is flushed, then the connection is forgotten.
    Closing,
}

/// A request that is at the replica.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) seq: u64,
    pub(super) xid: i32,
    pub(super) op: i32,
    pub(super) received_ms: u64,
    /// What a local operation needs when its turn comes.
    pub(super) body: Vec<u8>,
    /// It waited too long: -127 in its place.
    pub(super) throttled: bool,
    /// Its bytes, if it is a large request.
    pub(super) large: usize,
}

/// One connection. Its queue of requests is its input: frames are decoded when their turn comes, so what waits costs
/// its bytes and nothing else.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) peer: SocketAddr,
    pub(super) state: State,
    pub(super) input: Buffer,
    pub(super) output: Buffer,
    /// What it has proved so far. Requests are captured with the list of their moment; events use this one.
    pub(super) ids: AuthIds,
    pub(super) session: SessionId,
    pub(super) timeout_ms: i32,
    /// The client sent the readOnly byte, so it gets one.
    pub(super) knows_read_only: bool,
    /// On a read-only server: the session is not one that it made.
    pub(super) foreign: bool,
    /// Requests at the replica, in order.
    pub(super) away: VecDeque<Away>,
    pub(super) next_seq: u64,
    /// A listing or setWatches that takes several turns; nothing behind it is looked at meanwhile.
    pub(super) long: Option<Box<Long>>,
    /// It stands in the shard's ready queue.
    pub(super) queued: bool,
    /// It stands in the shard's list of those that need a credit.
    pub(super) starved: bool,
    /// It stands in the list of dirty connections.
    pub(super) dirty: bool,
    /// Its socket is not read until [`crate::Outbox::resumed`] says so.
    pub(super) paused: bool,
    /// The peer sends nothing more.
    pub(super) eof: bool,
    /// Its next request runs only when nothing is away.
    pub(super) waits_for_away: bool,
    /// Its requests wait until it takes its output.
    pub(super) choked: bool,
    /// The shard's timer for it.
    pub(super) deadline_ms: Option<u64>,
    /// From when on a request moves the session to a later expiry bucket.
    pub(super) next_touch_ms: u64,
    /// Since when its next request waits for a credit; 0 = it does not.
    pub(super) starved_ms: u64,
    /// When its input came, if a setting asks for that.
    pub(super) arrivals: Option<Box<Arrivals>>,
    /// Bytes of the large request at the front of its input.
    pub(super) large: usize,
    pub(super) figures: ConnFigures,
    #[cfg(any(test, feature = "mutants"))]
    pub(super) set_aside: VecDeque<(u64, Vec<u8>)>,
}

impl Conn {
    pub(super) fn new(id: ConnId, peer: SocketAddr, established_wall_ms: i64) -> Conn {
        let address = AuthId { scheme: "ip".into(), id: address_text(peer.ip()) };
        Conn {
            id,
            peer,
            state: State::Handshake,
            input: Buffer::default(),
            output: Buffer::default(),
            ids: Arc::from([address]),
            session: SessionId::NONE,
            timeout_ms: 0,
            knows_read_only: true,
            foreign: false,
            away: VecDeque::new(),
            next_seq: 0,
            long: None,
            queued: false,
            starved: false,
            dirty: false,
            paused: false,
            eof: false,
            waits_for_away: false,
            choked: false,
            deadline_ms: None,
            next_touch_ms: 0,
            starved_ms: 0,
            arrivals: None,
            large: 0,
            figures: ConnFigures::new(established_wall_ms),
            #[cfg(any(test, feature = "mutants"))]
            set_aside: VecDeque::new(),
        }
    }

    /// Adds an identity, unless it is there already.
    pub(super) fn add_id(&mut self, scheme: &str, id: String) {
        let id = AuthId { scheme: scheme.to_owned(), id };
        if !self.ids.contains(&id) {
            self.ids = self.ids.iter().cloned().chain([id]).collect();
        }
    }
}

/// An address as Java prints it (`InetAddress.getHostAddress`): IPv4 dotted, IPv6 as eight groups without
/// compression; a mapped IPv4 address is an IPv4 address.
pub(super) fn address_text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups: Vec<String> = address.segments().iter().map(|group| format!("{group:x}")).collect();
            groups.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_as_in_java() {
        let text = |address: &str| address_text(address.parse().expect("an address"));
        assert_eq!(text("127.0.0.1"), "127.0.0.1");
        assert_eq!(text("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(text("fe80::ab"), "fe80:0:0:0:0:0:0:ab");
        assert_eq!(text("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
