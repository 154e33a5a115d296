//! The session core under random schedules: requests, changes by others, cut connections, bytes cut anywhere.
//!
//! At the end everything is healed and three things must hold: each request was answered exactly once; the watches
//! that the client believes in are those that its server holds; and no watch that is left has missed a change.

mod fake;

use fake::{Ensemble, read_body, text_body};
use ostler_client::{Config, Effect, LinkId, RequestId, Session, SessionState, WatchIntent, WatchKind};
use ostler_model::OpCode;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PATHS: [&str; 4] = ["/a", "/b", "/a/c", "/a/d"];

#[derive(Clone, Debug)]
enum Step {
    Watch(WatchKind, usize),
    Change(usize, bool),
    /// Up to this many bytes travel to the server, which handles up to this many frames.
    ToServer(usize, usize),
    /// Up to this many bytes travel to the client.
    ToClient(usize),
    Cut,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    let kind = prop::sample::select(WatchKind::ALL.to_vec());
    prop_oneof![
        6 => (kind, path.clone()).prop_map(|(kind, path)| Step::Watch(kind, path)),
        4 => (path, any::<bool>()).prop_map(|(path, delete)| Step::Change(path, delete)),
        6 => (1..200_usize, 0..4_usize).prop_map(|(bytes, frames)| Step::ToServer(bytes, frames)),
        6 => (1..200_usize).prop_map(Step::ToClient),
        2 => Just(Step::Cut),
        2 => (1..1_500_u64).prop_map(Step::Wait),
    ]
}

struct World {
    now: u64,
    session: Session,
    ensemble: Ensemble,
    link: Option<LinkId>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    asked: BTreeMap<RequestId, (WatchKind, &'static str)>,
    answered: BTreeSet<RequestId>,
    /// One-shot watches registered and not fired: when.
    registered: BTreeMap<(WatchKind, &'static str), i64>,
    losses: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut config = Config::new(4_000, 2, seed);
        config.set_watches_bytes_max = 12;
        World {
            now: 0,
            session: Session::new(0, config),
            ensemble: Ensemble::new(),
            link: None,
            to_server: Vec::new(),
            to_client: Vec::new(),
            asked: BTreeMap::new(),
            answered: BTreeSet::new(),
            registered: BTreeMap::new(),
            losses: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Watch(kind, path) => self.watch(kind, PATHS[path]),
            Step::Change(path, delete) => self.ensemble.change(PATHS[path], delete),
            Step::ToServer(bytes, frames) => self.to_server(bytes, frames),
            Step::ToClient(bytes) => self.to_client(bytes),
            Step::Cut => {
                if let Some(link) = self.link {
                    self.session.link_down(self.now, link, Some("cut".into()));
                    self.drop_link();
                }
            }
            Step::Wait(ms) => {
                self.now += ms;
                self.session.tick(self.now);
            }
        }
        self.effects();
    }

    fn watch(&mut self, kind: WatchKind, path: &'static str) {
        let (op, body) = match kind {
            WatchKind::Data => (OpCode::GetData, read_body(path, true)),
            WatchKind::Exist => (OpCode::Exists, read_body(path, true)),
            WatchKind::Child => (OpCode::GetChildren, read_body(path, true)),
            WatchKind::Persistent => (OpCode::AddWatch, [text_body(path), vec![0, 0, 0, 0]].concat()),
            WatchKind::Recursive => (OpCode::AddWatch, [text_body(path), vec![0, 0, 0, 1]].concat()),
        };
        let intent = match kind {
            WatchKind::Exist => WatchIntent::Exists(path.into()),
            _ => WatchIntent::Add(path.into(), kind),
        };
        let id = self.session.submit(self.now, op, &body, Some(intent)).expect("not full");
        assert!(self.asked.insert(id, (kind, path)).is_none());
    }

    fn to_server(&mut self, bytes: usize, frames: usize) {
        let Some(link) = self.link else { return };
        let count = bytes.min(self.to_server.len());
        let bytes: Vec<u8> = self.to_server.drain(..count).collect();
        self.ensemble.receive(link.0, &bytes, frames);
        self.to_client.extend(self.ensemble.take_output(link.0));
    }

    fn to_client(&mut self, bytes: usize) {
        let Some(link) = self.link else { return };
        self.to_client.extend(self.ensemble.take_output(link.0));
        let count = bytes.min(self.to_client.len());
        let bytes: Vec<u8> = self.to_client.drain(..count).collect();
        self.session.received(self.now, link, &bytes);
        if self.to_client.is_empty() && self.ensemble.connections[&link.0].closed {
            self.session.link_down(self.now, link, None);
        }
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.ensemble.connections.remove(&link.0);
        }
        self.to_server.clear();
        self.to_client.clear();
    }

    fn effects(&mut self) {
        while let Some(effect) = self.session.take_effect() {
            match effect {
                Effect::Connect { link, .. } => {
                    self.drop_link();
                    self.link = Some(link);
                    self.ensemble.open(link.0);
                    self.session.connected(self.now, link);
                }
                Effect::Send { link, bytes } => {
                    if Some(link) == self.link {
                        self.to_server.extend(bytes);
                    }
                }
                Effect::Disconnect { .. } => self.drop_link(),
                Effect::Reply { id, result, .. } => {
                    assert!(self.answered.insert(id), "answered twice");
                    if let Ok(reply) = result {
                        self.note(self.asked[&id], reply.zxid.0, reply.err);
                    }
                }
                Effect::Event(event) => {
                    let spent: &[WatchKind] = match event.kind as i32 {
                        2 => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
                        4 => &[WatchKind::Child],
                        _ => &[WatchKind::Data, WatchKind::Exist],
                    };
                    self.registered.retain(|(kind, path), _| *path != event.path || !spent.contains(kind));
                }
                Effect::State(SessionState::Suspended(cause)) => {
                    assert!(!matches!(cause, ostler_client::Cause::Protocol(_)), "{cause}");
                    self.losses += 1;
                }
                Effect::State(state) => assert!(matches!(state, SessionState::Connected { .. }), "{state:?}"),
            }
        }
    }

    fn note(&mut self, (kind, path): (WatchKind, &'static str), zxid: i64, err: i32) {
        let kind = if kind == WatchKind::Exist && err == 0 { WatchKind::Data } else { kind };
        let registers = err == 0 || kind == WatchKind::Exist;
        if registers && !matches!(kind, WatchKind::Persistent | WatchKind::Recursive) {
            self.registered.insert((kind, path), zxid);
        }
    }

    fn heal(&mut self) {
        for _ in 0..200 {
            self.step(&Step::Wait(100));
            self.step(&Step::ToServer(usize::MAX, usize::MAX));
            self.step(&Step::ToClient(usize::MAX));
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(&self.answered, &self.asked.keys().copied().collect::<BTreeSet<_>>());
        let server = &self.ensemble.connections[&self.link.expect("healed").0];
        let watches = self.session.watches();
        for path in PATHS {
            let here = |kind| watches.holds(path, kind);
            prop_assert_eq!(here(WatchKind::Data) || here(WatchKind::Exist), server.data.contains(path));
            prop_assert_eq!(here(WatchKind::Child), server.child.contains(path));
            prop_assert_eq!(here(WatchKind::Persistent), server.persistent.contains(path));
            prop_assert_eq!(here(WatchKind::Recursive), server.recursive.contains(path));
        }
        for ((kind, path), since) in &self.registered {
            let node = self.ensemble.nodes.get(*path);
            let missed = match (kind, node) {
                (WatchKind::Exist, node) => node.is_some(),
                (WatchKind::Data, Some(node)) => node.mzxid > *since,
                (WatchKind::Child, Some(node)) => node.pzxid > *since,
                (_, None) => true,
                _ => false,
            };
            prop_assert!(!missed, "the {kind:?} watch on {path} since {since} missed {node:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn nothing_is_lost_over_reconnects(seed: u64, steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(seed);
        world.effects();
        for step in &steps {
            world.step(step);
        }
        world.heal();
        world.check()?;
    }
}
