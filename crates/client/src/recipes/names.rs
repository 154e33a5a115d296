//! The names of znodes in queues: how ours look, and how those of other clients are read.
//!
//! Ours are Curator's: `_c_UUID-lock-0000000007`, where the UUID names the attempt, so that after a lost connection the
//! asker finds out whether its znode was made. kazoo's are `HEX__lock__0000000007`. Servers append the number.

use std::hash::{BuildHasher, RandomState};

/// Digits at the end of a sequential znode's name.
const DIGITS: usize = 10;

/// The number at the end of a sequential znode's name; `None` for a znode that is no such.
pub(crate) fn sequence(name: &str) -> Option<u64> {
    name.get(name.len().checked_sub(DIGITS)?..)?.parse().ok()
}

/// True for a znode of somebody who shares the lock with other readers: Curator's and kazoo's names.
pub(crate) fn is_reader(name: &str) -> bool {
    name.contains("__READ__") || name.contains("__rlock__")
}

/// A znode's path.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// The last component of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A random UUID (version 4) as Curator writes it; [`RandomState`] is seeded by the operating system.
pub(crate) fn uuid() -> String {
    let random = RandomState::new();
    let (high, low) = (random.hash_one(1), random.hash_one(2));
    uuid_of(high, low)
}

fn uuid_of(high: u64, low: u64) -> String {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_at_the_end_of_any_clients_name() {
        assert_eq!(sequence("_c_0a1b-lock-0000000007"), Some(7));
        assert_eq!(sequence("0123abcd__lock__0000000008"), Some(8));
        assert_eq!(sequence("config"), None);
        assert_eq!(sequence("lock-000000000x"), None);
        assert_eq!(sequence("ü000000000"), None);
    }

    #[test]
    fn uuids_have_their_form() {
        assert_eq!(uuid_of(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_of(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(uuid(), uuid());
    }
}
