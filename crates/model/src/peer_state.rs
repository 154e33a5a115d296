//! What the members of an ensemble tell one another they are doing.

use core::fmt;

/// What a server is doing. The numbers are those of Apache's notifications (ensemble.md section 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum PeerState {
    /// Looking for a leader.
    Looking = 0,
    /// Following one.
    Following = 1,
    /// Leading.
    Leading = 2,
    /// Observing.
    Observing = 3,
}

impl PeerState {
    /// The state of this number, if there is one.
    pub fn from_code(code: i32) -> Option<PeerState> {
        use PeerState::{Following, Leading, Looking, Observing};
        [Looking, Following, Leading, Observing].into_iter().find(|state| *state as i32 == code)
    }
}

/// In lower case, as in `mntr` and in log lines.
impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeerState::Looking => "looking",
            PeerState::Following => "following",
            PeerState::Leading => "leading",
            PeerState::Observing => "observing",
        })
    }
}
