//! The fuzz targets' entry points on the committed seeds, then on mutated and random bytes for a short while.
//!
//! `make fuzz` runs the same functions under cargo-fuzz for as long as wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod entries;

use std::path::Path;
use std::time::{Duration, Instant};

const MOST_ROUNDS: usize = 200_000;
const MOST_TIME: Duration = Duration::from_secs(3);

/// Pieces that mean something to the reader of a message.
const TOKENS: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1e99",
    "\\u0000",
    "\\ud83d",
    "\u{feff}",
    "@id",
    "@type",
    "@value",
    "@list",
    "@set",
    "@context",
    "@vocab",
    "@language",
    "dspace:",
    "odrl:",
    "dcat:",
    "dct:",
    "xsd:integer",
    "https://w3id.org/dspace/2025/1/",
    "http://www.w3.org/ns/odrl/2/",
    "constraint",
    "and",
    "permission",
    "rightOperand",
    "operator",
    "providerPid",
    "consumerPid",
    "dataAddress",
    "dataset",
    "accessService",
    "$serde_json::private::Number",
];

/// A small generator of numbers with a fixed start, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut seeds = Vec::new();
    for target in std::fs::read_dir(folder).unwrap() {
        let target = target.unwrap();
        for seed in std::fs::read_dir(target.path()).unwrap() {
            let path = seed.unwrap().path();
            seeds.push((target.file_name().into_string().unwrap(), std::fs::read(path).unwrap()));
        }
    }
    seeds.sort();
    seeds
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = at + numbers.below(bytes.len() - at + 1).min(40);
        match numbers.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let token = TOKENS[numbers.below(TOKENS.len())].bytes();
                drop(bytes.splice(at..at, token));
            }
            2 => {
                let token = TOKENS[numbers.below(TOKENS.len())].bytes();
                drop(bytes.splice(at..end, token));
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            4 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => {
                let other = &seeds[numbers.below(seeds.len())].1;
                let from = numbers.below(other.len());
                let to = (from + numbers.below(200)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
}

#[test]
fn every_seed_is_accepted_by_its_entry_point() {
    let seeds = seeds();
    for (target, entry) in entries::ALL {
        let own: Vec<_> = seeds.iter().filter(|(name, _)| name == target).collect();
        assert!(!own.is_empty(), "{target} has no seeds");
        for (_, bytes) in own {
            assert_eq!(entry(bytes), 1, "{target}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn random_bytes_are_no_danger() {
    let seeds = seeds();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let begin = Instant::now();
    let mut accepted = 0;
    for round in 0..MOST_ROUNDS {
        if begin.elapsed() > MOST_TIME {
            break;
        }
        let bytes = if round % 16 == 0 {
            (0..numbers.below(300)).map(|_| u8::try_from(numbers.below(256)).unwrap()).collect()
        } else {
            let mut bytes = seeds[numbers.below(seeds.len())].1.clone();
            mutate(&mut bytes, &seeds, &mut numbers);
            bytes
        };
        for (target, entry) in entries::ALL {
            match std::panic::catch_unwind(|| entry(&bytes)) {
                Ok(kinds) => accepted += kinds,
                Err(_) => panic!("{target} fails on: {}", String::from_utf8_lossy(&bytes)),
            }
        }
    }
    assert!(accepted > 0, "mutated seeds are accepted now and then");
}
