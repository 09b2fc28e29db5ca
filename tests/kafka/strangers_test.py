#!/usr/bin/env python3
"""What others write into truetape's topics, and a schema registry that goes away: workers and loaders beside real brokers
(with_broker.py) and the registry of tests/registry."""
import csv
import io
import json
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/app"), str(ROOT / "tests/registry")]
import outside
import server
import tt
from workers import BROKERS, GUARD, Log, recorded, until

LTC, BTC = 0, 1  # their partitions, of two
LTC_TRADES = 200  # of each part that is imported
FILL = {"type": "record", "name": "Fill", "namespace": "others", "fields": [{"name": "px", "type": "double"}]}


def framed(schema, body):
    return b"\0" + schema.to_bytes(4, "big") + body


class Strangers(unittest.TestCase):
    """Each test has a registry of its own, whose ids are nothing like truetape's own 1 to 8, and a log."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="truetape-test-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.registry = self.enterContext(server.running(first_id=70_001))
        self.others_id = self.register("others-value", FILL)
        self.imported = []  # how many BTC trades are in each part

    def register(self, subject, schema):
        return self.registry.store.register(subject, {"schema": json.dumps(schema)})["id"]

    def id_of(self, topic):
        return self.registry.store.version(self.log.topic(topic) + "-value", "latest")["id"]

    def begin(self, prefix):
        """The log with its topics, a worker and a loader."""
        self.log = Log(prefix, self.scratch, registry=self.registry.url)
        tt.run("schemas", "register", "--prefix", prefix, "--config", self.log.config)
        self.log.run("topics", "create")
        self.worker, self.loader = self.start(self.log.worker, "a"), self.start(self.log.loader, "a")
        self.worker.ready()
        self.loader.ready()

    def start(self, make, name):
        process = make(name)
        self.addCleanup(process.kill)
        return process

    def bring(self):
        """Imports the next part of the recordings (which asks no registry: `raw` has no schema). How many trades are in all of them."""
        plain = self.scratch / "plain.toml"
        plain.write_text('intervals = ["1s", "1m", "5m"]\n')
        part = len(self.imported)
        frames, rows = self.scratch / f"{part}.frames", self.scratch / f"{part}.csv"
        frames.write_text(recorded(tt.BTC_FRAMES, 1_500, 1_500 * part))
        rows.write_text(recorded(tt.LTC_CSV, 1) + recorded(tt.LTC_CSV, LTC_TRADES, 1 + LTC_TRADES * part))
        self.log.run("import", "--venue", "binance", frames, config=plain)
        self.log.run("import", *tt.LTC_OPTIONS, rows, config=plain)
        told = [json.loads(line.split(" ", 1)[1]).get("data", {}) for line in frames.read_text().splitlines()]
        self.imported.append(sum(data.get("e") == "trade" for data in told))
        return sum(self.imported) + LTC_TRADES * len(self.imported)

    def trades(self, instrument=None):
        """How many the store has."""
        of_it = f" WHERE instrument = '{instrument}'" if instrument else ""
        return self.log.stored(f"SELECT count(*) FROM trades_view{of_it}")[0][0]

    def expect_loaded(self, count):
        until(f"{count} trades are loaded", lambda: self.trades() == count, self.loader)

    def foreign(self):
        """(topic, partition, offset) -> bytes, of what the store says that truetape did not write."""
        return {(detail.split("/")[0], partition, offset): raw for detail, partition, offset, raw in self.log.stored(
            "SELECT detail, partition, offset, CAST(raw AS BLOB) FROM quarantine_view WHERE reason = 'foreign'")}

    def expect_foreign(self, expected):
        """Just these, with their bytes; and `truetape query` shows them, as text."""
        until(f"{len(expected)} foreign records are loaded", lambda: len(self.foreign()) >= len(expected))
        self.assertEqual(self.foreign(), expected)
        shown = {}
        for row in self.log.rows("quarantine"):
            if row["reason"] == "foreign":
                topic, place, why = re.fullmatch(r"(\w+)/(\d+ offset \d+): (.+)", row["detail"], re.S).groups()
                self.assertEqual(place, f"{row['partition']} offset {row['offset']}", why)
                shown[topic, int(row["partition"]), int(row["offset"])] = row["raw"]
        self.assertEqual(shown, {place: raw.decode(errors="replace") for place, raw in expected.items()})

    def expect_proved(self, strangers):
        """The store holds what the log does, and audit says how many strangers that has."""
        store = f"sqlite:{self.log.db}"
        audit = tt.run("audit", "--data", self.log.data, "--config", self.log.config, "--store", store, "--format", "csv", expect=None)
        self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
        self.assertEqual({row["verdict"] for row in csv.DictReader(io.StringIO(audit.stdout))}, {"proved"})
        self.assertRegex(audit.stderr, rf"\b{strangers} records? of its topics (is|are) not truetape's")
        self.assertEqual(self.log.run("digest", "--from", "store", "--store", store), self.log.run("digest"))

    def expect_untroubled(self):
        for process, role in ((self.worker, "process"), (self.loader, "load")):
            self.assertEqual(process.metric(f'truetape_role_retries_total{{role="{role}"}}'), 0, process.told())
            self.assertEqual(process.ask("/health/ready")[0], 200)

    def expect_no_start(self, words):
        """A worker and a loader say them in one sentence, and end with exit code 1."""
        processes = [self.start(make, "late") for make in (self.log.worker, self.log.loader)]
        for process in processes:
            self.assertEqual(process.process.wait(GUARD), 1, process.told())
            self.assertRegex(process.told(), rf"(?m)^truetape: schema registry {self.registry.url}{words}$")

    def test_they_go_to_quarantine_and_stop_nothing(self):
        self.begin("strange")
        first = self.bring()
        self.expect_loaded(first)
        topics = ("trades", "candles", "gaps", "quarantine")
        written = {}
        for topic in topics:
            ours = 1 if topic == "quarantine" else self.id_of(topic)
            values = (b"garbage \xff\x00\x01", b"", None, b"\0", framed(self.others_id, b"\x01\x02"), framed(987_654, b"nobody's"),
                      framed(ours, b"\xff\xff\xff"), framed(ours, b""), framed(1, b"as in a directory"))
            key = None if topic == "trades" else b"k"  # compacted topics take none without
            records = [(partition, key, value) for value in values for partition in (LTC, BTC)]
            for (_, _, value), place in zip(records, outside.write(BROKERS, self.log.topic(topic), *records)):
                written[topic, *place] = value or b""
        raw = [(BTC, None, b"\xff\xfe\x00 no frame"), (LTC, b"k", b""), (LTC, b"k", None)]
        raw_places = outside.write(BROKERS, self.log.topic("raw"), *raw)
        second = self.bring()
        self.assertGreater(second, first)
        self.expect_loaded(second)
        self.expect_foreign(written)
        # What is in raw goes through process, as ever.
        of_raw = {(row["partition"], row["offset"], row["raw"]) for row in self.log.rows("quarantine") if row["reason"] != "foreign"}
        self.assertEqual(of_raw, {(str(partition), str(offset), (value or b"").decode(errors="replace"))
                                  for (_, _, value), (partition, offset) in zip(raw, raw_places)})
        for topic in topics:
            self.assertEqual(self.loader.metric(f'truetape_load_foreign_total{{store="sqlite",topic="{topic}"}}'), len(written) / len(topics))
        self.expect_untroubled()
        self.expect_proved(len(written))

    def test_a_newer_version_of_our_schema_stops_the_loader(self):
        self.begin("newer")
        self.expect_loaded(self.bring())
        schema = json.loads((ROOT / "schemas/trade.avsc").read_text())
        schema["fields"].append({"name": "venue_sequence", "type": "long", "default": 0})
        newer = self.register(self.log.topic("trades") + "-value", schema)
        ours = next(message for message in outside.read(BROKERS, self.log.topic("trades")) if message.partition == LTC)
        value = framed(newer, ours.raw[5:] + b"\0")
        (partition, offset), = outside.write(BROKERS, self.log.topic("trades"), (LTC, ours.key, value))
        words = (f"newer.trades/{LTC} offset {offset}: a value of topic trades was written with schema id {newer}: that is another version "
                 "of the schema than this truetape reads; use a newer truetape")
        until("the loader tells", lambda: words in self.loader.told(), self.loader)
        # It tries again and again, and is well in between.
        until("it is in trouble", lambda: self.loader.metric('truetape_role_trouble{role="load"}') == 1, self.loader)
        until("it is not ready", lambda: words in self.loader.ask("/health/ready")[1], self.loader)
        second = self.bring()
        self.assertEqual(self.foreign(), {})
        self.assertEqual(self.trades("binance:LTCUSDT"), LTC_TRADES, "nothing behind it is loaded")
        # Others read it, and workers start, though the subject's latest version is not theirs.
        read = outside.read(BROKERS, self.log.topic("trades"), self.registry.url)
        self.assertEqual([m.value["venue_sequence"] for m in read if (m.partition, m.offset) == (partition, offset)], [0])
        self.assertEqual(len(read), second + 1)
        self.start(self.log.worker, "b").ready()
        # Who has no newer truetape may say that it is not truetape's.
        self.assertEqual(self.loader.end(), 0)
        ids = self.scratch / "ids.json"
        tt.run("schemas", "register", "--prefix", "newer", "--config", self.log.config, "--ids", ids)
        ids.write_text(json.dumps(json.loads(ids.read_text()) | {"foreign": [newer]}))
        self.log.configure(schema_ids=ids)
        self.loader = self.start(self.log.loader, "a")
        self.expect_loaded(second)
        self.expect_foreign({("trades", partition, offset): value})
        self.expect_proved(1)

    def test_the_registry_is_not_needed_until_there_is_an_id_that_is_new(self):
        self.begin("alone")
        self.expect_loaded(self.bring())
        self.registry.down_after = len(self.registry.requests)
        # Those that run go on, those that start need it.
        self.expect_loaded(self.bring())
        self.expect_untroubled()
        self.expect_no_start(r", subject alone\.trades-value: .*: the connection ended before an answer .*; ask again later")
        # Of an id that is new nobody can tell whose it is: its partition waits, the others go on.
        value = framed(self.others_id, b"whose?")
        (partition, offset), = outside.write(BROKERS, self.log.topic("trades"), (LTC, None, value))
        words = f"alone.trades/{LTC} offset {offset}: a value of topic trades has schema id {self.others_id}, which nobody has looked up yet: "
        until("the loader tells", lambda: words in self.loader.told(), self.loader)
        third = self.bring()
        until("the others are loaded", lambda: self.trades("binance:BTCUSDT") == sum(self.imported), self.loader)
        self.assertEqual(self.trades("binance:LTCUSDT"), 2 * LTC_TRADES)
        self.assertEqual(self.foreign(), {})
        status, reasons = self.loader.ask("/health/ready")
        self.assertEqual(status, 503)
        self.assertIn(words, reasons)
        self.registry.down_after = None
        self.expect_loaded(third)
        until("the loader is ready", lambda: self.loader.ask("/health/ready")[0] == 200, self.loader)
        self.expect_foreign({("trades", partition, offset): value})
        self.expect_proved(1)

    def test_nobody_starts_with_a_schema_that_is_missing_or_another(self):
        self.log = Log("other", self.scratch, registry=self.registry.url)
        self.log.run("topics", "create")
        self.expect_no_start(r": not registered: other\.trades-value, .*; `truetape schemas register` does it once, workers never do")
        tt.run("schemas", "register", "--prefix", "other", "--config", self.log.config)
        self.registry.store.subjects["other.trades-value"] = [self.others_id]  # as one that compares nothing would let others do
        self.expect_no_start(r": registered, but not with the schema of this version of truetape: other\.trades-value; `truetape schemas check` "
                             r"tells more, `truetape schemas register` adds it where it is compatible")


if __name__ == "__main__":
    tt.main()
