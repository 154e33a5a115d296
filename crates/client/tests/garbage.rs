//! Servers and users can say anything: the corpus of the fuzz targets, and the same mixed and damaged.

mod any_bytes;

use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::prelude::*;

#[test]
fn the_corpus_of_every_fuzz_target_passes() {
    corpus_passes("session", 5, any_bytes::session);
    corpus_passes("connect_string", 5, any_bytes::connect_string);
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn damaged_sessions(bytes in damaged("session")) {
        any_bytes::session(&bytes);
    }

    #[test]
    fn damaged_connect_strings(bytes in damaged("connect_string")) {
        any_bytes::connect_string(&bytes);
    }
}
