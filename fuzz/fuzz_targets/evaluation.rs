//! A case that stands for itself.
#![no_main]

#[path = "../../policy/tests/entries/mod.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::evaluation(bytes);
});
