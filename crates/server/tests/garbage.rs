//! zoo.cfg can hold anything: the corpus of the fuzz target, and the same mixed and damaged.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod any_bytes;

use any_bytes::zoo_cfg;
use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::prelude::*;
use std::path::PathBuf;

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ostler-garbage-{}-{name}.cfg", std::process::id()))
}

#[test]
fn the_corpus_of_the_fuzz_target_passes() {
    let file = scratch("corpus");
    corpus_passes("zoo_cfg", 5, |bytes| zoo_cfg(bytes, &file));
    std::fs::remove_file(file).unwrap();
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn damaged_files(bytes in damaged("zoo_cfg")) {
        let file = scratch("damaged");
        zoo_cfg(&bytes, &file);
        std::fs::remove_file(file).unwrap();
    }
}
