//! The measurement of the control plane works; its figures are for a quiet machine (`make bench`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::process::Command;

use serde_json::Value;
use tck::binaries::Binaries;

#[test]
fn every_figure_can_be_measured_and_no_negotiation_is_lost() {
    let binaries = Binaries::from_environment().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_control-plane-bench"));
    command.arg("--quick").arg("--bin-dir").arg(binaries.control_plane().parent().unwrap()).arg("--json").arg(&file);
    assert!(command.status().unwrap().success());

    let all: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let figures = all["figures"].as_array().unwrap();
    let measured = |name: &str| -> f64 {
        let figure = figures.iter().find(|figure| figure["name"].as_str().unwrap().trim_start().starts_with(name));
        figure.unwrap_or_else(|| panic!("{name} is missing: {all}"))["measured"].as_f64().unwrap()
    };
    assert!(measured("of these lost") < 0.5);
    let commits = measured("durable commits in it");
    assert!((1.0..=12.0).contains(&commits), "{commits} durable commits");
    for name in
        ["ready, migrated", "resident memory at rest", "CPU of each, provider", "catalog page of 50", "fdatasync"]
    {
        assert!(measured(name) > 0.0, "{name}");
    }
}
