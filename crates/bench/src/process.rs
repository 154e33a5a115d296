//! What a server process costs, from /proc: CPU time of all its threads and resident memory.

use std::fs;
use std::io;

/// CPU time that all threads of a process have used, nanoseconds. Threads that have ended are missing; the kernel's
/// clock-tick count of the whole process has them but is too coarse for short runs.
pub(crate) fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// Resident memory of a process, bytes.
pub(crate) fn rss_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let pid = std::process::id();
        let before = cpu_ns(pid).expect("readable");
        let mut x = 1_u64;
        while cpu_ns(pid).expect("readable") == before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(rss_bytes(pid).expect("readable") > 100_000);
    }
}
