//! zoo.cfg can hold anything (invariant 9): the corpus of the fuzz target, and the same mixed and damaged.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod any_bytes;

use any_bytes::zoo_cfg;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Read once: the tests look at it thousands of times.
fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/zoo_cfg");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort();
        paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
    })
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ostler-garbage-{}-{name}.cfg", std::process::id()))
}

#[test]
fn the_corpus_of_the_fuzz_target_passes() {
    let (corpus, file) = (corpus(), scratch("corpus"));
    assert!(corpus.len() >= 5, "only {} seeds", corpus.len());
    corpus.iter().for_each(|bytes| zoo_cfg(bytes, &file));
    std::fs::remove_file(file).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files(
        which in any::<prop::sample::Index>(),
        more in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let (corpus, file) = (corpus(), scratch("damaged"));
        let mut bytes = [which.get(corpus).clone(), more.get(corpus).clone()].concat();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        zoo_cfg(&bytes, &file);
        std::fs::remove_file(file).unwrap();
    }
}
