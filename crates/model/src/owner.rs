//! The four kinds of znodes, and how Apache hides them in `ephemeralOwner` (client-protocol.md section 16).

use crate::SessionId;

/// The longest time to live of a TTL node: 40 bits of milliseconds.
pub const MAX_TTL_MS: i64 = (1 << 40) - 1;

const CONTAINER: i64 = i64::MIN;
const TTL_MARK: i64 = 0xff00_0000_0000_0000_u64 as i64;
const TTL_MARK_AND_RESERVED: i64 = 0xffff_ff00_0000_0000_u64 as i64;

/// Who or what keeps a znode alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Lives until it is deleted.
    Persistent,
    /// Lives as long as this session.
    Session(SessionId),
    /// Deleted by the server some time after its last child.
    Container,
    /// Deleted by the server when it has no children and was not modified for this many milliseconds.
    Ttl(i64),
}

impl Owner {
    /// Reads the stored form. A TTL mark is understood whatever `extendedTypesEnabled` says, so that a restart
    /// without the flag does not take TTL nodes for ephemerals of a dead session (a deliberate difference).
    pub const fn from_raw(raw: i64) -> Owner {
        if raw == 0 {
            Owner::Persistent
        } else if raw == CONTAINER {
            Owner::Container
        } else if raw & TTL_MARK_AND_RESERVED == TTL_MARK {
            Owner::Ttl(raw & MAX_TTL_MS)
        } else {
            Owner::Session(SessionId(raw))
        }
    }

    /// The stored form.
    pub const fn to_raw(self) -> i64 {
        match self {
            Owner::Persistent => 0,
            Owner::Session(id) => id.0,
            Owner::Container => CONTAINER,
            Owner::Ttl(ms) => TTL_MARK | (ms & MAX_TTL_MS),
        }
    }

    /// The owning session, or [`SessionId::NONE`]: what clients see as `ephemeralOwner`.
    pub const fn session(self) -> SessionId {
        match self {
            Owner::Session(id) => id,
            _ => SessionId::NONE,
        }
    }

    /// True for an ephemeral node.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Owner::Session(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_stored_form() {
        for owner in [
            Owner::Persistent,
            Owner::Container,
            Owner::Ttl(1),
            Owner::Ttl(MAX_TTL_MS),
            Owner::Session(SessionId(0x0100_0000_0000_0001)),
            Owner::Session(SessionId(-2)),
        ] {
            assert_eq!(Owner::from_raw(owner.to_raw()), owner);
        }
    }
}
