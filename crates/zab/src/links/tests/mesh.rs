//! Several transports on a network that takes its time and breaks: in the end each pair shares one connection, and
//! both ends mean the same.

use super::{members, message, server};
use crate::links::{ConnId, LinkAction, LinkEvent, Links, ServerId};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use proptest::prelude::*;

/// What is under way, and when it arrives.
#[derive(Clone, Debug)]
enum Arrival {
    Dialled { at: ServerId, peer: ServerId, conn: ConnId },
    Failed { at: ServerId, peer: ServerId },
    Handshake { at: ServerId, peer: ServerId, conn: ConnId },
    Message { at: ServerId, conn: ConnId, round: i64 },
    Written { at: ServerId, conn: ConnId },
    Closed { at: ServerId, conn: ConnId },
}

struct Mesh {
    now_ms: u64,
    seed: u64,
    links: BTreeMap<ServerId, Links>,
    next_conn: u64,
    /// Both ends of each connection that stands.
    conns: BTreeMap<ConnId, (ServerId, ServerId)>,
    /// By time and a counter. Per connection and direction nothing overtakes: see `after`.
    under_way: BTreeMap<(u64, u64), Arrival>,
    counter: u64,
    last_on_conn: BTreeMap<(ConnId, ServerId), u64>,
    heard: BTreeMap<(ServerId, ServerId), i64>,
    dials: usize,
}

impl Mesh {
    fn new(servers: i64, seed: u64) -> Mesh {
        let ids: Vec<i64> = (1..=servers).collect();
        let mut mesh = Mesh {
            now_ms: 0,
            seed,
            links: ids.iter().map(|id| (server(*id), Links::new(server(*id)))).collect(),
            next_conn: 0,
            conns: BTreeMap::new(),
            under_way: BTreeMap::new(),
            counter: 0,
            last_on_conn: BTreeMap::new(),
            heard: BTreeMap::new(),
            dials: 0,
        };
        for id in &ids {
            mesh.step(server(*id), members(&ids, &[]));
            mesh.step(server(*id), LinkEvent::Looking(true));
        }
        mesh
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    fn put(&mut self, at_ms: u64, arrival: Arrival) {
        self.counter += 1;
        self.under_way.insert((at_ms, self.counter), arrival);
    }

    /// A delay, such that what was sent earlier on this connection to this end arrives earlier.
    fn after(&mut self, conn: ConnId, to: ServerId) -> u64 {
        let at = self.now_ms + 1 + self.random(30);
        let last = self.last_on_conn.entry((conn, to)).or_insert(0);
        *last = at.max(*last);
        *last
    }

    fn step(&mut self, id: ServerId, event: LinkEvent) {
        let mut actions = Vec::new();
        self.links.get_mut(&id).unwrap().step(self.now_ms, event, &mut actions);
        for action in actions {
            self.carry_out(id, action);
        }
    }

    fn other(&self, conn: ConnId, id: ServerId) -> Option<ServerId> {
        let (one, other) = self.conns.get(&conn)?;
        Some(if *one == id { *other } else { *one })
    }

    fn carry_out(&mut self, id: ServerId, action: LinkAction) {
        match action {
            LinkAction::Dial { peer, .. } => {
                self.dials += 1;
                let at = self.now_ms + 1 + self.random(30);
                if self.random(4) == 0 {
                    return self.put(at, Arrival::Failed { at: id, peer });
                }
                self.next_conn += 1;
                let conn = ConnId(self.next_conn);
                self.conns.insert(conn, (id, peer));
                self.put(at, Arrival::Dialled { at: id, peer, conn });
            }
            LinkAction::Handshake { conn } => {
                if let Some(other) = self.other(conn, id) {
                    let at = self.after(conn, other);
                    self.put(at, Arrival::Handshake { at: other, peer: id, conn });
                }
            }
            LinkAction::Send { conn, notification } => {
                if let Some(other) = self.other(conn, id) {
                    let at = self.after(conn, other);
                    self.put(at, Arrival::Message { at: other, conn, round: notification.round });
                    self.put(self.now_ms, Arrival::Written { at: id, conn });
                }
            }
            LinkAction::Close { conn, .. } => {
                if let Some(other) = self.other(conn, id) {
                    let at = self.after(conn, other);
                    self.put(at, Arrival::Closed { at: other, conn });
                }
            }
            LinkAction::Up { peer } => {
                let round = i64::try_from(self.now_ms).unwrap();
                self.step(id, LinkEvent::Notify { to: peer, notification: message(round) });
            }
            LinkAction::Down { .. } => {}
        }
    }

    fn arrive(&mut self, arrival: &Arrival) {
        match *arrival {
            Arrival::Dialled { at, peer, conn } => self.step(at, LinkEvent::Dialled { peer, conn }),
            Arrival::Failed { at, peer } => self.step(at, LinkEvent::DialFailed { peer }),
            Arrival::Handshake { at, peer, conn } => {
                self.step(at, LinkEvent::Accepted { peer, conn, address: None });
            }
            Arrival::Message { at, conn, round } => {
                if let Some(from) = self.other(conn, at) {
                    self.heard.insert((at, from), round);
                    self.step(at, LinkEvent::Heard { conn });
                }
            }
            Arrival::Written { at, conn } => self.step(at, LinkEvent::Written { conn }),
            Arrival::Closed { at, conn } => self.step(at, LinkEvent::Down { conn }),
        }
    }

    /// Breaks a connection: both ends notice some time.
    fn break_one(&mut self) {
        let standing: BTreeSet<ConnId> = self.conns.keys().copied().collect();
        let at = usize::try_from(self.random(standing.len().max(1) as u64)).unwrap();
        let Some(conn) = standing.into_iter().nth(at) else { return };
        let (one, other) = self.conns[&conn];
        for end in [one, other] {
            let at = self.after(conn, end);
            self.put(at, Arrival::Closed { at: end, conn });
        }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        for _ in 0..1_000_000 {
            let arrival = self.under_way.keys().next().copied().filter(|(at, _)| *at <= end);
            let due = self.links.iter().filter_map(|(id, links)| Some((links.next_deadline()?, *id))).min();
            match (arrival, due) {
                (Some(key), Some((at, _))) if key.0 <= at => self.take(key),
                (_, Some((at, id))) if at <= end => {
                    self.now_ms = self.now_ms.max(at);
                    self.step(id, LinkEvent::Tick);
                }
                (Some(key), _) => self.take(key),
                _ => {
                    self.now_ms = end;
                    return;
                }
            }
        }
        panic!("the transports never come to rest");
    }

    fn take(&mut self, key: (u64, u64)) {
        let arrival = self.under_way.remove(&key).expect("it is there");
        self.now_ms = self.now_ms.max(key.0);
        self.arrive(&arrival);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn each_pair_ends_with_one_connection(servers in 2..6_i64, seed: u64, breaks in 0..20_usize) {
        let mut mesh = Mesh::new(servers, seed);
        for _ in 0..breaks {
            let ms = mesh.random(200);
            mesh.run(ms);
            mesh.break_one();
        }
        mesh.run(10_000);
        let dials = mesh.dials;
        mesh.run(60_000);
        prop_assert_eq!(mesh.dials, dials, "at rest nobody dials");
        for one in 1..=servers {
            for other in 1..=servers {
                let (a, b) = (server(one), server(other));
                if one == other {
                    continue;
                }
                let conn = mesh.links[&a].peers[&b].conn.expect("connected").id;
                let same = mesh.links[&b].peers[&a].conn.expect("connected").id;
                prop_assert_eq!(conn, same);
                prop_assert_eq!(mesh.conns[&conn], (a.max(b), a.min(b)), "made by the greater id");
                prop_assert!(mesh.heard.contains_key(&(a, b)));
            }
        }
    }
}
