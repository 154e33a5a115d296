//! CPU time and memory of the servers, and CPU time of this process.

use crate::error::BenchError;
use crate::process;
use std::io;

/// CPU time from some moment on.
pub(crate) struct Cost<'a> {
    pids: &'a [u32],
    servers_ns: u64,
    own_ns: u64,
}

impl Cost<'_> {
    pub(crate) fn new(pids: &[u32]) -> Result<Cost<'_>, BenchError> {
        Ok(Cost { pids, servers_ns: sum(pids, process::cpu_ns)?, own_ns: sum(&[std::process::id()], process::cpu_ns)? })
    }

    /// Seconds of the servers, if there are any whose processes are known, and of this process.
    pub(crate) fn until_now(&self) -> Result<(Option<f64>, f64), BenchError> {
        let now = Cost::new(self.pids)?;
        let since = |now: u64, then: u64| now.saturating_sub(then) as f64 / 1e9;
        let servers = since(now.servers_ns, self.servers_ns);
        Ok(((!self.pids.is_empty()).then_some(servers), since(now.own_ns, self.own_ns)))
    }
}

/// What `of` says of each process, together.
fn sum(pids: &[u32], of: fn(u32) -> io::Result<u64>) -> Result<u64, BenchError> {
    let of = |&pid: &u32| of(pid).map_err(|source| BenchError::Process { pid, source });
    pids.iter().map(of).sum()
}

pub(crate) fn rss_bytes(pids: &[u32]) -> Result<Option<u64>, BenchError> {
    Ok(if pids.is_empty() { None } else { Some(sum(pids, process::rss_bytes)?) })
}
