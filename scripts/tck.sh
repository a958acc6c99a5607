#!/usr/bin/env bash
# The official kits against the binaries that ship: scripts/tck.sh [dsp|dsp-credentials|dcp]... [OPTION OF tck-driver]...
#
# dsp              the kit of the Dataspace Protocol
# dsp-credentials  the same; the connector knows everybody but the kit by verifiable credentials
# dcp              the kit of the Decentralized Claims Protocol, one package after the other
set -euo pipefail
. "$(dirname "$0")/lib.sh"
use_pinned_rust

cargo build --release --locked --bin hansa --bin hansa-dataplane --bin tck-driver
exec "$target/release/tck-driver" --bin-dir "$target/release" "$@"
