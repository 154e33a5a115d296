//! Tidy: the rules of ARCHITECTURE.md and STYLE.md that a machine can hold.
//!
//! Each check walks the tracked sources or the workspace's metadata and lists everything that breaks a rule, so
//! that one run shows all of it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The direction of dependencies (ARCHITECTURE.md, "The workspace"): each package and what it may use of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("ostler-model", &[]),
    ("ostler-memory", &[]),
    ("ostler-garbage", &[]),
    ("ostler-wire", &["ostler-model"]),
    ("ostler-tree", &["ostler-model"]),
    ("ostler-store", &["ostler-model", "ostler-wire", "ostler-tree"]),
    ("ostler-zab", &["ostler-model"]),
    ("ostler-node", &["ostler-model", "ostler-wire", "ostler-tree", "ostler-zab"]),
    ("ostler-client", &["ostler-model", "ostler-wire"]),
    ("ostler-bench", &["ostler-model", "ostler-wire", "ostler-client"]),
    ("ostler-server", &["ostler-model", "ostler-wire", "ostler-tree", "ostler-zab", "ostler-store", "ostler-node"]),
    (
        "ostler-sim",
        &["ostler-model", "ostler-wire", "ostler-tree", "ostler-zab", "ostler-store", "ostler-node", "ostler-client"],
    ),
    ("ostler-inspect", &["ostler-model", "ostler-wire", "ostler-tree", "ostler-store"]),
    // Servers on threads of a test's own process; the client library uses it in its tests and examples only.
    ("ostler-test", &["ostler-model", "ostler-wire", "ostler-server"]),
    ("ostler-shell", &["ostler-model", "ostler-client"]),
    ("ostler-differential", &["ostler-model", "ostler-wire", "ostler-client"]),
    (
        "ostler-cli",
        &[
            "ostler-memory",
            "ostler-model",
            "ostler-wire",
            "ostler-tree",
            "ostler-store",
            "ostler-node",
            "ostler-server",
            "ostler-client",
            "ostler-bench",
            "ostler-inspect",
            "ostler-shell",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that decide: no clock, file, socket, environment, thread or random source (invariant 7).
const PURE: &[&str] = &["model", "wire", "tree", "zab", "node"];
const IMPURE_WORDS: &[&str] = &[
    "std::time::Instant",
    "SystemTime",
    "Instant::now",
    "std::fs",
    "std::net::Tcp",
    "std::env",
    "std::thread",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "RandomState",
    "thread_rng",
    "getrandom",
    "std::process",
];

/// The longest files that are allowed to be long, each with the reason; every other file stays below [`LINES_MAX`].
const LINES_MAX: usize = 700;
const LONG_FILES: &[(&str, usize, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_path_buf()
}

fn tracked(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", pattern])
        .current_dir(root())
        .output()
        .expect("git is needed to list the sources");
    assert!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).expect("file names are UTF-8");
    list.lines().map(|line| root().join(line)).filter(|path| path.exists()).collect()
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

fn is_test_file(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.contains("/examples/") || text.ends_with("/tests.rs") || text.contains("/benches/")
}

/// The part of a source file that ships: everything before its first test module.
fn shipped(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod ").next().unwrap_or(source)
}

#[test]
fn dependencies_point_in_one_direction() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().expect("name")).collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("name");
        let Some(uses) = allowed.get(name) else {
            broken.push(format!("{name} is not in MAY_USE: decide what it may depend on"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("name");
            let is_dev = dependency["kind"].as_str() == Some("dev");
            if ours.contains(target) && target != name && !uses.contains(target) && !is_dev {
                broken.push(format!("{name} -> {target}"));
            }
        }
    }
    report("dependencies against the direction", &broken);
}

#[test]
fn pure_crates_touch_nothing_of_the_world() {
    let mut broken = Vec::new();
    for path in tracked("crates/*.rs") {
        let relative = path.strip_prefix(root()).expect("below root").to_path_buf();
        let mut parts = relative.components().skip(1);
        let krate = parts.next().map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        // The simulation has virtual time and seeds; only its command line looks at the world.
        let simulated = krate == "sim" && !relative.ends_with("main.rs");
        if !(simulated || PURE.contains(&krate.as_str())) || is_test_file(&path) {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("readable");
        for (number, line) in shipped(&source).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in IMPURE_WORDS {
                if code.contains(word) {
                    broken.push(format!("{}:{}: {word}", relative.display(), number + 1));
                }
            }
        }
    }
    report("the deciding crates read no clock, file, socket, thread or environment", &broken);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut broken = Vec::new();
    for path in tracked("*.rs") {
        let source = std::fs::read_to_string(&path).expect("readable");
        let begins = source.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!")).unwrap_or("");
        if !begins.starts_with("//!") {
            broken.push(path.strip_prefix(root()).expect("below root").display().to_string());
        }
    }
    report("files without a module doc", &broken);
}

#[test]
fn no_file_grows_without_a_reason() {
    let mut broken = Vec::new();
    for path in tracked("*.rs") {
        let relative = path.strip_prefix(root()).expect("below root").display().to_string();
        let lines = std::fs::read_to_string(&path).expect("readable").lines().count();
        let max = LONG_FILES.iter().find(|(name, _, _)| *name == relative).map_or(LINES_MAX, |(_, max, _)| *max);
        if lines > max {
            broken.push(format!("{relative}: {lines} lines, at most {max}"));
        }
    }
    report("files that are too long", &broken);
}

#[test]
fn nothing_is_left_unfinished_or_ignored() {
    // Put together from parts so that this file does not find itself.
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["#[ig", "nore"].concat(),
    ];
    let mut broken = Vec::new();
    for path in tracked("*.rs") {
        let source = std::fs::read_to_string(&path).expect("readable");
        for (number, line) in source.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                broken.push(format!(
                    "{}:{}: {}",
                    path.strip_prefix(root()).expect("below root").display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    report("unfinished marks and ignored tests", &broken);
}

/// The differential test states what Apache answers in numbers of its own: it must not believe our table.
#[test]
fn error_codes_stand_in_one_place() {
    let mut broken = Vec::new();
    for path in tracked("crates/*.rs") {
        let relative = path.strip_prefix(root()).expect("below root").display().to_string();
        if relative.starts_with("crates/model/") || relative.starts_with("crates/differential/") || is_test_file(&path)
        {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("readable");
        for (number, line) in shipped(&source).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for value in
                ["-101", "-102", "-103", "-108", "-110", "-111", "-112", "-114", "-115", "-118", "-119", "-124", "-125"]
            {
                let found = code.split(|c: char| !(c.is_ascii_digit() || c == '-')).any(|word| word == value);
                if found && !code.contains('"') {
                    broken.push(format!("{relative}:{}: {}", number + 1, code.trim()));
                }
            }
        }
    }
    report("Apache's error numbers outside ostler-model", &broken);
}
