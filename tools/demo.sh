#!/usr/bin/env bash
# Imports the bundled recording into a fresh data directory and shows what came of it.
# usage: tools/demo.sh TRUETAPE_BINARY DATA_DIRECTORY      (the data directory is deleted first)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
binary=$1
data=$2
recording=examples/captures/binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst

(cd examples/captures && sha256sum --quiet -c sha256sums.txt)
rm -rf "$data"
mkdir -p "$(dirname "$data")"

printf '\n== import: %s\n' "$recording"
"$binary" import --data "$data" "$recording"

printf '\n== the 1-minute candles, and how far each can be trusted\n'
"$binary" query candles --data "$data" --interval 1m --format table

printf '\n== gaps: %s\n' "$("$binary" query gaps --data "$data" --format csv | tail -n +2 | wc -l)"

printf '\n== digest of the log, and of the store: the same, so every trade is in both once\n'
"$binary" digest --data "$data" --compare

cat <<TXT

The data lie in $data: the log in log/, the SQLite store in store.db. Try next:

  $binary query candles --data $data --interval 5m
  $binary query trades --data $data --limit 5 --format csv
  sqlite3 $data/store.db '.schema'
TXT
