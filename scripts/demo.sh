#!/usr/bin/env bash
# Builds Hansa and tells the story of two cities: scripts/demo.sh [OPTION OF two-cities-demo]...
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

cargo build --release --locked --bin hansa --bin hansa-dataplane --bin ngsi-ld-source --bin two-cities-demo
exec "$target/release/two-cities-demo" --bin-dir "$target/release" "$@"
