//! What is checked after whatever happens in a script: the invariants that can be seen from outside.

use super::actor::{Actor, Txns};
use super::stage::Stage;
use ostler_model::{ServerId, Zxid};
use ostler_zab::{LinkId, Message, Notification, PeerState, ServingRole};
use std::collections::BTreeMap;

/// What nobody in the script knows as a whole.
#[derive(Default)]
pub struct Truth {
    pub committed: Txns,
    pub leaders: BTreeMap<u32, ServerId>,
}

impl Truth {
    /// Something is committed now, whoever says so.
    fn commit(&mut self, all: &Txns) {
        for (zxid, payload) in all {
            let known = self.committed.insert(*zxid, payload.clone());
            assert!(known.is_none_or(|known| known == *payload), "INV-9: two transactions committed under {zxid}");
        }
    }
}

impl Stage {
    pub fn check_serve(&mut self, id: ServerId, role: ServingRole, epoch: u32) {
        let actor = &self.actors[&id];
        assert_eq!(actor.disk.epochs.current, epoch, "INV-17: {id} serves in an epoch that is not durable");
        if role == ServingRole::Leader {
            let known = self.truth.leaders.insert(epoch, id);
            assert!(known.is_none_or(|known| known == id), "INV-3: two leaders in epoch {epoch}");
            let history = actor.disk.durable();
            for (zxid, payload) in &self.truth.committed {
                assert_eq!(history.get(zxid), Some(payload), "INV-14: {id} leads without {zxid}");
            }
            self.truth.commit(&history);
        }
        let tree = &self.actors[&id].tree;
        let wrong = tree.iter().find(|(zxid, payload)| self.truth.committed.get(zxid) != Some(payload));
        if self.knows_leader_of(id) {
            assert!(wrong.is_none(), "INV-9: {id} serves {wrong:?}, which is not committed");
            let last = self.actors[&id].at;
            let missing = self.truth.committed.keys().find(|zxid| **zxid <= last && !tree.contains_key(zxid));
            assert!(missing.is_none(), "INV-20: {id} serves without {missing:?}");
        }
    }

    /// False if a puppet leads: what it commits is not known.
    fn knows_leader_of(&self, id: ServerId) -> bool {
        let leader = self.actors[&id].zab.as_ref().and_then(|zab| zab.status().leader);
        leader.is_some_and(|leader| !self.actors[&leader].is_puppet)
    }

    pub fn check_commit(&mut self, id: ServerId, upto: Zxid) {
        let actor = &self.actors[&id];
        let Some((role, epoch)) = actor.serving else { return };
        let due: Txns = actor.pending.range(..=upto).map(|(zxid, payload)| (*zxid, payload.clone())).collect();
        if role == ServingRole::Leader {
            for (zxid, payload) in &due {
                assert_eq!(zxid.epoch(), epoch, "INV-16");
                let has = |server: ServerId| {
                    let actor: &Actor = &self.actors[&server];
                    actor.is_puppet || actor.disk.durable().get(zxid) == Some(payload)
                };
                assert!(self.ensemble.is_quorum(has), "INV-15: {id} commits {zxid} without a quorum");
            }
            self.truth.commit(&due);
        } else if self.knows_leader_of(id) {
            for (zxid, payload) in &due {
                assert_eq!(self.truth.committed.get(zxid), Some(payload), "INV-9: {id} commits {zxid}");
            }
        }
    }

    pub fn check_vote(&self, id: ServerId, to: ServerId, said: &Notification) {
        let disk = &self.actors[&id].disk;
        if said.state == PeerState::Looking && said.vote.leader == id && self.ensemble.is_voter(to) && !disk.untrusted {
            assert_eq!(said.vote.zxid, disk.last(), "INV-22: {id} votes with what is not the end of its log");
            assert!(disk.queue.is_empty(), "BUG-14: {id} votes while its disk works");
        }
    }

    pub fn check_message(&self, id: ServerId, link: LinkId, message: &Message) {
        let disk = &self.actors[&id].disk;
        match message {
            Message::LeaderInfo { epoch } => {
                assert!(disk.epochs.accepted >= *epoch, "INV-2: {id} proposes an epoch that is not durable");
            }
            Message::AckEpoch { current_epoch: Some(current), .. } => {
                assert_eq!(disk.epochs.current, *current, "INV-22");
            }
            Message::Ack { zxid } if zxid.counter() == 0 => {
                assert_eq!(disk.epochs.current, zxid.epoch(), "INV-17: {id} acknowledges an epoch that is not durable");
                let told = self.conns[&link].told_learner.iter();
                let before = told.take_while(|message| !matches!(message, Message::NewLeader { .. }));
                let durable = disk.durable();
                for message in before {
                    if let Message::Proposal { zxid, .. } = message
                        && *zxid <= disk.last()
                    {
                        assert!(durable.contains_key(zxid), "INV-17: {id} acknowledges the epoch without {zxid}");
                    } else if let Message::Proposal { zxid, .. } = message {
                        panic!("INV-17: {id} acknowledges the epoch, {zxid} is not durable");
                    }
                }
            }
            Message::Ack { zxid } => {
                assert!(disk.durable().contains_key(zxid), "INV-18: {id} acknowledges {zxid}, which is not durable");
            }
            _ => {}
        }
    }
}
