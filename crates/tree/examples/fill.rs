//! Fills a table and says what a node costs: bytes of RSS, and the slowest single operation in CPU time of the thread.
//!
//! usage: fill [--nodes N] [--fan-out one|ten] [--no-digest] [--limit-ms MS]
//!
//! The nodes have the profile of rules.md section 3: path 115 bytes, of which the last part 24, data 46. With
//! `--limit-ms` the exit code is 1 if the same operation took longer in each of three runs, or some operation four times
//! as long: no structure proportional to the tree may ever be moved at once. (One run proves nothing: a busy machine
//! charges its pauses to the thread, but not at the same operation again.)
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use ostler_model::{CreateOp, CreateTxn, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{Change, Tree, TreeConfig};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// The binary's allocator, so that what is measured is what runs.
#[global_allocator]
static ALLOCATOR: ostler_memory::Allocator = ostler_memory::allocator();

const DATA: [u8; 46] = [b'd'; 46];
/// With a limit: one run below it is enough.
const RUNS: usize = 3;
/// What no operation may take in all runs, in limits, even if it is another one each time.
const ANYWHERE: u32 = 4;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(what) => {
            println!("{what}\n  hint: fill [--nodes N] [--fan-out one|ten] [--no-digest] [--limit-ms MS]");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = ostler_memory::give_back_in_background() {
        println!("no thread that gives memory back: {error}");
        return ExitCode::FAILURE;
    }
    let Some(limit) = options.limit else {
        measure(&options);
        return ExitCode::SUCCESS;
    };
    let mut always: Option<BTreeSet<Operation>> = None;
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        let Slow { over, slowest } = measure(&options);
        least = least.min(slowest);
        always = Some(always.map_or_else(|| over.clone(), |always| &always & &over));
        if slowest <= limit {
            return ExitCode::SUCCESS;
        }
    }
    let always = always.unwrap_or_default();
    if always.is_empty() && least <= limit * ANYWHERE {
        println!("ok: no operation took more than {limit:?} in every run; the machine's pauses did");
        return ExitCode::SUCCESS;
    }
    println!(
        "FAILED: of {RUNS} runs, the best had an operation of {least:?}; above {limit:?} in all of them: {always:?}"
    );
    ExitCode::FAILURE
}

/// An operation by its kind and number.
type Operation = (&'static str, u32);

/// Slow operations of a run.
struct Slow {
    /// Those above the limit.
    over: BTreeSet<Operation>,
    slowest: Duration,
}

impl Slow {
    fn add(&mut self, run: &Run, kind: &'static str) {
        self.over.extend(run.over.iter().map(|number| (kind, *number)));
        self.slowest = self.slowest.max(run.report(kind));
    }
}

struct Options {
    nodes: u64,
    fan_out_ten: bool,
    digest: bool,
    limit: Option<Duration>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { nodes: 1_000_000, fan_out_ten: false, digest: true, limit: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--nodes" => options.nodes = value()?.parse().map_err(|error| format!("--nodes: {error}"))?,
                "--fan-out" => options.fan_out_ten = value()? == "ten",
                "--no-digest" => options.digest = false,
                "--limit-ms" => {
                    let ms: u64 = value()?.parse().map_err(|error| format!("--limit-ms: {error}"))?;
                    options.limit = Some(Duration::from_millis(ms));
                }
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(options)
    }

    /// The path of node `i`: all under one parent, or level by level with ten children each.
    fn path(&self, i: u64) -> String {
        if !self.fan_out_ten {
            return format!("/{:p<89}/{i:0>24}", "");
        }
        let (mut level, mut first, mut size) = (1, 0, 10);
        while i - first >= size {
            (level, first, size) = (level + 1, first + size, size * 10);
        }
        let digits = format!("{:0>level$}", i - first);
        let width = |depth| if depth == level && level >= 7 { 24 } else { 14 };
        digits.chars().zip(1..).map(|(digit, depth)| format!("/{digit:0>width$}", width = width(depth))).collect()
    }
}

fn measure(options: &Options) -> Slow {
    println!("control, the same computation again and again: slowest {:?}", control(options.nodes));
    let rss_empty = rss_bytes();
    let mut tree = Tree::new(TreeConfig { seed: 0x5eed, digest: options.digest });
    let mut run = Run::new(options);
    if !options.fan_out_ten {
        run.apply(&mut tree, &create(format!("/{:p<89}", "")));
    }
    for i in 0..options.nodes {
        run.apply(&mut tree, &create(options.path(i)));
    }
    let rss = rss_bytes() - rss_empty;
    println!(
        "nodes {}, fan-out {}, digest {}",
        options.nodes,
        if options.fan_out_ten { "10" } else { "one parent" },
        options.digest
    );
    println!("RSS per node: {:.1} bytes ({} MiB in all)", rss as f64 / options.nodes as f64, rss >> 20);
    let mut slow = Slow { over: BTreeSet::new(), slowest: Duration::ZERO };
    slow.add(&run, "create");
    look_up(options, &tree);
    slow.add(&walk(options, &tree), "walk (256 nodes)");

    let mut run = Run::new(options);
    for i in sample(options.nodes) {
        let data = Some(vec![b'x'; 46 + i as usize % 20]);
        run.apply(&mut tree, &Txn::SetData { path: options.path(i), data, version: 1 });
    }
    slow.add(&run, "setData");
    let mut run = Run::new(options);
    for i in (0..options.nodes).rev() {
        run.apply(&mut tree, &Txn::Delete { path: options.path(i) });
    }
    slow.add(&run, "delete");
    println!("RSS after deleting all: {} MiB", rss_bytes().saturating_sub(rss_empty) >> 20);
    slow
}

fn create(path: String) -> Txn {
    let (op, acl, data) = (CreateOp::Create, open_acl(), Some(DATA.to_vec()));
    Txn::Create(CreateTxn { op, path, data, acl, ephemeral: false, parent_cversion: -1, ttl: 0 })
}

/// A million nodes in an order that no cache foresees.
fn sample(nodes: u64) -> impl Iterator<Item = u64> {
    (0..nodes.min(1_000_000)).map(move |i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % nodes)
}

fn look_up(options: &Options, tree: &Tree) {
    let paths: Vec<String> = sample(options.nodes).collect::<Vec<_>>().iter().map(|i| options.path(*i)).collect();
    for (name, repeat) in [("anywhere in the table", 1), ("among 1,000 nodes", 1_000)] {
        let subset = if repeat == 1 { &paths[..] } else { &paths[..paths.len().min(1_000)] };
        let start = thread_time();
        let mut bytes = 0;
        for path in (0..repeat).flat_map(|_| subset) {
            let node = tree.node(path).expect("it was created");
            bytes += node.data().map_or(0, <[u8]>::len) + node.stat().num_children as usize;
        }
        let each = (thread_time() - start).as_nanos() / (subset.len() * repeat) as u128;
        println!("get (path, data, stat) {name}: {each} ns ({bytes} bytes)");
    }
}

fn walk(options: &Options, tree: &Tree) -> Run {
    let mut walk = tree.walk();
    let (mut run, mut bytes, mut done) = (Run::new(options), 0, false);
    while !done {
        let start = thread_time();
        done = walk.step(tree, 256, |image| bytes += image.path.len() + image.data.map_or(0, <[u8]>::len));
        run.took(thread_time() - start);
    }
    println!("walk: {:?} in {} steps ({bytes} bytes)", run.total, run.count);
    run
}

/// What the machine alone adds to the slowest operation: CPU time of some microseconds of hashing, `times` times.
fn control(times: u64) -> Duration {
    let block = [7; 20_000];
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        let start = thread_time();
        std::hint::black_box(ostler_tree::content_crc("", Some(std::hint::black_box(&block))));
        slowest = slowest.max(thread_time() - start);
    }
    slowest
}

struct Run {
    limit: Duration,
    /// Numbers of the operations above the limit.
    over: Vec<u32>,
    count: u32,
    /// Operations above a millisecond.
    slow: u32,
    total: Duration,
    slowest: Duration,
    slowest_at: u32,
    changes: Vec<Change>,
}

impl Run {
    fn new(options: &Options) -> Run {
        let (total, slowest, changes) = (Duration::ZERO, Duration::ZERO, Vec::new());
        let limit = options.limit.unwrap_or(Duration::MAX);
        Run { limit, over: Vec::new(), count: 0, slow: 0, total, slowest, slowest_at: 0, changes }
    }

    fn apply(&mut self, tree: &mut Tree, txn: &Txn) {
        let zxid = Zxid(tree.zxid().0 + 1);
        let header = TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 1_795_292_399_250 };
        self.changes.clear();
        let start = thread_time();
        tree.apply(&header, txn, &mut self.changes);
        self.took(thread_time() - start);
        assert_eq!(self.changes.len(), 1, "{txn:?} fits");
    }

    fn took(&mut self, took: Duration) {
        self.total += took;
        if took > self.limit {
            self.over.push(self.count);
        }
        self.slow += u32::from(took > Duration::from_millis(1));
        if took > self.slowest {
            (self.slowest, self.slowest_at) = (took, self.count);
        }
        self.count += 1;
    }

    fn report(&self, name: &str) -> Duration {
        let mean = self.total / self.count.max(1);
        let Run { slowest, slowest_at, slow, .. } = self;
        println!("{name}: mean {mean:?}, slowest {slowest:?} (number {slowest_at}), {slow} above 1 ms");
        self.slowest
    }
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second field is the RSS");
    pages * rustix::param::page_size() as u64
}
