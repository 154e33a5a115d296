//! Random reconfigurations, and what must hold for them: INV-24 and BUG-43 of the catalogue.

use super::{Action, World};
use ostler_model::{Ensemble, Member, ServerId, Zxid};
use ostler_zab::{LearnerPhase, Payload, PeerState};
use std::collections::BTreeSet;

fn member(id: ServerId, role: &str, port: u64) -> Member {
    Member::parse(id, &format!("host{}:{port}:3888:{role}", id.0)).unwrap()
}

impl World {
    /// The ensemble of the history up to here, this transaction not included.
    pub fn ensemble_before(&self, zxid: Zxid) -> &Ensemble {
        let is_committed = |at: &Zxid| self.ghost.committed.contains_key(at);
        let newest = self.ghost.reconfigs.range(..zxid).rev().find(|(at, _)| is_committed(at));
        newest.map_or(&self.ensemble, |(_, ensemble)| ensemble)
    }

    /// The ensemble that everything committed so far leads to.
    pub fn ensemble_now(&self) -> &Ensemble {
        self.ensemble_before(Zxid(i64::MAX))
    }

    /// What a record in a log means: the ensemble of a reconfiguration.
    pub fn reconfig_of(&self, zxid: Zxid) -> Option<Box<Ensemble>> {
        self.ghost.reconfigs.get(&zxid).cloned().map(Box::new)
    }

    /// INV-24: quorums of the ensemble before it, and of the one that it brings.
    pub fn has_quorum(&self, zxid: Zxid, payload: &Payload) -> bool {
        let has = |server: ServerId| self.servers[&server].disk.has_durable(zxid, payload);
        let next = self.ghost.reconfigs.get(&zxid);
        self.ensemble_before(zxid).is_quorum(has) && next.is_none_or(|next| next.is_quorum(has))
    }

    /// INV-24: what was proposed behind a reconfiguration that was not in force needs the ensemble before it, too.
    pub fn has_old_quorum(&self, zxid: Zxid, payload: &Payload) -> bool {
        let has = |server: ServerId| self.servers[&server].disk.has_durable(zxid, payload);
        self.ghost.in_force.get(&zxid).is_none_or(|old| old.is_quorum(has))
    }

    /// A leader is about to propose this.
    pub fn note_ensembles(&mut self, leader: ServerId, zxid: Zxid) {
        let history = self.servers[&leader].disk.appended();
        let newest = self.ghost.reconfigs.keys().rev().find(|at| history.contains_key(at));
        let current = &self.servers[&leader].up.as_ref().unwrap().ensemble;
        if newest.is_some_and(|at| at.0 > current.version()) {
            let current = current.clone();
            self.ghost.in_force.insert(zxid, current);
        }
    }

    /// INV-24: an ensemble comes into force behind its commit, is the same everywhere, and no older one follows.
    pub fn check_activation(&mut self, id: ServerId, ensemble: Ensemble) {
        let version = Zxid(ensemble.version());
        if version.counter() == 0 {
            assert!(ensemble.has_same_members(&self.ensemble), "INV-24: the first ensemble is another one on {id:?}");
        } else {
            assert_eq!(self.ghost.reconfigs.get(&version), Some(&ensemble), "INV-24: {version} on {id:?}");
            let status = self.up(id).zab.status();
            if status.peer_state == PeerState::Leading && self.up(id).serving.is_none() {
                // It has just been established, and will serve at once.
                self.check_established(id, status.epoch);
            }
            assert!(self.ghost.committed.contains_key(&version), "INV-24: {version} in force on {id:?}, not committed");
        }
        let up = self.up(id);
        assert!(ensemble.version() > up.ensemble.version(), "INV-24: {id:?} goes back to {version}");
        up.ensemble = ensemble;
        self.counts.activations += 1;
    }

    pub fn check_end_ensemble(&self) {
        let now = self.ensemble_now();
        for (id, server) in &self.servers {
            let known = &server.up.as_ref().unwrap().ensemble;
            let is_it = known == now || now.version() == 0 && known.has_same_members(now);
            assert!(is_it, "INV-24, at the end: {id:?} knows {known:?} instead of {now:?}");
            if known.version() != 0 {
                let durable = server.disk.ensemble.as_ref().map(Ensemble::version);
                assert_eq!(durable, Some(known.version()), "the file of {id:?}");
                assert!(server.disk.next_ensemble.is_none(), "{id:?} keeps a file of what is not proposed");
            }
        }
    }

    /// The operator changes something, if there is a leader to take it.
    pub fn reconfigure(&mut self) {
        if self.now_ms >= self.faults_until_ms {
            return;
        }
        let delay = self.rng.between(100, 900);
        self.later(delay, Action::Reconfigure);
        let leading =
            |id: &ServerId| self.servers[id].up.as_ref().is_some_and(|up| up.zab.status().next_zxid.is_some());
        let leaders: Vec<ServerId> = self.servers.keys().copied().filter(leading).collect();
        let Some(leader) = (!leaders.is_empty()).then(|| self.rng.pick(&leaders)) else { return };
        let status = self.servers[&leader].up.as_ref().unwrap().zab.status();
        let (current, zxid) = (self.up(leader).ensemble.clone(), status.next_zxid.unwrap());
        // One at a time: nothing is proposed and not committed in this leader's history.
        let history = self.servers[&leader].disk.appended();
        let newest = self.ghost.reconfigs.iter().rev().find(|(at, _)| history.contains_key(at));
        if newest.is_some_and(|(at, _)| at.0 > current.version()) {
            return;
        }
        let next = self.another(&current, leader).with_version(zxid.0);
        let linked = |id: ServerId| {
            id == leader
                || status
                    .learners
                    .iter()
                    .any(|it| it.server == Some(id) && !it.observer && it.phase == LearnerPhase::Active)
        };
        // The node refuses what has no quorum now. One that loses it a moment later looks the same (BUG-43).
        if next.voters().next().is_none() || !next.is_quorum(linked) && !self.rng.percent(20) {
            return;
        }
        self.counts.reconfigs += 1;
        self.ghost.reconfigs.insert(zxid, next.clone());
        let payload = self.payload();
        self.propose_this(leader, zxid, payload, Some(Box::new(next)));
    }

    /// Some servers come, go, or change their part; often it is the leader.
    fn another(&mut self, current: &Ensemble, leader: ServerId) -> Ensemble {
        let mut members: Vec<Member> = current.members().to_vec();
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        let mut changed = BTreeSet::new();
        for _ in 0..self.rng.between(1, 3) {
            let id = if self.rng.percent(25) { leader } else { self.rng.pick(&ids) };
            if !changed.insert(id) {
                continue;
            }
            members.retain(|member| member.id != id);
            match self.rng.below(8) {
                0..=2 => {}
                3 => members.push(member(id, "observer", 2888)),
                4 => members.push(member(id, "participant", 2889)),
                _ => members.push(member(id, "participant", 2888)),
            }
        }
        Ensemble::new(members, 0).unwrap()
    }
}
