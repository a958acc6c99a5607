//! Messages and answers of a transfer.
#![no_main]

#[path = "../../connector/protocol/tests/entries/mod.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::transfer(bytes);
});
