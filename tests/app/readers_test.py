#!/usr/bin/env python3
"""Room in the log as an operator meets it: log stats, log compact, readers ls and forget; and a reader that never comes back, which
fills the log of a running process until it is forgotten."""
import csv
import io
import json
import os
import re
import subprocess
import sys
import unittest

import tt
sys.path[:0] = [str(tt.ROOT / "tests/sim"), str(tt.ROOT / "tests/live")]
import live
import venue as simulated

REGISTER = os.environ.get("TRUETAPE_REGISTER", "")
LTC = [*tt.LTC_OPTIONS, tt.LTC_CSV]


def register(data, name):
    subprocess.run([REGISTER, data / "log", name], check=True)


def stats(data, *more):
    return {row["part"]: row for row in csv.DictReader(io.StringIO(tt.run("log", "stats", "--data", data, "--format", "csv", *more)))}


def held(data, name):
    rows = csv.DictReader(io.StringIO(tt.run("readers", "ls", "--data", data, "--format", "csv")))
    return sum(int(row["held_bytes"]) for row in rows if row["reader"] == name)


class Readers(tt.Case):
    def test_stats_ls_and_forget_without_a_process(self):
        for command in (["log", "stats"], ["log", "compact"], ["readers", "ls"], ["readers", "forget", "x"]):
            self.assertIn("there is nothing in", tt.run(*command, "--data", self.data, expect=1).stderr)
        tt.run("import", "--data", self.data, *LTC)
        there = stats(self.data, "--set", "log.size=100MB")
        self.assertEqual(there["trades"]["records"], "53325")
        self.assertEqual(there["size limit"]["bytes"], "100000000")
        self.assertEqual(there["hard limit"]["bytes"], "125000000")
        self.assertEqual((there["raw"]["kept"], there["trades"]["kept"], there["gaps"]["kept"]), ("7d", "30d", "last of each key"))
        number = lambda part, column: int(there[part][column])
        self.assertEqual(number("trades", "bytes_per_million_trades"), number("trades", "bytes") * 1_000_000 // 53_325)
        topics = [name for name, row in there.items() if row["records"] != ""]
        self.assertEqual(sum(number(t, "bytes") for t in topics) + number("state", "bytes"), number("in use", "bytes"))
        self.assertEqual(number("file", "bytes"), sum(number(p, "bytes") for p in ("in use", "free pages", "taken ahead", "other")))
        self.assertEqual(number("file", "bytes"), (self.data / "log/log.mdb").stat().st_size)
        rows = [json.loads(line) for line in tt.run("log", "stats", "--data", self.data, "--format", "json").splitlines()]
        self.assertEqual(rows[1]["part"], "trades")
        self.assertEqual(rows[1]["records"], 53_325)
        self.assertIn("in use", tt.run("log", "stats", "--data", self.data))

        self.assertEqual(held(self.data, "load:sqlite"), 0)
        register(self.data, "gone")
        self.assertEqual(held(self.data, "gone"), number("raw", "block_bytes"))
        said = tt.run("readers", "forget", "nobody", "--data", self.data, expect=1).stderr
        self.assertIn("has no reader 'nobody'; it has 'gone', 'load:sqlite'.", said)
        self.assertIn("process is no registered reader", tt.run("readers", "forget", "process", "--data", self.data, expect=1).stderr)
        self.assertEqual(tt.run("readers", "forget", "gone", "--data", self.data), "forgotten: gone\n")
        self.assertEqual(held(self.data, "gone"), 0)
        self.assertNotIn("gone", tt.run("readers", "ls", "--data", self.data))

    def test_compact_gives_room_back_and_changes_nothing(self):
        tt.run("import", "--data", self.data, *LTC)
        # Smaller than what is there: the next process deletes what all have stored.
        small = ["--set", "log.size=8MB"]
        tt.run("import", "--data", self.data, "--finish", *small)
        before = (self.data / "log/log.mdb").stat().st_size
        digest = tt.digest(self.data, "log")
        said = tt.run("log", "compact", "--data", self.data)
        after = (self.data / "log/log.mdb").stat().st_size
        self.assertEqual(said, f"log.mdb: {before} bytes before, {after} now\n")
        self.assertLess(after, before)
        there = stats(self.data)
        self.assertEqual((there["free pages"]["bytes"], there["taken ahead"]["bytes"]), ("0", "0"))
        self.assertEqual(tt.digest(self.data, "log"), digest)
        self.assertIn("sound", tt.run("log", "verify", "--data", self.data))
        tt.run("import", "--data", self.data, *LTC)  # it goes on
        self.assertEqual(len(tt.rows(self.data, "trades")), 53_325)


@unittest.skipUnless(REGISTER, "no register_reader")
class NeverComesBack(tt.Case):
    def test_the_log_fills_run_says_who_and_after_forget_all_goes_on(self):
        with simulated.Venue("--symbols", "4", "--rate", "8000", "--keep", "1000") as venue:
            symbols = [f"binance:{s}" for s in venue.symbols]
            sets = ["log.size=8MB"]
            with live.Run(self.data, *symbols, venues=[venue], sets=sets) as run:
                run.wait_more(1)
            register(self.data, "gone")
            with live.Run(self.data, *symbols, venues=[venue], sets=sets) as run:
                full = lambda: json.loads(run.ask("/health/ready")[2])
                live.until("readiness says who holds the log", lambda: run.alive() and "the reader 'gone' holds" in str(full()))
                self.assertEqual(run.status("/health/ready"), 503)
                self.assertIn(f"truetape readers forget gone --data {self.data}", str(full()))
                live.until("run's log says it", lambda: "truetape readers forget gone" in run.log())
                self.assertEqual(run.status("/health/live"), 200)
                live.until("intake waits", lambda: run.metric("truetape_ingest_waits_for_room_total", venue="binance") > 0)
                self.assertGreater(held(self.data, "gone"), 4_000_000)
                refused = tt.run("log", "compact", "--data", self.data, expect=1).stderr
                self.assertIn("is being written by process", refused)
                self.assertIn("is at work", tt.run("readers", "forget", "load:sqlite", "--data", self.data, expect=1).stderr)

                self.assertEqual(tt.run("readers", "forget", "gone", "--data", self.data), "forgotten: gone\n")
                live.until("run is ready again", lambda: run.alive() and run.status("/health/ready") == 200)
                run.wait_more(100)
                self.assertGreater(run.metric("truetape_log_deleted_blocks_total"), 0)
        # What was not received meanwhile is missing by name, and nothing else is.
        gaps = tt.rows(self.data, "gaps")
        trades = tt.rows(self.data, "trades")
        for symbol in symbols:
            ids = sorted(int(t["first_id"]) for t in trades if t["instrument"] == symbol)
            missing = set(range(ids[0], ids[-1] + 1)) - set(ids)
            named = {i for g in gaps if g["instrument"] == symbol and g["last_id"] for i in range(int(g["first_id"]), int(g["last_id"]) + 1)}
            self.assertLessEqual(missing, named, symbol)
        self.assertIn("sound", tt.run("log", "verify", "--data", self.data))


if __name__ == "__main__":
    tt.main()
