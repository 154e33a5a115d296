//! What every seeded story of a server's files shares: the disk, the directories, what goes wrong when, how a life ends, and
//! a background snapshot that is taken in small steps.

use ostler_model::Dice;
use ostler_store::faulty::{Fault, FaultyDisk, Stop};
use ostler_store::{
    Compression, DataDirs, Disk, LogConfig, SealedSnapshot, SnapshotFile, SnapshotFormat, StoreError, encode_node,
    encode_snapshot_start,
};
use ostler_tree::{Tree, TreeConfig, Walk};

/// Of the trees of all stories.
pub const CONFIG: TreeConfig = TreeConfig { seed: 1, digest: true };

/// Starts of one story that may fail by injected faults before the faults are switched off.
pub const RETRIES: usize = 6;

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

/// The ground of one story.
pub struct Life {
    seed: u64,
    pub dice: Dice,
    pub disk: FaultyDisk,
    pub dirs: DataDirs,
    pub format: SnapshotFormat,
    pub last_stop: Stop,
    /// A fault comes within so many calls of the disk: early, or late.
    fault_within: [u64; 2],
}

impl Life {
    /// Empty directories, one or two of them.
    pub fn new(seed: u64, fault_within: [u64; 2]) -> Life {
        let mut dice = Dice::new(seed);
        let disk = FaultyDisk::new(dice.number());
        let split = dice.below(2) == 0;
        let dirs = DataDirs::new("/d", split.then(|| "/l".into()));
        dirs.prepare(&disk, true).unwrap();
        let compression = dice.pick(&[Compression::None, Compression::Gzip, Compression::Snappy]);
        let format = SnapshotFormat { compression, ..SnapshotFormat::default() };
        Life { seed, dice, disk, dirs, format, last_stop: Stop::Kill, fault_within }
    }

    /// Plans what ends this life, the first or a later one.
    pub fn plan(&mut self, life: u64, first: FirstStop) {
        match first {
            FirstStop::At(call) if life == 0 => self.disk.fail_at(call, Fault::Crash),
            FirstStop::Never if life == 0 => {}
            _ => self.plan_fault(),
        }
    }

    /// Half of the faults come early, so that recoveries are hit as often as the work after them.
    pub fn plan_fault(&mut self) {
        let fault = match self.dice.below(10) {
            0 => Fault::DiskFull,
            1 => Fault::Device,
            _ => Fault::Crash,
        };
        let within = self.dice.pick(&self.fault_within);
        self.disk.fail_at(1 + self.dice.below(within), fault);
    }

    /// The end of a life: what is in memory is gone, and some of what is not durable. True if the disk ended it.
    pub fn stop(&mut self) -> bool {
        self.last_stop = self.dice.pick(&[Stop::Kill, Stop::PowerCut, Stop::PowerCutSectors]);
        let crashed = self.disk.is_down();
        self.disk.restart(self.last_stop);
        crashed
    }

    /// Of a log that rolls often.
    pub fn log_config(&mut self) -> LogConfig {
        LogConfig {
            preallocate_bytes: self.dice.pick(&[0, 600, 4096, 20_000]),
            snap_count: 2 + self.dice.below(30) as u32,
            file_size_limit_bytes: self.dice.pick(&[0, 0, 3000]),
            ..LogConfig::new(self.dirs.logs(), self.dice.number())
        }
    }

    /// Whether the error is the story's own doing: the disk stopped, or was told to fail once.
    pub fn is_expected(&self, error: &StoreError) -> bool {
        self.disk.is_down() || is_injected(error)
    }

    /// The work of a life ended well, or by the story's own doing. True for an error that did not stop the disk.
    pub fn worked(&self, result: Result<(), StoreError>) -> bool {
        match result {
            Ok(()) => false,
            Err(error) if self.is_expected(&error) => !self.disk.is_down(),
            Err(error) => self.fail(&format!("a healthy disk, but: {error}")),
        }
    }

    /// Ends the test with the seed, the files and the disk's calls.
    pub fn fail(&self, why: &str) -> ! {
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

/// A background snapshot, if one is being taken.
#[derive(Default)]
pub struct Background(Option<(Walk, SnapshotFile<FaultyDisk>)>);

impl Background {
    /// Begins one if there is none.
    pub fn begin(&mut self, life: &Life, tree: &Tree) -> Result<(), StoreError> {
        if self.0.is_none() {
            let walk = tree.walk();
            let mut file = SnapshotFile::create(&life.disk, &life.dirs, walk.zxid, life.format)?;
            let mut chunk = Vec::new();
            encode_snapshot_start(&mut chunk, &walk);
            file.write(&chunk)?;
            self.0 = Some((walk, file));
        }
        Ok(())
    }

    /// A few nodes more of the tree, which went on changing; what was written at the end.
    pub fn step(&mut self, life: &mut Life, tree: &Tree) -> Result<Option<SealedSnapshot<FaultyDisk>>, StoreError> {
        let Some((mut walk, mut file)) = self.0.take() else { return Ok(None) };
        let mut chunk = Vec::new();
        let last = walk.step(tree, 1 + life.dice.index(8), |node| encode_node(&mut chunk, &node));
        file.write(&chunk)?;
        if last {
            return file.seal(tree.zxid(), tree.digest()).map(Some);
        }
        self.0 = Some((walk, file));
        Ok(None)
    }
}
