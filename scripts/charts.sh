#!/usr/bin/env bash
# Lints and renders the charts for every file of values in their folders `ci`, checks what comes out by the schemas of
# Kubernetes and by the programs themselves, and tests what is refused: scripts/charts.sh [TEST]...
set -euo pipefail
. "$(dirname "$0")/lib.sh"

scripts/setup.sh charts
export HANSA_BIN_DIR=${HANSA_BIN_DIR:-$target/release} HANSA_CHART_SCHEMAS=$tools/schemas HANSA_PYTHON_BIN=$tools/python/charts/bin
# Nothing of the user's own Helm or cluster takes part.
export HELM_CACHE_HOME=$target/charts/cache HELM_CONFIG_HOME=$target/charts/config HELM_DATA_HOME=$target/charts/data KUBECONFIG=/dev/null
export PYTHONDONTWRITEBYTECODE=1
cd charts/tests
exec "$tools/python/charts/bin/python" -m unittest "${@:-discover}"
