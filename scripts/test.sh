#!/usr/bin/env bash
# Every check of the project, stage by stage, with the seconds of each.
#
#   scripts/test.sh             all stages, as `make test` and CI run them
#   scripts/test.sh lint tests   only these, in the order given
#
# The first stage that fails ends the run. What a stage printed stays in target/test-logs/STAGE.log.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

readonly ALL=(lint deny build tests opa vault charts doc tck demo)
# Pages of the manual whose commands are run.
readonly PAGES=(quick-start join-a-dataspace policy-tools policy-operations ngsi-ld subscriptions mirror context-source writing files)
logs=$target/test-logs
mkdir -p "$logs"

# Tests that start whole services start these: the binaries that ship.
export HANSA_BIN_DIR=$target/release

lint() { scripts/lint.sh; }
deny() { scripts/deny.sh; }
# Tools of the tests that need another compiler, or are fetched, are made beside; the stages that use them wait for them.
build() { (scripts/setup.sh s3 opa charts python >"$logs/setup.log" 2>&1 &) && cargo build --release --workspace --bins --locked; }
# The store's tests run on SQLite and on the PostgreSQL server that this starts.
tests() { scripts/setup.sh s3 python && scripts/with-postgres.sh cargo test --workspace --locked; }
doc() {
  scripts/setup.sh python && scripts/config-reference.sh --check || return
  for page in "${PAGES[@]}"; do scripts/run-docs.sh "docs/src/$page.md" || return; done
  scripts/doc.sh
}
# The policy bundle on Open Policy Agent: its own tests, and every case of the tables, which must answer as ours does.
opa() {
  scripts/setup.sh opa && "$tools/bin/opa" check --strict policy/rego && "$tools/bin/opa" test policy/rego &&
    HANSA_OPA=$tools/bin/opa cargo test -p policy --lib --locked -- --ignored opa_answers_as_we_do
}
charts() { scripts/charts.sh; }
tck() { scripts/tck.sh; }
demo() { scripts/demo.sh; }
soak() { HANSA_SOAK=1 cargo test --workspace --locked --test faults -- --nocapture; }
vault() { cargo test -p connector --features vault --lib --locked -- vault secret_store; }
interop() { cargo test --workspace --locked --test foreign_dataplane --test schemas; }

describe() {
  case $1 in
    lint) say 'rustfmt and clippy, warnings as errors' ;;
    deny) say 'licences, banned crates, sources, advisories' ;;
    build) say 'the binaries that ship, release profile' ;;
    tests) say 'unit tests, and tests of whole services: SQLite, PostgreSQL, faults' ;;
    opa) say 'the policy bundle on Open Policy Agent' ;;
    charts) say 'Helm charts by the schemas of Kubernetes, the container image as a folder, both run' ;;
    doc) say 'quick start as written, manual and reference, warnings as errors' ;;
    tck) say 'the official kits: Dataspace Protocol, twice, and Decentralized Claims Protocol' ;;
    demo) say 'two cities, from start to end' ;;
    interop) say 'parts that others wrote: schemas, a data plane' ;;
    vault) say 'private keys in a secret store, by the feature of that name' ;;
    soak) say 'faults, the long form' ;;
    *) return 1 ;;
  esac
}

# Counts the tests that the closing lines of cargo and of the kit tell.
count() { # passed|failed
  cat "${finished[@]/%/.log}" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' | awk -v what="$1" '
    /^test result: / { for (i = 2; i <= NF; i++) if ($i == what ";") n += $(i - 1) }
    what == "passed" && /^Ran [0-9]+ tests? in / { n += $2 }
    /^RESULT found=/ { for (i = 2; i <= NF; i++) if (index($i, what "=") == 1) n += substr($i, length(what) + 2) }
    END { print n + 0 }'
}

# The test programs and the runs of a kit that took five seconds or more.
slow() { # LOG
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    $1 == "Running" { name = $2 == "unittests" ? $3 : $2; sub(/.*\//, "", name); sub(/\.rs$/, "", name); crate = $NF }
    $1 == "Running" && $2 == "unittests" { n = split($NF, part, "/"); name = part[n]; sub(/-[0-9a-f]*\)$/, "", name) }
    /^test result: / { t = $NF; sub(/s$/, "", t); if (t >= 5) printf "%-12s %8s  %s\n", "", "(" int(t + 0.5) ")", name }
    /: (NOT )?as expected, [0-9]+ s$/ { t = $(NF - 1); sub(/: (NOT )?as .*/, ""); if (t >= 5) printf "%-12s %8s  %s\n", "", "(" t ")", $0 }'
}

table() {
  local name
  printf '\n%-12s %8s  %s\n' stage seconds ''
  for name in "${names[@]}"; do
    printf '%-12s %8s  %s\n' "$name" "${seconds[$name]}" "$(describe "$name")"
    slow "$logs/$name.log"
  done
  printf '%-12s %8s\n\n' total "$((SECONDS - began))"
}

names=()
finished=()
declare -A seconds
began=$SECONDS
[ $# -gt 0 ] || set -- "${ALL[@]}"
for name in "$@"; do describe "$name" >/dev/null || die "unknown stage '$name': ${ALL[*]}"; done
use_pinned_rust

for name in "$@"; do
  printf '\n==> %s: %s\n' "$name" "$(describe "$name")"
  names+=("$name")
  finished+=("$logs/$name")
  start=$SECONDS
  "$name" 2>&1 </dev/null | tee "$logs/$name.log"
  status=${PIPESTATUS[0]}
  seconds[$name]=$((SECONDS - start))
  if [ "$status" != 0 ]; then
    table
    say "tests: $(count passed) passed, $(count failed) failed"
    die "stage '$name' failed (exit $status); its output is in $logs/$name.log, 'scripts/test.sh $name' runs it alone"
  fi
done

table
say 'every stage passed'
say "tests: $(count passed) passed, $(count failed) failed"
