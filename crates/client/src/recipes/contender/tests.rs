//! Many contenders against a naive server: whatever is lost and whoever leaves or is thrown out, at most one holds (readers
//! among themselves, and as many as a semaphore has places, excepted), tokens grow, and in the end all had their turn.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The children of one znode, as a server has them.
#[derive(Debug, Default)]
struct Naive {
    has_parent: bool,
    zxid: i64,
    next: u64,
    children: BTreeMap<String, Zxid>,
    /// Creates whose connection was lost before the server had them: they may come later.
    late: Vec<String>,
}

impl Naive {
    fn create(&mut self, prefix: &str) -> String {
        let path = format!("{prefix}{:010}", self.next);
        self.next += 1;
        self.zxid += 1;
        self.children.insert(last(&path).to_owned(), Zxid(self.zxid));
        path
    }

    /// Every write of a session comes behind all that it sent before.
    fn settle(&mut self, id: &str) {
        let (now, later) = std::mem::take(&mut self.late).into_iter().partition(|prefix| prefix.contains(id));
        self.late = later;
        let now: Vec<String> = now;
        for prefix in now {
            self.create(&prefix);
        }
    }
}

/// What becomes of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Good,
    /// Not done, and the asker does not know.
    RequestLost,
    /// Done, and the asker does not know.
    ReplyLost,
    /// A create that is done later than the asker looks.
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![6 => Just(Fate::Good), 1 => Just(Fate::RequestLost), 1 => Just(Fate::ReplyLost), 1 => Just(Fate::Late)]
}

/// One step of one contender. `None`: it has to wait.
fn serve(naive: &mut Naive, contender: &mut Contender, watched: &mut Option<Option<String>>, fate: Fate) {
    let id = contender.id.clone();
    let step = contender.step();
    if fate == Fate::RequestLost && step != Step::Wait {
        return contender.answer(Outcome::Lost);
    }
    let outcome = match step {
        Step::Create(_) if !naive.has_parent => Outcome::NoNode,
        Step::Create(prefix) if fate == Fate::Late => {
            naive.late.push(prefix);
            Outcome::Lost
        }
        Step::Create(prefix) => {
            naive.settle(&id);
            Outcome::Created(naive.create(&prefix))
        }
        Step::MakeParent => {
            naive.has_parent = true;
            Outcome::Done
        }
        Step::Search | Step::List | Step::ListAndWatch => {
            if step == Step::Search {
                naive.settle(&id);
            }
            *watched = Some(None);
            if naive.has_parent { Outcome::Names(naive.children.keys().cloned().collect()) } else { Outcome::NoNode }
        }
        Step::Watch(path) if naive.children.contains_key(last(&path)) => {
            *watched = Some(Some(last(&path).to_owned()));
            Outcome::Present
        }
        Step::Watch(_) => Outcome::NoNode,
        // A watch on the children fires whenever it likes.
        Step::Wait => match watched.as_ref().expect("it watches") {
            Some(name) if naive.children.contains_key(name) => return,
            _ => Outcome::Fired,
        },
        Step::Confirm(path) => naive.children.get(last(&path)).map_or(Outcome::NoNode, |zxid| Outcome::Stat(*zxid)),
        Step::Delete(path) => {
            naive.settle(&id);
            match naive.children.remove(last(&path)) {
                Some(_) => Outcome::Done,
                None => Outcome::NoNode,
            }
        }
        Step::Held(_) | Step::Gone => return,
    };
    contender.answer(if fate == Fate::ReplyLost && outcome != Outcome::Fired { Outcome::Lost } else { outcome });
}

fn holders(contenders: &[Contender]) -> Vec<&Contender> {
    contenders.iter().filter(|contender| matches!(contender.step(), Step::Held(_))).collect()
}

fn check(contenders: &[Contender], most: usize) {
    let holders = holders(contenders);
    let readers = holders.iter().filter(|holder| holder.rule == Rule::Read).count();
    assert!(holders.len() <= most || readers == holders.len(), "{holders:#?}");
}

/// Runs a schedule of (who, what happens to its request, whether it leaves when it holds or before), then all to their end.
fn run(rules: &[(Rule, &'static str)], most: usize, schedule: &[(usize, Fate, u8)]) {
    let mut naive = Naive::default();
    let mut contenders: Vec<Contender> = rules
        .iter()
        .enumerate()
        .map(|(n, (rule, kind))| Contender::new("/lock", kind, &format!("id{n}id"), *rule))
        .collect();
    let mut watched = vec![None; contenders.len()];
    let mut served = vec![false; contenders.len()];
    let mut last_token = Zxid(0);
    let mut turn = |who: usize, fate: Fate, chance: u8, contenders: &mut Vec<Contender>, naive: &mut Naive| {
        let before = matches!(contenders[who].step(), Step::Held(_));
        match contenders[who].step() {
            Step::Held(_) if chance < 128 => contenders[who].leave(),
            // An administrator deletes the znode of a waiting contender.
            Step::Wait if chance < 8 => {
                let name = contenders[who].path().map(|path| last(path).to_owned()).expect("it waits");
                naive.children.remove(&name);
            }
            Step::Wait if (8..12).contains(&chance) => contenders[who].leave(),
            _ => serve(naive, &mut contenders[who], &mut watched[who], fate),
        }
        if let Step::Held(token) = contenders[who].step()
            && !before
        {
            served[who] = true;
            if most == 1 && rules.iter().all(|(rule, _)| *rule == Rule::First) {
                assert!(token > last_token, "{token:?} after {last_token:?}");
                last_token = token;
            }
        }
        check(contenders, most);
    };
    for (who, fate, chance) in schedule {
        turn(who % rules.len(), *fate, *chance, &mut contenders, &mut naive);
    }
    let mut rounds = 0;
    while contenders.iter().any(|contender| contender.step() != Step::Gone) {
        for who in 0..rules.len() {
            let chance = if matches!(contenders[who].step(), Step::Held(_)) { 0 } else { 255 };
            turn(who, Fate::Good, chance, &mut contenders, &mut naive);
        }
        rounds += 1;
        assert!(rounds < 1_000, "they wait for one another: {contenders:#?}");
    }
    let left: Vec<_> = naive.children.keys().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_at_a_time(schedule in prop::collection::vec((0..4_usize, fate(), any::<u8>()), 0..120)) {
        run(&[(Rule::First, "lock-"); 4], 1, &schedule);
    }

    #[test]
    fn readers_together_writers_alone(schedule in prop::collection::vec((0..4_usize, fate(), any::<u8>()), 0..120)) {
        let (read, write) = ((Rule::Read, "__READ__"), (Rule::First, "__WRIT__"));
        run(&[read, write, read, write], 1, &schedule);
    }
}

#[test]
fn a_create_that_came_late_is_found_and_deleted() {
    let mut contender = Contender::new("/l", "lock-", "me", Rule::First);
    contender.answer(Outcome::Lost);
    assert_eq!(contender.step(), Step::Search);
    contender.answer(Outcome::Names(vec![]));
    contender.answer(Outcome::Created("/l/_c_me-lock-0000000002".into()));
    contender.answer(Outcome::Names(vec!["_c_me-lock-0000000002".into(), "_c_me-lock-0000000001".into()]));
    assert_eq!(contender.path(), Some("/l/_c_me-lock-0000000001"));
    assert_eq!(contender.step(), Step::Delete("/l/_c_me-lock-0000000002".into()));
    // Who leaves just then takes both away.
    contender.leave();
    assert_eq!(contender.step(), Step::Delete("/l/_c_me-lock-0000000001".into()));
    contender.answer(Outcome::Done);
    assert_eq!(contender.step(), Step::Search);
    contender.answer(Outcome::Names(vec!["_c_me-lock-0000000002".into()]));
    assert_eq!(contender.step(), Step::Delete("/l/_c_me-lock-0000000002".into()));
    contender.answer(Outcome::Done);
    assert_eq!(contender.step(), Step::Gone);
}

#[test]
fn a_place_is_free_when_few_enough_are_there() {
    let mut contender = Contender::new("/l", "lease-", "me", Rule::AtMost(2));
    contender.answer(Outcome::Created("/l/_c_me-lease-0000000002".into()));
    let names = |others: &[&str]| {
        Outcome::Names(others.iter().chain(&["_c_me-lease-0000000002"]).map(|name| (*name).to_owned()).collect())
    };
    assert_eq!(contender.step(), Step::ListAndWatch);
    contender.answer(names(&["a", "b"]));
    assert_eq!(contender.step(), Step::Wait);
    contender.answer(Outcome::Fired);
    contender.answer(names(&["a"]));
    assert_eq!(contender.step(), Step::Confirm("/l/_c_me-lease-0000000002".into()));
}
