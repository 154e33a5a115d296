//! Runs the elections of `crates/zab/scripts/election-*.txt`. `crates/zab/scripts/README.md` explains the language.
//!
//! A script that says `caught by <quirk>` is run again with that rule broken, and must then fail: it proves that it
//! looks at what it claims to look at.

use super::Network;
use super::network::{Message, ensemble, said};
use crate::election::Decision;
use crate::{Notification, PeerState, Quirks, Settings, Vote};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use ostler_model::{ServerId, Zxid};

extern crate std;

/// The rules that a script may break, by name.
fn quirk(name: &str, quirks: &mut Quirks) {
    let flag = match name {
        "vote_keeps_old_epoch" => &mut quirks.vote_keeps_old_epoch,
        "leader_confirmed_elsewhere" => &mut quirks.leader_confirmed_elsewhere,
        "leader_unconfirmed" => &mut quirks.leader_unconfirmed,
        "first_vote_stays" => &mut quirks.first_vote_stays,
        "count_observers" => &mut quirks.count_observers,
        other => panic!("there is no quirk {other}"),
    };
    *flag = true;
}

type Failed = Result<(), String>;

/// `key=value` words of a line; the others stay.
fn split(words: &[&str]) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut plain, mut keyed) = (Vec::new(), BTreeMap::new());
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => {
                keyed.insert(key.to_string(), value.to_string());
            }
            None => plain.push(word.to_string()),
        }
    }
    (plain, keyed)
}

fn number(text: &str) -> i64 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("'{text}' is no number"))
}

fn id(text: &str) -> ServerId {
    ServerId(number(text))
}

fn ids(words: &[&str]) -> Vec<i64> {
    words.iter().map(|word| number(word)).collect()
}

/// `state=.. leader=.. epoch=.. zxid=.. round=.. version=..`: what a server would say, as far as it is given.
fn notification(keyed: &BTreeMap<String, String>) -> Notification {
    let value = |key: &str, absent: i64| keyed.get(key).map_or(absent, |text| number(text));
    let state = match keyed.get("state").map(String::as_str) {
        Some("following") => PeerState::Following,
        Some("leading") => PeerState::Leading,
        Some("observing") => PeerState::Observing,
        Some("looking") | None => PeerState::Looking,
        Some(other) => panic!("no state '{other}'"),
    };
    let leader = ServerId(value("leader", i64::MIN));
    let vote = Vote { leader, zxid: Zxid(value("zxid", 0)), peer_epoch: value("epoch", 0) };
    let version = u32::try_from(value("version", 2)).unwrap();
    Notification { state, vote, round: value("round", 1), version, config_version: 0 }
}

struct Script {
    network: Network,
    voters: Vec<i64>,
    observers: Vec<i64>,
}

impl Script {
    fn line(&mut self, line: &str) -> Failed {
        let words: Vec<&str> = line.split_whitespace().collect();
        let network = &mut self.network;
        match words.as_slice() {
            ["voters", list @ ..] => {
                self.voters = ids(list);
                *network = with_quirks(ensemble(&self.voters, &self.observers, 0), network.quirks);
            }
            ["observers", list @ ..] => {
                self.observers = ids(list);
                *network = with_quirks(ensemble(&self.voters, &self.observers, 0), network.quirks);
            }
            // A reconfiguration that is proposed and not committed: both ensembles must agree.
            ["proposed", "voters", list @ ..] => {
                network.configs.last_seen = ensemble(&ids(list), &self.observers, 1 << 32);
                network.settings = |me| Settings { reconfig_enabled: true, ..Settings::new(me) };
            }
            ["setting", "finalize_early", "off"] => {
                network.settings = |me| Settings { finalize_early: false, ..Settings::new(me) };
            }
            ["disk", server, rest @ ..] => {
                let (plain, keyed) = split(rest);
                let epoch = keyed.get("epoch").map_or(0, |text| number(text));
                let zxid = keyed.get("zxid").map_or(0, |text| number(text));
                let trusted = plain.iter().all(|word| word != "untrusted");
                network.add(id(server), u32::try_from(epoch).unwrap(), Zxid(zxid), trusted);
            }
            ["start", list @ ..] => list.iter().for_each(|server| network.boot(id(server))),
            ["crash", list @ ..] => list.iter().for_each(|server| network.crash(id(server))),
            ["look", list @ ..] => list.iter().for_each(|server| network.look(id(server))),
            ["hand-over", server, "to", rest @ ..] => {
                let (plain, keyed) = split(rest);
                let vote = Vote { leader: id(&plain[0]), ..notification(&keyed).vote };
                network.hand_over(id(server), vote);
            }
            ["appoint", leader, "on", rest @ ..] => {
                let (list, keyed) = split(rest);
                let zxid = notification(&keyed).vote.zxid;
                list.iter().for_each(|server| network.appoint(id(server), id(leader), zxid));
            }
            ["cut", one, other] => network.cut(id(one), id(other), false),
            ["cut", one, other, "silently"] => network.cut(id(one), id(other), true),
            ["down", server, "sees", peer] => network.peer_down(id(server), id(peer)),
            ["heal", one, other] => network.heal(id(one), id(other)),
            ["established", epoch, "on", list @ ..] => {
                let epoch = u32::try_from(number(epoch)).unwrap();
                list.iter().for_each(|server| network.established(id(server), epoch));
            }
            ["deliver"] => network.deliver_all(),
            ["deliver", from, "->", to] => {
                let (from, to) = (id(from), id(to));
                if !network.deliver(|message| message.from == from && message.to == to) {
                    return Err(format!("nothing is under way from {from} to {to}"));
                }
            }
            ["lose", from, "->", to] => {
                let (from, to) = (id(from), id(to));
                network.under_way.retain(|message| message.from != from || message.to != to);
            }
            ["lose", "all"] => network.under_way.clear(),
            ["wait", ms] => network.wait(u64::try_from(number(ms)).unwrap()),
            ["run", ms] => network.run(u64::try_from(number(ms)).unwrap()),
            [from, "says", "to", to, rest @ ..] => {
                let (_, keyed) = split(rest);
                network.hear(&Message { from: id(from), to: id(to), notification: notification(&keyed) });
            }
            ["expect", rest @ ..] => return self.expect(rest),
            _ => panic!("no such line: {line}"),
        }
        Ok(())
    }

    fn expect(&self, words: &[&str]) -> Failed {
        let network = &self.network;
        let check = |holds: bool, otherwise: String| if holds { Ok(()) } else { Err(otherwise) };
        match words {
            [list @ .., "looks" | "look"] => {
                all(list, |server| check(network.leader_of(server).is_none(), format!("{server} has decided")))
            }
            [server, "leads"] => self.decided(id(server), Decision::Lead),
            [list @ .., "follows" | "follow", leader] => {
                all(list, |server| self.decided(server, Decision::Follow(id(leader))))
            }
            [list @ .., "observes" | "observe", leader] => {
                all(list, |server| self.decided(server, Decision::Observe(id(leader))))
            }
            [server, "votes", leader, rest @ ..] => {
                let (_, keyed) = split(rest);
                let (election, wanted) = (network.election(id(server)), notification(&keyed));
                let vote = election.vote();
                let holds = vote.leader == id(leader)
                    && (!keyed.contains_key("epoch") || vote.peer_epoch == wanted.vote.peer_epoch)
                    && (!keyed.contains_key("zxid") || vote.zxid == wanted.vote.zxid)
                    && (!keyed.contains_key("round") || election.round() == wanted.round);
                check(holds, format!("it votes {vote:?}, round {}", election.round()))
            }
            [server, stands @ ("forsaken" | "stands"), linked @ ..] => {
                let linked: Vec<ServerId> = linked.iter().skip(1).map(|peer| id(peer)).collect();
                let forsaken =
                    network.election(id(server)).is_forsaken(&network.configs, |peer| linked.contains(&peer));
                check(forsaken == (*stands == "forsaken"), format!("forsaken is {forsaken}"))
            }
            ["nothing"] => check(network.under_way.is_empty(), format!("under way: {:?}", network.under_way)),
            ["nothing", from, "->", to] => {
                let (from, to) = (id(from), id(to));
                let found = network.under_way.iter().find(|message| message.from == from && message.to == to);
                check(found.is_none(), format!("under way: {found:?}"))
            }
            // The newest message under way between the two.
            [from, "->", to, rest @ ..] => {
                let (_, keyed) = split(rest);
                let (from, to, wanted) = (id(from), id(to), notification(&keyed));
                let found = network.under_way.iter().rev().find(|message| message.from == from && message.to == to);
                let found = found.ok_or_else(|| format!("nothing is under way from {from} to {to}"))?;
                let (is, holds) = (&found.notification, |key: &str| keyed.contains_key(key));
                let same = (!holds("state") || is.state == wanted.state)
                    && (!holds("leader") || is.vote.leader == wanted.vote.leader)
                    && (!holds("epoch") || is.vote.peer_epoch == wanted.vote.peer_epoch)
                    && (!holds("zxid") || is.vote.zxid == wanted.vote.zxid)
                    && (!holds("round") || is.round == wanted.round);
                check(same, format!("it is '{}'", said(from, is)))
            }
            _ => panic!("no such expectation: {words:?}"),
        }
    }

    fn decided(&self, server: ServerId, wanted: Decision) -> Failed {
        let decided = self.network.servers[&server].decided.map(|decided| decided.decision);
        if decided == Some(wanted) { Ok(()) } else { Err(format!("{server} decided {decided:?}")) }
    }
}

fn all(list: &[&str], check: impl Fn(ServerId) -> Failed) -> Failed {
    list.iter().try_for_each(|server| check(id(server)))
}

fn with_quirks(committed: ostler_model::Ensemble, quirks: Quirks) -> Network {
    Network { quirks, ..Network::new(committed) }
}

/// Runs one script; the error names the line.
fn run(text: &str, quirks: Quirks) -> Failed {
    let network = with_quirks(ensemble(&[1], &[], 0), quirks);
    let mut script = Script { network, voters: Vec::new(), observers: Vec::new() };
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with("caught by ") {
            continue;
        }
        script.line(line).map_err(|why| {
            let story = script.network.story.join("\n    ");
            format!("line {}: {line}\n  but {why}\n  what happened:\n    {story}", index + 1)
        })?;
    }
    Ok(())
}

/// All scripts, by name.
fn scripts() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the scripts are there") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if name.starts_with("election-") && name.ends_with(".txt") {
            found.push((name, std::fs::read_to_string(&path).expect("readable")));
        }
    }
    found.sort();
    assert!(found.len() >= 10, "only {} scripts", found.len());
    found
}

#[test]
fn every_script_holds() {
    for (name, text) in scripts() {
        if let Err(why) = run(&text, Quirks::default()) {
            panic!("{name}, {why}");
        }
    }
}

#[test]
fn broken_rules_are_caught() {
    let mut caught = 0;
    for (name, text) in scripts() {
        for line in text.lines() {
            let Some(broken) = line.strip_prefix("caught by ") else { continue };
            let mut quirks = Quirks::default();
            quirk(broken.trim(), &mut quirks);
            assert!(run(&text, quirks).is_err(), "{name} holds although {broken} is broken");
            caught += 1;
        }
    }
    assert!(caught >= 5, "only {caught} broken rules are looked for");
}
