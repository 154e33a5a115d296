//! See `any_bytes::session`: what must hold for any bytes, shared with the tests of ostler-client.
#![no_main]

#[allow(dead_code, reason = "each target uses a part")]
#[path = "../../crates/client/tests/any_bytes/mod.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| any_bytes::session(bytes));
