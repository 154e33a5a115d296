//! See `files::tree_stream`: what must hold for any bytes, shared with the tests of ostler-store.
#![no_main]

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../crates/store/tests/files/mod.rs"]
mod files;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| files::tree_stream(bytes));
