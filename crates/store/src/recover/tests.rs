//! Recovery beyond the golden data: what is joined, what is refused, what is made durable.

use super::{Progress, RecoverOptions, Recovered, recover};
use crate::faulty::{Fault, FaultyDisk, Stop};
use crate::testing::{Model, dirs, disk, listing};
use crate::{
    DataDirs, Disk, DiskFile, Log, LogConfig, SnapshotFile, SnapshotFormat, StoreError, encode_node,
    encode_snapshot_start, write_snapshot,
};
use ostler_model::{CreateOp, CreateTxn, ErrorCode, StoredStat, Txn, TxnHeader, Zxid, read_only_acl};
use ostler_tree::{NodeImage, Tree, TreeConfig};
use ostler_wire::txn::encode;
use std::io;
use std::path::PathBuf;

const CONFIG: TreeConfig = TreeConfig { seed: 2, digest: true };

fn path(name: &str) -> PathBuf {
    dirs().logs().join(name)
}

fn run(disk: &FaultyDisk) -> Result<Recovered, StoreError> {
    recover(disk, &dirs(), &RecoverOptions::new(CONFIG), &mut |_| {})
}

fn accepting(disk: &FaultyDisk) -> Recovered {
    let options = RecoverOptions { accept_gap: true, ..RecoverOptions::new(CONFIG) };
    recover(disk, &dirs(), &options, &mut |_| {}).unwrap()
}

fn names(disk: &FaultyDisk) -> Vec<String> {
    disk.list(&dirs().logs()).unwrap().into_iter().map(|entry| entry.name).collect()
}

/// A database of `zxids`, one file for each range, records with an error body: easy to count.
fn logs(ranges: &[(Zxid, Zxid)]) -> FaultyDisk {
    let disk = disk();
    write_snapshot(&disk, &dirs(), &Tree::new(CONFIG), SnapshotFormat::default()).unwrap();
    for (first, last) in ranges {
        write_log(&disk, (first.0..=last.0).map(|zxid| (Zxid(zxid), record(Zxid(zxid)))));
    }
    disk
}

fn record(zxid: Zxid) -> Vec<u8> {
    let mut payload = Vec::new();
    encode(&mut payload, &TxnHeader { zxid, ..TxnHeader::default() }, &Txn::Error(ErrorCode::NoNode), None);
    payload
}

fn write_log(disk: &FaultyDisk, records: impl Iterator<Item = (Zxid, Vec<u8>)>) {
    let config = LogConfig { preallocate_bytes: 0, ..LogConfig::new(dirs().logs(), 1) };
    let mut log = Log::new(disk.clone(), config);
    for (zxid, payload) in records {
        let _ = log.append(zxid, &payload).unwrap();
    }
    log.commit().unwrap();
}

/// Changes a file in place.
fn damage(disk: &FaultyDisk, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = disk.contents(&path(name)).unwrap();
    change(&mut bytes);
    disk.put(&path(name), &bytes);
}

fn z(counter: i64) -> Zxid {
    Zxid(counter)
}

/// The refusal names the file and the offset and has a hint.
fn assert_refused(disk: &FaultyDisk, parts: &[&str]) {
    let error = run(disk).expect_err("must be refused").to_string();
    for part in parts.iter().chain(&["hint: "]) {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_fresh_directory_becomes_a_database_once() {
    let disk = disk();
    let first = run(&disk).unwrap();
    assert!(first.facts.created);
    assert_eq!(first.facts.digest, 1_371_985_504);
    assert_eq!(names(&disk), ["snapshot.0"]);
    disk.restart(Stop::PowerCutSectors);
    let second = run(&disk).unwrap();
    assert!(!second.facts.created);
    assert_eq!(second.facts.snapshot.as_deref(), Some("snapshot.0"));
}

#[test]
fn without_autocreate_only_the_marker_allows_a_new_database() {
    let options = RecoverOptions { autocreate: false, ..RecoverOptions::new(CONFIG) };
    for marker in ["/d/initialize", "/l/initialize"] {
        let dirs = DataDirs::new("/d", Some("/l".into()));
        let disk = FaultyDisk::new(1);
        dirs.prepare(&disk, true).unwrap();
        let error = recover(&disk, &dirs, &options, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("/d/version-2") && error.contains("hint: create the file /d/initialize"), "{error}");
        disk.put(marker.as_ref(), b"");
        assert!(recover(&disk, &dirs, &options, &mut |_| {}).unwrap().facts.created);
        assert!(disk.contents(marker.as_ref()).is_none(), "it is good for one start");
        disk.put(marker.as_ref(), b"");
        assert!(!recover(&disk, &dirs, &options, &mut |_| {}).unwrap().facts.created);
        assert!(disk.contents(marker.as_ref()).is_none(), "needed or not");
    }
}

#[test]
fn a_lone_broken_snapshot_is_not_taken_for_an_empty_directory() {
    let disk = disk();
    disk.put(&path("snapshot.5"), b"ZKSN half of it");
    assert_refused(&disk, &["no valid snapshot", "/d/version-2", "snapshot.5"]);
    assert_eq!(names(&disk), ["snapshot.5"]);
}

#[test]
fn a_snapshot_0_that_was_never_completed_is_an_empty_directory() {
    // Apache writes it in place: a crash in the first start leaves this behind.
    let disk = disk();
    disk.put(&path("snapshot.0"), b"");
    assert!(run(&disk).unwrap().facts.created);
    assert_eq!(run(&disk).unwrap().facts.snapshot.as_deref(), Some("snapshot.0"));
}

#[test]
fn a_torn_log_that_is_no_longer_the_newest_is_joined_where_it_ends() {
    let disk = logs(&[(z(1), z(5)), (z(5), z(9))]);
    // The crash tore record 5; the next start wrote it again, as the first of a new log.
    damage(&disk, "log.1", |bytes| bytes.truncate(bytes.len() - 3));
    let recovered = run(&disk).unwrap();
    assert_eq!((recovered.tree.zxid(), recovered.facts.records), (z(9), 9));
    assert_eq!(recovered.facts.torn_tail, None);
    assert!(recovered.facts.warnings.is_empty());
}

#[test]
fn a_hole_between_files_is_refused() {
    let disk = logs(&[(z(1), z(5)), (z(6), z(9))]);
    damage(&disk, "log.1", |bytes| bytes.truncate(bytes.len() - 3));
    assert_refused(&disk, &["log.6", "0x6", "0x4", "log.1 ends at offset", "inside a record", "--accept-gap"]);
    let recovered = accepting(&disk);
    assert_eq!((recovered.tree.zxid(), recovered.facts.records, recovered.facts.warnings.len()), (z(9), 8, 1));
}

#[test]
fn a_hole_inside_a_file_is_refused() {
    let disk = logs(&[]);
    write_log(&disk, [1, 2, 4, 5].into_iter().map(|zxid| (z(zxid), record(z(zxid)))));
    let offset = 16 + 2 * (record(z(1)).len() + 13);
    assert_refused(&disk, &["log.1", "0x4", "0x2", &format!("offset {offset}")]);
    assert_eq!(accepting(&disk).tree.zxid(), z(5));
}

#[test]
fn the_name_of_a_log_without_records_counts() {
    let disk = logs(&[(z(1), z(5)), (z(8), z(8))]);
    damage(&disk, "log.8", |bytes| bytes.truncate(16));
    assert_refused(&disk, &["log.8", "0x8", "0x5"]);
    damage(&disk, "log.8", Vec::clear);
    // An empty newest file is removed, as by Apache.
    let recovered = run(&disk).unwrap();
    assert_eq!(recovered.tree.zxid(), z(5));
    assert_eq!(recovered.facts.warnings.len(), 1);
    assert!(!names(&disk).contains(&"log.8".to_owned()));
}

#[test]
fn epochs_join_at_their_first_transaction_only() {
    let disk = logs(&[(z(1), z(5)), (Zxid::new(2, 1), Zxid::new(2, 3))]);
    assert_eq!(run(&disk).unwrap().tree.zxid(), Zxid::new(2, 3));
    let disk = logs(&[(z(1), z(5)), (Zxid::new(2, 2), Zxid::new(2, 3))]);
    assert_refused(&disk, &["log.200000002", "0x5"]);
}

#[test]
fn logs_may_end_before_the_snapshot() {
    let disk = logs(&[(z(1), z(5))]);
    let mut tree = Tree::new(CONFIG);
    for zxid in 1..=8 {
        let header = TxnHeader { zxid: z(zxid), ..TxnHeader::default() };
        tree.apply(&header, &Txn::Error(ErrorCode::NoNode), &mut Vec::new());
    }
    write_snapshot(&disk, &dirs(), &tree, SnapshotFormat::default()).unwrap();
    assert_eq!(run(&disk).unwrap().tree.zxid(), z(8));
    write_log(&disk, [(z(9), record(z(9)))].into_iter());
    assert_eq!(run(&disk).unwrap().tree.zxid(), z(9));
    // But not from an older snapshot.
    damage(&disk, "snapshot.8", |bytes| bytes[100] ^= 1);
    assert_refused(&disk, &["log.9", "0x9", "0x5"]);
}

#[test]
fn a_copy_of_a_log_beside_it_is_skipped_with_a_warning() {
    let disk = logs(&[(z(1), z(5)), (z(6), z(9))]);
    let copy = disk.contents(&path("log.1")).unwrap();
    disk.put(&path("log.1.bak"), &copy[..copy.len() - 60]);
    let recovered = run(&disk).unwrap();
    assert_eq!((recovered.tree.zxid(), recovered.facts.records), (z(9), 9));
    assert!(recovered.facts.warnings[0].contains("log.1.bak"), "{:?}", recovered.facts.warnings);
}

#[test]
fn a_torn_newest_log_loses_its_last_record_only() {
    let disk = logs(&[(z(1), z(5))]);
    damage(&disk, "log.1", |bytes| bytes.truncate(bytes.len() - 1));
    let recovered = run(&disk).unwrap();
    assert_eq!(recovered.tree.zxid(), z(4));
    let offset = 16 + 4 * (record(z(1)).len() as u64 + 13);
    assert_eq!(recovered.facts.torn_tail, Some(("log.1".to_owned(), offset)));
}

#[test]
fn a_lost_sector_is_a_torn_tail_only_if_nothing_follows() {
    let set = |zxid| {
        let mut payload = Vec::new();
        let txn = Txn::SetData { path: "/".into(), data: Some(vec![7; 3000]), version: 1 };
        encode(&mut payload, &TxnHeader { zxid, ..TxnHeader::default() }, &txn, None);
        payload
    };
    let disk = logs(&[]);
    write_log(&disk, (1..=3).map(|zxid| (z(zxid), set(z(zxid)))));
    let start = |zxid: usize| 16 + (zxid - 1) * (set(z(1)).len() + 13);
    let sector = |zxid| (start(zxid) + 12 + 100).next_multiple_of(512);
    damage(&disk, "log.1", |bytes| bytes[sector(3)..sector(3) + 512].fill(0));
    let recovered = run(&disk).unwrap();
    assert_eq!(recovered.tree.zxid(), z(2));
    assert_eq!(recovered.facts.torn_tail, Some(("log.1".to_owned(), start(3) as u64)));
    damage(&disk, "log.1", |bytes| bytes[sector(2)..sector(2) + 512].fill(0));
    assert_refused(&disk, &["log.1", &format!("offset {}", start(2)), "checksum"]);
    assert!(run(&disk).is_err());
}

#[test]
fn what_was_read_is_durable_afterwards() {
    // A killed server leaves appended records in the page cache. A client that sees them after the restart must see them
    // after a power cut too.
    for seed in 0..20 {
        let disk = FaultyDisk::new(seed);
        dirs().prepare(&disk, true).unwrap();
        run(&disk).unwrap();
        let config = LogConfig { preallocate_bytes: 100, force_sync: false, ..LogConfig::new(dirs().logs(), 1) };
        let mut log = Log::new(disk.clone(), config);
        for zxid in 1..=9 {
            let _ = log.append(z(zxid), &record(z(zxid))).unwrap();
            log.commit().unwrap();
        }
        disk.restart(Stop::Kill);
        assert_eq!(run(&disk).unwrap().tree.zxid(), z(9));
        disk.restart(Stop::PowerCut);
        assert_eq!(run(&disk).unwrap().tree.zxid(), z(9), "seed {seed}");
    }
}

#[test]
fn names_that_were_read_are_durable_afterwards() {
    // Apache does not sync the directory of a new log.
    for seed in 0..10 {
        let disk = FaultyDisk::new(seed);
        dirs().prepare(&disk, true).unwrap();
        run(&disk).unwrap();
        let bytes = {
            let disk = logs(&[(z(1), z(5))]);
            disk.contents(&path("log.1")).unwrap()
        };
        let mut file = disk.create(&path("log.1")).unwrap();
        file.write_at(0, &bytes).unwrap();
        file.sync().unwrap();
        disk.restart(Stop::Kill);
        assert_eq!(run(&disk).unwrap().tree.zxid(), z(5));
        disk.restart(Stop::PowerCut);
        assert_eq!(run(&disk).unwrap().tree.zxid(), z(5), "seed {seed}");
    }
}

#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    // The server stops when a sync fails; the next one reads from the page cache what the disk never got, and a sync alone
    // would succeed without writing it.
    let disk = logs(&[]);
    let config = LogConfig { preallocate_bytes: 100, ..LogConfig::new(dirs().logs(), 1) };
    let mut log = Log::new(disk.clone(), config);
    let _ = log.append(z(1), &record(z(1))).unwrap();
    log.commit().unwrap();
    let _ = log.append(z(2), &record(z(2))).unwrap();
    disk.fail_at(2, Fault::Device);
    assert!(log.commit().is_err());
    disk.restart(Stop::Kill);
    assert_eq!(run(&disk).unwrap().tree.zxid(), z(2));
    disk.restart(Stop::PowerCut);
    assert_eq!(run(&disk).unwrap().tree.zxid(), z(2));
}

#[test]
fn a_rejected_snapshot_leaves_nothing_behind() {
    let mut model = Model::new(9, CONFIG);
    let disk = disk();
    write_snapshot(&disk, &dirs(), model.tree(), SnapshotFormat::default()).unwrap();
    for _ in 0..300 {
        model.step();
    }
    write_log(&disk, (1..=300).map(|zxid| (z(zxid), model.record(z(zxid)).to_vec())));
    write_snapshot(&disk, &dirs(), model.tree(), SnapshotFormat::default()).unwrap();
    // Whole but for the last seal's checksum.
    damage(&disk, "snapshot.12c", |bytes| {
        let at = bytes.len() - 6;
        bytes[at] ^= 1;
    });
    let recovered = run(&disk).unwrap();
    assert_eq!(recovered.facts.snapshot.as_deref(), Some("snapshot.0"));
    assert_eq!(recovered.facts.rejected_snapshots[0].0, "snapshot.12c");
    assert_eq!(recovered.facts.digest_mismatches, 0);
    assert_eq!(listing(&recovered.tree), listing(model.tree()));
}

#[test]
fn a_digest_that_does_not_match_is_counted() {
    let mut model = Model::new(4, CONFIG);
    for _ in 0..50 {
        model.step();
    }
    let is_error = |zxid| model.record(z(zxid))[28..32] == (-1_i32).to_be_bytes();
    let bad = (30..=50).find(|zxid| !is_error(*zxid)).unwrap();
    let disk = logs(&[]);
    write_log(
        &disk,
        (1..=50).map(|zxid| {
            let mut payload = model.record(z(zxid)).to_vec();
            if zxid == bad {
                // The last byte of a record with a digest belongs to it.
                *payload.last_mut().unwrap() ^= 1;
            }
            (z(zxid), payload)
        }),
    );
    let facts = run(&disk).unwrap().facts;
    assert_eq!((facts.digest_mismatches, facts.first_mismatch), (1, Some(z(bad))));
}

#[test]
fn a_fuzzy_snapshot_is_compared_where_its_digest_belongs_and_records_only_behind() {
    // The snapshot is named 10, its content and digest are those of 20; the log goes on to 40.
    let mut model = Model::new(8, CONFIG);
    for _ in 0..20 {
        model.step();
    }
    let later = (model.tree().digest(), model.tree().zxid());
    let base = logs(&[]);
    write_snapshot(&base, &dirs(), model.tree(), SnapshotFormat::default()).unwrap();
    let snapshot = base.contents(&path("snapshot.14")).unwrap();
    for _ in 0..20 {
        model.step();
    }
    let disk = logs(&[]);
    disk.put(&path("snapshot.a"), &snapshot);
    write_log(&disk, (1..=40).map(|zxid| (z(zxid), model.record(z(zxid)).to_vec())));
    let facts = run(&disk).unwrap().facts;
    assert_eq!((facts.snapshot.as_deref(), facts.records), (Some("snapshot.a"), 30));
    assert_eq!((facts.digest_mismatches, facts.digest), (0, model.tree().digest()));
    assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    // The same with a digest that is wrong: noticed once, at 20.
    let digest_at = snapshot.len() - 21 - 13 - 8;
    assert_eq!(snapshot[digest_at..digest_at + 8], later.0.to_be_bytes());
    let mut file = SnapshotFile::create(&disk, &dirs(), z(10), SnapshotFormat::default()).unwrap();
    let nodes_end = digest_at - 12 - 13 - 5;
    file.write(&snapshot[..nodes_end]).unwrap();
    file.seal(later.1, later.0 ^ 1).unwrap().publish().unwrap();
    let facts = run(&disk).unwrap().facts;
    assert_eq!((facts.digest_mismatches, facts.first_mismatch), (1, Some(z(20))));
    // A log that does not reach the snapshot's digest.
    damage(&disk, "log.1", |bytes| {
        let len = (1..=15).map(|zxid| model.record(z(zxid)).len() + 13).sum::<usize>();
        bytes.truncate(16 + len);
    });
    let facts = run(&disk).unwrap().facts;
    assert_eq!(facts.warnings.len(), 1, "{:?}", facts.warnings);
}

#[test]
fn a_record_that_does_not_parse_is_refused() {
    let disk = logs(&[(z(1), z(3))]);
    let mut unknown = record(z(4));
    unknown[28..32].copy_from_slice(&77_i32.to_be_bytes());
    write_log(&disk, [(z(4), unknown)].into_iter());
    assert_refused(&disk, &["log.4", "offset 16", "0x4", "77"]);
    write_log(&disk, [(z(4), vec![0; 20])].into_iter());
    assert_refused(&disk, &["log.4", "offset 16", "20 bytes"]);
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let disk = logs(&[(z(1), z(3))]);
    disk.put(&path("new.log.4.tmp"), b"ZK");
    disk.put(&path("new.snapshot.3.gz.tmp"), b"");
    run(&disk).unwrap();
    assert_eq!(names(&disk), ["log.1", "snapshot.0"]);
}

#[test]
fn progress_is_told() {
    let disk = logs(&[(z(1), z(25_000))]);
    let mut told: Vec<Progress> = Vec::new();
    recover(&disk, &dirs(), &RecoverOptions::new(CONFIG), &mut |progress| told.push(progress)).unwrap();
    assert!(told.iter().any(|progress| progress.records == 20_000));
    let last = told.last().unwrap();
    assert_eq!((last.records, last.nodes), (25_000, 4));
    assert!(last.bytes > 25_000 * 40 && last.bytes <= last.bytes_total, "{last:?}");
}

/// A snapshot at zxid 1 whose nodes are given, after a log's first record.
fn snapshot_with(nodes: &[NodeImage<'_>]) -> FaultyDisk {
    let disk = logs(&[(z(1), z(1))]);
    let walk = Tree::new(CONFIG).walk();
    let mut file = SnapshotFile::create(&disk, &dirs(), z(1), SnapshotFormat::default()).unwrap();
    let mut bytes = Vec::new();
    encode_snapshot_start(&mut bytes, &walk);
    nodes.iter().for_each(|node| encode_node(&mut bytes, node));
    file.write(&bytes).unwrap();
    // Digest zxid 0: nothing to compare.
    file.seal(Zxid::ZERO, 0).unwrap().publish().unwrap();
    disk
}

#[test]
fn an_acl_that_the_table_does_not_have_must_come_from_the_log() {
    let stat = StoredStat::default();
    let root = NodeImage { path: "", data: None, acl_id: -1, stat };
    let node = NodeImage { path: "/late", data: None, acl_id: 77, stat };
    let disk = snapshot_with(&[root.clone(), node.clone()]);
    assert_refused(&disk, &["/late", "ACL"]);
    let create = Txn::Create(CreateTxn {
        op: CreateOp::Create,
        path: "/late".into(),
        data: None,
        acl: read_only_acl(),
        ephemeral: false,
        parent_cversion: 1,
        ttl: 0,
    });
    let mut payload = Vec::new();
    encode(&mut payload, &TxnHeader { zxid: z(2), ..TxnHeader::default() }, &create, None);
    write_log(&disk, [(z(2), payload)].into_iter());
    let recovered = run(&disk).unwrap();
    assert_eq!(recovered.tree.node("/late").unwrap().acl(), &read_only_acl());
}

#[test]
fn the_last_of_two_copies_of_a_node_counts() {
    let stat = StoredStat::default();
    let root = NodeImage { path: "", data: None, acl_id: -1, stat };
    let node = NodeImage { path: "/n", data: Some(b"old"), acl_id: -1, stat };
    let disk = snapshot_with(&[root, node.clone(), NodeImage { data: Some(b"new"), ..node }]);
    assert_eq!(run(&disk).unwrap().tree.node("/n").unwrap().data(), Some(&b"new"[..]));
}

#[test]
fn the_messages_of_the_operating_system_come_with_a_hint() {
    for (kind, word) in [
        (io::ErrorKind::PermissionDenied, "chown"),
        (io::ErrorKind::ReadOnlyFilesystem, "remount"),
        (io::ErrorKind::StorageFull, "free space"),
        (io::ErrorKind::NotFound, "configuration"),
        (io::ErrorKind::Other, "kernel log"),
    ] {
        let text = StoreError::io("write", "/d/version-2/log.1")(kind.into()).to_string();
        for part in ["cannot write /d/version-2/log.1", "hint: ", word] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
