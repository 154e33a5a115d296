//! Truncating, installing and recovering as an ensemble member: the cases by hand. Random stories are in
//! tests/member_power_cuts.rs.

use super::{Truncation, install, truncate};
use crate::faulty::{Fault, FaultyDisk, Stop};
use crate::testing::{Model, dirs, disk, listing};
use crate::{
    Disk, EpochSpan, Log, LogConfig, MemberOptions, MemberState, RecoverOptions, SealedSnapshot, SnapshotFile,
    SnapshotFormat, StoreError, encode_node, encode_snapshot_start, load_upto, recover, recover_member, write_snapshot,
};
use ostler_model::Zxid;
use ostler_tree::{Tree, TreeConfig};
use std::path::PathBuf;

const CONFIG: TreeConfig = TreeConfig { seed: 2, digest: true };
const LENGTH_MAX: usize = 1 << 20;

fn z(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

fn path(name: &str) -> PathBuf {
    dirs().logs().join(name)
}

fn names(disk: &FaultyDisk) -> Vec<String> {
    disk.list(&dirs().logs()).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn options() -> MemberOptions {
    MemberOptions::new(RecoverOptions::new(CONFIG))
}

fn boot(disk: &FaultyDisk) -> Result<MemberState<FaultyDisk>, StoreError> {
    recover_member(disk, &dirs(), &options(), &mut |_| {})
}

fn config() -> LogConfig {
    LogConfig { preallocate_bytes: 500, ..LogConfig::new(dirs().logs(), 1) }
}

/// Appends what the model has behind `after`; a new file at each of `files`.
fn write(disk: &FaultyDisk, model: &Model, after: Zxid, files: &[Zxid]) {
    let mut last = after;
    let mut log = Log::after(disk.clone(), config(), Some(last));
    for (zxid, payload) in model.history().iter().filter(|(zxid, _)| *zxid > after) {
        if files.contains(zxid) {
            log.commit().unwrap();
            log = Log::after(disk.clone(), config(), Some(last));
        }
        let _ = log.append(*zxid, payload).unwrap();
        last = *zxid;
    }
    log.commit().unwrap();
}

/// `(1,1)` to `(1,9)`, then `(2,1)` to `(2,6)`.
fn model() -> Model {
    let mut model = Model::new(3, CONFIG);
    model.begin_epoch(1);
    for _ in 0..9 {
        model.step();
    }
    model.begin_epoch(2);
    for _ in 0..6 {
        model.step();
    }
    model
}

/// A member that has accepted epoch 9.
fn fresh() -> FaultyDisk {
    let disk = disk();
    boot(&disk).unwrap().epochs.save_accepted(9).unwrap();
    disk
}

/// The model's history in four files behind `snapshot.0`, with a snapshot at each of `snapshots`.
fn member(model: &Model, snapshots: &[Zxid]) -> FaultyDisk {
    let disk = fresh();
    write(&disk, model, Zxid::ZERO, &[z(1, 4), z(1, 7), z(2, 1)]);
    for zxid in snapshots {
        write_snapshot(&disk, &dirs(), &model.tree_at(*zxid), SnapshotFormat::default()).unwrap();
    }
    disk
}

/// A finished snapshot as a leader's would be: no sections.
fn received(disk: &FaultyDisk, tree: &Tree) -> SealedSnapshot<FaultyDisk> {
    let format = SnapshotFormat { digest_section: false, last_zxid_section: false, ..SnapshotFormat::default() };
    let mut walk = tree.walk();
    let mut file = SnapshotFile::create_received(disk, &dirs(), walk.zxid, format).unwrap();
    let mut bytes = Vec::new();
    encode_snapshot_start(&mut bytes, &walk);
    while !walk.step(tree, 100, |node| encode_node(&mut bytes, &node)) {}
    file.write(&bytes).unwrap();
    file.seal(tree.zxid(), 0).unwrap()
}

fn done(last: Zxid) -> Truncation {
    Truncation::Done { last }
}

#[test]
fn a_member_knows_its_history() {
    let model = model();
    let disk = member(&model, &[z(1, 7)]);
    let state = boot(&disk).unwrap();
    assert!(state.trusted());
    assert_eq!((state.last, state.snapshot), (Some(z(2, 6)), Some(z(1, 7))));
    assert_eq!(listing(&state.tree), listing(model.tree()));
    assert_eq!(state.history.disk_from, Zxid::ZERO);
    let span = |epoch, last| EpochSpan { epoch, first: z(epoch, 1), last: z(epoch, last) };
    assert_eq!(state.history.spans, [span(1, 9), span(2, 6)]);
    assert_eq!((state.epochs.epochs().accepted, state.epochs.epochs().current), (9, 2));
    // Purged: what precedes the first file that is left is known by its number, or only from a snapshot.
    disk.remove(&path("log.100000001")).unwrap();
    let history = boot(&disk).unwrap().history;
    assert_eq!((history.disk_from, history.spans[0].first), (z(1, 3), z(1, 4)));
    disk.remove(&path("snapshot.0")).unwrap();
    disk.remove(&path("log.100000004")).unwrap();
    disk.remove(&path("log.100000007")).unwrap();
    write_snapshot(&disk, &dirs(), &model.tree_at(z(1, 9)), SnapshotFormat::default()).unwrap();
    let history = boot(&disk).unwrap().history;
    assert_eq!((history.disk_from, history.spans.len()), (z(1, 9), 1));
    // Without it, the log cannot tell what came before.
    write_snapshot(&disk, &dirs(), model.tree(), SnapshotFormat::default()).unwrap();
    disk.remove(&path("snapshot.100000009")).unwrap();
    disk.remove(&path("snapshot.100000007")).unwrap();
    assert_eq!(boot(&disk).unwrap().history.disk_from, z(2, 1));
}

#[test]
fn the_history_is_read_back_as_far_as_asked() {
    let disk = member(&model(), &[]);
    let options = MemberOptions { history_bytes_max: 0, ..options() };
    let state = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap();
    assert_eq!((state.history.disk_from, state.history.spans.len()), (z(2, 1), 1));
}

#[test]
fn the_state_at_any_zxid() {
    let model = model();
    let disk = member(&model, &[z(1, 2), z(2, 2)]);
    for (zxid, _) in model.history() {
        let recovered = load_upto(&disk, &dirs(), &options().recover, *zxid, &mut |_| {}).unwrap();
        assert_eq!(listing(&recovered.tree), listing(&model.tree_at(*zxid)), "{zxid}");
        assert_eq!(recovered.facts.zxid, *zxid);
    }
    let between = load_upto(&disk, &dirs(), &options().recover, z(2, 0), &mut |_| {}).unwrap();
    assert_eq!(between.tree.zxid(), z(1, 9));
    disk.remove(&path("log.100000004")).unwrap();
    let error = load_upto(&disk, &dirs(), &options().recover, z(2, 1), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("log.100000007") && error.contains("hint: "), "{error}");
    assert_eq!(names(&disk).len(), 8, "nothing was touched: {:?}", names(&disk));
}

#[test]
fn truncating_cuts_records_and_removes_snapshots() {
    for to in [z(1, 3), z(1, 5), z(1, 6), z(1, 9), z(2, 0), z(2, 2), z(2, 6), z(3, 0)] {
        let model = model();
        let disk = member(&model, &[z(1, 2), z(1, 8), z(2, 4)]);
        let last = model.history().iter().map(|(zxid, _)| *zxid).rfind(|zxid| *zxid <= to).unwrap();
        assert_eq!(truncate(&disk, &dirs(), to, LENGTH_MAX).unwrap(), done(last));
        disk.restart(Stop::PowerCut);
        let state = boot(&disk).unwrap();
        assert_eq!((state.last, state.hole), (Some(last), None), "{to}");
        assert_eq!(listing(&state.tree), listing(&model.tree_at(last)), "{to}");
        assert!(names(&disk).iter().all(|name| crate::log_zxid(name).is_none_or(|zxid| zxid <= to)));
        assert!(names(&disk).iter().all(|name| crate::snapshot_zxid(name).is_none_or(|zxid| zxid <= to)));
    }
}

#[test]
fn bug_2_what_is_not_in_the_log_is_not_kept() {
    // The snapshot came from the leader; the log begins behind it.
    let model = model();
    let disk = member(&model, &[]);
    install(&disk, &dirs(), received(&disk, &model.tree_at(z(1, 7)))).unwrap();
    write(&disk, &model, z(1, 7), &[]);
    assert_eq!(boot(&disk).unwrap().last, Some(z(2, 6)));
    assert_eq!(truncate(&disk, &dirs(), z(1, 7), LENGTH_MAX).unwrap(), done(z(1, 7)));
    assert_eq!(boot(&disk).unwrap().last, Some(z(1, 7)));
}

#[test]
fn a_snapshot_that_contains_parts_of_what_is_cut_goes_too() {
    let model = model();
    let disk = member(&model, &[]);
    // Named (1,4), but writing ended at (1,6).
    for compression in [crate::Compression::None, crate::Compression::Gzip, crate::Compression::Snappy] {
        let format = SnapshotFormat { compression, ..SnapshotFormat::default() };
        let tree = model.tree_at(z(1, 4));
        let mut walk = tree.walk();
        let mut file = SnapshotFile::create(&disk, &dirs(), walk.zxid, format).unwrap();
        let mut bytes = Vec::new();
        encode_snapshot_start(&mut bytes, &walk);
        while !walk.step(&tree, 100, |node| encode_node(&mut bytes, &node)) {}
        file.write(&bytes).unwrap();
        file.seal(z(1, 6), 1).unwrap().publish().unwrap();
    }
    assert_eq!(truncate(&disk, &dirs(), z(1, 5), LENGTH_MAX).unwrap(), done(z(1, 5)));
    assert_eq!(names(&disk).iter().filter(|name| name.starts_with("snapshot.")).count(), 1);
    assert_eq!(listing(&boot(&disk).unwrap().tree), listing(&model.tree_at(z(1, 5))));
}

#[test]
fn what_cannot_be_truncated_stays_as_it_is() {
    let model = model();
    let no_snapshot = member(&model, &[z(1, 7)]);
    no_snapshot.remove(&path("snapshot.0")).unwrap();
    let hole = member(&model, &[]);
    hole.remove(&path("log.100000004")).unwrap();
    for (disk, to) in [(no_snapshot, z(1, 6)), (hole, z(2, 3))] {
        let before = names(&disk);
        let result = truncate(&disk, &dirs(), to, LENGTH_MAX).unwrap();
        assert!(matches!(&result, Truncation::CannotTruncate { why } if !why.is_empty()), "{result:?}");
        assert_eq!(names(&disk), before);
    }
}

#[test]
fn the_open_log_goes_on_behind_the_cut() {
    let mut model = model();
    let disk = fresh();
    let mut log = Log::after(disk.clone(), config(), Some(Zxid::ZERO));
    for (zxid, payload) in model.history() {
        let _ = log.append(*zxid, payload).unwrap();
    }
    // Not committed: what was appended counts all the same.
    assert_eq!(log.truncate(&dirs(), z(1, 4), LENGTH_MAX).unwrap(), done(z(1, 4)));
    model.truncate(z(1, 4));
    model.begin_epoch(3);
    for _ in 0..5 {
        let zxid = model.step();
        let _ = log.append(zxid, model.record(zxid)).unwrap();
    }
    assert_eq!(log.commit().unwrap().last, Some(z(3, 5)));
    disk.restart(Stop::PowerCut);
    let state = boot(&disk).unwrap();
    assert_eq!((state.last, listing(&state.tree)), (Some(z(3, 5)), listing(model.tree())));
    assert_eq!(state.history.spans.len(), 2);
}

#[test]
fn bug_3_installing_removes_the_old_history() {
    let model = model();
    let disk = member(&model, &[z(1, 3), z(2, 6)]);
    let mut log = Log::after(disk.clone(), config(), Some(z(2, 6)));
    let mut other = Model::new(77, CONFIG);
    other.begin_epoch(1);
    for _ in 0..30 {
        other.step();
    }
    let installed = log.install(&dirs(), received(&disk, other.tree())).unwrap();
    assert_eq!(installed, z(1, 30));
    disk.restart(Stop::PowerCut);
    assert_eq!(names(&disk), ["acceptedEpoch", "currentEpoch", "snapshot.10000001e"]);
    let state = boot(&disk).unwrap();
    assert_eq!((state.last, listing(&state.tree)), (Some(z(1, 30)), listing(other.tree())));
    assert_eq!((state.history.disk_from, state.history.spans.len()), (z(1, 30), 0));
    assert_eq!(state.facts.digest_mismatches, 0);
    // The log goes on behind it, in a new file.
    let mut log = Log::after(disk.clone(), config(), state.last);
    let zxid = other.step();
    let _ = log.append(zxid, other.record(zxid)).unwrap();
    log.commit().unwrap();
    assert_eq!(boot(&disk).unwrap().history.disk_from, z(1, 30));
}

/// Runs a change of the history with a crash at each of its calls; afterwards the member has the old history or the new one,
/// and after any number of further crashes and recoveries still one of them, never the old one again once it had the new.
fn all_or_nothing(make: impl Fn() -> FaultyDisk, change: impl Fn(&FaultyDisk), old: &Model, new: &Model) {
    let calls = {
        let disk = make();
        let before = disk.calls();
        change(&disk);
        disk.calls() - before
    };
    assert!(calls > 10, "{calls} calls");
    let (mut stayed, mut changed) = (0, 0);
    for call in 1..=calls {
        for stop in [Stop::Kill, Stop::PowerCut, Stop::PowerCutSectors] {
            let disk = make();
            disk.fail_at(call, Fault::Crash);
            change(&disk);
            assert!(disk.is_down());
            disk.restart(stop);
            let mut was_new = false;
            for nth in [1 + call % 17, 5 + call % 29, u64::MAX >> 1] {
                disk.fail_at(nth, Fault::Crash);
                if let Ok(state) = boot(&disk) {
                    let expected = if state.last == Some(new.last()) { new } else { old };
                    assert_eq!(state.last, Some(expected.last()), "call {call}, {stop:?}: {:?}", disk.trace());
                    assert_eq!(listing(&state.tree), listing(expected.tree()), "call {call}, {stop:?}");
                    assert!(state.hole.is_none());
                    assert!(!was_new || expected.last() == new.last(), "call {call}, {stop:?}: back again");
                    was_new = expected.last() == new.last();
                }
                disk.restart(Stop::PowerCut);
            }
            let alone = recover(&disk, &dirs(), &options().recover, &mut |_| {}).unwrap();
            assert_eq!(alone.tree.zxid(), boot(&disk).unwrap().last.unwrap());
            if was_new { changed += 1 } else { stayed += 1 }
        }
    }
    assert!(stayed > 5 && changed > 5, "{stayed} stayed, {changed} changed");
}

#[test]
fn truncating_is_all_or_nothing() {
    let old = model();
    let mut new = model();
    new.truncate(z(1, 4));
    let make = || member(&old, &[z(1, 2), z(1, 8), z(2, 4)]);
    all_or_nothing(make, |disk| _ = truncate(disk, &dirs(), z(1, 4), LENGTH_MAX), &old, &new);
}

#[test]
fn installing_is_all_or_nothing() {
    let old = model();
    let mut new = Model::new(8, CONFIG);
    new.begin_epoch(1);
    for _ in 0..8 {
        new.step();
    }
    let make = || member(&old, &[z(1, 8), z(2, 4)]);
    let change = |disk: &FaultyDisk| {
        let tree = new.tree();
        let format = SnapshotFormat { digest_section: false, last_zxid_section: false, ..SnapshotFormat::default() };
        let mut walk = tree.walk();
        let mut bytes = Vec::new();
        encode_snapshot_start(&mut bytes, &walk);
        while !walk.step(tree, 100, |node| encode_node(&mut bytes, &node)) {}
        let run = || -> Result<Zxid, StoreError> {
            let mut file = SnapshotFile::create_received(disk, &dirs(), tree.zxid(), format)?;
            file.write(&bytes)?;
            install(disk, &dirs(), file.seal(tree.zxid(), 0)?)
        };
        _ = run();
    };
    all_or_nothing(make, change, &old, &new);
}

#[test]
fn an_interrupted_change_is_none_of_the_business_of_a_directory_that_went_on() {
    let model = model();
    let interrupted = |nth| {
        let disk = member(&model, &[z(2, 4)]);
        disk.fail_at(nth, Fault::Crash);
        let _ = truncate(&disk, &dirs(), z(1, 4), LENGTH_MAX);
        disk.restart(Stop::Kill);
        disk
    };
    // The crash comes right behind the file that says what is to be done.
    let is_written = |disk: &FaultyDisk| names(disk).contains(&"ostler.pending".to_owned());
    let disk = (1..80).map(interrupted).find(is_written).unwrap();
    // Apache starts on the directory and appends.
    let mut later = Model::new(5, CONFIG);
    later.take_over(model.history());
    let zxid = later.step();
    let mut log = Log::after(disk.clone(), config(), Some(z(2, 6)));
    let _ = log.append(zxid, later.record(zxid)).unwrap();
    log.commit().unwrap();
    let state = boot(&disk).unwrap();
    assert_eq!(state.last, Some(zxid));
    assert!(state.facts.warnings.iter().any(|text| text.contains("log.200000007")), "{:?}", state.facts.warnings);
    assert!(boot(&disk).unwrap().facts.warnings.is_empty());
}

#[test]
fn a_hole_makes_a_member_distrust_itself_until_a_snapshot_is_installed() {
    let model = model();
    let disk = member(&model, &[]);
    disk.remove(&path("log.100000004")).unwrap();
    let before = names(&disk);
    for _ in 0..2 {
        let state = boot(&disk).unwrap();
        assert!(!state.trusted() && state.hole.as_deref().unwrap().contains("log.100000007"), "{:?}", state.hole);
        assert_eq!((state.last, state.snapshot, state.history.spans.len()), (None, None, 0));
        assert_eq!(state.tree.zxid(), Zxid::ZERO);
        assert_eq!(names(&disk), before);
    }
    let error = recover(&disk, &dirs(), &options().recover, &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Gap { .. }));
    let mut log = Log::after(disk.clone(), config(), None);
    log.install(&dirs(), received(&disk, model.tree())).unwrap();
    assert_eq!(boot(&disk).unwrap().last, Some(z(2, 6)));
}

#[test]
fn a_lost_end_of_an_epoch_shows_in_the_digest() {
    let disk = member(&model(), &[]);
    disk.remove(&path("log.100000007")).unwrap();
    let state = boot(&disk).unwrap();
    assert!(state.hole.unwrap().contains("log.200000001 continues with zxid 0x200000001"));
}

#[test]
fn an_operator_can_accept_the_loss() {
    let disk = member(&model(), &[]);
    disk.remove(&path("log.100000004")).unwrap();
    let mut options = options();
    options.recover.accept_gap = true;
    let state = recover_member(&disk, &dirs(), &options, &mut |_| {}).unwrap();
    assert_eq!((state.last, state.hole.is_some()), (Some(z(1, 3)), true));
    assert_eq!(boot(&disk).unwrap().last, Some(z(1, 3)));
    assert!(boot(&disk).unwrap().hole.is_none());
}

#[test]
fn damage_to_what_was_durable_is_a_hole_and_lost_writes_are_not() {
    let model = model();
    let flip = |name: &str, at: usize| {
        let disk = member(&model, &[]);
        let mut bytes = disk.contents(&path(name)).unwrap();
        bytes[at] ^= 0x41;
        disk.put(&path(name), &bytes);
        boot(&disk).unwrap()
    };
    assert!(!flip("log.200000001", 16 + 30).trusted());
    assert!(!flip("log.100000004", 16 + 30).trusted());
    assert!(!flip("log.200000001", 0).trusted(), "its header");
    // A sector of the newest log that was never written: as if the file ended there.
    let mut model = Model::new(3, CONFIG);
    model.begin_epoch(1);
    for _ in 0..200 {
        model.step();
    }
    let disk = fresh();
    write(&disk, &model, Zxid::ZERO, &[]);
    let mut bytes = disk.contents(&path("log.100000001")).unwrap();
    let sector = (2..).map(|n| n * 512).find(|at| bytes[*at..at + 512].iter().filter(|byte| **byte != 0).count() > 99);
    let sector = sector.unwrap();
    bytes[sector..sector + 512].fill(0);
    disk.put(&path("log.100000001"), &bytes);
    let state = boot(&disk).unwrap();
    let last = state.last.unwrap();
    assert!(last > Zxid::ZERO && last < model.last() && state.facts.torn_tail.is_some(), "{last} {:?}", state.facts);
    assert_eq!(listing(&state.tree), listing(&model.tree_at(last)));
    // It is cut off for good.
    let state = boot(&disk).unwrap();
    assert_eq!((state.last, state.facts.torn_tail), (Some(last), None));
    assert!(disk.contents(&path("log.100000001")).unwrap().len() <= sector);
}

#[test]
fn a_log_that_never_got_its_first_record_is_removed() {
    // Whoever starts reading at the greatest name that may hold the next record would miss what is in a file before it.
    let mut model = Model::new(3, CONFIG);
    model.begin_epoch(1);
    (0..4).for_each(|_| _ = model.step());
    let disk = fresh();
    write(&disk, &model, Zxid::ZERO, &[]);
    let mut log = Log::after(disk.clone(), config(), Some(z(1, 4)));
    let _ = log.append(z(2, 1), b"never written").unwrap();
    disk.restart(Stop::Kill);
    assert!(names(&disk).contains(&"log.200000001".to_owned()));
    assert_eq!(boot(&disk).unwrap().last, Some(z(1, 4)));
    assert!(!names(&disk).contains(&"log.200000001".to_owned()));
    (0..3).for_each(|_| _ = model.step());
    model.begin_epoch(3);
    (0..3).for_each(|_| _ = model.step());
    write(&disk, &model, z(1, 4), &[]);
    write_snapshot(&disk, &dirs(), &model.tree_at(z(3, 1)), SnapshotFormat::default()).unwrap();
    let state = boot(&disk).unwrap();
    assert_eq!((state.last, listing(&state.tree)), (Some(z(3, 3)), listing(model.tree())));
}

#[test]
fn lost_logs_behind_a_snapshot_are_a_hole() {
    let model = model();
    // The snapshot says that it contains parts of transactions up to (2,5).
    let disk = member(&model, &[]);
    let tree = model.tree_at(z(1, 9));
    let mut walk = tree.walk();
    let mut file = SnapshotFile::create(&disk, &dirs(), walk.zxid, SnapshotFormat::default()).unwrap();
    let mut bytes = Vec::new();
    encode_snapshot_start(&mut bytes, &walk);
    while !walk.step(&tree, 100, |node| encode_node(&mut bytes, &node)) {}
    file.write(&bytes).unwrap();
    file.seal(z(2, 5), 1).unwrap().publish().unwrap();
    assert!(boot(&disk).unwrap().trusted());
    disk.remove(&path("log.200000001")).unwrap();
    let state = boot(&disk).unwrap();
    assert!(!state.trusted() && state.hole.unwrap().contains("0x200000005"));
    // An unreadable snapshot beyond the logs.
    let disk = member(&model, &[z(2, 4)]);
    disk.put(&path("snapshot.200000004"), b"ZKSN");
    assert!(boot(&disk).unwrap().trusted());
    disk.remove(&path("log.200000001")).unwrap();
    assert!(!boot(&disk).unwrap().trusted());
}

#[test]
fn without_a_database_only_autocreate_or_the_marker_makes_a_member_trusted() {
    let mut options = options();
    options.recover.autocreate = false;
    let boot = |disk: &FaultyDisk| recover_member(disk, &dirs(), &options, &mut |_| {}).unwrap();
    let disk = disk();
    for _ in 0..2 {
        let state = boot(&disk);
        assert_eq!((state.trusted(), state.snapshot, state.hole), (false, None, None));
        assert_eq!(names(&disk), ["acceptedEpoch", "currentEpoch"]);
    }
    disk.put("/d/initialize".as_ref(), b"");
    let state = boot(&disk);
    assert_eq!((state.last, state.snapshot), (Some(Zxid::ZERO), Some(Zxid::ZERO)));
    assert!(disk.contents("/d/initialize".as_ref()).is_none());
    assert!(boot(&disk).trusted());
}

#[test]
fn a_snapshot_of_another_history_is_not_published() {
    let mut model = model();
    let disk = member(&model, &[]);
    let mut log = Log::after(disk.clone(), config(), Some(z(2, 6)));
    let sealed = |tree: &Tree| {
        let mut walk = tree.walk();
        let mut file = SnapshotFile::create(&disk, &dirs(), walk.zxid, SnapshotFormat::default()).unwrap();
        let mut bytes = Vec::new();
        encode_snapshot_start(&mut bytes, &walk);
        while !walk.step(tree, 100, |node| encode_node(&mut bytes, &node)) {}
        file.write(&bytes).unwrap();
        file.seal(tree.zxid(), tree.digest()).unwrap()
    };
    let (early, late) = (sealed(&model.tree_at(z(2, 3))), sealed(model.tree()));
    let _ = log.truncate(&dirs(), z(2, 4), LENGTH_MAX).unwrap();
    model.truncate(z(2, 4));
    assert!(!log.publish(late).unwrap());
    assert!(log.publish(early).unwrap());
    assert_eq!(boot(&disk).unwrap().snapshot, Some(z(2, 3)));
    assert_eq!(listing(&boot(&disk).unwrap().tree), listing(model.tree()));
}

#[test]
#[should_panic(expected = "no holes")]
fn a_members_log_takes_no_hole() {
    let disk = disk();
    let mut log = Log::after(disk, config(), Some(z(1, 4)));
    let _ = log.append(z(1, 6), b"x");
}

#[test]
#[should_panic(expected = "no holes")]
fn a_member_that_is_not_trusted_appends_nothing() {
    let mut log = Log::after(disk(), config(), None);
    let _ = log.append(z(1, 1), b"x");
}
