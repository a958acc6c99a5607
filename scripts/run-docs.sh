#!/usr/bin/env bash
# Runs the commands of a page of the manual as they stand: every block marked ```sh run, in order, in one shell.
#
#   scripts/run-docs.sh docs/src/quick-start.md
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# = 1 ] || die 'usage: scripts/run-docs.sh PAGE'

commands=$(awk '/^```sh run$/ { run = 1; next } /^```/ { run = 0 } run' "$1")
[ -n "$commands" ] || die "$1 has no commands to run"

# In a copy of nothing but what the page says is there: the project's folder with the built binaries.
place=$(mktemp -d)
finish() {
  local status=$?
  # What the page started and, after a failure, did not stop.
  kill $(jobs -p) 2>/dev/null || true
  wait 2>/dev/null || true
  if [ "$status" != 0 ]; then tail -n 20 "$place"/try-hansa/*/*.log >&2 2>/dev/null || true; fi
  rm -rf "$place"
}
trap finish EXIT

make() { say "(built already)"; }
mkdir -p "$place/target"
ln -s "${HANSA_BIN_DIR:-$target/release}" "$place/target/release"
# What a page would have its reader install for Python.
export PYTHON=$tools/python/ngsildclient/bin/python
cd "$place"
PS4='$ '
set -x
eval "$commands"
