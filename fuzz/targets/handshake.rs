//! See `decoders::servers::handshake`: what must hold for any bytes, shared with the tests of ostler-wire.
#![no_main]

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../crates/wire/tests/decoders/mod.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::servers::handshake(bytes));
