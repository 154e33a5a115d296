//! Files can hold anything (invariant 9): random bytes, and genuine files with bytes changed, cut or repeated, through
//! recovery. The corpus of the fuzz targets runs here too.
#![allow(clippy::unwrap_used, reason = "a failing test says enough")]

mod files;

use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (target, check) in files::ALL {
        let corpus = corpus(target);
        assert!(corpus.len() >= 5, "{target}: only {} seeds", corpus.len());
        corpus.iter().for_each(|bytes| check(bytes));
    }
}

/// What a bad disk or a careless program makes of a genuine file.
fn damaged() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = (any::<bool>(), any::<prop::sample::Index>());
    (0..files::ALL.len(), any::<prop::sample::Index>(), changes, cut).prop_map(|(target, which, changes, cut)| {
        let corpus = corpus(files::ALL[target].0);
        let mut bytes = which.get(&corpus).clone();
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        if cut.0 {
            bytes.truncate(cut.1.index(bytes.len() + 1));
        }
        (target, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn damaged_files((target, bytes) in damaged()) {
        files::ALL[target].1(&bytes);
    }

    #[test]
    fn random_files(bytes in vec(any::<u8>(), 0..200)) {
        for (_, check) in files::ALL {
            check(&bytes);
        }
    }
}
