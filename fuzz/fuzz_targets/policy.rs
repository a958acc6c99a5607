//! A policy as JSON-LD: compiled, looked over, decided and explained.
#![no_main]

#[path = "../../policy/tests/entries/mod.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::policy(bytes);
});
