//! How long a restart takes: fills a tree, writes it as a snapshot with some log behind it, and recovers it.
//! `cargo run --release -p ostler-store --example restart -- DIR [NODES] [RECORDS]`. The profile is that of the design: paths of
//! 115 bytes of which the last part is 24, data of 46 bytes; directories of 1,000 nodes.
//! With NODES = 0 it recovers what an earlier run left in DIR.
#![allow(clippy::print_stdout, reason = "a command-line tool")]

use ostler_model::{CreateOp, CreateTxn, Txn, TxnHeader, Zxid, open_acl};
use ostler_store::{
    Compression, DataDirs, Log, LogConfig, RealDisk, RecoverOptions, SnapshotFormat, recover, write_snapshot,
};
use ostler_tree::{Tree, TreeConfig};
use ostler_wire::txn::{DIGEST_VERSION, TxnDigest, encode};
use std::time::Instant;

/// The binary's allocator, so that what is measured is what runs.
#[global_allocator]
static ALLOCATOR: ostler_memory::Allocator = ostler_memory::allocator();

const CONFIG: TreeConfig = TreeConfig { seed: 7, digest: true };
const DIRECTORY_NODES: i64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let dir = args.get(1).ok_or("usage: restart DIR [NODES] [RECORDS]")?;
    let number = |at: usize, default: i64| args.get(at).map_or(Ok(default), |text| text.parse());
    let (nodes, records) = (number(2, 1_000_000)?, number(3, 100_000)?);
    let dirs = DataDirs::new(dir, None);
    dirs.prepare(&RealDisk, true)?;
    if nodes == 0 {
        // What lies there already.
        return recover_once(&dirs);
    }
    let mut tree = Tree::new(CONFIG);
    let prefix = format!("/{}", "p".repeat(72));
    let mut zxid = 0;
    let mut create = |tree: &mut Tree, path: String| {
        zxid += 1;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent_cversion = tree.node(parent).map_or(0, |node| node.stored().cversion + 1);
        let header = TxnHeader { zxid: Zxid(zxid), cxid: 1, time_ms: 1_700_000_000_000 + zxid, ..TxnHeader::default() };
        let data = Some(vec![b'd'; 46]);
        let op = CreateOp::Create2;
        let txn = Txn::Create(CreateTxn { op, path, data, acl: open_acl(), ephemeral: false, parent_cversion, ttl: 0 });
        tree.apply(&header, &txn, &mut Vec::new());
        (header, txn)
    };
    let start = Instant::now();
    create(&mut tree, prefix.clone());
    for i in 0..nodes {
        let directory = format!("{prefix}/{:016}", i / DIRECTORY_NODES);
        if i % DIRECTORY_NODES == 0 {
            create(&mut tree, directory.clone());
        }
        create(&mut tree, format!("{directory}/{i:024}"));
    }
    println!("filled {} nodes in {:.2} s", tree.node_count(), start.elapsed().as_secs_f64());
    for compression in [Compression::Gzip, Compression::Snappy, Compression::None] {
        let start = Instant::now();
        let format = SnapshotFormat { compression, ..SnapshotFormat::default() };
        let path = write_snapshot(&RealDisk, &dirs, &tree, format)?;
        let bytes = std::fs::metadata(&path)?.len();
        println!("{}: {bytes} bytes written in {:.2} s", path.display(), start.elapsed().as_secs_f64());
        recover_once(&dirs)?;
        if compression != Compression::None {
            std::fs::remove_file(path)?;
        }
    }
    let mut log = Log::new(RealDisk, LogConfig { snap_count: u32::MAX, ..LogConfig::new(dirs.logs(), 1) });
    let start = Instant::now();
    let mut payload = Vec::new();
    for i in 0..records {
        let (header, txn) = create(&mut tree, format!("{prefix}/x{i:023}"));
        payload.clear();
        encode(&mut payload, &header, &txn, Some(TxnDigest { version: DIGEST_VERSION, tree_digest: tree.digest() }));
        let _ = log.append(header.zxid, &payload)?;
        if i % 1_000 == 0 {
            log.commit()?;
        }
    }
    log.commit()?;
    println!("{records} records logged in {:.2} s", start.elapsed().as_secs_f64());
    recover_once(&dirs)
}

fn recover_once(dirs: &DataDirs) -> Result<(), Box<dyn std::error::Error>> {
    let cpu = cpu_seconds();
    let recovered = recover(&RealDisk, dirs, &RecoverOptions::new(CONFIG), &mut |_| {})?;
    let facts = recovered.facts;
    println!(
        "recovered {} nodes and {} records: snapshot {:.2} s, log {:.2} s, together {:.2} s of CPU, {} digest mismatches",
        recovered.tree.node_count(),
        facts.records,
        facts.snapshot_time.as_secs_f64(),
        facts.replay_time.as_secs_f64(),
        cpu_seconds() - cpu,
        facts.digest_mismatches,
    );
    Ok(())
}

/// CPU time of this process so far, from the kernel's count of 10 ms ticks.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
