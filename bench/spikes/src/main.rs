//! Step 0 (ii): what a get and a set cost in three layouts, measured with skeletons (rules.md section 6).
//!
//! `spikes` starts each server as a child process, drives it over loopback and divides the child's CPU time by the
//! operations it answered. Requests and replies have the size of real ones (get: 46 bytes of data); a set is answered
//! after the fdatasync of a log record. Usage: `spikes [SECONDS]`; `spikes floor [SECONDS]` measures what the sockets alone
//! cost at depth 1, with epoll and with io_uring.

mod echo;
mod hops;
mod load;
mod log;
mod merged;
mod tasks;
mod uring;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A request: length, xid, op, 8 bytes of key.
pub const REQUEST: usize = 20;
/// Any reply: length, 16 bytes of header, 46 of data, 68 of Stat.
pub const REPLY: usize = 4 + 16 + 46 + 68;
/// The op of a set; anything else is a get.
pub const SET: u8 = 5;
/// Keys in the table.
pub const KEYS: u64 = 10_000;

/// The table that gets read and sets change.
pub type Table = std::collections::HashMap<u64, [u8; 46]>;

pub fn table() -> Table {
    (0..KEYS).map(|key| (key, [7; 46])).collect()
}

/// Appends the reply to `request`.
pub fn answer(table: &Table, request: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + REPLY, 0);
    out[start..start + 4].copy_from_slice(&(REPLY as u32 - 4).to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&request[4..8]);
    if let Some(data) = table.get(&key(request)) {
        out[start + 20..start + 66].copy_from_slice(data);
    }
}

pub fn key(request: &[u8]) -> u64 {
    u64::from_be_bytes(request[12..20].try_into().expect("8 bytes"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("merged") => merged::serve(),
        Some("hops") => hops::serve(),
        Some("tasks") => tasks::serve(),
        Some("echo") => echo::serve(),
        Some("uring") => uring::serve(),
        // The floor of depth 1: nothing but the kernel's sockets.
        Some("floor") => {
            let seconds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(3);
            for _ in 0..3 {
                for server in ["echo", "merged", "uring"] {
                    measure(server, "get", 128, 1, Duration::from_secs(seconds));
                }
            }
        }
        other => {
            let seconds = other.and_then(|text| text.parse().ok()).unwrap_or(3);
            for (clients, depth) in [(128, 1), (10, 100), (1, 1)] {
                for op in ["get", "set"] {
                    for server in ["merged", "hops", "tasks"] {
                        measure(server, op, clients, depth, Duration::from_secs(seconds));
                    }
                }
            }
        }
    }
}

fn measure(server: &str, op: &str, clients: usize, depth: usize, time: Duration) {
    let mut child: Child = Command::new(std::env::current_exe().expect("own path"))
        .arg(server)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the server");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("piped")), &mut line)
        .expect("port");
    let port: u16 = line.trim().parse().expect("port");
    let mut load = load::Load::connect(port, clients, depth, op == "set");
    load.run(Duration::from_millis(500));
    let before = cpu_us(child.id());
    let started = Instant::now();
    let result = load.run(time);
    let wall = started.elapsed();
    let cpu = cpu_us(child.id()) - before;
    println!(
        "{op} {clients:>3} x {depth:<3} {server:<7} {:>8.0} ops/s  {:>6.2} us CPU/op  p50 {:>6} us  p99 {:>6} us",
        result.operations as f64 / wall.as_secs_f64(),
        cpu as f64 / result.operations as f64,
        result.percentile_us(50.0),
        result.percentile_us(99.0),
    );
    child.kill().expect("kill");
    child.wait().expect("wait");
}

/// utime + stime of a process.
fn cpu_us(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields: Vec<&str> = text.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime");
    ticks * 10_000
}
