//! What must hold for the bytes of any file that recovery reads. The fuzz targets (`fuzz/`) and the tests run the same
//! functions: whatever lies there, there is an answer and no panic; what was accepted once is accepted again, as the same tree.

use ostler_store::faulty::FaultyDisk;
use ostler_store::{DataDirs, RecoverOptions, SnapshotFormat, recover, write_snapshot};
use ostler_tree::{Tree, TreeConfig};
use std::path::Path;

const CONFIG: TreeConfig = TreeConfig { seed: 1, digest: true };
const SNAPSHOT_FORMS: [&str; 3] = ["snapshot.1", "snapshot.1.gz", "snapshot.1.snappy"];

/// Feeds a file to recovery and checks what it makes of it.
pub type Target = fn(&[u8]);

/// Every kind of file, by the name of its fuzz target.
pub const ALL: [(&str, Target); 2] = [("log_file", log_file), ("snapshot_file", snapshot_file)];

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
