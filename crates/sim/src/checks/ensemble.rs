//! What members of an ensemble must never do, seen from their disks and from the moments at which they begin to serve
//! (zab-invariants.md): epochs only grow (INV-1), one leader an epoch (INV-3), one transaction a zxid (INV-7, INV-8),
//! a new leader has everything committed (INV-13, INV-14), a commit has a quorum of disks (INV-15), a restart finds what
//! was made durable (INV-19), and who serves shows the committed state (INV-20, INV-21).

use super::{Referee, Verdict, broken};
use crate::model::State;
use crate::server::{Durable, Found};
use ostler_model::{Ensemble, ServerId, Txn, Zxid};
use ostler_zab::{Epochs, Payload, Trace};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

const CHECK: &str = "ensemble";

/// What a member was seen doing, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// It took a record into its history.
    Appended(Zxid, Payload),
    /// It serves clients from now on.
    Serving {
        /// As a leader.
        leads: bool,
        /// Of or in this epoch.
        epoch: u32,
        /// Where its tree stands.
        zxid: Zxid,
        /// And its digest.
        digest: i64,
    },
    /// It does not serve any more.
    Stopped,
    /// This ensemble is in force.
    Activated(Ensemble),
    /// For people.
    Trace(Trace),
    /// A peer sent what cannot be read.
    Trouble(String),
}

/// What is known of a member's disk.
#[derive(Clone, Debug, Default)]
struct Known {
    records: BTreeMap<Zxid, ()>,
    /// Everything of its history up to here is durable.
    upto: Zxid,
    /// A restart may find an end as low as this.
    at_least: Zxid,
    /// A snapshot stands for everything up to here.
    base: Zxid,
    epochs: Epochs,
}

/// What the ensemble's members did.
#[derive(Debug)]
pub struct Members {
    known: Vec<Known>,
    /// The one transaction of each zxid.
    proposed: BTreeMap<Zxid, Payload>,
    /// Server and life.
    leader_of: BTreeMap<u32, (usize, u32)>,
    /// The ensembles in force, each from behind its transaction on.
    ensembles: Vec<(Zxid, Ensemble)>,
    /// What each server has in force, and everything that ever was somewhere.
    in_force: Vec<i64>,
    activated: BTreeMap<i64, Ensemble>,
    /// Servers that serve, and since when they lead.
    pub serving: Vec<bool>,
}

impl Members {
    /// So many servers, and the first ensemble.
    pub fn new(servers: usize, first: Ensemble) -> Members {
        Members {
            known: vec![Known::default(); servers],
            proposed: BTreeMap::new(),
            leader_of: BTreeMap::new(),
            ensembles: vec![(Zxid::ZERO, first)],
            in_force: vec![0; servers],
            activated: BTreeMap::new(),
            serving: vec![false; servers],
        }
    }

    /// Epochs that had a leader that served.
    pub fn epochs(&self) -> usize {
        self.leader_of.len()
    }
}

impl Known {
    fn has(&self, zxid: Zxid) -> bool {
        self.upto >= zxid && (zxid <= self.base || self.records.contains_key(&zxid))
    }
}

impl Referee {
    /// A member did something.
    pub fn saw(&mut self, server: usize, life: u32, seen: &Seen) -> Verdict {
        match seen {
            Seen::Appended(zxid, payload) => {
                let one = self.members.proposed.entry(*zxid).or_insert_with(|| payload.clone());
                if one != payload {
                    return Err(broken(
                        CHECK,
                        format!("INV-7: server {server} has another transaction {zxid} than others"),
                    ));
                }
                let records = &mut self.members.known[server].records;
                records.split_off(zxid);
                records.insert(*zxid, ());
                Ok(())
            }
            Seen::Serving { leads, epoch, zxid, digest } => {
                self.members.serving[server] = true;
                if *leads {
                    self.leads(server, life, *epoch, *zxid)?;
                }
                self.serves(server, *epoch, *zxid, *digest)
            }
            Seen::Stopped => {
                self.members.serving[server] = false;
                Ok(())
            }
            Seen::Activated(ensemble) => self.activated(server, ensemble),
            Seen::Trouble(what) => Err(broken(CHECK, format!("server {server} cannot read what a peer sends: {what}"))),
            Seen::Trace(_) => Ok(()),
        }
    }

    fn leads(&mut self, server: usize, life: u32, epoch: u32, zxid: Zxid) -> Verdict {
        let leader = self.members.leader_of.entry(epoch).or_insert((server, life));
        if *leader != (server, life) {
            return Err(broken(CHECK, format!("INV-3: servers {} and {server} both lead epoch {epoch}", leader.0)));
        }
        // A leader that stood still while its quorum went on may establish its epoch late: it can commit nothing any more,
        // and what later epochs committed is none of its business.
        let of_before = self.entries.iter().rev().map(|entry| entry.zxid).find(|zxid| zxid.epoch() < epoch);
        let last = of_before.unwrap_or(Zxid::ZERO);
        if zxid < last {
            return Err(broken(
                CHECK,
                format!("INV-14: server {server} leads epoch {epoch} with {zxid}; {last} was committed before"),
            ));
        }
        Ok(())
    }

    /// What a server shows from now on is committed.
    fn serves(&mut self, server: usize, epoch: u32, zxid: Zxid, digest: i64) -> Verdict {
        self.applied[server] = self.position(zxid);
        let range = (Excluded(self.last_zxid()), Included(zxid.max(self.last_zxid())));
        // Of older epochs only what this server has itself: others may have proposed more, which is gone.
        // (Of what came with a tree, the records are not there; the last epoch in it has no holes.)
        let known = &self.members.known[server];
        let in_tree = |at: Zxid| at <= known.base && at.epoch() == known.base.epoch();
        let mine = |at: Zxid| at.epoch() == epoch || known.records.contains_key(&at) || in_tree(at);
        let behind = self.members.proposed.range(range).filter(|(at, _)| mine(**at));
        let behind: Vec<_> = behind.map(|(at, record)| (*at, record.clone())).collect();
        for (zxid, record) in behind {
            self.applied[server] = self.entries.len();
            self.commit(server, zxid, &record)?;
        }
        self.applied[server] = self.position(zxid);
        let expected = self.applied[server].checked_sub(1).map_or(State::new().digest(), |at| self.entries[at].digest);
        if digest != expected {
            return Err(broken(
                CHECK,
                format!(
                    "INV-21: server {server} begins to serve at {zxid} with digest {digest}, the model has {expected}"
                ),
            ));
        }
        Ok(())
    }

    /// A transaction is committed: a quorum must have it on disk (INV-15); of a reconfiguration, one of the ensemble before
    /// it and one of the next (INV-24).
    pub(super) fn has_quorum(&mut self, zxid: Zxid, txn: &Txn) -> Verdict {
        let members = &mut self.members;
        if members.known.len() < 2 {
            return Ok(());
        }
        let next = match txn {
            Txn::Reconfig { data: Some(text), .. } => {
                let text = String::from_utf8_lossy(text);
                let next = Ensemble::parse(&text);
                Some(next.map_err(|error| broken(CHECK, format!("INV-24: {zxid} is no ensemble: {error}: {text}")))?)
            }
            _ => None,
        };
        let has = |server: ServerId| members.known[server.0 as usize - 1].has(zxid);
        let in_force = members.ensembles.last().map(|(_, ensemble)| ensemble);
        for ensemble in in_force.into_iter().chain(&next) {
            if !ensemble.is_quorum(has) {
                let having: Vec<i64> = ensemble.voters().filter(|it| has(*it)).map(|it| it.0).collect();
                let words = format!("INV-15: {zxid} is applied while {having:?} have it on disk, of {ensemble}");
                return Err(broken(CHECK, words));
            }
        }
        members.ensembles.extend(next.map(|next| (zxid, next)));
        Ok(())
    }

    /// An ensemble is in force for a server: the same under each version, and never an older one (INV-24).
    fn activated(&mut self, server: usize, ensemble: &Ensemble) -> Verdict {
        let members = &mut self.members;
        let version = ensemble.version();
        let before = std::mem::replace(&mut members.in_force[server], version);
        let known = members.activated.entry(version).or_insert_with(|| ensemble.clone());
        if version <= before || !known.has_same_members(ensemble) {
            let words =
                format!("INV-24: server {server} puts {ensemble} into force behind version {before:x}, {known}");
            return Err(broken(CHECK, words));
        }
        Ok(())
    }

    /// A process begins with the ensemble of this version in its files.
    pub fn begins_with(&mut self, server: usize, version: i64) {
        self.members.in_force[server] = version;
    }

    /// True for members of the newest ensemble. A server that was removed, or never asked in, need not find it.
    pub fn is_member(&self, server: usize) -> bool {
        let newest = self.members.ensembles.last();
        newest.is_some_and(|(_, ensemble)| ensemble.member(ServerId(server as i64 + 1)).is_some())
    }

    /// At the end, all members have the newest ensemble, and all that ever were in force are committed (INV-24).
    pub fn compare_ensembles(&self) -> Verdict {
        let members = &self.members;
        let committed = |version: &i64| members.ensembles.iter().find(|(zxid, _)| zxid.0 == *version);
        for (version, ensemble) in &members.activated {
            let is_first = Zxid(*version).counter() == 0;
            let first = is_first.then(|| &members.ensembles[0]);
            if !first.or_else(|| committed(version)).is_some_and(|(_, other)| other.has_same_members(ensemble)) {
                return Err(broken(CHECK, format!("INV-24: {ensemble} was in force and is not committed")));
            }
        }
        let newest = members.activated.keys().next_back().copied().unwrap_or_default();
        // Who is no member may have stopped before it heard of it.
        let is_behind = |server: usize| members.in_force[server] != newest && self.is_member(server);
        match (0..members.in_force.len()).find(|server| is_behind(*server)) {
            Some(server) => {
                let version = members.in_force[server];
                Err(broken(CHECK, format!("INV-24: server {server} ends with version {version:x}, not {newest:x}")))
            }
            None => Ok(()),
        }
    }

    /// Something became durable on a member's disk, whether the member knows it yet or not.
    pub fn durable(&mut self, server: usize, durable: &Durable) -> Verdict {
        let known = &mut self.members.known[server];
        match durable {
            Durable::Upto(zxid) => {
                known.upto = *zxid;
                known.at_least = *zxid;
            }
            Durable::Perhaps(zxid) => known.at_least = known.at_least.min(*zxid),
            Durable::Cut(zxid) => {
                known.records.retain(|at, ()| at <= zxid);
                known.upto = known.upto.min(*zxid);
                known.at_least = known.upto;
            }
            Durable::Base(zxid) => {
                known.records.retain(|at, ()| at > zxid);
                (known.base, known.upto, known.at_least) = (*zxid, *zxid, *zxid);
            }
            Durable::Epochs(epochs) => {
                let before = known.epochs;
                if epochs.accepted < before.accepted
                    || epochs.current < before.current
                    || epochs.current > epochs.accepted
                {
                    return Err(broken(CHECK, format!("INV-1: server {server} saves {epochs:?} after {before:?}")));
                }
                known.epochs = *epochs;
            }
        }
        Ok(())
    }

    /// A member has recovered.
    pub fn recovered_member(&mut self, server: usize, found: &Found) -> Verdict {
        let Found { last, epochs, base, ref hole } = *found;
        self.members.serving[server] = false;
        let known = &mut self.members.known[server];
        let Some(last) = last else {
            return Err(broken(CHECK, format!("INV-19: server {server} does not trust its own disk: {hole:?}")));
        };
        if last < known.at_least {
            return Err(broken(
                CHECK,
                format!("INV-19: server {server} recovers up to {last}; up to {} was durable", known.at_least),
            ));
        }
        if epochs.accepted < known.epochs.accepted || epochs.current < known.epochs.current {
            return Err(broken(CHECK, format!("INV-1: server {server} recovers {epochs:?} after {:?}", known.epochs)));
        }
        if last.epoch() > epochs.current {
            return Err(broken(CHECK, format!("INV-5: server {server} recovers {last} in {epochs:?}")));
        }
        known.records.retain(|at, ()| *at <= last);
        // A tree that was installed just before the process died, too.
        known.base = known.base.max(base);
        known.epochs = epochs;
        (known.upto, known.at_least) = (last, last);
        Ok(())
    }
}
