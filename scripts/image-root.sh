#!/usr/bin/env bash
# Puts together what the container image adds to its base, as a plain folder: the recipe copies this folder, and a test
# runs it.
#
#   scripts/image-root.sh BIN_DIR OUT
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# = 2 ] || die 'usage: scripts/image-root.sh BIN_DIR OUT'

for program in hansa hansa-dataplane; do
  [ -x "$1/$program" ] || die "$1/$program is missing: 'make build' builds it"
  install -D -m 0755 "$1/$program" "$2/usr/local/bin/$program"
done
install -D -m 0644 LICENSE "$2/usr/share/doc/hansa/LICENSE"
scripts/sbom.py "$2/usr/share/doc/hansa/sbom.cdx.json"
chmod 0644 "$2/usr/share/doc/hansa/sbom.cdx.json"
# All that a program writes lies here; a volume is mounted over it.
install -d -m 0700 "$2/var/lib/hansa"
[ "$(id -u)" != 0 ] || chown 65532:65532 "$2/var/lib/hansa"
