//! Texts from outside can be anything: the corpus of the fuzz target, and the same mixed and damaged.

mod any_bytes;

use any_bytes::texts;
use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::prelude::*;

#[test]
fn the_corpus_of_the_fuzz_target_passes() {
    corpus_passes("texts", 5, texts);
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn damaged_texts(bytes in damaged("texts")) {
        texts(&bytes);
    }
}
