//! A member that cannot store the tree that its leader sends: it ends with a word about it, the others go on, and when there
//! is room again it comes back with everything. Nothing that it wrote meanwhile is taken for a history.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::members::Members;
use common::until;

/// Of the 512 bytes that a shell counts in: half of what the tree takes.
const LIMIT: &str = "trap '' XFSZ; ulimit -f 2000";
const NODES: usize = 40;

#[test]
fn a_tree_that_cannot_be_stored_costs_one_server_and_nothing_else() {
    // Whoever comes gets a tree, and a log is as long as what is in it.
    let mut members = Members::start("forceSnapshotSync=true\npreAllocSize=0\n");
    let mut writer = members.session(1);
    let data = vec![b'x'; 50_000];
    for at in 0..NODES {
        assert_eq!(writer.create(&format!("/n{at}"), &data, 0), 0);
    }
    // The disk is lost, and the new one is too small. Twice: what the first attempt left behind is in nobody's way.
    members.kill(3);
    std::fs::remove_dir_all(members.home(3).join("version-2")).unwrap();
    for attempt in 0..2 {
        members.run_after(LIMIT, 3);
        let status = until("it ends", || members.servers.get_mut(&3).unwrap().child.try_wait().unwrap());
        assert_eq!(status.code(), Some(1), "{}", members.log(3));
        let log = members.log(3);
        let line = log.lines().find(|line| line.contains("the tree of the leader cannot be stored"));
        assert!(line.is_some_and(|_| log.contains("hint:")), "{log}");
        assert_eq!(writer.create(&format!("/meanwhile{attempt}"), b"", 0), 0, "the others go on");
        let names = members.files(3).into_keys().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        let named: Vec<String> =
            names.filter(|name| name.starts_with("snapshot.") && !name.ends_with(".tmp")).collect();
        assert_eq!(named, ["snapshot.0"], "half a tree is no snapshot; the empty one was there before");
        members.servers.remove(&3);
    }
    members.run(3);
    members.wait_serving(3);
    let mut reader = members.session(3);
    for at in 0..NODES {
        assert_eq!(reader.get(&format!("/n{at}")).map(|found| found.len()), Some(data.len()));
    }
    assert_eq!(reader.get("/meanwhile1"), Some(Vec::new()));
    assert_eq!(reader.create("/after", b"", 0), 0);
}
