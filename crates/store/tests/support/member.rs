//! One seeded life story of an ensemble member's files: epochs come and go, it appends and acknowledges, takes background
//! snapshots, is told to truncate and to install another history, and stops at any call of the disk, again and again.
//!
//! The model is the list of transactions that the leader of the moment wanted this member to have. After every start the
//! member must have a prefix of it that reaches at least to what it acknowledged; a truncation or installation under way
//! happened as a whole or not at all; epochs never go back (INV-1, INV-5, INV-7, INV-17, INV-19).
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

use super::history::{Model, listing};
use super::life::{Background, CONFIG, FirstStop, Life, RETRIES};
use ostler_model::Zxid;
use ostler_store::faulty::FaultyDisk;
use ostler_store::{
    Disk, EpochFiles, Epochs, HistoryReader, Log, MemberOptions, MemberState, RecoverOptions, SealedSnapshot,
    SnapshotReceiver, StoreError, Truncation, encode_node, encode_tree_end, encode_tree_start, load_upto, purge,
    recover_member, snapshot_zxid,
};
use ostler_tree::Tree;

const LENGTH_MAX: usize = 1 << 20;

/// What to do wrong, to see the checks fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    Nothing,
    /// Acknowledge when appended, not when synced (BUG-7).
    AckBeforeSync,
    /// Write currentEpoch before the transactions are durable (BUG-6).
    EpochBeforeTxns,
    /// Give a background snapshot its name although the history was changed since it was begun (BUG-4).
    PublishBlindly,
    /// The store forgets such calls: see [`FaultyDisk::forget`].
    Forget(&'static str, &'static str),
}

/// What happened, summed over stories.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    pub stories: u64,
    pub starts: u64,
    pub crashes: u64,
    pub crashes_in_recovery: u64,
    pub io_errors: u64,
    pub acknowledged: u64,
    pub epochs: u64,
    pub snapshots: u64,
    pub truncations: u64,
    pub impossible_truncations: u64,
    pub installs: u64,
    /// Truncations and installations that a stop interrupted, by what the next start found.
    pub taken_back: u64,
    pub completed: u64,
    pub torn_tails: u64,
    pub repaired_epochs: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.stories += other.stories;
        self.starts += other.starts;
        self.crashes += other.crashes;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.io_errors += other.io_errors;
        self.acknowledged += other.acknowledged;
        self.epochs += other.epochs;
        self.snapshots += other.snapshots;
        self.truncations += other.truncations;
        self.impossible_truncations += other.impossible_truncations;
        self.installs += other.installs;
        self.taken_back += other.taken_back;
        self.completed += other.completed;
        self.torn_tails += other.torn_tails;
        self.repaired_epochs += other.repaired_epochs;
    }
}

/// Plays one story; panics with the seed and the disk's calls if a check fails. Returns what happened and how many calls the
/// first life took.
pub fn member_story(seed: u64, first: FirstStop, wrong: Wrong) -> (Tally, u64) {
    let mut story = Story::new(seed, wrong);
    story.play(first);
    story.tally.stories = 1;
    (story.tally, story.first_life_calls)
}

/// A history: all transactions since the beginning, whether the disk has them as records or inside a snapshot.
type Records = Vec<(Zxid, Vec<u8>)>;

/// What a change of the history under way will leave if it happens.
struct Change {
    records: Records,
    /// Of an installation: where the log begins, and what the leader sends behind it.
    base: Option<Zxid>,
    rest: Records,
}

struct Story {
    life: Life,
    wrong: Wrong,
    /// What was appended or came with a snapshot.
    model: Model,
    /// The leader was told of everything up to here.
    acknowledged: Zxid,
    /// The end of a SNAP: nothing before it is in the log.
    base: Zxid,
    /// The leader's transactions behind that. The snapshot may contain parts of them: the tree is whole at their end.
    rest: Records,
    /// The end of that, also later on: no state between `base` and this can be had from the snapshot.
    whole_from: Zxid,
    /// Durable for sure.
    epochs: Epochs,
    /// Written or being written.
    wanted_epochs: Epochs,
    /// The initial history that `epochs.current` stands for ends here.
    current_needs: Zxid,
    change: Option<Change>,
    tally: Tally,
    first_life_calls: u64,
}

/// A member that is up.
struct Member {
    log: Log<FaultyDisk>,
    epochs: EpochFiles<FaultyDisk>,
    /// What is durable: the background snapshots are of this.
    tree: Tree,
    snapshot: Background,
    sealed: Option<SealedSnapshot<FaultyDisk>>,
}

impl Story {
    fn new(seed: u64, wrong: Wrong) -> Story {
        let mut life = Life::new(seed, [60, 500]);
        if let Wrong::Forget(what, part) = wrong {
            life.disk.forget(what, part);
        }
        let model = Model::new(life.dice.number(), CONFIG);
        Story {
            life,
            wrong,
            model,
            acknowledged: Zxid::ZERO,
            base: Zxid::ZERO,
            rest: Records::new(),
            whole_from: Zxid::ZERO,
            epochs: Epochs::default(),
            wanted_epochs: Epochs::default(),
            current_needs: Zxid::ZERO,
            change: None,
            tally: Tally::default(),
            first_life_calls: 0,
        }
    }

    fn play(&mut self, first: FirstStop) {
        let lives = 1 + self.life.dice.below(5);
        for life in 0..lives {
            self.life.plan(life, first);
            let mut member = self.start();
            let done = self.serve(&mut member);
            self.tally.io_errors += u64::from(self.life.worked(done));
            drop(member);
            if life == 0 {
                self.first_life_calls = self.life.disk.calls();
            }
            self.stop();
        }
        self.start();
        assert!(!self.life.disk.is_down());
    }

    fn stop(&mut self) {
        self.tally.crashes += u64::from(self.life.stop());
    }

    /// Recovers until it works.
    fn start(&mut self) -> Member {
        for attempt in 0..RETRIES {
            self.tally.starts += 1;
            let options = MemberOptions::new(RecoverOptions::new(CONFIG));
            match recover_member(&self.life.disk, &self.life.dirs, &options, &mut |_| {}) {
                Ok(state) => return self.checked(state),
                Err(error) if self.life.is_expected(&error) => {
                    self.tally.crashes_in_recovery += 1;
                    self.stop();
                    if attempt < RETRIES / 2 {
                        self.life.plan_fault();
                    }
                }
                Err(error) => self.life.fail(&format!("recovery refuses: {error}")),
            }
        }
        self.life.fail("recovery goes on failing without a fault")
    }

    fn checked(&mut self, state: MemberState<FaultyDisk>) -> Member {
        let MemberState { tree, last, history, epochs, hole, facts, .. } = state;
        let Some(last) = last else { self.life.fail(&format!("not trusted: {hole:?} {facts:?}")) };
        self.check_history(last);
        // The snapshot may be ahead of the log, until the leader has sent the rest once more.
        let fuzzy = self.rest.last().is_some_and(|(end, _)| (self.base..*end).contains(&last));
        if !fuzzy && listing(&tree) != listing(self.model.tree()) {
            self.life.fail(&format!("the tree at {last} is not that of the history: {facts:?}"));
        }
        if facts.digest_mismatches > 0 || !facts.orphans_removed.is_empty() {
            self.life.fail(&format!("nothing of this should be there: {facts:?}"));
        }
        if history.disk_from < self.base || history.spans.last().is_some_and(|span| span.last != last) {
            self.life.fail(&format!("{history:?} does not fit a history from {} to {last}", self.base));
        }
        self.check_reader(history.disk_from, last);
        self.check_epochs(epochs.epochs(), last);
        self.tally.torn_tails += u64::from(facts.torn_tail.is_some());
        self.tally.repaired_epochs += u64::from(facts.warnings.iter().any(|text| text.contains("was raised")));
        self.acknowledged = last;
        let log = Log::after(self.life.disk.clone(), self.life.log_config(), Some(last));
        Member { log, epochs, tree, snapshot: Background::default(), sealed: None }
    }

    /// The member has what it acknowledged of the old history, or exactly the new one.
    fn check_history(&mut self, last: Zxid) {
        let change = self.change.take();
        if let Some(change) = change {
            let end = change.records.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            // A truncation that takes nothing away from what is left is the same as none.
            if last == end {
                self.tally.completed += 1;
                match change.base {
                    Some(base) => self.installed(base, &[change.records, change.rest].concat()),
                    None => self.model.take_over(&change.records),
                }
                self.current_needs = self.current_needs.min(end);
                return;
            }
            self.tally.taken_back += 1;
        }
        let appended = self.model.last();
        if last < self.acknowledged || last > appended {
            self.life.fail(&format!(
                "acknowledged up to {}, appended up to {appended}, recovered up to {last}",
                self.acknowledged
            ));
        }
        self.model.truncate(last);
    }

    /// What the log says it can prove is what the leaders proposed.
    fn check_reader(&self, from: Zxid, to: Zxid) {
        let result = || -> Result<Records, StoreError> {
            let mut reader = HistoryReader::new(&self.life.disk, &self.life.dirs, from, to, LENGTH_MAX)?;
            let mut records = Vec::new();
            while let Some(record) = reader.next_record()? {
                records.push((record.zxid, record.payload.to_vec()));
            }
            Ok(records)
        };
        let expected = self.model.history().iter().filter(|(zxid, _)| *zxid > from);
        match result() {
            Ok(records) if records.iter().eq(expected.clone()) => {}
            Ok(records) => {
                let differs = records.iter().zip(expected).find(|(read, proposed)| read != proposed);
                let differs = differs.map(|(read, proposed)| (read.0, proposed.0));
                self.life.fail(&format!("({from}, {to}] is not what was proposed: {differs:?} (read, proposed)"));
            }
            Err(error) if self.life.is_expected(&error) => {}
            Err(error) => self.life.fail(&format!("({from}, {to}] is not readable: {error}")),
        }
    }

    fn check_epochs(&mut self, found: Epochs, last: Zxid) {
        let (known, wanted) = (self.epochs, self.wanted_epochs);
        let in_order = |low: u32, is: u32, high: u32| low <= is && is <= high;
        // A repair goes no further than the history.
        let current_max = wanted.current.max(last.epoch());
        if !in_order(known.accepted, found.accepted, wanted.accepted)
            || !in_order(known.current, found.current, current_max)
            || found.current > found.accepted
            || last.epoch() > found.current
        {
            self.life.fail(&format!("epochs {found:?} after {known:?}, {wanted:?} and a history up to {last}"));
        }
        if found.current >= wanted.current && last < self.current_needs {
            self.life.fail(&format!("currentEpoch {} without its history up to {}", found.current, self.current_needs));
        }
        self.epochs = found;
        self.wanted_epochs = found;
    }

    /// Works until something fails, or for a while.
    fn serve(&mut self, member: &mut Member) -> Result<(), StoreError> {
        if self.model.last().epoch() == 0 {
            self.new_epoch(member)?;
        }
        self.take_rest(member)?;
        for _ in 0..self.life.dice.below(150) {
            match self.life.dice.below(40) {
                0 | 1 => self.begin_snapshot(member)?,
                2 | 3 => self.publish(member)?,
                4 => self.purge()?,
                5 if self.life.dice.below(2) == 0 => self.new_epoch(member)?,
                6 => self.truncate(member)?,
                7 if self.life.dice.below(3) == 0 => self.install(member)?,
                8 => self.load_some_state()?,
                9..=16 => self.commit(member)?,
                _ => self.append(member)?,
            }
            self.step_snapshot(member)?;
        }
        if self.life.dice.below(2) == 0 {
            self.commit(member)?;
        }
        Ok(())
    }

    fn append(&mut self, member: &mut Member) -> Result<(), StoreError> {
        let zxid = self.model.step();
        let due = member.log.append(zxid, self.model.record(zxid))?.snapshot_due;
        if self.wrong == Wrong::AckBeforeSync {
            self.acknowledged = zxid;
        }
        if due {
            self.begin_snapshot(member)?;
        }
        Ok(())
    }

    fn commit(&mut self, member: &mut Member) -> Result<(), StoreError> {
        if let Some(last) = member.log.commit()?.last {
            self.tally.acknowledged += u64::from(last > self.acknowledged);
            self.acknowledged = last;
            self.model.replay_until(&mut member.tree, last);
        }
        Ok(())
    }

    /// A new leader: its epoch is accepted, the rest of its history arrives, then the epoch is current and it proposes.
    fn new_epoch(&mut self, member: &mut Member) -> Result<(), StoreError> {
        self.tally.epochs += 1;
        let (missed, epoch) = (self.wanted_epochs.accepted + 1, self.wanted_epochs.accepted + 2);
        self.wanted_epochs.accepted = epoch;
        member.epochs.save_accepted(epoch)?;
        self.epochs.accepted = epoch;
        if self.wrong == Wrong::EpochBeforeTxns {
            self.save_current(member, epoch)?;
        }
        if self.life.dice.below(2) == 0 {
            // Transactions of an epoch that this member missed.
            self.model.begin_epoch(missed);
            for _ in 0..self.life.dice.below(4) {
                self.append(member)?;
            }
        }
        self.commit(member)?;
        self.save_current(member, epoch)?;
        self.model.begin_epoch(epoch);
        Ok(())
    }

    fn save_current(&mut self, member: &mut Member, epoch: u32) -> Result<(), StoreError> {
        self.wanted_epochs.current = epoch;
        // Once it is there it must mean what it says.
        self.current_needs = self.model.last();
        member.epochs.save_current(epoch)?;
        self.epochs.current = epoch;
        Ok(())
    }

    fn begin_snapshot(&mut self, member: &mut Member) -> Result<(), StoreError> {
        if member.sealed.is_none() {
            member.snapshot.begin(&self.life, &member.tree)?;
        }
        Ok(())
    }

    fn step_snapshot(&mut self, member: &mut Member) -> Result<(), StoreError> {
        if let Some(sealed) = member.snapshot.step(&mut self.life, &member.tree)? {
            member.sealed = Some(sealed);
        }
        Ok(())
    }

    /// In the log's order, some time after it was finished.
    fn publish(&mut self, member: &mut Member) -> Result<(), StoreError> {
        let Some(sealed) = member.sealed.take() else { return Ok(()) };
        if self.wrong == Wrong::PublishBlindly {
            sealed.publish()?;
            return Ok(());
        }
        // What was appended is durable before it is looked at.
        self.commit(member)?;
        if !member.log.publish(sealed)? {
            self.life.fail("a snapshot of what is durable was refused");
        }
        self.tally.snapshots += 1;
        Ok(())
    }

    fn purge(&mut self) -> Result<(), StoreError> {
        purge(&self.life.disk, &self.life.dirs, 3).map(|_| ())
    }

    /// A leader that does not have the end of this member's history.
    fn truncate(&mut self, member: &mut Member) -> Result<(), StoreError> {
        let history = self.model.history();
        // Mostly where it is possible.
        let in_log = history.len() - history.partition_point(|(zxid, _)| *zxid < self.base);
        let reach = if self.life.dice.below(8) == 0 { history.len() } else { in_log };
        let back = self.life.dice.below(reach.min(30) as u64 + 1) as usize;
        let to = match history.get(history.len() - back.min(history.len())) {
            Some((zxid, _)) if self.life.dice.below(4) == 0 => Zxid(zxid.0 + self.life.dice.below(3) as i64 - 1),
            Some((zxid, _)) => *zxid,
            None => self.model.last(),
        };
        // What the leader's snapshot contained is committed: nobody cuts inside of it.
        let to = if (self.base..self.whole_from).contains(&to) { self.whole_from } else { to };
        let left: Records = history.iter().filter(|(zxid, _)| *zxid <= to).cloned().collect();
        let end = left.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid).max(self.base);
        self.change = Some(Change { records: left.clone(), base: None, rest: Records::new() });
        match member.log.truncate(&self.life.dirs, to, LENGTH_MAX)? {
            Truncation::Done { last } if last == end => {
                self.tally.truncations += 1;
                self.model.take_over(&left);
                self.acknowledged = last;
                self.current_needs = self.current_needs.min(last);
                // A provisional tree is thrown away and read again.
                self.reload(member, last)?;
            }
            Truncation::Done { last } => self.life.fail(&format!("truncated to {to}: {last} is left, not {end}")),
            Truncation::CannotTruncate { why } => {
                self.tally.impossible_truncations += 1;
                let names = self.life.disk.list(&self.life.dirs.snapshots()).unwrap_or_default().into_iter();
                let oldest = names.filter_map(|entry| snapshot_zxid(&entry.name)).min();
                if oldest.is_some_and(|oldest| oldest <= to) && !why.contains("no snapshot") {
                    self.life.fail(&format!("could not truncate to {to}: {why}"));
                }
                // It asks for a snapshot.
                self.change = None;
                self.install(member)?;
            }
        }
        self.change = None;
        // The next transactions are those of a later leader.
        self.new_epoch(member)
    }

    fn reload(&mut self, member: &mut Member, upto: Zxid) -> Result<(), StoreError> {
        let options = RecoverOptions::new(CONFIG);
        member.tree = load_upto(&self.life.disk, &self.life.dirs, &options, upto, &mut |_| {})?.tree;
        if listing(&member.tree) != listing(self.model.tree()) {
            self.life.fail(&format!("the state at {upto} is another one after the truncation"));
        }
        if self.wrong != Wrong::PublishBlindly {
            (member.snapshot, member.sealed) = (Background::default(), None);
        }
        Ok(())
    }

    fn load_some_state(&mut self) -> Result<(), StoreError> {
        let acknowledged = self.acknowledged;
        let history: Vec<Zxid> = self.model.history().iter().map(|(zxid, _)| *zxid).collect();
        let known: Vec<Zxid> = history.into_iter().filter(|zxid| *zxid <= acknowledged).collect();
        let known: Vec<Zxid> = known.into_iter().filter(|zxid| *zxid >= self.whole_from).collect();
        let Some(upto) = known.len().checked_sub(1 + self.life.dice.below(5) as usize).map(|at| known[at]) else {
            return Ok(());
        };
        let options = RecoverOptions::new(CONFIG);
        match load_upto(&self.life.disk, &self.life.dirs, &options, upto, &mut |_| {}) {
            Ok(recovered) if listing(&recovered.tree) == listing(&self.model.tree_at(upto)) => Ok(()),
            Ok(recovered) => {
                self.life.fail(&format!("the state at {upto} is not that of the history: {:?}", recovered.facts));
            }
            // All snapshots are newer.
            Err(StoreError::NoValidSnapshot { .. }) if !self.life.disk.is_down() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A leader with another history, which is sent as a fuzzy snapshot and some transactions behind it.
    fn install(&mut self, member: &mut Member) -> Result<(), StoreError> {
        let (missed, epoch) = (self.wanted_epochs.accepted + 1, self.wanted_epochs.accepted + 2);
        self.wanted_epochs.accepted = epoch;
        member.epochs.save_accepted(epoch)?;
        self.epochs.accepted = epoch;
        let mut leader = Model::new(self.life.dice.number(), CONFIG);
        // It shares the beginning with this member, or nothing.
        if self.life.dice.below(2) == 0 {
            let shared = self.life.dice.below(self.model.history().len() as u64 + 1) as usize;
            leader.take_over(&self.model.history()[..shared]);
        }
        leader.begin_epoch(missed);
        for _ in 0..1 + self.life.dice.below(30) {
            leader.step();
        }
        let zxid = leader.last();
        let stream = self.fuzzy_stream(&mut leader);
        let tree = (self.life.dice.below(2) == 0).then_some(CONFIG);
        let mut receiver = SnapshotReceiver::new(
            &self.life.disk,
            &self.life.dirs,
            zxid,
            self.life.format.compression,
            tree,
            LENGTH_MAX,
        )?;
        for piece in stream.chunks(1 + self.life.dice.below(3000) as usize) {
            let _ = receiver.push(piece)?;
        }
        let (sealed, received) = receiver.finish()?;
        let end = leader.history().partition_point(|(of, _)| *of <= zxid);
        let leader_history = leader.history().to_vec();
        self.change = Some(Change {
            records: leader_history[..end].to_vec(),
            rest: leader_history[end..].to_vec(),
            base: Some(zxid),
        });
        assert_eq!(member.log.install(&self.life.dirs, sealed)?, zxid);
        self.tally.installs += 1;
        member.tree = match received {
            Some(tree) => tree,
            None => load_upto(&self.life.disk, &self.life.dirs, &RecoverOptions::new(CONFIG), zxid, &mut |_| {})?.tree,
        };
        self.installed(zxid, leader.history());
        self.take_rest(member)?;
        self.save_current(member, epoch)?;
        member.tree = self.model.tree_at(self.model.last());
        if self.wrong != Wrong::PublishBlindly {
            (member.snapshot, member.sealed) = (Background::default(), None);
        }
        self.model.begin_epoch(epoch);
        Ok(())
    }

    /// The old history is gone.
    fn installed(&mut self, zxid: Zxid, leader: &[(Zxid, Vec<u8>)]) {
        self.change = None;
        self.base = zxid;
        self.acknowledged = zxid;
        self.current_needs = Zxid::ZERO;
        let installed = leader.partition_point(|(of, _)| *of <= zxid);
        self.model.take_over(&leader[..installed]);
        self.rest = leader[installed..].to_vec();
        self.whole_from = leader.last().map_or(zxid, |(last, _)| *last);
    }

    /// What the leader sends behind its snapshot comes before anything else.
    fn take_rest(&mut self, member: &mut Member) -> Result<(), StoreError> {
        let rest = self.rest.clone();
        if rest.last().is_none_or(|(end, _)| *end <= self.model.last()) {
            return Ok(());
        }
        let last = self.model.last();
        for (zxid, payload) in rest.iter().filter(|(zxid, _)| *zxid > last) {
            self.model.push(*zxid, payload);
            let _ = member.log.append(*zxid, payload)?;
        }
        self.commit(member)?;
        self.rest.clear();
        if listing(&member.tree) != listing(self.model.tree()) {
            self.life.fail("the leader's snapshot and what it sent behind it do not make its tree");
        }
        Ok(())
    }

    /// The leader's tree while it goes on changing.
    fn fuzzy_stream(&mut self, leader: &mut Model) -> Vec<u8> {
        let mut walk = leader.tree().walk();
        let mut stream = Vec::new();
        encode_tree_start(&mut stream, &walk);
        let busy = self.life.dice.below(2) == 0;
        while !walk.step(leader.tree(), 3, |node| encode_node(&mut stream, &node)) {
            if busy {
                leader.step();
            }
        }
        encode_tree_end(&mut stream);
        stream
    }
}
