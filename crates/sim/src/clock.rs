//! What a server takes for the time: its own rate, its own start, and steps of its wall clock.

use crate::heap::Micros;
use ostler_model::Dice;
use ostler_node::Now;

/// Clocks of servers are off by at most this many parts of a thousand; checks of durations allow for it.
pub const DRIFT_PER_MILLE: u64 = 5;

/// A server's clocks. The monotonic one never goes back, not even over restarts of the process.
#[derive(Clone, Debug)]
pub struct Clock {
    /// How many microseconds it counts in a million.
    rate: u64,
    start_mono_ms: u64,
    wall_offset_ms: i64,
}

impl Clock {
    /// A clock that is a little off.
    pub fn new(dice: &mut Dice) -> Clock {
        let drift = DRIFT_PER_MILLE * 1_000;
        Clock {
            rate: dice.between(1_000_000 - drift, 1_000_000 + drift),
            start_mono_ms: dice.between(1_000, 10_000_000),
            wall_offset_ms: dice.between(0, 20_000) as i64 - 10_000,
        }
    }

    fn elapsed_ms(&self, at: Micros) -> u64 {
        (u128::from(at) * u128::from(self.rate) / 1_000_000_000) as u64
    }

    /// What it shows.
    pub fn now(&self, at: Micros) -> Now {
        let elapsed_ms = self.elapsed_ms(at);
        Now {
            mono_ms: self.start_mono_ms + elapsed_ms,
            wall_ms: 1_700_000_000_000 + elapsed_ms as i64 + self.wall_offset_ms,
        }
    }

    /// When it will show this monotonic time.
    pub fn when(&self, mono_ms: u64) -> Micros {
        let elapsed_ms = mono_ms.saturating_sub(self.start_mono_ms);
        (u128::from(elapsed_ms) * 1_000_000_000).div_ceil(u128::from(self.rate)) as Micros
    }

    /// Somebody sets the wall clock.
    pub fn jump(&mut self, dice: &mut Dice) {
        self.wall_offset_ms += dice.between(0, 120_000) as i64 - 60_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_the_first_moment_that_shows_the_time() {
        let clock = Clock::new(&mut Dice::new(7));
        for at in (0..100_000_000).step_by(777_777) {
            let mono_ms = clock.now(at).mono_ms + 5;
            let due = clock.when(mono_ms);
            assert!(clock.now(due).mono_ms >= mono_ms && clock.now(due - 1).mono_ms < mono_ms);
        }
    }
}
