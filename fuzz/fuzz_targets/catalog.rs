//! Catalogs, datasets and catalog requests.
#![no_main]

#[path = "../../connector/protocol/tests/entries/mod.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::catalog(bytes);
});
