//! One seeded life story of a server's files: it starts, appends, acknowledges, rolls, takes snapshots, purges, and stops at
//! any call of the disk, again and again. After every start: nothing acknowledged is lost, nothing is there that was never
//! appended, and the tree is that of the history up to some point.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

use super::history::{Model, listing};
use ostler_model::Zxid;
use ostler_store::faulty::{Dice, Fault, FaultyDisk, Stop};
use ostler_store::{
    Compression, DataDirs, Disk, Log, LogConfig, RecoverOptions, Recovered, SnapshotFile, SnapshotFormat, StoreError,
    encode_node, encode_snapshot_start, purge, recover, write_snapshot,
};
use ostler_tree::{Tree, TreeConfig, Walk};
use std::path::Path;

const CONFIG: TreeConfig = TreeConfig { seed: 1, digest: true };
/// Starts of one story that may fail by injected faults before the faults are switched off.
const RETRIES: usize = 6;

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

/// When the first life of a story ends.
#[derive(Clone, Copy, Debug)]
pub enum FirstStop {
    /// Somewhere, by the seed.
    Random,
    /// At this call of the disk.
    At(u64),
    /// Not by a fault.
    Never,
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
    seed: u64,
    mutant: Mutant,
    rng: Dice,
    disk: FaultyDisk,
    dirs: DataDirs,
    format: SnapshotFormat,
    model: Model,
    /// Clients were told of everything up to here.
    acknowledged: Zxid,
    tally: Tally,
    first_life_calls: u64,
    last_stop: Stop,
    /// Sectors may have survived in disorder since the last successful start.
    disorder: bool,
}

/// A server that is up.
struct Server {
    log: Log<FaultyDisk>,
    /// What is durable and applied.
    tree: Tree,
    snapshot: Option<(Walk, SnapshotFile<FaultyDisk>)>,
}

impl Story {
    fn new(seed: u64, mutant: Mutant) -> Story {
        let mut rng = Dice::new(seed);
        let disk = FaultyDisk::new(rng.number());
        let split = rng.below(2) == 0;
        let dirs = DataDirs::new("/d", split.then(|| "/l".into()));
        dirs.prepare(&disk, true).unwrap();
        if mutant == Mutant::IgnoreDirSync {
            disk.ignore_dir_syncs();
        }
        let compression = [Compression::None, Compression::Gzip, Compression::Snappy][rng.below(3) as usize];
        let format = SnapshotFormat { compression, ..SnapshotFormat::default() };
        let model = Model::new(rng.number(), CONFIG);
        let (tally, last_stop) = (Tally::default(), Stop::Kill);
        let acknowledged = Zxid::ZERO;
        Story {
            seed,
            mutant,
            rng,
            disk,
            dirs,
            format,
            model,
            acknowledged,
            tally,
            first_life_calls: 0,
            last_stop,
            disorder: false,
        }
    }

    fn play(&mut self, first: FirstStop) {
        let lives = 1 + self.rng.below(5);
        for life in 0..lives {
            match first {
                FirstStop::At(call) if life == 0 => self.disk.fail_at(call, Fault::Crash),
                FirstStop::Never if life == 0 => {}
                _ => self.plan_fault(),
            }
            if let Some(mut server) = self.start() {
                let done = self.serve(&mut server);
                self.ended(done);
            }
            if life == 0 {
                self.first_life_calls = self.disk.calls();
            }
            self.stop();
        }
        let server = self.start().expect("no fault is planned");
        assert!(!self.disk.is_down());
        drop(server);
    }

    fn plan_fault(&mut self) {
        let fault = match self.rng.below(10) {
            0 => Fault::DiskFull,
            1 => Fault::Device,
            _ => Fault::Crash,
        };
        // Half of them early, so that recoveries are hit as often as the work after them.
        let range = if self.rng.below(2) == 0 { 40 } else { 300 };
        self.disk.fail_at(1 + self.rng.below(range), fault);
    }

    /// The end of a life: what is in memory is gone, and some of what is not durable.
    fn stop(&mut self) {
        self.last_stop = [Stop::Kill, Stop::PowerCut, Stop::PowerCutSectors][self.rng.below(3) as usize];
        if self.disk.is_down() {
            self.tally.crashes += 1;
        }
        self.disorder |= self.last_stop == Stop::PowerCutSectors;
        self.disk.restart(self.last_stop);
    }

    /// Recovers until it works. `None`: the story's fault hit the recovery as often as allowed.
    fn start(&mut self) -> Option<Server> {
        for attempt in 0..RETRIES {
            self.tally.starts += 1;
            let mut options = RecoverOptions { format: self.format, ..RecoverOptions::new(CONFIG) };
            let mut result = recover(&self.disk, &self.dirs, &options, &mut |_| {});
            if let Err(error) = &result
                && !self.disk.is_down()
                && self.is_disorder(error)
            {
                self.tally.disorder_refused += 1;
                options.accept_gap = true;
                result = recover(&self.disk, &self.dirs, &options, &mut |_| {});
            }
            match result {
                Ok(recovered) => return Some(self.checked(recovered, options.accept_gap)),
                Err(error) if self.disk.is_down() || is_injected(&error) => {
                    self.tally.crashes_in_recovery += 1;
                    self.stop();
                    if attempt < RETRIES / 2 {
                        self.plan_fault();
                    }
                }
                Err(error) => self.fail(&format!("recovery refuses: {error}")),
            }
        }
        self.fail("recovery goes on failing without a fault")
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
                let bytes = self.disk.contents(file).unwrap();
                self.disk.put(file, &bytes[..*offset as usize]);
                unacknowledged
            }
            _ => false,
        }
    }

    /// The records before the offset reach at least to the last acknowledged one.
    fn is_unacknowledged(&self, file: &Path, offset: u64) -> bool {
        let bytes = self.disk.contents(file).unwrap();
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
            self.fail(&format!("acknowledged up to {}, recovered up to {zxid}: {facts:?}", self.acknowledged));
        }
        if zxid > appended {
            self.fail(&format!("appended up to {appended}, recovered up to {zxid}: {facts:?}"));
        }
        self.model.truncate(zxid);
        if listing(&tree) != listing(self.model.tree()) {
            self.fail(&format!("the tree at {zxid} is not that of the history: {facts:?}"));
        }
        let warned = !facts.warnings.is_empty() && !accepted;
        if facts.digest_mismatches > 0 || warned || !facts.orphans_removed.is_empty() {
            self.fail(&format!("nothing of this should be there: {facts:?}"));
        }
        self.tally.torn_tails += u64::from(facts.torn_tail.is_some());
        // Clients see all of it from now on.
        self.disorder = false;
        self.acknowledged = zxid;
        let config = LogConfig {
            preallocate_bytes: [0, 600, 4096, 20_000][self.rng.below(4) as usize],
            snap_count: 2 + self.rng.below(30) as u32,
            file_size_limit_bytes: [0, 0, 3000][self.rng.below(3) as usize],
            ..LogConfig::new(self.dirs.logs(), self.rng.number())
        };
        Server { log: Log::new(self.disk.clone(), config), tree, snapshot: None }
    }

    /// Works until something fails, or for a while.
    fn serve(&mut self, server: &mut Server) -> Result<(), StoreError> {
        if self.rng.below(2) == 0 {
            write_snapshot(&self.disk, &self.dirs, &server.tree, self.format)?;
            self.tally.snapshots += 1;
        }
        for _ in 0..self.rng.below(150) {
            match self.rng.below(20) {
                0 => self.begin_snapshot(server)?,
                1 => self.purge()?,
                2..=8 => self.commit(server)?,
                _ => self.append(server)?,
            }
            self.step_snapshot(server)?;
        }
        if self.rng.below(2) == 0 {
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
            self.begin_snapshot(server)?;
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

    fn begin_snapshot(&mut self, server: &mut Server) -> Result<(), StoreError> {
        if server.snapshot.is_none() {
            let walk = server.tree.walk();
            let mut file = SnapshotFile::create(&self.disk, &self.dirs, walk.zxid, self.format)?;
            let mut chunk = Vec::new();
            encode_snapshot_start(&mut chunk, &walk);
            file.write(&chunk)?;
            server.snapshot = Some((walk, file));
        }
        Ok(())
    }

    fn step_snapshot(&mut self, server: &mut Server) -> Result<(), StoreError> {
        let Some((mut walk, mut file)) = server.snapshot.take() else { return Ok(()) };
        let mut chunk = Vec::new();
        let last = walk.step(&server.tree, 1 + self.rng.below(8) as usize, |node| encode_node(&mut chunk, &node));
        file.write(&chunk)?;
        if last {
            file.seal(server.tree.zxid(), server.tree.digest())?.publish()?;
            self.tally.snapshots += 1;
        } else {
            server.snapshot = Some((walk, file));
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<(), StoreError> {
        self.tally.purged_files += purge(&self.disk, &self.dirs, 3)?.removed.len() as u64;
        Ok(())
    }

    fn ended(&mut self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {}
            Err(_) if self.disk.is_down() => {}
            Err(error) if is_injected(&error) => self.tally.io_errors += 1,
            Err(error) => self.fail(&format!("a healthy disk, but: {error}")),
        }
    }

    fn fail(&self, why: &str) -> ! {
        let mut text = format!("seed {}, last stop {:?}: {why}\n", self.seed, self.last_stop);
        for dir in [self.dirs.snapshots(), self.dirs.logs()] {
            for entry in self.disk.list(&dir).unwrap_or_default() {
                text += &format!("  {} {} bytes\n", dir.join(&entry.name).display(), entry.len);
            }
        }
        for line in self.disk.trace() {
            text += &format!("  {line}\n");
        }
        panic!("{text}");
    }
}

/// An error that the disk was told to produce.
fn is_injected(error: &StoreError) -> bool {
    match error {
        StoreError::Io { source, .. } => source.to_string().contains("(simulated)"),
        StoreError::NoValidSnapshot { tried, .. } => tried.iter().any(|why| why.contains("simulated")),
        _ => false,
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
