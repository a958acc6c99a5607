//! The functions that the fuzz targets run, on their seeds and on mutations of them for a fixed time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "entries/mod.rs"]
mod entries;

use std::path::Path;
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(2);

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Feeds the seeds, and then seeds with bytes left out, doubled, changed, or taken from one another.
fn feed(folder: &str, entry: fn(&[u8])) {
    let seeds = seeds(folder);
    assert!(seeds.len() >= 3, "{folder}");
    seeds.iter().for_each(|seed| entry(seed));
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(bound.max(1)).unwrap()).unwrap()
    };
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        let mut bytes = seeds[below(seeds.len())].clone();
        for _ in 0..=below(3) {
            let from = below(bytes.len());
            let to = (from + below(24)).min(bytes.len());
            let piece = match below(4) {
                0 => Vec::new(),
                1 => vec![u8::try_from(below(128)).unwrap()],
                2 => bytes[from..to].repeat(2),
                _ => {
                    let other = &seeds[below(seeds.len())];
                    let start = below(other.len());
                    other[start..(start + below(40)).min(other.len())].to_vec()
                }
            };
            bytes.splice(from..to, piece);
        }
        entry(&bytes);
    }
}

#[test]
fn policies_survive_anything() {
    feed("corpus", entries::policy);
}

#[test]
fn turtle_survives_anything() {
    feed("seeds/turtle", entries::turtle);
}

#[test]
fn cases_survive_anything() {
    feed("seeds/evaluation", entries::evaluation);
}
