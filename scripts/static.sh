#!/usr/bin/env bash
# Builds both programs without any shared library, into target/static: scripts/static.sh [FEATURES]
#
# The C library is glibc, not musl: its memory allocation is the one that all measurements of this project were made with.
# A name is looked up in /etc/hosts and by DNS, as in the usual build; other sources of names (LDAP, mDNS) need the usual build.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

triple=$(rustc -vV | sed -n 's/^host: //p')
# Named by its target, so that build scripts and macros, which have to be shared libraries, are not meant.
RUSTFLAGS='-C target-feature=+crt-static' OPENSSL_STATIC=1 \
  cargo build --release --locked --target "$triple" --package connector --package dataplane \
  ${1:+--features "connector/$1"} --bin hansa --bin hansa-dataplane
mkdir -p "$target/static"
for program in hansa hansa-dataplane; do
  cp "$target/$triple/release/$program" "$target/static/$program"
  case $(ldd "$target/static/$program" 2>&1 || true) in
    *'statically linked'* | *'not a dynamic executable'*) ;;
    *) die "$program still needs shared libraries" ;;
  esac
done
ls -l "$target/static"
