//! The rounds: what is sent when, so that both servers see the same order of everything.
//!
//! A round is one batch on one connection, pipelined, and all its answers are awaited: writes of different connections
//! never race. What the other connection is sent meanwhile are events, and they must stand before its next answer; where
//! no answer follows, a barrier collects them. Reads of the part of the tree that nobody changes do race with writes in
//! some rounds; their zxids are then not compared.

use crate::coverage::Coverage;
use crate::generate::{Generator, Made};
use crate::pools;
use crate::report::{self, Mismatch};
use crate::side::{Key, Seen, Side};
use ostler_model::OpCode;
use ostler_wire::client::{ConnectRequest, ReplyHeader};
use ostler_wire::peer::{Reply, decode_reply};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The two connections of the generator.
const CLIENTS: [usize; 2] = [0, 1];
/// Holds the super id, compares whole trees and tidies up.
const JANITOR: usize = 2;
/// Tries handshakes.
const VISITOR: usize = 3;
/// Rounds between two comparisons of the whole trees.
const ROUNDS_PER_TIDYING: u64 = 120;
/// The same while there are quotas and a round is a single request.
const QUOTA_ROUNDS_PER_TIDYING: u64 = 500;
/// Bytes of one batch: more might fill the sockets' buffers in both directions.
const BATCH_BYTES_MAX: usize = 48 << 10;
/// How long a connection may be left alone before its session might expire on a slow machine.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Requests kept for the report of a mismatch.
const RECENT_MAX: usize = 40;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server could not be reached or did not behave like one.
    #[error("server {side}: {what}\n  hint: {hint}")]
    Server {
        /// Which.
        side: &'static str,
        /// What happened.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// An answer differed.
    #[error("the servers differ")]
    Different,
}

/// Everything of a run.
#[derive(Debug)]
pub struct Run {
    a: Side,
    b: Side,
    generator: Generator,
    /// What was covered, by A's answers.
    pub coverage: Coverage,
    /// Requests sent to each server.
    pub requests: u64,
    /// Differences found.
    pub mismatches: Vec<Mismatch>,
    keep_going: bool,
    recent: VecDeque<(usize, Made)>,
    rounds: u64,
    next_tidying: u64,
    kept_alive: Instant,
}

impl Run {
    /// Connects to both servers and makes the fixed part of the tree.
    ///
    /// # Errors
    /// A server cannot be reached, or is not fresh.
    pub fn start(a: SocketAddr, b: SocketAddr, seed: u64, keep_going: bool) -> Result<Run, Failure> {
        let mut run = Run {
            a: Side::new(a, 4),
            b: Side::new(b, 4),
            generator: Generator::new(seed),
            coverage: Coverage::default(),
            requests: 0,
            mismatches: Vec::new(),
            keep_going,
            recent: VecDeque::new(),
            rounds: 0,
            next_tidying: ROUNDS_PER_TIDYING,
            kept_alive: Instant::now(),
        };
        for connection in [0, 1, JANITOR] {
            run.connect(connection)?;
        }
        let auth = run.generator.good_auth("digest", b"super:test");
        run.batch(JANITOR, vec![auth])?;
        let nodes: Vec<_> = [pools::ROOT].into_iter().chain(pools::STILL_NODES).collect();
        let creates = nodes.iter().map(|path| run.generator.plain_create(path, Some(b"still"))).collect();
        run.batch(JANITOR, creates)?;
        Ok(run)
    }

    /// One round.
    ///
    /// # Errors
    /// A difference, unless the run is to keep going; a server that is gone.
    pub fn round(&mut self) -> Result<(), Failure> {
        self.rounds += 1;
        if self.kept_alive.elapsed() > KEEP_ALIVE {
            self.kept_alive = Instant::now();
            self.barriers(&[CLIENTS[0], CLIENTS[1], JANITOR], false)?;
        }
        if self.rounds >= self.next_tidying {
            return self.tidy();
        }
        let connection = self.generator.rng.pick(&CLIENTS);
        match self.generator.rng.index(1_000) {
            0..=939 if self.generator.quotas => self.one_by_one(connection),
            0..=899 => {
                let batch = self.make_batch(true);
                self.batch(connection, batch)
            }
            900..=939 if !self.generator.quotas => self.beside_reads(connection),
            940..=969 => self.reconnect(connection),
            970..=991 => self.closing(connection),
            _ => self.visit(),
        }
    }

    fn make_batch(&mut self, inline: bool) -> Vec<Made> {
        let g = &mut self.generator;
        let count = match g.rng.index(100) {
            0..=29 => 1 + g.rng.index(8),
            30..=69 => 8 + g.rng.index(56),
            _ => 64 + g.rng.index(240),
        };
        let mut batch = Vec::with_capacity(count + 8);
        if inline && g.rng.percent(4) {
            let auth = g.any_good_auth();
            batch.push(auth);
        }
        let mut bytes = 0;
        while batch.len() < count && bytes < BATCH_BYTES_MAX {
            let before = batch.len();
            g.requests(&mut batch);
            bytes += batch[before..].iter().map(|made| made.frame.len()).sum::<usize>();
            if batch[before..].iter().any(|made| made.last) {
                break;
            }
        }
        batch
    }

    /// Requests that wait for each other.
    fn one_by_one(&mut self, connection: usize) -> Result<(), Failure> {
        let mut requests = Vec::new();
        self.generator.requests(&mut requests);
        requests.into_iter().try_for_each(|made| self.batch(connection, vec![made]))
    }

    fn send(&mut self, connection: usize, batch: &[Made]) {
        let bytes: Vec<u8> = batch.iter().flat_map(|made| made.frame.iter().copied()).collect();
        self.a.send(connection, &bytes);
        self.b.send(connection, &bytes);
        self.requests += batch.len() as u64;
    }

    fn remember(&mut self, connection: usize, batch: Vec<Made>) {
        self.recent.extend(batch.into_iter().map(|made| (connection, made)));
        let excess = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..excess);
    }

    /// A batch on one connection, then the events of the other client.
    fn batch(&mut self, connection: usize, batch: Vec<Made>) -> Result<(), Failure> {
        self.send(connection, &batch);
        let a = self.a.collect(connection, &batch);
        let b = self.b.collect(connection, &batch);
        self.compare(connection, &batch, &a, &b)?;
        self.remember(connection, batch);
        Ok(())
    }

    /// The events of these connections. A session that ends deletes its nodes in no order.
    fn barriers(&mut self, connections: &[usize], unordered: bool) -> Result<(), Failure> {
        for &connection in connections {
            self.a.send_barrier(connection);
            self.b.send_barrier(connection);
            let mut a = self.a.collect_barrier(connection);
            let mut b = self.b.collect_barrier(connection);
            if unordered {
                sort_events(&mut a);
                sort_events(&mut b);
            }
            self.compare(connection, &[], &a, &b)?;
        }
        Ok(())
    }

    /// Writes on one connection, reads of the still part of the tree on the other, at the same time.
    fn beside_reads(&mut self, writer: usize) -> Result<(), Failure> {
        let reader = 1 - writer;
        let writes = self.make_batch(false);
        let reads: Vec<_> = (0..writes.len().max(20)).map(|_| self.generator.still_read()).collect();
        for side in [&mut self.a, &mut self.b] {
            // In pieces, so that they really mix.
            for (write, read) in writes.chunks(10).zip(reads.chunks(10)) {
                side.send(writer, &write.iter().flat_map(|made| made.frame.iter().copied()).collect::<Vec<_>>());
                side.send(reader, &read.iter().flat_map(|made| made.frame.iter().copied()).collect::<Vec<_>>());
            }
        }
        let reads: Vec<_> = reads.into_iter().take(writes.len().div_ceil(10) * 10).collect();
        self.requests += (writes.len() + reads.len()) as u64;
        let (wrote_a, wrote_b) = (self.a.collect(writer, &writes), self.b.collect(writer, &writes));
        let (mut read_a, mut read_b) = (self.a.collect(reader, &reads), self.b.collect(reader, &reads));
        self.compare(writer, &writes, &wrote_a, &wrote_b)?;
        self.remember(writer, writes);
        self.a.send_barrier(reader);
        self.b.send_barrier(reader);
        read_a.extend(self.a.collect_barrier(reader));
        read_b.extend(self.b.collect_barrier(reader));
        // Events and replies each keep their order; how they mix is chance.
        for seen in [&mut read_a, &mut read_b] {
            seen.sort_by_key(|seen| matches!(seen.key, Key::Event { .. }));
            for one in seen.iter_mut() {
                if let Key::Reply(bytes) = &mut one.key {
                    bytes[8..16].fill(0);
                }
            }
        }
        let sync = self.generator.simple(OpCode::Sync, "/");
        let asked: Vec<_> = reads.into_iter().chain([sync]).collect();
        self.compare(reader, &asked, &read_a, &read_b)
    }

    fn connect(&mut self, connection: usize) -> Result<(), Failure> {
        let gone = |side, error: io::Error| Failure::Server {
            side,
            what: format!("cannot connect: {error}"),
            hint: "is it running? Did the last requests kill it?",
        };
        let a = self.a.connect(connection).map_err(|error| gone("A", error))?;
        let b = self.b.connect(connection).map_err(|error| gone("B", error))?;
        self.compare(connection, &[], &[a], &[b])
    }

    /// The same session on a new connection: watches and identities are gone.
    fn reconnect(&mut self, connection: usize) -> Result<(), Failure> {
        self.barriers(&[connection], false)?;
        if self.generator.rng.percent(50) {
            self.a.hang_up(connection);
            self.b.hang_up(connection);
        }
        self.connect(connection)
    }

    /// A request after which the server closes.
    fn closing(&mut self, connection: usize) -> Result<(), Failure> {
        let made = self.generator.closing();
        let op = OpCode::from_i32(made.op);
        let ends = op == Some(OpCode::CloseSession);
        let batch = vec![made];
        self.barriers(&[1 - connection], false)?;
        self.send(connection, &batch);
        let mut a = self.a.collect_to_end(connection, op);
        let mut b = self.b.collect_to_end(connection, op);
        if ends {
            sort_events(&mut a);
            sort_events(&mut b);
        }
        self.compare(connection, &batch, &a, &b)?;
        self.remember(connection, batch);
        self.barriers(&[1 - connection], ends)?;
        if ends {
            self.a.forget_session(connection);
            self.b.forget_session(connection);
        }
        self.connect(connection)
    }

    /// A handshake out of the ordinary, on a connection of its own.
    fn visit(&mut self) -> Result<(), Failure> {
        let kind = self.generator.rng.index(12);
        let frame = |side: &Side| -> Vec<u8> {
            let session = side.session(0);
            let mut request = ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: ostler_model::Zxid::ZERO,
                timeout_ms: 30_000,
                session: ostler_model::SessionId::NONE,
                password: vec![0; 16],
                read_only: Some(false),
            };
            match kind {
                0 => request.read_only = None,
                1 => request.timeout_ms = -1,
                2 => request.timeout_ms = i32::MAX,
                3 => request.last_zxid_seen.0 = i64::MAX,
                4 => request.last_zxid_seen.0 = -5,
                5 => request.password = Vec::new(),
                6 => request.protocol_version = 99,
                7 => request.read_only = Some(true),
                // A session that nobody has, and one whose password is wrong (which costs it its connection).
                8 => request.session.0 = 0x0102_0304_0506_0708,
                9 => (request.session, request.password) = (session.id, vec![b'z'; 16]),
                10 => request.password = vec![1; 100],
                _ => {}
            }
            let mut frame = Vec::new();
            request.encode(&mut frame);
            if kind == 11 {
                frame.truncate(20);
                frame[..4].copy_from_slice(&16_u32.to_be_bytes());
            }
            frame
        };
        let (frame_a, frame_b) = (frame(&self.a), frame(&self.b));
        let gone = |side, error: io::Error| Failure::Server {
            side,
            what: format!("cannot connect: {error}"),
            hint: "did the last requests kill it?",
        };
        self.barriers(&[0], false)?;
        self.a.forget_session(VISITOR);
        self.b.forget_session(VISITOR);
        let a = self.a.handshake(VISITOR, &frame_a).map_err(|error| gone("A", error))?;
        let b = self.b.handshake(VISITOR, &frame_b).map_err(|error| gone("B", error))?;
        let made = matches!(&a.key, Key::Connected { session, .. } if *session != 0);
        self.requests += 1;
        self.compare(VISITOR, &[], std::slice::from_ref(&a), std::slice::from_ref(&b))?;
        if made {
            let close = vec![self.generator.frame(OpCode::CloseSession.code(), |_, _| {})];
            self.send(VISITOR, &close);
            let a = self.a.collect_to_end(VISITOR, Some(OpCode::CloseSession));
            let b = self.b.collect_to_end(VISITOR, Some(OpCode::CloseSession));
            self.compare(VISITOR, &close, &a, &b)?;
        } else if a.key != Key::Closed {
            let a = self.a.collect_to_end(VISITOR, None);
            let b = self.b.collect_to_end(VISITOR, None);
            self.compare(VISITOR, &[], &a, &b)?;
        }
        if kind == 9 {
            let a = self.a.collect_to_end(0, None);
            let b = self.b.collect_to_end(0, None);
            self.compare(0, &[], &a, &b)?;
            self.connect(0)?;
        }
        Ok(())
    }

    /// Compares the whole trees, then deletes a good part of them.
    fn tidy(&mut self) -> Result<(), Failure> {
        let paths = self.compare_trees()?;
        let keep = |path: &str| {
            pools::STILL_NODES.contains(&path)
                || matches!(path, "/" | "/d" | "/zookeeper" | "/zookeeper/config" | "/zookeeper/quota")
        };
        let share = self.generator.rng.pick(&[30, 60, 100]);
        let doomed: Vec<_> = paths.iter().rev().filter(|path| !keep(path)).cloned().collect();
        let end_of_quotas = self.generator.quotas;
        let doomed: Vec<_> = doomed
            .into_iter()
            .filter(|path| end_of_quotas && path.starts_with("/zookeeper/") || self.generator.rng.percent(share))
            .collect();
        // Quotas from the first tidying on, so that short runs have them too.
        let first = self.rounds == ROUNDS_PER_TIDYING;
        self.generator.quotas = first || !end_of_quotas && self.generator.rng.percent(40);
        let rounds = if self.generator.quotas { QUOTA_ROUNDS_PER_TIDYING } else { ROUNDS_PER_TIDYING };
        self.next_tidying = self.rounds + rounds;
        let mut batch = Vec::new();
        for path in doomed {
            batch.push(self.generator.simple(OpCode::Delete, &path));
        }
        // The roots may have become unusable for everybody else.
        for path in [pools::ROOT, "/", "/zookeeper", "/zookeeper/quota"] {
            batch.push(self.generator.frame(OpCode::SetAcl.code(), |_, f| {
                f.text(Some(path));
                f.vector(Some(&[()]), |f, ()| f.acl_entry(31, Some("world"), Some("anyone")));
                f.int(-1);
            }));
        }
        batch.push(self.generator.plain_create(pools::ROOT, None));
        self.batch(JANITOR, batch)
    }

    /// Reads every node on both servers, with data, Stat and ACL. The paths, parents before children.
    ///
    /// # Errors
    /// As [`Run::round`].
    pub fn compare_trees(&mut self) -> Result<Vec<String>, Failure> {
        let mut level = vec!["/".to_owned()];
        let mut all = Vec::new();
        while !level.is_empty() {
            let mut next = Vec::new();
            for part in level.chunks(64) {
                let mut batch = Vec::new();
                for path in part {
                    batch.push(self.generator.simple(OpCode::GetChildren2, path));
                    batch.push(self.generator.simple(OpCode::GetData, path));
                    batch.push(self.generator.simple(OpCode::GetAcl, path));
                }
                self.send(JANITOR, &batch);
                let a = self.a.collect(JANITOR, &batch);
                let b = self.b.collect(JANITOR, &batch);
                self.compare(JANITOR, &batch, &a, &b)?;
                self.remember(JANITOR, batch);
                for (path, seen) in part.iter().zip(a.chunks(3)) {
                    for name in children(&seen[0]) {
                        next.push(if path == "/" { format!("/{name}") } else { format!("{path}/{name}") });
                    }
                }
            }
            // In a fixed order, whatever the server's.
            next.sort_unstable();
            all.append(&mut level);
            level = next;
        }
        Ok(all)
    }

    /// Compares what one connection received from both servers, and learns from A's answers.
    fn compare(&mut self, connection: usize, batch: &[Made], a: &[Seen], b: &[Seen]) -> Result<(), Failure> {
        let mut request = 0;
        for index in 0..a.len().max(b.len()) {
            let (one, two) = (a.get(index), b.get(index));
            let made = batch.get(request);
            let answers = one.is_some_and(|seen| !matches!(seen.key, Key::Event { .. }));
            if let Some(one) = one {
                self.coverage.count(one);
                self.learn(made.filter(|_| answers), one);
            }
            request += usize::from(answers);
            let silent = one.is_some_and(|seen| seen.key == Key::Silence);
            if !silent && one.map(|seen| &seen.key) == two.map(|seen| &seen.key) {
                continue;
            }
            let history: Vec<_> = self.recent.iter().map(|(on, made)| report::request(*on, made)).collect();
            let before = batch.iter().take(request.saturating_sub(usize::from(answers)));
            let history: Vec<_> =
                history.into_iter().chain(before.map(|made| report::request(connection, made))).collect();
            let from = history.len().saturating_sub(RECENT_MAX);
            self.mismatches.push(Mismatch {
                request: self.requests - batch.len() as u64 + request as u64,
                connection,
                asked: made.map(|made| report::request(connection, made)),
                a: one.map_or("nothing more".into(), report::seen),
                b: two.map_or("nothing more".into(), report::seen),
                history: history[from..].to_vec(),
            });
            if !self.keep_going {
                return Err(Failure::Different);
            }
            // What follows in this batch would be compared out of step.
            if a.len() != b.len() {
                break;
            }
        }
        Ok(())
    }

    fn learn(&mut self, made: Option<&Made>, seen: &Seen) {
        let Ok((header, body)) = ReplyHeader::split(&seen.raw) else { return };
        if header.zxid.0 > 0 && !matches!(seen.key, Key::Connected { .. }) {
            self.generator.zxid = header.zxid.0;
        }
        let (Some(made), Some(op)) = (made, seen.op) else { return };
        if !made.sequential || header.err != 0 {
            return;
        }
        if let Ok(Reply::Path(Some(path)) | Reply::Created { path: Some(path), .. }) = decode_reply(op, &header, body) {
            self.generator.learn(path.into_owned());
        }
    }
}

/// Orders the events of each transaction.
fn sort_events(seen: &mut [Seen]) {
    let zxid = |seen: &Seen| if let Key::Event { zxid, .. } = &seen.key { Some(*zxid) } else { None };
    for run in seen.chunk_by_mut(|a, b| zxid(a).is_some() && zxid(a) == zxid(b)) {
        run.sort_by_key(|seen| format!("{:?}", seen.key));
    }
}

fn children(seen: &Seen) -> Vec<String> {
    let Ok((header, body)) = ReplyHeader::split(&seen.raw) else { return Vec::new() };
    match decode_reply(OpCode::GetChildren2, &header, body) {
        Ok(Reply::Children2 { names: Some(names), .. }) => {
            names.into_iter().flatten().map(std::borrow::Cow::into_owned).collect()
        }
        _ => Vec::new(),
    }
}
