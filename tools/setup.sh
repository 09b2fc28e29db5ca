#!/usr/bin/env bash
# Installs what a command of ./dev needs, and only what is missing: packages of Debian 12, the page's chart library by npm and,
# for tests and benchmarks, Python environments in .venv and .venv-clients, the browser test's driver by npm and Kafka's
# brokers by maven in .tools/kafka. Quick when there is nothing to do. The one list of packages is here.
# usage: tools/setup.sh [build | test | check | bench | soak | all]      (test, if nothing is said)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
what=${1:-test}

build=(git ca-certificates g++ cmake ninja-build ccache pkg-config
  libboost1.81-dev libssl-dev libsimdjson-dev libfmt-dev libspdlog-dev libcli11-dev libsqlite3-dev libexpected-dev liblmdb-dev
  liblz4-dev libarchive-dev libtomlplusplus-dev librdkafka-dev nodejs npm)
test=("${build[@]}" libgtest-dev libgmock-dev python3 python3-venv sqlite3 zstd iproute2 chromium
  openjdk-17-jre-headless maven kcat)
check=("${test[@]}" clang-format clang-tidy)
bench=("${test[@]}" libbenchmark-dev default-jdk-headless)
soak=("${test[@]}" clang libclang-rt-14-dev)
case $what in
  build) packages=("${build[@]}") python= ;;
  test) packages=("${test[@]}") python=yes ;;
  check) packages=("${check[@]}") python=yes ;;
  bench) packages=("${bench[@]}") python=yes ;;
  soak) packages=("${soak[@]}") python=yes ;;
  all) packages=("${check[@]}" "${bench[@]}" "${soak[@]}") python=yes ;;
  *) echo "tools/setup.sh: unknown word '$what'; build, test, check, bench, soak or all" >&2; exit 2 ;;
esac
# A tool that the machine has from elsewhere serves as well as the package.
provided() {
  case $1 in
    nodejs) command -v node ;;
    openjdk-17-jre-headless) command -v java ;;
    default-jdk-headless) command -v javac ;;
    maven) command -v mvn ;;
    npm | cmake | git | python3 | chromium | kcat) command -v "$1" ;;
    *) return 1 ;;
  esac >/dev/null 2>&1
}

missing=()
installed=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' 2>/dev/null || true)"
for package in $(printf '%s\n' "${packages[@]}" | sort -u); do
  [[ $installed == *" installed=$package "* ]] || provided "$package" || missing+=("$package")
done
root=()
if [[ $(id -u) != 0 ]]; then
  if command -v sudo >/dev/null; then root=(sudo); else root=(none); fi
fi
if ((${#missing[@]})); then
  if ! command -v apt-get >/dev/null || [[ ${root[*]:-} == none ]]; then
    echo "setup: these Debian 12 packages are missing; install them as root (or their like on your system) and try again:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  log=$(mktemp)
  if ! { "${root[@]}" apt-get update -qq &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get failed (its words above); the packages wanted: ${missing[*]}" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
fi

# environment DIRECTORY REQUIREMENTS: a Python environment. The stamp holds what was installed; it is written last, so that
# a broken environment is made anew.
environment() {
  local place=$1 wanted=$2
  if [[ $(cat "$place/requirements" 2>/dev/null) == "$(cat "$wanted")" && -x $place/bin/python ]]; then return; fi
  echo "setup: Python packages into $place: $(grep -v '^#' "$wanted" | xargs)"
  local interpreter=/usr/bin/python3
  [[ -x $interpreter ]] && "$interpreter" -c 'import ensurepip' 2>/dev/null || interpreter=python3
  rm -rf "$place"
  "$interpreter" -m venv "$place"
  "$place/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$wanted"
  cp "$wanted" "$place/requirements"
}
# node_packages DIRECTORY: what its lock file names, into its node_modules; stamped like the environments.
node_packages() {
  local place=$1
  if cmp -s "$place/package-lock.json" "$place/node_modules/.locked"; then return; fi
  echo "setup: npm packages into $place/node_modules"
  if ! (cd "$place" && npm ci --loglevel=error); then
    echo "setup: npm could not fetch what $place/package-lock.json names; is a registry of npm reached from here?" >&2
    exit 1
  fi
  cp "$place/package-lock.json" "$place/node_modules/.locked"
}
# promtool judges the alert rules in tests. Only this one file of Debian's package prometheus, so that no server is started.
fetch_promtool() {
  if type -P promtool >/dev/null || [[ -x .tools/promtool ]]; then return; fi
  local place
  place=$(mktemp -d)
  echo "setup: promtool into .tools"
  if ! (cd "$place" && { apt-get download prometheus || { "${root[@]}" apt-get update -qq && apt-get download prometheus; }; } &&
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) >"$place/log" 2>&1; then
    tail -n 5 "$place/log" >&2
    echo "setup: promtool could not be fetched from Debian's package prometheus; put it on the PATH" >&2
    exit 1
  fi
  mkdir -p .tools
  mv "$place/usr/bin/promtool" .tools/promtool
  rm -rf "$place"
}
# jars POM PLACE: what the pom depends on, into PLACE/lib; stamped with the pom. Made beside it first, so that a broken copy is
# never taken for a whole one. A download that fails is tried once more (-U: in earnest).
jars() {
  local pom=$1 place=$2
  if cmp -s "$pom" "$place/pom.xml"; then return; fi
  echo "setup: jars of $pom into $place/lib"
  local fresh=$place.$$.tmp log
  log=$(mktemp)
  copy() {
    mvn -q -B "$@" -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/$fresh/lib" >"$log" 2>&1
  }
  mkdir -p "$fresh"
  if ! copy && { sleep 5; ! copy -U; }; then
    grep -m 5 ERROR "$log" >&2 || tail -n 5 "$log" >&2
    rm -rf "$fresh" "$log"
    echo "setup: maven could not fetch what $pom names (its words above); is a repository of maven reached from here?" >&2
    exit 1
  fi
  cp "$pom" "$fresh/pom.xml"
  rm -rf "$place"
  mv "$fresh" "$place"
  rm -f "$log"
}
node_packages web
if [[ $python ]]; then
  fetch_promtool
  node_packages tests/page
  environment .venv tools/requirements.txt
  environment .venv-clients tools/requirements-clients.txt
  jars tests/kafka/pom.xml .tools/kafka
  if [[ $what == bench || $what == all ]]; then jars bench/kafka/streams/pom.xml .tools/kafka-streams; fi
fi
echo "setup: all that '$what' needs is there"
