//! The answers about the server itself: `conf`, `dirs`, `envi`, `srvr`, `stat`, `mntr`.

use super::{Scene, VERSION};
use crate::config::Config;
use crate::metrics::average;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `conf` of a standalone server.
pub fn conf(config: &Config, client_port: i32) -> String {
    let (data, log) = version_dirs(config);
    let (data_size, log_size) = (dir_bytes(&data), dir_bytes(&log));
    let backlog = config.listen.as_ref().map_or(-1, |listen| listen.backlog);
    format!(
        "clientPort={client_port}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={data_size}\ndataLogDir={}\n\
         dataLogSize={log_size}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n\
         clientPortListenBacklog={backlog}\nserverId=0\n",
        data.display(),
        log.display(),
        config.tick_time_ms,
        config.max_client_cnxns,
        config.min_session_timeout_ms,
        config.max_session_timeout_ms
    )
}

/// `dirs`.
pub fn dirs(config: &Config) -> String {
    let (data, log) = version_dirs(config);
    format!("datadir_size: {}\nlogdir_size: {}\n", dir_bytes(&data), dir_bytes(&log))
}

fn version_dirs(config: &Config) -> (PathBuf, PathBuf) {
    (config.data_dir.join("version-2"), config.data_log_dir.join("version-2"))
}

/// Sum of the lengths of a directory's files, preallocated bytes included. 0 if it cannot be read.
fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let files = entries.flatten().filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file);
    files.map(|file| file.len()).sum()
}

/// `envi`: Apache's keys; what belongs to a Java machine is `<NA>`.
pub fn environment() -> String {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "<NA>".to_owned());
    let (total, available) = memory_mb();
    let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "<NA>".to_owned());
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "<NA>".to_owned());
    let dir = std::env::current_dir().map_or_else(|_| "<NA>".to_owned(), |dir| dir.display().to_string());
    let mut out = format!("Environment:\nzookeeper.version={VERSION}\nhost.name={host}\n");
    for key in ["version", "vendor", "home", "class.path", "library.path"] {
        let _ = writeln!(out, "java.{key}=<NA>");
    }
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    };
    let _ = write!(
        out,
        "java.io.tmpdir={}\njava.compiler=<NA>\nos.name=Linux\nos.arch={arch}\nos.version={kernel}\nuser.name={}\n\
         user.home={}\nuser.dir={dir}\nos.memory.free={available}MB\nos.memory.max={total}MB\n\
         os.memory.total={total}MB\n",
        std::env::temp_dir().display(),
        variable("USER"),
        variable("HOME")
    );
    out
}

/// Total and available memory of the machine.
fn memory_mb() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    (field("MemTotal:"), field("MemAvailable:"))
}

/// `srvr`, and `stat` with the lines of its clients.
pub fn server(scene: &Scene<'_>, clients: Option<&str>) -> String {
    let stats = scene.shard.stats();
    let mut out = format!("Zookeeper version: {VERSION}\n");
    if let Some(clients) = clients {
        out.push_str("Clients:\n");
        out.push_str(clients);
    }
    let _ = write!(
        out,
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\n\
         Mode: standalone\nNode count: {}\n",
        stats.latency_min_ms,
        average(stats.latency_total_ms, stats.answered),
        stats.latency_max_ms,
        stats.packets_received,
        stats.packets_sent,
        stats.connections,
        stats.outstanding,
        scene.tree.zxid(),
        scene.tree.node_count()
    );
    out
}

/// `mntr`.
pub fn monitor(scene: &Scene<'_>) -> String {
    let stats = scene.shard.stats();
    let replica = scene.replica.stats();
    let mut metrics = *scene.metrics;
    metrics.connection_rejected = stats.refused;
    metrics.proposal_count = replica.proposed;
    metrics.commit_count = replica.applied;
    metrics.stale_sessions_expired = replica.expired;
    let mut out = format!("zk_version\t{VERSION}\nzk_server_state\tstandalone\n");
    let mut gauge = |name: &str, value: u64| {
        let _ = writeln!(out, "zk_{name}\t{value}");
    };
    gauge("ephemerals_count", scene.tree.ephemerals_count() as u64);
    gauge("num_alive_connections", stats.connections as u64);
    gauge("outstanding_requests", stats.outstanding as u64);
    gauge("znode_count", scene.tree.node_count() as u64);
    gauge("global_sessions", replica.sessions as u64);
    gauge("local_sessions", 0);
    gauge("packets_sent", stats.packets_sent);
    gauge("packets_received", stats.packets_received);
    gauge("watch_count", stats.watches as u64);
    gauge("min_latency", stats.latency_min_ms);
    gauge("max_latency", stats.latency_max_ms);
    gauge("approximate_data_size", scene.tree.approximate_data_size());
    gauge("open_file_descriptor_count", open_files());
    gauge("max_file_descriptor_count", max_files());
    gauge("uptime", scene.now.mono_ms.saturating_sub(scene.started_mono_ms));
    gauge("auth_failed_count", metrics.auth_failed_count);
    for name in [
        "last_client_response_size",
        "max_client_response_size",
        "min_client_response_size",
        "outstanding_tls_handshake",
        "non_mtls_remote_conn_count",
        "non_mtls_local_conn_count",
    ] {
        gauge(name, 0);
    }
    let average = average(stats.latency_total_ms, stats.answered);
    let _ = write!(out, "zk_avg_latency\t{average}\nzk_connection_drop_probability\t0.0\n");
    metrics.write_mntr(&mut out);
    out
}

fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

fn max_files() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
