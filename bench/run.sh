#!/usr/bin/env bash
# What `./dev bench` calls after the build: measures, prints one table and renews the one in docs/performance.md.
# usage: bench/run.sh [live | kafka] [--quick] [--only NAME[,NAME…]] [--repeat N] [--build DIRECTORY] [--scratch DIRECTORY] [--no-docs]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
[[ ${1:-} == live ]] || [[ ${1:-} == kafka ]] || bench/setup.sh  # what goes over the network has no peers there
exec .venv/bin/python bench/run.py "$@"
