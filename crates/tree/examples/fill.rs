//! Fills a table and says what a node costs: bytes of RSS, and the slowest single operation in CPU time of the thread.
//!
//! usage: fill [--nodes N] [--fan-out one|ten] [--no-digest] [--limit-ms MS]
//!
//! The nodes have the profile of rules.md section 3: path 115 bytes, of which the last part 24, data 46. With
//! `--limit-ms` the exit code is 1 if one operation took longer, in each of three runs: no structure proportional to
//! the tree may ever be moved at once. (One run proves nothing: a busy machine charges its pauses to the thread.)
#![allow(clippy::print_stdout, reason = "a program for the command line")]

use ostler_model::{CreateOp, CreateTxn, SessionId, Txn, TxnHeader, Zxid, open_acl};
use ostler_tree::{Change, Tree, TreeConfig};
use std::process::ExitCode;
use std::time::Duration;

/// The binary's allocator, so that what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DATA: [u8; 46] = [b'd'; 46];
/// With a limit: one run below it is enough.
const RUNS: usize = 3;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(what) => {
            println!("{what}\n  hint: fill [--nodes N] [--fan-out one|ten] [--no-digest] [--limit-ms MS]");
            return ExitCode::from(2);
        }
    };
    let Some(limit) = options.limit else {
        measure(&options);
        return ExitCode::SUCCESS;
    };
    if (0..RUNS).any(|_| measure(&options) <= limit) {
        return ExitCode::SUCCESS;
    }
    println!("FAILED: in each of {RUNS} runs, one operation took more than {limit:?} of CPU time");
    ExitCode::FAILURE
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

fn measure(options: &Options) -> Duration {
    println!("control, the same computation again and again: slowest {:?}", control(options.nodes));
    let rss_empty = rss_bytes();
    let mut tree = Tree::new(TreeConfig { seed: 0x5eed, digest: options.digest });
    let mut run = Run::default();
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
    let mut slowest = run.report("create");
    look_up(options, &tree);
    slowest = slowest.max(walk(&tree));

    let mut run = Run::default();
    for i in sample(options.nodes) {
        let data = Some(vec![b'x'; 46 + i as usize % 20]);
        run.apply(&mut tree, &Txn::SetData { path: options.path(i), data, version: 1 });
    }
    slowest = slowest.max(run.report("setData"));
    let mut run = Run::default();
    for i in (0..options.nodes).rev() {
        run.apply(&mut tree, &Txn::Delete { path: options.path(i) });
    }
    slowest = slowest.max(run.report("delete"));
    println!("RSS after deleting all: {} MiB", rss_bytes().saturating_sub(rss_empty) >> 20);
    slowest
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

fn walk(tree: &Tree) -> Duration {
    let begin = thread_time();
    let mut walk = tree.walk();
    let (mut slowest, mut steps, mut bytes, mut done) = (Duration::ZERO, 0_u64, 0, false);
    while !done {
        let start = thread_time();
        done = walk.step(tree, 256, |image| bytes += image.path.len() + image.data.map_or(0, <[u8]>::len));
        slowest = slowest.max(thread_time() - start);
        steps += 1;
    }
    println!("walk: {:?} in {steps} steps of 256 nodes, slowest {slowest:?} ({bytes} bytes)", thread_time() - begin);
    slowest
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

#[derive(Default)]
struct Run {
    count: u32,
    /// Operations above a millisecond.
    slow: u32,
    total: Duration,
    slowest: Duration,
    slowest_at: u32,
    changes: Vec<Change>,
}

impl Run {
    fn apply(&mut self, tree: &mut Tree, txn: &Txn) {
        let zxid = Zxid(tree.zxid().0 + 1);
        let header = TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 1_795_292_399_250 };
        self.changes.clear();
        let start = thread_time();
        tree.apply(&header, txn, &mut self.changes);
        let took = thread_time() - start;
        assert_eq!(self.changes.len(), 1, "{txn:?} fits");
        self.total += took;
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
