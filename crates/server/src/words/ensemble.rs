//! What four-letter words say about an ensemble and this server's place in it (ensemble.md section 18).

use super::Scene;
use crate::config::EnsembleConfig;
use crate::peers::Peers;
use ostler_model::{Role, Zxid};
use ostler_zab::{LearnerPhase, PeerState, ServingRole, ZabPhase};
use std::fmt::Write;

/// The answer of a server that is in no quorum.
pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// Words that a server answers although it serves nobody.
const ALWAYS: [&str; 5] = ["ruok", "gtmk", "stmk", "envi", "isro"];

/// What a read-only server says behind its version.
pub const READ_ONLY: &str = "READ-ONLY mode; serving only read-only clients\n";

/// True if the word has to be answered with [`NOT_SERVING`].
pub fn is_refused(word: &str, scene: &Scene<'_>) -> bool {
    is_read_only(scene) == "null" && !ALWAYS.contains(&word)
}

/// `isro`.
pub fn is_read_only(scene: &Scene<'_>) -> &'static str {
    match scene.peers {
        _ if scene.replica.is_read_only() => "ro",
        Some(peers) if peers.serving().is_none() => "null",
        _ => "rw",
    }
}

/// The word behind `Mode:`.
pub fn mode(scene: &Scene<'_>) -> &'static str {
    match scene.peers.map(Peers::serving) {
        _ if scene.replica.is_read_only() => "read-only",
        None => "standalone",
        Some(Some(ServingRole::Leader)) => "leader",
        Some(Some(ServingRole::Observer)) => "observer",
        Some(_) => "follower",
    }
}

/// The zxid that `srvr` names: a leader's begins with its epoch.
pub fn zxid(scene: &Scene<'_>) -> Zxid {
    let zxid = scene.tree.zxid();
    match scene.peers {
        Some(peers) if mode(scene) == "leader" => zxid.max(Zxid::new(peers.status().epoch, 0)),
        _ => zxid,
    }
}

/// The line that a leader adds to `srvr` and `stat`.
pub fn proposal_sizes(scene: &Scene<'_>) -> String {
    if mode(scene) != "leader" {
        return String::new();
    }
    match scene.replica.stats().proposal_bytes {
        Some(sizes) => format!("Proposal sizes last/min/max: {}/{}/{}\n", sizes.last, sizes.min, sizes.max),
        None => "Proposal sizes last/min/max: -1/-1/-1\n".to_owned(),
    }
}

/// The lines that a member adds to `mntr`.
pub fn monitor(scene: &Scene<'_>) -> String {
    // Apache's read-only server does not speak of the ensemble.
    let Some(peers) = scene.peers.filter(|_| !scene.replica.is_read_only()) else { return String::new() };
    let status = peers.status();
    let mut out = format!("zk_peer_state\t{} - {}\n", status.peer_state, phase_text(status.phase));
    let mut gauge = |name: &str, value: i64| {
        let _ = writeln!(out, "zk_{name}\t{value}");
    };
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    gauge("quorum_size", count(peers.ensemble().voters().count()));
    gauge("server_id", peers.me().0);
    gauge("accepted_epoch", i64::from(status.epoch));
    if status.peer_state == PeerState::Leading {
        let active = |wanted: &dyn Fn(bool, bool) -> bool| {
            let synced = status.learners.iter().filter(|learner| learner.phase == LearnerPhase::Active);
            count(synced.filter(|learner| wanted(learner.observer, learner.voter)).count())
        };
        gauge("learners", count(status.learners.len()));
        gauge("synced_followers", active(&|observer, _| !observer));
        gauge("synced_non_voting_followers", active(&|observer, voter| !observer && !voter));
        gauge("synced_observers", active(&|observer, _| observer));
        gauge("pending_syncs", 0);
        gauge("leader_uptime", count(usize::try_from(peers.serving_ms(scene.now.mono_ms)).unwrap_or(usize::MAX)));
        let sizes = scene.replica.stats().proposal_bytes;
        let size = |of: fn(&ostler_node::ProposalBytes) -> u64| sizes.as_ref().map_or(-1, |sizes| of(sizes) as i64);
        gauge("last_proposal_size", size(|sizes| sizes.last));
        gauge("min_proposal_size", size(|sizes| sizes.min));
        gauge("max_proposal_size", size(|sizes| sizes.max));
    }
    out
}

/// What `conf` appends.
pub fn conf(ensemble: &EnsembleConfig, peers: &Peers, read_only: bool) -> String {
    let members = peers.ensemble();
    let own = members.member(ensemble.me);
    let address = own.map(|member| &member.addresses()[0]);
    let peer_type = u8::from(own.is_some_and(|member| member.role == Role::Observer));
    let membership = if read_only { String::new() } else { format!("membership: \n{members}") };
    format!(
        "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\npeerType={peer_type}\n\
         {membership}",
        ensemble.init_limit,
        ensemble.sync_limit,
        address.map_or(0, |address| address.election_port),
        address.map_or(0, |address| address.quorum_port),
    )
}

fn phase_text(phase: ZabPhase) -> &'static str {
    match phase {
        ZabPhase::Election => "election",
        ZabPhase::Discovery => "discovery",
        ZabPhase::Synchronisation => "synchronization",
        ZabPhase::Broadcast => "broadcast",
    }
}
