//! Files can hold anything: the corpus of the fuzz targets through recovery, the same mixed and damaged, and random
//! bytes.

mod files;

use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (target, check) in files::ALL {
        corpus_passes(target, 5, check);
    }
}

fn any_damaged() -> impl Strategy<Value = (files::Target, Vec<u8>)> {
    (0..files::ALL.len()).prop_flat_map(|which| {
        let (target, check) = files::ALL[which];
        (Just(check), damaged(target))
    })
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn damaged_files((check, bytes) in any_damaged()) {
        check(&bytes);
    }

    #[test]
    fn random_files(bytes in vec(any::<u8>(), 0..200)) {
        for (_, check) in files::ALL {
            check(&bytes);
        }
    }
}
