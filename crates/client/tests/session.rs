//! The session core against a scripted fake server, case by case.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod fake;

use fake::{Ensemble, reply_bytes};
use ostler_client::{Cause, Config, Effect, LinkId, RequestError, Session, SessionState, SubmitError, WatchEvent};
use ostler_model::{EventType, OpCode, Request, SessionId, SetData, WatcherType, Zxid};

/// A session with an ensemble behind it; effects that need no shell are kept.
struct World {
    now: u64,
    session: Session,
    ensemble: Ensemble,
    kept: Vec<Effect>,
    server: usize,
    link: Option<LinkId>,
    deaf: bool,
}

fn config() -> Config {
    Config::new(6_000, 3, 42)
}

impl World {
    fn new(config: Config) -> World {
        let session = Session::new(0, config);
        World {
            now: 0,
            session,
            ensemble: Ensemble::new(),
            kept: Vec::new(),
            server: usize::MAX,
            link: None,
            deaf: false,
        }
    }

    fn connected() -> World {
        let mut world = World::new(config());
        world.run();
        let state = Effect::State(SessionState::Connected {
            session: SessionId(0x0100),
            timeout_ms: 6_000,
            read_only: false,
            again: false,
        });
        assert_eq!(world.take(), [state]);
        world
    }

    /// Carries out effects until nothing moves any more.
    fn run(&mut self) {
        while let Some(effect) = self.session.take_effect() {
            match effect {
                Effect::Connect { link, server } => {
                    (self.link, self.server) = (Some(link), server);
                    self.ensemble.open(link.0);
                    self.session.connected(self.now, link);
                }
                Effect::Send { link, bytes } if !self.deaf => {
                    self.ensemble.receive(link.0, &bytes, usize::MAX);
                    self.hear();
                }
                Effect::Send { .. } => (),
                Effect::Disconnect { .. } => self.link = None,
                kept => self.kept.push(kept),
            }
        }
    }

    fn hear(&mut self) {
        if let Some(link) = self.link {
            let output = self.ensemble.take_output(link.0);
            self.session.received(self.now, link, &output);
            if self.ensemble.connections[&link.0].closed {
                self.session.link_down(self.now, link, None);
            }
        }
    }

    fn change(&mut self, path: &str, delete: bool) {
        self.ensemble.change(path, delete);
        self.hear();
        self.run();
    }

    fn advance_to(&mut self, now: u64) {
        while let Some(deadline) = self.session.next_deadline_ms().filter(|&deadline| deadline <= now) {
            self.now = self.now.max(deadline);
            self.session.tick(self.now);
            self.run();
        }
        self.now = now;
    }

    fn cut(&mut self) {
        let link = self.link.take().unwrap();
        self.ensemble.connections.remove(&link.0);
        self.session.link_down(self.now, link, Some("reset".into()));
        self.run();
    }

    fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.kept)
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<(), RequestError> {
        let id = self.session.submit(self.now, request).unwrap();
        self.run();
        let found = self.kept.iter().position(|effect| matches!(effect, Effect::Reply { id: of, .. } if *of == id));
        match self.kept.remove(found.expect("answered")) {
            Effect::Reply { result, .. } => result.map(|_| ()),
            _ => unreachable!(),
        }
    }

    fn here(&self) -> &fake::Connection {
        &self.ensemble.connections[&self.link.unwrap().0]
    }
}

fn exists(path: &str, watch: bool) -> Request<'_> {
    Request::Exists { path: Some(path.into()), watch }
}

fn watched_data(path: &str) -> Request<'_> {
    Request::GetData { path: Some(path.into()), watch: true }
}

fn watched_children(path: &str) -> Request<'_> {
    Request::GetChildren { path: Some(path.into()), watch: true }
}

fn set_data(data: &[u8]) -> Request<'_> {
    Request::SetData(SetData { path: Some("/".into()), data: Some(data), version: -1 })
}

fn event(zxid: i64, kind: EventType, path: &str) -> Effect {
    Effect::Event(WatchEvent { zxid: Zxid(zxid), kind, path: path.into() })
}

#[test]
fn replies_come_in_order_and_carry_the_zxid() {
    let mut world = World::connected();
    world.ensemble.zxid = 77;
    let ids: Vec<_> = (0..3).map(|_| world.session.submit(0, &exists("/", false)).unwrap()).collect();
    world.run();
    let answered: Vec<_> = world
        .take()
        .into_iter()
        .map(|effect| match effect {
            Effect::Reply { id, op: OpCode::Exists, result: Ok(reply) } => (id, reply.zxid, reply.err),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answered, ids.iter().map(|&id| (id, Zxid(77), 0)).collect::<Vec<_>>());
    assert_eq!(world.session.zxid_seen(), Zxid(77));
    assert_eq!(world.session.pending(), 0);
}

/// A server that is behind an event must not hold the session, or it would show what was there before.
#[test]
fn an_event_counts_as_seen() {
    let mut world = World::connected();
    let link = world.link.unwrap();
    let mut event = reply_bytes(-1, 99, 0);
    for part in [3_i32.to_be_bytes(), 3_i32.to_be_bytes(), 2_i32.to_be_bytes()] {
        event.extend_from_slice(&part);
    }
    event.extend_from_slice(b"/a");
    let length = (event.len() - 4) as i32;
    event[..4].copy_from_slice(&length.to_be_bytes());
    world.session.received(1, link, &event);
    assert_eq!(world.session.zxid_seen(), Zxid(99));
}

#[test]
fn an_xid_out_of_order_ends_the_connection() {
    let mut world = World::connected();
    world.deaf = true;
    let id = world.session.submit(0, &exists("/", false)).unwrap();
    world.run();
    let link = world.link.unwrap();
    world.session.received(1, link, &reply_bytes(2, 5, 0));
    world.run();
    assert_eq!(world.link, None, "disconnected");
    let why = Cause::Protocol("a reply with xid 2 where Some(1) was due".into());
    let lost = RequestError::ConnectionLoss { sent: true, why: why.clone() };
    assert_eq!(
        world.take(),
        [Effect::Reply { id, op: OpCode::Exists, result: Err(lost) }, Effect::State(SessionState::Suspended(why)),]
    );
}

#[test]
fn bytes_of_an_old_connection_are_ignored() {
    let mut world = World::connected();
    let old = world.link.unwrap();
    world.cut();
    world.advance_to(1_000);
    assert_ne!(world.link, Some(old));
    world.take();
    world.session.received(1_000, old, &reply_bytes(9, 9, 9));
    world.session.link_down(1_000, old, None);
    world.session.connected(1_000, old);
    world.run();
    assert_eq!(world.take(), []);
}

#[test]
fn bytes_of_an_old_connection_do_not_keep_a_silent_one_alive() {
    let mut world = World::connected();
    let old = world.link.unwrap();
    world.cut();
    world.advance_to(1_000);
    world.deaf = true;
    world.take();
    for now in (1_000..6_000).step_by(500) {
        world.advance_to(now);
        world.session.received(now, old, &reply_bytes(-2, 0, 0));
    }
    assert!(matches!(world.take()[..], [Effect::State(SessionState::Suspended(Cause::ReadTimeout(_))), ..]));
}

#[test]
fn frames_may_be_cut_anywhere() {
    let mut world = World::connected();
    world.deaf = true;
    for _ in 0..3 {
        world.session.submit(0, &exists("/", false)).unwrap();
    }
    world.run();
    let bytes = [reply_bytes(1, 5, 0), reply_bytes(2, 6, -101), reply_bytes(3, 7, 0)].concat();
    for byte in bytes {
        world.session.received(0, world.link.unwrap(), &[byte]);
    }
    world.run();
    assert_eq!(world.take().len(), 3);
    assert_eq!(world.session.zxid_seen(), Zxid(7));
}

#[test]
fn a_frame_of_impossible_length_ends_the_connection() {
    for length in [-1, i32::MIN, i32::MAX] {
        let mut world = World::connected();
        world.session.received(0, world.link.unwrap(), &i32::to_be_bytes(length));
        world.run();
        assert_eq!(world.link, None);
    }
}

#[test]
fn an_idle_session_pings_every_third_of_its_time_out() {
    let mut world = World::connected();
    world.advance_to(10_000);
    let pings = world.here().heard.iter().filter(|heard| **heard == (-2, 11)).count();
    assert_eq!(pings, 5, "at 2, 4, 6, 8 and 10 seconds");
    assert_eq!(world.take(), []);
}

#[test]
fn a_silent_server_is_left_after_two_thirds_of_the_time_out() {
    let mut world = World::connected();
    let first = world.server;
    world.deaf = true;
    world.advance_to(3_999);
    assert_eq!(world.take(), []);
    world.advance_to(4_000);
    assert_eq!(world.take(), [Effect::State(SessionState::Suspended(Cause::ReadTimeout(4_000)))]);
    world.deaf = false;
    world.advance_to(4_100);
    let again =
        SessionState::Connected { session: SessionId(0x0100), timeout_ms: 6_000, read_only: false, again: true };
    assert_eq!(world.take(), [Effect::State(again)]);
    assert_ne!(world.server, first, "another server comes first");
}

#[test]
fn every_server_gets_its_share_of_the_time_out() {
    let mut world = World::new(config());
    world.deaf = true;
    world.run();
    let mut servers = vec![world.server];
    for turn in 1..=2 {
        world.advance_to(turn * 2_000);
        servers.push(world.server);
    }
    servers.sort_unstable();
    assert_eq!(servers, [0, 1, 2]);
    let timed_out = Effect::State(SessionState::Suspended(Cause::ConnectTimeout(2_000)));
    assert_eq!(world.take(), [timed_out.clone(), timed_out]);
}

#[test]
fn a_reconnect_names_the_last_zxid_seen_and_leaves_an_older_server() {
    let mut world = World::connected();
    world.ensemble.zxid = 50;
    world.ask(&exists("/", false)).unwrap();
    world.cut();
    world.take();
    world.ensemble.zxid = 49;
    world.advance_to(700);
    assert_eq!(world.ensemble.seen, 50);
    assert_eq!(world.take()[0], Effect::State(SessionState::Suspended(Cause::Refused(Zxid(50)))));
    world.ensemble.zxid = 50;
    world.advance_to(2_000);
    assert!(matches!(world.take().last(), Some(Effect::State(SessionState::Connected { again: true, .. }))));
}

#[test]
fn what_waited_for_a_lost_connection_fails_and_what_comes_later_is_sent() {
    let mut world = World::connected();
    world.deaf = true;
    let lost = world.session.submit(0, &exists("/", false)).unwrap();
    world.run();
    world.cut();
    world.deaf = false;
    let later = world.session.submit(0, &exists("/", false)).unwrap();
    world.advance_to(1_000);
    let effects = world.take();
    assert!(
        matches!(&effects[0], Effect::Reply { id, result: Err(RequestError::ConnectionLoss { sent: true, .. }), .. } if *id == lost)
    );
    assert!(matches!(&effects[3], Effect::Reply { id, result: Ok(_), .. } if *id == later), "{effects:?}");
}

#[test]
fn a_session_that_the_servers_forgot_ends() {
    let mut world = World::connected();
    let auth = world.session.add_auth(0, "digest", b"u:p").unwrap();
    world.run();
    world.take();
    world.ensemble.sessions.clear();
    world.cut();
    let waiting = world.session.submit(0, &exists("/", false)).unwrap();
    world.take();
    world.advance_to(1_000);
    let expired = Effect::Reply { id: waiting, op: OpCode::Exists, result: Err(RequestError::SessionExpired) };
    assert_eq!(world.take(), [expired, Effect::State(SessionState::Expired)], "auth {auth:?} was answered before");
    assert!(world.session.has_ended());
    assert_eq!(world.session.next_deadline_ms(), None);
    assert_eq!(world.session.submit(0, &exists("/", false)), Err(SubmitError::Ended));
}

#[test]
fn auth_packets_come_first_after_every_reconnect() {
    let mut world = World::connected();
    world.session.add_auth(0, "digest", b"u:p").unwrap();
    world.session.add_auth(0, "digest", b"v:q").unwrap();
    world.run();
    assert_eq!(world.take().len(), 2);
    world.ask(&watched_children("/")).unwrap();
    world.cut();
    world.session.submit(0, &exists("/", false)).unwrap();
    world.advance_to(1_000);
    let expected = [("digest".to_string(), b"u:p".to_vec()), ("digest".to_string(), b"v:q".to_vec())];
    assert_eq!(world.here().auths, expected);
    let ops: Vec<i32> = world.here().heard.iter().map(|heard| heard.1).collect();
    assert_eq!(ops, [100, 100, 101, 3], "auth, then watches, then requests");
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut world = World::connected();
    world.ensemble.refuse_auth = true;
    world.session.add_auth(0, "bad", b"").unwrap();
    world.run();
    let effects = world.take();
    assert!(matches!(&effects[0], Effect::Reply { op: OpCode::Auth, result: Ok(reply), .. } if reply.err == -115));
    assert_eq!(effects[1..], [Effect::State(SessionState::AuthFailed)]);
    assert_eq!(world.link, None);
}

#[test]
fn watches_are_set_again_and_catch_up() {
    let mut world = World::connected();
    for path in ["/data", "/child", "/quiet", "/rec"] {
        world.change(path, false);
    }
    world.ask(&watched_data("/data")).unwrap();
    world.ask(&exists("/quiet", true)).unwrap();
    world.ask(&exists("/absent", true)).unwrap();
    world.ask(&watched_children("/child")).unwrap();
    world.ask(&Request::AddWatch { path: Some("/rec".into()), recursive: true }).unwrap();
    world.run();
    world.take();
    world.cut();
    for path in ["/data", "/child/x", "/absent", "/rec/missed"] {
        world.ensemble.change(path, false);
    }
    world.take();
    world.advance_to(1_000);
    assert_eq!(
        world.take()[1..],
        [
            event(-1, EventType::NodeDataChanged, "/data"),
            event(-1, EventType::NodeCreated, "/absent"),
            event(-1, EventType::NodeChildrenChanged, "/child"),
        ]
    );
    world.change("/quiet", false);
    world.change("/rec/seen", false);
    let zxid = world.ensemble.zxid;
    assert_eq!(
        world.take(),
        [event(zxid - 1, EventType::NodeDataChanged, "/quiet"), event(zxid, EventType::NodeCreated, "/rec/seen"),]
    );
    assert_eq!(world.session.watches().len(), 1, "the recursive one stays");
}

#[test]
fn one_event_for_a_node_that_two_watches_missed() {
    let mut world = World::connected();
    world.change("/a", false);
    world.ask(&watched_data("/a")).unwrap();
    world.ask(&watched_children("/a")).unwrap();
    world.cut();
    world.ensemble.change("/a", true);
    world.take();
    world.advance_to(1_000);
    assert_eq!(world.take()[1..], [event(-1, EventType::NodeDeleted, "/a")]);
}

#[test]
fn a_second_loss_amid_setting_watches_again_forgets_nothing() {
    let mut settings = config();
    settings.set_watches_bytes_max = 1;
    let mut world = World::new(settings);
    world.run();
    world.change("/a", false);
    world.change("/b", false);
    for path in ["/a", "/b"] {
        world.ask(&watched_data(path)).unwrap();
    }
    world.cut();
    world.ensemble.change("/b", false);
    // The next connection answers the handshake and the packet for /a, whose reply names the change of /b.
    while world.link.is_none() {
        world.now += 10;
        world.session.tick(world.now);
        if let Some(Effect::Connect { link, .. }) = world.session.take_effect() {
            world.link = Some(link);
            world.ensemble.open(link.0);
            world.session.connected(world.now, link);
        }
    }
    let link = world.link.unwrap();
    for _ in 0..2 {
        while let Some(effect) = world.session.take_effect() {
            if let Effect::Send { bytes, .. } = effect {
                world.ensemble.receive(link.0, &bytes, 1);
            }
        }
        let output = world.ensemble.take_output(link.0);
        world.session.received(world.now, link, &output);
    }
    assert_eq!(world.session.zxid_seen(), Zxid(world.ensemble.zxid));
    world.cut();
    world.take();
    world.advance_to(world.now + 1_000);
    assert_eq!(world.take()[1..], [event(-1, EventType::NodeDataChanged, "/b")]);
}

#[test]
fn removed_watches_are_not_set_again() {
    let mut world = World::connected();
    world.change("/a", false);
    world.ask(&watched_data("/a")).unwrap();
    world.ask(&Request::RemoveWatches { path: Some("/a".into()), kind: WatcherType::Data }).unwrap();
    assert!(world.session.watches().is_empty());
}

#[test]
fn pending_requests_are_bounded() {
    let mut settings = config();
    settings.pending_max = 2;
    let mut world = World::new(settings);
    world.session.submit(0, &exists("/", false)).unwrap();
    world.session.submit(0, &exists("/", false)).unwrap();
    assert_eq!(world.session.submit(0, &exists("/", false)), Err(SubmitError::Full));
    let mut settings = config();
    settings.pending_bytes_max = 100;
    let mut world = World::new(settings);
    world.session.submit(0, &set_data(&[0; 500])).unwrap();
    assert_eq!(world.session.submit(0, &set_data(&[0; 500])), Err(SubmitError::Full));
}

#[test]
fn closing_waits_for_the_answer() {
    let mut world = World::connected();
    world.session.close(0);
    assert_eq!(world.session.submit(0, &exists("/", false)), Err(SubmitError::Ended));
    world.run();
    assert!(world.ensemble.sessions.is_empty());
    assert_eq!(world.take(), [Effect::State(SessionState::Closed)]);
    assert_eq!(world.link, None);
}

#[test]
fn closing_without_a_connection_ends_at_once() {
    let mut world = World::new(config());
    let id = world.session.submit(0, &exists("/", false)).unwrap();
    world.session.close(0);
    while let Some(effect) = world.session.take_effect() {
        world.kept.push(effect);
    }
    let closed = Effect::Reply { id, op: OpCode::Exists, result: Err(RequestError::Closed) };
    assert_eq!(
        world.take()[1..],
        [Effect::Disconnect { link: LinkId(1) }, closed, Effect::State(SessionState::Closed)]
    );
}

#[test]
fn a_read_only_server_is_taken_if_allowed_and_not_asked_to_write() {
    let mut world = World::new(config());
    world.ensemble.read_only = true;
    world.run();
    assert!(matches!(world.take()[0], Effect::State(SessionState::Suspended(Cause::Refused(_)))));
    let mut settings = config();
    settings.read_only_allowed = true;
    let mut world = World::new(settings);
    world.ensemble.read_only = true;
    world.run();
    world.take();
    let id = world.session.submit(0, &set_data(b"")).unwrap();
    world.run();
    let refused = Effect::Reply { id, op: OpCode::SetData, result: Err(RequestError::ReadOnly) };
    assert_eq!(world.take(), [refused]);
    world.ask(&exists("/", false)).unwrap();
}

/// A session at a server that can only be read, with two others.
fn read_only() -> World {
    let mut settings = config();
    settings.read_only_allowed = true;
    let mut world = World::new(settings);
    world.ensemble.read_only = true;
    world.run();
    world.take();
    world
}

/// The servers that were asked what they are until `until`, and when; all say that they cannot write.
fn probes(world: &mut World, until: u64) -> Vec<(u64, usize)> {
    let mut asked = Vec::new();
    while let Some(deadline) = world.session.next_deadline_ms().filter(|&deadline| deadline <= until) {
        world.advance_to(deadline);
        for effect in world.take() {
            let Effect::Probe { server } = effect else { panic!("{effect:?}") };
            asked.push((world.now, server));
            world.session.probed(world.now, server, false);
        }
    }
    asked
}

#[test]
fn at_a_read_only_server_the_others_are_asked_in_turn_and_ever_less_often() {
    let mut world = read_only();
    let here = world.server;
    let asked = probes(&mut world, 20_000);
    let times: Vec<u64> = asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300]);
    let servers: Vec<usize> = asked.iter().map(|(_, server)| *server).collect();
    assert!(servers.iter().all(|server| *server != here));
    assert!(servers.windows(2).all(|pair| pair[0] != pair[1]), "both others: {servers:?}");
    assert!(world.session.is_connected());
}

#[test]
fn a_server_that_can_write_takes_over_and_nothing_asked_is_lost() {
    let mut world = read_only();
    assert_eq!(world.session.id(), SessionId(0x0100));
    world.ask(&exists("/", true)).unwrap();
    world.advance_to(100);
    let Some(Effect::Probe { server }) = world.take().pop() else { panic!("nobody is asked") };
    let left = world.link;
    // A read is under way, and something else waits behind the discovery.
    world.deaf = true;
    let first = world.session.submit(world.now, &exists("/", false)).unwrap();
    world.run();
    world.session.probed(world.now, server, true);
    let second = world.session.submit(world.now, &watched_data("/")).unwrap();
    world.run();
    assert_eq!((world.take(), world.link), (vec![], left), "it waits for the answer");
    world.deaf = false;
    world.ensemble.read_only = false;
    let reply = reply_bytes(2, world.ensemble.zxid, 0);
    let link = left.unwrap();
    let xid = world.session.pending();
    assert_eq!(xid, 2);
    world.session.received(world.now, link, &reply[..]);
    world.run();
    let effects = world.take();
    assert!(matches!(effects[0], Effect::Reply { id, result: Ok(_), .. } if id == first), "{effects:?}");
    assert_eq!(effects[1], Effect::State(SessionState::Suspended(Cause::Moving)));
    world.advance_to(world.now);
    let effects = world.take();
    let state =
        SessionState::Connected { session: SessionId(0x0101), timeout_ms: 6_000, read_only: false, again: true };
    assert_eq!(effects[0], Effect::State(state), "a session that a quorum knows");
    assert!(matches!(effects[1], Effect::Reply { id, .. } if id == second), "{effects:?}");
    assert_eq!(world.server, server);
    assert_eq!(world.here().heard[0].1, 101, "the watch of the first read came along");
    world.ask(&exists("/", false)).unwrap();
    assert_eq!(probes(&mut world, 60_000), [], "nobody is asked any more");
    // From now on the session is what matters, wherever it is held.
    world.ensemble.read_only = true;
    world.cut();
    world.advance_to(world.now + 5_000);
    assert_eq!(world.session.id(), SessionId(0x0101));
}

#[test]
fn a_session_of_a_read_only_server_is_not_asked_for_elsewhere() {
    let mut world = read_only();
    world.ensemble.sessions.clear();
    world.cut();
    world.advance_to(1_000);
    let effects = world.take();
    let is_connected = |effect: &Effect| matches!(effect, Effect::State(SessionState::Connected { .. }));
    assert!(effects.iter().any(is_connected), "not expired: {effects:?}");
}
