#!/usr/bin/env bash
# The long tests. Each step leaves a line in build/soak; docs/soak.md is made of the last line of each, so steps may be run
# one by one.
# usage: tools/soak.sh [STEP...]     asan tsan seeds large large-model mutants fuzz kills log-kills run-kills kafka trouble day long simulation simulation-mutants (all, if nothing is said)
#   TRUETAPE_SEEDS (5000)  histories of the property tests          TRUETAPE_LARGE_SEEDS (1000)  those with >= 10,000 trades
#   TRUETAPE_LONG_MINUTES (90)  of the long run                      TRUETAPE_SIMULATION_SEEDS (20000)  histories of the simulation
#   TRUETAPE_KILLS (50)    kill -9 of whole imports and of run under load, and as many power cuts of imports; twice as many of
#                          workers on Kafka                          TRUETAPE_FUZZ_SECONDS (60)  each target
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
jobs=${TRUETAPE_JOBS:-$(nproc)}
seeds=${TRUETAPE_SEEDS:-5000}
large=${TRUETAPE_LARGE_SEEDS:-1000}
kills=${TRUETAPE_KILLS:-50}
fuzz=${TRUETAPE_FUZZ_SECONDS:-60}
long=${TRUETAPE_LONG_MINUTES:-90}
simulations=${TRUETAPE_SIMULATION_SEEDS:-20000}
all_steps=(asan tsan seeds large large-model mutants fuzz kills log-kills run-kills kafka trouble day long simulation simulation-mutants)
mkdir -p build/soak
failed=()

build() {
  [[ -f build/$1/build.ninja ]] || cmake --preset "$1" >/dev/null || return 1
  cmake --build "build/$1" -j "$jobs" "${@:2}" >build/soak/build.log 2>&1 || { tail -n 30 build/soak/build.log; return 1; }
}

# step NAME WHAT COMMAND...: runs it, keeps its output, and notes what came of it.
step() {
  local name=$1 what=$2 began=$SECONDS result commit
  commit=$(git rev-parse --short HEAD)
  git diff --quiet HEAD -- src tests cmake CMakeLists.txt CMakePresets.json 2>/dev/null || commit+=" + changes"
  shift 2
  printf '== %s: %s\n' "$name" "$what"
  if "$@" >"build/soak/$name.log" 2>&1; then
    result=passed
  else
    result="**failed**"
    failed+=("$name")
    tail -n 40 "build/soak/$name.log"
  fi
  printf '%s after %d s\n' "$result" $((SECONDS - began))
  printf '| %s | %s | %s | %d s | %s | %s |\n' "$name" "$what" "$result" $((SECONDS - began)) "$commit" "$(date -u +%Y-%m-%d)" >"build/soak/$name.row"
}

# A sanitized build takes its time: fewer seeds than an ordinary test run.
all_tests() { build "$1" && TRUETAPE_SEEDS=50 ctest --test-dir "build/$1" -LE soak --output-on-failure -j "$jobs"; }
# property COUNT [NAME=VALUE...]: that many seeds, in one process per core over a slice each; all their output, one result.
# A slice has at least 50 seeds, if there are so many: then it must show every kind of result.
property() {
  local count=$1 parts=$jobs each part status=0 pids=()
  shift
  build dev --target reference_test || return 1
  ((count < parts * 50)) && parts=$((count / 50))
  ((parts > 0)) || parts=1
  each=$(((count + parts - 1) / parts))
  for ((part = 0; part < parts; ++part)); do
    local from=$((${TRUETAPE_SEED_FROM:-1} + part * each)) most=$((count - part * each))
    ((most > 0)) || break
    env -u TRUETAPE_SEED "$@" TRUETAPE_SEED_FROM=$from TRUETAPE_SEEDS=$((most < each ? most : each)) build/dev/reference_test >"build/soak/property.$part.log" 2>&1 &
    pids+=($!)
  done
  for part in "${!pids[@]}"; do
    wait "${pids[part]}" || status=1
    echo "== slice $((part + 1)) of $parts"
    cat "build/soak/property.$part.log"
  done
  return $status
}
fuzz_all() {
  local names name status=0
  names=$(
    sed -nE 's/^truetape_fuzzer\((\w+).*/\1_fuzz/p' tests/fuzz/CMakeLists.txt
    for name in src/venues/*/*_fuzz.cc; do sed -E 's|src/venues/(.*)/(.*)_fuzz.cc|\1_\2_fuzz|' <<<"$name"; done
  )
  [[ $names ]] || { echo "no fuzz target was found"; return 1; }
  # shellcheck disable=SC2086
  build fuzz --target $names || return 1
  for name in $names; do
    mkdir -p "build/soak/corpus/$name"
    "build/fuzz/$name" -max_total_time="$fuzz" -print_final_stats=1 -artifact_prefix=build/soak/ "build/soak/corpus/$name" || status=1
  done
  return $status
}
import_kills() { build dev && TRUETAPE_KILLS=$kills TRUETAPE_POWER_CUTS=$kills build/dev/import_crash_test; }
log_kills() { build dev && TRUETAPE_KILLS=$((kills * 4)) TRUETAPE_CUTS=$((kills * 4)) build/dev/log_crash_test; }
run_kills() { build dev --target truetape && TRUETAPE=build/dev/truetape TRUETAPE_KILLS=$kills no_proxy=127.0.0.1 python3 tests/live/kills_test.py; }
# Beside three real brokers each. That there is no Kafka is no pass here.
kafka() {
  build dev --target truetape kafka_log_test kafka_log_worker || return 1
  TRUETAPE=build/dev/truetape TRUETAPE_WORKERS=1,2,4 TRUETAPE_KILLS=$((kills * 2)) TRUETAPE_ZOMBIES=$((kills / 5)) TRUETAPE_LEADER_KILLS=$((kills / 5)) \
    TRUETAPE_SLICES=100 no_proxy=127.0.0.1 tests/kafka/with_broker.py --nodes 3 -- python3 tests/kafka/chaos_test.py &&
    tests/kafka/with_broker.py --nodes 3 -- build/dev/kafka_log_test
}
# One process per core over a slice each; a state file per slice, so that what was interrupted goes on.
simulation() {
  local each=$(((simulations + jobs - 1) / jobs)) part status=0 pids=()
  build dev --target simulation || return 1
  for ((part = 0; part < jobs; ++part)); do
    rm -f "build/soak/simulation.$part.state"
    build/dev/simulation --from $((1 + part * each)) --count "$each" --state "build/soak/simulation.$part.state" >"build/soak/simulation.$part.log" 2>&1 &
    pids+=($!)
  done
  for part in "${!pids[@]}"; do
    wait "${pids[part]}" || status=1
    echo "== slice $((part + 1)) of $jobs"
    cat "build/soak/simulation.$part.log"
  done
  build/dev/simulation --hours --from 1 --count 10 || status=1
  return $status
}
trouble() { build dev --target truetape && TRUETAPE=build/dev/truetape TRUETAPE_SPOT_SEEDS=20 TRUETAPE_USDM_SEEDS=5 no_proxy=127.0.0.1 python3 tests/trouble/trouble_test.py; }
day_run() { build dev --target truetape && TRUETAPE=build/dev/truetape no_proxy=127.0.0.1 python3 tests/trouble/day_run.py; }
long_run() { build dev --target truetape && TRUETAPE=build/dev/truetape TRUETAPE_LONG_MINUTES=$long no_proxy=127.0.0.1 python3 tests/live/long_run.py; }

steps=("$@")
((${#steps[@]})) || steps=("${all_steps[@]}")
for name in "${steps[@]}"; do
  case $name in
    asan) step asan "all tests with AddressSanitizer and UBSan" all_tests asan ;;
    tsan) step tsan "all tests with ThreadSanitizer" all_tests tsan ;;
    seeds) step seeds "$seeds seeded histories against the reference model, content and bytes properties" property "$seeds" ;;
    large) step large "$large seeded histories of at least 3 instruments, 10,000 trades, two sessions, a repaired and a lost hole: content and bytes properties" property "$large" TRUETAPE_LARGE=1 GTEST_FILTER='Properties.*-*Model*:*Judge*' ;;
    large-model) step large-model "$large such histories against the reference model" property "$large" TRUETAPE_LARGE=1 GTEST_FILTER='*Model*:*Judge*' ;;
    mutants) step mutants "each rule of the heart flipped, one at a time: the property tests must fail" tools/mutants.py --jobs "$jobs" ;;
    fuzz) step fuzz "each fuzz target for $fuzz s (libFuzzer, AddressSanitizer, UBSan)" fuzz_all ;;
    kills) step kills "$kills imports under kill -9 and $kills under power cuts at random instants, whole run" import_kills ;;
    log-kills) step log-kills "$((kills * 4)) kills and $((kills * 4)) power cuts of the log's writer" log_kills ;;
    run-kills) step run-kills "run under load from a venue that misbehaves, spot and USD-M, $kills kill -9 of each at random instants, judged by the simulator's own lists" run_kills ;;
    kafka) step kafka "$((kills * 2)) kill -9 of workers, $((kills / 5)) stopped past their session, $((kills / 5)) kill -9 of leading brokers, with 1, 2 and 4 workers: digests and audit exact; the log's suite on three brokers" kafka ;;
    trouble) step trouble "20 seeded scenarios of cuts, drops, duplicates, reordering, corrupt frames, refusals and lag of REST, restarts and kill -9, spot, and 5 of USD-M, over real sockets: digests of the undisturbed run; and a venue that gives nothing; all judged by the simulator's own lists: no proven candle false" trouble ;;
    day) step day "a day of the venue in half an hour over real sockets (sim --speed 48), a fault every few minutes, two kills, filled over REST: every trade once, no proven candle false, audit, memory flat" day_run ;;
    long) step long "$long minutes of run at 5,000 trades/s, faults each few minutes, three kills: audit, disk within its limit, memory flat" long_run ;;
    simulation) step simulation "$simulations histories of the real roles under faults of one seed each, in virtual time, and 10 of 8 h" simulation ;;
    simulation-mutants) step simulation-mutants "planted bugs (ledger, position, epoch, a dropped frame), one at a time: the simulation must find each within 10,000 histories" tools/mutants.py --target simulation --jobs "$jobs" ;;
    *) echo "soak: there is no step '$name'" >&2; exit 2 ;;
  esac
done

{
  cat <<TXT
# Soak

The last result of each step of \`./dev soak\` (tools/soak.sh says what each does and how to set the counts). Written by it.
Machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%d GB", $2 / 1e6}' /proc/meminfo), $(. /etc/os-release && echo "$PRETTY_NAME"), $(g++ --version | head -n 1), $(clang --version | head -n 1).

| step | what | result | time | commit | date |
|---|---|---|---|---|---|
TXT
  # Of a step that this checkout never ran, the row that is there stays.
  for name in "${all_steps[@]}"; do
    cat "build/soak/$name.row" 2>/dev/null || grep -F "| $name |" docs/soak.md
  done
} >build/soak/soak.md
mv build/soak/soak.md docs/soak.md
echo "docs/soak.md is written"
if ((${#failed[@]})); then
  echo "soak: failed: ${failed[*]}"
  exit 1
fi
