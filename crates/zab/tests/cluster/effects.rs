//! Carries out what the state machines want.

use super::server::Up;
use super::{Action, Item, World, disk};
use ostler_model::{ServerId, Zxid};
use ostler_zab::{DiskOp, Effect, Event, LinkId, Message, ServingRole, SyncKind, Trace};

impl World {
    pub fn up(&mut self, id: ServerId) -> &mut Up {
        self.servers.get_mut(&id).unwrap().up.as_mut().unwrap()
    }

    pub fn carry_out(&mut self, id: ServerId, effects: Vec<Effect>) {
        let life = self.servers[&id].life;
        for effect in effects {
            if self.log
                && !matches!(effect, Effect::Send { message: Message::Ping { .. }, .. } | Effect::AnswerPing { .. })
            {
                println!("{:>7} {id:?} -> {effect:?}", self.now_ms);
            }
            self.effect(id, life, effect);
        }
        let now_ms = self.now_ms;
        let up = self.up(id);
        if let Some(at_ms) = up.zab.next_deadline()
            && up.tick_at.is_none_or(|known| at_ms < known)
        {
            up.tick_at = Some(at_ms);
            self.later(at_ms.saturating_sub(now_ms).max(1), Action::Tick { server: id, life });
        }
        if !self.up(id).to_apply.is_empty() && !self.up(id).is_applying {
            self.up(id).is_applying = true;
            let delay = self.rng.between(0, 6);
            self.later(delay, Action::Apply { server: id, life });
        }
    }

    fn effect(&mut self, id: ServerId, life: u64, effect: Effect) {
        match effect {
            Effect::Notify { to, notification } => {
                self.check_vote(id, to, &notification);
                let ensemble = self.up(id).ensemble.clone();
                self.mail.insert((id, to), (notification, ensemble));
                let delay = self.rng.between(0, 8);
                self.later(delay, Action::Note { from: id, to });
            }
            Effect::DialLeader { leader, until_ms } => {
                let delay = self.rng.between(0, 10);
                self.later(delay, Action::Dial { server: id, life, leader, until_ms });
            }
            Effect::Send { link, message } => {
                self.check_message(id, link, &message);
                let to_leader = self.conns[&link].learner == (id, life);
                self.push(link, to_leader, Item::Message(message));
            }
            Effect::SendHistory { link, after, upto } => self.send_history(id, life, link, after, upto),
            Effect::SendTree { link, at_least } => {
                let from = self.up(id).at;
                let label = from.max(at_least);
                self.conns.get_mut(&link).unwrap().sync_upto = from;
                self.push(link, false, Item::Message(Message::Snap { zxid: label }));
                self.push(link, false, Item::Tree(None));
                let delay = self.rng.between(1, 120);
                self.later(delay, Action::TreeOut { link, label, from });
            }
            Effect::ReceiveTree { link, label } => {
                let up = self.up(id);
                up.receiving = Some((link, label));
                up.pending.clear();
                up.to_apply.clear();
            }
            Effect::CloseLink { link, .. } => self.close(id, life, link),
            Effect::Deliver { bytes, .. } => {
                // The leader's node turns a request into a proposal.
                self.propose(id, bytes);
            }
            Effect::AnswerPing { link, zxid } => self.push(link, true, Item::Message(Message::Ping { zxid })),
            Effect::Disk { generation, op } => {
                let up = self.up(id);
                let mut tree = None;
                match &op {
                    DiskOp::Append { zxid, payload } => {
                        up.pending.insert(*zxid, payload.clone());
                    }
                    DiskOp::Install { zxid } => {
                        assert!(up.to_apply.is_empty() && up.at == *zxid, "the tree stands at what is installed");
                        tree = Some(up.tree.clone());
                    }
                    _ => {}
                }
                self.servers.get_mut(&id).unwrap().disk.queue.push_back((generation, op, tree));
                let slow = if self.slow_disk.contains(&id) { 150 } else { 8 };
                let delay = self.rng.below(slow);
                self.later(delay, Action::Disk { server: id, life });
            }
            Effect::Commit { upto } => {
                self.check_commit(id, upto);
                self.up(id).commit(upto);
            }
            Effect::Replay { zxid, payload } => self.up(id).push(zxid, payload),
            Effect::Forget { after } => {
                let _ = self.up(id).pending.split_off(&Zxid(after.0 + 1));
            }
            Effect::Reload { generation, upto } => {
                let up = self.up(id);
                assert!(up.reloading.is_none(), "one reload at a time");
                up.reloading = Some((generation, upto));
                up.receiving = None;
                up.to_apply.clear();
                up.pending = up.pending.split_off(&Zxid(upto.0 + 1));
                let delay = self.rng.between(1, 50);
                self.later(delay, Action::Reload { server: id, life });
            }
            Effect::Reached { token } => {
                let committed = self.ghost.last();
                let zxid = self.up(id).barriers.remove(&token.0).expect("a barrier is reached once");
                assert!(zxid <= committed, "a barrier at {zxid} reached, committed is {committed}");
            }
            Effect::Serve { role, epoch } => {
                if role == ServingRole::Leader {
                    self.counts.epochs += 1;
                }
                self.check_serve(id, role, epoch);
                self.up(id).serving = Some((role, epoch));
            }
            Effect::StopServing => {
                let up = self.up(id);
                up.barriers.clear();
                assert!(up.serving.take().is_some(), "who does not serve cannot stop");
            }
            Effect::Resigned => self.later(3, Action::Stop { server: id, life }),
            Effect::Activate { ensemble } => self.check_activation(id, *ensemble),
            Effect::Trace(Trace::Syncing { with, .. }) => match with {
                SyncKind::Diff => self.counts.diffs += 1,
                SyncKind::Trunc => self.counts.truncs += 1,
                SyncKind::Snap => self.counts.snaps += 1,
            },
            Effect::Trace(Trace::RoleEntered { .. }) => {
                let current = self.servers[&id].disk.epochs.current;
                self.up(id).epoch_at_start = current;
            }
            Effect::Trace(_) => {}
        }
    }

    fn close(&mut self, id: ServerId, life: u64, link: LinkId) {
        let Some(conn) = self.conns.get_mut(&link) else { return };
        let is_learner = conn.learner == (id, life);
        if is_learner {
            conn.learner_open = false;
        } else {
            conn.leader_open = false;
            super::cut_tree(&mut conn.to_learner);
        }
        self.push(link, is_learner, Item::End);
        let up = self.up(id);
        if up.receiving.is_some_and(|(it, _)| it == link) {
            up.receiving = None;
        }
    }

    fn send_history(&mut self, id: ServerId, life: u64, link: LinkId, after: Zxid, upto: Zxid) {
        self.counts.from_disk += 1;
        let disk = &self.servers[&id].disk;
        let complete = after >= disk.base;
        if complete {
            assert!(after == disk.base || disk.log.contains_key(&after), "{after} is no boundary of the log");
            assert!(upto == disk.base || disk.log.contains_key(&upto), "{upto} is not durable");
            let range = disk.log.range(Zxid(after.0 + 1)..=upto);
            let pairs: Vec<_> = range.map(|(zxid, payload)| (*zxid, payload.clone())).collect();
            for (zxid, payload) in pairs {
                let reconfig = self.reconfig_of(zxid);
                self.push(link, false, Item::Message(Message::Proposal { zxid, payload, reconfig }));
                self.push(link, false, Item::Message(Message::Commit { zxid }));
            }
        }
        let delay = self.rng.between(0, 30);
        self.later(delay, Action::Tell { server: id, life, event: Event::HistorySent { link, complete } });
    }

    pub fn tree_out(&mut self, link: LinkId, label: Zxid, from: Zxid) {
        let Some(conn) = self.conns.get(&link) else { return };
        let (leader, life) = conn.leader;
        if !self.is_life(leader, life) || !conn.leader_open {
            return;
        }
        // Fuzzy: the walk has seen whatever was applied meanwhile.
        let tree = self.up(leader).tree.clone();
        let conn = self.conns.get_mut(&link).unwrap();
        if let Some(Item::Tree(body)) = conn.to_learner.iter_mut().find(|item| matches!(item, Item::Tree(None))) {
            *body = Some(tree);
            self.step(leader, Event::TreeSent { link, label, from });
        }
    }

    pub fn tree_in(&mut self, id: ServerId, link: LinkId, label: Zxid, tree: disk::Txns) {
        let damaged = self.now_ms < self.faults_until_ms && self.rng.percent(5);
        let up = self.up(id);
        if up.receiving != Some((link, label)) {
            return;
        }
        up.receiving = None;
        if !damaged {
            up.tree = tree;
            up.at = label;
        }
        self.step(id, Event::TreeReceived { link, complete: !damaged });
    }

    pub fn reload(&mut self, id: ServerId) {
        let disk = &self.servers[&id].disk;
        let mut tree = disk.durable();
        let base = disk.base;
        let up = self.up(id);
        let Some((generation, zxid)) = up.reloading.take() else { return };
        assert!(base <= zxid, "the log was rolled beyond {zxid}");
        tree.retain(|it, _| *it <= zxid);
        up.tree = tree;
        up.at = zxid;
        self.step(id, Event::Reloaded { generation, zxid });
    }

    pub fn disk_step(&mut self, id: ServerId) {
        let mut rng = self.rng.clone();
        let crashes = self.now_ms < self.faults_until_ms && rng.below(600) == 0;
        let done = self.servers.get_mut(&id).unwrap().disk.complete(&mut rng);
        self.rng = rng;
        if crashes {
            // Right behind a disk step: it is done, and nobody knows.
            self.crash(id);
            return;
        }
        if let Some((generation, done)) = done {
            self.step(id, Event::Disk { generation, done });
        }
    }

    pub fn apply(&mut self, id: ServerId) {
        let up = self.up(id);
        up.is_applying = false;
        let Some(zxid) = up.apply() else { return };
        self.check_applied(id, zxid);
        self.step(id, Event::Applied { zxid });
    }
}
