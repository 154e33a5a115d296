//! See `any_bytes::connection`: what must hold for any bytes, shared with the tests of ostler-node.
#![no_main]

#[allow(dead_code, reason = "each target uses a part")]
#[path = "../../crates/node/src/tests/any_bytes.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| any_bytes::connection(bytes));
