#!/usr/bin/env bash
# The manual holds together: every page is in the table of contents, every relative link leads to a file, and every
# #anchor to a heading of the page it names.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

faults=0
fault() { printf 'error: %s\n' "$*" >&2; faults=$((faults + 1)); }

# The anchors of a page, as mdBook makes them from its headings.
anchors() {
  awk '/^```/ { code = !code } !code && /^#+ / { sub(/^#+ +/, ""); print }' "$1" |
    tr '[:upper:]' '[:lower:]' | sed -e 's/[^a-z0-9 _-]//g' -e 's/ /-/g'
}

# The targets of the inline links of a page, code blocks left out.
links() {
  awk '/^```/ { code = !code } !code' "$1" | sed 's/`[^`]*`//g' | grep -oE '\]\([^) ]+' | sed 's/^](//' || true
}

check_links() {
  local page=$1 link path anchor file
  while read -r link; do
    case $link in '' | http://* | https://* | mailto:*) continue ;; esac
    path=${link%%#*}
    anchor=
    case $link in *'#'*) anchor=${link#*#} ;; esac
    if [ -n "$path" ]; then file=$(dirname "$page")/$path; else file=$page; fi
    if [ ! -e "$file" ]; then
      fault "$page: link to '$link', but there is no $file"
    elif [ -n "$anchor" ] && [ "${file##*.}" = md ] && ! anchors "$file" | grep -qxF -- "$anchor"; then
      fault "$page: link to '$link', but $file has no such heading"
    fi
  done < <(links "$page")
}

for page in README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md charts/README.md; do check_links "$page"; done
while read -r page; do
  check_links "$page"
  listed=${page#docs/src/}
  [ "$listed" = SUMMARY.md ] || grep -qF "($listed)" docs/src/SUMMARY.md || grep -qF "(./$listed)" docs/src/SUMMARY.md ||
    fault "$page is not in docs/src/SUMMARY.md"
done < <(find -L docs/src -name '*.md' | sort)

# A code that the manual explains is one that the programs say.
while read -r code; do
  grep -rqF --include='*.rs' "\"$code\"" connector dataplane policy identity ||
    fault "docs/src/errors.md explains the code '$code', which no source has"
done < <(awk -F '|' '/^\| `/ { print $2 }' docs/src/errors.md | grep -oE '[a-z]+(_[a-z]+)+')

# A test that a table names in its last column is there.
for page in dsp-coverage dcp-coverage threat-model; do
  while read -r test; do
    grep -rqE --include='*.rs' -- "fn $test\\b" connector dataplane identity policy tck ||
      fault "docs/src/$page.md names the test '$test', which no source has"
  done < <(awk -F '|' '/^\|/ { print $(NF - 1) }' "docs/src/$page.md" | grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u)
done

[ "$faults" = 0 ] || die "$faults faults in the documents"
