//! Bytes of connections can be anything: the corpus of the fuzz target, and the same mixed and damaged.

use super::any_bytes::connection;
use ostler_garbage::{cases, corpus_passes, damaged};
use proptest::prelude::*;

#[test]
fn the_corpus_of_the_fuzz_target_passes() {
    corpus_passes("connection", 40, connection);
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn damaged_conversations(how in any::<u8>(), mut bytes in damaged("connection")) {
        if let Some(first) = bytes.first_mut() {
            *first = how;
        }
        connection(&bytes);
    }
}
