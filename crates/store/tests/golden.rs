//! Data directories written by real Apache servers, and what a real 3.9.3 made of each (testdata/golden/README.md).
//!
//! Every case reads as its expected.json says, except those in [`exception`].

#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod support;

use ostler_model::Zxid;
use ostler_store::{DataDirs, MemberOptions, RealDisk, RecoverOptions, Recovered, StoreError, recover, recover_member};
use ostler_tree::{Tree, TreeConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use support::{TempDir, base64, golden_dir, paths, sha256_hex};

/// Where Ostler differs from Apache on purpose.
enum Exception {
    /// Refused with this text; `accept_gap` reads it as Apache does.
    RefusedUnlessAccepted(&'static str),
    /// Apache refuses it; here it reads as the case itself.
    Accepted,
    /// TTL nodes are kept although the flag is off: the case itself, not the variant, says what is read.
    TtlNodesKept,
}

fn exception(case: &str) -> Option<Exception> {
    Some(match case {
        "log_gap" => Exception::RefusedUnlessAccepted("transactions are missing"),
        "log_zero_length_middle" => Exception::RefusedUnlessAccepted("behind the end of its records"),
        "snapshot_plus_log/digest_off" => Exception::Accepted,
        "all_types/extended_types_off" => Exception::TtlNodesKept,
        _ => return None,
    })
}

#[test]
fn every_case_reads_as_apache_reads_it() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = expected(&case);
        let mut variants = vec![(case.clone(), expected.clone())];
        for (name, variant) in expected["variants"].as_object().into_iter().flatten() {
            variants.push((format!("{case}/{name}"), variant.clone()));
        }
        for (name, variant) in variants {
            seen += 1;
            wrong.extend(check(&case, &name, &expected, &variant).into_iter().map(|line| format!("{name}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, 42, "cases and variants; a new one needs a look here");
}

#[test]
fn a_member_of_an_apache_ensemble_is_taken_over() {
    let (_temp, dirs) = copy("quorum_member");
    let options = MemberOptions::new(options(""));
    let state = recover_member(&RealDisk, &dirs, &options, &mut |_| {}).unwrap();
    assert!(state.trusted() && state.settled && state.hole.is_none() && state.facts.warnings.is_empty(), "{state:?}");
    assert_eq!((state.last, state.snapshot), (Some(Zxid::new(2, 2)), Some(Zxid::ZERO)));
    let ids: Vec<String> = ["acceptedEpoch", "currentEpoch"]
        .map(|name| std::fs::read_to_string(dirs.snapshots().join(name)).unwrap())
        .to_vec();
    let epochs = state.epochs.epochs();
    assert_eq!(ids, [epochs.accepted.to_string(), epochs.current.to_string()], "read, not written");
    assert_eq!(state.history.disk_from, Zxid::ZERO);
    let spans: Vec<_> = state.history.spans.iter().map(|span| (span.epoch, span.first, span.last)).collect();
    assert_eq!(spans, [(1, Zxid::new(1, 1), Zxid::new(1, 8)), (2, Zxid::new(2, 1), Zxid::new(2, 2))]);
    let wrong = differences(&Recovered { tree: state.tree, facts: state.facts }, &expected("quorum_member"), false);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_recovery_repeats() {
    for case in cases() {
        let (_temp, dirs) = copy(&case);
        let options = options("");
        let Ok(first) = recover(&RealDisk, &dirs, &options, &mut |_| {}) else { continue };
        let again = recover(&RealDisk, &dirs, &options, &mut |_| {}).unwrap();
        assert_eq!(nodes(&first.tree), nodes(&again.tree), "{case}");
        assert_eq!(first.facts.records, again.facts.records, "{case}");
    }
}

fn check(case: &str, name: &str, whole: &Value, expected: &Value) -> Vec<String> {
    let (_temp, dirs) = copy(case);
    let mut options = options(name);
    let result = recover(&RealDisk, &dirs, &options, &mut |_| {});
    match (exception(name), expected["outcome"].as_str().unwrap()) {
        (Some(Exception::RefusedUnlessAccepted(text)), "ok") => {
            let mut wrong = refused(&result, case, text);
            options.accept_gap = true;
            match recover(&RealDisk, &dirs, &options, &mut |_| {}) {
                Ok(recovered) if recovered.facts.warnings.is_empty() => wrong.push("no warning".into()),
                Ok(recovered) => wrong.extend(differences(&recovered, expected, false)),
                Err(error) => wrong.push(format!("refused with accept_gap: {error}")),
            }
            wrong
        }
        (Some(Exception::Accepted), "refuses to start") => match result {
            // Without digests there is none to compare.
            Ok(recovered) => differences(&recovered, whole, true),
            Err(error) => vec![format!("refused: {error}")],
        },
        (Some(Exception::TtlNodesKept), "ok") => match result {
            Ok(recovered) => differences(&recovered, whole, false),
            Err(error) => vec![format!("refused: {error}")],
        },
        (None, "ok") => match result {
            Ok(recovered) => differences(&recovered, expected, false),
            Err(error) => vec![format!("refused: {error}")],
        },
        (None, "refuses to start") => refused(&result, case, ""),
        (_, outcome) => vec![format!("the exception does not fit the outcome {outcome}")],
    }
}

/// Refused, with the file or directory, and a hint.
fn refused(result: &Result<Recovered, StoreError>, case: &str, text: &str) -> Vec<String> {
    let Err(error) = result else { return vec!["should have been refused".into()] };
    let message = error.to_string();
    let names = message.contains("version-2");
    if names && message.contains("hint: ") && message.contains(text) {
        vec![]
    } else {
        vec![format!("{case}: {message}")]
    }
}

fn differences(recovered: &Recovered, expected: &Value, digest_off: bool) -> Vec<String> {
    let facts = &recovered.facts;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, is: Value, should: &Value| {
        if is != *should {
            wrong.push(format!("{what}: expected {should}, read {is}"));
        }
    };
    compare("last_zxid", json!(hex(facts.zxid)), &expected["last_zxid"]);
    compare("last_zxid of the tree", json!(hex(recovered.tree.zxid())), &expected["last_zxid"]);
    let digest = if digest_off { json!(0) } else { expected["tree_digest"].clone() };
    compare("tree_digest", json!(facts.digest), &digest);
    compare("digest_mismatch_logged", json!(facts.digest_mismatches > 0), &expected["digest_mismatch_logged"]);
    compare("txns_replayed", json!(facts.records), &expected["txns_replayed"]);
    let rejected: Vec<_> = facts.rejected_snapshots.iter().map(|(name, _)| name.clone()).collect();
    let mut read = rejected.clone();
    read.extend(facts.snapshot.clone());
    let expected_rejected: Vec<_> =
        expected["rejected_snapshots"].as_array().unwrap().iter().map(snapshot_named).collect();
    compare("read_snapshots", json!(read), &expected["read_snapshots"]);
    compare("rejected_snapshots", json!(rejected), &json!(expected_rejected));
    let invalid: Vec<_> = facts.invalid_snapshots.iter().map(|(name, _)| name.clone()).collect();
    let expected_invalid: Vec<_> =
        expected["invalid_snapshots"].as_array().unwrap().iter().map(snapshot_named).collect();
    compare("invalid_snapshots", json!(invalid), &json!(expected_invalid));
    // Apache counts the root twice.
    compare("node_count", json!(recovered.tree.node_count() + 1), &expected["node_count"]);
    compare("sessions", sessions(&recovered.tree), &expected["sessions"]);
    let is = nodes(&recovered.tree);
    let should: BTreeMap<String, Value> = expected["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["path"].as_str().unwrap().to_owned(), node.clone()))
        .collect();
    compare("paths", json!(is.keys().collect::<Vec<_>>()), &json!(should.keys().collect::<Vec<_>>()));
    for (path, node) in &is {
        compare(path, node.clone(), should.get(path).unwrap_or(&Value::Null));
    }
    wrong
}

/// The snapshot that a log line of Apache (or the first of a pair) is about.
fn snapshot_named(value: &Value) -> String {
    let text = value.as_str().or_else(|| value[0].as_str()).unwrap();
    let word = text.split_whitespace().find(|word| word.starts_with("snapshot.")).unwrap();
    word.trim_end_matches('.').to_owned()
}

fn nodes(tree: &Tree) -> BTreeMap<String, Value> {
    paths(tree).into_iter().map(|path| (path.clone(), node(tree, &path))).collect()
}

/// A node as expected.json shows it.
fn node(tree: &Tree, path: &str) -> Value {
    let node = tree.node(path).unwrap();
    let (stat, stored) = (node.stat(), node.stored());
    let acl: Vec<_> =
        node.acl().iter().map(|acl| json!({"perms": acl.perms, "scheme": acl.scheme, "id": acl.id})).collect();
    let mut value = json!({
        "path": path,
        "acl": acl,
        "stat": {
            "czxid": hex(stat.czxid), "mzxid": hex(stat.mzxid), "ctime": stat.ctime, "mtime": stat.mtime,
            "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
            "ephemeralOwner": hex(Zxid(stat.ephemeral_owner)), "dataLength": stat.data_length,
            "numChildren": stat.num_children, "pzxid": hex(stat.pzxid),
        },
        "persisted": {"cversion": stored.cversion, "ephemeralOwner": hex(Zxid(stored.ephemeral_owner))},
    });
    match node.data() {
        Some(data) if data.len() > 4096 => {
            value["data_len"] = json!(data.len());
            value["data_sha256"] = json!(sha256_hex(data));
        }
        data => value["data"] = json!(data.map(base64)),
    }
    value
}

fn sessions(tree: &Tree) -> Value {
    let mut sessions: Vec<_> = tree.sessions().collect();
    sessions.sort_by_key(|(id, _)| id.0 as u64);
    sessions.iter().map(|(id, timeout)| json!({"id": format!("0x{:x}", id.0), "timeout": timeout})).collect()
}

fn hex(zxid: Zxid) -> String {
    format!("0x{:x}", zxid.0)
}

fn options(name: &str) -> RecoverOptions {
    let digest = !name.ends_with("/digest_off");
    let mut options = RecoverOptions::new(TreeConfig { seed: 1, digest });
    options.trust_empty = name.ends_with("/trust_empty");
    options
}

fn cases() -> Vec<String> {
    let mut cases: Vec<String> = std::fs::read_dir(golden_dir())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("expected.json").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    cases.sort();
    cases
}

fn expected(case: &str) -> Value {
    let text = std::fs::read_to_string(golden_dir().join(case).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A copy that may be written to.
fn copy(case: &str) -> (TempDir, DataDirs) {
    let temp = TempDir::new("golden");
    let from = golden_dir().join(case);
    copy_dir(&from.join("data"), &temp.path().join("data"));
    let split = from.join("datalog").exists();
    if split {
        copy_dir(&from.join("datalog"), &temp.path().join("datalog"));
    }
    let dirs = DataDirs::new(temp.path().join("data"), split.then(|| temp.path().join("datalog")));
    dirs.prepare(&RealDisk, true).unwrap();
    (temp, dirs)
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
