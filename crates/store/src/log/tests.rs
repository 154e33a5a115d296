//! Writing and reading logs, byte by byte and through faults.

use super::{Commit, End, Log, LogConfig, LogReader};
use crate::faulty::{Fault, FaultyDisk, Stop};
use crate::{Disk, StoreError};
use ostler_model::Zxid;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const DIR: &str = "/d/version-2";

fn disk() -> FaultyDisk {
    let disk = FaultyDisk::new(7);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

fn config() -> LogConfig {
    LogConfig { preallocate_bytes: 8192, ..LogConfig::new(DIR.into(), 1) }
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn names(disk: &FaultyDisk) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
}

/// Records, and how they end.
fn read(disk: &FaultyDisk, name: &str) -> Result<(Vec<Vec<u8>>, End), StoreError> {
    let mut reader = LogReader::open(disk.open(&path(name)).unwrap(), &path(name), 1 << 20)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record.payload.to_vec());
    }
    Ok((records, reader.end()))
}

fn append(log: &mut Log<FaultyDisk>, zxid: i64, payload: &[u8]) -> bool {
    log.append(Zxid(zxid), payload).unwrap().snapshot_due
}

#[test]
fn bytes_are_those_of_apache() {
    // The first record of storage.md 3.1 (createSession), written by Apache.
    let payload =
        hex("0100000f2e2e0000 00000000 0000000000000001 000001a1ffb019b9 fffffff6 00004e20 00000002 0000000051c6d660");
    let expected = hex(
        "5a4b4c47 00000002 0000000000000000 00000000b0550a41 00000030 0100000f2e2e0000 00000000 0000000000000001 000001a1ffb019b9 fffffff6 00004e20 00000002 0000000051c6d660 42",
    );
    let disk = disk();
    let mut log = Log::new(disk.clone(), config());
    append(&mut log, 1, &payload);
    log.commit().unwrap();
    let content = disk.contents(&path("log.1")).unwrap();
    assert_eq!(content[..expected.len()], expected);
    assert_eq!(content.len(), 16 + 8192);
    assert!(content[expected.len()..].iter().all(|byte| *byte == 0));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn nothing_is_written_before_the_first_append() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), config());
    let commit = log.commit().unwrap();
    assert_eq!(commit, Commit { last: None, records: 0, sync_time: std::time::Duration::ZERO, file_bytes: 0 });
    assert!(names(&disk).is_empty());
}

#[test]
fn a_fresh_file_has_the_length_of_apaches() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), LogConfig::new(DIR.into(), 1));
    append(&mut log, 1, b"x");
    assert_eq!(log.commit().unwrap().file_bytes, 67_108_880);
}

#[test]
fn many_records_are_one_write_and_one_sync() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), config());
    append(&mut log, 1, b"first");
    log.commit().unwrap();
    let before = disk.calls();
    for zxid in 2..=50 {
        append(&mut log, zxid, b"record");
    }
    let commit = log.commit().unwrap();
    assert_eq!((commit.records, commit.last), (49, Some(Zxid(50))));
    assert_eq!(disk.calls() - before, 2, "{:#?}", disk.trace());
    assert_eq!(read(&disk, "log.1").unwrap().0.len(), 50);
}

#[test]
fn the_file_grows_ahead_of_the_records() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), config());
    for zxid in 1..=100 {
        append(&mut log, zxid, &[7; 1000]);
        let commit = log.commit().unwrap();
        assert!(commit.file_bytes >= 16 + zxid as u64 * 1013);
        assert_eq!((commit.file_bytes - 16) % 8192, 0);
    }
    append(&mut log, 101, &[7; 100_000]);
    log.commit().unwrap();
    let (records, end) = read(&disk, "log.1").unwrap();
    assert_eq!((records.len(), end), (101, End::Padding));
}

#[test]
fn without_preallocation_the_file_ends_with_its_records() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), LogConfig { preallocate_bytes: 0, ..config() });
    append(&mut log, 1, b"abc");
    log.commit().unwrap();
    assert_eq!(disk.contents(&path("log.1")).unwrap().len(), 16 + 12 + 3 + 1);
    assert_eq!(read(&disk, "log.1").unwrap(), (vec![b"abc".to_vec()], End::Clean));
}

#[test]
fn rolls_by_count_with_a_random_part() {
    let mut rolls = Vec::new();
    for seed in 0..20 {
        let disk = disk();
        let mut log = Log::new(disk.clone(), LogConfig { snap_count: 100, seed, ..config() });
        let mut at = Vec::new();
        for zxid in 1..=400 {
            if append(&mut log, zxid, b"x") {
                at.push(zxid);
            }
        }
        log.commit().unwrap();
        let mut previous = 0;
        for zxid in &at {
            assert!((51..=100).contains(&(zxid - previous)), "{at:?}");
            previous = *zxid;
            // The record that triggered is the last of its file; the next one names the new file.
            assert!(names(&disk).contains(&format!("log.{:x}", zxid + 1)), "{:?}", names(&disk));
        }
        rolls.push(at);
    }
    rolls.sort();
    rolls.dedup();
    assert!(rolls.len() > 15, "the triggers differ by seed");
}

#[test]
fn rolls_by_size() {
    let disk = disk();
    let limit = 100 << 10;
    let mut log =
        Log::new(disk.clone(), LogConfig { snap_size_limit_bytes: limit, preallocate_bytes: 1024, ..config() });
    let due: Vec<i64> = (1..=300).filter(|zxid| append(&mut log, *zxid, &[1; 1000])).collect();
    assert!((50..=101).contains(&due[0]), "{due:?}");
    assert!(due.len() >= 2);
}

#[test]
fn a_size_limit_of_a_file_rolls_without_a_snapshot() {
    let disk = disk();
    let config = LogConfig { file_size_limit_bytes: 10_000, preallocate_bytes: 0, ..config() };
    let mut log = Log::new(disk.clone(), config);
    for zxid in 1..=25 {
        assert!(!append(&mut log, zxid, &[1; 1000]));
        log.commit().unwrap();
    }
    assert_eq!(names(&disk), ["log.1", "log.15", "log.b"]);
}

#[test]
fn after_a_failure_the_log_refuses_everything() {
    for fault in [Fault::Device, Fault::DiskFull] {
        for nth in 1.. {
            let disk = disk();
            let mut log = Log::new(disk.clone(), config());
            disk.fail_at(nth, fault);
            let mut run = || {
                let _ = log.append(Zxid(1), b"one")?;
                log.commit()?;
                let _ = log.append(Zxid(2), b"two")?;
                log.commit()
            };
            let Err(error) = run() else {
                // Six calls of the creation, a write and a sync of each commit, and the first zeros ahead.
                assert_eq!(nth, 12);
                break;
            };
            assert!(error.to_string().contains("hint: "), "{error}");
            assert!(matches!(log.commit(), Err(StoreError::LogFailed)));
            assert!(matches!(log.append(Zxid(3), b"x"), Err(StoreError::LogFailed)));
        }
    }
}

#[test]
fn a_sync_that_failed_once_is_not_trusted_again() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), config());
    append(&mut log, 1, b"one");
    log.commit().unwrap();
    append(&mut log, 2, b"two");
    disk.fail_at(2, Fault::Device);
    assert!(log.commit().is_err());
    assert!(log.commit().is_err());
    disk.restart(Stop::PowerCut);
    assert_eq!(read(&disk, "log.1").unwrap().0, [b"one".to_vec()], "the twin forgets what a failed sync lost");
}

#[test]
fn force_sync_off_does_not_sync_records() {
    let disk = disk();
    let mut log = Log::new(disk.clone(), LogConfig { force_sync: false, ..config() });
    append(&mut log, 1, b"one");
    log.commit().unwrap();
    let before = disk.calls();
    append(&mut log, 2, b"two");
    log.commit().unwrap();
    assert_eq!(disk.calls() - before, 1);
}

#[test]
fn reading_stops_where_apache_stops() {
    let whole = written(&[b"first", b"second"]);
    let second = 16 + 12 + 5 + 1;
    let cases: [(&str, Vec<u8>, usize, End); 6] = [
        ("whole", whole.clone(), 2, End::Clean),
        ("cut in the checksum", whole[..second + 3].to_vec(), 1, End::Truncated),
        ("cut in the payload", whole[..whole.len() - 3].to_vec(), 1, End::Truncated),
        ("no end mark", [&whole[..whole.len() - 1], &[0]].concat(), 1, End::NoEndMark),
        ("padding", [&whole[..second], &[0; 100]].concat(), 1, End::Padding),
        ("a checksum without a length", [&whole[..second + 8], &[0; 100]].concat(), 1, End::Padding),
    ];
    for (name, bytes, records, end) in cases {
        let disk = disk();
        disk.put(&path("log.1"), &bytes);
        let (read, at) = read(&disk, "log.1").unwrap();
        assert_eq!((read.len(), at), (records, end), "{name}");
    }
}

#[test]
fn damage_is_refused_with_file_and_offset() {
    let whole = written(&[b"first", b"second"]);
    let mut flipped = whole.clone();
    flipped[16 + 12] ^= 1;
    let mut negative = whole.clone();
    negative[16 + 8..16 + 12].copy_from_slice(&(-1_i32).to_be_bytes());
    let mut huge = whole.clone();
    huge[16 + 8..16 + 12].copy_from_slice(&(2_i32 << 20).to_be_bytes());
    let mut magic = whole.clone();
    magic[0] = b'X';
    for (bytes, offset, word) in [
        (flipped, 16, "checksum"),
        (negative, 16, "-1 bytes"),
        (huge, 16, "2097152 bytes"),
        (magic, 0, "ZKLG"),
        (whole[..7].to_vec(), 0, "header"),
        (Vec::new(), 0, "header"),
    ] {
        let disk = disk();
        disk.put(&path("log.1"), &bytes);
        let error = read(&disk, "log.1").unwrap_err().to_string();
        for part in ["log.1", &format!("offset {offset}"), word, "hint: "] {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}

#[test]
fn a_lost_sector_in_the_last_record_is_told_from_a_flipped_bit() {
    let mut bytes = written(&[&[9; 3000]]);
    bytes[1024..1536].fill(0);
    let disk = disk();
    disk.put(&path("log.1"), &bytes);
    assert_eq!(read(&disk, "log.1").unwrap(), (vec![], End::LostSector));
    // Half a sector is no lost write.
    let mut bytes = written(&[&[9; 3000]]);
    bytes[1030..1530].fill(0);
    disk.put(&path("log.2"), &bytes);
    assert!(read(&disk, "log.2").is_err());
}

#[test]
fn bytes_behind_the_end_are_found() {
    let whole = written(&[b"first", b"second"]);
    let second = 16 + 12 + 5 + 1;
    let mut hole = whole.clone();
    hole[second + 8..second + 12].fill(0);
    for (bytes, found) in [
        (hole, Some(second as u64 + 12)),
        ([&whole[..whole.len() - 1], &[0; 9]].concat(), None),
        ([&whole[..whole.len() - 1], &[0; 9], &[1]].concat(), Some(whole.len() as u64 + 8)),
        (whole[..whole.len() - 2].to_vec(), None),
        ([&whole[..], &[0; 20]].concat(), None),
    ] {
        let disk = disk();
        disk.put(&path("log.1"), &bytes);
        let mut reader = LogReader::open(disk.open(&path("log.1")).unwrap(), &path("log.1"), 1 << 20).unwrap();
        while reader.next_record().unwrap().is_some() {}
        assert_eq!(reader.bytes_behind_end().unwrap(), found);
    }
}

/// A file with these records and no padding.
fn written(payloads: &[&[u8]]) -> Vec<u8> {
    let disk = disk();
    let mut log = Log::new(disk.clone(), LogConfig { preallocate_bytes: 0, ..config() });
    for (zxid, payload) in (1..).zip(payloads) {
        append(&mut log, zxid, payload);
    }
    log.commit().unwrap();
    disk.contents(&path("log.1")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is appended is read back, over files, preallocations and read buffers.
    #[test]
    fn round_trip(
        sizes in proptest::collection::vec(1_usize..40_000, 1..60),
        preallocate_bytes in prop_oneof![Just(0_u64), 1_u64..100_000],
        snap_count in 2_u32..40,
        commit_every in 1_usize..10,
        seed in any::<u64>(),
    ) {
        let disk = disk();
        let config = LogConfig { preallocate_bytes, snap_count, seed, ..config() };
        let mut log = Log::new(disk.clone(), config);
        let payloads: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, size)| vec![i as u8 + 1; *size]).collect();
        for (i, payload) in payloads.iter().enumerate() {
            append(&mut log, i as i64 + 1, payload);
            if i % commit_every == 0 {
                log.commit().unwrap();
            }
        }
        log.commit().unwrap();
        disk.restart(Stop::PowerCutSectors);
        let mut files = names(&disk);
        files.sort_by_key(|name| crate::log_zxid(name));
        let mut all = Vec::new();
        for name in files {
            all.extend(read(&disk, &name).unwrap().0);
        }
        prop_assert_eq!(all, payloads);
    }

    /// Any bytes behind the header: an answer, never a panic, and only records whose checksum is right.
    #[test]
    fn any_bytes(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let disk = disk();
        disk.put(&path("log.1"), &[&written(&[b"a"])[..16], &tail].concat());
        let _ = read(&disk, "log.1");
    }
}
