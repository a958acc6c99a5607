#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own: scripts/with-postgres.sh COMMAND [ARGUMENT]...
#
# The server is new and empty, listens on a free port of the loopback address only, keeps its data in a temporary
# folder and is gone when the command has ended. The command finds it in HANSA_TEST_POSTGRES_URL.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || die 'usage: scripts/with-postgres.sh COMMAND [ARGUMENT]...'

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then have initdb && bin=$(dirname "$(command -v initdb)"); fi
[ -n "$bin" ] || die "PostgreSQL's server is missing: 'make setup' installs it (package postgresql)"

# The server refuses to run as root; Debian's package brings an account for it.
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
fi

data=$("${as[@]}" mktemp -d /tmp/hansa-postgres.XXXXXX)
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$data/db" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
port=$(free_port)
printf '%s\n' "$password" | "${as[@]}" sh -c "umask 077; cat >'$data/password'"
(cd / && "${as[@]}" "$bin/initdb" -D "$data/db" -U hansa --pwfile="$data/password" -A scram-sha-256 -E UTF8 \
  --locale=C.UTF-8 -N >/dev/null)
# fsync off: these databases live for a minute, and what is tested is the SQL, not the disk.
(cd / && "${as[@]}" "$bin/pg_ctl" -D "$data/db" -l "$data/log" -w -t 60 -s start \
  -o "-h 127.0.0.1 -p $port -k $data -c fsync=off -c synchronous_commit=off -c max_connections=200") ||
  { cat "$data/log" >&2; die "PostgreSQL did not start"; }

export HANSA_TEST_POSTGRES_URL=postgres://hansa:$password@127.0.0.1:$port/postgres
"$@"
