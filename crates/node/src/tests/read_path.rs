//! The rules of the read path under random schedules, on the real shards and the real replica.
//!
//! Several connections send fixed scripts of writes, reads with and without watches, pings and syncs. Turns, the
//! delivery of submits, syncs of the disk, applies and the sockets' writing happen in random order, with tiny
//! credits and streams. What every connection received is then explained by a naive history: replies in order, zxids
//! never going back, no zxid before the events it implies, each read exactly the state at its zxid, own writes before
//! it seen and own writes behind it not. Each of the seven broken variants must be caught.

use super::client::{frame, payloads, ping, read, replies, set};
use crate::harness::Harness;
use crate::{ConnId, Mutant, NodeConfig};
use ostler_model::Dice;
use ostler_model::{OpCode, Txn, Zxid};
use ostler_wire::jute::Reader;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

const KEYS: [&str; 3] = ["/x", "/y", "/z"];
const STEPS_MAX: usize = 30_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    Set(usize),
    Get(usize, bool),
    Exists(usize, bool),
    Sync,
    Ping,
}

struct Client {
    conn: ConnId,
    script: Vec<Request>,
    /// Bytes not sent yet.
    unsent: Vec<u8>,
    received: Vec<u8>,
}

fn script(dice: &mut Dice) -> Vec<Request> {
    let length = 3 + dice.index(12);
    (0..length)
        .map(|_| {
            let key = dice.index(KEYS.len());
            match dice.index(12) {
                0..=3 => Request::Set(key),
                4..=6 => Request::Get(key, dice.index(2) == 0),
                7 => Request::Exists(key, dice.index(2) == 0),
                8 => Request::Sync,
                _ => Request::Ping,
            }
        })
        .collect()
}

/// xid of the request at this place in a script.
fn xid(at: usize) -> i32 {
    at as i32 + 1
}

fn bytes_of(client: usize, script: &[Request]) -> Vec<u8> {
    let one = |(at, request): (usize, &Request)| match *request {
        Request::Set(key) => set(xid(at), KEYS[key], format!("{client}.{at}").as_bytes()),
        Request::Get(key, watch) => read(xid(at), OpCode::GetData, KEYS[key], watch),
        Request::Exists(key, watch) => read(xid(at), OpCode::Exists, KEYS[key], watch),
        Request::Sync => frame(xid(at), OpCode::Sync, |frame| frame.text(Some("/x"))),
        Request::Ping => ping(),
    };
    script.iter().enumerate().flat_map(one).collect()
}

/// What the log says: zxid and value of every change of a key, in order.
type History = BTreeMap<String, Vec<(i64, Vec<u8>)>>;

fn history(harness: &Harness) -> History {
    let mut history = History::new();
    for append in &harness.log {
        let record = ostler_wire::txn::decode(&append.record, 1 << 20).unwrap();
        match record.txn {
            Txn::Create(create) => {
                history.entry(create.path).or_default().push((append.zxid.0, create.data.unwrap_or_default()));
            }
            Txn::SetData { path, data, .. } => {
                history.entry(path).or_default().push((append.zxid.0, data.unwrap_or_default()));
            }
            _ => {}
        }
    }
    history
}

/// Judges what one connection received.
struct Judge<'a> {
    history: &'a History,
    client: usize,
    script: &'a [Request],
    /// zxids of this client's own writes, by place in its script.
    own: BTreeMap<usize, i64>,
    /// Armed watches: key and the zxid they were set at.
    watches: BTreeMap<&'static str, i64>,
    last_zxid: i64,
    next: usize,
}

impl<'a> Judge<'a> {
    fn new(history: &'a History, client: usize, script: &'a [Request]) -> Judge<'a> {
        let mut own = BTreeMap::new();
        for (zxid, value) in history.values().flatten() {
            if let Some(at) = std::str::from_utf8(value).unwrap().strip_prefix(&format!("{client}.")) {
                own.insert(at.parse().unwrap(), *zxid);
            }
        }
        Judge { history, client, script, own, watches: BTreeMap::new(), last_zxid: 0, next: 0 }
    }

    fn first_change_after(&self, key: &str, zxid: i64) -> Option<i64> {
        self.history[key].iter().map(|(at, _)| *at).find(|at| *at > zxid)
    }

    fn event(&mut self, zxid: i64, kind: i32, path: &str) -> Result<(), String> {
        let key = KEYS.into_iter().find(|key| *key == path).ok_or(format!("event for {path}"))?;
        let set_at = self.watches.remove(key).ok_or(format!("event for {path} without a watch"))?;
        let expected = self.first_change_after(key, set_at);
        if kind != 3 || expected != Some(zxid) {
            return Err(format!("event {kind} {path}@{zxid}, watch set at {set_at}, first change {expected:?}"));
        }
        Ok(())
    }

    fn reply(&mut self, reply: &super::client::Reply) -> Result<(), String> {
        let at = self.next;
        let request = *self.script.get(at).ok_or("more replies than requests")?;
        let expected = if request == Request::Ping { -2 } else { xid(at) };
        if reply.xid != expected || reply.err != 0 {
            return Err(format!("fifo: reply {} err {} to request {at} {request:?}", reply.xid, reply.err));
        }
        if reply.zxid < self.last_zxid {
            return Err(format!("zxid went back from {} to {}", self.last_zxid, reply.zxid));
        }
        for (key, set_at) in &self.watches {
            if let Some(change) = self.first_change_after(key, *set_at).filter(|change| *change <= reply.zxid) {
                return Err(format!("reply zxid {} before event {key}@{change} (watch set at {set_at})", reply.zxid));
            }
        }
        self.last_zxid = reply.zxid;
        self.next += 1;
        match request {
            Request::Set(_) if self.own.get(&at) != Some(&reply.zxid) => {
                Err(format!("write {at} answered with {}, is {:?}", reply.zxid, self.own.get(&at)))
            }
            Request::Get(key, watch) | Request::Exists(key, watch) => {
                self.read(at, KEYS[key], matches!(request, Request::Get(..)), reply)?;
                if watch {
                    self.watches.entry(KEYS[key]).or_insert(reply.zxid);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read(&self, at: usize, key: &str, data: bool, reply: &super::client::Reply) -> Result<(), String> {
        let mut body = Reader::new(&reply.body, 1 << 20);
        let value = data.then(|| body.buffer().unwrap().unwrap().to_vec());
        let stat = body.stat().unwrap();
        let (mzxid, expected) = self.history[key].iter().rev().find(|(zxid, _)| *zxid <= reply.zxid).unwrap();
        if stat.mzxid != Zxid(*mzxid) || value.is_some_and(|value| value != *expected) {
            return Err(format!("read {at} of {key} at {}: mzxid {:?}, should be {mzxid}", reply.zxid, stat.mzxid));
        }
        for (own, zxid) in &self.own {
            if *own < at && *zxid > reply.zxid {
                return Err(format!("read {at} at {} misses own earlier write {own}@{zxid}", reply.zxid));
            }
            if *own > at && *zxid <= reply.zxid {
                return Err(format!("read {at} at {} sees own later write {own}@{zxid}", reply.zxid));
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        if self.next < self.script.len() {
            return Err(format!("stuck: {} of {} answered", self.next, self.script.len()));
        }
        for (key, set_at) in &self.watches {
            if let Some(change) = self.first_change_after(key, *set_at) {
                return Err(format!("watch {key} set at {set_at} never fired for {change}"));
            }
        }
        Ok(())
    }

    fn all(mut self, received: &[u8]) -> Result<(), String> {
        for reply in replies(received) {
            let judged = if reply.xid == -1 {
                let (kind, path) = reply.event();
                self.event(reply.zxid, kind, &path)
            } else {
                self.reply(&reply)
            };
            judged.map_err(|problem| format!("client {}: {problem}", self.client))?;
        }
        self.end().map_err(|problem| format!("client {}: {problem}", self.client))
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Send(usize),
    Turn(usize),
    Deliver(usize),
    Sync,
    Apply,
    Publish(usize),
    Flush(usize),
}

struct Run {
    harness: Harness,
    clients: Vec<Client>,
    dice: Dice,
    mutant: Option<Mutant>,
    /// Shards whose turn has something to do.
    awake: Vec<bool>,
}

impl Run {
    fn new(seed: u64, mutant: Option<Mutant>) -> Run {
        let mut dice = Dice::new(seed);
        let shards = 2 + dice.index(2);
        let config = NodeConfig {
            shards,
            outstanding_max: shards * (1 + dice.index(6)),
            stream_items_per_turn_max: 1 + dice.index(2),
            stream_batches_max: 1 + dice.index(6),
            seed,
            ..NodeConfig::default()
        };
        let mut harness = Harness::new(config);
        let (first, _) = harness.session(0);
        for (at, key) in KEYS.iter().enumerate() {
            harness.must(first, super::client::create(xid(at), key, b"first", 0));
        }
        let clients = (0..3 + dice.index(3))
            .map(|client| {
                let (conn, _) = harness.session(client % shards);
                let script = script(&mut dice);
                Client { conn, unsent: bytes_of(client, &script), script, received: Vec::new() }
            })
            .collect();
        // Only now is the rule broken: the sessions are there.
        let mut config = (*harness.config).clone();
        config.mutant = mutant;
        harness.break_rule(config);
        Run { awake: vec![true; shards], harness, clients, dice, mutant }
    }

    fn actions(&self) -> Vec<Action> {
        let harness = &self.harness;
        let mut actions = Vec::new();
        let sending = |client: &&(usize, &Client)| !client.1.unsent.is_empty();
        actions.extend(
            self.clients.iter().enumerate().collect::<Vec<_>>().iter().filter(sending).map(|c| Action::Send(c.0)),
        );
        let blocking = self.mutant == Some(Mutant::Blocking);
        for shard in 0..harness.shards.len() {
            if self.awake[shard] || harness.shards[shard].has_work() || !harness.streams[shard].is_empty() {
                actions.push(Action::Turn(shard));
            }
            let refused = blocking && harness.replica.is_blocked(&harness.streams);
            if !refused && !harness.submits[shard].is_empty() {
                actions.push(Action::Deliver(shard));
            }
            if harness.replica.holds_back(shard) {
                actions.push(Action::Publish(shard));
            }
            if harness.shards[shard].is_dirty() {
                actions.push(Action::Flush(shard));
            }
        }
        if !harness.replica.is_idle() {
            actions.extend([Action::Sync, Action::Apply]);
        }
        actions
    }

    fn act(&mut self, action: Action) {
        let harness = &mut self.harness;
        match action {
            Action::Send(client) => {
                let client = &mut self.clients[client];
                let count = (1 + self.dice.index(100)).min(client.unsent.len());
                let bytes: Vec<u8> = client.unsent.drain(..count).collect();
                harness.send(client.conn, &bytes);
            }
            Action::Turn(shard) => {
                self.awake[shard] = harness.turn(shard);
            }
            Action::Deliver(shard) => {
                harness.deliver(shard, 1 + self.dice.index(2));
            }
            Action::Sync => {
                // The disk may be anywhere between what is applied and what is proposed.
                let span = (harness.replica.last_proposed().0 - harness.tree.zxid().0).max(0) as usize;
                harness.sync(Zxid(harness.tree.zxid().0 + self.dice.index(span + 1) as i64));
            }
            Action::Apply => {
                harness.apply();
            }
            Action::Publish(shard) => {
                harness.replica.publish_held(shard, &mut harness.streams[shard]);
            }
            Action::Flush(shard) => {
                harness.flush(shard);
                for client in &mut self.clients {
                    client.received.extend(harness.receive(client.conn));
                }
            }
        }
    }

    fn go(mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let actions = self.actions();
            if actions.is_empty() {
                return self.judge();
            }
            let action = actions[self.dice.index(actions.len())];
            self.act(action);
        }
        Err("livelock".to_owned())
    }

    fn judge(&self) -> Result<(), String> {
        let history = history(&self.harness);
        for (index, client) in self.clients.iter().enumerate() {
            Judge::new(&history, index, &client.script).all(&client.received)?;
        }
        let away: usize = self.harness.shards.iter().map(|shard| shard.stats().outstanding).sum();
        if away > 0 { Err(format!("{away} requests never came back")) } else { Ok(()) }
    }
}

fn run(seed: u64, mutant: Option<Mutant>) -> Result<(), String> {
    // A broken rule may also trip over an assertion of replica or shard: that is caught, too.
    catch_unwind(AssertUnwindSafe(|| Run::new(seed, mutant).go())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    })
}

#[test]
fn the_rules_hold_under_random_schedules() {
    for seed in 1..=1_500 {
        if let Err(problem) = run(seed, None) {
            panic!("seed {seed}: {problem}");
        }
    }
}

#[track_caller]
fn is_caught(mutant: Mutant) {
    let tried = 600;
    let caught = (1..=tried).find_map(|seed| run(seed, Some(mutant)).err().map(|problem| (seed, problem)));
    println!("{mutant:?}: {caught:?}");
    assert!(caught.is_some(), "{mutant:?} was not noticed in {tried} schedules");
}

#[test]
fn publishing_later_is_caught() {
    is_caught(Mutant::PublishLater);
}

#[test]
fn reading_without_draining_is_caught() {
    is_caught(Mutant::NoDrain);
}

#[test]
fn pings_with_the_trees_zxid_are_caught() {
    is_caught(Mutant::PingTreeZxid);
}

#[test]
fn reading_at_the_entry_is_caught() {
    is_caught(Mutant::ReadAtEntry);
}

#[test]
fn ignoring_what_is_away_is_caught() {
    is_caught(Mutant::IgnoreAway);
}

#[test]
fn waiting_for_room_is_caught() {
    is_caught(Mutant::Blocking);
}

#[test]
fn collecting_reads_is_caught() {
    is_caught(Mutant::Collect);
}

#[test]
fn payloads_are_split() {
    assert_eq!(payloads(&[0, 0, 0, 1, 7, 0, 0, 0, 0]), [vec![7], vec![]]);
}
