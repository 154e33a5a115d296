//! The binary's allocator, and who gives memory back to the system.
//!
//! mimalloc keeps what was freed for a second and then gives all of it back in one go, on whichever thread happens to
//! allocate: 25 system calls and 12 to 22 ms after 150 MB were freed, in the middle of one setData. No structure
//! proportional to the tree may be moved at once (rules.md 1.9), and this is one. So here the delay is set far beyond
//! reach, and a thread that nobody waits for gives back every few seconds what is free then.

use std::io;
use std::time::Duration;

/// The allocator of the binary and of the programs that measure for it.
pub type Allocator = mimalloc::MiMalloc;

/// Freed memory is given back this often.
const INTERVAL: Duration = Duration::from_secs(2);
/// mimalloc's own delay, counted from the first page freed since the last time: it never comes to that.
const DELAY_MS: std::ffi::c_long = 3_600_000;
/// `mi_option_purge_delay`, in the table of options of mimalloc 3 (mimalloc.h).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// The allocator of this program, to be named as its `#[global_allocator]`.
#[must_use]
pub const fn allocator() -> Allocator {
    mimalloc::MiMalloc
}

/// From now on memory is given back by a thread of its own, for as long as the process lives.
///
/// # Errors
/// The system refuses a thread; freed memory is then given back by the threads that allocate, as before.
pub fn give_back_in_background() -> io::Result<()> {
    std::thread::Builder::new().name("memory".to_owned()).spawn(|| {
        loop {
            std::thread::sleep(INTERVAL);
            give_back();
        }
    })?;
    // SAFETY: sets a number that mimalloc reads atomically; any thread may do so at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, DELAY_MS) };
    Ok(())
}

/// Gives back what no allocation uses, whoever freed it.
fn give_back() {
    // SAFETY: takes no pointers; it works on this thread's heap and on the free pages of the process, which it claims
    // one range after the other.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = allocator();

    fn resident_bytes() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says VmRSS");
        line.trim().strip_suffix(" kB").and_then(|kb| kb.parse::<usize>().ok()).expect("a number of kB") << 10
    }

    #[test]
    fn memory_is_given_back_by_another_thread_and_not_by_this_one() {
        const MANY: usize = 200 << 20;
        // SAFETY: reads a number.
        let delay_ms = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay_ms(), 1_000, "mimalloc's default: the number of the option is right");
        let boxes: Vec<Vec<u8>> = (0..MANY / 4_096).map(|_| vec![7; 4_096]).collect();
        let full = resident_bytes();
        assert!(full > MANY, "{full}");
        give_back_in_background().expect("there are threads");
        assert_eq!(delay_ms(), DELAY_MS);
        drop(boxes);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while resident_bytes() > full - MANY / 2 {
            assert!(std::time::Instant::now() < deadline, "{} bytes are still resident", resident_bytes());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
