//! A contender for a lock on a simulated client's session: the recipes' own state machine, its requests among those of the
//! workload. The lock's parent is a container, so that it goes and comes again.
//! `--contend` adds one to each client; without it runs are what they were before there were any.

use crate::checks::{Referee, Verdict};
use crate::heap::Micros;
use crate::workload::Ask;
use ostler_client::recipes::contender::{Contender, Outcome, Rule, Step};
use ostler_client::{Answer, CreateMode, RawReply, RequestError, RequestId};
use ostler_model::{Dice, ErrorCode, OpCode, open_acl};
use ostler_wire::peer::Reply;

/// What everybody contends for.
const LOCK: &str = "/lock";
/// Before a step is done again whose answer was lost.
const AGAIN_US: Micros = 20_000;

/// One client's contender; another follows one that had its turn.
#[derive(Debug)]
pub struct Contending {
    client: usize,
    dice: Dice,
    rule: Rule,
    attempts: u64,
    contender: Contender,
    /// The request whose answer the step waits for.
    asked: Option<RequestId>,
    watched: Option<String>,
    fired: bool,
    /// When the next thing is to be done: a step, the end of a turn, the next attempt.
    at: Micros,
    /// It belongs to a session that is over, and its znode with it.
    is_over: bool,
    was_told: bool,
}

impl Contending {
    /// A client's first. `broken`: two at a time (a mutant).
    pub fn new(mut dice: Dice, client: usize, broken: bool) -> Contending {
        let rule = if broken { Rule::AtMost(2) } else { Rule::First };
        let at = dice.between(0, 2_000_000);
        let contender = contender(client, 0, rule);
        Contending {
            client,
            dice,
            rule,
            attempts: 0,
            contender,
            asked: None,
            watched: None,
            fired: false,
            at,
            is_over: false,
            was_told: false,
        }
    }

    /// The session is over: another begins.
    pub fn begin(&mut self) {
        self.is_over = true;
        self.attempts += 1;
        self.contender = contender(self.client, self.attempts, self.rule);
        (self.asked, self.watched, self.fired, self.was_told) = (None, None, false, false);
    }

    /// True if it has nothing to do, and nothing in the queue.
    pub fn is_gone(&self) -> bool {
        self.contender.step() == Step::Gone
    }

    /// When it is to be looked at; `None` while it waits for an answer or an event, or does not want another turn.
    pub fn due(&self, quiet: bool) -> Option<Micros> {
        match self.contender.step() {
            Step::Wait => self.fired.then_some(self.at),
            Step::Gone => (!quiet).then_some(self.at),
            _ => self.asked.is_none().then_some(self.at),
        }
    }

    /// Goes on, as far as it can without an answer. `ask` sends a request.
    ///
    /// # Errors
    /// It holds beside another one.
    pub fn work(
        &mut self,
        now: Micros,
        quiet: bool,
        referee: &mut Referee,
        mut ask: impl FnMut(Ask) -> Option<RequestId>,
    ) -> Verdict {
        if std::mem::take(&mut self.is_over) {
            referee.locks.left(self.client);
        }
        while self.due(quiet).is_some_and(|at| at <= now) {
            match self.contender.step() {
                Step::Held(token) if !self.was_told => {
                    let path = self.contender.path().expect("what is held has a znode").to_owned();
                    referee.locks.held(&referee.state, self.client, &path, token)?;
                    self.was_told = true;
                    self.at = now + self.dice.long_tailed(50_000, 3_000_000);
                }
                Step::Held(_) => {
                    referee.locks.left(self.client);
                    self.was_told = false;
                    self.contender.leave();
                }
                Step::Gone => {
                    self.attempts += 1;
                    self.contender = contender(self.client, self.attempts, self.rule);
                }
                Step::Wait => {
                    self.fired = false;
                    self.contender.answer(Outcome::Fired);
                }
                step => {
                    self.asked = self.ask(step, &mut ask);
                    if self.asked.is_none() {
                        // There is no room for it now.
                        self.at = now + AGAIN_US;
                    }
                }
            }
            if self.is_gone() {
                self.at = now + self.dice.long_tailed(300_000, 5_000_000);
            }
        }
        Ok(())
    }

    fn ask(&mut self, step: Step, ask: &mut impl FnMut(Ask) -> Option<RequestId>) -> Option<RequestId> {
        let children = |watch| Ask::Children { path: LOCK.into(), watch, with_stat: true };
        let acl = open_acl().to_vec();
        match step {
            Step::Create(path) => {
                ask(Ask::Create { path, data: Vec::new(), mode: CreateMode::EphemeralSequential, acl })
            }
            Step::MakeParent => {
                ask(Ask::Create { path: LOCK.into(), data: Vec::new(), mode: CreateMode::Container, acl })
            }
            Step::Search => {
                ask(Ask::Multi(vec![Ask::Check { path: LOCK.into(), version: -1 }]))?;
                ask(children(false))
            }
            Step::List => ask(children(false)),
            Step::ListAndWatch => {
                self.watched = Some(LOCK.into());
                ask(children(true))
            }
            Step::Watch(path) => {
                self.watched = Some(path.clone());
                ask(Ask::Exists { path, watch: true })
            }
            Step::Confirm(path) => ask(Ask::Get { path, watch: false }),
            Step::Delete(path) => ask(Ask::Delete { path, version: -1 }),
            Step::Wait | Step::Held(_) | Step::Gone => unreachable!("nothing is asked for"),
        }
    }

    /// A request was answered; it may be another one's.
    pub fn answered(&mut self, now: Micros, id: RequestId, op: OpCode, result: &Result<RawReply, RequestError>) {
        if self.asked == Some(id) {
            self.asked = None;
            let outcome = outcome(op, result);
            self.at = if outcome == Outcome::Lost { now + AGAIN_US } else { now };
            self.contender.answer(outcome);
        }
    }

    /// A watch fired; it may be another one's.
    pub fn event(&mut self, now: Micros, path: &str) {
        if self.watched.as_deref() == Some(path) {
            self.watched = None;
            self.fired = true;
            self.at = now;
        }
    }
}

fn contender(client: usize, attempt: u64, rule: Rule) -> Contender {
    Contender::new(LOCK, "lock-", &format!("client{client}attempt{attempt}."), rule)
}

fn outcome(op: OpCode, result: &Result<RawReply, RequestError>) -> Outcome {
    let Ok(raw) = result else { return Outcome::Lost };
    match ErrorCode::from_i32(raw.err) {
        _ if raw.err == 0 => (),
        Some(ErrorCode::NoNode) => return Outcome::NoNode,
        Some(ErrorCode::NodeExists) => return Outcome::Done,
        _ => return Outcome::Lost,
    }
    let answer = Answer { op, raw: raw.clone() };
    match answer.reply().expect("the tap has decoded it") {
        Reply::Created { .. } if op == OpCode::CreateContainer => Outcome::Done,
        Reply::Created { path, .. } => Outcome::Created(path.map(|path| path.to_string()).unwrap_or_default()),
        Reply::Children2 { names, .. } => {
            Outcome::Names(names.unwrap_or_default().into_iter().flatten().map(|name| name.to_string()).collect())
        }
        Reply::Stat(_) => Outcome::Present,
        Reply::Data { stat, .. } => Outcome::Stat(stat.czxid),
        _ => Outcome::Done,
    }
}
