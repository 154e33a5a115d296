//! Bytes from outside can fail, never panic (invariant 9): random bytes, and genuine frames with a few bytes changed,
//! cut or repeated, through every decoder. The corpus of the fuzz targets runs here too.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod decoders;

use proptest::collection::vec;
use proptest::prelude::*;
use std::path::Path;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (target, decoder) in decoders::ALL {
        let corpus = corpus(target);
        assert!(corpus.len() >= 5, "{target}: only {} seeds", corpus.len());
        for bytes in corpus {
            decoder(&bytes);
        }
    }
}

/// What a careless or hostile writer makes of a genuine record.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    /// An int at the place, mostly one that is interesting as a length or count.
    Int(usize, i32),
    Cut(usize),
    Repeat(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let int = prop_oneof![
        prop::sample::select(vec![-2, -1, 0, 1, 4, 255, 65_535, 0xf_ffff, i32::MAX, i32::MIN]),
        any::<i32>(),
        -4..40
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<usize>(), int).prop_map(|(at, int)| Damage::Int(at, int)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..64_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let length = bytes.len().max(1);
    match *damage {
        Damage::Set(at, byte) => {
            if let Some(place) = bytes.get_mut(at % length) {
                *place = byte;
            }
        }
        Damage::Int(at, int) => {
            let at = at % length;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&int.to_be_bytes());
            }
        }
        Damage::Cut(at) => bytes.truncate(at % length),
        Damage::Repeat(at, count) => {
            let at = at % length;
            let piece = bytes[at.min(bytes.len())..(at + count).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..200)) {
        for (_, decoder) in decoders::ALL {
            decoder(&bytes);
        }
    }

    #[test]
    fn damaged_records(seed in any::<prop::sample::Index>(), damages in vec(damage(), 1..5)) {
        for (target, decoder) in decoders::ALL {
            let corpus = CORPUS.with(std::rc::Rc::clone);
            let seeds = &corpus[target];
            let mut bytes = seeds[seed.index(seeds.len())].clone();
            for damage in &damages {
                apply(&mut bytes, damage);
            }
            decoder(&bytes);
        }
    }
}

thread_local! {
    static CORPUS: std::rc::Rc<std::collections::BTreeMap<&'static str, Vec<Vec<u8>>>> =
        std::rc::Rc::new(decoders::ALL.iter().map(|(target, _)| (*target, corpus(target))).collect());
}
