//! The shell of a member of an ensemble: sockets to the other members, the disk's FIFO, trees and histories on the wire.
//!
//! What is decided is decided in [`Member`]; here its orders become system calls, and what comes back becomes its input.
//! Everything happens on the loop's thread except the disk ([`disk`]), snapshots, names and reloads, which ring when
//! they are done.

pub mod disk;
pub mod home;
mod log;
pub mod sockets;
mod transfer;

use crate::doorbell::Doorbell;
use crate::log_thread::LogFigures;
use crate::snapshot_thread::{Snapshots, Written};
use disk::{DiskQueue, Job, MemberDisk, Report};
use home::Home;
use mio::Registry;
use ostler_model::{Endpoint, Ensemble, ServerId};
use ostler_node::{Member, Order, Parts, Port};
use ostler_store::{DataDirs, RecoverOptions};
use ostler_tree::Tree;
use ostler_zab::{DiskOp, Generation, LinkId, ServingRole, Status};
pub use sockets::FIRST_TOKEN as FIRST_PEER_TOKEN;
use sockets::{Happened, PeerSockets};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use transfer::Transfers;

/// What the loop hands in.
pub struct Context<'a> {
    /// To register sockets with.
    pub registry: &'a Registry,
    /// Snapshots, of which an installation is one.
    pub snapshots: &'a mut Snapshots,
    /// For reads.
    pub buffer: &'a mut [u8],
}

/// How far an orderly stop is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    Asked,
    Done,
}

/// A tree built anew from disk.
type Reloaded = (Generation, Box<Tree>);

/// See the module.
pub struct Peers {
    member: Member,
    home: Home,
    sockets: PeerSockets,
    disk: MemberDisk,
    jobs: Vec<Job>,
    /// An installation whose snapshot is being written, and what is queued behind it.
    installing: Option<Generation>,
    held: VecDeque<Job>,
    transfers: Transfers,
    dirs: DataDirs,
    recovery: RecoverOptions,
    reloaded: Receiver<Reloaded>,
    reloader: Sender<Reloaded>,
    doorbell: Arc<Doorbell>,
    serving: Option<ServingRole>,
    /// Since when, in the loop's milliseconds.
    serving_since_ms: u64,
    snapshot_due: bool,
    /// Leaving: asked for, or done.
    leaving: Leaving,
    /// There is more to do at once.
    more: bool,
}

impl Peers {
    /// Around a member that has just booted.
    pub fn new(
        member: Member,
        home: Home,
        sockets: PeerSockets,
        disk: MemberDisk,
        dirs: DataDirs,
        recovery: RecoverOptions,
        doorbell: Arc<Doorbell>,
    ) -> Peers {
        let (reloader, reloaded) = channel();
        Peers {
            transfers: Transfers::new(dirs.clone(), recovery.clone()),
            member,
            home,
            sockets,
            disk,
            jobs: Vec::new(),
            installing: None,
            held: VecDeque::new(),
            dirs,
            recovery,
            reloaded,
            reloader,
            doorbell,
            serving: None,
            serving_since_ms: 0,
            snapshot_due: false,
            leaving: Leaving::No,
            more: false,
        }
    }

    /// What zab is doing.
    pub fn status(&self) -> Status {
        self.member.status()
    }

    /// The ensemble in force.
    pub fn ensemble(&self) -> &Ensemble {
        self.member.ensemble()
    }

    /// What the disk thread measured; `reset` clears it.
    pub fn log_figures(&self, reset: bool) -> LogFigures {
        self.disk.figures(reset)
    }

    /// For what else has to happen in the disk's order.
    pub fn disk_queue(&self) -> DiskQueue {
        self.disk.queue()
    }

    /// This server.
    pub fn me(&self) -> ServerId {
        self.home.me()
    }

    /// How long clients have been served in the present role.
    pub fn serving_ms(&self, now_ms: u64) -> u64 {
        if self.serving.is_some() { now_ms.saturating_sub(self.serving_since_ms) } else { 0 }
    }

    /// As what clients are served.
    pub fn serving(&self) -> Option<ServingRole> {
        self.serving
    }

    /// Where clients connect from now on, if a reconfiguration changed that.
    pub fn take_moved_clients(&mut self) -> Option<Endpoint> {
        self.home.take_moved_clients()
    }

    /// An event of the poll.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.sockets.ready(event);
    }

    /// True if there is something to do without waiting.
    pub fn has_work(&self) -> bool {
        self.sockets.has_work() || self.more
    }

    /// When time alone makes something happen, in the loop's milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let stalled = self.transfers.next_deadline(self.sockets.patience().quorum_ms);
        [self.member.next_deadline(), self.sockets.next_deadline(), stalled].into_iter().flatten().min()
    }

    /// What shards and replica did reaches the ensemble.
    pub fn run(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>) {
        self.member.run(parts);
        self.carry_out(parts, context);
    }

    /// What the replica applied.
    pub fn applied(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>, applied: ostler_node::Applied) {
        self.member.applied(parts, applied);
        self.carry_out(parts, context);
    }

    /// Everything that came in since the last turn: connections, bytes, completions, time.
    pub fn turn(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>) {
        let now_ms = parts.now.mono_ms;
        let mut new = Vec::new();
        self.sockets.accept(context.registry, now_ms, |port| {
            let link = self.member.accepted(parts, port);
            new.push(link);
            link
        });
        for (link, happened) in self.sockets.take(context.registry, now_ms, context.buffer) {
            match happened {
                Happened::Connected => self.member.connected(parts, link),
                Happened::Writable => self.write(parts, context, link),
                Happened::Bytes(bytes) => self.member.input(parts, link, &bytes),
                Happened::Ended => {
                    self.sockets.close(context.registry, link);
                    self.member.hung_up(parts, link);
                }
            }
            self.carry_out(parts, context);
        }
        for report in self.disk.take_reports() {
            match report {
                Report::Done(generation, done) => self.member.disk_done(parts, generation, done),
                Report::SnapshotDue => self.snapshot_due = true,
                Report::Published(true) => {}
                Report::Published(false) => log::stale_snapshot(),
            }
            self.carry_out(parts, context);
        }
        while let Ok((generation, tree)) = self.reloaded.try_recv() {
            *parts.tree = *tree;
            self.member.tree_reloaded(parts, generation);
            self.carry_out(parts, context);
        }
        if self.member.next_deadline().is_some_and(|at| at <= now_ms) {
            self.member.tick(parts);
        }
        self.carry_out(parts, context);
        for link in self.transfers.step(&mut self.member, parts, self.sockets.patience().quorum_ms) {
            log::takes_nothing(link);
            self.sockets.close(context.registry, link);
            self.member.hung_up(parts, link);
        }
        self.carry_out(parts, context);
        // Behind the last write: it may have made room of which no event tells.
        self.more = self.transfers.has_more(&self.member);
    }

    /// True once after the log was rolled while clients are served: a snapshot should be taken.
    pub fn take_snapshot_due(&mut self) -> bool {
        // Between roles the tree is provisional: nothing of it may be named (BUG-4).
        std::mem::take(&mut self.snapshot_due) && self.serving.is_some()
    }

    /// A snapshot was written: one that installs the leader's history, or one of the background.
    pub fn snapshot_written(&mut self, written: Written) {
        match self.installing.take() {
            Some(generation) => {
                self.jobs.push(Job::Install(generation, written.snapshot));
                self.jobs.extend(self.held.drain(..));
            }
            None => self.jobs.push(Job::Publish(written.snapshot)),
        }
        self.disk.push(&mut self.jobs);
    }

    /// Leaves the ensemble in order (DEV-20): a leader hands over at once, because the others send it writes for as long as it
    /// leads; a learner goes once `is_idle`: what its clients wait for comes from the leader. True: nothing keeps this server.
    pub fn leave(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>, is_idle: bool) -> bool {
        if self.leaving == Leaving::No && (is_idle || self.serving == Some(ServingRole::Leader)) {
            self.leaving = Leaving::Asked;
            self.member.resign(parts);
            self.carry_out(parts, context);
        }
        self.leaving == Leaving::Done
    }

    /// Ends the disk thread, after everything that is queued.
    pub fn stop(&mut self) {
        self.disk.push(&mut self.jobs);
        self.disk.stop();
    }

    /// Orders until there are none, then the output of every connection that has some.
    fn carry_out(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>) {
        loop {
            let orders = self.member.take_orders();
            if orders.is_empty() {
                break;
            }
            for order in orders {
                self.order(parts, context, order);
            }
        }
        self.disk.push(&mut self.jobs);
        for link in self.member.take_dirty() {
            self.write(parts, context, link);
        }
    }

    fn write(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>, link: LinkId) {
        let output = self.member.output(link);
        let written = match output {
            [] => Some(0),
            _ if self.sockets.is_blocked(link) => return,
            output => self.sockets.write(link, output),
        };
        match written {
            Some(bytes) => {
                if !self.member.wrote(parts, link, bytes) {
                    self.sockets.close(context.registry, link);
                }
            }
            None => {
                self.sockets.close(context.registry, link);
                self.member.hung_up(parts, link);
            }
        }
    }

    fn order(&mut self, parts: &mut Parts<'_>, context: &mut Context<'_>, order: Order) {
        match order {
            Order::Dial { link, server, port, address } => match self.endpoint(server, port, address.as_deref()) {
                Some((host, number)) => {
                    self.sockets.dial(context.registry, parts.now.mono_ms, (link, port), &host, number);
                }
                None => self.member.hung_up(parts, link),
            },
            Order::Disk { generation, op: DiskOp::Install { zxid } } => {
                context.snapshots.abort();
                context.snapshots.begin_as(parts.tree, zxid);
                self.installing = Some(generation);
            }
            Order::Disk { generation, op } => self.job(Job::Op(generation, op), context),
            Order::Reload { generation, upto } => self.reload(generation, upto),
            Order::SendHistory { link, after, upto } => {
                self.transfers.send_history(&mut self.member, parts, link, after, upto);
            }
            Order::SendTree { link, at_least } => self.transfers.send_tree(&mut self.member, parts, link, at_least),
            Order::TreeBytes { link, label, bytes } => {
                self.transfers.tree_bytes(&mut self.member, parts, link, label, &bytes);
            }
            Order::Forget { link } => self.transfers.forget(link),
            Order::Serving { role, epoch } => {
                self.serving = Some(role);
                self.serving_since_ms = parts.now.mono_ms;
                log::serving(role, epoch, parts.tree.zxid(), self.member.status().leader);
            }
            Order::StoppedServing => {
                self.serving = None;
                context.snapshots.abort();
                log::stopped_serving();
            }
            Order::ServingReadOnly => log::serving_read_only(parts.tree.zxid()),
            Order::NothingToShow => log::nothing_to_show(),
            Order::StoppedReadOnly => log::stopped_read_only(),
            Order::Activate(ensemble) => {
                log::activated(&ensemble);
                if self.home.moved(&ensemble) {
                    self.sockets.move_ports(context.registry, self.home.ports());
                }
            }
            Order::Resigned => self.leaving = Leaving::Done,
            Order::Trace(trace) => log::trace(&trace),
            Order::PeerNotice { what } => log::notice(&what),
            Order::PeerTrouble { server, what, .. } => log::trouble(server, &what),
        }
    }

    /// A durable effect. Behind an installation that is being prepared it waits; a role that ended gives that up.
    fn job(&mut self, job: Job, context: &mut Context<'_>) {
        if self.installing.is_some() {
            if matches!(job, Job::Op(_, DiskOp::Fence)) {
                context.snapshots.abort();
                self.installing = None;
                self.jobs.extend(self.held.drain(..));
            } else {
                self.held.push_back(job);
                return;
            }
        }
        self.jobs.push(job);
    }

    fn endpoint(&self, server: ServerId, port: Port, address: Option<&str>) -> Option<(String, u16)> {
        if let Some(address) = address {
            let endpoint = ostler_model::Endpoint::parse(address).ok()?;
            return Some((endpoint.host.as_str().to_owned(), endpoint.port));
        }
        let find = |ensemble: &Ensemble| ensemble.member(server).map(|member| member.addresses()[0].clone());
        let address = find(self.member.ensemble()).or_else(|| find(self.member.last_seen()))?;
        let endpoint = if port == Port::Election { address.election() } else { address.quorum() };
        Some((endpoint.host.as_str().to_owned(), endpoint.port))
    }

    /// Reads the disk on a thread of its own; nobody is served meanwhile.
    fn reload(&self, generation: Generation, upto: ostler_model::Zxid) {
        let (dirs, options) = (self.dirs.clone(), self.recovery.clone());
        let (reloader, doorbell) = (self.reloader.clone(), Arc::clone(&self.doorbell));
        let load = move || {
            let loaded = ostler_store::load_upto(&ostler_store::RealDisk, &dirs, &options, upto, &mut |_| {});
            match loaded {
                Ok(recovered) => {
                    // Nobody listens only when the server stops.
                    let _ = reloader.send((generation, Box::new(recovered.tree)));
                    doorbell.ring();
                }
                Err(error) => log::cannot_reload(&error),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("reload".to_owned()).spawn(load) {
            log::cannot_start_thread(&error);
        }
    }
}
