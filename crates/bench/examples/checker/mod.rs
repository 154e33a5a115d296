//! A client that knows what it sent and what was acknowledged, and looks for writes that are gone and for writes that
//! nobody sent. `kill_loop` and `faults` load a server or an ensemble with it.
//!
//! A setData writes its own number and names the version before, so data, version and count agree; the two nodes of a
//! multi must agree; created nodes must be a run without holes; sequential names must rise; the ephemeral must live
//! on. What was found lies between what was acknowledged and what was sent.
#![allow(dead_code, reason = "each program uses a part")]

use ostler_client::{Client, ClientError, CreateMode, RequestError, RequestId, SessionState};
use ostler_model::{Acl, Delete, ErrorCode, MultiOp, Request, SessionId, SetData, open_acl};
use ostler_wire::peer::Reply;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Unanswered deletes.
const DELETES: usize = 500;

/// What a writer sent and what was acknowledged, over all rounds.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    sent: u64,
    acked: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Set,
    Pair,
    Create,
    Line,
}

/// What the servers have of one writer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// In the order of [`Kind`]: the numbers last written, and how many sequential nodes there are.
    numbers: [u64; 4],
    /// Names of the sequential nodes, in order.
    line: Vec<String>,
    alive: bool,
}

/// One session that writes.
pub struct Writer {
    number: usize,
    /// Its session.
    pub client: Client,
    acl: Vec<Acl>,
    counts: [Count; 4],
    /// Acknowledged since the nodes were last removed.
    line: Vec<String>,
    /// Created nodes up to this number have been removed.
    removed: u64,
    /// Acknowledged writes of all time.
    pub successes: u64,
}

impl Writer {
    /// Opens a session and creates the nodes of this writer.
    pub fn new(address: &str, number: usize, timeout: Duration) -> Result<Writer, ClientError> {
        let mut client = Client::connect(address, timeout)?;
        let acl = open_acl().to_vec();
        for name in ["set", "pair-a", "pair-b", "made", "line"] {
            client.create(&format!("/w{number}-{name}"), b"0", &acl, CreateMode::Persistent)?;
        }
        client.create(&format!("/w{number}-alive"), b"", &acl, CreateMode::Ephemeral)?;
        Ok(Writer { number, client, acl, counts: Default::default(), line: Vec::new(), removed: 0, successes: 0 })
    }

    /// Writes until the connection is lost, or until told to stop: then nothing is unanswered.
    pub fn write(&mut self, depth: usize, pause: Duration, stop: &AtomicBool, progress: &AtomicU64) {
        let mut waiting: VecDeque<(RequestId, Kind, u64)> = VecDeque::new();
        let (mut turn, mut lost) = (0, self.losses().1);
        loop {
            while waiting.len() < depth && !stop.load(Ordering::SeqCst) {
                // What is submitted now would be sent over the next connection, without what the last one lost.
                lost |= self.losses().0;
                if lost {
                    break;
                }
                let kind = [Kind::Set, Kind::Pair, Kind::Create, Kind::Line][turn % 4];
                turn += 1;
                let count = &mut self.counts[kind as usize];
                count.sent += 1;
                let sent = count.sent;
                match self.submit(kind, sent) {
                    Ok(id) => waiting.push_back((id, kind, sent)),
                    Err(error) => panic!("writer {}: {error}", self.number),
                }
            }
            let Some((id, kind, sent)) = waiting.pop_front() else { return };
            match self.client.wait(id) {
                // Its connection was an old one of ours.
                Ok(answer) if answer.raw.err == ErrorCode::SessionMoved.code() => return self.client.cut(),
                Ok(answer) => {
                    assert_eq!(answer.raw.err, 0, "writer {}: write {sent} was refused", self.number);
                    self.counts[kind as usize].acked = sent;
                    self.successes += 1;
                    progress.fetch_add(1, Ordering::Relaxed);
                    if let (Kind::Line, Ok(Reply::Created { path, .. })) = (kind, answer.reply()) {
                        let name = path.unwrap_or_default().rsplit('/').next().expect("a path has a name").to_owned();
                        let rises = self.line.last().is_none_or(|last| *last < name);
                        assert!(rises, "writer {}: {name} came after {:?}", self.number, self.line.last());
                        self.line.push(name);
                    }
                }
                Err(ClientError::Request(RequestError::ConnectionLoss { .. })) => return,
                Err(error) => panic!("writer {}: {error}", self.number),
            }
            if !pause.is_zero() {
                self.client.run_for(pause);
            }
        }
    }

    /// Whether the connection was lost since this was last asked, and whether it still is.
    fn losses(&mut self) -> (bool, bool) {
        let (mut any, mut now) = (false, false);
        while let Some(state) = self.client.next_state() {
            now = matches!(state, SessionState::Suspended(_));
            any |= now;
        }
        (any, now)
    }

    fn submit(&mut self, kind: Kind, sent: u64) -> Result<RequestId, ClientError> {
        let (number, text) = (self.number, sent.to_string());
        let set = |path: String| SetData {
            path: Some(path.into()),
            data: Some(text.as_bytes()),
            version: i32::try_from(sent - 1).expect("no run writes so much"),
        };
        match kind {
            Kind::Set => self.client.submit(&Request::SetData(set(format!("/w{number}-set")))),
            Kind::Pair => {
                let both = ["a", "b"].map(|name| MultiOp::SetData(set(format!("/w{number}-pair-{name}"))));
                self.client.submit(&Request::Multi(both.into()))
            }
            Kind::Create => {
                let path = format!("/w{number}-made/{sent}");
                self.client.submit(&Request::Create(CreateMode::Persistent.request(&path, b"", &self.acl)))
            }
            Kind::Line => {
                let path = format!("/w{number}-line/n-");
                let mode = CreateMode::PersistentSequential;
                self.client.submit(&Request::Create(mode.request(&path, b"", &self.acl)))
            }
        }
    }

    /// What a server has of this writer. Whatever contradicts itself ends the program.
    pub fn found(&self, checker: &mut Client) -> Result<Found, ClientError> {
        found(checker, self.number, self.client.session_id(), self.removed)
    }

    /// Looks at what the server kept; the counts then go on from what is there.
    pub fn check(&mut self, checker: &mut Client) -> Result<(), ClientError> {
        let found = self.found(checker)?;
        self.accept(&found);
        Ok(())
    }

    /// As [`Writer::check`], through the writer's own session. What it sent over an earlier connection may still be
    /// on its way to a commit, and a sync at a leader that is cut off, and does not know it yet, does not wait for that. A write
    /// does: once it is acknowledged, all that was sent before it either happened or never will.
    pub fn check_own(&mut self) -> Result<(), ClientError> {
        self.client.set_data(&format!("/w{}-alive", self.number), b"", -1)?;
        let session = self.client.session_id();
        let found = found(&mut self.client, self.number, session, self.removed)?;
        self.accept(&found);
        Ok(())
    }

    /// Removes the created nodes, so that a long run stays small. Call it after a check; it can be repeated after a
    /// lost connection.
    pub fn remove(&mut self) -> Result<(), ClientError> {
        self.removed = self.counts[Kind::Create as usize].sent;
        self.line.clear();
        self.counts[Kind::Line as usize] = Count::default();
        for parent in ["made", "line"].map(|name| format!("/w{}-{name}", self.number)) {
            let names = self.client.get_children(&parent, false)?;
            for names in names.chunks(DELETES) {
                let mut ids = Vec::new();
                for path in names.iter().map(|name| format!("{parent}/{name}")) {
                    ids.push(self.client.submit(&Request::Delete(Delete { path: Some(path.into()), version: -1 }))?);
                }
                for id in ids {
                    let err = self.client.wait(id)?.raw.err;
                    assert!(err == 0 || err == ErrorCode::NoNode.code(), "writer {}: delete: {err}", self.number);
                }
            }
        }
        Ok(())
    }

    /// What was found fits what was acknowledged and sent.
    pub fn agrees(&self, found: &Found) {
        let number = self.number;
        for (at, what) in ["set", "pair", "created", "sequential"].into_iter().enumerate() {
            let (Count { sent, acked }, found) = (self.counts[at], found.numbers[at]);
            let fits = (acked..=sent).contains(&found);
            assert!(fits, "writer {number}, {what}: found {found}, acknowledged {acked}, sent {sent}");
        }
        if let Some(name) = self.line.iter().find(|name| found.line.binary_search(name).is_err()) {
            panic!("writer {number}: the sequential node {name} is gone");
        }
        assert!(found.alive, "writer {number}: ephemeral gone");
    }

    /// The counts go on from what was found.
    fn accept(&mut self, found: &Found) {
        self.agrees(found);
        self.counts = found.numbers.map(|found| Count { sent: found, acked: found });
    }

    /// The number in the register, once nothing is unanswered.
    pub fn last_set(&self) -> u64 {
        self.counts[Kind::Set as usize].acked
    }
}

fn found(checker: &mut Client, number: usize, session: SessionId, removed: u64) -> Result<Found, ClientError> {
    let mut value = |name: &str| -> Result<u64, ClientError> {
        let (data, stat) = checker.get_data(&format!("/w{number}-{name}"), false)?;
        let text = String::from_utf8(data.expect("it was never null")).expect("it is a number");
        let found: u64 = text.parse().expect("it is a number");
        assert_eq!(found, stat.version as u64, "writer {number}: {name} was written another number of times");
        Ok(found)
    };
    let (set, a, b) = (value("set")?, value("pair-a")?, value("pair-b")?);
    assert_eq!(a, b, "writer {number}: half of a multi");
    let names = checker.get_children(&format!("/w{number}-made"), false)?;
    let mut made: Vec<u64> = names.iter().map(|name| name.parse().expect("its name is a number")).collect();
    made.retain(|number| *number > removed);
    made.sort_unstable();
    let last = made.last().copied().unwrap_or(removed);
    assert!(made.iter().copied().eq(removed + 1..=last), "writer {number}: holes among {} created nodes", made.len());
    let mut line = checker.get_children(&format!("/w{number}-line"), false)?;
    line.sort_unstable();
    let alive = checker.exists(&format!("/w{number}-alive"), false)?;
    let alive = alive.is_some_and(|stat| stat.ephemeral_owner == session.0);
    Ok(Found { numbers: [set, a, last, line.len() as u64], line, alive })
}
