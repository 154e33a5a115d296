//! What goes wrong, and the end of it.

use super::{Action, Item, World};
use ostler_model::{ServerId, Zxid};
use ostler_zab::{Event, LinkId};

impl World {
    pub fn fault(&mut self) {
        if self.now_ms >= self.faults_until_ms {
            return;
        }
        let delay = self.rng.between(50, 1500);
        self.later(delay, Action::Fault);
        self.counts.faults += 1;
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        let id = self.rng.pick(&ids);
        match self.rng.below(12) {
            0..=3 => self.crash(id),
            4 => {
                // Several at once, perhaps all.
                for other in ids {
                    if self.rng.percent(60) {
                        self.crash(other);
                    }
                }
            }
            5 | 6 => {
                // One is cut off, from all or some, in one direction or both.
                let (both, all) = (self.rng.percent(60), self.rng.percent(60));
                for other in ids {
                    if other != id && (all || self.rng.percent(50)) {
                        self.cut.insert((id, other));
                        if both {
                            self.cut.insert((other, id));
                        }
                        if self.rng.percent(50) {
                            self.election_link(id, other, false);
                        }
                    }
                }
            }
            7 => self.mend(),
            8 | 9 => {
                let links: Vec<LinkId> = self.conns.keys().copied().collect();
                if !links.is_empty() {
                    let link = self.rng.pick(&links);
                    self.reset(link);
                }
            }
            10 => {
                if !self.slow_disk.remove(&id) {
                    self.slow_disk.insert(id);
                }
            }
            _ => match self.rng.below(6) {
                0 => {
                    let links: Vec<LinkId> = self.conns.keys().copied().collect();
                    if !links.is_empty() {
                        let link = self.rng.pick(&links);
                        let (leader, life) = self.conns[&link].leader;
                        if self.is_life(leader, life) && self.conns[&link].leader_open {
                            self.step(leader, Event::PipeFull { link });
                        }
                    }
                }
                1 => {
                    let serving = self.servers[&id].up.as_ref().is_some_and(|up| up.serving.is_some());
                    if serving {
                        self.step(id, Event::Diverged { zxid: Zxid::ZERO });
                    }
                }
                2 | 3 => self.step(id, Event::Resign),
                _ => {
                    // The log is rolled under a running server.
                    if let Some(up) = &self.servers[&id].up
                        && up.serving.is_some()
                        && self.servers[&id].disk.queue.is_empty()
                    {
                        let at = up.at;
                        self.servers.get_mut(&id).unwrap().disk.roll(at);
                    }
                }
            },
        }
    }

    pub fn crash(&mut self, id: ServerId) {
        if self.servers[&id].up.is_none() {
            return;
        }
        self.say(|| format!("{id:?} crashes"));
        let mut rng = self.rng.clone();
        self.servers.get_mut(&id).unwrap().crash(&mut rng);
        self.rng = rng;
        for (link, conn) in &mut self.conns {
            let _ = link;
            if conn.leader.0 == id && conn.leader_open {
                conn.leader_open = false;
                super::cut_tree(&mut conn.to_learner);
            }
            if conn.learner.0 == id {
                conn.learner_open = false;
            }
        }
        let ends: Vec<(LinkId, bool)> = self
            .conns
            .iter()
            .filter_map(|(link, conn)| {
                if conn.leader.0 == id { Some((*link, false)) } else { (conn.learner.0 == id).then_some((*link, true)) }
            })
            .collect();
        for (link, to_leader) in ends {
            self.push(link, to_leader, Item::End);
        }
        for other in self.servers.keys().copied().collect::<Vec<_>>() {
            if other != id && self.rng.percent(80) {
                self.election_link(id, other, false);
            }
        }
        let down_ms = self.rng.between(20, 2500);
        self.later(down_ms, Action::Boot { server: id });
    }

    pub fn mend(&mut self) {
        self.cut.clear();
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        for one in &ids {
            for other in &ids {
                if one < other && self.servers[one].up.is_some() && self.servers[other].up.is_some() {
                    self.election_link(*one, *other, true);
                }
            }
        }
    }

    pub fn heal(&mut self) {
        self.say(|| String::from("faults end"));
        self.mend();
        self.slow_disk.clear();
        for id in self.servers.keys().copied().collect::<Vec<_>>() {
            self.later(100, Action::Boot { server: id });
        }
    }
}
