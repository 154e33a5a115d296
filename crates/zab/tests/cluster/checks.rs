//! The invariants of the catalogue, checked where they could break.

use super::World;
use super::disk::Txns;
use ostler_model::{Ensemble, ServerId, Zxid};
use ostler_zab::{DiskOp, LinkId, Message, Notification, Payload, PeerState, ServingRole};
use std::collections::{BTreeMap, BTreeSet};

/// What no server knows: the truth.
#[derive(Default)]
pub struct Ghost {
    /// Append-only.
    pub committed: Txns,
    /// Every proposal of a leader.
    pub proposed: Txns,
    /// The proposals that are reconfigurations.
    pub reconfigs: BTreeMap<Zxid, Ensemble>,
    /// Of what was proposed while a reconfiguration was under way: the ensemble in force then.
    pub in_force: BTreeMap<Zxid, Ensemble>,
    pub leader_of: BTreeMap<u32, ServerId>,
    /// Counted promises.
    pub promises: BTreeSet<(ServerId, u32)>,
    /// The histories that reached the leader of an epoch with them.
    pub reported: BTreeMap<u32, BTreeMap<ServerId, (u32, Zxid)>>,
}

impl Ghost {
    pub fn last(&self) -> Zxid {
        self.committed.keys().next_back().copied().unwrap_or(Zxid::ZERO)
    }

    pub fn proposed(&mut self, zxid: Zxid, payload: &Payload) {
        let before = self.proposed.range(..zxid).next_back().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        assert!(zxid.counter() == 1 || before.next() == Some(zxid), "INV-6: {zxid} proposed behind {before}");
        assert!(self.proposed.insert(zxid, payload.clone()).is_none(), "INV-6: {zxid} proposed twice");
    }

    fn commit(&mut self, zxid: Zxid, payload: &Payload) {
        match self.committed.get(&zxid) {
            Some(known) => assert_eq!(known, payload, "INV-9: another transaction committed under {zxid}"),
            None => {
                assert!(zxid > self.last(), "INV-9, INV-16: {zxid} committed behind {}", self.last());
                assert_eq!(self.proposed.get(&zxid), Some(payload), "INV-8: nobody proposed {zxid}");
                self.committed.insert(zxid, payload.clone());
            }
        }
    }
}

impl World {
    pub fn check_boot(&self, id: ServerId) {
        let server = &self.servers[&id];
        assert!(server.disk.epochs.current <= server.disk.epochs.accepted, "INV-1 on {id:?}");
    }

    /// A leader's commits need a quorum that has them on disk; a serving learner commits only what a leader has.
    pub fn check_commit(&mut self, id: ServerId, upto: Zxid) {
        let up = self.servers[&id].up.as_ref().unwrap();
        let Some((role, epoch)) = up.serving else { return };
        let due: Vec<(Zxid, Payload)> =
            up.pending.range(..=upto).map(|(zxid, payload)| (*zxid, payload.clone())).collect();
        for (zxid, payload) in due {
            if role == ServingRole::Leader {
                assert_eq!(zxid.epoch(), epoch, "INV-16");
                assert!(self.has_quorum(zxid, &payload), "INV-15: {zxid} committed by {id:?} without a quorum");
                let is_enough = self.has_old_quorum(zxid, &payload);
                assert!(is_enough, "INV-24: {zxid} committed by {id:?} without a quorum of the ensemble before");
                self.ghost.commit(zxid, &payload);
                self.counts.commits += 1;
            } else {
                assert_eq!(self.ghost.committed.get(&zxid), Some(&payload), "INV-9: {zxid} on {id:?}");
            }
        }
    }

    pub fn check_applied(&self, id: ServerId, zxid: Zxid) {
        let up = self.servers[&id].up.as_ref().unwrap();
        if up.serving.is_some() {
            assert_eq!(up.tree.get(&zxid), self.ghost.committed.get(&zxid), "INV-9: {zxid} on {id:?}");
        }
    }

    pub fn check_serve(&mut self, id: ServerId, role: ServingRole, epoch: u32) {
        let server = &self.servers[&id];
        if role == ServingRole::Leader {
            let known = self.ghost.leader_of.insert(epoch, id);
            assert!(known.is_none(), "INV-3: {epoch} is led by {known:?} and {id:?}");
            assert_eq!(server.disk.epochs.current, epoch);
            self.check_most_recent(id, epoch);
            self.check_established(id, epoch);
        }
        let up = self.servers[&id].up.as_ref().unwrap();
        // What the tree has and will have at once is a prefix of what is committed.
        let up_to = up.to_apply.back().map_or(up.at, |(zxid, _)| *zxid);
        let mut tree = up.tree.clone();
        tree.extend(up.to_apply.iter().cloned());
        tree.retain(|zxid, _| *zxid <= up_to);
        let expected: Txns =
            self.ghost.committed.range(..=up_to).map(|(zxid, payload)| (*zxid, payload.clone())).collect();
        assert_eq!(tree, expected, "INV-9, INV-20: {id:?} serves another history up to {up_to}");
    }

    /// An epoch is established: what its leader brought with it is committed.
    pub fn check_established(&mut self, id: ServerId, epoch: u32) {
        let history = self.servers[&id].disk.appended();
        for (zxid, payload) in &self.ghost.committed {
            assert_eq!(history.get(zxid), Some(payload), "INV-14: {id:?} leads {epoch} without {zxid}");
        }
        for (zxid, payload) in &history {
            let is_new = !self.ghost.committed.contains_key(zxid);
            assert!(!is_new || self.has_quorum(*zxid, payload), "INV-15: {id:?} brings {zxid} without a quorum");
            self.ghost.commit(*zxid, payload);
        }
    }

    /// INV-4: a quorum promised the epoch with histories that are not newer than the leader's.
    fn check_most_recent(&self, id: ServerId, epoch: u32) {
        let up = self.servers[&id].up.as_ref().unwrap();
        let (own_epoch, own_last) = (up.epoch_at_start, self.servers[&id].disk.last());
        let reported = self.ghost.reported.get(&epoch);
        let now = self.ensemble_now();
        let is_older = |server: ServerId| {
            let pair = reported.and_then(|reported| reported.get(&server));
            // Who voted only in an ensemble of which it did not know that it is in force has nothing committed beyond
            // the voters of the one before.
            let waits = self.servers[&server].up.as_ref().is_some_and(|up| up.ensemble.version() < now.version());
            let waits = waits && pair.is_some() && !self.ensemble_before(Zxid(now.version())).is_voter(server);
            server == id || waits || pair.is_some_and(|pair| *pair <= (own_epoch, own_last))
        };
        assert!(now.is_quorum(is_older), "INV-4: {id:?} leads {epoch} with {own_epoch}, {own_last}: {reported:?}");
    }

    pub fn check_vote(&self, id: ServerId, to: ServerId, notification: &Notification) {
        let server = &self.servers[&id];
        // Strangers are told the vote that settled the last election.
        if !server.up.as_ref().unwrap().ensemble.is_voter(to) || self.has_liars {
            return;
        }
        if notification.state == PeerState::Looking && notification.vote.leader == id {
            assert_eq!(notification.vote.zxid, server.disk.last(), "INV-22: {id:?} votes for what it has not");
            // An ensemble heard of while looking says nothing about the history.
            let is_file = |op: &DiskOp| matches!(op, DiskOp::SaveConfig { .. });
            assert!(
                server.disk.queue.iter().all(|(_, op, _)| is_file(op)),
                "BUG-14: {id:?} votes while its disk works"
            );
        }
    }

    pub fn check_message(&mut self, id: ServerId, link: LinkId, message: &Message) {
        let disk = &self.servers[&id].disk;
        match message {
            Message::LeaderInfo { epoch } => {
                assert!(disk.epochs.accepted >= *epoch, "INV-2: an epoch is told before it is durable");
                self.conns.get_mut(&link).unwrap().epoch = *epoch;
            }
            Message::AckEpoch { last, current_epoch } => {
                let epoch = self.conns[&link].epoch;
                self.conns.get_mut(&link).unwrap().sync_upto = *last;
                let disk = &self.servers[&id].disk;
                assert!(disk.epochs.accepted >= epoch, "INV-2: {epoch} promised by {id:?}, not durable");
                if let Some(current) = current_epoch {
                    assert!(self.ghost.promises.insert((id, epoch)), "INV-2: {epoch} promised twice by {id:?}");
                    assert_eq!(*last, disk.last(), "INV-22: ACKEPOCH of {id:?}");
                    assert_eq!(*current, disk.epochs.current, "INV-22");
                }
            }
            // The point of synchronisation: what was sent before NEWLEADER.
            Message::Trunc { zxid } | Message::Proposal { zxid, .. } => {
                let conn = self.conns.get_mut(&link).unwrap();
                if !conn.new_leader_sent {
                    conn.sync_upto = *zxid;
                }
            }
            Message::Commit { zxid } => {
                let conn = self.conns.get_mut(&link).unwrap();
                assert!(*zxid > conn.committed, "INV-16: COMMIT {zxid} behind {} to one learner", conn.committed);
                conn.committed = *zxid;
            }
            Message::NewLeader { .. } => self.conns.get_mut(&link).unwrap().new_leader_sent = true,
            Message::Ack { zxid } if zxid.counter() == 0 => self.check_new_leader_ack(id, link, zxid.epoch()),
            Message::Ack { zxid } => {
                assert!(
                    disk.log.contains_key(zxid) || disk.snapshot.contains_key(zxid),
                    "INV-18: {id:?} acknowledges {zxid}"
                );
            }
            _ => {}
        }
    }

    /// INV-17: the durable history is the leader's up to the point of synchronisation, and the epoch is durable.
    fn check_new_leader_ack(&self, id: ServerId, link: LinkId, epoch: u32) {
        let disk = &self.servers[&id].disk;
        assert_eq!(disk.epochs.current, epoch, "INV-17: the epoch is not durable on {id:?}");
        let conn = &self.conns[&link];
        if !self.is_life(conn.leader.0, conn.leader.1) {
            return;
        }
        let theirs = self.servers[&conn.leader.0].disk.appended();
        let ours = disk.durable();
        for (zxid, payload) in theirs.range(..=conn.sync_upto) {
            assert_eq!(ours.get(zxid), Some(payload), "INV-17: {id:?} acknowledges the epoch without {zxid}");
        }
        for (zxid, payload) in &ours {
            assert_eq!(theirs.get(zxid), Some(payload), "INV-17: {id:?} keeps {zxid}, which its leader has not");
        }
    }

    /// At the end: all serve one leader, and have the same tree, which is what was committed.
    pub fn check_end(&mut self) {
        let mut epochs = BTreeSet::new();
        for (id, server) in &self.servers {
            let up = server.up.as_ref().expect("everybody is up");
            let Some((_, epoch)) = up.serving else {
                panic!("LIV-1, LIV-2: {id:?} does not serve: {:?}", up.zab.status());
            };
            epochs.insert(epoch);
            assert!(up.tree == self.ghost.committed, "LIV-4: {id:?} has {} of {}", up.at, self.ghost.last());
        }
        assert_eq!(epochs.len(), 1, "one leader: {epochs:?}");
        self.check_end_ensemble();
    }
}
