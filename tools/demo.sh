#!/usr/bin/env bash
# Plays the bundled recording from a simulated venue into `truetape run`, in a fresh data directory, and prints the
# address of the page. With --once: through to the end, as fast as it goes, then what came of it.
# usage: tools/demo.sh TRUETAPE_BINARY DATA_DIRECTORY [--once] [OPTION...]      (the data directory is deleted first)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
binary=$1
data=$2
shift 2

(cd examples/captures && sha256sum --quiet -c sha256sums.txt)
rm -rf "$data"
mkdir -p "$(dirname "$data")"
exec "$binary" demo --data "$data" "$@"
