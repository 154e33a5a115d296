//! Where Ostler answers differently on purpose. Each has its reason; everything else is a bug of Ostler.
//!
//! Most deviations cannot show up here, because the requests that bring them about would kill Apache and are not sent
//! to it (see [`crate::hazards`]).

use crate::side::Seen;
use std::fmt;

/// A difference that is meant.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Short name for the report.
    pub name: &'static str,
    /// Why we do not do as Apache does.
    pub reason: &'static str,
    /// True if this pair of answers to this request frame is the deviation.
    pub covers: fn(frame: &[u8], a: &Seen, b: &Seen) -> bool,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// All of them.
pub const DEVIATIONS: [Deviation; 0] = [];

/// The deviation that explains these answers.
pub fn explain(frame: &[u8], a: &Seen, b: &Seen) -> Option<&'static Deviation> {
    DEVIATIONS.iter().find(|deviation| (deviation.covers)(frame, a, b))
}
