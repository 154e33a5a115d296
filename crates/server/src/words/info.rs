//! The answers about the server itself: `conf`, `dirs`, `envi`, `srvr`, `stat`, `mntr`.

use super::{Scene, VERSION, ensemble};
use crate::config::Config;
use crate::log_thread::LogFigures;
use crate::metrics::{Figures, Metrics, average};
use ostler_node::Shard;
use ostler_tree::Tree;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `conf`.
pub fn conf(scene: &Scene<'_>) -> String {
    let (config, client_port) = (scene.config, scene.client_port);
    let (data, log) = version_dirs(config);
    let (data_size, log_size) = (dir_bytes(&data), dir_bytes(&log));
    let backlog = config.listen.as_ref().map_or(-1, |listen| listen.backlog);
    let server_id = config.ensemble.as_ref().map_or(0, |ensemble| ensemble.me.0);
    let mut out = format!(
        "clientPort={client_port}\nsecureClientPort=-1\ndataDir={}\ndataDirSize={data_size}\ndataLogDir={}\n\
         dataLogSize={log_size}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\n\
         clientPortListenBacklog={backlog}\nserverId={server_id}\n",
        data.display(),
        log.display(),
        config.tick_time_ms,
        config.max_client_cnxns,
        config.min_session_timeout_ms,
        config.max_session_timeout_ms
    );
    if let (Some(settings), Some(peers)) = (&config.ensemble, scene.peers) {
        out.push_str(&ensemble::conf(settings, peers, scene.replica.is_read_only()));
    }
    out
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
    if scene.replica.is_read_only() {
        out.push_str(ensemble::READ_ONLY);
    }
    if let Some(clients) = clients {
        out.push_str("Clients:\n");
        out.push_str(clients);
    }
    let _ = write!(
        out,
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\n\
         Mode: {}\nNode count: {}\n{}",
        stats.latency_ms.min,
        average(stats.latency_ms.sum, stats.latency_ms.count),
        stats.latency_ms.max,
        stats.packets_received,
        stats.packets_sent,
        stats.connections,
        stats.outstanding,
        ensemble::zxid(scene),
        ensemble::mode(scene),
        node_count(scene.tree),
        ensemble::proposal_sizes(scene)
    );
    out
}

/// `mntr`.
pub fn monitor(scene: &Scene<'_>) -> String {
    let stats = scene.shard.stats();
    let replica = scene.replica.stats();
    let mut out = format!("zk_version\t{VERSION}\nzk_server_state\t{}\n", ensemble::mode(scene));
    out.push_str(&ensemble::monitor(scene));
    let mut gauge = |name: &str, value: u64| {
        let _ = writeln!(out, "zk_{name}\t{value}");
    };
    gauge("ephemerals_count", scene.tree.ephemerals_count() as u64);
    gauge("num_alive_connections", stats.connections as u64);
    gauge("outstanding_requests", stats.outstanding as u64);
    gauge("znode_count", node_count(scene.tree) as u64);
    let (global, local) = if scene.replica.is_read_only() {
        (scene.tree.sessions().count(), replica.sessions)
    } else {
        (replica.sessions, 0)
    };
    gauge("global_sessions", global as u64);
    gauge("local_sessions", local as u64);
    gauge("packets_sent", stats.packets_sent);
    gauge("packets_received", stats.packets_received);
    gauge("watch_count", stats.watches as u64);
    gauge("min_latency", stats.latency_ms.min);
    gauge("max_latency", stats.latency_ms.max);
    gauge("approximate_data_size", scene.tree.approximate_data_size());
    gauge("open_file_descriptor_count", open_files());
    gauge("max_file_descriptor_count", max_files());
    gauge("uptime", scene.now.mono_ms.saturating_sub(scene.started_mono_ms));
    gauge("auth_failed_count", scene.metrics.auth_failed_count);
    for name in ["outstanding_tls_handshake", "non_mtls_remote_conn_count", "non_mtls_local_conn_count"] {
        gauge(name, 0);
    }
    // Before the first reply Apache says -1.
    let (last, min, max) = stats.response_sizes.map_or((-1, -1, -1), |sizes| {
        let signed = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        (signed(sizes.last), signed(sizes.min), signed(sizes.max))
    });
    let average = average(stats.latency_ms.sum, stats.latency_ms.count);
    let drop_probability = scene.shard.connection_drop_probability();
    let _ = write!(
        out,
        "zk_last_client_response_size\t{last}\nzk_max_client_response_size\t{max}\n\
         zk_min_client_response_size\t{min}\nzk_avg_latency\t{average}\n\
         zk_connection_drop_probability\t{drop_probability:?}\n"
    );
    figures(scene).write_mntr(&mut out);
    out
}

/// Everything measured here that Apache has a name for.
fn figures(scene: &Scene<'_>) -> Figures {
    let Metrics {
        bytes_received_count,
        sessionless_connections_expired,
        snapshot_error_count,
        digest_mismatches_count,
        auth_failed_count: _,
        snapshottime,
        dbinittime,
        startup_snap_load_time,
        startup_txns_load_time,
        startup_txns_loaded,
    } = *scene.metrics;
    let mut figures = Figures::default();
    figures.counter("bytes_received_count", bytes_received_count);
    figures.counter("sessionless_connections_expired", sessionless_connections_expired);
    figures.counter("snapshot_error_count", snapshot_error_count);
    figures.counter("digest_mismatches_count", digest_mismatches_count);
    figures.summary("snapshottime", snapshottime);
    figures.summary("dbinittime", dbinittime);
    figures.summary("startup_snap_load_time", startup_snap_load_time);
    figures.summary("startup_txns_load_time", startup_txns_load_time);
    figures.summary("startup_txns_loaded", startup_txns_loaded);
    shard_figures(scene.shard, &mut figures);
    let replica = scene.replica.stats();
    figures.counter("proposal_count", replica.proposed);
    figures.counter("commit_count", replica.applied);
    figures.counter("stale_sessions_expired", replica.expired);
    figures.counter("prep_processor_request_queued", replica.received);
    figures.counter("sync_processor_request_queued", replica.proposed);
    figures.distribution("propagation_latency", scene.replica.propagation());
    log_figures(&scene.log_figures(false), &mut figures);
    figures
}

fn shard_figures(shard: &Shard, figures: &mut Figures) {
    let stats = shard.stats();
    figures.counter("connection_request_count", stats.handshakes);
    figures.counter("connection_rejected", stats.refused + stats.handshakes_throttled);
    figures.counter("connection_drop_count", stats.dropped);
    figures.counter("request_throttle_wait_count", stats.throttle_waits);
    figures.counter("throttled_ops", stats.throttled_ops);
    figures.counter("stale_requests", stats.stale_requests);
    figures.counter("stale_requests_dropped", stats.stale_requests_dropped);
    figures.counter("stale_replies", stats.stale_replies);
    figures.counter("large_requests_rejected", stats.large_requests_rejected);
    figures.counter("response_bytes", stats.response_bytes);
    figures.counter("watch_bytes", stats.watch_bytes);
    figures.counter("ensemble_auth_success", stats.ensemble_auth_success);
    figures.counter("ensemble_auth_fail", stats.ensemble_auth_fail);
    figures.counter("ensemble_auth_skip", stats.ensemble_auth_skip);
    figures.summary("connection_token_deficit", stats.token_deficit);
    figures.summary("node_created_watch_count", stats.created_watchers);
    figures.summary("node_deleted_watch_count", stats.deleted_watchers);
    figures.summary("node_changed_watch_count", stats.changed_watchers);
    figures.summary("node_children_watch_count", stats.children_watchers);
    figures.distribution("readlatency", shard.read_latency());
    figures.distribution("updatelatency", shard.update_latency());
    figures.distribution("request_throttle_queue_time_ms", &shard.request_waits());
}

fn log_figures(log: &LogFigures, figures: &mut Figures) {
    figures.summary("fsynctime", log.fsynctime);
    figures.summary("sync_processor_batch_size", log.sync_processor_batch_size);
    figures.summary("sync_processor_queue_size", log.sync_processor_queue_size);
    figures.summary("sync_process_time", log.sync_process_time);
    figures.distribution("sync_processor_queue_time_ms", &log.sync_processor_queue_time_ms);
    figures.distribution("sync_processor_queue_flush_time_ms", &log.sync_processor_queue_flush_time_ms);
    figures.distribution("sync_processor_queue_and_flush_time_ms", &log.sync_processor_queue_and_flush_time_ms);
}

/// Apache counts the root twice, because its tree holds it under two names.
fn node_count(tree: &Tree) -> usize {
    tree.node_count() + 1
}

fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

fn max_files() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
