//! Writing and reading snapshots: bytes, forms, sections, fuzzy walks, damage.

use super::source::{SnappyReader, check};
use super::{Compression, SnapshotFile, SnapshotFormat, encode_node, encode_snapshot_start, read_snapshot};
use crate::faulty::{FaultyDisk, Stop};
use crate::testing::{Model, dirs, disk, listing};
use crate::{Disk, LoadedSnapshot, SnapshotError, snapshot_zxid, write_snapshot};
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use proptest::prelude::*;
use std::cell::Cell;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

const CONFIG: TreeConfig = TreeConfig { seed: 3, digest: true };

fn read(disk: &FaultyDisk, path: &Path) -> Result<LoadedSnapshot, SnapshotError> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let file = disk.open(path).unwrap();
    assert_eq!(check(&file, name).unwrap(), Ok(()));
    let mut stream = super::open(&file, name, Rc::new(Cell::new(0)));
    read_snapshot(&mut stream, CONFIG, snapshot_zxid(name).unwrap(), 1 << 20, &mut |_| 0)
}

/// The uncompressed stream of a tree's snapshot.
fn stream(tree: &Tree, format: SnapshotFormat) -> Vec<u8> {
    let disk = disk();
    let path =
        write_snapshot(&disk, &dirs(), tree, SnapshotFormat { compression: Compression::None, ..format }).unwrap();
    disk.contents(&path).unwrap()
}

fn parse(bytes: &[u8]) -> Result<LoadedSnapshot, SnapshotError> {
    read_snapshot(&mut &*bytes, CONFIG, Zxid::ZERO, 1 << 20, &mut |_| 0)
}

#[test]
fn an_empty_database_is_that_of_apache() {
    let bytes = stream(&Tree::new(CONFIG), SnapshotFormat::default());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/empty/data/version-2/snapshot.0");
    let golden = std::fs::read(golden).unwrap();
    assert_eq!(bytes.len(), 478);
    assert_eq!(bytes.len(), golden.len());
    // Up to the order of the built-in nodes and ids of their ACLs, and with them the checksums.
    assert_eq!(bytes[..16], golden[..16]);
    let sections = |bytes: &[u8]| bytes[478 - 13 - 8 - 13 - 20..478 - 13 - 8 - 13].to_vec();
    assert_eq!(sections(&bytes)[..12], sections(&golden)[..12]);
    assert_eq!(listing(&parse(&bytes).unwrap().tree), listing(&parse(&golden).unwrap().tree));
}

#[test]
fn every_form_reads_back() {
    let mut model = Model::new(5, CONFIG);
    for _ in 0..500 {
        model.step();
    }
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        for (digest_section, last_zxid_section) in [(true, true), (true, false), (false, true), (false, false)] {
            let format = SnapshotFormat { compression, digest_section, last_zxid_section };
            let disk = disk();
            let path = write_snapshot(&disk, &dirs(), model.tree(), format).unwrap();
            assert_eq!(path.to_str().unwrap(), format!("/d/version-2/snapshot.1f4{}", compression.suffix()));
            disk.restart(Stop::PowerCutSectors);
            let loaded = read(&disk, &path).unwrap();
            assert_eq!(listing(&loaded.tree), listing(model.tree()), "{format:?}");
            assert_eq!(loaded.tree.zxid(), Zxid(500));
            assert_eq!(loaded.tree.digest(), model.tree().digest());
            let digest = digest_section.then(|| (Zxid(500), model.tree().digest()));
            assert_eq!(loaded.digest.map(|(zxid, digest)| (zxid, digest.tree_digest)), digest);
        }
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let mut model = Model::new(6, CONFIG);
    for _ in 0..10 {
        model.step();
    }
    let bytes = stream(model.tree(), SnapshotFormat::default());
    let (digest, last) = (33, 21);
    let near_the_end = |at: usize| at + 100 > bytes.len();
    for cut in (0..bytes.len()).filter(|at| at % 9 == 0 || near_the_end(*at)) {
        // A file may end behind any seal; less than a section behind one is ignored, as by Apache.
        let first_seal = bytes.len() - digest - last;
        let whole =
            (first_seal..first_seal + 20).contains(&cut) || (bytes.len() - last..bytes.len() - 13).contains(&cut);
        assert_eq!(parse(&bytes[..cut]).is_ok(), whole, "cut at {cut} of {}", bytes.len());
    }
    for at in (0..bytes.len()).filter(|at| at % 9 == 0 || near_the_end(*at)) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(parse(&damaged).is_err(), "bit flipped at {at} of {}", bytes.len());
    }
}

#[test]
fn a_fuzzy_snapshot_and_the_log_behind_it_give_the_tree() {
    for seed in 0..40 {
        let mut model = Model::new(seed, CONFIG);
        for _ in 0..200 {
            model.step();
        }
        let disk = disk();
        let mut walk = model.tree().walk();
        let begin = model.tree().zxid();
        let mut file = SnapshotFile::create(&disk, &dirs(), walk.zxid, SnapshotFormat::default()).unwrap();
        let mut chunk = Vec::new();
        encode_snapshot_start(&mut chunk, &walk);
        while !walk.step(model.tree(), 3, |node| encode_node(&mut chunk, &node)) {
            model.step();
            file.write(&chunk).unwrap();
            chunk.clear();
        }
        file.write(&chunk).unwrap();
        let sealed = file.seal(model.tree().zxid(), model.tree().digest()).unwrap();
        assert_eq!(sealed.end(), model.tree().zxid());
        let path = sealed.path().to_owned();
        sealed.publish().unwrap();
        for _ in 0..20 {
            model.step();
        }
        let mut loaded = read(&disk, &path).unwrap();
        assert_eq!(loaded.tree.zxid(), begin);
        model.replay_onto(&mut loaded.tree);
        loaded.tree.finish_replay().unwrap();
        assert_eq!(listing(&loaded.tree), listing(model.tree()), "seed {seed}");
        assert_eq!(loaded.tree.digest(), model.tree().digest(), "seed {seed}");
    }
}

#[test]
fn an_unfinished_snapshot_has_no_name() {
    let disk = disk();
    let mut file = SnapshotFile::create(&disk, &dirs(), Zxid(5), SnapshotFormat::default()).unwrap();
    file.write(b"anything").unwrap();
    let names = |disk: &FaultyDisk| -> Vec<String> {
        disk.list(&dirs().snapshots()).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(&disk), ["new.snapshot.5.tmp"]);
    file.discard().unwrap();
    assert!(names(&disk).is_empty());
}

#[test]
fn a_snapshot_that_waits_for_its_name_is_not_overwritten_by_the_next_of_its_zxid() {
    let mut model = Model::new(5, CONFIG);
    for _ in 0..50 {
        model.step();
    }
    let (disk, tree, format) = (disk(), model.tree(), SnapshotFormat::default());
    let mut bytes = stream(tree, SnapshotFormat { digest_section: false, last_zxid_section: false, ..format });
    // Without terminator and seal.
    bytes.truncate(bytes.len() - 5 - 13);
    let begin = |number| SnapshotFile::create_numbered(&disk, &dirs(), tree.zxid(), format, number).unwrap();
    let mut first = begin(1);
    first.write(&bytes).unwrap();
    let first = first.seal(tree.zxid(), tree.digest()).unwrap();
    let second = begin(2);
    let path = first.path().to_owned();
    first.publish().unwrap();
    second.discard().unwrap();
    assert_eq!(listing(&read(&disk, &path).unwrap().tree), listing(tree));
    assert_eq!(disk.list(&dirs().snapshots()).unwrap().len(), 1, "nothing is left over");
}

#[test]
fn the_quick_check_looks_at_the_right_end() {
    let disk = disk();
    for (name, bytes, good) in [
        ("snapshot.1", &b"ZKSNxxxxxx\0\0\0\x01/"[..], true),
        ("snapshot.2", b"ZKSNxxxxxx\0\0\0\x01/x", false),
        ("snapshot.3", b"\0\0\0\x01/", false),
        ("snapshot.3e.tmp", b"ZKSNxxxxxx\0\0\0\x01/", true),
        ("snapshot.4.gz", b"\x1f\x8b", true),
        ("snapshot.5.GZ", b"\x1f\x8c", false),
        ("snapshot.6.snappy", b"\x82SNAPPY\0", true),
        ("snapshot.7.snappy", b"\x82SNAPPY", false),
        ("snapshot.8.gz", b"", false),
    ] {
        let path = dirs().snapshots().join(name);
        disk.put(&path, bytes);
        assert_eq!(check(&disk.open(&path).unwrap(), name).unwrap().is_ok(), good, "{name}");
    }
}

#[test]
fn lengths_and_counts_are_not_believed() {
    let tree = Tree::new(CONFIG);
    let bytes = stream(&tree, SnapshotFormat::default());
    for (at, value) in [(16, i32::MAX), (20, i32::MAX), (32, i32::MAX), (32, i32::MIN)] {
        let mut damaged = bytes.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert!(parse(&damaged).is_err());
    }
    assert!(matches!(parse(b"ZKSX567890123456"), Err(SnapshotError::Magic(_))));
    assert!(matches!(parse(b"ZKSN"), Err(SnapshotError::Truncated(_))));
}

#[test]
fn snappy_blocks_are_bounded() {
    let header = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    for (block, error) in [
        (&b"\x7f\xff\xff\xff"[..], true),
        (b"\0\0\0\x05\xff\xff\xff\xff\x0f", true),
        (b"\0\0\0\x05ab", true),
        (b"\0\0", true),
        (b"", false),
    ] {
        let bytes = [&header[..], block].concat();
        let mut out = Vec::new();
        assert_eq!(SnappyReader::new(&bytes[..]).read_to_end(&mut out).is_err(), error, "{block:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any history, any form, any size of the pieces handed over: what was written is read.
    #[test]
    fn round_trip(seed in any::<u64>(), steps in 0_usize..400, piece in 1_usize..5000, form in 0..3) {
        let mut model = Model::new(seed, CONFIG);
        for _ in 0..steps {
            model.step();
        }
        let compression = [Compression::None, Compression::Gzip, Compression::Snappy][form as usize];
        let disk = disk();
        let format = SnapshotFormat { compression, ..SnapshotFormat::default() };
        let mut walk = model.tree().walk();
        let mut file = SnapshotFile::create(&disk, &dirs(), walk.zxid, format).unwrap();
        let mut all = Vec::new();
        encode_snapshot_start(&mut all, &walk);
        while !walk.step(model.tree(), 100, |node| encode_node(&mut all, &node)) {}
        for piece in all.chunks(piece) {
            file.write(piece).unwrap();
        }
        let sealed = file.seal(model.tree().zxid(), model.tree().digest()).unwrap();
        let path = sealed.path().to_owned();
        sealed.publish().unwrap();
        prop_assert_eq!(listing(&read(&disk, &path).unwrap().tree), listing(model.tree()));
    }

    /// Garbage is an error, not a panic, and costs no more memory than it has bytes.
    #[test]
    fn any_bytes(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&tail);
        let _ = parse(&[&b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"[..], &tail].concat());
        let _ = parse(&[&b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff"[..], &tail].concat());
    }
}
