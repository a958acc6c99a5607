#!/usr/bin/env bash
# The manual as HTML in docs/book, its links checked, and the reference of the crates, both with warnings as errors.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust
have mdbook || die "mdbook is missing: 'make setup' builds it"

scripts/check-docs.sh
mdbook build docs
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
say "manual:    docs/book/index.html"
say "reference: $target/doc/index.html"
