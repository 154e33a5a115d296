//! One place in a queue of ephemeral sequential znodes, without I/O: what locks, elections and semaphores have in common.
//!
//! [`Contender`] says what to do next ([`Contender::step`]) and is told what came of it ([`Contender::answer`]). The
//! asynchronous recipes and the simulation drive the same one. What it takes care of:
//!
//! * A create whose answer was lost is looked for by the id in its name, behind a write: a mere sync could be answered by
//!   a server that leads no more, before the lost create is committed by its successor. If two were made after all, the
//!   first counts and the others are deleted.
//! * Nobody waits for more than one other znode, so that a release wakes one contender and not all.
//! * A contender whose znode somebody else deleted makes a new one, at the end of the queue.
//!
//! ```
//! use ostler_client::recipes::contender::{Contender, Outcome, Rule, Step};
//! use ostler_client::aio::Zxid;
//! let mut contender = Contender::new("/lock", "lock-", "some-unique-id", Rule::First);
//! assert_eq!(contender.step(), Step::Create("/lock/_c_some-unique-id-lock-".into()));
//! contender.answer(Outcome::Created("/lock/_c_some-unique-id-lock-0000000007".into()));
//! assert_eq!(contender.step(), Step::List);
//! contender.answer(Outcome::Names(vec!["_c_some-unique-id-lock-0000000007".into()]));
//! contender.answer(Outcome::Stat(Zxid(9)));
//! assert_eq!(contender.step(), Step::Held(Zxid(9)));
//! ```

use crate::recipes::names::{is_reader, join, last, sequence};
use ostler_model::Zxid;

/// Whom a contender waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// All that came before it.
    First,
    /// All that came before it and are no readers.
    Read,
    /// Until there are at most this many znodes, its own included.
    AtMost(usize),
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Create an ephemeral sequential znode whose path begins like this: [`Outcome::Created`], `NoNode` or `Lost`.
    Create(String),
    /// Create the parent and what is missing above it: [`Outcome::Done`] or `Lost`.
    MakeParent,
    /// Write something without effect, behind it list the parent's children: [`Outcome::Names`], `NoNode` or `Lost`.
    Search,
    /// List the parent's children: [`Outcome::Names`], `NoNode` or `Lost`.
    List,
    /// The same, with a watch on them.
    ListAndWatch,
    /// Look whether this znode is there, with a watch on it: [`Outcome::Present`], `NoNode` or `Lost`.
    Watch(String),
    /// Wait for the event of the last watch: [`Outcome::Fired`].
    Wait,
    /// Read the Stat of this znode: [`Outcome::Stat`] with its czxid, `NoNode` or `Lost`.
    Confirm(String),
    /// Delete this znode: [`Outcome::Done`], `NoNode` or `Lost`.
    Delete(String),
    /// Nothing: it is this contender's turn, with this fencing token, until [`Contender::leave`].
    Held(Zxid),
    /// Nothing: its znode is gone for good.
    Gone,
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Created, with this path.
    Created(String),
    /// The names of the children.
    Names(Vec<String>),
    /// The znode is there and watched.
    Present,
    /// The znode was created by this zxid.
    Stat(Zxid),
    /// The event came.
    Fired,
    /// It is done.
    Done,
    /// The znode, or the parent, is not there.
    NoNode,
    /// Nobody knows: the connection was lost before the answer came.
    Lost,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    Creating,
    MakingParent,
    Searching,
    Listing,
    Watching(String),
    Waiting,
    Confirming,
    Held(Zxid),
    /// Paths to delete, the next one last.
    Deleting(Vec<String>),
    Gone,
}

/// See [the module](self).
#[derive(Clone, Debug)]
pub struct Contender {
    parent: String,
    kind: &'static str,
    id: String,
    rule: Rule,
    stage: Stage,
    /// The znode, as far as it is known.
    path: Option<String>,
    leaving: bool,
    /// A create may have happened of which no answer told.
    unsure: bool,
}

impl Contender {
    /// A contender below `parent`. `kind` is what stands before the number (`lock-`), `id` is in nobody else's name.
    pub fn new(parent: &str, kind: &'static str, id: &str, rule: Rule) -> Contender {
        let (parent, id) = (parent.to_owned(), id.to_owned());
        Contender { parent, kind, id, rule, stage: Stage::Creating, path: None, leaving: false, unsure: false }
    }

    /// Below which znode it stands.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// Its znode, once that is known.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What to do next. Asking again gives the same answer.
    pub fn step(&self) -> Step {
        let own = || self.path.clone().expect("a contender that is past its creation knows its znode");
        match &self.stage {
            Stage::Creating => Step::Create(join(&self.parent, &format!("_c_{}-{}", self.id, self.kind))),
            Stage::MakingParent => Step::MakeParent,
            Stage::Searching => Step::Search,
            Stage::Listing if matches!(self.rule, Rule::AtMost(_)) => Step::ListAndWatch,
            Stage::Listing => Step::List,
            Stage::Watching(name) => Step::Watch(join(&self.parent, name)),
            Stage::Waiting => Step::Wait,
            Stage::Confirming => Step::Confirm(own()),
            Stage::Held(token) => Step::Held(*token),
            Stage::Deleting(paths) => Step::Delete(paths.last().expect("there is one to delete").clone()),
            Stage::Gone => Step::Gone,
        }
    }

    /// Tells what came of the step.
    ///
    /// # Panics
    /// The outcome is none of the step's.
    pub fn answer(&mut self, outcome: Outcome) {
        let stage = std::mem::replace(&mut self.stage, Stage::Gone);
        self.stage = match (stage, outcome) {
            (Stage::Creating, Outcome::Created(path)) => {
                self.path = Some(path);
                Stage::Listing
            }
            (Stage::Creating, Outcome::NoNode) => Stage::MakingParent,
            (Stage::Creating, Outcome::Lost) => {
                self.unsure = true;
                Stage::Searching
            }
            (Stage::MakingParent, Outcome::Done) => Stage::Creating,
            (Stage::Searching, Outcome::Names(names)) => self.adopt(&names).unwrap_or(Stage::Listing),
            (Stage::Listing, Outcome::Names(names)) => self.adopt(&names).unwrap_or_else(|| self.turn(&names)),
            (Stage::Searching | Stage::Listing, Outcome::NoNode) => self.adopt(&[]).expect("nothing was found"),
            (Stage::Watching(_), Outcome::Present) => Stage::Waiting,
            (Stage::Watching(_), Outcome::NoNode) | (Stage::Waiting, Outcome::Fired) => Stage::Listing,
            (Stage::Confirming, Outcome::Stat(created)) => Stage::Held(created),
            (Stage::Confirming, Outcome::NoNode) => self.anew(),
            (Stage::Deleting(mut paths), Outcome::Done | Outcome::NoNode) => {
                paths.pop();
                if paths.is_empty() { self.deleted() } else { Stage::Deleting(paths) }
            }
            // Asked again as it was: all but a create do the same when they are done twice.
            (stage, Outcome::Lost) => stage,
            (stage, outcome) => panic!("{outcome:?} is no outcome of {stage:?}"),
        };
    }

    /// Gives the place up, whatever the stage: also while a create is on its way whose answer nobody will see.
    pub fn leave(&mut self) {
        if self.leaving || self.stage == Stage::Gone {
            return;
        }
        self.leaving = true;
        self.unsure |= matches!(self.stage, Stage::Creating);
        self.stage = match self.path.take() {
            Some(path) => Stage::Deleting(vec![path]),
            None => Stage::Searching,
        };
    }

    /// Its znode was taken away while it was held: the next step is to stand at the end of the queue.
    pub fn lost(&mut self) {
        if matches!(self.stage, Stage::Held(_)) {
            self.stage = self.anew();
        }
    }

    fn anew(&mut self) -> Stage {
        self.path = None;
        Stage::Creating
    }

    /// After deleting: a write, so that what follows sees every create that was ever sent.
    fn deleted(&mut self) -> Stage {
        match (self.leaving, std::mem::take(&mut self.unsure)) {
            (true, true) => Stage::Searching,
            (true, false) => Stage::Gone,
            (false, unsure) => {
                self.unsure = unsure;
                Stage::Listing
            }
        }
    }

    /// Looks which znodes are its own; `None` if there is one, as there should be.
    fn adopt(&mut self, names: &[String]) -> Option<Stage> {
        let mut own: Vec<&String> = names.iter().filter(|name| name.contains(&self.id)).collect();
        own.sort_by_key(|name| sequence(name));
        let paths = |names: &[&String]| names.iter().map(|name| join(&self.parent, name)).collect();
        if self.leaving {
            self.unsure = false;
            return Some(if own.is_empty() { Stage::Gone } else { Stage::Deleting(paths(&own)) });
        }
        let Some((first, others)) = own.split_first() else { return Some(self.anew()) };
        let more: Vec<String> = paths(others);
        self.path = Some(join(&self.parent, first));
        (!more.is_empty()).then_some(Stage::Deleting(more))
    }

    /// Looks whose turn it is.
    fn turn(&self, names: &[String]) -> Stage {
        let own = self.path.as_deref().map(last).and_then(sequence);
        let before = names.iter().filter(|name| sequence(name).is_some() && sequence(name) < own);
        let behind = match self.rule {
            Rule::First => before.max_by_key(|name| sequence(name)),
            Rule::Read => before.filter(|name| !is_reader(name)).max_by_key(|name| sequence(name)),
            Rule::AtMost(most) if names.len() > most => return Stage::Waiting,
            Rule::AtMost(_) => None,
        };
        behind.map_or(Stage::Confirming, |name| Stage::Watching(name.clone()))
    }
}

#[cfg(test)]
mod tests;
