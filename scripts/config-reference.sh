#!/usr/bin/env bash
# The configuration page's tables come from the binaries' own definitions.
#
#   scripts/config-reference.sh           writes them into docs/src/configuration.md
#   scripts/config-reference.sh --check   fails when the page differs from what the release binaries say
set -euo pipefail
. "$(dirname "$0")/lib.sh"

page=docs/src/configuration.md
bin=${HANSA_BIN_DIR:-$target/release}
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT

# Each table stands between `<!-- begin PROGRAM -->` and `<!-- end PROGRAM -->`.
cp "$page" "$fresh"
for program in hansa hansa-dataplane; do
  [ -x "$bin/$program" ] || die "$bin/$program is missing: 'make build' builds it"
  table=$("$bin/$program" config reference)
  TABLE=$table awk -v begin="<!-- begin $program -->" -v end="<!-- end $program -->" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin { inside = 1; print ""; print ENVIRON["TABLE"]; print "" }
  ' "$fresh" >"$fresh.next"
  mv "$fresh.next" "$fresh"
done

if [ "${1:-}" = --check ]; then
  diff -u "$page" "$fresh" || die "$page is not what the binaries say: run scripts/config-reference.sh and commit it"
else
  cat "$fresh" >"$page"
fi
