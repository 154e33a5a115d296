//! Servers and users can say anything: the corpus of the fuzz targets, and the same mixed and damaged.

mod any_bytes;

use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::prelude::*;

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (target, check) in any_bytes::ALL {
        corpus_passes(target, 5, check);
    }
}

fn any_damaged() -> impl Strategy<Value = (any_bytes::Target, Vec<u8>)> {
    (0..any_bytes::ALL.len()).prop_flat_map(|which| {
        let (target, check) = any_bytes::ALL[which];
        (Just(check), damaged(target))
    })
}

proptest! {
    // Each case is for one target.
    #![proptest_config(cases(4_000))]

    #[test]
    fn damaged_seeds((check, bytes) in any_damaged()) {
        check(&bytes);
    }
}
