//! One seeded life story of a server's files: it starts, appends, acknowledges, rolls, takes snapshots, purges, and stops at
//! any call of the disk, again and again. After every start: nothing acknowledged is lost, nothing is there that was never
//! appended, and the tree is that of the history up to some point.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

use super::history::{Model, listing};
use super::life::{Background, CONFIG, FirstStop, Life, RETRIES};
use ostler_model::Zxid;
use ostler_store::faulty::{FaultyDisk, Stop};
use ostler_store::{Log, RecoverOptions, Recovered, StoreError, purge, recover, write_snapshot};
use ostler_tree::Tree;
use std::path::Path;

/// What to do wrong, to see the checks fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    None,
    /// Acknowledge when appended, not when synced.
    AckBeforeSync,
    /// A disk on which syncing a directory does nothing.
    IgnoreDirSync,
}

/// What happened, summed over stories.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    pub stories: u64,
    pub starts: u64,
    pub crashes: u64,
    pub crashes_in_recovery: u64,
    pub io_errors: u64,
    pub appended: u64,
    pub acknowledged: u64,
    pub snapshots: u64,
    pub purged_files: u64,
    pub torn_tails: u64,
    /// Starts refused because sectors of unacknowledged records survived in disorder: a person has to look.
    pub disorder_refused: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.stories += other.stories;
        self.starts += other.starts;
        self.crashes += other.crashes;
        self.crashes_in_recovery += other.crashes_in_recovery;
        self.io_errors += other.io_errors;
        self.appended += other.appended;
        self.acknowledged += other.acknowledged;
        self.snapshots += other.snapshots;
        self.purged_files += other.purged_files;
        self.torn_tails += other.torn_tails;
        self.disorder_refused += other.disorder_refused;
    }
}

/// Plays one story; panics with the seed and the disk's calls if a check fails. Returns what happened and how many calls the
/// first life took.
pub fn story(seed: u64, first: FirstStop, mutant: Mutant) -> (Tally, u64) {
    let mut story = Story::new(seed, mutant);
    story.play(first);
    story.tally.stories = 1;
    (story.tally, story.first_life_calls)
}

struct Story {
    life: Life,
    mutant: Mutant,
    model: Model,
    /// Clients were told of everything up to here.
    acknowledged: Zxid,
    tally: Tally,
    first_life_calls: u64,
    /// Sectors may have survived in disorder since the last successful start.
    disorder: bool,
}

/// A server that is up.
struct Server {
    log: Log<FaultyDisk>,
    /// What is durable and applied.
    tree: Tree,
    snapshot: Background,
}

impl Story {
    fn new(seed: u64, mutant: Mutant) -> Story {
        let mut life = Life::new(seed, [40, 300]);
        if mutant == Mutant::IgnoreDirSync {
            life.disk.ignore_dir_syncs();
        }
        let model = Model::new(life.dice.number(), CONFIG);
        let (tally, acknowledged) = (Tally::default(), Zxid::ZERO);
        Story { life, mutant, model, acknowledged, tally, first_life_calls: 0, disorder: false }
    }

    fn play(&mut self, first: FirstStop) {
        let lives = 1 + self.life.dice.below(5);
        for life in 0..lives {
            self.life.plan(life, first);
            if let Some(mut server) = self.start() {
                let done = self.serve(&mut server);
                self.tally.io_errors += u64::from(self.life.worked(done));
            }
            if life == 0 {
                self.first_life_calls = self.life.disk.calls();
            }
            self.stop();
        }
        let server = self.start().expect("no fault is planned");
        assert!(!self.life.disk.is_down());
        drop(server);
    }

    fn stop(&mut self) {
        self.tally.crashes += u64::from(self.life.stop());
        self.disorder |= self.life.last_stop == Stop::PowerCutSectors;
    }

    /// Recovers until it works. `None`: the story's fault hit the recovery as often as allowed.
    fn start(&mut self) -> Option<Server> {
        for attempt in 0..RETRIES {
            self.tally.starts += 1;
            let mut options = RecoverOptions { format: self.life.format, ..RecoverOptions::new(CONFIG) };
            let mut result = recover(&self.life.disk, &self.life.dirs, &options, &mut |_| {});
            if let Err(error) = &result
                && !self.life.disk.is_down()
                && self.is_disorder(error)
            {
                self.tally.disorder_refused += 1;
                options.accept_gap = true;
                result = recover(&self.life.disk, &self.life.dirs, &options, &mut |_| {});
            }
            match result {
                Ok(recovered) => return Some(self.checked(recovered, options.accept_gap)),
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

    /// Whether a refusal is about records that were never acknowledged and whose sectors the disk wrote in disorder. A wrong
    /// checksum cannot be overlooked by recovery, so the story cuts the file as a person would.
    fn is_disorder(&mut self, error: &StoreError) -> bool {
        if !self.disorder {
            return false;
        }
        match error {
            StoreError::BytesBehindEnd { file, offset, .. } => self.is_unacknowledged(file, *offset),
            StoreError::Corrupt { file, offset, why, .. } if why.contains("checksum") => {
                let unacknowledged = self.is_unacknowledged(file, *offset);
                let bytes = self.life.disk.contents(file).unwrap();
                self.life.disk.put(file, &bytes[..*offset as usize]);
                unacknowledged
            }
            _ => false,
        }
    }

    /// The records before the offset reach at least to the last acknowledged one.
    fn is_unacknowledged(&self, file: &Path, offset: u64) -> bool {
        let bytes = self.life.disk.contents(file).unwrap();
        let before = &bytes[..offset as usize];
        let last = last_zxid(before).unwrap_or_else(|| {
            let name = file.file_name().unwrap().to_str().unwrap();
            Zxid(ostler_store::log_zxid(name).unwrap().0 - 1)
        });
        last >= self.acknowledged
    }

    fn checked(&mut self, recovered: Recovered, accepted: bool) -> Server {
        let Recovered { tree, facts } = recovered;
        let zxid = tree.zxid();
        let appended = self.model.tree().zxid();
        if zxid < self.acknowledged {
            self.life.fail(&format!("acknowledged up to {}, recovered up to {zxid}: {facts:?}", self.acknowledged));
        }
        if zxid > appended {
            self.life.fail(&format!("appended up to {appended}, recovered up to {zxid}: {facts:?}"));
        }
        self.model.truncate(zxid);
        if listing(&tree) != listing(self.model.tree()) {
            self.life.fail(&format!("the tree at {zxid} is not that of the history: {facts:?}"));
        }
        let warned = !facts.warnings.is_empty() && !accepted;
        if facts.digest_mismatches > 0 || warned || !facts.orphans_removed.is_empty() {
            self.life.fail(&format!("nothing of this should be there: {facts:?}"));
        }
        self.tally.torn_tails += u64::from(facts.torn_tail.is_some());
        // Clients see all of it from now on.
        self.disorder = false;
        self.acknowledged = zxid;
        let config = self.life.log_config();
        Server { log: Log::new(self.life.disk.clone(), config), tree, snapshot: Background::default() }
    }

    /// Works until something fails, or for a while.
    fn serve(&mut self, server: &mut Server) -> Result<(), StoreError> {
        if self.life.dice.below(2) == 0 {
            write_snapshot(&self.life.disk, &self.life.dirs, &server.tree, self.life.format)?;
            self.tally.snapshots += 1;
        }
        for _ in 0..self.life.dice.below(150) {
            match self.life.dice.below(20) {
                0 => server.snapshot.begin(&self.life, &server.tree)?,
                1 => self.purge()?,
                2..=8 => self.commit(server)?,
                _ => self.append(server)?,
            }
            self.step_snapshot(server)?;
        }
        if self.life.dice.below(2) == 0 {
            self.commit(server)?;
        }
        Ok(())
    }

    fn append(&mut self, server: &mut Server) -> Result<(), StoreError> {
        let zxid = self.model.step();
        self.tally.appended += 1;
        let due = server.log.append(zxid, self.model.record(zxid))?.snapshot_due;
        if self.mutant == Mutant::AckBeforeSync {
            self.acknowledged = zxid;
        }
        if due {
            server.snapshot.begin(&self.life, &server.tree)?;
        }
        Ok(())
    }

    fn commit(&mut self, server: &mut Server) -> Result<(), StoreError> {
        if let Some(last) = server.log.commit()?.last {
            self.tally.acknowledged += (last.0 - self.acknowledged.0).max(0) as u64;
            self.acknowledged = last;
            self.model.replay_until(&mut server.tree, last);
        }
        Ok(())
    }

    fn step_snapshot(&mut self, server: &mut Server) -> Result<(), StoreError> {
        if let Some(sealed) = server.snapshot.step(&mut self.life, &server.tree)? {
            sealed.publish()?;
            self.tally.snapshots += 1;
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<(), StoreError> {
        self.tally.purged_files += purge(&self.life.disk, &self.life.dirs, 3)?.removed.len() as u64;
        Ok(())
    }
}

/// The zxid of the last complete record in the bytes of a log.
fn last_zxid(bytes: &[u8]) -> Option<Zxid> {
    let mut at = 16;
    let mut last = None;
    while let Some(len) = bytes.get(at + 8..at + 12) {
        let len = u32::from_be_bytes(len.try_into().unwrap()) as usize;
        let Some(zxid) = bytes.get(at + 12 + 12..at + 12 + 20).filter(|_| len > 0) else { break };
        last = Some(Zxid(i64::from_be_bytes(zxid.try_into().unwrap())));
        at += 12 + len + 1;
    }
    last
}
