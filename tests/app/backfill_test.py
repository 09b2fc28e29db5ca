#!/usr/bin/env python3
"""`truetape backfill` by hand: a hole in what was imported is filled from the venue's REST or from its archive files, and what
cannot be had says what to do. The script itself counts the trades, from what the venue's REST tells."""
import csv
import datetime
import http.server
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import tt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sim"))
from venue import Venue  # noqa: E402

NAME = "binance:BTCUSDT"
FROM, TO = "2024-08-08T23:54:00Z", "2024-08-09T00:06:00Z"
COLUMNS = ["id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"]  # of the venue's archive files
PATIENCE = 120


def all_trades(rest):
    """Every trade of the venue, page by page, as its REST gives them."""
    opener, out = urllib.request.build_opener(urllib.request.ProxyHandler({})), []
    while True:
        first = out[-1]["id"] + 1 if out else 1
        with opener.open(f"{rest}/api/v3/historicalTrades?symbol=BTCUSDT&limit=1000&fromId={first}", timeout=30) as answer:
            page = json.load(answer)
        if not page:
            return out
        out += page


def at_time(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


class Backfill(tt.Case):
    @classmethod
    def setUpClass(cls):
        """The bundled recording, played to its end: from then on the venue's REST has all of its trades."""
        cls.venue = Venue(tt.BTC_FRAMES, "--speed", "max", "--no-wait", "--lead", "0s", "--linger", "forever", trades=False)
        cls.addClassCleanup(cls.venue.__exit__, None)
        until, cls.trades = time.monotonic() + PATIENCE, []
        while not cls.trades or len(now := all_trades(cls.venue.rest)) > len(cls.trades):
            assert time.monotonic() < until, "the recording does not end"
            cls.trades = now if cls.trades else all_trades(cls.venue.rest)
            time.sleep(0.5)
        ids = [trade["id"] for trade in cls.trades]
        assert ids == list(range(ids[0], ids[-1] + 1)) and len(ids) > 10_000, "the venue's own ids have no hole"
        cls.hole = cls.trades[6000:9500]  # some minutes

    def archive(self, trades, day="2024-08-08"):
        """A file as the venue's archive has them."""
        file = self.scratch / f"BTCUSDT-trades-{day}.csv"
        with open(file, "w", newline="") as out:
            rows = csv.DictWriter(out, COLUMNS, lineterminator="\n")
            rows.writeheader()
            for trade in trades:
                rows.writerow({k: str(v).lower() if isinstance(v, bool) else v for k, v in trade.items()})
        return file

    def with_a_hole(self):
        """Two files, between which the hole is. (Within one, the venue's neighbours would say that it never had these ids.)"""
        tt.run("import", "--data", self.data, "--instrument", NAME, self.archive(self.trades[:6000]), self.archive(self.trades[9500:], "2024-08-09"))
        self.assertEqual([(g["first_id"], g["last_id"], g["state"]) for g in self.gaps()],
                         [(str(self.hole[0]["id"]), str(self.hole[-1]["id"]), "open")])
        self.assertEqual(len(self.ids()), len(self.trades) - len(self.hole))
        self.assertGreaterEqual(self.with_gaps(), 2)

    def backfill(self, *arguments, rest=None, expect=0, instrument=NAME):
        return tt.run("backfill", "--data", self.data, "--set", f"feed.binance.rest_url={rest or self.venue.rest}", "--instrument", instrument, *arguments, expect=expect)

    def gaps(self):
        return tt.rows(self.data, "gaps", "--instrument", NAME)

    def ids(self):
        return sorted(int(trade["id"]) for trade in tt.rows(self.data, "trades", "--instrument", NAME))

    def candles(self):
        return tt.rows(self.data, "candles", "--instrument", NAME, "--interval", "1m")

    def with_gaps(self):
        return sum(1 for candle in self.candles() if candle["completeness"] == "gap")

    def is_whole(self):
        self.assertEqual(self.ids(), [trade["id"] for trade in self.trades])
        self.assertEqual(self.with_gaps(), 0, self.candles())
        self.assertEqual([gap for gap in self.gaps() if gap["state"] == "open"], [])
        counted = {}
        for trade in self.trades:
            minute = trade["time"] // 60_000
            counted[minute] = counted.get(minute, 0) + 1
        self.assertEqual([int(candle["trades"]) for candle in self.candles()], [counted[minute] for minute in sorted(counted)])
        tt.run("audit", "--data", self.data)

    def test_from_rest_and_again(self):
        self.with_a_hole()
        told = self.backfill("--from", FROM, "--to", TO)
        self.assertIn(f"{NAME} trade: ids {self.trades[0]['id']}-{self.trades[-1]['id']}, ", told)
        self.is_whole()
        before = tt.digest(self.data, "store"), self.candles(), self.gaps()
        self.backfill("--from", FROM, "--to", TO)
        self.assertEqual((tt.digest(self.data, "store"), self.candles(), self.gaps()), before, "a second time changes nothing")
        self.assertEqual(tt.digest(self.data, "log"), before[0])

    def test_only_the_time_that_is_asked_for(self):
        self.with_a_hole()
        middle = self.hole[len(self.hole) // 2]["time"]
        text = at_time(middle)
        self.backfill("--from", FROM, "--to", text)
        wanted = {t["id"] for t in self.trades if t["time"] < middle or t["id"] > self.hole[-1]["id"]}
        behind = next(t["id"] for t in self.trades if t["time"] >= middle)
        self.assertEqual(set(self.ids()), wanted | {behind}, "its neighbour shows that nothing is missing at the end")
        self.assertGreaterEqual(self.with_gaps(), 1)
        self.backfill("--from", text, "--to", TO)
        self.is_whole()

    def test_from_archive_files_and_again(self):
        self.with_a_hole()
        file = self.archive(self.trades[5000:10_500], "2024-08-10")
        tt.run("backfill", "--data", self.data, "--instrument", NAME, "--archive", file)
        self.is_whole()
        before = tt.digest(self.data, "store"), self.candles()
        tt.run("backfill", "--data", self.data, "--instrument", NAME, "--archive", file)
        self.assertEqual((tt.digest(self.data, "store"), self.candles()), before, "a second time changes nothing")

    def test_what_cannot_be_had_says_what_to_do(self):
        self.with_a_hole()
        unknown = self.backfill("--from", FROM, "--to", TO, instrument="binance:NOSUCH", expect=1)
        self.assertIn("Invalid symbol", unknown.stderr)
        self.assertIn("check the instrument's spelling", unknown.stderr)
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            down = self.backfill("--from", FROM, "--to", TO, rest=f"http://127.0.0.1:{nobody.getsockname()[1]}", expect=1)
        self.assertIn("check the address, the network, and whether the server runs", down.stderr)
        with Venue(tt.BTC_FRAMES, "--speed", "max", "--no-wait", "--lead", "0s", "--linger", "forever", "--limit", "key_needed=true", trades=False) as locked:
            until = time.monotonic() + PATIENCE
            while locked.last_id("BTCUSDT") < self.trades[-1]["id"]:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.2)
            wants_key = self.backfill("--from", FROM, "--to", TO, rest=locked.rest, expect=1)
            self.assertIn("status 401", wants_key.stderr)
            self.assertIn("it wants an API key: set feed.binance.api_key, or import the venue's archive files", wants_key.stderr)
            self.assertEqual(len(self.ids()), len(self.trades) - len(self.hole), "nothing came, nothing went")
            self.backfill("--from", FROM, "--to", TO, "--set", "feed.binance.api_key=k3y", rest=locked.rest)
        self.is_whole()

    def test_an_instrument_is_filled_on_the_tape_that_it_has(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.venue.rest}/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId=1", timeout=30) as answer:
            page = json.load(answer)
        files = [self.scratch / f"agg-{n}.csv" for n in range(2)]
        for file, rows in zip(files, (page[:400], page[600:])):
            file.write_text("id,price,quantity,time,buyer_is_maker\n" + "".join(f"{t['a']},{t['p']},{t['q']},{t['T']},{str(t['m']).lower()}\n" for t in rows))
        columns = ",".join(f"{c}={c}" for c in ("id", "price", "quantity", "time", "buyer_is_maker"))
        tt.run("import", "--data", self.data, "--instrument", NAME, "--tape", "agg", "--columns", columns, *files)
        self.assertEqual(len(self.ids()), 800)
        until = ["--from", FROM, "--to", at_time(page[-1]["T"])]
        before = self.ranges()
        refused = self.backfill(*until, "--tape", "trade", expect=2)
        self.assertIn(f"{NAME} has the tape agg: trades of the tape trade would fill nothing; leave --tape out", refused.stderr)
        self.assertEqual(self.ranges(), before, "nothing was asked for")
        told = self.backfill(*until)
        self.assertIn(f"{NAME} agg: ids {page[0]['a']}-", told)
        self.assertEqual(self.ids(), [t["a"] for t in page])

    def kill_one(self, *arguments):
        """A filling that is killed before its first page has come: its range is open for ever."""
        before = len(self.ranges())
        asked, opener = threading.Event(), urllib.request.build_opener(urllib.request.ProxyHandler({}))
        rest, released = self.venue.rest, threading.Event()

        class Hangs(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if "/historicalTrades" in self.path:
                    asked.set()
                    released.wait()
                    return
                with opener.open(rest + self.path, timeout=30) as answer:
                    body = answer.read()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hangs) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            command = [tt.BINARY, "backfill", "--data", str(self.data), "--set", f"feed.binance.rest_url=http://127.0.0.1:{server.server_port}", "--instrument", NAME, *arguments]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
                self.assertTrue(asked.wait(PATIENCE))
                until = time.monotonic() + PATIENCE
                while len(self.ranges()) == before:  # what it put last is on its way into the log
                    self.assertLess(time.monotonic(), until)
                    time.sleep(0.1)
                killed.kill()
            released.set()
            server.shutdown()

    def ranges(self):
        """(kind, range) of raw, in their order."""
        told = tt.run("log", "cat", "raw", "--data", self.data, expect=None)
        headers = [json.loads(line)["headers"] for line in told.stdout.splitlines()]
        return [(h["kind"], h["range"]) for h in headers if h["kind"] in ("begin", "end")]

    def test_one_that_is_killed_is_ended_by_the_next_one(self):
        self.kill_one("--from", FROM)
        (kind, name), = self.ranges()
        self.assertEqual(kind, "begin")
        self.backfill("--from", at_time(self.trades[10]["time"]), "--to", at_time(self.trades[6000]["time"]))
        (_, own), = [r for r in self.ranges()[2:] if r[0] == "begin"]
        self.assertNotEqual(own, name)
        self.assertEqual(self.ranges(), [("begin", name), ("end", name), ("begin", own), ("end", own)])
        # Also by one that comes to nothing.
        self.kill_one("--from", at_time(self.trades[20]["time"]))
        self.backfill("--from", FROM, "--to", TO, rest="http://127.0.0.1:9", expect=1)
        ranges = self.ranges()
        self.assertEqual([kind for kind, _ in ranges], ["begin", "end"] * 3)
        self.assertEqual(ranges[4][1], ranges[5][1])

    def test_one_that_is_killed_is_ended_by_the_next_start(self):
        self.kill_one("--from", FROM)
        (_, name), = self.ranges()
        nobody = [f"feed.binance.{key}={scheme}://127.0.0.1:9" for key, scheme in (("stream_url", "ws"), ("rest_url", "http"))]
        for starts in range(2):
            command = [tt.BINARY, "run", "--data", str(self.data), *(word for s in ("serve.port=0", "backfill.enabled=no", *nobody) for word in ("--set", s))]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
                self.assertIn("ready", run.stdout.readline())
                run.terminate()
                said = run.communicate()[1]
            self.assertEqual(said.count(f"REST {NAME} {FROM}: its filling had been killed"), 1 - starts, said)
            self.assertEqual(self.ranges(), [("begin", name), ("end", name)], "once")

    def test_what_is_not_said_well_is_refused(self):
        for arguments, says in ((["--instrument", NAME], "needs --from TIME"), (["--instrument", "BTCUSDT", "--from", FROM], "VENUE:SYMBOL"),
                                (["--from", FROM], "--instrument"), (["--instrument", NAME, "--from", TO, "--to", FROM], "must be after --from"),
                                (["--instrument", NAME, "--from", FROM, "--archive", "x.csv"], "neither --from nor --to")):
            said = tt.run("backfill", "--data", self.data, *arguments, expect=2)
            self.assertIn(says, said.stderr, arguments)
        self.assertFalse(self.data.exists())


if __name__ == "__main__":
    tt.main()
