//! From a configuration to a serving loop: directories, lock, recovery, threads, port (architecture.md section 5).

mod embedded;
mod member;

pub use embedded::Embedded;

use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::config::{Compression, Config, Listen, Loaded, Origin};
use crate::doorbell::Doorbell;
use crate::error::ServerError;
use crate::events::EventLog;
use crate::listener;
use crate::log_thread::LogThread;
use crate::metrics::Metrics;
use crate::move_clients::CLIENTS;
use crate::open_port::OpenPort;
use crate::progress::ProgressLine;
use crate::purge_thread;
use crate::signals::{self, StopFlag};
use crate::snapshot_thread::{Naming, Snapshots};
use crate::turn::{LISTENER, Order, Turns, WAKER};
use crate::words::{VERSION, Words};
use mio::net::TcpListener;
use mio::{Poll, Waker};
use ostler_node::{AuditRecord, NodeConfig, Replica, Shard, Stream};
use ostler_store::{
    DataDirs, DirLock, Log, LogConfig, Progress, RealDisk, RecoverOptions, Recovered, RecoveryFacts, SnapshotFormat,
    recover,
};
use ostler_tree::{Policy, Schemes, Tree, TreeConfig};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Apache numbers a standalone server 1 in session ids.
const STANDALONE_SERVER_ID: u8 = 1;

/// Runs a server until SIGTERM or SIGINT: alone, or as the member of an ensemble.
///
/// # Errors
/// It cannot start. (A log that cannot be written while it runs ends the process.)
pub fn serve(loaded: Loaded) -> Result<(), ServerError> {
    let stop = StopFlag::default();
    let watched = stop.clone();
    serve_until(loaded, stop, |doorbell, _| signals::watch(watched, doorbell))
}

/// Runs a server until `stop` is set and its doorbell rung. `ready` hears, before anything is served, of the doorbell
/// and of the client port (-1 for none).
fn serve_until(
    loaded: Loaded,
    stop: StopFlag,
    ready: impl FnOnce(Arc<Doorbell>, i32) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let audit = loaded.config.audit.then(AuditLog::new);
    let result = run(loaded, audit.as_ref(), stop, ready);
    if let (Some(audit), Err(_)) = (&audit, &result) {
        audit.write(&AuditRecord::of_server("serverStart", "failure"));
    }
    result
}

fn run(
    loaded: Loaded,
    audit: Option<&AuditLog>,
    stop: StopFlag,
    ready: impl FnOnce(Arc<Doorbell>, i32) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let Loaded { mut config, notices } = loaded;
    // From here on every message and answer names whole paths.
    config.data_dir = absolute(&config.data_dir);
    config.data_log_dir = absolute(&config.data_log_dir);
    for notice in &notices {
        if notice.warning {
            warn!("{}; hint: {}", notice.what, notice.hint);
        } else {
            debug!("{}", notice.what);
        }
    }
    info!("Ostler {} (speaks the protocol of ZooKeeper {VERSION})", env!("CARGO_PKG_VERSION"));
    let dirs = DataDirs::new(&config.data_dir, Some(config.data_log_dir.clone()));
    info!(
        data_dir = %dirs.data_dir().display(),
        data_log_dir = %dirs.data_log_dir().display(),
        config = %origin(&config.origin),
        tick_time_ms = config.tick_time_ms,
        "using data in {}",
        dirs.data_dir().display()
    );
    dirs.prepare(&RealDisk, config.snapshot.create_dirs).map_err(ServerError::DataDir)?;
    let lock = DirLock::acquire(&dirs).map_err(ServerError::DataDir)?;
    // The ports before the data: "address in use" should not take a recovery to find out.
    let listener = config.listen.as_ref().map(listener::open).transpose()?;
    let poll = Poll::new().map_err(ServerError::system("make an epoll instance"))?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(ServerError::system("make an eventfd"))?;
    let doorbell = Arc::new(Doorbell::new(waker));
    let random = RandomState::new();
    let ground = Ground { config: &config, dirs: &dirs, poll: &poll, doorbell: &doorbell, random: &random };
    let Started { tree, facts, clock, replica, shard, streams, order, snapshots } = match &config.ensemble {
        None => alone(&ground)?,
        Some(ensemble) => member::start(&ground, ensemble)?,
    };
    if config.purge.interval_hours > 0 {
        let (retain, dirs) = (config.purge.retain, dirs.clone());
        match &order {
            Order::Alone(_) => {
                purge_thread::start(config.purge.interval_hours, move || purge_thread::run(&RealDisk, &dirs, retain))?;
            }
            // A member's history is cut and replaced: files come and go in one place only (rules.md 1.6).
            Order::Member(peers) => {
                let disk = peers.disk_queue();
                purge_thread::start(config.purge.interval_hours, move || disk.purge(retain))?;
            }
        }
    }
    let client_port = announce(&config, listener.as_ref())?;
    ready(Arc::clone(&doorbell), client_port)?;
    let watch = |(listener, listen): (TcpListener, &Listen)| {
        OpenPort::new(CLIENTS, LISTENER, listen.clone(), listener, poll.registry())
    };
    let clients = listener.zip(config.listen.as_ref()).map(watch).transpose();
    let clients = clients.map_err(ServerError::system("watch the client port"))?;
    let words = Words::new(&config);
    let turns = Turns {
        clock,
        poll,
        doorbell,
        stop,
        clients,
        client_port,
        shard,
        replica,
        streams,
        tree,
        order,
        snapshots,
        words,
        metrics: first_metrics(&facts),
        events: EventLog::default(),
        config,
    };
    if let Some(audit) = audit {
        audit.write(&AuditRecord::of_server("serverStart", "success"));
    }
    let result = turns.run();
    drop(lock);
    result
}

/// What a server of either kind starts from.
struct Ground<'a> {
    config: &'a Config,
    dirs: &'a DataDirs,
    poll: &'a Poll,
    doorbell: &'a Arc<Doorbell>,
    random: &'a RandomState,
}

impl Ground<'_> {
    fn seed(&self) -> u64 {
        self.random.hash_one(1)
    }

    fn log_config(&self) -> LogConfig {
        log_config(self.config, self.dirs, self.random.hash_one(2))
    }

    fn tree_config(&self) -> TreeConfig {
        TreeConfig { seed: self.seed(), digest: self.config.snapshot.digest }
    }

    fn snapshots(&self, naming: Naming) -> Result<Snapshots, ServerError> {
        let bell = Arc::clone(self.doorbell);
        Snapshots::start(self.dirs.clone(), snapshot_format(self.config), naming, move || bell.ring())
    }
}

/// What the loop runs on.
struct Started {
    tree: Tree,
    facts: RecoveryFacts,
    clock: Clock,
    replica: Replica,
    shard: Shard,
    streams: Vec<Stream>,
    order: Order,
    snapshots: Snapshots,
}

fn alone(ground: &Ground<'_>) -> Result<Started, ServerError> {
    let Ground { config, dirs, doorbell, .. } = ground;
    let started = Instant::now();
    let options = recover_options(config, ground.tree_config());
    let Recovered { tree, facts } =
        recover(&RealDisk, dirs, &options, &mut progress_lines()).map_err(ServerError::Recovery)?;
    report_recovery(&facts, started.elapsed());
    let clock = Clock::start();
    let log = Log::new(RealDisk, ground.log_config());
    let slow_sync = Duration::from_millis(config.log.slow_sync_ms);
    let log = LogThread::start(log, tree.zxid(), config.log.batching, slow_sync, Arc::clone(doorbell))?;
    let mut snapshots = ground.snapshots(Naming::AtOnce)?;
    // Apache writes a snapshot at every start. What was replayed is worth one; without that it would be the same again.
    if facts.records > 0 {
        snapshots.begin(&tree);
    }
    let node = Arc::new(node_config(config, STANDALONE_SERVER_ID, ground.seed()));
    let replica = Replica::new(Arc::clone(&node), &tree, clock.now());
    let shard = Shard::new(node, 0, tree.zxid());
    let (streams, order) = (vec![Stream::new()], Order::Alone(log));
    Ok(Started { tree, facts, clock, replica, shard, streams, order, snapshots })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Embedded => "embedded default".to_owned(),
        Origin::File(path) => path.display().to_string(),
        Origin::Arguments => "command line".to_owned(),
    }
}

fn recover_options(config: &Config, tree: TreeConfig) -> RecoverOptions {
    RecoverOptions {
        length_max: config.record_bytes_max,
        trust_empty: config.snapshot.trust_empty,
        autocreate: config.snapshot.create_db,
        accept_gap: config.snapshot.accept_gap,
        format: snapshot_format(config),
        ..RecoverOptions::new(tree)
    }
}

/// A line now and then while much is read.
fn progress_lines() -> impl FnMut(Progress) {
    let begin = Instant::now();
    let mut line = ProgressLine::default();
    move |progress: Progress| {
        if let Some(text) = line.due(begin.elapsed(), &progress) {
            let Progress { nodes, records, bytes, bytes_total } = progress;
            info!(nodes, records, bytes, bytes_total, "{text}");
        }
    }
}

fn report_recovery(facts: &RecoveryFacts, took: Duration) {
    for (name, why) in facts.invalid_snapshots.iter().chain(&facts.rejected_snapshots) {
        warn!("snapshot {name} is not usable and was passed over: {why}");
    }
    for warning in &facts.warnings {
        warn!("{warning}");
    }
    if let Some((file, offset)) = &facts.torn_tail {
        info!("{file} ends in a half-written record at offset {offset}: it was never acknowledged, and is left out");
    }
    if let Some(zxid) = facts.first_mismatch {
        let count = facts.digest_mismatches;
        warn!(%zxid, count, "the digest of the tree does not match the log's from {zxid} on; hint: compare with a backup or another server");
    }
    if let Some(first) = facts.orphans_removed.first() {
        let removed = facts.orphans_removed.len();
        warn!(removed, "{removed} ephemeral nodes without a session were removed, the first one {first}");
    }
    let took_ms = took.as_millis() as u64;
    if facts.created {
        info!(took_ms, "new database created");
        return;
    }
    info!(
        zxid = %facts.zxid,
        digest = facts.digest,
        snapshot = facts.snapshot.as_deref().unwrap_or("none"),
        nodes = facts.snapshot_nodes,
        records = facts.records,
        log_files = facts.log_files,
        snapshot_ms = facts.snapshot_time.as_millis() as u64,
        replay_ms = facts.replay_time.as_millis() as u64,
        took_ms,
        "Snapshot loaded in {took_ms} ms, highest zxid is {}, digest is {}",
        facts.zxid,
        facts.digest
    );
}

fn log_config(config: &Config, dirs: &DataDirs, seed: u64) -> LogConfig {
    LogConfig {
        preallocate_bytes: config.log.prealloc_bytes,
        force_sync: config.log.force_sync,
        snap_count: u32::try_from(config.log.snap_count).unwrap_or(u32::MAX),
        snap_size_limit_bytes: config.log.snap_size_limit_bytes,
        file_size_limit_bytes: config.log.size_limit_bytes,
        ..LogConfig::new(dirs.logs(), seed)
    }
}

fn snapshot_format(config: &Config) -> SnapshotFormat {
    let compression = match config.snapshot.compression {
        Compression::Plain => ostler_store::Compression::None,
        Compression::Gzip => ostler_store::Compression::Gzip,
        Compression::Snappy => ostler_store::Compression::Snappy,
    };
    SnapshotFormat {
        compression,
        digest_section: config.snapshot.digest,
        last_zxid_section: config.snapshot.last_zxid_section,
    }
}

fn node_config(config: &Config, server_id: u8, seed: u64) -> NodeConfig {
    let schemes = Schemes {
        ip: true,
        digest: config.auth.digest,
        ensemble: config.auth.ensemble_names.is_some(),
        ..Schemes::default()
    };
    let dynamic = config.ensemble.as_ref().and_then(|ensemble| ensemble.dynamic.as_ref());
    NodeConfig {
        server_id,
        tick_time_ms: config.tick_time_ms as u64,
        min_session_timeout_ms: config.min_session_timeout_ms,
        max_session_timeout_ms: config.max_session_timeout_ms,
        standalone_enabled: dynamic.is_none_or(|dynamic| dynamic.standalone_enabled),
        frame_bytes_max: config.frame_bytes_max,
        policy: Policy {
            skip_acl: config.skip_acl,
            extended_types: config.extended_types,
            enforce_quota: config.enforce_quota,
            reconfig_enabled: config.reconfig_enabled,
            close_session_paths: config.log.close_session_paths,
            container_max_never_used_ms: config.containers.never_used_ms,
            standalone: config.ensemble.is_none(),
            schemes,
            txn_bytes_max: config.record_bytes_max,
        },
        read_only_mode: config.read_only_mode,
        local_sessions: config.local_sessions,
        digest: config.snapshot.digest,
        digest_algorithm: config.auth.digest_algorithm,
        super_digest: config.auth.super_digest.clone(),
        enforced_schemes: config.auth.enforced_schemes.clone().unwrap_or_default(),
        ensemble_names: config.auth.ensemble_names.clone().unwrap_or_default(),
        container_check_interval_ms: config.containers.interval_ms,
        container_max_per_minute: config.containers.per_minute_max,
        outstanding_max: config.global_outstanding_limit,
        audit: config.audit,
        request_throttle: config.throttle.requests,
        connection_throttle: config.throttle.connections,
        large_requests: config.throttle.large,
        connections_per_address_max: config.max_client_cnxns.max(0) as usize,
        connections_max: config.max_cnxns.max(0) as usize,
        sessionless_timeout_ms: config.sessionless_timeout_ms,
        shards: 1,
        seed,
        ..NodeConfig::default()
    }
}

/// Says where clients connect, and what to try first. Returns the port.
fn announce(config: &Config, listener: Option<&TcpListener>) -> Result<i32, ServerError> {
    let Some(listener) = listener else { return Ok(-1) };
    let address = listener.local_addr().map_err(ServerError::system("read the address of the client port"))?;
    let port = address.port();
    let host = config.listen.as_ref().and_then(|listen| listen.host.as_deref());
    // Scripts wait for Apache's words.
    info!(
        port,
        "binding to port {}",
        host.map_or_else(|| format!("0.0.0.0/0.0.0.0:{port}"), |h| format!("{h}:{port}"))
    );
    let name = host.filter(|host| *host != "0.0.0.0").unwrap_or("localhost");
    info!(port, "listening for clients on {address}; try: echo srvr | nc {name} {port}");
    Ok(i32::from(port))
}

fn first_metrics(facts: &RecoveryFacts) -> Metrics {
    let mut metrics = Metrics::default();
    metrics.dbinittime.add((facts.snapshot_time + facts.replay_time).as_millis() as u64);
    metrics.startup_snap_load_time.add(facts.snapshot_time.as_millis() as u64);
    metrics.startup_txns_load_time.add(facts.replay_time.as_millis() as u64);
    metrics.startup_txns_loaded.add(facts.records);
    metrics.digest_mismatches_count = facts.digest_mismatches;
    metrics
}
