//! What the benchmarks of the data plane share: measured processes, played partners, a small HTTP client.
#![allow(dead_code)]

pub mod http;
pub mod nginx;
pub mod plane;
pub mod process;

/// The value below which this part of all lies, from sorted values.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() as f64 * part) as usize).min(sorted.len() - 1)]
}

/// The one in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// A number from the environment.
pub fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The folder of the programs: `--bin-dir FOLDER`.
pub fn programs() -> std::path::PathBuf {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, folder] = arguments.as_slice() else { panic!("say where the programs are: --bin-dir FOLDER") };
    assert_eq!(flag, "--bin-dir");
    folder.into()
}
