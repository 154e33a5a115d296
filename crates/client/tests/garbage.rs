//! Servers and users can say anything (invariant 9): the corpus of the fuzz targets, and the same damaged.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod any_bytes;

use proptest::prelude::*;
use std::path::Path;
use std::sync::OnceLock;

/// The seeds of each target, read once: the tests look at them thousands of times.
fn corpora() -> &'static [(any_bytes::Target, Vec<Vec<u8>>)] {
    static CORPORA: OnceLock<Vec<(any_bytes::Target, Vec<Vec<u8>>)>> = OnceLock::new();
    CORPORA.get_or_init(|| {
        let read = |target: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
            let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
            paths.sort();
            paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
        };
        any_bytes::ALL.iter().map(|(target, check)| (*check, read(target))).collect()
    })
}

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (check, corpus) in corpora() {
        assert!(corpus.len() >= 5, "only {} seeds", corpus.len());
        corpus.iter().for_each(|bytes| check(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_seeds(
        which in any::<prop::sample::Index>(),
        more in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        for (check, corpus) in corpora() {
            let mut bytes = which.get(corpus).clone();
            bytes.extend_from_slice(more.get(corpus).get(1..).unwrap_or_default());
            for (at, value) in &changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            check(&bytes);
        }
    }
}
