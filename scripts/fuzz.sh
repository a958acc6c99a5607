#!/usr/bin/env bash
# Fuzzes every JSON entry point with cargo-fuzz, FUZZ_SECONDS (60) each. Needs a nightly toolchain.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
have cargo-fuzz || die "cargo-fuzz is missing: 'scripts/setup.sh fuzz' builds it"
cargo +nightly --version >/dev/null 2>&1 || die "a nightly toolchain is missing: 'rustup toolchain install nightly' installs it"

unset RUSTUP_TOOLCHAIN
cd fuzz
for file in fuzz_targets/*.rs; do
  name=$(basename "$file" .rs)
  mkdir -p "corpus/$name"
  seeds=$root/connector/protocol/tests/corpus/$name
  say "==> $name"
  cargo +nightly fuzz run "$name" "corpus/$name" $([ -d "$seeds" ] && say "$seeds") -- -max_total_time="${FUZZ_SECONDS:-60}"
done
