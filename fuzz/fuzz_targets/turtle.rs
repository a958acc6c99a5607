//! A policy in Turtle.
#![no_main]

#[path = "../../policy/tests/entries/mod.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::turtle(bytes);
});
