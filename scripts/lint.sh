#!/usr/bin/env bash
# Formatting and clippy's lints over every target, warnings as errors; the workspace's own lints are in Cargo.toml.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
# What only the feature has; the dependencies that it adds are few.
cargo clippy -p connector --features vault --all-targets --locked -- -D warnings
