"""Runs the truetape binary of the environment variable TRUETAPE and reads what it prints."""
import contextlib
import csv
import io
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TRUETAPE", str(ROOT / "build/dev/truetape"))
CAPTURES = ROOT / "examples/captures"
BTC_FRAMES = CAPTURES / "binance-spot-btcusdt-ws-20240808t2354-20240809t0005.frames.zst"
LTC_CSV = CAPTURES / "binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
LTC_OPTIONS = ["--instrument", "binance:LTCUSDT", "--tape", "agg",
               "--columns", "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId"]


def run(*arguments, expect=0, **more):
    """Standard output; the exit code must be `expect` (None: any). Answers the whole result if expect is not 0."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"truetape {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done.stdout if expect == 0 else done


def rows(data, kind, *more):
    return list(csv.DictReader(io.StringIO(run("query", kind, "--data", data, "--format", "csv", *more))))


def digest(data, place):
    return run("digest", "--data", data, "--from", place)


def store_rows(data, sql):
    """The store as any SQLite tool reads it."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/store.db?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


class Case(unittest.TestCase):
    """Each test has a scratch directory of its own, self.data below it does not exist yet."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="truetape-test-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.data = self.scratch / "data"


def main():
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
