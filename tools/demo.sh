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
"$binary" import --data "$data" --venue binance "$recording"

printf '\n== the 1-minute candles, and how far each can be trusted\n'
"$binary" query candles --data "$data" --interval 1m --format csv | awk -F, '
  function line(a, b, c, d, e, f, g, h, i) { printf "%-20s  %9s  %9s  %9s  %9s  %10s  %6s  %-12s  %s\n", a, b, c, d, e, f, g, h, i }
  NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; line("start", "open", "high", "low", "close", "volume", "trades", "completeness", "proof"); next }
  { line($at["start"], $at["open"], $at["high"], $at["low"], $at["close"], $at["volume"], $at["trades"],
         $at["status"] == "open" ? "(still open)" : $at["completeness"], $at["proof"]) }'

printf '\n== gaps: %s\n' "$("$binary" query gaps --data "$data" --format csv | tail -n +2 | wc -l)"

printf '\n== digests of the log, compared with those of the store\n'
"$binary" digest --data "$data" --compare 2>&1

cat <<TXT

The data lie in $data: the log in log/, the SQLite store in store.db. Try next:

  $binary query candles --data $data --interval 5m
  $binary query trades --data $data --limit 5 --format csv
  $binary log ls --data $data
TXT
