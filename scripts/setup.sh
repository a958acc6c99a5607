#!/usr/bin/env bash
# Installs what the build, the demo, the tests or the benchmark need and this machine lacks.
#
#   scripts/setup.sh [build|test|doc|bench|fuzz|s3|opa|charts|python]...      default: build test doc
#
# Debian and Ubuntu packages are installed with apt-get when this runs as root or sudo asks for no password. Cargo's
# own tools are built from their released sources into target/tools. What cannot be installed is named in one sentence
# with what it is for; the script then exits 1.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

readonly MDBOOK=0.5.4
readonly CARGO_DENY=0.20.2
readonly CARGO_FUZZ=0.13.2
readonly VERSITYGW=1.8.0
readonly OPA=1.22.2
readonly HELM=4.3.1
readonly KUBECONFORM=0.8.0
readonly KUBERNETES=1.36.3
readonly GATEWAY_API=1.4.0
readonly CERT_MANAGER=1.19.1

missing=()
packages=()

# need COMMAND PACKAGE PURPOSE: ask for PACKAGE when COMMAND is not there.
need() { have "$1" || { packages+=("$2"); wanted["$2"]="$1 ($3)"; }; }
declare -A wanted

need_build() {
  need cc gcc 'the C compiler that the TLS and SQLite libraries are built with'
  need curl curl 'shows single requests in the demo'
  need pkg-config pkg-config 'finds OpenSSL, which tokens are signed and verified with'
  if ! pkg-config --atleast-version=3 openssl 2>/dev/null; then
    packages+=(libssl-dev)
    wanted[libssl-dev]='OpenSSL 3 with its headers (tokens are signed and verified with it)'
  fi
}

need_test() {
  [ -n "$(postgres_bin)" ] || { packages+=(postgresql); wanted[postgresql]='postgresql (store tests on a real server)'; }
  need openssl openssl 'makes the tokens of the quick start'
  need mvn maven 'fetches the kit of the conformance tests'
  if ! java_is_new_enough; then
    packages+=(openjdk-17-jdk-headless)
    wanted[openjdk-17-jdk-headless]='a JDK, 17 or newer (runs the conformance tests)'
  fi
  if ! [ -x /usr/sbin/sshd ]; then
    packages+=(openssh-server)
    wanted[openssh-server]='sshd (the SFTP server of the tests of files)'
  fi
  if ! compgen -G '/usr/lib*/faketime/libfaketimeMT.so.1' >/dev/null && ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then
    packages+=(libfaketime)
    wanted[libfaketime]='libfaketime (a clock that the fault tests set)'
  fi
  need ssh-keygen openssh-client 'makes the keys of that server'
  need go golang-go 'builds the S3-compatible store, the policy evaluator and Helm, which tests use'
  need_python
}

need_python() {
  need python3 python3 'runs NGSI-LD clients and the tests of the charts and of the container image'
  python3 -c 'import ensurepip, venv' 2>/dev/null || { packages+=(python3-venv); wanted[python3-venv]='venv for Python (its packages for those tests)'; }
}

need_bench() {
  need nginx nginx-light 'the proxy that the data plane is measured against'
  need openssl openssl 'the certificate with which TLS is measured'
}

# The folder of PostgreSQL's server programs, which Debian keeps off the PATH.
postgres_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$found" ]; then say "$found"; elif have initdb; then dirname "$(command -v initdb)"; fi
}

java_is_new_enough() {
  have javac || return 1
  local major
  major=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
  [ "${major:-0}" -ge 17 ]
}

install_packages() {
  [ "${#packages[@]}" -gt 0 ] || return 0
  local as=() package
  if [ "$(id -u)" != 0 ]; then
    if have sudo && sudo -n true 2>/dev/null; then as=(sudo); else as=(false); fi
  fi
  if have apt-get && [ "${as[*]:-}" != false ]; then
    say "installing: ${packages[*]}"
    "${as[@]}" apt-get update -qq || warn 'the list of packages could not be brought up to date'
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" \
      >"$target/setup/apt.log" 2>&1 && return 0
    tail -n 5 "$target/setup/apt.log" >&2
  fi
  for package in "${packages[@]}"; do missing+=("${wanted[$package]}: install the package '$package'"); done
}

# cargo_tool COMMAND CRATE VERSION PURPOSE [CARGO OPTION]...
cargo_tool() {
  local command=$1 crate=$2 version=$3 purpose=$4
  shift 4
  if [ -x "$tools/bin/$command" ] && "$tools/bin/$command" --version 2>/dev/null | grep -q "$version"; then return 0; fi
  say "building $crate $version ($purpose); this happens once"
  # Not optimised: these tools run for a second or two, and build in a third of the time.
  if ! CARGO_TARGET_DIR="$target/tools/build" cargo install --quiet --locked --debug --root "$tools" "$@" "$crate@$version" \
    >"$target/setup/$crate.log" 2>&1; then
    tail -n 5 "$target/setup/$crate.log" >&2
    missing+=("$command ($purpose): 'cargo install $crate@$version' failed, see $target/setup/$crate.log")
  fi
  rm -rf "$target/tools/build"
}

# go_tool COMMAND PACKAGE VERSION PURPOSE: built from its released source; one at a time builds it, the others wait for it.
go_tool() {
  local command=$1 package=$2 version=$3 purpose=$4
  exec 9>"$target/setup/$command.lock"
  flock 9
  if [ -x "$tools/bin/$command" ]; then return 0; fi
  if have "$command"; then mkdir -p "$tools/bin" && ln -s "$(command -v "$command")" "$tools/bin/$command" && return 0; fi
  if ! have go; then
    missing+=("$command ($purpose): 'go', 1.21 or newer, builds it")
    return 0
  fi
  say "building $command $version ($purpose); this happens once"
  # A newer Go than the installed one is fetched where the source asks for it.
  if ! CGO_ENABLED=0 GOTOOLCHAIN=auto GOBIN="$tools/bin" GOMAXPROCS="$CARGO_BUILD_JOBS" \
    go install "$package@v$version" >"$target/setup/$command.log" 2>&1; then
    tail -n 5 "$target/setup/$command.log" >&2
    missing+=("$command ($purpose): see $target/setup/$command.log")
  fi
}

# python_packages NAME PINS PURPOSE: packages of Python by version and hash, in an environment of their own.
python_packages() {
  local name=$1 pins=$2 purpose=$3 place=$tools/python/$1
  exec 9>"$target/setup/python-$name.lock"
  flock 9
  if cmp -s "$pins" "$place/pins.txt"; then return 0; fi
  say "fetching packages of Python ($purpose); this happens once"
  if ! { python3 -m venv --clear "$place" && "$place/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$pins"; } \
    >"$target/setup/python-$name.log" 2>&1; then
    tail -n 5 "$target/setup/python-$name.log" >&2
    missing+=("packages of Python ($purpose): see $target/setup/python-$name.log")
    return 0
  fi
  cp "$pins" "$place/pins.txt"
}

# The folder of a Go module that holds data for tests.
go_module() { GOTOOLCHAIN=auto go mod download -json "$1" 2>>"$target/setup/modules.log" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'; }

# Schemas of exact versions of Kubernetes and of what the charts use beside it, from their own descriptions.
chart_schemas() {
  local out=$tools/schemas-$KUBERNETES-$GATEWAY_API-$CERT_MANAGER core gateway certificates
  [ ! -d "$out" ] || return 0
  core=$(go_module "k8s.io/kubernetes@v$KUBERNETES")/api/openapi-spec/swagger.json
  gateway=$(go_module "sigs.k8s.io/gateway-api@v$GATEWAY_API")/config/crd/standard/gateway.networking.k8s.io_
  certificates=$(go_module "github.com/cert-manager/cert-manager@v$CERT_MANAGER")/deploy/crds/cert-manager.io_
  rm -rf "$out.new"
  if "$tools/python/charts/bin/python" scripts/chart-schemas.py "$out.new" "$core" "$gateway"{httproutes,gateways}.yaml \
    "$certificates"{certificates,issuers}.yaml >>"$target/setup/modules.log" 2>&1; then
    mv "$out.new" "$out" && ln -sfn "$out" "$tools/schemas"
  else
    tail -n 5 "$target/setup/modules.log" >&2
    missing+=("the schemas of Kubernetes $KUBERNETES (tests of the charts): see $target/setup/modules.log")
  fi
}

mkdir -p "$target/setup"
[ $# -gt 0 ] || set -- build test doc
use_pinned_rust
for what in "$@"; do
  case $what in
    build) need_build ;;
    test) need_test ;;
    bench) need_bench ;;
    python) need_python ;;
    doc | fuzz | s3 | opa | charts) ;;
    *) die "unknown part '$what': build, test, doc, bench, fuzz, s3, opa, charts or python" ;;
  esac
done
install_packages
for what in "$@"; do
  case $what in
    test) cargo_tool cargo-deny cargo-deny "$CARGO_DENY" 'checks licences and advisories' ;;
    doc) cargo_tool mdbook mdbook "$MDBOOK" 'builds the manual' --no-default-features --features search ;;
    s3) go_tool versitygw github.com/versity/versitygw/cmd/versitygw "$VERSITYGW" 'an S3-compatible store for tests' ;;
    opa) go_tool opa github.com/open-policy-agent/opa "$OPA" 'another evaluator for the policy bundle' ;;
    charts)
      go_tool kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$KUBECONFORM" 'checks manifests by their schemas'
      go_tool helm helm.sh/helm/v4/cmd/helm "$HELM" 'renders the charts'
      python_packages charts charts/tests/python.txt 'tests of the charts'
      chart_schemas
      ;;
    # Their dependencies contradict each other, so each has its own environment; most of the time is waiting for the network.
    python) for name in ngsildclient filip; do
      python_packages $name dataplane/tests/python/$name.txt "$name, an NGSI-LD client that tests run"
    done ;;
    fuzz) cargo_tool cargo-fuzz cargo-fuzz "$CARGO_FUZZ" 'runs the fuzz targets' ;;
  esac
done

if [ "${#missing[@]}" -gt 0 ]; then
  printf 'missing: %s\n' "${missing[@]}" >&2
  exit 1
fi
for what in "$@"; do touch "$target/setup/$what.done"; done
