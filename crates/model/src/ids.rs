//! Transaction ids, server ids, session ids and session passwords (client-protocol.md section 4).

use core::fmt;

/// A transaction id: the epoch in the high 32 bits, a counter within the epoch in the low 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid of an empty tree.
    pub const ZERO: Zxid = Zxid(0);

    /// Joins an epoch and a counter.
    pub const fn new(epoch: u32, counter: u32) -> Zxid {
        Zxid(((epoch as i64) << 32) | counter as i64)
    }

    /// The leader's epoch in which this transaction was proposed.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The position within the epoch.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next zxid of the same epoch, or `None` when the counter is used up (the leader must resign).
    pub const fn next(self) -> Option<Zxid> {
        if self.counter() == u32::MAX { None } else { Some(Zxid(self.0 + 1)) }
    }

    /// True if `next` may directly follow `self` in a history: same epoch and counter + 1, or a higher epoch
    /// that starts at counter 1 (rules.md 1.6).
    pub const fn is_followed_by(self, next: Zxid) -> bool {
        if self.epoch() == next.epoch() {
            self.0 + 1 == next.0
        } else {
            next.epoch() > self.epoch() && next.counter() == 1
        }
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a server in its ensemble: the number of its `server.N` line and of its `myid` file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

impl ServerId {
    /// No server: what an observer votes for (ensemble.md section 4.4).
    pub const NONE: ServerId = ServerId(i64::MIN);

    /// True if a member may have this id: negative ones and the greatest mean "nobody" and "anonymous" to Apache.
    pub const fn is_legal(self) -> bool {
        0 <= self.0 && self.0 < i64::MAX
    }

    /// The byte that this server's session ids begin with: the low 8 bits of the id (ensemble.md section 10).
    pub const fn session_byte(self) -> u8 {
        self.0 as u8
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server.{}", self.0)
    }
}

/// The id of a client's session; 0 means "none". The top byte names the server that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session (internal transactions, new connections).
    pub const NONE: SessionId = SessionId(0);

    /// The first id that a server hands out after it started at `now_ms`; later ids count up by one.
    ///
    /// Byte 7 is the server id, bytes 6 to 2 the low 40 bits of the time (client-protocol.md section 4).
    pub const fn first_of(server_id: u8, now_ms: i64) -> SessionId {
        let time = ((now_ms as u64) << 24) >> 8;
        let id = (time | ((server_id as u64) << 56)) as i64;
        SessionId(if id == i64::MIN { id + 1 } else { id })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The password of a session: a function of its id alone, the same on every server, so that sessions can move
/// between members of an ensemble, Apache's included (client-protocol.md section 4).
pub fn session_password(session: SessionId) -> [u8; 16] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut seed = ((session.0 as u64 ^ 0xB341_5C00) ^ MULTIPLIER) & MASK;
    let mut password = [0; 16];
    for chunk in password.chunks_exact_mut(4) {
        seed = seed.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        chunk.copy_from_slice(&((seed >> 16) as u32).to_le_bytes());
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_matches_the_vector_recorded_from_apache() {
        let expected = [0xa0, 0x15, 0x71, 0xb2, 0xad, 0x26, 0xa9, 0x0f, 0x7e, 0xb1, 0x41, 0xf9, 0x3e, 0x0f, 0x3a, 0xa0];
        assert_eq!(session_password(SessionId(0x0100_0010_83fe_0000)), expected);
    }

    #[test]
    fn first_session_id_carries_server_and_time() {
        let id = SessionId::first_of(1, 0x1234_5678_9abc).0 as u64;
        assert_eq!(id >> 56, 1);
        assert_eq!(id & 0xffff, 0);
        assert_eq!((id >> 16) & 0xff_ffff_ffff, 0x34_5678_9abc);
    }

    #[test]
    fn the_session_byte_is_the_low_byte() {
        assert_eq!(ServerId(3).session_byte(), 3);
        assert_eq!(ServerId(0x1ff).session_byte(), 0xff);
    }

    #[test]
    fn adjacency_crosses_epochs_only_at_counter_one() {
        assert!(Zxid::new(1, 7).is_followed_by(Zxid::new(1, 8)));
        assert!(!Zxid::new(1, 7).is_followed_by(Zxid::new(1, 9)));
        assert!(Zxid::new(1, 7).is_followed_by(Zxid::new(3, 1)));
        assert!(!Zxid::new(1, 7).is_followed_by(Zxid::new(2, 2)));
        assert_eq!(Zxid::new(2, u32::MAX).next(), None);
    }
}
