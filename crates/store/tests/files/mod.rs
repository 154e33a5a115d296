//! What must hold for the bytes of any file that recovery reads, and of any tree that a leader streams. The fuzz targets
//! (`fuzz/`) and the tests run the same functions: whatever lies there, there is an answer and no panic; what was accepted
//! once is accepted again, as the same tree.

use ostler_model::Zxid;
use ostler_store::faulty::FaultyDisk;
use ostler_store::{
    Compression, DataDirs, RecoverOptions, SnapshotFormat, SnapshotReceiver, TreePart, TreeStream, encode_node,
    encode_tree_end, encode_tree_start, read_snapshot_file, recover, write_snapshot,
};
use ostler_tree::{Loader, Tree, TreeConfig};
use std::path::Path;

const CONFIG: TreeConfig = TreeConfig { seed: 1, digest: true };
/// Above it strings and buffers of a stream are refused.
const STREAM_LENGTH_MAX: usize = 1 << 16;
/// Of the tree behind it. A walk leaves out what is newer, because that comes with the log.
const STREAM_ZXID: Zxid = Zxid(i64::MAX);
const SNAPSHOT_FORMS: [&str; 3] = ["snapshot.1", "snapshot.1.gz", "snapshot.1.snappy"];

/// Feeds a file to recovery and checks what it makes of it.
pub type Target = fn(&[u8]);

/// Every kind of file, by the name of its fuzz target.
pub const ALL: [(&str, Target); 3] =
    [("log_file", log_file), ("snapshot_file", snapshot_file), ("tree_stream", tree_stream)];

/// A whole log behind an empty database, as it is and with checksums that match.
pub fn log_file(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_record_checksums(bytes)] {
        let disk = disk();
        write_snapshot(&disk, &dirs(), &Tree::new(CONFIG), SnapshotFormat::default()).expect("the disk works");
        disk.put(&dirs().logs().join("log.1"), &bytes);
        recover_twice(&disk);
    }
}

/// A whole snapshot in each of its forms, as it is and with a matching seal at its end.
pub fn snapshot_file(bytes: &[u8]) {
    for name in SNAPSHOT_FORMS {
        read_snapshot(name, bytes);
    }
    if let Some(sealed) = bytes.len().checked_sub(13) {
        let mut bytes = bytes.to_vec();
        let checksum = u64::from(simd_adler32::adler32(&&bytes[..sealed]));
        bytes[sealed..sealed + 8].copy_from_slice(&checksum.to_be_bytes());
        bytes[sealed + 8..].copy_from_slice(b"\0\0\0\x01/");
        read_snapshot(SNAPSHOT_FORMS[0], &bytes);
    }
}

/// What a leader sends behind SNAP. The first byte says how it is cut on its way: that may not matter. A tree that was
/// accepted is written and read again, and what a member puts on its disk is that tree.
pub fn tree_stream(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole = read_tree(bytes, bytes.len().max(1));
    assert_eq!(whole, read_tree(bytes, usize::from(*cut) + 1), "the cuts changed the meaning");
    let Ok((used, ..)) = whole else { return };
    let mut loader = Loader::new(CONFIG, STREAM_ZXID);
    let mut load = |part: TreePart<'_>| part.load(&mut loader);
    let Ok(pushed) = TreeStream::new(STREAM_LENGTH_MAX).push(bytes, &mut load) else { return };
    let received = received(bytes);
    if !pushed.complete {
        return assert!(received.is_none(), "half a tree");
    }
    assert_eq!(pushed.used, used);
    let tree = loader.finish();
    let received = received.expect("the same bytes");
    assert_eq!((received.digest(), received.node_count()), (tree.digest(), tree.node_count()));
    if tree.finish_replay().is_ok() {
        let again = encoded(&tree);
        let mut loader = Loader::new(CONFIG, STREAM_ZXID);
        let pushed = TreeStream::new(STREAM_LENGTH_MAX).push(&again, &mut |part| part.load(&mut loader));
        assert!(pushed.expect("our own stream").complete);
        assert_eq!(loader.finish().digest(), tree.digest());
    }
}

/// Bytes used, whether that was all, and every element, as text; or where it is bad and why.
fn read_tree(bytes: &[u8], piece: usize) -> Result<(usize, bool, Vec<String>), String> {
    let mut stream = TreeStream::new(STREAM_LENGTH_MAX);
    let mut elements = Vec::new();
    let mut used = 0;
    for piece in bytes.chunks(piece) {
        let pushed = stream.push(piece, &mut |part| {
            match part {
                // How many nodes come at once depends on the cuts.
                TreePart::Nodes(nodes) => elements.extend(nodes.iter().map(|node| format!("{node:?}"))),
                other => elements.push(format!("{other:?}")),
            }
            Ok(())
        });
        used += pushed.map_err(|error| error.to_string())?.used;
        if stream.is_complete() {
            break;
        }
    }
    Ok((used, stream.is_complete(), elements))
}

/// The tree as a member receives it: it must lie on the disk as it is given out.
fn received(bytes: &[u8]) -> Option<Tree> {
    let disk = disk();
    let dirs = dirs();
    let mut receiver =
        SnapshotReceiver::new(&disk, &dirs, STREAM_ZXID, Compression::None, Some(CONFIG), STREAM_LENGTH_MAX)
            .expect("the disk works");
    let pushed = receiver.push(bytes).expect("it was accepted before");
    if !pushed.complete {
        receiver.discard().expect("the disk works");
        return None;
    }
    let (sealed, tree) = receiver.finish().expect("the disk works");
    let _ = sealed.publish().expect("the disk works");
    let tree = tree.expect("it was asked for");
    let path = dirs.snapshots().join("snapshot.7fffffffffffffff");
    let read = read_snapshot_file(&disk, &path, CONFIG, STREAM_ZXID, STREAM_LENGTH_MAX).expect("it was installed").tree;
    assert_eq!((read.digest(), read.node_count()), (tree.digest(), tree.node_count()));
    Some(tree)
}

fn encoded(tree: &Tree) -> Vec<u8> {
    let mut walk = tree.walk();
    let mut bytes = Vec::new();
    encode_tree_start(&mut bytes, &walk);
    while !walk.step(tree, 7, |node| encode_node(&mut bytes, &node)) {}
    encode_tree_end(&mut bytes);
    bytes
}

fn read_snapshot(name: &str, bytes: &[u8]) {
    let disk = disk();
    disk.put(&dirs().snapshots().join(name), bytes);
    recover_twice(&disk);
}

fn recover_twice(disk: &FaultyDisk) {
    for accept_gap in [false, true] {
        let options = RecoverOptions { accept_gap, length_max: 1 << 16, ..RecoverOptions::new(CONFIG) };
        let run = || recover(disk, &dirs(), &options, &mut |_| {});
        if let Ok(first) = run() {
            let again = run().expect("what was accepted once is accepted again");
            assert_eq!(first.tree.zxid(), again.tree.zxid());
            assert_eq!(first.tree.digest(), again.tree.digest());
            assert_eq!(first.tree.node_count(), again.tree.node_count());
            // Without a hole there is nothing more to accept.
            return;
        }
    }
}

fn disk() -> FaultyDisk {
    let disk = FaultyDisk::new(1);
    dirs().prepare(&disk, true).expect("the disk works");
    disk
}

fn dirs() -> DataDirs {
    DataDirs::new(Path::new("/d"), None)
}

/// Most random bytes fail at the first checksum: this gets behind it.
fn with_record_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 16;
    while let Some(len) = bytes.get(at + 8..at + 12) {
        let len = u32::from_be_bytes(len.try_into().expect("a range of 4 bytes")) as usize;
        let payload = at + 12..at + 12 + len;
        let Some(checksum) = bytes.get(payload.clone()).map(|payload| simd_adler32::adler32(&payload)) else { break };
        bytes[at..at + 8].copy_from_slice(&u64::from(checksum).to_be_bytes());
        at = payload.end + 1;
    }
    bytes
}
