//! Bytes from outside can fail, never panic: the corpus of the fuzz targets through every decoder, the same mixed and
//! damaged, and random bytes.

mod decoders;

use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    for (target, decoder) in decoders::ALL {
        corpus_passes(target, 5, decoder);
    }
}

fn any_damaged() -> impl Strategy<Value = (decoders::Target, Vec<u8>)> {
    (0..decoders::ALL.len()).prop_flat_map(|which| {
        let (target, decoder) = decoders::ALL[which];
        (Just(decoder), damaged(target))
    })
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..200)) {
        for (_, decoder) in decoders::ALL {
            decoder(&bytes);
        }
    }
}

proptest! {
    // Each case is for one decoder.
    #![proptest_config(cases(4_000 * decoders::ALL.len() as u32))]

    #[test]
    fn damaged_records((decoder, bytes) in any_damaged()) {
        decoder(&bytes);
    }
}
