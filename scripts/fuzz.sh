#!/usr/bin/env bash
# Fuzzes every place where JSON or Turtle from outside is read with cargo-fuzz, FUZZ_SECONDS (60) each. Needs a nightly toolchain.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
have cargo-fuzz || die "cargo-fuzz is missing: 'scripts/setup.sh fuzz' builds it"
cargo +nightly --version >/dev/null 2>&1 || die "a nightly toolchain is missing: 'rustup toolchain install nightly' installs it"

unset RUSTUP_TOOLCHAIN
cd fuzz
for file in fuzz_targets/*.rs; do
  name=$(basename "$file" .rs)
  mkdir -p "corpus/$name"
  case $name in
    policy) seeds=$root/policy/tests/corpus ;;
    turtle | evaluation) seeds=$root/policy/tests/seeds/$name ;;
    *) seeds=$root/connector/protocol/tests/corpus/$name ;;
  esac
  say "==> $name"
  cargo +nightly fuzz run "$name" "corpus/$name" $([ -d "$seeds" ] && say "$seeds") -- -max_total_time="${FUZZ_SECONDS:-60}"
done
