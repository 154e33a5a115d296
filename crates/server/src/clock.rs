//! The two clocks, read once per turn and passed down.

use ostler_node::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads the time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Its monotonic time begins at one second, so that "one tick ago" never lies before the beginning.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// This moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: self.start.elapsed().as_millis() as u64 + 1_000, wall_ms: wall.as_millis() as i64 }
    }
}
