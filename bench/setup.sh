#!/usr/bin/env bash
# The peers of the benchmarks that are not Debian packages: tardis-dev, pinned by peers/package-lock.json, into .tools/peers
# (ignored by git). DuckDB comes with tools/setup.sh. Quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
to=.tools/peers
if ! cmp -s bench/peers/package-lock.json "$to/package-lock.json" || [[ ! -d $to/node_modules/tardis-dev ]]; then
  echo "setup: tardis-dev into $to"
  mkdir -p "$to"
  cp bench/peers/package.json "$to/"
  cp bench/peers/package-lock.json "$to/package-lock.json"
  (cd "$to" && npm ci --no-audit --no-fund --ignore-scripts --silent) || { rm -f "$to/package-lock.json"; exit 1; }
fi
