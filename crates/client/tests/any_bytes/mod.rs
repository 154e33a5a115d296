//! What must hold for any bytes that a server or a user gives the client. The fuzz targets (`fuzz/`) and the tests run the
//! same functions.

use ostler_client::{Config, ConnectString, Effect, LinkId, RequestId, Session};
use ostler_model::{Request, SessionId, SetData, Zxid};
use ostler_wire::client::ConnectResponse;
use std::collections::BTreeMap;

/// Checks one kind of input.
pub type Target = fn(&[u8]);

/// Every kind, by the name of its fuzz target.
pub const ALL: [(&str, Target); 2] = [("session", session), ("connect_string", connect_string)];

/// A server says anything: bit 0 of the first byte puts a good handshake before it, the other bits say in pieces of how many
/// bytes it comes (0 = at once). Each request ends with exactly one result, the session does not spin, and what it keeps
/// is in proportion.
pub fn session(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let mut world = World::new();
    world.run(how & 1 != 0);
    let piece = usize::from(how >> 1);
    for part in bytes.chunks(if piece == 0 { usize::MAX } else { piece }) {
        world.now_ms += 1;
        if let Some(link) = world.link {
            world.session.received(world.now_ms, link, part);
        }
        world.run(how & 1 != 0);
    }
    world.session.close(world.now_ms);
    world.run(false);
    if let Some(link) = world.link {
        world.session.link_down(world.now_ms, link, None);
    }
    world.session.close(world.now_ms);
    world.run(false);
    assert_eq!(world.session.pending(), 0, "requests without a result");
    assert!(world.results.values().all(|count| *count == 1), "{:?}", world.results);
}

struct World {
    session: Session,
    now_ms: u64,
    link: Option<LinkId>,
    results: BTreeMap<RequestId, usize>,
}

impl World {
    fn new() -> World {
        let mut session = Session::new(0, Config { reply_bytes_max: 4_096, ..Config::new(10_000, 2, 1) });
        let text = |text: &'static str| Some(text.into());
        let requests = [
            Request::GetData { path: text("/a"), watch: true },
            Request::Exists { path: text("/b"), watch: true },
            Request::GetChildren { path: text("/"), watch: true },
            Request::SetData(SetData { path: text("/a"), data: Some(b"x"), version: -1 }),
            Request::AddWatch { path: text("/"), recursive: true },
            Request::Multi(Vec::new()),
        ];
        let mut results = BTreeMap::new();
        for request in &requests {
            results.insert(session.submit(0, request).expect("there is room"), 0);
        }
        results.insert(session.add_auth(0, "digest", b"user:password").expect("it lives"), 0);
        World { session, now_ms: 0, link: None, results }
    }

    /// Carries out what the session wants, until it wants nothing.
    fn run(&mut self, greet: bool) {
        for _ in 0..10_000 {
            let Some(effect) = self.session.take_effect() else { return };
            match effect {
                Effect::Connect { link, .. } => {
                    self.link = Some(link);
                    self.session.connected(self.now_ms, link);
                    if greet {
                        let mut bytes = Vec::new();
                        let session = SessionId(0x100);
                        ConnectResponse { timeout_ms: 10_000, session, password: [1; 16], read_only: Some(false) }
                            .encode(&mut bytes);
                        self.session.received(self.now_ms, link, &bytes);
                    }
                }
                Effect::Disconnect { link } => {
                    assert_eq!(self.link.take(), Some(link), "only a connection that was made is closed");
                }
                Effect::Reply { id, .. } => *self.results.get_mut(&id).expect("nobody asked for this") += 1,
                Effect::Probe { server } => self.session.probed(self.now_ms, server, false),
                Effect::Send { .. } | Effect::Event(_) | Effect::State(_) => (),
            }
            assert!(self.session.zxid_seen() >= Zxid(0), "{:?}", self.session.zxid_seen());
        }
        panic!("the session does not come to rest");
    }
}

/// What a user types as servers. What was taken is taken again from its parts.
pub fn connect_string(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match ConnectString::parse(&text) {
        Ok(parsed) => {
            assert!(
                !parsed.hosts.is_empty() && parsed.hosts.iter().all(|host| host.port != 0 && !host.name.is_empty())
            );
        }
        Err(error) => assert!(error.to_string().contains("\nhint: "), "{error}"),
    }
}
