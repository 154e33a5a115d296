//! Bytes from outside can be anything (invariant 9): what every decoder's tests share. They read the corpus of their
//! fuzz targets with [`corpus`], which must pass as it is ([`corpus_passes`]), and mixed and [`damaged`].
#![forbid(unsafe_code)]

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The seeds of a fuzz target, read once: the tests look at them thousands of times.
///
/// # Panics
/// The folder `fuzz/corpus/TARGET` cannot be read.
pub fn corpus(target: &'static str) -> &'static [Vec<u8>] {
    static READ: Mutex<BTreeMap<&str, &[Vec<u8>]>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    read.entry(target).or_insert_with(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
        let seeds = seeds(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Box::leak(seeds.into_boxed_slice())
    })
}

fn seeds(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let files: std::io::Result<Vec<_>> = std::fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect();
    let mut files = files?;
    files.sort();
    files.into_iter().map(std::fs::read).collect()
}

/// Every seed of the target passes the check, and there are at least so many.
///
/// # Panics
/// One does not, or there are fewer.
pub fn corpus_passes(target: &'static str, at_least: usize, check: impl Fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() >= at_least, "{target}: only {} seeds, not {at_least}", corpus.len());
    corpus.iter().for_each(|bytes| check(bytes));
}

/// Property tests with so many cases. Failures are not kept in files: what was found becomes a seed of the corpus.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// A seed of the target, sometimes with another one behind it, as a careless or hostile writer or a bad disk leaves
/// it: bytes and ints changed, cut, pieces repeated.
pub fn damaged(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let corpus = corpus(target);
    let seed = || any::<prop::sample::Index>().prop_map(|which| which.get(corpus));
    (seed(), prop::option::of(seed()), vec(damage(), 0..6)).prop_map(|(one, more, damages)| {
        let mut bytes = one.clone();
        bytes.extend_from_slice(more.map_or(&[][..], Vec::as_slice));
        damages.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    })
}

#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    /// A big-endian int at the place, mostly one that is interesting as a length or count.
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
        3 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => (any::<usize>(), int).prop_map(|(at, int)| Damage::Int(at, int)),
        1 => any::<usize>().prop_map(Damage::Cut),
        1 => (any::<usize>(), 1..64_usize).prop_map(|(at, length)| Damage::Repeat(at, length)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        match *self {
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
                let at = (at % length).min(bytes.len());
                let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_damage_does_what_it_says() {
        let of = |damage: Damage| {
            let mut bytes = vec![1, 2, 3, 4, 5];
            damage.apply(&mut bytes);
            bytes
        };
        assert_eq!(of(Damage::Set(6, 9)), [1, 9, 3, 4, 5]);
        assert_eq!(of(Damage::Int(1, -2)), [1, 255, 255, 255, 254]);
        assert_eq!(of(Damage::Int(2, -2)), [1, 2, 3, 4, 5]);
        assert_eq!(of(Damage::Cut(7)), [1, 2]);
        assert_eq!(of(Damage::Repeat(3, 60)), [1, 2, 3, 4, 5, 4, 5]);
    }

    #[test]
    fn nothing_can_be_damaged() {
        for damage in [Damage::Set(3, 1), Damage::Int(3, 1), Damage::Cut(3), Damage::Repeat(3, 3)] {
            let mut bytes = Vec::new();
            damage.apply(&mut bytes);
            assert_eq!(bytes, [0; 0]);
        }
    }

    #[test]
    #[should_panic(expected = "only")]
    fn a_corpus_that_lost_its_seeds_is_noticed() {
        corpus_passes("texts", 1_000_000, |_| {});
    }
}
