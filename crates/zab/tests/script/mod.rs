//! The lines of a script.

mod actor;
mod checks;
pub mod language;
mod stage;

use language::{id, keyed, list, message, txns, words, zxid};
use ostler_model::{Ensemble, Member, ServerId, Zxid};
use ostler_zab::{Epochs, Event, Message, Notification, PeerState, Quirks, ServingRole, Vote};
use stage::{Item, Stage, Tree};

type Failed = Result<(), String>;

/// Runs a script. The error names the line that does not hold.
///
/// # Panics
/// An invariant is broken.
pub fn run(text: &str, quirks: Quirks) -> Failed {
    let mut script = Script {
        stage: Stage::new(ensemble(&[], &[]), quirks, u32::MAX - 1),
        voters: Vec::new(),
        observers: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with("caught by ") {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| script.line(&words)));
        let story = |script: &Script| {
            let from = script.stage.story.len().saturating_sub(25);
            script.stage.story[from..].join("\n    ")
        };
        match held {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                return Err(format!("line {}: {line}\n  but {why}\n    {}", index + 1, story(&script)));
            }
            Err(panic) => {
                let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                return Err(format!("line {}: {line}\n  broke {why}\n    {}", index + 1, story(&script)));
            }
        }
    }
    Ok(())
}

fn ensemble(voters: &[i64], observers: &[i64]) -> Ensemble {
    let member = |id: &i64, role: &str| Member::parse(ServerId(*id), &format!("h{id}:2888:3888:{role}")).unwrap();
    let voters = voters.iter().map(|id| member(id, "participant"));
    Ensemble::new(voters.chain(observers.iter().map(|id| member(id, "observer"))).collect(), 0).unwrap()
}

struct Script {
    stage: Stage,
    voters: Vec<i64>,
    observers: Vec<i64>,
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Failed {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Script {
    fn line(&mut self, words: &[&str]) -> Failed {
        let stage = &mut self.stage;
        match words {
            [who @ ("voters" | "observers"), ids @ ..] => {
                let ids = ids.iter().map(|text| id(text).0).collect();
                if *who == "voters" {
                    self.voters = ids;
                } else {
                    self.observers = ids;
                }
                *stage = Stage::new(ensemble(&self.voters, &self.observers), stage.quirks, stage.counter_max);
            }
            ["setting", "counter_max", counter] => stage.counter_max = counter.parse().unwrap(),
            ["puppet", ids @ ..] => ids.iter().for_each(|it| stage.actor(id(it)).is_puppet = true),
            ["disk", server, rest @ ..] => disk(stage, id(server), rest),
            ["start", ids @ ..] => ids.iter().for_each(|it| stage.start(id(it))),
            ["crash", server, "keeping", survive] => stage.crash(id(server), survive.parse().unwrap()),
            ["crash", ids @ ..] => ids.iter().for_each(|it| stage.crash(id(it), 0)),
            ["run", ms] => stage.run(ms.parse().unwrap()),
            ["write", server] => check(stage.write(id(server)).is_some(), || String::from("it cannot propose"))?,
            ["write", server, times] => {
                for _ in 0..times.parse().unwrap() {
                    check(stage.write(id(server)).is_some(), || String::from("it cannot propose"))?;
                    stage.settle();
                }
            }
            ["diverge", server] => stage.step(id(server), Event::Diverged { zxid: Zxid::ZERO }),
            ["hold", "disk", ids @ ..] => stage.held.disks.extend(ids.iter().map(|it| id(it))),
            ["release", "disk", ids @ ..] => stage.held.disks.retain(|it| !ids.contains(&it.to_string().as_str())),
            ["hold", "tree", ids @ ..] => stage.held.trees.extend(ids.iter().map(|it| id(it))),
            ["release", "tree", ids @ ..] => stage.held.trees.retain(|it| !ids.contains(&it.to_string().as_str())),
            ["step", "disk", server, times] => {
                for _ in 0..times.parse().unwrap() {
                    check(stage.disk_step(id(server)), || String::from("its disk has nothing to do"))?;
                    stage.settle();
                }
            }
            ["hold", from, "->", to] => {
                stage.held.pipes.insert((id(from), id(to)));
            }
            ["release", from, "->", to] => {
                stage.held.pipes.remove(&(id(from), id(to)));
            }
            ["pass", from, "->", to, "until", name] => return pass_until(stage, id(from), id(to), name),
            ["purge", server, upto] => {
                let base = zxid(upto);
                stage.actors.get_mut(&id(server)).ok_or("it has no disk")?.disk.base = base;
            }
            ["break", one, other] => {
                let link = stage.conn_between(id(one), id(other)).ok_or("they are not connected")?;
                stage.step(id(one), Event::LinkDown { link });
                stage.step(id(other), Event::LinkDown { link });
                stage.conns.remove(&link);
            }
            ["full", from, "->", to] => {
                let link = stage.conn_between(id(from), id(to)).ok_or("they are not connected")?;
                stage.step(id(from), Event::PipeFull { link });
            }
            ["cut", one, other] => {
                let (one, other) = (id(one), id(other));
                stage.cut.insert((one.min(other), one.max(other)));
                stage.election_link(one, other, false);
            }
            ["heal", one, other] => {
                let (one, other) = (id(one), id(other));
                stage.cut.remove(&(one.min(other), one.max(other)));
                stage.election_link(one, other, true);
            }
            // Puppets.
            ["believe", leader, "on", server] => believe(stage, id(leader), id(server)),
            ["elect", server, "by", puppets @ ..] => {
                let said = stage.actor(id(server)).said.clone().ok_or("it has said nothing")?;
                for puppet in puppets {
                    let notification = Notification { state: PeerState::Looking, ..said.clone() };
                    stage.step(id(server), Event::Notified { from: id(puppet), notification });
                }
                stage.run(200);
            }
            [from, "looks", "in", "round", round, "to", to] => {
                let vote = Vote { leader: id(from), zxid: Zxid::ZERO, peer_epoch: 0 };
                let (state, round) = (PeerState::Looking, round.parse().unwrap());
                let notification = Notification { state, vote, round, version: 2, config_version: 0 };
                stage.step(id(to), Event::Notified { from: id(from), notification });
            }
            [from, "votes", leader, "to", to] => {
                let said = stage.actor(id(to)).said.clone().ok_or("it has said nothing")?;
                let vote = Vote { leader: id(leader), zxid: Zxid::ZERO, peer_epoch: 0 };
                let notification = Notification { vote, ..said };
                stage.step(id(to), Event::Notified { from: id(from), notification });
            }
            [from, "connects", "to", leader] => {
                stage.connect(id(from), id(leader));
            }
            [from, "->", to, rest @ ..] => say(stage, id(from), id(to), rest)?,
            ["expect", rest @ ..] => {
                stage.settle();
                return self.expect(rest);
            }
            _ => panic!("no such line: {}", words.join(" ")),
        }
        self.stage.settle();
        Ok(())
    }

    fn expect(&self, words: &[&str]) -> Failed {
        let stage = &self.stage;
        match words {
            [ids @ .., "looks" | "look"] => ids.iter().try_for_each(|it| {
                check(stage.peer_state(id(it)) == Some(PeerState::Looking), || format!("{it} does not look"))
            }),
            [ids @ .., "does" | "do", "not", "serve"] => {
                ids.iter().try_for_each(|it| check(stage.actors[&id(it)].serving.is_none(), || format!("{it} serves")))
            }
            [server, "leads"] => serves(stage, id(server), ServingRole::Leader, id(server), None),
            [server, "leads", epoch] => serves(stage, id(server), ServingRole::Leader, id(server), Some(epoch)),
            [ids @ .., "follows" | "follow", leader] => {
                ids.iter().try_for_each(|it| serves(stage, id(it), ServingRole::Follower, id(leader), None))
            }
            [ids @ .., "observes" | "observe", leader] => {
                ids.iter().try_for_each(|it| serves(stage, id(it), ServingRole::Observer, id(leader), None))
            }
            [server, "is", state] => {
                let is = stage.peer_state(id(server)).map(|is| format!("{is:?}").to_lowercase());
                check(is.as_deref() == Some(state), || format!("it is {is:?}"))
            }
            [server, "disk", rest @ ..] => {
                let is = stage.actors[&id(server)].disk.durable();
                check(list(&is) == list(&txns(rest)), || format!("it has {}", list(&is)))
            }
            [server, "tree", rest @ ..] => {
                let is = &stage.actors[&id(server)].tree;
                check(list(is) == list(&txns(rest)), || format!("it has {}", list(is)))
            }
            [server, "epochs", rest @ ..] => {
                let Epochs { accepted, current } = stage.actors[&id(server)].disk.epochs;
                let is = format!("accepted={accepted} current={current}");
                check(is == rest.join(" "), || format!("they are {is}"))
            }
            [server, "dials", "at", "most", times] => {
                let is = stage.actors[&id(server)].dials;
                check(is <= times.parse().unwrap(), || format!("it dials {is} times"))
            }
            [from, "told", to, rest @ ..] => {
                let is = told(stage, id(from), id(to))?;
                check(is.join(", ") == rest.join(" "), || format!("it told {}", is.join(", ")))
            }
            [from, "last", "told", to, rest @ ..] => {
                let is = told(stage, id(from), id(to))?.join(", ");
                check(is.ends_with(&rest.join(" ")), || format!("it told {is}"))
            }
            [from, "did", "not", "tell", to, rest @ ..] => {
                let is = told(stage, id(from), id(to))?;
                check(!is.contains(&rest.join(" ")), || format!("it told {}", is.join(", ")))
            }
            [server, "hung", "up", "on", other] => {
                let link = stage.conn_between(id(server), id(other)).ok_or("they were never connected")?;
                check(!stage.conns[&link].open, || String::from("the connection stands"))
            }
            _ => panic!("no such expectation: {}", words.join(" ")),
        }
    }
}

/// What is on a disk before the start: `accepted=5 current=4 base=4:1 log 4:1..4:3`. What is not behind `base` is in the
/// snapshot.
fn disk(stage: &mut Stage, id: ServerId, rest: &[&str]) {
    let (plain, keys) = keyed(rest);
    let number = |key: &str| keys.get(key).map_or(0, |text| text.parse().unwrap());
    let disk = &mut stage.actor(id).disk;
    disk.epochs = Epochs { accepted: number("accepted"), current: number("current") };
    disk.base = keys.get("base").map_or(Zxid::ZERO, |text| zxid(text));
    disk.untrusted = plain.contains(&"untrusted");
    let all: Vec<&str> = plain.into_iter().filter(|word| !["log", "untrusted"].contains(word)).collect();
    disk.snapshot = txns(&all);
    disk.log = disk.snapshot.split_off(&Zxid(disk.base.0 + 1));
}

/// A quorum with its leader tells this server that the puppet leads, in an epoch and round of its own.
fn believe(stage: &mut Stage, leader: ServerId, server: ServerId) {
    let vote = Vote { leader, zxid: Zxid::ZERO, peer_epoch: 1 };
    let voters: Vec<ServerId> = stage.ensemble.voters().filter(|voter| *voter != server).collect();
    for from in voters {
        let state = if from == leader { PeerState::Leading } else { PeerState::Following };
        let notification = Notification { state, vote, round: 77, version: 2, config_version: 0 };
        stage.step(server, Event::Notified { from, notification });
    }
    stage.settle();
}

fn say(stage: &mut Stage, from: ServerId, to: ServerId, rest: &[&str]) -> Failed {
    let link = stage.conn_between(from, to).ok_or("they are not connected")?;
    if rest == ["END"] {
        stage.hang_up(link, from);
        return Ok(());
    }
    let tree = rest.iter().position(|word| *word == "with");
    let message = message(from, &rest[..tree.unwrap_or(rest.len())]);
    if let Message::Snap { zxid: label } = message {
        stage.send(link, from, message);
        let body = Some(txns(&rest[tree.unwrap_or(rest.len() - 1) + 1..]));
        let item = Item::Tree(Tree { label, from: label, body });
        stage.conns.get_mut(&link).expect("it is there").to_learner.push_back(item);
        return Ok(());
    }
    stage.send(link, from, message);
    Ok(())
}

/// Lets messages through a held pipe, up to and including the first of this name.
fn pass_until(stage: &mut Stage, from: ServerId, to: ServerId, name: &str) -> Failed {
    let link = stage.conn_between(from, to).ok_or("they are not connected")?;
    for _ in 0..10_000 {
        let conn = &stage.conns[&link];
        let pipe = if conn.leader == to { &conn.to_leader } else { &conn.to_learner };
        let is_it =
            matches!(pipe.front(), Some(Item::Message(message)) if words(message).split(' ').next() == Some(name));
        if !stage.pass(link, to) {
            return Err(format!("there is no {name} under way"));
        }
        stage.settle();
        if is_it {
            return Ok(());
        }
    }
    Err(format!("there is no {name} under way"))
}

fn serves(stage: &Stage, id: ServerId, role: ServingRole, leader: ServerId, epoch: Option<&str>) -> Failed {
    let actor = &stage.actors[&id];
    let status = actor.zab.as_ref().map(ostler_zab::Zab::status);
    let is_it = actor.serving.is_some_and(|(is, at)| is == role && epoch.is_none_or(|it| it == at.to_string()));
    let is_so = is_it && status.as_ref().and_then(|status| status.leader) == Some(leader);
    check(is_so, || format!("{id} serves {:?}; {status:?}", actor.serving))
}

/// Everything one server said on the newest connection to another, but pings.
fn told(stage: &Stage, from: ServerId, to: ServerId) -> Result<Vec<String>, String> {
    let link = stage.conn_between(from, to).ok_or("they were never connected")?;
    let conn = &stage.conns[&link];
    let told = if conn.leader == from { &conn.told_learner } else { &conn.told_leader };
    Ok(told.iter().map(words).collect())
}
