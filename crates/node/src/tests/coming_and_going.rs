//! Connections and sessions that come and go at random: nothing gets stuck, no credit or watch is lost.
//!
//! Clients open, pipeline, hang up or break at any moment, come back with their session (or another's, or a wrong
//! password) on any shard, close it, or fall silent until it expires. In the end everything is at rest and counts
//! agree; a session's ephemerals live exactly as long as the session.

use super::client::{close, create, handshake, of_path_and_int, ping, read, set};
use crate::harness::Harness;
use crate::{ConnId, NodeConfig};
use ostler_model::Dice;
use ostler_model::{OpCode, SessionId, Zxid, session_password};
use std::collections::BTreeSet;

struct World {
    harness: Harness,
    dice: Dice,
    open: Vec<ConnId>,
    made: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let shards = 1 + dice.index(3);
        let config = NodeConfig {
            shards,
            outstanding_max: shards * (1 + dice.index(8)),
            stream_items_per_turn_max: 1 + dice.index(4),
            stream_batches_max: 1 + dice.index(4),
            connections_per_address_max: 0,
            seed,
            ..NodeConfig::default()
        };
        World { harness: Harness::new(config), dice, open: Vec::new(), made: 0 }
    }

    fn a_session(&mut self) -> SessionId {
        let known: Vec<SessionId> = self.harness.tree.sessions().map(|(session, _)| session).collect();
        match self.dice.index(3) {
            0 => SessionId::NONE,
            _ if known.is_empty() => SessionId(99),
            _ => known[self.dice.index(known.len())],
        }
    }

    fn requests(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.dice.index(12) {
            self.made += 1;
            let path = format!("/n{}", self.dice.index(30));
            let xid = self.made as i32;
            bytes.extend(match self.dice.index(12) {
                0..=2 => create(xid, &path, b"", 1),
                3 => create(xid, &path, b"", 0),
                4 => set(xid, &path, b"x"),
                5..=6 => read(xid, OpCode::GetData, &path, true),
                7 => read(xid, OpCode::GetChildren, "/", true),
                8 => of_path_and_int(xid, OpCode::AddWatch, &path, (xid & 1).abs()),
                9 => close(xid),
                _ => ping(),
            });
        }
        bytes
    }

    fn connect(&mut self) {
        let shard = self.dice.index(self.harness.shards.len());
        let session = self.a_session();
        let password = if self.dice.index(6) == 0 { [9; 16] } else { session_password(session) };
        let conn = self.harness.open(shard);
        let mut bytes = handshake(session, password, 4_000, 0);
        if self.dice.index(2) == 0 {
            bytes.extend(self.requests());
        }
        self.harness.send(conn, &bytes);
        self.open.push(conn);
    }

    fn step(&mut self) {
        let shard = self.dice.index(self.harness.shards.len());
        let conn = if self.open.is_empty() { None } else { Some(self.open[self.dice.index(self.open.len())]) };
        match (self.dice.index(20), conn) {
            (0..=1, _) => self.connect(),
            (2..=5, Some(conn)) => {
                let bytes = self.requests();
                let cut = self.dice.index(bytes.len() + 1);
                self.harness.send(conn, &bytes[..cut]);
                if self.dice.index(4) > 0 {
                    self.harness.send(conn, &bytes[cut..]);
                }
            }
            (6, Some(conn)) if self.dice.index(3) == 0 => self.harness.hang_up(conn),
            (7, Some(conn)) if self.dice.index(3) == 0 => self.harness.shards[conn.shard()].broken(conn),
            (8, _) => {
                let ms = self.dice.index(1_500) as u64;
                self.harness.jump(ms);
                self.harness.tick();
            }
            (9..=12, _) => {
                self.harness.turn(shard);
            }
            (13..=14, _) => {
                let most = 1 + self.dice.index(5);
                self.harness.deliver(shard, most);
            }
            (15..=16, _) => {
                let span = (self.harness.replica.last_proposed().0 - self.harness.tree.zxid().0).max(0) as usize;
                let durable = self.harness.tree.zxid().0 + self.dice.index(span + 1) as i64;
                self.harness.sync(Zxid(durable));
            }
            (17, _) => {
                self.harness.apply();
            }
            _ => {
                self.harness.flush(shard);
            }
        }
        let harness = &self.harness;
        self.open.retain(|conn| !harness.is_closed(*conn) && harness.shards[conn.shard()].is_open(*conn));
    }

    fn check_at_rest(&mut self) {
        self.harness.run();
        let harness = &self.harness;
        for shard in &harness.shards {
            assert_eq!(shard.stats().outstanding, 0, "every request came back");
        }
        assert!(harness.replica.is_idle());
        let lanes: BTreeSet<ConnId> = harness.replica.lane_conns();
        let live: BTreeSet<ConnId> = harness.shards.iter().flat_map(crate::Shard::connected).collect();
        assert_eq!(lanes, live, "a lane for each connection with a session, and no other");
        for (session, _) in harness.tree.sessions() {
            if let Some(conn) = harness.replica.session_conn(session) {
                assert!(live.contains(&conn), "{session} is held by {conn:?}, which is gone");
            }
        }
        assert_eq!(harness.tree.sessions().count(), harness.replica.stats().sessions);
        for owner in harness.tree.ephemeral_owners() {
            assert!(harness.tree.session_timeout_ms(owner).is_some(), "ephemerals of {owner}, which has ended");
        }
    }

    fn everybody_leaves(&mut self) {
        self.harness.advance(60_000);
        for shard in &self.harness.shards {
            let stats = shard.stats();
            assert_eq!((stats.connections, stats.watches), (0, 0), "silent connections are closed, handshakes too");
        }
        assert_eq!(self.harness.replica.stats().sessions, 0);
        assert_eq!(self.harness.tree.ephemerals_count(), 0);
    }
}

#[test]
fn nothing_gets_stuck_or_lost() {
    for seed in 1..=60 {
        let mut world = World::new(seed);
        for round in 0..4 {
            for _ in 0..400 {
                world.step();
            }
            world.check_at_rest();
            assert!(world.made > 0, "seed {seed} round {round} did something");
        }
        world.everybody_leaves();
    }
}
