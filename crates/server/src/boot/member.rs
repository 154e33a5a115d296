//! The start of a member of an ensemble: recovery into a provisional tree, ports for the other members, the disk's FIFO.

use super::{Ground, Started, node_config, progress_lines, recover_options, report_recovery};
use crate::clock::Clock;
use crate::config::EnsembleConfig;
use crate::error::ServerError;
use crate::peers::disk::{MemberDisk, Writer};
use crate::peers::sockets::PeerSockets;
use crate::peers::{Peers, listen};
use crate::snapshot_thread::Naming;
use crate::turn::Order;
use ostler_model::Zxid;
use ostler_node::{Member, Parts, Replica, Shard, Stream};
use ostler_store::{Log, MemberOptions, MemberState, RealDisk, recover_member};
use ostler_zab::{Boot, Epochs, History, Settings, Span};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

pub(super) fn start(ground: &Ground<'_>, ensemble: &EnsembleConfig) -> Result<Started, ServerError> {
    let config = ground.config;
    let sockets = sockets(ground, ensemble)?;
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
        last_seen: ensemble.members.clone(),
    };
    let mut parts = Parts { now, tree: &mut tree, replica: &mut replica, streams: &mut streams };
    let member = Member::new(settings(ground, ensemble), boot, config.record_bytes_max, &mut parts);
    let peers =
        Peers::new(ensemble.me, member, sockets, disk, ground.dirs.clone(), recovery, Arc::clone(ground.doorbell));
    let order = Order::Member(Box::new(peers));
    Ok(Started { tree, facts, clock, replica, shard, streams, order, snapshots })
}

/// Both ports of this member's line, on its own address or on all.
fn sockets(ground: &Ground<'_>, ensemble: &EnsembleConfig) -> Result<PeerSockets, ServerError> {
    let own = ensemble.members.member(ensemble.me).expect("the configuration was checked");
    let address = &own.addresses()[0];
    let host = address.host.as_str();
    let host = (!ensemble.listen_on_all_addresses && !address.host.is_wildcard()).then_some(host);
    let election = listen(host, address.election_port)?;
    let quorum = listen(host, address.quorum_port)?;
    info!(
        server = ensemble.me.0,
        election_port = address.election_port,
        quorum_port = address.quorum_port,
        members = ensemble.members.members().len(),
        "server {} of an ensemble of {}",
        ensemble.me.0,
        ensemble.members.members().len()
    );
    let (registry, bell) = (ground.poll.registry(), Arc::clone(ground.doorbell));
    PeerSockets::new(registry, election, quorum, bell, ensemble.connect_timeout_ms)
        .map_err(ServerError::system("watch the ports for the other members"))
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
        reconfig_enabled: false,
        ..Settings::new(ensemble.me)
    }
}
