//! The start of a member of an ensemble: recovery into a provisional tree, ports for the other members, the disk's FIFO.

use super::{Ground, Started, node_config, progress_lines, recover_options, report_recovery};
use crate::clock::Clock;
use crate::config::{Dynamic, EnsembleConfig, Listen};
use crate::error::ServerError;
use crate::listener;
use crate::open_port::OpenPort;
use crate::peers::Peers;
use crate::peers::disk::{MemberDisk, Writer};
use crate::peers::home::Home;
use crate::peers::sockets::{ELECTION, Patience, PeerSockets, QUORUM};
use crate::snapshot_thread::Naming;
use crate::turn::Order;
use mio::Token;
use ostler_model::Zxid;
use ostler_node::{Member, Parts, Replica, Shard, Stream};
use ostler_store::{EnsembleFiles, Log, MemberOptions, MemberState, RealDisk, recover_member};
use ostler_zab::{Boot, Epochs, History, Settings, Span};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// However short the ticks, lost packets must have time to be sent again.
const UNHEARD_MIN_MS: u64 = 1_000;

pub(super) fn start(ground: &Ground<'_>, ensemble: &EnsembleConfig) -> Result<Started, ServerError> {
    let config = ground.config;
    let files = ensemble.dynamic.as_ref().map(|dynamic| files(dynamic, ensemble)).transpose()?;
    let proposed =
        files.as_ref().map(EnsembleFiles::proposed).transpose().map_err(ServerError::EnsembleFiles)?.flatten();
    let own = ensemble.members.member(ensemble.me).expect("the configuration was checked");
    let home = Home::new(own, ensemble.listen_on_all_addresses);
    let sockets = sockets(ground, ensemble, &home)?;
    let started = Instant::now();
    let recovery = recover_options(config, ground.tree_config());
    let options = MemberOptions::new(recovery.clone());
    let recovered = recover_member(&RealDisk, ground.dirs, &options, &mut progress_lines());
    let state = recovered.map_err(ServerError::Recovery)?;
    report_recovery(&state.facts, started.elapsed());
    if let Some(why) = &state.hole {
        warn!(
            "this server may have forgotten what it acknowledged ({why}): it takes everything from the leader, and \
             does not help to elect one before that"
        );
    }
    let history = history(&state);
    let MemberState { mut tree, settled, last, epochs, facts, .. } = state;
    let saved = epochs.epochs();
    let writer = Writer {
        log: Log::after(RealDisk, ground.log_config(), last),
        epochs,
        dirs: ground.dirs.clone(),
        ensemble: files,
        record_bytes_max: config.record_bytes_max,
        slow_sync: Duration::from_millis(config.log.slow_sync_ms),
    };
    let disk = MemberDisk::start(writer, Arc::clone(ground.doorbell))?;
    let snapshots = ground.snapshots(Naming::Later)?;
    let clock = Clock::start();
    let now = clock.now();
    // Session ids begin with the low byte of the server's number (E§10).
    let node = Arc::new(node_config(config, ensemble.me.0 as u8, ground.seed()));
    let mut replica = Replica::member(Arc::clone(&node), &tree, now);
    replica.tree_replaced(&tree, settled);
    let shard = Shard::member(node, 0);
    let mut streams = vec![Stream::new()];
    let boot = Boot {
        epochs: Epochs { accepted: saved.accepted, current: saved.current },
        history,
        committed: ensemble.members.clone(),
        last_seen: proposed.unwrap_or_else(|| ensemble.members.clone()),
    };
    let mut parts = Parts { now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
    let member = Member::new(settings(ground, ensemble), boot, config.record_bytes_max, &mut parts);
    let peers = Peers::new(member, home, sockets, disk, ground.dirs.clone(), recovery, Arc::clone(ground.doorbell));
    let order = Order::Member(Box::new(peers));
    Ok(Started { tree, facts, clock, replica, shard, streams, order, snapshots })
}

/// The files in which changes of the ensemble are kept; shown to be writable before anything is promised.
fn files(dynamic: &Dynamic, ensemble: &EnsembleConfig) -> Result<EnsembleFiles<RealDisk>, ServerError> {
    let config = &dynamic.config;
    let unusable = |why: String| ServerError::ConfigPath { path: config.clone(), why };
    let (dir, name) = (config.parent(), config.file_name().and_then(|name| name.to_str()));
    let (Some(dir), Some(name)) = (dir, name) else { return Err(unusable("it does not name a file".to_owned())) };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    // zoo.cfg will name a file by its whole path, like Apache's.
    let dir = std::fs::canonicalize(dir).map_err(|error| unusable(error.to_string()))?;
    let files = EnsembleFiles::new(RealDisk, dir, name.to_owned(), ensemble.me, ensemble.members.version());
    files.prepare(dynamic.is_static).map_err(ServerError::EnsembleFiles)?;
    Ok(files)
}

/// Both ports of this member's line, on its own address or on all.
fn sockets(ground: &Ground<'_>, ensemble: &EnsembleConfig, home: &Home) -> Result<PeerSockets, ServerError> {
    let registry = ground.poll.registry();
    let open = |who: &'static str, token: Token, listen: &Listen| {
        let listener = listener::open(listen)?;
        let open = OpenPort::new(who, token, listen.clone(), listener, registry);
        open.map_err(ServerError::system("watch the ports for the other members"))
    };
    let [election, quorum] = home.ports();
    let tick_ms = ground.config.tick_time_ms as u64;
    let in_ticks = |ticks: u64| ticks.saturating_mul(tick_ms).max(UNHEARD_MIN_MS);
    let patience = Patience {
        connect_ms: ensemble.connect_timeout_ms,
        election_ms: in_ticks(ensemble.sync_limit).min(ensemble.connect_timeout_ms.max(UNHEARD_MIN_MS)),
        quorum_ms: in_ticks(ensemble.init_limit.max(ensemble.sync_limit)),
    };
    let sockets = PeerSockets::new(
        open("elections", ELECTION, &election)?,
        open("other members", QUORUM, &quorum)?,
        Arc::clone(ground.doorbell),
        patience,
    );
    info!(
        server = ensemble.me.0,
        election_port = election.port,
        quorum_port = quorum.port,
        members = ensemble.members.members().len(),
        "server {} of an ensemble of {}",
        ensemble.me.0,
        ensemble.members.members().len()
    );
    Ok(sockets)
}

fn history(state: &MemberState<RealDisk>) -> History {
    let spans = state.history.spans.iter().map(|span| Span { first: span.first, last: span.last }).collect();
    let history = History { base: state.history.disk_from, spans, trusted: state.trusted() };
    let last = state.last.unwrap_or(Zxid::ZERO);
    if history.last() == last {
        return history;
    }
    // A snapshot beyond the log, as a leader leaves it that had nothing to write: the history begins there.
    History { base: last, spans: Vec::new(), trusted: state.trusted() }
}

fn settings(ground: &Ground<'_>, ensemble: &EnsembleConfig) -> Settings {
    Settings {
        tick_ms: ground.config.tick_time_ms as u64,
        init_limit: ensemble.init_limit,
        sync_limit: ensemble.sync_limit,
        connect_limit: ensemble.connect_limit,
        notification_min_ms: ensemble.notification_min_ms,
        notification_max_ms: ensemble.notification_max_ms,
        window_txns_max: ensemble.commit_log_count,
        force_snapshot_sync: ensemble.force_snapshot_sync,
        reconfig_enabled: ensemble.dynamic.is_some(),
        ..Settings::new(ensemble.me)
    }
}
