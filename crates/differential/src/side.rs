//! One of the two servers: its connections, and its answers with everything taken out that may differ.
//!
//! Both servers start empty, so zxids must be equal as they stand. Session ids become numbers in the order of their
//! making. A time must be the one that belongs to its zxid; then it is dropped. Lists without an order are sorted.

use crate::connection::{Arrival, Connection};
use crate::generate::Made;
use ostler_model::{OpCode, SessionId, Stat, Zxid, session_password};
use ostler_wire::client::{ConnectRequest, ConnectResponse, FrameWriter, ReplyHeader, RequestHeader};
use ostler_wire::peer::{MultiResult, Reply, WatcherEvent, decode_reply, encode_reply};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

/// The longest time-out that a server with default settings grants.
const SESSION_TIMEOUT_MS: i32 = 40_000;
/// Xid of the sync that ends the wait for events of other connections.
const BARRIER_XID: i32 = 0x7fff_0000;

/// Something a connection received.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What two servers must agree on.
    pub key: Key,
    /// As it came.
    pub raw: Vec<u8>,
    /// Of the request that it answers; `None` for events.
    pub op: Option<OpCode>,
}

/// The normalised content of what was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// A frame that is not an event, header included, normalised and encoded again.
    Reply(Vec<u8>),
    /// A watch event.
    Event { zxid: i64, kind: i32, state: i32, path: String },
    /// The answer to a connect request.
    Connected { timeout_ms: i32, session: i64, password_right: bool, read_only: Option<bool> },
    /// The server closed the connection.
    Closed,
    /// The server did not answer.
    Silence,
}

/// A session as its client knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its password.
    pub password: [u8; 16],
}

/// A server with the connections to it.
#[derive(Debug)]
pub struct Side {
    address: SocketAddr,
    connections: Vec<Option<Connection>>,
    sessions: Vec<Session>,
    numbers: HashMap<i64, i64>,
    times: HashMap<i64, i64>,
}

impl Side {
    /// A server at this address, with room for `connections` connections.
    pub fn new(address: SocketAddr, connections: usize) -> Side {
        let none = Session { id: SessionId::NONE, password: [0; 16] };
        Side {
            address,
            connections: (0..connections).map(|_| None).collect(),
            sessions: vec![none; connections],
            numbers: HashMap::new(),
            times: HashMap::new(),
        }
    }

    /// The session of a connection.
    pub fn session(&self, connection: usize) -> Session {
        self.sessions[connection]
    }

    /// Forgets the session of a connection, so that the next handshake makes a new one.
    pub fn forget_session(&mut self, connection: usize) {
        self.sessions[connection] = Session { id: SessionId::NONE, password: [0; 16] };
    }

    /// Opens the connection anew and attaches to its session, or to a new one.
    ///
    /// # Errors
    /// The server does not accept.
    pub fn connect(&mut self, connection: usize) -> io::Result<Seen> {
        let session = self.sessions[connection];
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: SESSION_TIMEOUT_MS,
            session: session.id,
            password: session.password.to_vec(),
            read_only: Some(false),
        };
        let mut frame = Vec::new();
        request.encode(&mut frame);
        let seen = self.handshake(connection, &frame)?;
        if let Ok(response) = ConnectResponse::decode(&seen.raw) {
            self.sessions[connection] = Session { id: response.session, password: response.password };
        }
        Ok(seen)
    }

    /// Opens the connection anew and sends `frame` as its first.
    ///
    /// # Errors
    /// The server does not accept.
    pub fn handshake(&mut self, connection: usize, frame: &[u8]) -> io::Result<Seen> {
        let mut opened = Connection::open(self.address)?;
        opened.send(frame);
        let arrival = opened.receive();
        self.connections[connection] = Some(opened);
        Ok(self.connected(arrival))
    }

    fn connected(&mut self, arrival: Arrival) -> Seen {
        let (key, raw) = match arrival {
            Arrival::Frame(raw) => match ConnectResponse::decode(&raw) {
                Ok(response) => {
                    let key = Key::Connected {
                        timeout_ms: response.timeout_ms,
                        session: self.number(response.session.0, true),
                        password_right: response.password == session_password(response.session),
                        read_only: response.read_only,
                    };
                    (key, raw)
                }
                Err(_) => (Key::Reply(raw.clone()), raw),
            },
            Arrival::Closed => (Key::Closed, Vec::new()),
            Arrival::Silence => (Key::Silence, Vec::new()),
        };
        Seen { key, raw, op: None }
    }

    /// Drops the connection without a word.
    pub fn hang_up(&mut self, connection: usize) {
        self.connections[connection] = None;
    }

    /// Sends bytes.
    pub fn send(&mut self, connection: usize, bytes: &[u8]) {
        if let Some(connection) = &mut self.connections[connection] {
            connection.send(bytes);
        }
    }

    /// Receives until every request has its reply; everything in the order of arrival.
    pub fn collect(&mut self, connection: usize, requests: &[Made]) -> Vec<Seen> {
        let mut all = Vec::with_capacity(requests.len() + 4);
        let mut answered = 0;
        while answered < requests.len() {
            let op = OpCode::from_i32(requests[answered].op);
            let seen = self.next(connection, op);
            match seen.key {
                Key::Event { .. } => {}
                Key::Closed | Key::Silence => {
                    all.push(seen);
                    break;
                }
                _ => answered += 1,
            }
            all.push(seen);
        }
        all
    }

    /// Receives until the server closes the connection.
    pub fn collect_to_end(&mut self, connection: usize, op: Option<OpCode>) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            let seen = self.next(connection, op);
            let end = matches!(seen.key, Key::Closed | Key::Silence);
            all.push(seen);
            if end {
                self.connections[connection] = None;
                return all;
            }
        }
    }

    /// Asks for the events that a connection must have been sent by now. A sync, because it is answered in the order
    /// of the writes.
    pub fn send_barrier(&mut self, connection: usize) {
        let mut frame = Vec::new();
        let mut f = FrameWriter::request(&mut frame, RequestHeader { xid: BARRIER_XID, op: OpCode::Sync.code() });
        f.text(Some("/"));
        f.finish();
        self.send(connection, &frame);
    }

    /// Receives the events before the answer to the barrier, and the answer.
    pub fn collect_barrier(&mut self, connection: usize) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            let seen = self.next(connection, Some(OpCode::Sync));
            let event = matches!(seen.key, Key::Event { .. });
            all.push(seen);
            if !event {
                return all;
            }
        }
    }

    fn next(&mut self, connection: usize, op: Option<OpCode>) -> Seen {
        let Some(connection) = &mut self.connections[connection] else {
            return Seen { key: Key::Closed, raw: Vec::new(), op };
        };
        match connection.receive() {
            Arrival::Frame(raw) => self.normal(raw, op),
            Arrival::Closed => Seen { key: Key::Closed, raw: Vec::new(), op },
            Arrival::Silence => Seen { key: Key::Silence, raw: Vec::new(), op },
        }
    }

    fn normal(&mut self, raw: Vec<u8>, op: Option<OpCode>) -> Seen {
        let Ok((header, body)) = ReplyHeader::split(&raw) else {
            return Seen { key: Key::Reply(raw.clone()), raw, op };
        };
        if header.xid == ReplyHeader::EVENT_XID
            && let Ok(event) = WatcherEvent::decode(body)
        {
            let path = event.path.unwrap_or_default().into_owned();
            let key = Key::Event { zxid: header.zxid.0, kind: event.kind, state: event.state, path };
            return Seen { key, raw, op: None };
        }
        let mut key = Vec::new();
        // The reply to an unknown operation is a header.
        match decode_reply(op.unwrap_or(OpCode::Ping), &header, body) {
            Ok(mut reply) => {
                encode_reply(&mut key, header, &reply);
                if key.len() == raw.len() + 4 {
                    key.clear();
                    self.normalise(&mut reply);
                    encode_reply(&mut key, header, &reply);
                } else {
                    // Bytes that no record explains: compared as they are.
                    key.clone_from(&raw);
                }
            }
            Err(_) => key.clone_from(&raw),
        }
        Seen { key: Key::Reply(key), raw, op }
    }

    fn normalise(&mut self, reply: &mut Reply<'_>) {
        match reply {
            Reply::Created { stat, .. } | Reply::Stat(stat) | Reply::Data { stat, .. } => self.stat(stat),
            Reply::Acl { acl, stat } => {
                self.stat(stat);
                // `auth` becomes one entry per identity, in no order.
                if let Some(acl) = acl {
                    for run in acl.chunk_by_mut(|a, b| a.perms == b.perms && a.scheme == b.scheme) {
                        run.sort_by(|a, b| a.id.cmp(&b.id));
                    }
                }
            }
            Reply::Names(names) => names.iter_mut().for_each(|names| names.sort_unstable()),
            Reply::Children2 { names, stat } => {
                names.iter_mut().for_each(|names| names.sort_unstable());
                self.stat(stat);
            }
            Reply::WhoAmI(infos) => infos.iter_mut().for_each(|infos| infos.sort_unstable()),
            Reply::Multi(results) => {
                for result in results {
                    match result {
                        MultiResult::Create2 { stat, .. }
                        | MultiResult::SetData { stat }
                        | MultiResult::GetData { stat, .. } => self.stat(stat),
                        MultiResult::GetChildren { names } => {
                            names.iter_mut().for_each(|names| names.sort_unstable());
                        }
                        _ => {}
                    }
                }
            }
            Reply::Empty | Reply::Path(_) | Reply::Number(_) | Reply::Token(_) => {}
        }
    }

    fn stat(&mut self, stat: &mut Stat) {
        stat.ctime = self.time(stat.czxid, stat.ctime);
        stat.mtime = self.time(stat.mzxid, stat.mtime);
        stat.ephemeral_owner = self.number(stat.ephemeral_owner, false);
    }

    /// 0 for the time that this zxid has had everywhere so far, else the difference.
    fn time(&mut self, zxid: Zxid, time: i64) -> i64 {
        if zxid.0 == 0 {
            return time;
        }
        time - *self.times.entry(zxid.0).or_insert(time)
    }

    /// The number of a session; one that is met for the first time gets the next, if it may.
    fn number(&mut self, session: i64, new: bool) -> i64 {
        if session == 0 {
            return 0;
        }
        let next = self.numbers.len() as i64 + 1;
        if new {
            *self.numbers.entry(session).or_insert(next)
        } else {
            self.numbers.get(&session).copied().unwrap_or(-1)
        }
    }
}
