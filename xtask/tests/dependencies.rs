//! What may come into the house from outside: licences, sources, versions, and a reason for each.
//!
//! The lists stand in deny.toml: CI gives them to cargo-deny as well. This test needs nothing installed, and looks at what
//! cargo-deny does not: checksums, the lock files beside the workspace, the reasons. Security advisories need a database from
//! the network and are no part of either: `cargo deny check advisories`, by hand.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Crates of their own beside the workspace, with a lock file each.
const LOCK_FILES: &[&str] = &[
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "bench/spikes/Cargo.lock",
    "bench/clients/Cargo.lock",
    "interop/rust/Cargo.lock",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_path_buf()
}

/// The strings of a list in deny.toml, or the values of `name` in a list of tables.
fn listed(section: &str, key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml stands beside Cargo.toml");
    let rest = text.split(&format!("\n[{section}]")).nth(1).unwrap_or_else(|| panic!("deny.toml has no [{section}]"));
    let rest = rest.split("\n[").next().unwrap_or_default();
    let list = rest.split(&format!("\n{key} = [")).nth(1).unwrap_or_else(|| panic!("[{section}] has no list {key}"));
    let lines = list.lines().take_while(|line| *line != "]").map(str::trim).filter(|line| line.starts_with(['"', '{']));
    lines.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Packages that are built on Linux, ours among them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// True if an SPDX expression can be met with licences of the list. OR binds weaker than AND; the old `A/B` is `A OR B`.
fn is_allowed(expression: &str, licences: &[String]) -> bool {
    let expression = expression.trim();
    if licences.iter().any(|licence| licence == expression) {
        return true;
    }
    for (word, any) in [(" OR ", true), ("/", true), (" AND ", false)] {
        let parts = split_outside_brackets(expression, word);
        if parts.len() > 1 {
            let mut parts = parts.into_iter();
            let allowed = |part| is_allowed(part, licences);
            return if any { parts.any(allowed) } else { parts.all(allowed) };
        }
    }
    expression
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .is_some_and(|inner| is_allowed(inner, licences))
}

fn split_outside_brackets<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && text[at..].starts_with(separator) => {
                parts.push(&text[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[test]
fn licence_expressions() {
    let licences = listed("licenses", "allow");
    assert!(licences.len() > 5, "{licences:?}: is deny.toml still of the form read here?");
    for good in
        ["MIT", "MIT OR GPL-3.0", "GPL-2.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "(GPL-2.0 AND MIT) OR Zlib"]
    {
        assert!(is_allowed(good, &licences), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "GPL-2.0 WITH LLVM-exception", "(MIT"] {
        assert!(!is_allowed(bad, &licences), "{bad}");
    }
}

#[test]
fn every_licence_is_one_we_accept() {
    let packages = packages();
    assert!(packages.len() > 50, "only {} packages: the list is not what it should be", packages.len());
    let licences = listed("licenses", "allow");
    let broken: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(text(package, "license"), &licences))
        .map(|package| format!("{} {}: {:?}", text(package, "name"), text(package, "version"), package["license"]))
        .collect();
    report("licences that are not in the list", &broken);
}

#[test]
fn nothing_is_banned_or_there_twice_without_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(&package, "name").to_owned()).or_default().insert(text(&package, "version").to_owned());
    }
    let (banned, twice) = (listed("bans", "deny"), listed("bans", "skip"));
    assert!(banned.len() > 2, "{banned:?}: is deny.toml still of the form read here?");
    let banned = banned.iter().filter(|name| versions.contains_key(*name));
    let mut broken: Vec<String> =
        banned.map(|name| format!("{name} is banned: the reason stands in deny.toml")).collect();
    for (name, versions) in &versions {
        let allowed = twice.contains(name);
        if versions.len() > 1 && !allowed {
            broken.push(format!("{name} is there as {versions:?}"));
        }
        if versions.len() == 1 && allowed {
            broken.push(format!("{name} is there once: take it off the list"));
        }
    }
    report("banned and duplicate crates", &broken);
}

/// Everything comes from the one registry, with its checksum; nothing from git or another registry.
#[test]
fn lock_files_name_one_source_and_checksums() {
    let mut broken = Vec::new();
    for file in LOCK_FILES {
        let lock = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let entries = lock.split("[[package]]").skip(1);
        for entry in entries {
            let field = |name: &str| {
                let prefix = format!("{name} = \"");
                entry.lines().find_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"')).unwrap_or_default()
            };
            let (name, source, checksum) = (field("name"), field("source"), field("checksum"));
            let ours = source.is_empty() && (name.starts_with("ostler-") || name == "xtask" || name == "spikes");
            if !ours && (source != SOURCE || checksum.len() != 64) {
                broken.push(format!("{file}: {name} comes from {source:?}, checksum {checksum:?}"));
            }
        }
    }
    report("sources that are not allowed", &broken);
}

#[test]
fn every_direct_dependency_has_a_version_and_a_reason() {
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("readable");
    let reasons = architecture.split("\n## Dependencies").nth(1).expect("ARCHITECTURE.md has its section");
    let mut broken = BTreeSet::new();
    for package in packages().iter().filter(|package| is_ours(package)) {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = text(dependency, "name");
            if dependency["source"].is_null() {
                continue;
            }
            if text(dependency, "req") == "*" {
                broken.insert(format!("{} takes any version of {name}", text(package, "name")));
            }
            if !reasons.contains(&format!("`{name}`")) {
                broken.insert(format!("{name} has no reason in ARCHITECTURE.md, \"Dependencies\""));
            }
        }
    }
    report("dependencies without version or reason", &broken.into_iter().collect::<Vec<_>>());
}
