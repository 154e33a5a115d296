//! The session core under random schedules: requests, changes by others, cut connections, bytes cut anywhere.
//!
//! At the end everything is healed and three things must hold: each request was answered exactly once; the watches
//! that the client believes in are those that its server holds; and no watch that is left has missed a change.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod fake;

use fake::Ensemble;
use ostler_client::{Config, Effect, LinkId, RequestId, Session, SessionState, WatchKind};
use ostler_model::{EventType, Request};
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
    Auth,
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
        1 => Just(Step::Auth),
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
    auths: BTreeSet<RequestId>,
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
            auths: BTreeSet::new(),
            answered: BTreeSet::new(),
            registered: BTreeMap::new(),
            losses: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Watch(kind, path) => self.watch(kind, PATHS[path]),
            Step::Change(path, delete) => self.ensemble.change(PATHS[path], delete),
            Step::ToServer(bytes, frames) => self.carry_to_server(bytes, frames),
            Step::ToClient(bytes) => self.carry_to_client(bytes),
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
            Step::Auth => {
                let id = self.session.add_auth(self.now, "digest", b"u:p").expect("not ended");
                self.auths.insert(id);
            }
        }
        self.effects();
    }

    fn watch(&mut self, kind: WatchKind, path: &'static str) {
        let text = Some(path.into());
        let request = match kind {
            WatchKind::Data => Request::GetData { path: text, watch: true },
            WatchKind::Exist => Request::Exists { path: text, watch: true },
            WatchKind::Child => Request::GetChildren { path: text, watch: true },
            WatchKind::Persistent => Request::AddWatch { path: text, recursive: false },
            WatchKind::Recursive => Request::AddWatch { path: text, recursive: true },
        };
        let id = self.session.submit(self.now, &request).expect("not full");
        assert!(self.asked.insert(id, (kind, path)).is_none());
    }

    fn carry_to_server(&mut self, bytes: usize, frames: usize) {
        let Some(link) = self.link else { return };
        let count = bytes.min(self.to_server.len());
        let bytes: Vec<u8> = self.to_server.drain(..count).collect();
        self.ensemble.receive(link.0, &bytes, frames);
        self.to_client.extend(self.ensemble.take_output(link.0));
    }

    fn carry_to_client(&mut self, bytes: usize) {
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
                Effect::Probe { .. } => panic!("this server can write"),
                Effect::Reply { id, result, .. } => {
                    assert!(self.answered.insert(id), "answered twice");
                    if let (Ok(reply), Some(asked)) = (result, self.asked.get(&id)) {
                        self.note(*asked, reply.zxid.0, reply.err);
                    }
                }
                Effect::Event(event) => {
                    let spent: &[WatchKind] = match event.kind {
                        EventType::NodeDeleted => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
                        EventType::NodeChildrenChanged => &[WatchKind::Child],
                        _ => &[WatchKind::Data, WatchKind::Exist],
                    };
                    self.check_new(event.kind, &event.path);
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

    /// An event of a one-shot watch tells of a change after its registration, also when it comes as catch-up.
    fn check_new(&self, event: EventType, path: &str) {
        let (kind, changed) = match (event, self.ensemble.nodes.get(path)) {
            (EventType::NodeDataChanged, Some(node)) => (WatchKind::Data, node.mzxid),
            (EventType::NodeChildrenChanged, Some(node)) => (WatchKind::Child, node.pzxid),
            _ => return,
        };
        let since = self.registered.iter().find(|((of, at), _)| *of == kind && *at == path).map(|(_, since)| *since);
        assert!(since.is_none_or(|since| changed > since), "{event:?} of {path} at {changed}, known since {since:?}");
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
        let asked: BTreeSet<RequestId> = self.asked.keys().chain(&self.auths).copied().collect();
        prop_assert_eq!(&self.answered, &asked);
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
