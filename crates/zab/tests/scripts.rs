//! Runs the stories of `crates/zab/scripts/zab-*.txt` with whole servers. `crates/zab/scripts/README.md` explains the
//! language.
//!
//! Besides what a script expects, the invariants of `script/checks.rs` are checked all the time. A script that says
//! `caught by <quirk>` is run again with that rule broken, and must then fail.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod script;

use std::path::Path;

fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the scripts are there") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if name.starts_with("zab-") && name.ends_with(".txt") {
            found.push((name, std::fs::read_to_string(&path).expect("readable")));
        }
    }
    found.sort();
    assert!(found.len() >= 25, "only {} scripts", found.len());
    found
}

/// Broken invariants panic; what a script expects comes back as an error.
fn run(text: &str, quirk: Option<&str>) -> Result<(), String> {
    let text = text.to_owned();
    let quirks = quirk.map(script::language::quirk).unwrap_or_default();
    std::panic::catch_unwind(move || script::run(&text, quirks)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
    })
}

#[test]
fn every_script_holds() {
    let only = std::env::var("ZAB_SCRIPT").unwrap_or_default();
    let mut broken = Vec::new();
    for (name, text) in scripts() {
        if name.contains(&only)
            && let Err(why) = run(&text, None)
        {
            broken.push(format!("{name}, {why}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

#[test]
fn broken_rules_are_caught() {
    let (mut caught, mut missed) = (Vec::new(), Vec::new());
    for (name, text) in scripts() {
        for quirk in text.lines().filter_map(|line| line.strip_prefix("caught by ")) {
            if run(&text, Some(quirk)).is_ok() {
                missed.push(format!("{name} holds although {quirk} is broken"));
            }
            caught.push(quirk.to_owned());
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    caught.sort();
    caught.dedup();
    assert!(caught.len() >= 16, "only these broken rules are looked for: {caught:?}");
}
