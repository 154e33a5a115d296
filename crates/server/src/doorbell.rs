//! Wakes the turn loop from another thread, at most once per sleep.
//!
//! The loop says that it is about to sleep and looks once more at what the other threads left for it; they leave
//! something and ring. Without the flag every group commit would cost a system call and an extra turn under load.

use mio::Waker;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rung by log, snapshot and signal threads, answered by the loop.
#[derive(Debug)]
pub struct Doorbell {
    waker: Waker,
    asleep: AtomicBool,
}

impl Doorbell {
    /// Around the loop's waker.
    pub fn new(waker: Waker) -> Doorbell {
        Doorbell { waker, asleep: AtomicBool::new(false) }
    }

    /// Something was left for the loop. Call it after leaving it.
    pub fn ring(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            // Without it the loop would sleep for ever; a dead process is better than a deaf one.
            panic!("the loop cannot be woken: {error}");
        }
    }

    /// The loop is about to sleep: what is left from now on rings. It must look for what was left before.
    pub fn doze(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    /// The loop is awake.
    pub fn up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}
