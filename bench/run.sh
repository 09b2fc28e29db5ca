#!/usr/bin/env bash
# What `./dev bench` calls after the build: measures, prints one table and renews the one in docs/performance.md.
# usage: bench/run.sh [--quick] [--only NAME[,NAME…]] [--repeat N] [--build DIRECTORY] [--scratch DIRECTORY] [--no-docs]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
bench/setup.sh
exec .venv/bin/python bench/run.py "$@"
