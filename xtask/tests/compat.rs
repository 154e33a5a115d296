//! COMPAT.md is true as far as a machine can tell: the tests, files and recorded cases that it names exist, every
//! setting that the server knows stands in it, and no claim stands without something that shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace").to_path_buf()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The rows of all tables, cells trimmed; headers and rules left out.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells
        .filter(|cells| !["#", "Topic", "Scheme", "Word", "Keys", "Format", "Difference"].contains(&cells[0]))
        .collect()
}

#[test]
fn files_and_tests_exist() {
    let text = read("COMPAT.md");
    let mut broken = Vec::new();
    let mut found = 0;
    for name in quoted(&text) {
        let (path, test) = name.split_once("::").map_or((name, None), |(path, test)| (path, Some(test)));
        if !["crates/", "interop/", "testdata/", "xtask/", "docs/", "fuzz/"].iter().any(|top| path.starts_with(top)) {
            continue;
        }
        found += 1;
        if !root().join(path).exists() {
            broken.push(format!("{path} does not exist"));
        } else if let Some(test) = test
            && !read(path).contains(&format!("fn {test}("))
        {
            broken.push(format!("{path} has no test {test}"));
        }
    }
    assert!(found > 80, "only {found} references: is the format of COMPAT.md still the one read here?");
    report("COMPAT.md names what does not exist", &broken);
}

/// `word a, b` in a last column: the names behind the word.
fn names_behind<'a>(cell: &'a str, word: &str) -> Vec<&'a str> {
    let parts = cell.split(';').map(str::trim);
    let named = parts.filter_map(|part| part.strip_prefix(word)?.strip_prefix(' '));
    named.flat_map(|names| names.split(',')).filter_map(|name| name.split_whitespace().next()).collect()
}

#[test]
fn recorded_cases_exist() {
    let text = read("COMPAT.md");
    let samples = read("testdata/wire-samples.jsonl");
    let mut broken = Vec::new();
    for cells in rows(&text) {
        let shown = cells.last().copied().unwrap_or_default();
        for name in names_behind(shown, "golden") {
            if !root().join("testdata/golden").join(name).is_dir() {
                broken.push(format!("golden {name}"));
            }
        }
        for name in names_behind(shown, "wire") {
            if !samples.contains(&format!("\"name\": \"{name}/")) {
                broken.push(format!("wire {name}"));
            }
        }
    }
    report("COMPAT.md names recorded cases that do not exist", &broken);
}

#[test]
fn every_claim_is_shown_by_something() {
    let text = read("COMPAT.md");
    let suites = ["java", "zkcli", "curator", "kazoo", "c", "go", "rust", "differential", "*config*"];
    let mut broken = Vec::new();
    for cells in rows(&text) {
        let shown = cells.last().copied().unwrap_or_default();
        let by_file = quoted(shown).any(|name| name.contains('/'));
        let by_case = !names_behind(shown, "golden").is_empty() || !names_behind(shown, "wire").is_empty();
        let by_suite = shown.split([';', ',']).any(|part| suites.contains(&part.trim()));
        let later = cells.len() > 1 && cells[1..].iter().any(|cell| cell.starts_with("later"));
        if !(by_file || by_case || by_suite || later) {
            broken.push(cells.join(" | "));
        }
    }
    report("claims of COMPAT.md without a test", &broken);
}

#[test]
fn every_setting_is_named() {
    let source = read("crates/server/src/config/keys.rs");
    let table = source.split("const TABLE").nth(1).and_then(|rest| rest.split("];").next()).expect("the table");
    let known: Vec<&str> = table.split('"').skip(1).step_by(2).flat_map(str::split_whitespace).collect();
    assert!(known.len() > 200, "only {} settings: is the table still the one read here?", known.len());
    let text = read("COMPAT.md");
    let named: BTreeSet<&str> =
        rows(&text).iter().flat_map(|cells| cells[0].split([' ', ','])).map(|word| word.trim_matches('`')).collect();
    // Names of sections of the missing features stand between quotes too.
    let broken: Vec<String> = known
        .into_iter()
        .filter(|key| !named.contains(key) && !["TLS", "SASL"].contains(key))
        .filter(|key| !["group*", "weight*"].contains(key))
        .map(str::to_owned)
        .collect();
    report("settings that COMPAT.md does not name", &broken);
}
