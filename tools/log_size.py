#!/usr/bin/env python3
"""How much room a day takes: the table of the README, from `truetape run` against the simulator's generated trades.

For each class of symbols, such as the ten largest, the simulator trades so many symbols at so many trades a second in all (with the
best bid and ask of each order and a ticker each second, as the venue sends them) for a while. What the log's topics and the SQLite
file grow by between two looks gives bytes per million trades and GB a day. The rates are assumptions, printed with the result: a
day's average of all symbols together, spread evenly; give your own.

usage: tools/log_size.py [--seconds 60] [--class NAME:SYMBOLS:RATE]... [BINARY]
"""
import argparse
import contextlib
import csv
import io
import json
import os
import pathlib
import sqlite3
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/app"), str(ROOT / "tests/sim"), str(ROOT / "tests/live")]


def look(live, run):
    """Trades stored, bytes of topics and state in the log, bytes of the store."""
    rows = csv.DictReader(io.StringIO(live.tool("log", "stats", "--data", run.data, "--format", "csv")))
    parts = {row["part"]: row for row in rows}
    with contextlib.closing(sqlite3.connect(f"file:{run.data}/store.db?mode=ro", uri=True)) as db:  # its log of writes is no growth
        store = (db.execute("pragma page_count").fetchone()[0] - db.execute("pragma freelist_count").fetchone()[0]) * db.execute("pragma page_size").fetchone()[0]
    topics = {name: int(row["bytes"]) for name, row in parts.items() if row["records"] != ""}
    return int(parts["trades"]["records"]), int(parts["in use"]["bytes"]), store, topics, time.monotonic()


def measure(live, venue_module, symbols, rate, seconds):
    with tempfile.TemporaryDirectory(prefix="truetape-size-") as folder:
        with venue_module.Venue("--symbols", symbols, "--rate", rate, "--shift", "now", trades=False) as venue:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            listing = json.load(direct.open(f"{venue.rest}/api/v3/exchangeInfo", timeout=60))
            wanted = [f"{venue.venue}:{s['symbol']}" for s in listing["symbols"]]
            with live.Run(pathlib.Path(folder) / "data", *wanted, venues=[venue]) as run:
                run.wait_more(1)
                time.sleep(min(20, seconds / 3))  # the state's first growth is over
                first = look(live, run)
                time.sleep(seconds)
                last = look(live, run)
    trades, log, store = (b - a for a, b in zip(first[:3], last[:3]))
    grown = {topic: last[3][topic] - first[3][topic] for topic in last[3]}
    return trades, log, store, grown, last[4] - first[4]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--class", dest="classes", action="append", metavar="NAME:SYMBOLS:RATE")
    parser.add_argument("binary", nargs="?", default=str(ROOT / "build/dev/truetape"))
    asked = parser.parse_args()
    os.environ["TRUETAPE"] = asked.binary
    import live
    import venue
    print("| symbols | trades/s (assumed) | log, MB per million trades | SQLite, MB per million trades | log, GB a day | SQLite, GB a day |")
    print("|---|---|---|---|---|---|")
    notes = []
    for text in asked.classes or ["top 10:10:300", "top 100:100:700", "all:3000:1200"]:
        name, symbols, rate = text.split(":")
        trades, log, store, grown, seconds = measure(live, venue, symbols, rate, asked.seconds)
        if trades < 0.5 * float(rate) * seconds:
            sys.exit(f"{name}: {trades} trades in {seconds:.0f} s, {rate} a second were asked for: this machine is too busy")
        day = trades and float(rate) * 86_400 / trades  # by trades, so that a look a little late does no harm
        print(f"| {name} ({symbols}) | {rate} | {log / trades:.0f} | {store / trades:.0f} | {log * day / 1e9:.1f} | {store * day / 1e9:.1f} |", flush=True)
        most = sorted(grown.items(), key=lambda item: -item[1])[:4]
        notes.append(f"{name}: {trades} trades in {seconds:.0f} s; " + ", ".join(f"{topic} {100 * n / max(log, 1):.0f} %" for topic, n in most))
    print("\n".join(["", *notes]))


if __name__ == "__main__":
    main()
