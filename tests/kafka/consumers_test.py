#!/usr/bin/env python3
"""What truetape writes on Kafka, read by others: PyPI's confluent-kafka with a schema registry, and kcat as the docs say. Beside
real brokers (with_broker.py), with the registry of tests/registry and a part of the recordings of examples/captures."""
import collections
import csv
import dataclasses
import datetime
import decimal
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/app"), str(ROOT / "tests/registry")]
import kit
import outside
import server
import tt
from workers import BROKERS, GUARD, Log, recorded

FIRST_ID = 70_001  # of the registry: nothing like truetape's own ids 1 to 8
MS, SECOND = 10 ** 6, 10 ** 9
TAPES = {"binance:BTCUSDT": "trade", "binance:LTCUSDT": "agg"}
INTERVALS = {1: "1s", 60: "1m", 300: "5m"}
GARBAGE = b"\xff\xfe\x00 no frame \x01"
STEP = Decimal(1).scaleb(-18)  # of the last digit that truetape keeps
EXACT = decimal.Context(prec=100, rounding=decimal.ROUND_HALF_EVEN)


@dataclasses.dataclass(frozen=True)
class Trade:
    """As its venue told it."""
    id: int
    time: int  # Unix ns
    price: Decimal
    quantity: Decimal
    side: str


def trades_of_frames(text):
    frames = (json.loads(line.split(" ", 1)[1]).get("data", {}) for line in text.splitlines())
    return [Trade(f["t"], f["T"] * MS, Decimal(f["p"]), Decimal(f["q"]), "sell" if f["m"] else "buy") for f in frames if f.get("e") == "trade"]


def trades_of_csv(text):
    return [Trade(int(row["tradeId"]), int(row["timestamp"]) * MS, Decimal(row["price"]), Decimal(row["quantity"]), row["side"])
            for row in csv.DictReader(io.StringIO(text))]


def candles(trades):
    """(interval, start in ns) -> what the window's candle must say, made of trades in order of their ids."""
    windows = collections.defaultdict(list)
    for trade in sorted(trades, key=lambda t: (t.time, t.id)):
        for interval in INTERVALS:
            windows[interval, trade.time - trade.time % (interval * SECOND)].append(trade)

    def candle(inside):
        def total(values):
            return sum(values, Decimal(0))
        bought = [t for t in inside if t.side == "buy"]
        volume, quote = total(t.quantity for t in inside), total(t.price * t.quantity for t in inside)
        return {"open": inside[0].price, "high": max(t.price for t in inside), "low": min(t.price for t in inside), "close": inside[-1].price,
                "volume": volume, "quote_volume": quote.quantize(STEP), "vwap": (quote / volume).quantize(STEP), "trades": len(inside),
                "taker_buy_volume": total(t.quantity for t in bought), "taker_buy_quote_volume": total(t.price * t.quantity for t in bought).quantize(STEP),
                "first_id": inside[0].id, "last_id": inside[-1].id, "first_time": inside[0].time, "last_time": inside[-1].time}
    with decimal.localcontext(EXACT):
        return {window: candle(inside) for window, inside in windows.items()}


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="truetape-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, ignore_errors=True)
        cls.frames, cls.csv = cls.scratch / "btc.frames", cls.scratch / "ltc.csv"
        cls.frames.write_text(recorded(tt.BTC_FRAMES, 15_000))
        cls.csv.write_text(recorded(tt.LTC_CSV, 3_000))
        cls.told = {"binance:BTCUSDT": trades_of_frames(cls.frames.read_text()), "binance:LTCUSDT": trades_of_csv(cls.csv.read_text())}
        cls.registry = cls.enterClassContext(server.running(first_id=FIRST_ID))
        # One log of all that, written with the registry's ids.
        cls.log = Log("market", cls.scratch, registry=cls.registry.url)
        tt.run("schemas", "register", "--prefix", "market", "--config", cls.log.config)
        cls.fill(cls.log)

    @classmethod
    def fill(cls, log):
        """Topics, a worker, and the recordings imported, with garbage before them."""
        log.run("topics", "create")
        worker = log.worker("a").ready()
        cls.addClassCleanup(worker.kill)
        outside.write(BROKERS, log.topic("raw"), (0, None, GARBAGE))
        log.run("import", "--venue", "binance", cls.frames)
        log.run("import", *tt.LTC_OPTIONS, cls.csv)
        assert worker.end() == 0, worker.told()

    @classmethod
    def id_of(cls, topic):
        return cls.registry.store.version(f"market.{topic}-value", "latest")["id"]

    def expect_trades(self, log):
        messages = outside.read(BROKERS, log.topic("trades"), self.registry.url)
        read = collections.defaultdict(list)
        for message in messages:
            trade = message.value
            self.assertEqual(message.key, trade["instrument"].encode())
            self.assertEqual((trade["id"], trade["first_id"], trade["last_id"]), (str(trade["order"]), trade["order"], trade["order"]))
            read[trade["instrument"]].append(Trade(trade["order"], trade["event_time"], trade["price"], trade["quantity"], trade["taker_side"]))
        self.assertEqual(read, self.told)
        self.assertEqual({message.schema_id for message in messages}, {self.id_of("trades")})

    def test_every_trade_once_and_exact(self):
        self.expect_trades(self.log)

    def test_the_last_candle_of_each_key_is_exact(self):
        messages = outside.read(BROKERS, self.log.topic("candles"), self.registry.url)
        self.assertEqual({message.schema_id for message in messages}, {self.id_of("candles")})
        last = {message.key.decode(): message.value for message in messages}  # emissions of a key are in one partition, in order
        wanted, still_open = {}, set()
        for instrument, trades in self.told.items():
            newest = max(trade.time for trade in trades)
            for (interval, start), candle in candles(trades).items():
                begin = datetime.datetime.fromtimestamp(start // SECOND, datetime.timezone.utc)
                key = f"{instrument}:{TAPES[instrument]}:{INTERVALS[interval]}:{begin:%Y%m%dT%H%M%SZ}"  # docs/records.md
                wanted[key] = candle
                if interval > 1 and start + interval * SECOND > newest:
                    still_open.add(key)
        self.assertEqual(wanted.keys() - last.keys(), still_open, "only the smallest interval's open candle is emitted")
        for key, candle in last.items():
            if key in wanted:
                self.assertEqual({name: candle[name] for name in wanted[key]}, wanted[key], key)
            else:  # quiet, or nothing is known
                self.assertIn(candle["trades"], (0, None), key)
            self.assertEqual(key.split(":")[:4], [*candle["instrument"].split(":"), candle["tape"], INTERVALS[candle["interval_seconds"]]])
        # And the store has that one. (What query rolls up itself is in no message.)
        self.log.load()
        rows = {f"{row['instrument']}:{row['tape']}:{row['interval']}:{re.sub('[-:]', '', row['start'])}": row for row in self.log.rows("candles")}
        self.assertEqual(rows.keys() - last.keys(), still_open)
        for key, candle in last.items():
            row = rows[key]
            for name in ("open", "high", "low", "close", "volume", "quote_volume", "vwap", "trades", "missing"):
                self.assertEqual(Decimal(row[name]) if row[name] else None, candle[name], f"{key} {name}")
            for name in ("status", "completeness", "proof", "repaired", "revision"):
                self.assertEqual(row[name] or "none", str(candle[name]).lower(), f"{key} {name}")

    def test_ids_from_a_file_give_the_same(self):
        filed = Log("filed", self.scratch, schema_ids=self.scratch / "filed.json")
        tt.run("schemas", "register", "--prefix", "filed", "--config", self.log.config, "--ids", self.scratch / "filed.json")
        asked = len(self.registry.requests)
        self.fill(filed)
        filed.load()
        digest = filed.run("digest")
        self.assertEqual(filed.run("digest", "--from", "store", "--store", f"sqlite:{filed.db}"), digest)
        self.assertEqual(len(self.registry.requests), asked, "neither workers nor loaders ask the registry")
        self.expect_trades(filed)
        self.assertEqual(digest, self.log.run("digest"))

    def test_kcat_shows_what_the_docs_say(self):
        expected = {  # by a part of the one line that it is for
            " -L ": lambda out: self.assertIn('topic "market.trades" with 2 partitions:', out),
            " market.gaps ": lambda out: self.assertEqual(sorted(line.split()[0] for line in out.splitlines()),
                                                          sorted(m.key.decode() for m in outside.read(BROKERS, "market.gaps"))),
            " market.progress ": lambda out: self.assertEqual({line.split()[1] for line in out.splitlines()}, set(TAPES)),
            " market.candles ": lambda out: self.assertRegex(out, r"\A(\d \d+ binance:(BTCUSDT:trade|LTCUSDT:agg):(1s|1m|5m):2\d{7}T\d{6}Z\n)+\Z"),
            " market.raw ": lambda out: self.assertRegex(out, r"\Abinance:\w+ kind=\w+,"),
            " market.quarantine ": lambda out: self.assertRegex(out, r"\A0 0  .*truetape\.error\.reason=\w+,.*\n.*no frame"),
            " od ": lambda out: self.assertEqual(out.split(), ["00", *self.id_of("trades").to_bytes(4, "big").hex(" ").split()]),
            " market.process": lambda out: self.assertRegex(out, r"(?m)^market.process +market.raw +0 +(\d+) +\1 +0 "),
            " value=avro ": lambda out: self.assertIn('"price"', out),
        }
        shim = self.scratch / "bin"
        shim.mkdir()
        (shim / "kafka-consumer-groups.sh").write_text(f'#!/bin/sh\nexec {shlex.join(kit.tool_command("ConsumerGroupCommand"))} "$@"\n')
        (shim / "kafka-consumer-groups.sh").chmod(0o755)
        environment = os.environ | {"BROKERS": BROKERS, "REGISTRY": self.registry.url, "PATH": f"{shim}:{os.environ['PATH']}"}
        avro = "Avro" in subprocess.run(["kcat", "-V"], capture_output=True, text=True).stdout
        section = re.search(r"^## Looking with kcat.*?(?=^## |\Z)", (ROOT / "docs/kafka.md").read_text(), flags=re.M | re.S)[0]
        lines = [line for block in re.findall(r"^```sh\n(.*?)^```", section, flags=re.M | re.S) for line in block.splitlines() if not line.startswith("export ")]
        self.assertGreater(len(lines), 6)
        for line in lines:
            with self.subTest(line):
                check, = (expected[part] for part in expected if part in line)
                if "-s value=avro" in line and not avro:
                    continue
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                                      env=environment, timeout=GUARD)
                told = done.stderr.replace("\nConsumer group 'market.process' has no active members.\n", "")
                self.assertEqual((done.returncode, told), (0, ""))
                check(done.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
