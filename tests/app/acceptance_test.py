#!/usr/bin/env python3
"""Real recordings against the venue's own klines. The recordings lie beside the checkout, in ../shared/data, and are not
part of it: without them everything here is skipped, which is not a pass."""
import csv
import decimal
import json
import sys
from decimal import Decimal

import tt

SHARED = tt.ROOT.parent / "shared/data"
decimal.getcontext().prec = 60


def klines(name):
    """open_time (s, as the venue says it) -> row"""
    with open(SHARED / name, newline="", encoding="utf-8") as file:
        return {int(row["open_time"]) // 1000: row for row in csv.DictReader(file)}


def seconds(text):
    import datetime
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


class Xrpeth(tt.Case):
    FILE = SHARED / "binance-spot-xrpeth-aggtrades-20191011-20191012t1200.csv"

    def check_klines(self, interval, name, traded, all_of_them):
        ours = {seconds(r["start"]): r for r in tt.rows(self.data, "candles", "--interval", interval)}
        theirs = klines(name)
        self.assertEqual(len(theirs), all_of_them)
        self.assertEqual(sorted(ours), sorted(theirs))
        equal, close = 0, None
        for start, kline in sorted(theirs.items()):
            candle = ours[start]
            for column in ("open", "high", "low", "close", "volume"):
                self.assertEqual(Decimal(candle[column]), Decimal(kline[column]), f"{candle['start']} {column}")
            if Decimal(kline["volume"]) == 0:
                self.assertEqual(candle["completeness"], "quiet", candle["start"])
                self.assertEqual({candle[c] for c in ("open", "high", "low", "close")}, {close})
            else:
                self.assertEqual(candle["completeness"], "complete", candle["start"])
                equal += 1
            close = candle["close"]
        self.assertEqual(equal, traded)

    def test_declared_all_candles_equal_the_venues_klines(self):
        tt.run("import", "--data", self.data, "--instrument", "binance:XRPETH", "--covers", "2019-10-11..2019-10-12T12:00", self.FILE)
        self.check_klines("1m", "binance-spot-xrpeth-klines-1m-20191011-20191012t1200.csv", 1478, 2160)
        self.check_klines("5m", "binance-spot-xrpeth-klines-5m-20191011-20191012t1200.csv", 429, 432)
        for interval in ("1m", "5m"):
            states = {(r["status"], r["proof"]) for r in tt.rows(self.data, "candles", "--interval", interval)}
            self.assertLessEqual(states, {("closed", "ids"), ("closed", "declared"), ("corrected", "declared")})
        self.assertEqual(tt.rows(self.data, "gaps"), [])

    def test_a_declaration_for_two_files_is_as_one_for_both_in_one(self):
        lines = self.FILE.read_text().splitlines(keepends=True)
        days = []
        for day, of_day in (("1", [x for x in lines[1:] if int(x.split(",")[5]) < 1570838400000]), ("2", [x for x in lines[1:] if int(x.split(",")[5]) >= 1570838400000])):
            self.assertGreater(len(of_day), 500)
            days.append(self.scratch / f"d{day}.csv")
            days[-1].write_text("".join(of_day))
        common = ["--instrument", "binance:XRPETH", "--covers", "2019-10-11..2019-10-12T12:00"]
        one, two = self.scratch / "one", self.scratch / "two"
        tt.run("import", "--data", one, *common, self.FILE)
        for _ in range(2):  # the same again, as after a kill
            said = tt.run("import", "--data", two, *common, *days)
            self.assertNotIn(" late", said)
            self.assertEqual(tt.digest(two, "store"), tt.digest(one, "store"))
            drop = ("epoch", "revision", "status", "proof")  # how they came about
            strip = lambda rows: [{k: v for k, v in r.items() if k not in drop} for r in rows]
            self.assertEqual(strip(tt.rows(two, "candles")), strip(tt.rows(one, "candles")))

    def test_undeclared_the_ends_stay_unproven_and_the_rest_is_proven(self):
        tt.run("import", "--data", self.data, "--instrument", "binance:XRPETH", self.FILE)
        candles = tt.rows(self.data, "candles", "--interval", "1m")
        self.assertEqual([r["completeness"] for r in candles[:1]], ["partial"])
        self.assertEqual([(r["status"], r["completeness"]) for r in candles[-1:]], [("open", "")])
        between = [(r["status"], r["completeness"], r["proof"]) for r in candles[1:-1]]
        self.assertEqual(between.count(("closed", "complete", "ids")), 1476)
        self.assertEqual(between.count(("closed", "quiet", "ids")), 681)
        self.assertEqual(len(between), 1476 + 681)


class Usdm(tt.Case):
    def test_btcusdt_frames_equal_the_venues_klines_in_every_column(self):
        tt.run("import", "--data", self.data, "--venue", "binance-usdm", SHARED / "binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst")
        ours = {seconds(r["start"]): r for r in tt.rows(self.data, "candles", "--interval", "1m")}
        theirs = klines("binance-usdm-btcusdt-klines-1m-20240718t2358-20240719t0004.csv")
        self.assertEqual(len(theirs), 7)
        names = {"quote_volume": "quote_volume", "count": "trades", "taker_buy_volume": "taker_buy_volume",
                 "taker_buy_quote_volume": "taker_buy_quote_volume"}
        names |= {c: c for c in ("open", "high", "low", "close", "volume")}
        for start, kline in theirs.items():
            self.assertEqual(ours[start]["completeness"], "complete")
            for theirs_name, ours_name in names.items():
                self.assertEqual(Decimal(ours[start][ours_name]), Decimal(kline[theirs_name]), f"{ours[start]['start']} {ours_name}")

    def test_trxusdt_the_marker_is_void_and_the_ids_stay_contiguous(self):
        summary = tt.run("import", "--data", self.data, "--instrument", "binance-usdm:TRXUSDT", "--columns",
                         "time=TransactionTime,price=Price,quantity=Quantity,buyer_is_maker=IsBuyerMarketMaker,id=TradeId,"
                         "receive_time=TimestampOfReceive,kind=XUnknownParameter",
                         SHARED / "binance-usdm-trxusdt-trade-stream-20250304.csv.zst")
        self.assertIn("9,999 accepted, 1 void", summary)
        trades = tt.rows(self.data, "trades")
        ids = [int(r["id"]) for r in trades]
        self.assertEqual(ids, [i for i in range(548321769, 548321769 + 10_000) if i != 548331095])
        self.assertEqual(tt.rows(self.data, "gaps"), [])
        self.assertEqual(tt.rows(self.data, "quarantine"), [])
        marker = [r for r in tt.rows(self.data, "candles", "--interval", "1m") if r["first_id"] and int(r["first_id"]) < 548331095 < int(r["last_id"])]
        self.assertEqual([r["completeness"] for r in marker], ["complete"])


class Reconcile(tt.Case):
    """The same comparisons by `truetape reconcile`."""

    def reconcile(self, instrument, interval, klines):
        return json.loads(tt.run("reconcile", "--data", self.data, "--instrument", instrument, "--interval", interval,
                                 "--official", SHARED / klines, "--format", "json"))

    def test_xrpeth(self):
        tt.run("import", "--data", self.data, "--instrument", "binance:XRPETH", "--covers", "2019-10-11..2019-10-12T12:00", Xrpeth.FILE)
        for interval, windows, quiet in (("1m", 2160, 2160 - 1478), ("5m", 432, 432 - 429)):
            said = self.reconcile("binance:XRPETH", interval, f"binance-spot-xrpeth-klines-{interval}-20191011-20191012t1200.csv")
            self.assertEqual(said["provable"], {"compared": windows, "equal": windows, "rounded": 0})
            self.assertEqual((said["quiet"], said["others"]["compared"], said["differences"]), (quiet, 0, []))
            self.assertEqual([said["fields"][f]["equal"] for f in ("open", "high", "low", "close", "volume", "trades")], [windows] * 5 + [0])

    def test_usdm_btcusdt_in_every_field(self):
        tt.run("import", "--data", self.data, "--venue", "binance-usdm", SHARED / "binance-usdm-btcusdt-ws-20240718t2357-20240719t0005.frames.zst")
        said = self.reconcile("binance-usdm:BTCUSDT", "1m", "binance-usdm-btcusdt-klines-1m-20240718t2358-20240719t0004.csv")
        self.assertEqual(said["provable"], {"compared": 7, "equal": 7, "rounded": 0})
        self.assertEqual({(f["compared"], f["equal"]) for f in said["fields"].values()}, {(7, 7)})
        self.assertEqual((said["quiet"], said["others"]["compared"], said["differences"]), (0, 0, []))


class Ltcusdt(tt.Case):
    def test_its_holes_are_named_and_exactly_their_windows_are_gaps(self):
        source = SHARED / "binance-spot-ltcusdt-aggtrades-20250621.csv.zst"
        tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, source)
        # The truth, from the file itself by another way: neighbouring ids that are not neighbours.
        import subprocess
        text = subprocess.run(["zstd", "-dc", str(source)], check=True, capture_output=True, text=True).stdout
        known = [(int(r["tradeId"]), int(r["timestamp"])) for r in csv.DictReader(text.splitlines())]
        holes = [(a, b) for a, b in zip(known, known[1:]) if b[0] != a[0] + 1]
        self.assertEqual((len(holes), sum(b[0] - a[0] - 1 for a, b in holes)), (16, 168))
        gaps = tt.rows(self.data, "gaps")
        self.assertEqual([(int(g["first_id"]), int(g["last_id"]), g["state"], g["reason"]) for g in gaps],
                         [(a[0] + 1, b[0] - 1, "open", "missing_ids") for a, b in holes])
        for interval, length, number in (("1m", 60_000, 19), ("5m", 300_000, 16)):
            candles = tt.rows(self.data, "candles", "--interval", interval)
            touched = {start for a, b in holes for start in range(a[1] // length * length, b[1] + 1, length)}
            self.assertEqual({seconds(r["start"]) * 1000 for r in candles if r["completeness"] == "gap"}, touched)
            self.assertEqual(len(touched), number)
            self.assertEqual([r["completeness"] for r in candles].count("partial"), 1)
            self.assertEqual([r["status"] for r in candles].count("open"), 1)
            self.assertEqual((candles[0]["completeness"], candles[-1]["status"]), ("partial", "open"))


if __name__ == "__main__":
    if not SHARED.is_dir():
        print(f"SKIPPED: {SHARED} is not there, so nothing was compared with the venue's klines. This is not a pass.")
        sys.exit(77)
    tt.main()
