#!/usr/bin/env python3
"""Measures truetape beside its peers and renews the table in docs/performance.md (that file says how and why).

Every program checks its content before it gives a number; a wrong content ends this one with 1.
"""
import argparse
import datetime
import decimal
import json
import os
import pathlib
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "performance.md"
MINUTE = 60_000


def load():
    return os.getloadavg()[0]


class Run:
    """One measured line: the medians of some repetitions, with the load of the machine while they ran."""

    def __init__(self):
        self.rows = []

    def add(self, what, values, unit, target="", note="", loads=(), ok=None):
        value = statistics.median(values)
        spread = f"{fmt(min(values))} – {fmt(max(values))}" if len(values) > 1 else ""
        self.rows.append({"what": what, "value": value, "unit": unit, "target": target, "ok": ok, "spread": spread, "note": note,
                          "load": f"{statistics.mean(loads):.1f}" if loads else ""})
        print(f"  {what:58s} {fmt(value):>10s} {unit:10s} {'' if ok is None else ('met' if ok else 'MISSED'):7s} {note}", flush=True)

    def table(self):
        lines = ["| what | median | range | target | | load | notes |", "|---|---:|---|---|---|---:|---|"]
        for r in self.rows:
            mark = "" if r["ok"] is None else ("met" if r["ok"] else "**missed**")
            lines.append(f"| {r['what']} | {fmt(r['value'])} {r['unit']} | {r['spread']} | {r['target']} | {mark} | {r['load']} | {r['note']} |")
        return "\n".join(lines)


def fmt(x):
    if abs(x) >= 1e6:
        return f"{x / 1e6:.2f} M"
    if abs(x) >= 1e4:
        return f"{x / 1e3:.0f} k"
    if abs(x) >= 100:
        return f"{x:.0f}"
    return f"{x:.3g}"


def call(command, **kw):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, **kw)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))} ended with {done.returncode}; nothing is reported")
    return done.stdout


class Bench:
    def __init__(self, args):
        self.args = args
        self.build = (ROOT / args.build).resolve()
        self.scratch = pathlib.Path(args.scratch).resolve()
        self.run = Run()
        self.scale = 4 if args.quick else 1

    def fresh(self, name):
        place = self.scratch / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def repeated(self, times=None):
        for _ in range(times or self.args.repeat):
            yield

    # --- kernels ---
    def kernels(self):
        loads = [load()]
        out = json.loads(call([self.build / "kernels", "--benchmark_format=json", "--benchmark_min_time=0.5",
                               f"--benchmark_repetitions={self.args.repeat}"], stderr=subprocess.DEVNULL))
        loads.append(load())
        found = {}
        for b in out["benchmarks"]:
            if b.get("run_type") == "iteration":
                found.setdefault(b["run_name"], []).append(b)
        self.kernel = {}
        for name, runs in found.items():
            name = re.sub(r"/iterations:1|/manual_time", "", name)
            if "1M_trades" in name:  # the time is of a million
                rates = [1e6 / (r["real_time"] / 1e3) for r in runs]
                self.kernel[name] = statistics.median(rates)
                r = runs[-1]
                parts = "; ".join(f"{k[:-3]} {r[k]:.0f} ns" for k in ("fold_ns", "finish_ns", "encode_ns") if k in r)
                target, ok = "", None
                if "processor" in name and "instruments:1/batch:8192" in name:
                    target, ok = "≥ 2 M", statistics.median(rates) >= 2e6
                self.run.add(name, rates, "trades/s", target, parts, loads, ok)
            else:
                times = [r["cpu_time"] for r in runs]
                self.kernel[name] = statistics.median(times)
                limit = {"decode/spot/truetape": 250, "decode/usdm/truetape": 250, "decode/kucoin/truetape": 400, "decode/finnhub/truetape": 400}.get(name)
                target, ok = (f"≤ {limit} ns", statistics.median(times) <= limit) if limit else ("", None)
                note = f"{runs[-1]['bytes']:.0f} bytes" if "bytes" in runs[-1] else ""
                self.run.add(name, times, "ns", target, note, loads, ok)
        for product in ("spot", "usdm"):
            ours, peer = self.kernel.get(f"decode/{product}/truetape"), self.kernel.get(f"decode/{product}/simdjson_ondemand")
            if ours and peer:
                self.run.add(f"decode {product}: simdjson's time / ours", [peer / ours], "×", "> 1", "same run, same item made", loads, peer > ours)

    # --- the whole ---
    def pipe(self, command, name, *options, times=None):
        values, loads, last = [], [], {}
        for _ in self.repeated(times):
            place = self.fresh(name)
            loads.append(load())
            for line in call([self.build / "pipeline", command, place, *options]).splitlines():
                last = json.loads(line)
            values.append(last["value"])
            shutil.rmtree(place, ignore_errors=True)
        return values, last, loads

    def disk(self):
        values, last, loads = self.pipe("fdatasync", "sync")
        self.run.add("fdatasync of 4 KB, appended", values, "ms", "", f"p99 {last['p99']:.2g} ms", loads)

    def log(self):
        n = 1_000_000 // self.scale
        values, last, loads = self.pipe("append", "append", "--trades", n)
        self.run.add("log: append raw records", values, "records/s", "", f"{last['bytes_per_second'] / 1e6:.0f} MB/s", loads)
        for size, records, count in (("large", 8192, n), ("small", 64, 20_000 // self.scale)):
            values, last, loads = self.pipe("commit", "commit", "--trades", count, "--records", records)
            self.run.add(f"log: poll and commit, {size} steps", values, "records/s", "",
                         f"{last['records_per_commit']} records a step (at least {records} asked, whole blocks given); commit median {last['commit_ms_median']:.2g} ms, p99 {last['commit_ms_p99']:.2g} ms", loads)

    def durable(self):
        n = 2_000_000 // self.scale
        for instruments in (1, 200):
            before, _, _ = self.pipe("fdatasync", "sync", times=1)
            values, last, loads = self.pipe("durable", "durable", "--trades", n, "--instruments", instruments)
            after, _, _ = self.pipe("fdatasync", "sync", times=1)
            slow = max(before + after) > 1  # the disk's time is not ours; it is told beside the number
            target = 3e5 if slow else 1e6
            note = (f"CPU/trade: append {last['cpu_us_append']:.2f} + process {last['cpu_us_process']:.2f} + log writer {last['cpu_us_log_writer']:.2f} µs; "
                    f"{last['log_bytes'] / n:.0f} B/trade in the log; a sync of 4 KB took {before[0]:.2g} ms before, {after[0]:.2g} ms after")
            first = instruments == 1
            self.run.add(f"frames → durable trades + candles, {instruments} instrument{'s' if not first else ''}", values, "trades/s",
                         ("≥ 300 k (slow sync)" if slow else "≥ 1 M") if first else "", note, loads, statistics.median(values) >= target if first else None)

    def store(self):
        n = 1_000_000 // self.scale
        values, last, loads = self.pipe("sqlite", "sqlite", "--trades", n)
        note = (f"CPU/trade: process {last['cpu_us_process']:.2f} + load {last['cpu_us_load']:.2f} + log writer {last['cpu_us_log_writer']:.2f} µs; "
                f"{last['rows']} rows")
        self.run.add("frames → every row in SQLite", values, "trades/s", "≥ 250 k", note, loads, statistics.median(values) >= 250e3)

    def audit(self):
        n = 4_000_000 // self.scale
        place = self.fresh("audit")
        call([self.build / "pipeline", "sqlite", place, "--trades", n])
        runs = [json.loads(line) for line in call([self.build / "audit_bench", place, n]).splitlines()]
        shutil.rmtree(place, ignore_errors=True)
        values = [run["value"] for run in runs]
        note = (f"CPU/trade: {runs[-1]['cpu_us_per_trade']:.2f} µs; read alone: store {runs[-1]['cpu_us_read_store']:.2f}, log {runs[-1]['cpu_us_read_log']:.2f} µs; "
                f"{runs[-1]['candles']} candles")
        self.run.add("audit: every row of log and SQLite", values, "trades/s", "≥ 2 M", note, [load()] * len(values), statistics.median(values) >= 2e6)

    def explain(self):
        n = 1_500_000 // self.scale
        place = self.fresh("explain")
        runs = [json.loads(line) for line in call([self.build / "explain_bench", place, n]).splitlines()]
        shutil.rmtree(place, ignore_errors=True)
        for way in ("import", "live"):
            mine = [run for run in runs if run["name"].endswith(way)]
            values = [run["value"] for run in mine]
            note = f"the slowest of 200 windows; median {mine[-1]['median']:.1f} ms, of CPU {mine[-1]['cpu_ms']:.1f} and at most {mine[-1]['most_cpu_ms']:.1f} ms; {mine[-1]['candles']} records of candles"
            self.run.add(f"explain one candle, {way}", values, "ms", "≤ 50 ms", note, [load()] * len(values), statistics.median(values) <= 50)

    def backup(self):
        # The same file as trades of one more instrument each time: alone and beside a backup of all that is there, in turn.
        n = 2_000_000 // self.scale
        files = self.fresh("csv")
        call([self.build / "pipeline", "csv", files, "--trades", n])
        source = next(files.glob("*.csv"))
        data, target = self.fresh("imported"), self.scratch / "backup"
        instruments = iter(range(1000))

        def one_more():
            return self.imported(data, [source], options=("--instrument", f"binance:A{next(instruments)}USDT"))[0]

        def size():
            return sum(f.stat().st_blocks * 512 for f in data.rglob("*") if f.is_file())

        while size() < 1e9 / self.scale:
            one_more()
        values, alone, beside, loads, taken, copied = [], [], [], [], [], size()
        for _ in self.repeated():
            loads.append(load())
            alone.append(one_more())
            shutil.rmtree(target, ignore_errors=True)
            begun = time.perf_counter()
            with subprocess.Popen([str(self.build / "truetape"), "backup", "--data", str(data), str(target)], stdout=subprocess.DEVNULL) as copy:
                beside.append(one_more())
                if copy.wait() != 0:
                    sys.exit("bench: truetape backup failed")
            taken.append(time.perf_counter() - begun)
            values.append((beside[-1] / alone[-1] - 1) * 100)
        shutil.rmtree(target)
        shutil.rmtree(data)
        self.run.add("import beside a backup: how much longer it takes", values, "%", "≤ 20 %",
                     f"alone {statistics.median(alone):.1f} s, beside {statistics.median(beside):.1f} s; backup of {copied / 1e9:.1f} GB or more {statistics.median(taken):.0f} s, at its default rate",
                     loads, statistics.median(values) <= 20)

    def reopen(self):
        n = 5_000_000 // self.scale
        values, last, loads = self.pipe("reopen", "reopen", "--trades", n, "--instruments", 200 // self.scale, "--every", 46, times=1)
        self.run.add("after kill -9: open, restore, first commit", values, "s", "≤ 2 s",
                     f"{last['records'] / 1e6:.1f} M records, {last['live_windows']} live windows; open {last['open_s']:.3f} s, restored at {last['restored_s']:.2f} s",
                     loads, values[0] <= 2)

    def imported(self, data, files, watch=False, options=("--venue", "binance")):
        """truetape import; seconds, peak and last RssAnon in MB."""
        process = subprocess.Popen([str(self.build / "truetape"), "import", "--data", str(data), *options, *map(str, files)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peak, start = 0, time.perf_counter()
        errors = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
        reader.start()
        while process.poll() is None:
            if watch:
                try:
                    found = re.search(r"RssAnon:\s+(\d+) kB", pathlib.Path(f"/proc/{process.pid}/status").read_text())
                    peak = max(peak, int(found.group(1)) / 1000 if found else 0)
                except FileNotFoundError:
                    pass
            time.sleep(0.005)
        taken = time.perf_counter() - start
        reader.join()
        if process.returncode != 0:
            sys.exit(f"bench: truetape import ended with {process.returncode}: {errors[0]}")
        return taken, peak

    @staticmethod
    def expect_store(data, trades):
        with sqlite3.connect(f"file:{data / 'store.db'}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT count(*) FROM trades").fetchone()[0]
            gaps = db.execute("SELECT count(*) FROM gaps").fetchone()[0]
            held = db.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        if (rows, gaps, held) != (trades, 0, 0):
            sys.exit(f"bench: the store has {rows} trades, {gaps} gaps and {held} rows in quarantine; there were {trades} sound trades")

    def archive(self):
        n = 1_000_000 // self.scale
        files = self.fresh("csv")
        call([self.build / "pipeline", "csv", files, "--trades", n])
        source = next(files.glob("*.csv"))
        values, loads = [], []
        for _ in self.repeated():
            loads.append(load())
            data = self.fresh("imported")
            values.append(n / self.imported(data, [source], options=("--instrument", "binance:BTCUSDT"))[0])
            self.expect_store(data, n)
        shutil.rmtree(data)
        self.run.add("truetape import of a CSV archive, until in SQLite", values, "trades/s", "", f"{source.stat().st_size / n:.0f} B a row; the whole command", loads)

    def memory(self):
        n = 1_000_000 // self.scale
        files = self.fresh("frames200")
        call([self.build / "pipeline", "frames", files, "--trades", n, "--instruments", 200])
        peaks, loads = [], []
        for _ in self.repeated(2):
            loads.append(load())
            data = self.fresh("imported")
            peaks.append(self.imported(data, [next(files.glob("*.frames"))], True)[1])
            self.expect_store(data, n)
        shutil.rmtree(data)
        shutil.rmtree(files)
        self.run.add("RssAnon at its peak, all roles, 200 instruments", peaks, "MB", "≤ 200 MB", "import at full speed", loads, max(peaks) <= 200)

    # --- over the network ---
    def live(self):
        from live import measure
        measure.Live(self).all(self.args.live.split(","))

    def kafka(self):
        from kafka import measure
        measure.Kafka(self).all()

    # --- peers ---
    def peers(self):
        n = 500_000 // self.scale
        files = self.fresh("peers")
        env = dict(os.environ, TRUETAPE_PEERS=str(ROOT / ".tools" / "peers"))
        for order, every in (("in order", 0), ("1 % late", 100)):
            call([self.build / "pipeline", "frames", files, "--trades", n, *(["--every", every] if every else [])])
            stem = files / ("late" if every else "in-order")
            truth = bars_of(stem.with_suffix(".csv"))
            last = max(truth)
            bars = files / "bars.jsonl"
            loads, found = [], {}
            for _ in self.repeated():
                loads.append(load())
                data = self.fresh("peer-import")
                taken, _ = self.imported(data, [stem.with_suffix(".frames")])
                found.setdefault("ours", []).append(n / taken)
                ours = self.our_bars(data)
                answer = json.loads(call(["node", ROOT / "bench/peers/tardis_bars.js", stem.with_suffix(".csv"), bars], env=env))
                found.setdefault("tardis", []).append(n / answer["seconds"])
                found.setdefault("tardis cpu", []).append(n / answer["cpu_seconds"])
                tardis = [json.loads(line) for line in bars.read_text().splitlines()]
                for threads in (1, 2):
                    answer = json.loads(call([sys.executable, ROOT / "bench/peers/duckdb_bars.py", stem.with_suffix(".csv"), bars, threads]))
                    found.setdefault(f"duckdb{threads}", []).append(n / answer["seconds_from_file"])
                    found.setdefault(f"duckdb{threads}m", []).append(n / answer["seconds"])
                    found.setdefault(f"duckdb{threads} cpu", []).append(n / answer["cpu_seconds_from_file"])
                    found.setdefault(f"duckdb{threads}m cpu", []).append(n / answer["cpu_seconds"])
                duck = [json.loads(line) for line in bars.read_text().splitlines()]
            shutil.rmtree(data)
            del truth[last]  # not over yet: nobody is asked for it
            for name, key, rows, note in (
                    ("truetape import (durable, seven intervals, SQLite)", "ours", ours, "whole command"),
                    ("tardis-dev computeTradeBars", "tardis", tardis, "1 m only, from objects in memory"),
                    ("DuckDB SQL, file, 1 thread", "duckdb1", duck, "1 m only, nothing kept"),
                    ("DuckDB SQL, file, 2 threads", "duckdb2", duck, "1 m only, nothing kept"),
                    ("DuckDB SQL, table in memory, 1 thread", "duckdb1m", duck, "1 m only, nothing kept, when all trades are there")):
                wrong, missing = compare([r for r in rows if r["start"] != last], truth)
                verdict = f"**{wrong} wrong, {missing} missing** of {len(truth)} bars; {note}"
                ok = None
                if key == "ours":
                    ok = wrong == 0 and missing == 0
                    if not ok:
                        sys.exit(f"bench: our own candles are wrong: {wrong} wrong, {missing} missing, {order}")
                self.run.add(f"{order}: {name}", found[key], "trades/s", "0 wrong, 0 missing" if key == "ours" else "", verdict, loads, ok)
            if not every and getattr(self, "kernel", None):
                whole = self.kernel.get("processor/1M_trades/instruments:1/batch:8192")
                if whole:
                    for key, name in (("tardis", "tardis-dev"), ("duckdb1", "DuckDB from the file, 1 thread"), ("duckdb1m", "DuckDB from memory, 1 thread")):
                        self.run.add(f"our processor in memory (frames → 7 intervals, encoded) / {name}", [whole / statistics.median(found[key + ' cpu'])], "×", "",
                                     "trades in a second of CPU time, of both", loads)

    def our_bars(self, data):
        rows = call([self.build / "truetape", "query", "candles", "--data", data, "--interval", "1m", "--format", "csv"]).splitlines()
        names = rows[0].split(",")
        out = []
        for line in rows[1:]:
            r = dict(zip(names, line.split(",")))
            if r["status"] == "open" or not r["trades"] or r["trades"] == "0":
                continue
            start = datetime.datetime.fromisoformat(r["start"].replace("Z", "+00:00"))
            out.append({"start": int(start.timestamp() * 1000), **{k: r[k] for k in ("open", "high", "low", "close", "volume")}, "trades": int(r["trades"])})
        return out


def bars_of(file):
    """The truth, the plainest way: by event time, order within it by id."""
    trades = []
    with open(file) as lines:
        next(lines)
        for line in lines:
            _, number, price, quantity, at, _ = line.split(",")
            trades.append((int(number), decimal.Decimal(price), decimal.Decimal(quantity), int(at)))
    trades.sort()
    out = {}
    for _, price, quantity, at in trades:
        b = out.get(at // MINUTE * MINUTE)
        if b is None:
            out[at // MINUTE * MINUTE] = [price, price, price, price, quantity, 1]
        else:
            b[1], b[2], b[3] = max(b[1], price), min(b[2], price), price
            b[4] += quantity
            b[5] += 1
    return out


def compare(rows, truth):
    """Wrong: another value (volume to 1e-9, for those that add doubles), a window that is none, or a second bar of one."""
    seen, wrong = set(), 0
    for r in rows:
        b = truth.get(r["start"])
        twice = r["start"] in seen
        seen.add(r["start"])
        if b is None or twice:
            wrong += 1
            continue
        same = all(decimal.Decimal(str(r[k])) == b[i] for i, k in enumerate(("open", "high", "low", "close"))) and r["trades"] == b[5]
        wrong += not (same and abs(decimal.Decimal(str(r["volume"])) - b[4]) <= b[4] * decimal.Decimal("1e-9"))
    return wrong, len(truth.keys() - seen)


def version(command, pattern=r"(\d+\.[\d.]+\S*)"):
    try:
        found = re.search(pattern, subprocess.run(command, capture_output=True, text=True).stdout)
    except FileNotFoundError:
        return "none"
    return found.group(1) if found else "?"


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 1e6
    packages = {p: version(["dpkg-query", "-W", "-f=${Version}", p], r"(\S+)") for p in ("liblmdb-dev", "libsqlite3-0", "libsimdjson-dev")}
    try:
        peers = json.loads((ROOT / ".tools/peers/node_modules/tardis-dev/package.json").read_text())["version"]
        import duckdb
        others = f"DuckDB {duckdb.__version__}, node {version(['node', '--version'])}, tardis-dev {peers}"
    except (FileNotFoundError, ImportError):  # measured without them
        others = "no peers"
    compiler = version(["c++", "--version"], r"(\d+[.]\d+[.]\d+)")
    return (f"{os.cpu_count()} × {cpu}, {memory:.0f} GB, Linux {platform.release().split('-')[0]}; g++ {compiler}, "
            f"-O3 with LTO, no -march=native; LMDB {packages['liblmdb-dev']}, SQLite {packages['libsqlite3-0']}, simdjson {packages['libsimdjson-dev']}, "
            f"{others}")


PARTS = ["kernels", "disk", "log", "durable", "store", "audit", "explain", "backup", "archive", "memory", "reopen", "peers"]
# Each group has a table of its own in the docs, renewed when the whole group was measured.
GROUPS = {"bench": PARTS, "bench-live": ["live"], "bench-kafka": ["kafka"]}
LIVE = ["latency", "quiet", "tickers", "first", "most", "outage", "rest", "soak"]  # of the part live


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the data")
    parser.add_argument("part", nargs="?", choices=["live", "kafka"], help="only what goes over the network (bench/live), or the log on Kafka (bench/kafka); without it all else")
    parser.add_argument("--only", help="of " + ",".join([*PARTS, "live", "kafka"]))
    parser.add_argument("--live", default=",".join(LIVE), help="of the part live: some of " + ",".join(LIVE))
    parser.add_argument("--minutes", type=float, default=30, help="of the run with faults (live, soak)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions; the median counts")
    parser.add_argument("--build", default="build/bench")
    parser.add_argument("--scratch", default=str(ROOT / "build/bench-data"), help="on the disk that is to be measured; needs 5 GB")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/performance.md alone")
    args = parser.parse_args()
    parts = args.only.split(",") if args.only else [args.part] if args.part else PARTS
    if unknown := set(parts) - {*PARTS, "live", "kafka"} | set(args.live.split(",")) - set(LIVE):
        parser.error(f"unknown: {', '.join(unknown)}")
    bench = Bench(args)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    if subprocess.run(["git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "bench"], capture_output=True, text=True).stdout.strip():
        commit += " with changes that are not committed"
    for group, those in GROUPS.items():
        mine = [part for part in those if part in parts]
        if not mine:
            continue
        bench.run.rows.clear()
        before = load()
        for part in mine:
            print(f"== {part} (load {load():.1f})", flush=True)
            getattr(bench, part)()
        now = datetime.datetime.now(datetime.timezone.utc)
        head = (f"Measured {now:%Y-%m-%d %H:%M} UTC at {commit or 'no commit'}: {machine()}. Load average {before:.1f} at the beginning, {load():.1f} at the end "
                f"(2 would be this program alone); medians of {args.repeat}.{' Quick run: a quarter of the data.' if args.quick else ''}")
        text = head + "\n\n" + bench.run.table()
        print("\n" + text)
        if not args.no_docs and mine == those and set(args.live.split(",")) == set(LIVE):
            old = DOCS.read_text()
            begin, end = f"<!-- {group}:begin -->", f"<!-- {group}:end -->"
            DOCS.write_text(old[: old.index(begin) + len(begin)] + "\n" + text + "\n" + old[old.index(end):])
            print(f"renewed {DOCS.relative_to(ROOT)}")
    shutil.rmtree(bench.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
