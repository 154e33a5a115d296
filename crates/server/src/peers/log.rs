//! What an operator reads about the ensemble: one line for each thing that happens.

use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_store::StoreError;
use ostler_zab::{CloseWhy, LinkId, RoleEnd, ServingRole, SyncKind, Trace, Vote};
use std::io;
use tracing::{debug, error, info, warn};

pub fn serving(role: ServingRole, epoch: u32, zxid: Zxid, leader: Option<ServerId>) {
    let leader = leader.map_or(-1, |leader| leader.0);
    let name = match role {
        ServingRole::Leader => "leader",
        ServingRole::Follower => "follower",
        ServingRole::Observer => "observer",
    };
    info!(role = name, epoch, %zxid, leader, "serving clients as {name} in epoch {epoch}");
}

pub fn stopped_serving() {
    info!("not serving clients: looking for a quorum");
}

pub fn serving_read_only(zxid: Zxid) {
    info!(%zxid, "no quorum is found: serving clients that asked for no more than reading, as of {zxid}");
}

pub fn nothing_to_show() {
    warn!(
        "no quorum is found, and no client is served read-only: the tree here is not whole before a leader has \
         completed it; hint: bring back enough of the other servers"
    );
}

pub fn stopped_read_only() {
    info!("not serving read-only clients any more");
}

pub fn takes_nothing(link: LinkId) {
    warn!(
        connection = link.0,
        "a server that is being brought up to date does not read what it is sent: its connection is closed, it may come \
         again; hint: is that server stopped, or its disk stuck?"
    );
}

pub fn stale_snapshot() {
    info!("a snapshot was thrown away: the history changed while it was written; the next one is tried as usual");
}

pub fn activated(ensemble: &Ensemble) {
    info!(
        version = format!("{:x}", ensemble.version()),
        members = ensemble.members().len(),
        "a new configuration is in force"
    );
}

pub fn trouble(server: Option<ServerId>, what: &str) {
    let server = server.map_or(-1, |server| server.0);
    warn!(server, "a connection of another server is closed: {what}; hint: is it a ZooKeeper server of this ensemble?");
}

pub fn notice(what: &str) {
    warn!("{what}; it is not used; hint: do all servers have the same server lines?");
}

/// The data was readable a moment ago.
pub fn cannot_reload(error: &StoreError) -> ! {
    error!("the data cannot be read again, stopping now: {error}");
    std::process::exit(i32::from(crate::config::EXIT_FAILURE));
}

pub fn cannot_start_thread(error: &io::Error) -> ! {
    error!(
        "cannot start a thread to read the data again: {error}; hint: look at the limits of the process (ulimit -u)"
    );
    std::process::exit(i32::from(crate::config::EXIT_FAILURE));
}

fn vote_text(vote: &Vote) -> String {
    format!("server {} (epoch {}, zxid {})", vote.leader.0, vote.peer_epoch, vote.zxid)
}

pub fn trace(trace: &Trace) {
    match trace {
        Trace::ElectionStarted { round, vote } => info!(round, "looking for a leader; own vote: {}", vote_text(vote)),
        Trace::VoteChanged { round, vote, heard_from } => {
            debug!(round, "now voting for {}, heard from server {}", vote_text(vote), heard_from.0);
        }
        Trace::Elected { round, vote, state } => {
            info!(round, %state, "elected: {}", vote_text(vote));
        }
        Trace::RoleEntered { state, leader } => debug!(leader = leader.0, "now {}", state),
        Trace::RoleLeft { state, why } => warn!("no longer {}: {}", state, end_text(*why)),
        Trace::EpochProposed { epoch } => debug!(epoch, "proposing epoch {epoch}"),
        Trace::EpochAccepted { epoch } => debug!(epoch, "a quorum accepted epoch {epoch}"),
        Trace::Syncing { server, with, from, to, .. } => {
            info!(server = server.0, with = sync_text(*with), %from, %to, "bringing server {} up to date", server.0);
        }
        Trace::Synced { server, .. } => info!(server = server.0, "server {} is up to date", server.0),
        Trace::SyncStarted { leader, with, zxid } => {
            info!(leader = leader.0, with = sync_text(*with), %zxid, "being brought up to date by the leader");
        }
        Trace::Established { epoch, last } => info!(epoch, %last, "epoch {epoch} is established"),
        Trace::LinkClosed { server, why, .. } => link_closed(server.map_or(-1, |server| server.0), *why),
    }
}

fn link_closed(server: i64, why: CloseWhy) {
    let text = match why {
        CloseWhy::RoleEnded | CloseWhy::NotLeading | CloseWhy::Replaced => {
            debug!(server, ?why, "connection to another server closed");
            return;
        }
        CloseWhy::Protocol => "it said something that it cannot say at this point",
        CloseWhy::Silent => "nothing was heard of it in time; hint: is it alive, and the network between?",
        CloseWhy::Slow => "it reads too slowly or is too far behind, and will be brought up to date from the start",
        CloseWhy::Ahead => "its history is newer than the leader's; it will be asked again after the next election",
        CloseWhy::NewerEnsemble => "it knows a newer configuration of the ensemble than the leader",
        CloseWhy::OldEpoch => "it leads an older epoch than one this server accepted; trying again",
        CloseWhy::HistoryUnreadable => "the log could not be read for it; hint: check the disk",
        CloseWhy::Discontinuous => "transactions are missing in what it sent; asking for everything again",
        CloseWhy::BadTree => "the snapshot that it sent is damaged; asking for it again",
    };
    warn!(server, "connection to server {server} closed: {text}");
}

fn sync_text(kind: SyncKind) -> &'static str {
    match kind {
        SyncKind::Diff => "DIFF",
        SyncKind::Trunc => "TRUNC",
        SyncKind::Snap => "SNAP",
    }
}

fn end_text(why: RoleEnd) -> &'static str {
    match why {
        RoleEnd::NoQuorum => "too few servers answer to make a quorum",
        RoleEnd::EstablishmentTimeout => "no quorum came, agreed and synchronised within initLimit",
        RoleEnd::CounterExhausted => "the epoch has no zxids left; the next one begins",
        RoleEnd::Resigned => "leadership is handed over",
        RoleEnd::Deserted => "too many servers look for another leader",
        RoleEnd::LeaderLost => "the connection to the leader ended, or could not be made",
        RoleEnd::LeaderSilent => "nothing was heard of the leader within its time",
        RoleEnd::BadLeader => "what the leader sent does not fit",
        RoleEnd::Diverged => {
            "the tree differs from the leader's; everything is copied anew; hint: check this machine's memory"
        }
        RoleEnd::Reconfigured => "a reconfiguration changed the role or the leader",
    }
}
