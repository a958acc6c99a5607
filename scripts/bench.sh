#!/usr/bin/env bash
# Measures the release build against its budgets (docs/src/performance.md). ROUNDS sets the rounds of the data plane's part.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

cargo build --release --locked --workspace --bins --example data-plane-bench --example subscription-bench --example filter-bench --example policy-bench --features identity/bench
begin=$SECONDS
"$target/release/control-plane-bench" --bin-dir "$target/release"
"$target/release/examples/data-plane-bench" --bin-dir "$target/release"
"$target/release/examples/subscription-bench" --bin-dir "$target/release"
"$target/release/examples/filter-bench"
"$target/release/examples/policy-bench"
"$target/release/identity-bench"
echo "measured in $((SECONDS - begin)) s"
