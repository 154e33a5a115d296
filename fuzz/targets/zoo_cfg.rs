//! See `any_bytes::zoo_cfg`: what must hold for any file, shared with the tests of ostler-server.
#![no_main]

#[path = "../../crates/server/tests/any_bytes/mod.rs"]
mod any_bytes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = std::env::temp_dir().join(format!("ostler-fuzz-{}.cfg", std::process::id()));
    any_bytes::zoo_cfg(bytes, &file);
});
