//! The shell of a member in virtual time: its connections to other members, the disk's FIFO, trees and histories.
//!
//! It does what the real one does (`ostler_server::peers`): carries out the orders of [`Member`] and tells it what came
//! of them. What the orders reveal is handed to the checks.

use super::disk::{DiskThread, Job, Report};
use super::transfer::Transfers;
use crate::checks::ensemble::Seen;
use crate::heap::Micros;
use crate::net::{End, Net, Port as NetPort, Status};
use ostler_model::Dice;
use ostler_model::Zxid;
use ostler_node::{Applied, Member, Order, Parts, Port};
use ostler_zab::{DiskOp, Generation, LinkId, ServingRole};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where members listen for votes.
pub const ELECTION_PORT: NetPort = 3888;
/// Where leaders listen for learners.
pub const QUORUM_PORT: NetPort = 2888;
/// `cnxTimeout`.
const CONNECT_TIMEOUT_US: Micros = 5_000_000;
const READ_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Socket {
    end: End,
    /// Dialled at this time and not connected yet.
    dialled_at: Option<Micros>,
}

/// What a turn works with, beside the parts.
pub struct Around<'a> {
    /// Which server.
    pub server: usize,
    /// Virtual time.
    pub now: Micros,
    /// The network.
    pub net: &'a mut Net,
    /// Chance.
    pub dice: &'a mut Dice,
}

/// A snapshot that the shell of the process must begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Give up the one under way.
    Abort,
    /// One that installs the leader's history under this zxid.
    Install(Zxid),
}

/// See the module.
pub struct Peers {
    /// The member.
    pub member: Member,
    /// The disk thread.
    pub disk: DiskThread,
    sockets: BTreeMap<LinkId, Socket>,
    backlog: BTreeSet<LinkId>,
    installing: Option<Generation>,
    held: VecDeque<Job>,
    transfers: Transfers,
    /// Trees to be built anew from disk.
    pub reloads: Vec<(Generation, Zxid)>,
    serving: Option<ServingRole>,
    snapshot_due: bool,
    /// For the snapshot thread, in order.
    pub wanted: Vec<Wanted>,
    /// For the checks, in order.
    pub seen: Vec<Seen>,
    more: bool,
    /// Nothing keeps this server any more: its process ends.
    pub has_resigned: bool,
}

impl Peers {
    /// Around a member that has just booted.
    pub fn new(member: Member, disk: DiskThread, transfers: Transfers) -> Peers {
        Peers {
            member,
            disk,
            sockets: BTreeMap::new(),
            backlog: BTreeSet::new(),
            installing: None,
            held: VecDeque::new(),
            transfers,
            reloads: Vec::new(),
            serving: None,
            snapshot_due: false,
            wanted: Vec::new(),
            seen: Vec::new(),
            more: false,
            has_resigned: false,
        }
    }

    /// As what clients are served.
    pub fn serving(&self) -> Option<ServingRole> {
        self.serving
    }

    /// True once after the log was rolled while clients are served.
    pub fn take_snapshot_due(&mut self) -> bool {
        std::mem::take(&mut self.snapshot_due) && self.serving.is_some()
    }

    /// True if there is something to do without waiting.
    pub fn has_work(&self) -> bool {
        self.more || !self.wanted.is_empty()
    }

    /// When time alone makes something happen, in the server's milliseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.member.next_deadline()
    }

    /// The operator stops this server.
    pub fn resign(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>) {
        self.member.resign(parts);
        self.carry_out(parts, around);
    }

    /// What shards and replica did reaches the ensemble.
    pub fn run(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>) {
        self.member.run(parts);
        self.carry_out(parts, around);
    }

    /// What the replica applied.
    pub fn applied(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>, applied: Applied) {
        self.member.applied(parts, applied);
        self.carry_out(parts, around);
    }

    /// The tree in `parts` was built anew.
    pub fn reloaded(&mut self, parts: &mut Parts<'_>, generation: Generation) {
        self.member.tree_reloaded(parts, generation);
        self.more = true;
    }

    /// A snapshot was written.
    pub fn snapshot_written(&mut self, snapshot: ostler_store::SealedSnapshot<ostler_store::faulty::FaultyDisk>) {
        match self.installing.take() {
            Some(generation) => {
                self.disk.push(Job::Install(generation, snapshot));
                while let Some(job) = self.held.pop_front() {
                    self.disk.push(job);
                }
            }
            None => self.disk.push(Job::Publish(snapshot)),
        }
    }

    /// Everything that came in since the last turn.
    pub fn turn(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>) {
        for (port, of) in [(ELECTION_PORT, Port::Election), (QUORUM_PORT, Port::Quorum)] {
            while let Some(end) = around.net.accept(around.server, port) {
                let link = self.member.accepted(parts, of);
                self.sockets.insert(link, Socket { end, dialled_at: None });
                self.carry_out(parts, around);
            }
        }
        self.look_at_sockets(parts, around);
        for report in self.disk.take_reports() {
            match report {
                Report::Done(generation, done) => self.member.disk_done(parts, generation, done),
                Report::SnapshotDue => self.snapshot_due = true,
                Report::Published => {}
            }
            self.carry_out(parts, around);
        }
        if self.member.next_deadline().is_some_and(|at| at <= parts.now.mono_ms) {
            self.member.tick(parts);
        }
        self.carry_out(parts, around);
        self.more = self.transfers.step(&mut self.member, parts, around.dice);
        self.carry_out(parts, around);
    }

    fn look_at_sockets(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>) {
        let links: Vec<LinkId> = self.sockets.keys().copied().collect();
        for link in links {
            let Some(socket) = self.sockets.get_mut(&link) else { continue };
            let end = socket.end;
            let status = around.net.status(end);
            if let Some(dialled_at) = socket.dialled_at {
                match status {
                    Status::Open | Status::Ended => {
                        socket.dialled_at = None;
                        self.member.connected(parts, link);
                        self.carry_out(parts, around);
                    }
                    Status::Opening if around.now < dialled_at + CONNECT_TIMEOUT_US => continue,
                    Status::Opening | Status::Reset => {
                        self.close(around, link);
                        self.member.hung_up(parts, link);
                        self.carry_out(parts, around);
                        continue;
                    }
                }
            }
            if around.net.readable(end) > 0 {
                let bytes = around.net.read(end, READ_BYTES);
                self.member.input(parts, link, &bytes);
                self.carry_out(parts, around);
                self.more = true;
            } else if matches!(status, Status::Ended | Status::Reset) {
                self.close(around, link);
                self.member.hung_up(parts, link);
                self.carry_out(parts, around);
            }
        }
        for link in std::mem::take(&mut self.backlog) {
            self.write(parts, around, link);
        }
    }

    fn close(&mut self, around: &mut Around<'_>, link: LinkId) {
        if let Some(socket) = self.sockets.remove(&link) {
            around.net.close(around.now, socket.end);
        }
        self.backlog.remove(&link);
    }

    /// Orders until there are none, then the output of every connection that has some.
    fn carry_out(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>) {
        loop {
            let orders = self.member.take_orders();
            if orders.is_empty() {
                break;
            }
            for order in orders {
                self.order(parts, around, order);
            }
        }
        for link in self.member.take_dirty() {
            self.write(parts, around, link);
        }
    }

    fn write(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>, link: LinkId) {
        let Some(socket) = self.sockets.get(&link) else {
            self.member.wrote(parts, link, 0);
            return;
        };
        let output = self.member.output(link);
        let length = output.len();
        if length > 0 && socket.dialled_at.is_some() {
            self.backlog.insert(link);
            return;
        }
        let taken = if length > 0 { around.net.write(around.now, socket.end, output) } else { 0 };
        if !self.member.wrote(parts, link, taken) {
            self.close(around, link);
        } else if taken < length {
            self.backlog.insert(link);
        }
    }

    fn order(&mut self, parts: &mut Parts<'_>, around: &mut Around<'_>, order: Order) {
        match order {
            Order::Dial { link, server, port, .. } => {
                let port = if port == Port::Election { ELECTION_PORT } else { QUORUM_PORT };
                let end = around.net.dial(around.now, around.server, server.0 as usize - 1, port);
                self.sockets.insert(link, Socket { end, dialled_at: Some(around.now) });
            }
            Order::Disk { generation, op: DiskOp::Install { zxid } } => {
                self.wanted.extend([Wanted::Abort, Wanted::Install(zxid)]);
                self.installing = Some(generation);
            }
            Order::Disk { generation, op } => {
                if let DiskOp::Append { zxid, payload } = &op {
                    self.seen.push(Seen::Appended(*zxid, payload.clone()));
                }
                self.job(Job::Op(generation, op));
            }
            Order::Reload { generation, upto } => self.reloads.push((generation, upto)),
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
                let (zxid, digest) = (parts.tree.zxid(), parts.tree.digest());
                self.seen.push(Seen::Serving { leads: role == ServingRole::Leader, epoch, zxid, digest });
            }
            Order::StoppedServing => {
                self.serving = None;
                self.wanted.push(Wanted::Abort);
                self.seen.push(Seen::Stopped);
            }
            Order::Trace(trace) => self.seen.push(Seen::Trace(trace)),
            Order::PeerNotice { what } | Order::PeerTrouble { what, .. } => self.seen.push(Seen::Trouble(what)),
            Order::ServingReadOnly | Order::NothingToShow | Order::StoppedReadOnly => {}
            Order::Activate(ensemble) => self.seen.push(Seen::Activated(*ensemble)),
            Order::Resigned => self.has_resigned = true,
        }
    }

    fn job(&mut self, job: Job) {
        if self.installing.is_some() {
            if !matches!(job, Job::Op(_, DiskOp::Fence)) {
                self.held.push_back(job);
                return;
            }
            self.wanted.push(Wanted::Abort);
            self.installing = None;
            while let Some(job) = self.held.pop_front() {
                self.disk.push(job);
            }
        }
        self.disk.push(job);
    }

    /// True while the snapshot under way is one that takes the place of the history.
    pub fn is_installing(&self) -> bool {
        self.installing.is_some()
    }
}
