//! Wakes the turn loop from another thread, at most once per sleep.
//!
//! The other threads leave something and ring. Without the states, every group commit would cost a system call and an
//! extra turn under load; and a ring between the loop's last look and its sleep would be lost.

use mio::Waker;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
/// Rung since the loop last went to sleep or got up.
const RUNG: u8 = 2;

/// Rung by log, snapshot and signal threads, answered by the loop.
#[derive(Debug)]
pub struct Doorbell {
    bell: Bell,
    waker: Waker,
}

impl Doorbell {
    /// Around the loop's waker.
    pub fn new(waker: Waker) -> Doorbell {
        Doorbell { bell: Bell::default(), waker }
    }

    /// Something was left for the loop. Call it after leaving it.
    pub fn ring(&self) {
        if self.bell.ring() {
            let woken: io::Result<()> = self.waker.wake();
            // Without it the loop would sleep for ever; a dead process is better than a deaf one.
            woken.expect("an eventfd takes a write");
        }
    }

    /// The loop wants to sleep. False: somebody rang since it got up, so it must look again first.
    pub fn doze(&self) -> bool {
        self.bell.doze()
    }

    /// The loop is awake and will look at everything that was left.
    pub fn up(&self) {
        self.bell.up();
    }
}

/// The states, without the system call.
#[derive(Debug, Default)]
struct Bell(AtomicU8);

impl Bell {
    /// True: the sleeper must be woken.
    fn ring(&self) -> bool {
        self.0.swap(RUNG, Ordering::SeqCst) == ASLEEP
    }

    fn doze(&self) -> bool {
        self.0.compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn up(&self) {
        self.0.store(AWAKE, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let bell = Bell::default();
        assert!(bell.doze());
        assert!(bell.ring());
        assert!(!bell.ring());
        bell.up();
        assert!(bell.doze());
    }

    #[test]
    fn a_ring_before_the_sleep_is_not_lost() {
        let bell = Bell::default();
        assert!(!bell.ring());
        assert!(!bell.doze());
        bell.up();
        assert!(bell.doze());
    }
}
