#!/usr/bin/env python3
"""Commands that write while another process holds the log: through its socket, with the same results as without it."""
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import tt
sys.path.insert(0, str(tt.ROOT / "tests/sim"))
import venue as simulated
from cli_test import COLUMNS, ROWS

BTC = ["--venue", "binance", tt.BTC_FRAMES]
LTC = [*tt.LTC_OPTIONS, tt.LTC_CSV]
PATIENCE = 120
NOBODY = "127.0.0.1:9"  # no venue is reached, nor the real one asked


class Holder:
    """A `truetape run`, which holds the log."""

    def __init__(self, data, *settings, venue=None, instruments=(), arguments=()):
        feeds = {v: (f"ws://{NOBODY}", f"http://{NOBODY}") for v in ("binance", "binance-usdm")}
        if venue is not None:
            feeds[venue.venue] = (venue.websocket, venue.rest)
        sets = ["serve.port=0", "backfill.enabled=no", *(f"feed.{v}.{key}={url}" for v, urls in feeds.items() for key, url in zip(("stream_url", "rest_url"), urls)), *settings]
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.told = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([tt.BINARY, "run", *instruments, "--data", str(data), *arguments, *(word for s in sets for word in ("--set", s))], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.told, text=True, env=environment)
        line = self.process.stdout.readline()
        self.address = (line.split() + ["", ""])[1].rstrip("/")
        if not line.startswith("ready http://127.0.0.1:"):
            self.process.kill()
            raise AssertionError(f"run: {line}{self.log()}")

    def log(self):
        self.told.seek(0)
        return self.told.read()

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Its exit code and what it said."""
        self.process.terminate()
        self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(PATIENCE), self.log()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Case(tt.Case):
    def hold(self, *settings, **more):
        holder = Holder(self.data, *settings, **more)
        self.addCleanup(holder.told.close)
        self.addCleanup(holder.kill)
        return holder

    def alone(self, *imports, name="alone"):
        """Digests of the same imports without anybody beside them."""
        data = self.scratch / name
        for arguments in imports:
            tt.run("import", "--data", data, *arguments)
        return tt.digest(data, "log")

    def started(self, *arguments):
        process = subprocess.Popen([tt.BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)

    def raw_records(self):
        return sum(int(line.split()[3]) for line in tt.run("log", "ls", "--data", self.data).splitlines() if re.match(r"raw +\d", line))

    def wait_writing(self):
        """Until an import has written some, long before it has written all. Looks at the file alone: a command of its own would take
        as long as the import on a slow machine."""
        file = self.data / "log/log.mdb"
        before = file.stat().st_blocks
        self.until(lambda: (file.stat().st_blocks - before) * 512 > 1 << 20, "the import never began")

    def many_rows(self, count):
        file = self.scratch / "many.csv"
        head = ROWS.splitlines()[0]
        with open(file, "w") as out:
            out.write(head + "\n")
            out.writelines(f"{1723161253000 + i * 100},{61000 + i % 997}.{i % 10},0.01,{'True' if i % 3 else 'False'},{1000 + i}\n" for i in range(count))
        return [*COLUMNS, file]


class Import(Case):
    def test_beside_a_process_gives_what_it_gives_alone(self):
        expected = self.alone(LTC, BTC)
        holder = self.hold()
        said = tt.run("import", "--data", self.data, *LTC)
        self.assertIn("imported    53,325 rows of 1 file in ", said)
        self.assertIn("beside      the process that runs here processed and loaded it, and counts its items among all that it gets; of these files none are in "
                      "quarantine\n", said)
        self.assertNotIn("items  ", said)
        # What the store says is there when the command ends.
        self.assertEqual(len(tt.rows(self.data, "trades")), 53_325)
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)
        self.assertRegex(tt.run("import", "--data", self.data, *BTC), r"(?m)^binance:BTCUSDT\n  1m candles  .*complete")
        self.assertEqual(tt.digest(self.data, "log"), expected)
        self.assertEqual(tt.digest(self.data, "store"), expected)
        code, said = holder.end()
        self.assertEqual((code, [line for line in said.splitlines() if " error " in line or "beside: " in line]), (0, []))
        self.assertFalse((self.data / "truetape.sock").exists())

    def test_twice_and_with_a_declaration_it_is_the_same_too(self):
        declared = ["--covers", "2025-06-21..2025-06-22", *LTC]
        expected = self.alone(declared)
        self.hold()
        for _ in range(2):
            tt.run("import", "--data", self.data, *declared)
            self.assertEqual(tt.digest(self.data, "store"), expected)

    def test_exit_codes_are_those_of_an_import_alone(self):
        plain = [*tt.LTC_OPTIONS[:2], *tt.LTC_OPTIONS[4:]]
        self.hold()
        tt.run("import", "--data", self.data, *plain, tt.LTC_CSV)
        done = tt.run("import", "--data", self.data, *LTC, expect=1)
        self.assertIn("binance:LTCUSDT follows the tape trade, which its first import fixed", done.stdout)
        self.assertIn("nothing of it was used: its trades are of another tape", done.stderr)
        strange = self.scratch / "kucoin.frames"
        strange.write_text('1619378326000000000 {"topic":"/market/match:BTC-USDT","type":"message"}\n' * 3)
        done = tt.run("import", "--data", self.data, "--venue", "binance", strange, expect=1)
        self.assertIn("of these files 3 are in quarantine", done.stdout)
        self.assertIn(f"nothing of it could be used; truetape query quarantine --data {self.data} shows", done.stderr)
        mixed = self.scratch / "mixed.csv"
        mixed.write_text(ROWS + "nonsense\n")
        self.assertIn("of these files 1 are in quarantine", tt.run("import", "--data", self.data, *COLUMNS, mixed))
        self.assertIn("no.frames", tt.run("import", "--data", self.data, "--venue", "binance", self.scratch / "no.frames", expect=1).stderr)
        self.assertEqual(tt.run("import", "--data", self.data, tt.BTC_FRAMES, expect=2).stdout, "")

    def test_options_that_do_not_fit_the_process_that_runs_are_refused_with_what_to_do(self):
        self.hold("intervals=1m,1h")
        before = self.raw_records()
        for more, words in ((["--adopt"], "--adopt is for the process that loads the store, and here that is the one that runs; stop it, then import with --adopt"),
                            (["--set", "intervals=1m,5m"], "builds candles of the intervals 1m,1h, not of 1m,5m; go on with --set intervals=1m,1h"),
                            ([], "builds candles of the intervals 1m,1h, not of 1s,1m,5m,15m,1h,4h,1d; go on with --set intervals=1m,1h"),
                            (["--set", "log.partitions=3"], "has 8 partitions, not 3")):
            said = tt.run("import", "--data", self.data, *({"--adopt": ["--set", "intervals=1m,1h"]}.get(more[0], []) if more else []), *more, *LTC, expect=1).stderr
            self.assertIn(words, said)
        self.assertEqual(self.raw_records(), before)
        tt.run("import", "--data", self.data, "--set", "intervals=1m,1h", *LTC)
        self.assertEqual({r["interval"] for r in tt.rows(self.data, "candles")}, {"1m", "1h"})

    def test_without_an_answer_a_held_log_is_told_as_ever(self):
        holder = self.hold()
        holder.kill()
        self.assertTrue((self.data / "truetape.sock").exists())  # left over
        with open(self.data / "log/writer.lock", "r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            said = tt.run("import", "--data", self.data, *LTC, expect=1).stderr
            self.assertRegex(said, r"is being written by process \d+; wait until it has ended, or stop it\.")
        # Nobody holds it: the command takes the lock itself, and whoever runs next takes the socket.
        self.assertIn("53,325 accepted", tt.run("import", "--data", self.data, *LTC))
        self.hold()
        tt.run("import", "--data", self.data, *BTC)

    def test_one_import_at_a_time(self):
        holder = self.hold()
        hello = b"truetape" + struct.pack("<HI", 1, 0) + struct.pack("<I", 6) + b"import"
        with socket.socket(socket.AF_UNIX) as other:
            here = os.getcwd()
            os.chdir(self.data)  # the path of a socket is short
            try:
                other.connect("truetape.sock")
            finally:
                os.chdir(here)
            other.sendall(struct.pack("<IB", len(hello), 1) + hello)
            self.assertEqual(other.recv(5)[4], 2)  # welcome
            said = tt.run("import", "--data", self.data, *LTC, expect=1).stderr
            self.assertEqual(said, "truetape: another import is writing through the socket; wait until it has ended, then run this one\n")
            self.assertIn("binance:BTCUSDT: wanted", tt.run("control", "add", "--data", self.data, "binance:BTCUSDT"))
        tt.run("import", "--data", self.data, *LTC)
        code, said = holder.end()
        self.assertEqual(code, 0)
        self.assertIn("a command was turned away from the socket: another import", said)

    def test_a_process_that_is_killed_under_an_import_is_told_and_the_same_again_completes_it(self):
        rows = self.many_rows(400_000)
        expected = self.alone(rows)
        holder = self.hold()
        importing = self.started("import", "--data", self.data, *rows)
        self.wait_writing()
        holder.signal(signal.SIGSTOP)  # so it is not done before
        holder.kill()
        said = importing.communicate(timeout=PATIENCE)
        self.assertEqual(importing.returncode, 1, said)
        self.assertRegex(said[1], "the process that writes the log has ended, or closed .*; what it had confirmed is in the log; run the same command again"
                                  "|the process that runs here has ended before all was processed and loaded")
        tt.run("import", "--data", self.data, *rows)
        self.assertEqual(tt.digest(self.data, "log"), expected)
        self.assertEqual(tt.digest(self.data, "store"), expected)

    def test_an_import_that_is_killed_is_ended_by_the_next_and_the_same_again_completes_it(self):
        rows = self.many_rows(400_000)
        expected = self.alone(rows, LTC)
        holder = self.hold()
        importing = self.started("import", "--data", self.data, *rows)
        self.wait_writing()
        holder.signal(signal.SIGSTOP)
        importing.kill()
        importing.communicate(timeout=PATIENCE)
        holder.signal(signal.SIGCONT)
        said = tt.run("import", "--data", self.data, *LTC)
        self.assertRegex(said, r"(?m)^ended       .*many\.csv: its import had been killed; the holes in it are named now")
        self.assertNotIn("ended  ", tt.run("import", "--data", self.data, *rows))
        self.assertEqual(tt.digest(self.data, "log"), expected)
        self.assertEqual(tt.digest(self.data, "store"), expected)

    def test_an_interrupted_import_keeps_what_was_read(self):
        rows = self.many_rows(400_000)
        holder = self.hold()
        importing = self.started("import", "--data", self.data, *rows)
        self.wait_writing()
        holder.signal(signal.SIGSTOP)  # so it is not done before
        importing.send_signal(signal.SIGINT)
        time.sleep(0.2)
        holder.signal(signal.SIGCONT)
        said = importing.communicate(timeout=PATIENCE)
        self.assertEqual(importing.returncode, 1, said)
        self.assertIn("stopped before the end; what was read is stored", said[1])
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)
        tt.run("import", "--data", self.data, *rows)
        self.assertEqual(tt.digest(self.data, "store"), self.alone(rows))
        code, said = holder.end()
        self.assertEqual((code, [line for line in said.splitlines() if " error " in line or "beside: " in line]), (0, []))

    def test_finish_ends_what_a_killed_import_left_and_waits(self):
        rows = self.many_rows(400_000)
        self.hold()
        self.assertNotIn("ended  ", tt.run("import", "--data", self.data, "--finish"))
        importing = self.started("import", "--data", self.data, *rows)
        self.wait_writing()
        importing.kill()
        importing.communicate(timeout=PATIENCE)
        said = tt.run("import", "--data", self.data, "--finish")
        self.assertRegex(said, r"(?m)^ended       .*many\.csv: ")
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)

    def test_metrics_are_those_of_the_import(self):
        self.hold()
        file = self.scratch / "import.prom"
        tt.run("import", "--data", self.data, "--metrics", file, *LTC)
        found = dict(line.rsplit(" ", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
        self.assertEqual(found["truetape_import_rows_total"], "53325")


class Control(Case):
    def records(self):
        """What commands said, without ingest's own reports."""
        found = [json.loads(line) for line in tt.run("log", "cat", "control", "--data", self.data).splitlines()]
        return [r["value"] for r in found if not r["key"].startswith("feed:")]

    def test_what_is_said_is_shown_whether_somebody_runs_or_not(self):
        tt.run("import", "--data", self.data, *LTC)
        before = len(self.records())
        for running in (False, True):
            if running:
                self.hold()
            follows = "; the process that runs follows within a second" if running else "; nobody runs here now, the next truetape run follows it"
            add = lambda *names: tt.run("control", "add", "--data", self.data, *names)
            self.assertRegex(tt.run("control", "ls", "--data", self.data), r"^ingest    started\nwanted    nothing; add some with truetape control add")
            self.assertEqual(add("binance:BTCUSDT", "binance-usdm:ETHUSDT"), f"binance:BTCUSDT: wanted{follows}\nbinance-usdm:ETHUSDT: wanted{follows}\n")
            self.assertEqual(add("binance:BTCUSDT", "binance:LTCUSDT"), f"binance:BTCUSDT: wanted already\nbinance:LTCUSDT: wanted{follows}\n")
            self.assertEqual(tt.run("control", "stop", "--data", self.data), f"ingest: stopped{follows}\n")
            self.assertEqual(tt.run("control", "stop", "--data", self.data), "ingest is stopped already\n")
            self.assertTrue(tt.run("control", "ls", "--data", self.data).startswith(
                "ingest    stopped\nwanted    binance-usdm:ETHUSDT\nwanted    binance:BTCUSDT\nwanted    binance:LTCUSDT\n"))
            self.assertEqual(tt.run("control", "start", "--data", self.data), f"ingest: started{follows}\n")
            remove = tt.run("control", "remove", "--data", self.data, "binance:BTCUSDT", "binance:LTCUSDT", "binance-usdm:ETHUSDT", "binance:XRPUSDT")
            self.assertEqual(remove.splitlines()[0], f"binance:BTCUSDT: no longer wanted{follows}")
            self.assertEqual(remove.splitlines()[3], "binance:XRPUSDT: no longer wanted, nor was it before")
            self.assertEqual(self.records()[before:], ['{"wanted":true}'] * 3 + ['{"state":"stopped"}', '{"state":"started"}'] + ['{"wanted":false}'] * 3)
            before = len(self.records())

    def test_what_is_wrong_is_told_and_changes_nothing(self):
        self.assertIn("there is nothing in", tt.run("control", "stop", "--data", self.data, expect=1).stderr)
        self.assertFalse(self.data.exists())
        for arguments, words in ((["add"], "INSTRUMENT is required"), (["add", "BTCUSDT"], '"BTCUSDT" is no instrument; write VENUE:SYMBOL, such as binance:BTCUSDT'),
                                 (["add", "nyse:IBM"], '"nyse:IBM" is of a venue without a live feed; there are feeds of binance, binance-usdm, '),
                                 (["add", "binance:btcusdt"], '"binance:btcusdt" is not in the venue\'s spelling; write binance:BTCUSDT'),
                                 (["jump"], 'there is no command "jump" of `truetape control`; there are start, stop, add, remove, ls'), ([], "Usage: truetape control")):
            self.assertIn(words, tt.run("control", *arguments, *(["--data", self.data] if arguments and arguments[0] == "add" else []), expect=2).stderr)
        self.assertFalse(self.data.exists())


class Live(Case):
    def test_commands_work_while_trades_come(self):
        expected = [line for line in self.alone(LTC).splitlines() if line.startswith("binance:LTCUSDT")]
        with simulated.Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", "200", "--shift", "now", "--for", "10m") as sim:
            holder = self.hold(venue=sim, instruments=["binance:BTCUSDT"])
            live = lambda instrument: len(tt.rows(self.data, "trades", "--instrument", instrument))
            self.until(lambda: live("binance:BTCUSDT") > 0, "no trade came")
            said = tt.run("import", "--data", self.data, *LTC)
            self.assertIn("imported    53,325 rows of 1 file in ", said)
            self.assertIn("of these files none are in quarantine", said)
            self.assertEqual([line for line in tt.digest(self.data, "store").splitlines() if line.startswith("binance:LTCUSDT")], expected)
            before = live("binance:BTCUSDT")
            self.until(lambda: live("binance:BTCUSDT") > before, "the import stopped the feed")
            tt.run("control", "add", "--data", self.data, "binance:ETHUSDT", "binance:NOPEUSDT")
            self.until(lambda: live("binance:ETHUSDT") > 0, "what was added never came")
            self.until(lambda: "wanted    binance:NOPEUSDT  (not in the venue's symbol list)" in tt.run("control", "ls", "--data", self.data), "ingest never told")
            self.assertRegex(tt.run("control", "ls", "--data", self.data), r"(?m)^feed      binance: running, as of 20.*Z\n +\S+: live, \d+ of \d+ streams, \d+ frames, last 20")
            tt.run("control", "stop", "--data", self.data)
            self.until(lambda: "feed      binance: not running" in tt.run("control", "ls", "--data", self.data), "ingest never stopped")
            code, said = holder.end()
            self.assertEqual(code, 0, said)
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)


if __name__ == "__main__":
    tt.main()
