//! After healing everything works again in bounded time (zab-invariants.md LIV-1, LIV-4 to LIV-6): every server serves
//! with the same state, every client writes and is answered.

use super::{Verdict, broken};
use crate::heap::Micros;

const CHECK: &str = "liveness";

/// How long after healing everything must be in order again.
pub const HEALED_WITHIN_US: Micros = 90_000_000;

/// What is not in order.
pub fn late(what: &[String]) -> Verdict {
    if what.is_empty() {
        return Ok(());
    }
    Err(broken(CHECK, format!("LIV: {} s after healing: {}", HEALED_WITHIN_US / 1_000_000, what.join("; "))))
}
