//! `ostler log`, `ostler snapshot` and `ostler doctor` on the directories that real Apache servers wrote, compared with what
//! Apache's own tools print of them (testdata/golden).
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{TempDir, ostler};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(ostler()).args(arguments).env_clear().output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A file's bytes, told by their number when they differ.
#[derive(Clone, PartialEq)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// All files below a directory but the lock.
fn content(dir: &Path) -> BTreeMap<PathBuf, Bytes> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().unwrap() != "ostler.lock" {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), Bytes(std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

/// A golden case in a directory that may be changed.
fn copy(case: &str) -> TempDir {
    let temp = TempDir::new();
    for (path, bytes) in content(&golden().join(case).join("data")) {
        let to = temp.join("data").join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes.0).unwrap();
    }
    temp
}

/// (what Apache's tool printed, the file it read) for every file with such an output.
fn outputs_of_apache(suffix: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for case in std::fs::read_dir(golden()).unwrap() {
        let case = case.unwrap().path();
        let Ok(tools) = std::fs::read_dir(case.join("tools")) else { continue };
        for tool in tools {
            let path = tool.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(file) = name.strip_suffix(suffix) else { continue };
            let place = ["data", "log"].map(|dir| case.join(dir).join("version-2").join(file));
            if let Some(place) = place.into_iter().find(|place| place.exists()) {
                found.push((std::fs::read_to_string(&path).unwrap(), place));
            }
        }
    }
    found
}

fn hexadecimal(text: &str) -> i64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap() as i64
}

/// `0x000000000001f` and `0x1f` are the same.
fn same_zxid(apache: &str, ours: &Value) -> bool {
    hexadecimal(apache) == hexadecimal(ours.as_str().unwrap())
}

#[test]
fn a_dump_has_the_transactions_that_apaches_tool_prints() {
    let mut compared = 0;
    for (apache, file) in outputs_of_apache(".txnlogtoolkit.txt") {
        if !apache.contains("EOF reached after") || apache.contains("CRC ERROR") {
            continue;
        }
        let output = run(&["log", "dump", "--json", file.to_str().unwrap()]);
        let ours = lines(&output);
        let theirs: Vec<Vec<&str>> = apache
            .lines()
            .filter_map(|line| line.split_once(" session 0x"))
            .map(|(_, rest)| rest.split(' ').collect())
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{}", file.display());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(same_zxid(theirs[0], &ours["session"]), "{ours} {theirs:?}");
            assert_eq!(hexadecimal(theirs[2]), ours["cxid"].as_i64().unwrap(), "{ours} {theirs:?}");
            assert!(same_zxid(theirs[4], &ours["zxid"]), "{ours} {theirs:?}");
            assert_eq!(theirs[5], ours["type"].as_str().unwrap());
            compared += 1;
        }
    }
    assert!(compared > 500, "only {compared} transactions were compared");
}

#[test]
fn a_snapshot_shows_the_nodes_that_apaches_tool_prints() {
    let mut compared = 0;
    for (apache, file) in outputs_of_apache(".snapshotformatter.txt") {
        let output = run(&["snapshot", "show", "--json", file.to_str().unwrap()]);
        if code(&output) != 0 {
            // Apache's tool looks at no seal.
            assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{output:?}");
            continue;
        }
        let ours: BTreeMap<String, Value> =
            lines(&output).into_iter().map(|node| (node["path"].as_str().unwrap().to_owned(), node)).collect();
        let nodes = apache.split_once("----\n").unwrap().1.split("----\nSession Details").next().unwrap();
        for node in nodes.split("----\n") {
            let mut rows = node.lines();
            let path = rows.next().unwrap();
            let ours = ours.get(path).unwrap_or_else(|| panic!("{} lacks {path}", file.display()));
            for row in rows {
                let Some((key, value)) = row.trim().split_once(" = ") else { continue };
                let number = |key: &str| ours[key].as_i64().unwrap().to_string();
                let equal = match key {
                    "cZxid" => same_zxid(value, &ours["czxid"]),
                    "mZxid" => same_zxid(value, &ours["mzxid"]),
                    "pZxid" => same_zxid(value, &ours["pzxid"]),
                    "cversion" => number("cversion") == value,
                    "dataVersion" => number("version") == value,
                    "aclVersion" => number("aversion") == value,
                    "ephemeralOwner" => hexadecimal(value) == ours["ephemeralOwner"].as_i64().unwrap(),
                    _ => continue,
                };
                assert!(equal, "{} {path}: {row} and {ours}", file.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 1000, "only {compared} fields were compared");
}

#[test]
fn filters_of_a_dump() {
    let file = golden().join("all_types/data/version-2/log.1");
    let file = file.to_str().unwrap();
    let zxids = |arguments: &[&str]| -> Vec<String> {
        let output = run(&[&["log", "dump", "--json", file], arguments].concat());
        lines(&output).iter().map(|line| line["zxid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(zxids(&["--from", "0x3c", "--upto", "62"]), ["0x3c", "0x3d", "0x3e"]);
    assert_eq!(zxids(&["--path", "/persistent"]).first().map(String::as_str), Some("0x3"));
    assert!(zxids(&["--path", "/persisten"]).is_empty());
    assert!(zxids(&["--session", "0x100002321e70001"]).contains(&"0x2".to_owned()));
    let output = run(&["log", "dump", file, "--from", "x"]);
    assert_eq!(code(&output), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "));
}

#[test]
fn verify_tells_damage_by_its_exit_code() {
    for (file, expected) in [
        ("all_types/data/version-2/log.1", 0),
        ("log_torn_tail/data/version-2/log.1", 3),
        ("log_corrupt_middle/data/version-2/log.1", 3),
        ("log_bad_magic/data/version-2/log.1", 1),
        ("nowhere/log.1", 1),
    ] {
        let path = golden().join(file);
        let output = run(&["log", "verify", path.to_str().unwrap()]);
        assert_eq!(code(&output), expected, "{file}: {output:?}");
    }
    for (file, expected) in [
        ("snapshot_gz/data/version-2/snapshot.18.gz", 0),
        ("snapshot_bad_checksum/data/version-2/snapshot.3e", 3),
        ("snapshot_truncated/data/version-2/snapshot.3e", 3),
        ("nowhere/snapshot.0", 1),
    ] {
        let path = golden().join(file);
        let output = run(&["snapshot", "verify", path.to_str().unwrap()]);
        assert_eq!(code(&output), expected, "{file}: {output:?}");
    }
}

#[test]
fn what_is_chopped_is_what_a_server_finds() {
    let temp = copy("all_types");
    let log = temp.join("data/version-2/log.1");
    let output = run(&["log", "chop", log.to_str().unwrap(), "--zxid", "0x2f"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let chopped = temp.join("data/version-2/log.1.chopped47");
    let whole = std::fs::read(&log).unwrap();
    let part = std::fs::read(&chopped).unwrap();
    assert!(whole.starts_with(&part) && part.len() < whole.len());
    let again = run(&["log", "chop", log.to_str().unwrap(), "--zxid", "0x2f"]);
    assert!(code(&again) == 1 && String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
    let nothing = run(&["log", "chop", log.to_str().unwrap(), "--zxid", "0"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("its first one is 0x1"), "{nothing:?}");
    std::fs::rename(&chopped, &log).unwrap();
    let output = run(&["doctor", temp.join("data").to_str().unwrap()]);
    assert!(stdout(&output).contains("replay 47 records of 1 logs, up to 0x2f"), "{output:?}");
}

#[test]
fn a_snapshot_survives_every_compression() {
    let temp = copy("snapshot_gz");
    let dir = temp.join("data/version-2");
    let gz = dir.join("snapshot.18.gz");
    for (to, name) in [("plain", "snapshot.18"), ("snappy", "snapshot.18.snappy")] {
        let output = run(&["snapshot", "convert", gz.to_str().unwrap(), "--to", to]);
        assert_eq!(code(&output), 0, "{output:?}");
        let diff = run(&["snapshot", "diff", gz.to_str().unwrap(), dir.join(name).to_str().unwrap()]);
        assert_eq!((code(&diff), stdout(&diff).as_str()), (0, ""), "{to}");
    }
    let other = temp.join("other");
    std::fs::create_dir(&other).unwrap();
    let snappy = dir.join("snapshot.18.snappy");
    run(&["snapshot", "convert", snappy.to_str().unwrap(), "--to", "plain", "--dir", other.to_str().unwrap()]);
    assert_eq!(std::fs::read(other.join("snapshot.18")).unwrap(), std::fs::read(dir.join("snapshot.18")).unwrap());
    let output = run(&["snapshot", "convert", gz.to_str().unwrap(), "--to", "gz"]);
    assert!(code(&output) == 1 && String::from_utf8_lossy(&output.stderr).contains("exists already"));
}

#[test]
fn a_difference_is_told_node_by_node() {
    let empty = golden().join("snapshot_plus_log/data/version-2/snapshot.0");
    let full = golden().join("snapshot_plus_log/data/version-2/snapshot.3e");
    let output = run(&["snapshot", "diff", empty.to_str().unwrap(), full.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    assert!(text.lines().any(|line| line.starts_with("+ /persistent ")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("~ /  ") && line.contains("cversion")), "{text}");
    let stats = lines(&run(&["snapshot", "stats", "--json", full.to_str().unwrap()])).remove(0);
    let shown = lines(&run(&["snapshot", "show", "--json", full.to_str().unwrap()]));
    assert_eq!(stats["nodes"].as_u64().unwrap() as usize, shown.len());
    assert_eq!(text.lines().filter(|line| line.starts_with("+ ")).count() + 4, shown.len());
}

#[test]
fn the_doctor_looks_at_every_case_and_changes_nothing() {
    let mut ill = Vec::new();
    for case in std::fs::read_dir(golden()).unwrap() {
        let case = case.unwrap();
        if !case.path().join("data").is_dir() {
            continue;
        }
        let name = case.file_name().into_string().unwrap();
        let before = content(&case.path());
        let (data, log) = (case.path().join("data"), case.path().join("log"));
        let mut arguments = vec!["doctor", data.to_str().unwrap()];
        if log.is_dir() {
            arguments.extend(["--log-dir", log.to_str().unwrap()]);
        }
        let output = run(&arguments);
        assert_eq!(content(&case.path()), before, "{name}");
        let text = stdout(&output);
        match code(&output) {
            0 => assert!(text.contains("it would begin with"), "{name}: {text}"),
            3 => {
                assert!(text.contains("it would refuse: ") && text.contains("hint: "), "{name}: {text}");
                ill.push(name);
            }
            other => panic!("{name}: exit code {other}: {output:?}"),
        }
    }
    ill.sort();
    // Those that `store`'s golden test sees refused.
    for name in ["log_bad_magic", "log_corrupt_middle", "log_gap", "log_without_snapshot", "snapshot_only_bad"] {
        assert!(ill.iter().any(|ill| ill == name), "{name} is not among {ill:?}");
    }
    assert!(!ill.iter().any(|name| ["all_types", "log_torn_tail", "snapshot_fuzzy"].contains(&name.as_str())));
}

#[test]
fn the_doctor_repairs_after_a_backup() {
    let temp = copy("log_gap");
    let data = temp.join("data");
    let data = data.to_str().unwrap();
    let before = content(&temp.join("data/version-2"));
    let refused = run(&["doctor", data]);
    assert!(code(&refused) == 3 && stdout(&refused).contains("if the hole is accepted"), "{refused:?}");
    let repaired = run(&["doctor", data, "--accept-gap", "--write"]);
    assert_eq!(code(&repaired), 0, "{repaired:?}");
    assert_eq!(content(&temp.join("data-backup/data")), before, "everything is in the backup");
    let after = run(&["doctor", data]);
    assert_eq!(code(&after), 0, "{after:?}");
    assert!(stdout(&after).contains("it would begin with snapshot.33 and replay 0 records"), "{after:?}");
    let twice = run(&["doctor", data, "--accept-gap", "--write"]);
    assert!(code(&twice) == 1 && String::from_utf8_lossy(&twice.stderr).contains("exists already"), "{twice:?}");
}
