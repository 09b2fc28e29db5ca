#!/usr/bin/env python3
"""Checks that folders know only whom they may know (docs/architecture.md): on the links between CMake targets and on the
#include lines below src/. The table is here; `--table` prints it for the docs.

usage: tools/check_arrows.py BUILD_DIRECTORY | --table
"""
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# unit: (what it holds, units it may know, outside libraries it may know). A unit is a folder of src; the seams that
# others may know without what is behind them (log.h, venue.h, sink.h, history.h) are the folder itself, the
# implementations its sub-folders. "folder:feed" is the I/O half of a folder of venues: its files and targets that are
# called feed* or filler*. "*": all.
ARROWS = {
    "core": ("values, decimals, time, the records", [], ["expected"]),
    "codec": ("records as Avro, CSV, JSON; digests", ["core"], ["openssl", "simdjson"]),
    "market": ("the pure heart: ledger, rules, candles, processor", ["core"], []),
    "metrics": ("counters and histograms", [], []),
    "log": ("log.h, the contract of the log", ["core"], []),
    "log/memory": ("the model of the log, with fault dice", ["core", "log"], []),
    "log/lmdb": ("the embedded log", ["core", "log"], ["lmdb", "lz4"]),
    "log/socket": ("the log of a running process, for commands beside it", ["core", "log"], []),
    "log/kafka": ("the log on Apache Kafka", ["core", "log"], ["rdkafka"]),
    "log/conformance": ("what every log must pass (tests)", ["core", "log"], ["gtest"]),
    "net": ("HTTP and WebSocket, client and server; TLS, proxies, back-off, rate budget", ["core"], ["boost", "openssl"]),
    "registry": ("client of a schema registry; schema ids on Kafka", ["core", "codec", "net", "log/kafka"], ["simdjson"]),
    "venues": ("venue.h, the registry of venues, their common JSON reader", ["core"], ["simdjson"]),
    "venues:feed": ("feed.h and what all feeds share; their registry", ["core", "venues", "net"], []),
    # Each folder of a venue, and what is called feed* in it: below.
    "venues/*": ("one venue: what its frames, pages and lists say", ["core", "venues"], ["simdjson"]),
    "venues/*:feed": ("its dialect, for its live feed", ["core", "venues", "venues/*", "venues:feed", "net"], []),
    "capture": ("readers of recorded files", ["core", "venues"], ["archive", "openssl", "simdjson"]),
    "stores": ("sink.h and history.h, the contracts of stores", ["core", "codec"], []),
    "stores/sqlite": ("the embedded store", ["core", "codec", "stores"], ["sqlite"]),
    "stores/conformance": ("what every store must pass (tests)", ["core", "codec", "stores"], ["gtest"]),
    "roles": ("ingest, backfill, process and load: one loop each",
              ["core", "codec", "market", "log", "venues", "venues:feed", "net", "stores", "metrics"], []),
    "serve": ("REST, the stream, compatible calls, control, the page", ["core", "codec", "net", "log", "stores", "metrics"],
              ["simdjson"]),
    "batch": ("import, audit, explain, reconcile; later recompute",
              ["core", "codec", "market", "capture", "log", "venues", "stores", "metrics"], ["openssl"]),
    "sim": ("the simulated venue; shares no decoder with venues", ["core", "net", "capture"],
            ["simdjson", "tomlplusplus"]),
    "app": ("configuration, wiring, subcommands, main", "*", "*"),
}
VENUES = sorted(f"venues/{f.name}" for f in (SRC / "venues").iterdir() if f.is_dir() and (f / "CMakeLists.txt").exists())
for venue in VENUES:
    for pattern in ("venues/*", "venues/*:feed"):
        what, known, libraries = ARROWS[pattern]
        ARROWS[pattern.replace("venues/*", venue)] = (what, [k.replace("venues/*", venue) for k in known], libraries)
# Tests may look at more: the file's own unit may be exercised through these.
TEST_EXTRA = {
    "log": ["log/memory", "log/lmdb", "log/conformance"],
    "log/lmdb": ["log/conformance", "log/memory"],
    "log/memory": ["log/conformance"],
    "stores/sqlite": ["stores/conformance"],
    "venues": VENUES,
    "log/socket": ["log/memory", "log/lmdb", "log/conformance"],
    "roles": "*",
    "serve": "*",
    "batch": "*",
    "capture": VENUES,
}
# Outside libraries by the beginning of an #include <...>.
LIBRARIES = {
    "tl/expected": "expected", "lmdb.h": "lmdb", "lz4": "lz4", "sqlite3": "sqlite", "simdjson": "simdjson",
    "archive": "archive", "openssl": "openssl", "CLI/": "cli11", "toml++": "tomlplusplus", "spdlog": "spdlog",
    "fmt/": "fmt", "boost": "boost", "gtest": "gtest", "gmock": "gtest", "zstd": "zstd", "zlib": "zlib",
    "benchmark": "benchmark", "librdkafka": "rdkafka",
}
# The heart is pure, and so are decoders: nothing that reads a clock, a file, or starts a thread.
PURE = ["core", "codec", "market", "venues", *VENUES]
IMPURE = {"thread", "mutex", "condition_variable", "fstream", "iostream", "filesystem", "unistd.h", "future", "cstdlib"}
PURE_EXCEPTIONS = {("core/clock.h", "atomic")}
# The registry, and the target that is made of it, is the one place in `venues` that knows each venue.
REGISTRIES = {"venues/registry.cc", "truetape_venues", "venues/feeds.cc", "truetape_feeds"}


def is_entry(registry, unit, other):
    return registry in REGISTRIES and other.startswith(unit.split(":")[0] + "/")


def half(unit, name):
    """The I/O half of a unit, if it has one and the name is of it."""
    return f"{unit}:feed" if f"{unit}:feed" in ARROWS and name.startswith(("feed", "filler")) else unit


def unit_of(path):
    """The unit of "log/lmdb/x.h": the longest known folder."""
    *parts, file = path.split("/")
    while parts:
        if "/".join(parts) in ARROWS:
            return half("/".join(parts), file)
        parts.pop()
    return None


def may(unit, other, test):
    if unit == other or ARROWS[unit][1] == "*":
        return True
    extra = TEST_EXTRA.get(unit, []) if test else []
    return other in ARROWS[unit][1] or extra == "*" or other in extra


def is_test(name):
    return name.endswith(("_test.cc", "_test_main.cc", "_child.cc", "_fuzz.cc", "_bench.cc")) or "conformance" in name or "testing" in name


def check_includes():
    wrong = []
    for file in sorted([*SRC.rglob("*.h"), *SRC.rglob("*.cc")]):
        name = file.relative_to(SRC).as_posix()
        unit = unit_of(name)
        if unit is None:
            wrong.append(f"src/{name}: its folder has no line in the table of tools/check_arrows.py")
            continue
        test = is_test(name)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            place = f"src/{name}:{number}"
            ours = re.match(r'\s*#include "([^"]+)"', line)
            if ours:
                other = unit_of(ours[1])
                if other is None:
                    if not (file.parent / ours[1]).exists():
                        continue  # made by the build
                    wrong.append(f'{place}: includes "{ours[1]}"; write the path from src/')
                elif not may(unit, other, test) and not is_entry(name, unit, other):
                    wrong.append(f"{place}: {unit} must not know {other} ({ours[1]})")
                continue
            outside = re.match(r"\s*#include <([^>]+)>", line)
            if not outside or test:
                continue
            for beginning, library in LIBRARIES.items():
                if outside[1].startswith(beginning):
                    allowed = ARROWS[unit][2]
                    if allowed != "*" and library not in allowed and library != "expected":
                        wrong.append(f"{place}: {unit} must not know the library {library}")
            if unit in PURE and outside[1] in IMPURE and (name, outside[1]) not in PURE_EXCEPTIONS:
                wrong.append(f"{place}: {unit} is pure and must not include <{outside[1]}>")
    return wrong


def target_units():
    """truetape_x -> unit, from the CMakeLists below src."""
    units = {}
    for file in SRC.rglob("CMakeLists.txt"):
        folder = file.parent.relative_to(SRC).as_posix()
        for name in re.findall(r"^truetape_library\((\w+)", file.read_text(encoding="utf-8"), re.M):
            units[f"truetape_{name}"] = half(folder, "feed" if "feed" in name else name)
    return units


def check_targets(build):
    units = target_units()
    with tempfile.TemporaryDirectory() as scratch:
        dot = pathlib.Path(scratch) / "links.dot"
        done = subprocess.run(["cmake", f"--graphviz={dot}", str(build)], capture_output=True, text=True)
        if done.returncode != 0 or not dot.exists():
            return [f"cmake --graphviz failed in {build}: {done.stderr.strip()[-300:]}"]
        text = dot.read_text(encoding="utf-8")
    labels = {node: label.split("\\n")[0] for node, label in re.findall(r'"(node\d+)" \[ label = "([^"]+)"', text)}
    wrong, seen = [], 0
    for left, right in re.findall(r'"(node\d+)" -> "(node\d+)"', text):
        unit, other = units.get(labels.get(left)), units.get(labels.get(right))
        if unit is None or other is None:
            continue
        seen += 1
        if unit not in ARROWS or other not in ARROWS:
            wrong.append(f"target {labels[left]} -> {labels[right]}: a folder without a line in the table")
        elif not may(unit, other, test="conformance" in unit) and not is_entry(labels[left], unit, other):
            wrong.append(f"target {labels[left]} links {labels[right]}: {unit} must not know {other}")
    if seen == 0:
        wrong.append(f"no link between targets was found in {build}: the check would prove nothing")
    return wrong


def table():
    lines = ["| folder | what it holds | may know | libraries |", "|---|---|---|---|"]
    for unit, (what, known, libraries) in ARROWS.items():
        if unit.split(":")[0] in VENUES:
            continue

        def words(value):
            return "all" if value == "*" else ", ".join(v.replace(":feed", "/feed*") for v in value)
        place = unit.replace(":feed", "/feed*")
        lines.append(f"| `src/{place}` | {what} | {words(known) or '–'} | {words(libraries) or '–'} |")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] == ["--table"]:
        print(table(), end="")
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = check_includes() + check_targets(sys.argv[1])
    for line in wrong:
        print(line)
    print(f"arrows: {len(wrong)} wrong" if wrong else "arrows: all as docs/architecture.md says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
