//! Time as the shell hands it in, and the name of a connection.

use std::fmt;

/// The moment of a call. Both clocks come from the shell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Monotonic milliseconds since any fixed point: time-outs and latencies.
    pub mono_ms: u64,
    /// Milliseconds since 1970: times in Stats and logs.
    pub wall_ms: i64,
}

/// Names a connection for as long as the process lives; never reused (rules.md 1.5).
///
/// Bits 0-19 are the slot within the shard (small, dense, reused: the shell may index its sockets with it), 20-27
/// the shard, 28-63 a serial number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

const SLOT_BITS: u32 = 20;
const SHARD_BITS: u32 = 8;

impl ConnId {
    /// Slots that a shard has.
    pub const SLOTS: usize = 1 << SLOT_BITS;

    pub(crate) fn new(serial: u64, shard: u8, slot: usize) -> ConnId {
        assert!(slot < Self::SLOTS, "slot {slot} beyond the slab");
        ConnId((serial << (SLOT_BITS + SHARD_BITS)) | (u64::from(shard) << SLOT_BITS) | slot as u64)
    }

    /// Index of the connection within its shard; reused after the connection is gone.
    pub const fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }

    /// The shard that owns it.
    pub const fn shard(self) -> usize {
        ((self.0 >> SLOT_BITS) & ((1 << SHARD_BITS) - 1)) as usize
    }

    /// The whole id as a number, for logs.
    pub const fn raw(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn {}.{}#{}", self.shard(), self.slot(), self.0 >> (SLOT_BITS + SHARD_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_survive() {
        let id = ConnId::new(77, 3, 12_345);
        assert_eq!((id.slot(), id.shard()), (12_345, 3));
        assert_ne!(id, ConnId::new(78, 3, 12_345));
    }
}
