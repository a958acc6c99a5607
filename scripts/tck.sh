#!/usr/bin/env bash
# The official kit of the Dataspace Protocol against the binaries that ship: scripts/tck.sh [OPTION OF tck-driver]...
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

cargo build --release --locked --bin hansa --bin hansa-dataplane --bin tck-driver
exec "$target/release/tck-driver" --bin-dir "$target/release" "$@"
