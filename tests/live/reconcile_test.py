#!/usr/bin/env python3
"""`truetape reconcile` against candles that it has not made: the simulator's klines of the bundled recording (the simulator
shares no decoder and no candle with the pipeline), files made from them, and a venue that refuses."""
import csv
import gzip
import http.server
import io
import json
import subprocess
import threading
import unittest
import urllib.parse
import urllib.request

import live
from live import DIRECT, NO_PROXY, ROOT, Run, Venue, until

BTC = "binance:BTCUSDT"
LTC = ROOT / "examples/captures/binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
BTC_FRAMES = live.RECORDING
DIRECT_OPEN = DIRECT.open
T0 = 1723161240000  # 2024-08-08T23:54:00Z


def reconcile(data, *more, instrument=BTC, interval="1m", expect=0):
    """Standard output and standard error."""
    done = subprocess.run([live.BINARY, "reconcile", "--data", str(data), "--instrument", instrument, "--interval", interval, *map(str, more)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, env=NO_PROXY)
    if done.returncode != expect:
        raise AssertionError(f"reconcile: exit code {done.returncode}, expected {expect}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout, done.stderr


def result(data, *more, **how):
    return json.loads(reconcile(data, *more, "--format", "json", **how)[0])


def ask(url):
    with DIRECT_OPEN(url, timeout=60) as answer:
        return json.load(answer)


class AgainstTheSimulator(live.Case):
    def setUp(self):
        super().setUp()
        live.tool("import", "--data", self.data, "--venue", "binance", BTC_FRAMES)

    def test_equal_to_the_venues_klines_and_the_page_is_told(self):
        with Venue("--speed", "max", "--no-wait", "--linger", "forever", BTC_FRAMES, trades=False) as venue:
            until("the tape has ended", lambda: ask(f"{venue.rest}/api/v3/time")["serverTime"] >= T0 + 665000)
            for interval, provable in (("1m", 10), ("5m", 2), ("1s", 600)):
                said = result(self.data, "--from-venue", "--set", f"feed.binance.rest_url={venue.rest}", interval=interval)
                self.assertGreaterEqual(said["provable"]["compared"], provable, said)
                self.assertEqual(said["provable"]["equal"], said["provable"]["compared"], said)
                self.assertEqual([d for d in said["differences"] if d["provable"]], [])
                for field in ("quote_volume", "trades", "taker_buy_quote_volume"):
                    self.assertGreaterEqual(said["fields"][field]["equal"], said["provable"]["compared"])
            klines = ask(f"{venue.rest}/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={T0}&limit=1000")

            # One digit of one candle is another one: found there, and nowhere else.
            bent = [list(k) for k in klines]
            row = next(k for k in bent if k[0] == T0 + 5 * 60000)
            row[5] = row[5].rstrip("0")
            row[5] = row[5][:-1] + str(int(row[5][-1]) % 9 + 1)
            file = self.scratch / "bent.json"
            file.write_text(json.dumps(bent))
            out, told = reconcile(self.data, "--official", file, "--format", "csv", expect=3)
            found = list(csv.DictReader(io.StringIO(out)))
            provable = [r for r in found if r["provable"] == "true"]
            self.assertEqual([(r["start"], r["field"], r["reason"], r["theirs"]) for r in provable],
                             [("2024-08-08T23:59:00Z", "volume", "unknown", row[5])])
            self.assertIn("1 provable candle differs", told)
            self.assertIn("first provable candle that differs: 2024-08-08T23:59:00Z (unknown)", told)
            # As a packed archive file too, and of a part of it; without that window nothing differs.
            packed = self.scratch / "BTCUSDT-1m.csv.gz"
            packed.write_bytes(gzip.compress("".join(",".join(map(str, k)) + "\n" for k in bent).encode()))
            reconcile(self.data, "--official", packed, "--from", "2024-08-08T23:59", "--to", "2024-08-09", expect=3)
            reconcile(self.data, "--official", packed, "--from", "2024-08-09")

            # What was found last counts, window by window, and beside a process that holds the data directory.
            with Run(self.data) as run:
                rows = run.rows("reconciled", instrument=BTC, interval="1m")
                candles = {r["start"]: r for r in run.rows("candles", instrument=BTC, interval="1m")}
                by_start = {r["start"]: r for r in rows}
                self.assertEqual(by_start["2024-08-08T23:59:00Z"]["result"], "differs")
                self.assertEqual(by_start["2024-08-08T23:59:00Z"]["reason"], "unknown")
                self.assertRegex(by_start["2024-08-08T23:59:00Z"]["difference"], r"^volume [\d.]+ here, [\d.]+ there$")
                self.assertEqual(by_start["2024-08-09T00:00:00Z"]["result"], "equal")
                for start, row in by_start.items():
                    self.assertEqual((row["epoch"], row["revision"]), (candles[start]["epoch"], candles[start]["revision"]), start)
                reconcile(self.data, "--from-venue", "--set", f"feed.binance.rest_url={venue.rest}")
                rows = run.rows("reconciled", instrument=BTC, interval="1m")
                self.assertEqual([r["result"] for r in rows if candles[r["start"]]["completeness"] == "complete"], ["equal"] * 10)
                # A file that somebody has damaged is passed over, and told.
                for kept in (self.data / "reconcile").iterdir():
                    kept.write_text(kept.read_text()[:100])
                self.assertEqual(run.rows("reconciled", instrument=BTC, interval="1m"), [])
                self.assertIn("delete it, or compare again", run.log())

    def test_a_venue_that_answers_a_page_in_html_or_is_busy(self):
        with Venue("--speed", "max", "--no-wait", "--linger", "forever", BTC_FRAMES, "--fault", "refuse,how=html,path=*klines", trades=False) as venue:
            until("the tape has ended", lambda: ask(f"{venue.rest}/api/v3/time")["serverTime"] >= T0 + 665000)
            told = reconcile(self.data, "--from-venue", "--set", f"feed.binance.rest_url={venue.rest}", expect=1)[1]
            self.assertIn("it is a page in HTML", told)
            self.assertIn("check feed.binance.rest_url", told)


class Holes(live.Case):
    def test_windows_with_a_real_hole_differ_for_that_reason_alone(self):
        live.tool("import", "--data", self.data, "--instrument", "binance:LTCUSDT", "--tape", "agg", "--columns",
                  "time=timestamp,price=price,quantity=quantity,side=side,id=tradeId", LTC)
        ours = list(csv.DictReader(io.StringIO(live.tool("query", "candles", "--data", self.data, "--interval", "1m", "--format", "csv"))))
        # Klines as the venue would have them: more was traded where trades are missing here.
        file = self.scratch / "klines.csv"
        with open(file, "w", encoding="utf-8") as out:
            out.write("open_time,open,high,low,close,volume\n")
            for row in ours:
                volume = row["volume"] + ("1" if "." in row["volume"] else ".1") if row["completeness"] == "gap" else row["volume"]
                out.write(f"{live.ms(row['start'])},{row['open']},{row['high']},{row['low']},{row['close']},{volume}\n")
        gaps = [r["start"] for r in ours if r["completeness"] == "gap"]
        self.assertEqual(len(gaps), 19)
        said = result(self.data, "--official", file, instrument="binance:LTCUSDT")
        self.assertEqual([(d["start"], d["reason"]) for d in said["differences"]], [(start, "gap") for start in gaps])
        self.assertEqual([[f["field"] for f in d["fields"]] for d in said["differences"]], [["volume"]] * 19)
        self.assertEqual(said["reasons"]["gap"], 19)
        self.assertEqual(said["provable"]["equal"], said["provable"]["compared"])
        self.assertEqual(said["provable"]["compared"], [r["completeness"] for r in ours if r["status"] != "open"].count("complete"))
        self.assertEqual(said["beyond_ours"], 1)  # the newest window: open, which has no row of a minute yet
        out, _ = reconcile(self.data, "--official", file, "--limit", 2, instrument="binance:LTCUSDT")
        self.assertIn("they differ by:   gap 19", out)
        self.assertIn("… and 17 more windows; --limit lists more", out)


class Stub(http.server.BaseHTTPRequestHandler):
    """Says what the test has told it: (status, headers, body) for each call of klines, the last for all that follow."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        where = urllib.parse.urlsplit(self.path)
        if where.path.endswith("/time"):
            status, headers, body = self.server.time
        else:
            answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
            status, headers, body = answer(dict(urllib.parse.parse_qsl(where.query))) if callable(answer) else answer
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def flat(query):
    """Windows without a trade, all that were asked for."""
    start, end = int(query["startTime"]), int(query["endTime"])
    rows = [[at, "10", "10", "10", "10", "0", at + 59999, "0", 0, "0", "0", "0"] for at in range(start, end, 60000)]
    return 200, {}, json.dumps(rows[:int(query["limit"])]).encode()


class ARefusingVenue(live.Case):
    def setUp(self):
        super().setUp()
        # Two trades 30 hours apart, ids without a hole: 1,800 windows, the first of which began before.
        file = self.scratch / "trades.csv"
        file.write_text(f"id,time,price,quantity,side\n1,{T0 - 1},10,1,buy\n2,{T0 + 1800 * 60000},10,1,buy\n")
        live.tool("import", "--data", self.data, "--instrument", BTC, "--columns", "id=id,time=time,price=price,quantity=quantity,side=side", file)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        self.server.asked, self.server.answers = [], [flat]
        self.server.time = (200, {}, json.dumps({"serverTime": T0 + 86400000 * 30}).encode())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.rest = f"http://127.0.0.1:{self.server.server_address[1]}"

    def ask(self, expect):
        return reconcile(self.data, "--from-venue", "--set", f"feed.binance.rest_url={self.rest}", expect=expect)

    def test_pages_of_a_thousand_windows_and_none_that_is_not_over(self):
        said = result(self.data, "--from-venue", "--set", f"feed.binance.rest_url={self.rest}")
        pages = [dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query)) for path in self.server.asked[1:]]
        first = T0 - 60000
        self.assertEqual([(p["symbol"], p["interval"], int(p["startTime"]), int(p["endTime"]), p["limit"]) for p in pages],
                         [("BTCUSDT", "1m", first, first + 60000 * 1000 - 1, "1000"),
                          ("BTCUSDT", "1m", first + 60000 * 1000, first + 60000 * 1441 - 1, "1000")])
        # The first window is partial; 1,440 quiet ones have rows, what is behind them has none and is no claim.
        self.assertEqual(said["quiet"], 1440)
        self.assertEqual(said["provable"], {"compared": 1440, "equal": 1440, "rounded": 0})
        self.assertEqual([(d["start"], d["reason"]) for d in said["differences"]], [("2024-08-08T23:53:00Z", "gap")])
        # By the venue's clock the last of them was over less than five seconds ago.
        self.server.time = (200, {}, json.dumps({"serverTime": T0 + 1440 * 60000 + 4999}).encode())
        self.server.asked.clear()
        self.ask(0)
        self.assertEqual(self.server.asked[-1].rsplit("endTime=")[1].split("&")[0], str(T0 + 1439 * 60000 - 1))

    def test_each_refusal_has_a_sentence(self):
        answer = lambda status, body=b"no", **headers: (status, headers, body)
        for answers, says in (
                ([answer(418, b'{"code":-1003,"msg":"banned"}', **{"Retry-After": "120"})], "has banned this address for 120 s; try again then, or compare with files: --official"),
                ([answer(451)], "status 451 (no): the venue does not serve this place; compare with its archive files instead: --official"),
                ([answer(403)], "a firewall of the venue or of a proxy on the way refuses us"),
                ([answer(404)], "answered with status 404 (no): check feed.binance.rest_url"),
                ([answer(429, **{"Retry-After": "3600"})], "it must not be asked for 3600 s"),
                ([answer(400, b'{"code":-1121,"msg":"Invalid symbol."}')], "the venue refuses it: Invalid symbol. (-1121)"),
                ([answer(200, b"<html>Sign in to the network</html>")], "it is a page in HTML (<html>Sign in"),
                ([answer(200, b"[[1,")], "check feed.binance.rest_url and proxies on the way"),
                ([answer(200, b'[[1,"10","10","10","10","0"]]')], "$[0], open_time: \"1\" is no time"),
                ([answer(200, json.dumps([[T0 - 86400000, "10", "10", "10", "10", "0"]]).encode())], "and answers others, from 2024-08-07T23:54:00Z on")):
            with self.subTest(says):
                self.server.answers = answers
                told = self.ask(1)[1]
                self.assertIn(says, told)
                self.assertTrue(told.startswith(f"truetape: {self.rest}: "), told)
        self.server.time = (200, {}, b"{}")
        self.assertIn("the venue does not tell its time: {}", self.ask(1)[1])
        self.server.shutdown()
        self.server.server_close()
        self.assertIn("the venue's candles cannot be had", self.ask(1)[1])

    def test_a_busy_venue_is_asked_again(self):
        self.server.answers = [(429, {"Retry-After": "1"}, b"slow down"), (500, {}, b"oops"), flat]
        told = self.ask(0)[1]
        self.assertIn("answered with status 429, asking again in 1 s", told)
        self.assertIn("answered with status 500, asking again", told)
        self.assertEqual(len(self.server.asked), 1 + 2 + 2)


class WhatIsAskedWrongly(live.Case):
    def test_is_refused_with_a_sentence(self):
        file = self.scratch / "klines.csv"
        file.write_text(f"{T0},1,1,1,1,1\n")
        missing = self.scratch / "missing"
        for more, code, says in ((["--official", file], 1, "truetape import"),):
            self.assertIn(says, reconcile(missing, *more, expect=code)[1])
        live.tool("import", "--data", self.data, "--venue", "binance", BTC_FRAMES)
        for more, how, code, says in (
                ([], {}, 2, "say where the venue's candles are: --official FILE, or --from-venue"),
                (["--official", file, "--from-venue"], {}, 2, "say where the venue's candles are"),
                (["--official", file], {"instrument": "BTCUSDT"}, 2, "is no instrument"),
                (["--official", file], {"instrument": "kraken:XBT"}, 2, "there are those of binance, binance-usdm"),
                (["--official", file], {"interval": "5x"}, 2, "is no interval"),
                (["--from-venue"], {"interval": "7m"}, 2, "binance has no candles of 7m"),
                (["--official", file, "--from", "2024-08-09", "--to", "2024-08-08"], {}, 2, "is not after --from"),
                (["--official", file], {"instrument": "binance:ETHUSDT"}, 1, "there is no candle of binance:ETHUSDT, 1m"),
                (["--official", file, "--from", "2030-01-01"], {}, 1, "there is no candle of"),
                (["--official", self.scratch / "none.csv"], {}, 1, "none.csv"),
                (["--official", file, "--official", file], {}, 1, "is in two of the files"),
                (["--official", file], {"interval": "5m"}, 1, "begins no window of 5m")):
            with self.subTest(says):
                self.assertIn(says, reconcile(self.data, *more, expect=code, **how)[1])
        file.write_text("<html>")
        self.assertIn(f"{file}: it is a page in HTML", reconcile(self.data, "--official", file, expect=1)[1])
        file.write_text(f"{T0 + 86400000},1,1,1,1,1\n")
        self.assertIn("no closed window that both have: ours are from 2024-08-08T23:54:00Z to 2024-08-09T00:05:00Z, the venue's from 2024-08-09T23:54:00Z",
                      reconcile(self.data, "--official", file, expect=1)[1])
        self.assertEqual(list((self.data / "reconcile").glob("*")) if (self.data / "reconcile").exists() else [], [])


if __name__ == "__main__":
    live.main()
