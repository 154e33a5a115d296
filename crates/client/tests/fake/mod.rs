//! A small fake ensemble for the tests of the session core: it speaks the protocol in bytes and keeps just enough
//! state (nodes with their zxids, sessions, watches of each connection) to catch a client that loses something.
//! The world changes by calls, as if other clients wrote.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub mzxid: i64,
    pub pzxid: i64,
}

#[derive(Default, Debug)]
pub struct Connection {
    input: Vec<u8>,
    output: Vec<u8>,
    pub session: i64,
    pub greeted: bool,
    pub closed: bool,
    pub data: BTreeSet<String>,
    pub child: BTreeSet<String>,
    pub persistent: BTreeSet<String>,
    pub recursive: BTreeSet<String>,
    /// (xid, op) of every request after the handshake.
    pub heard: Vec<(i32, i32)>,
    pub auths: Vec<(String, Vec<u8>)>,
}

#[derive(Debug)]
pub struct Ensemble {
    pub zxid: i64,
    pub nodes: BTreeMap<String, Node>,
    pub sessions: BTreeMap<i64, [u8; 16]>,
    pub connections: BTreeMap<u64, Connection>,
    pub timeout_ms: i32,
    pub read_only: bool,
    /// What the last handshake named as the last zxid seen.
    pub seen: i64,
    pub refuse_auth: bool,
}

pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }
    pub fn bool(&mut self) -> bool {
        self.take(1)[0] != 0
    }
    pub fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }
    pub fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }
    pub fn buffer(&mut self) -> &'a [u8] {
        let length = self.int();
        self.take(usize::try_from(length).unwrap())
    }
    pub fn text(&mut self) -> String {
        String::from_utf8(self.buffer().to_vec()).unwrap()
    }
    fn texts(&mut self) -> Vec<String> {
        (0..self.int()).map(|_| self.text()).collect()
    }
}

fn text_body(path: &str) -> Vec<u8> {
    [&(path.len() as i32).to_be_bytes(), path.as_bytes()].concat()
}

fn frame(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend((payload.len() as i32).to_be_bytes());
    out.extend(payload);
}

pub fn reply_bytes(xid: i32, zxid: i64, err: i32) -> Vec<u8> {
    let payload = [&xid.to_be_bytes()[..], &zxid.to_be_bytes(), &err.to_be_bytes()].concat();
    let mut out = Vec::new();
    frame(&mut out, &payload);
    out
}

impl Connection {
    fn reply(&mut self, xid: i32, zxid: i64, err: i32, list: bool) {
        let mut bytes = reply_bytes(xid, zxid, err);
        if list && err == 0 {
            bytes[3] += 4;
            bytes.extend([0; 4]);
        }
        self.output.extend(bytes);
    }

    fn event(&mut self, zxid: i64, kind: i32, path: &str) {
        let head = [&(-1_i32).to_be_bytes()[..], &zxid.to_be_bytes(), &0_i32.to_be_bytes()].concat();
        let body = [&kind.to_be_bytes()[..], &3_i32.to_be_bytes(), &text_body(path)].concat();
        frame(&mut self.output, &[head, body].concat());
    }

    fn recursive_above(&self, path: &str) -> bool {
        self.recursive.iter().any(|at| at == "/" || path == at || path.starts_with(&format!("{at}/")))
    }

    fn fire_data(&mut self, zxid: i64, kind: i32, path: &str) -> bool {
        let fires = self.data.remove(path) | self.persistent.contains(path) | self.recursive_above(path);
        if fires {
            self.event(zxid, kind, path);
        }
        fires
    }

    fn fire_child(&mut self, zxid: i64, kind: i32, path: &str, suppressed: bool) {
        if (self.child.remove(path) | self.persistent.contains(path)) && !suppressed {
            self.event(zxid, kind, path);
        }
    }
}

fn parent(path: &str) -> &str {
    let at = path.rfind('/').unwrap();
    if at == 0 { "/" } else { &path[..at] }
}

impl Ensemble {
    pub fn new() -> Ensemble {
        let root = ("/".to_string(), Node { mzxid: 0, pzxid: 0 });
        Ensemble {
            zxid: 0,
            nodes: BTreeMap::from([root]),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            timeout_ms: 6_000,
            read_only: false,
            seen: -1,
            refuse_auth: false,
        }
    }

    /// Another client creates, sets or deletes: creates when missing, deletes if `delete`.
    pub fn change(&mut self, path: &str, delete: bool) {
        self.zxid += 1;
        let zxid = self.zxid;
        let kind = match (self.nodes.contains_key(path), delete) {
            (true, true) => {
                self.nodes.remove(path);
                2
            }
            (false, _) => {
                self.nodes.insert(path.into(), Node { mzxid: zxid, pzxid: zxid });
                1
            }
            (true, false) => {
                self.nodes.get_mut(path).unwrap().mzxid = zxid;
                3
            }
        };
        if kind != 3
            && let Some(node) = self.nodes.get_mut(parent(path))
        {
            node.pzxid = zxid;
        }
        for connection in self.connections.values_mut().filter(|connection| connection.greeted) {
            let fired = connection.fire_data(zxid, kind, path);
            if kind == 2 {
                connection.fire_child(zxid, 2, path, fired);
            }
            if kind != 3 {
                connection.fire_child(zxid, 4, parent(path), false);
            }
        }
    }

    /// The bytes that a connection has for its client.
    pub fn take_output(&mut self, link: u64) -> Vec<u8> {
        self.connections.get_mut(&link).map(|connection| std::mem::take(&mut connection.output)).unwrap_or_default()
    }

    pub fn open(&mut self, link: u64) {
        self.connections.insert(link, Connection::default());
    }

    /// Bytes from a client; handles at most `frames_max` frames and leaves the rest unread.
    pub fn receive(&mut self, link: u64, bytes: &[u8], frames_max: usize) {
        let mut connection = self.connections.remove(&link).expect("open");
        connection.input.extend(bytes);
        for _ in 0..frames_max {
            if connection.closed || connection.input.len() < 4 {
                break;
            }
            let length = i32::from_be_bytes(connection.input[..4].try_into().unwrap()) as usize;
            if connection.input.len() < 4 + length {
                break;
            }
            let payload: Vec<u8> = connection.input.drain(..4 + length).skip(4).collect();
            if connection.greeted {
                self.request(&mut connection, &payload);
            } else {
                self.greet(&mut connection, &payload);
            }
        }
        self.connections.insert(link, connection);
    }

    fn greet(&mut self, connection: &mut Connection, payload: &[u8]) {
        let mut fields = Fields(payload);
        assert_eq!(fields.int(), 0);
        self.seen = fields.long();
        fields.int();
        let mut session = fields.long();
        let password = fields.buffer().to_vec();
        let read_only = fields.bool();
        if self.seen > self.zxid || (self.read_only && !read_only) {
            connection.closed = true;
            return;
        }
        let mut timeout_ms = self.timeout_ms;
        if session == 0 {
            session = 0x0100 + self.sessions.len() as i64;
            self.sessions.insert(session, [session as u8; 16]);
            self.zxid += 1;
        } else if self.sessions.get(&session).map(|known| &known[..]) != Some(&password[..]) {
            (session, timeout_ms, connection.closed) = (0, 0, true);
        }
        let password = self.sessions.get(&session).copied().unwrap_or_default();
        let answer = [
            &0_i32.to_be_bytes()[..],
            &timeout_ms.to_be_bytes(),
            &session.to_be_bytes(),
            &16_i32.to_be_bytes(),
            &password,
            &[u8::from(self.read_only)],
        ]
        .concat();
        frame(&mut connection.output, &answer);
        (connection.greeted, connection.session) = (true, session);
    }

    fn request(&mut self, connection: &mut Connection, payload: &[u8]) {
        let mut fields = Fields(payload);
        let (xid, op) = (fields.int(), fields.int());
        connection.heard.push((xid, op));
        let exists = |path: &str| self.nodes.contains_key(path);
        let err = match op {
            3 | 4 | 8 => {
                let (path, watch) = (fields.text(), fields.bool());
                let err = if exists(&path) { 0 } else { -101 };
                match (watch, op, err) {
                    (true, 3, _) | (true, 4, 0) => _ = connection.data.insert(path),
                    (true, 8, 0) => _ = connection.child.insert(path),
                    _ => (),
                }
                err
            }
            11 => 0,
            18 => {
                let (path, kind) = (fields.text(), fields.int());
                let found = match kind {
                    2 => connection.data.remove(&path),
                    5 => connection.recursive.remove(&path),
                    _ => panic!("not needed"),
                };
                if found { 0 } else { -121 }
            }
            100 => {
                fields.int();
                connection.auths.push((fields.text(), fields.buffer().to_vec()));
                if self.refuse_auth { -115 } else { 0 }
            }
            101 | 105 => {
                self.set_watches(connection, &mut fields, op == 105);
                0
            }
            106 => {
                let (path, mode) = (fields.text(), fields.int());
                if mode == 1 {
                    connection.recursive.insert(path)
                } else {
                    connection.persistent.insert(path)
                };
                0
            }
            -11 => {
                self.sessions.remove(&connection.session);
                self.zxid += 1;
                connection.closed = true;
                0
            }
            _ => panic!("op {op}"),
        };
        connection.reply(xid, self.zxid, err, op == 8);
    }

    fn set_watches(&self, connection: &mut Connection, fields: &mut Fields<'_>, persistent: bool) {
        let since = fields.long();
        let [data, exist, child] = [fields.texts(), fields.texts(), fields.texts()];
        for path in data {
            match self.nodes.get(&path) {
                None => connection.event(-1, 2, &path),
                Some(node) if node.mzxid > since => connection.event(-1, 3, &path),
                Some(_) => _ = connection.data.insert(path),
            }
        }
        for path in exist {
            match self.nodes.get(&path) {
                None => _ = connection.data.insert(path),
                Some(_) => connection.event(-1, 1, &path),
            }
        }
        for path in child {
            match self.nodes.get(&path) {
                None => connection.event(-1, 2, &path),
                Some(node) if node.pzxid > since => connection.event(-1, 4, &path),
                Some(_) => _ = connection.child.insert(path),
            }
        }
        if persistent {
            connection.persistent.extend(fields.texts());
            connection.recursive.extend(fields.texts());
        }
        assert!(fields.0.is_empty());
    }
}
