# Shared by the scripts of this folder; it defines functions and settings, and runs nothing else.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Two jobs: a small machine stays usable and the linker does not run out of memory. JOBS=8 make test on a larger one.
export CARGO_BUILD_JOBS=${JOBS:-2}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
# Everything that a build makes lies in one folder.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
# A build from nothing (CI) gains nothing from incremental files, which take as much disk as the build itself.
if [ "${CI:-}" = true ]; then export CARGO_INCREMENTAL=0; fi

target=$CARGO_TARGET_DIR
tools=$target/tools
export PATH="$tools/bin:$PATH"

say() { printf '%s\n' "$*"; }
warn() { printf 'note: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The pinned compiler, `channel` in rust-toolchain.toml.
pinned_rust() { sed -n 's/^channel *= *"\(.*\)".*/\1/p' "$root/rust-toolchain.toml"; }

# Makes `cargo` and `rustc` the pinned version, or says in one sentence what is missing.
use_pinned_rust() {
  local want name
  want=$(pinned_rust)
  have cargo || die "Rust $want is missing: install rustup (https://rustup.rs), then run this again"
  if rustc --version 2>/dev/null | grep -q "^rustc $want "; then return 0; fi
  if have rustup; then
    # The same version may be there under another name (`stable`): no download is needed then.
    for name in $(rustup toolchain list 2>/dev/null | awk '{print $1}'); do
      if RUSTUP_TOOLCHAIN=$name rustc --version 2>/dev/null | grep -q "^rustc $want "; then
        export RUSTUP_TOOLCHAIN=$name
        return 0
      fi
    done
    rustup toolchain install "$want" --profile minimal --component clippy --component rustfmt && return 0
  fi
  die "Rust $want is missing (found: $(rustc --version 2>/dev/null || say none)): 'rustup toolchain install $want' installs it"
}

# A TCP port of the loopback address that is free now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { say "$port"; return 0; }
  done
}
