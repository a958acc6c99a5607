#!/usr/bin/env bash
# Licences, banned crates and sources of everything we link, by deny.toml; advisories when the database can be reached.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust
have cargo-deny || die "cargo-deny is missing: 'make setup' builds it"

cargo deny --workspace --locked check --hide-inclusion-graph bans licenses sources

# The database is a git repository on the internet. Without a way to it the rest of the check still counts, and the
# versions that deny.toml names stay refused.
if timeout 120 cargo deny --log-level off fetch db >/dev/null 2>&1; then
  cargo deny --workspace --locked check --disable-fetch --hide-inclusion-graph advisories
else
  warn 'advisories were not checked: the RustSec database (github.com/RustSec/advisory-db) cannot be reached from here'
fi
