#!/usr/bin/env python3
"""The judge itself: a store that is right passes, and each way of being wrong, done to it by hand, is found by its name.

The store is a real one: generated trades, some of them left out, imported. The list of what was sent is written here."""
import csv
import datetime
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import truth
from live import BINARY

LEFT_OUT = {"BTCUSDT": [(40, 45), (300, 300)], "ETHUSDT": [(10, 10)]}  # places in each symbol's list


class TruthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="truetape-truth-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        subprocess.run([BINARY, "sim", "--symbols", "BTCUSDT,ETHUSDT", "--rate", "0.1", "--length", "4h", "--speed", "max", "--no-wait",
                        "--shift", "none", "--seed", "4", "--truth", cls.folder / "truth.json", "--trades", cls.folder / "trades.csv"],
                       check=True, capture_output=True, timeout=120)
        with open(cls.folder / "trades.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        told = json.loads((cls.folder / "truth.json").read_text())
        cls.reached, streams = {}, []
        for symbol, places in LEFT_OUT.items():
            mine = [r for r in rows if r["symbol"] == symbol]
            gone = {i for first, last in places for i in range(first, last + 1)}
            kept = [r for i, r in enumerate(mine) if i not in gone]
            cls.reached[f"binance:{symbol}"] = {int(r["id"]) for r in kept}
            streams.append({"stream": symbol.lower() + "@trade", "sent": [[int(kept[0]["id"]), int(kept[-1]["id"])]]})
            file = cls.folder / f"{symbol}.csv"
            with open(file, "w", newline="") as out:
                writer = csv.DictWriter(out, fieldnames=list(kept[0]))
                writer.writeheader()
                writer.writerows(kept)
            subprocess.run([BINARY, "import", "--data", cls.folder / "data", "--instrument", f"binance:{symbol}", "--tape", "trade", "--columns",
                            "time=time_us,price=price,quantity=quantity,buyer_is_maker=buyer_is_maker,id=id", file],
                           check=True, capture_output=True, timeout=120)
        told["connections"] = [{"number": 1, "end": "client", "streams": streams}]
        (cls.folder / "truth.json").write_text(json.dumps(told))
        cls.truth = truth.Truth(cls.folder / "truth.json", cls.folder / "trades.csv")
        cls.store = cls.folder / "data/store.db"

    def judged(self, *changes, reached=True, drained=False, told=None):
        """Kinds of what is found after these changes of the store."""
        doctored = self.folder / "doctored.db"
        doctored.unlink(missing_ok=True)
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as source, sqlite3.connect(doctored) as copy:
            source.backup(copy)
            for change in changes:
                sql, *values = (change,) if isinstance(change, str) else change
                self.assertGreater(copy.execute(sql, values).rowcount, 0, f"changes nothing: {sql}")
        copy.close()
        source.close()
        findings, self.counts = truth.judge([told or self.truth], doctored, reached=self.reached if reached is True else reached, drained=drained)
        return {f.kind for f in findings}, findings

    def expect(self, kinds, *changes, **more):
        found, findings = self.judged(*changes, **more)
        self.assertEqual(found, set(kinds), "\n".join(map(str, findings)))

    def row(self, sql):
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchone()

    MINUTES = "FROM candles WHERE interval = 60 AND completeness = 1 AND proof = 1 AND instrument_id = 1"

    def inside(self):
        """An id of instrument 1 whose candles are all complete, or open."""
        first, last = self.row("SELECT first_id, last_id FROM candles WHERE interval = 3600 AND completeness = 1 AND instrument_id = 1 LIMIT 1")
        return (first + last) // 2

    def test_a_sound_store_is_sound(self):
        self.expect([])
        self.assertEqual(self.counts["stored"], sum(map(len, self.reached.values())))
        self.assertEqual(self.counts["missing ids"], 8)
        self.assertEqual(self.counts["gaps open"], 3)
        self.assertGreater(self.counts["candles complete by ids"], 300)
        self.assertGreater(self.counts["candles quiet by ids"], 0)
        self.assertGreater(self.counts["candles gap by ids"], 0)
        self.assertGreater(self.counts["candles partial"], 0)

    def test_a_deleted_trade_is_lost_unnamed_and_makes_its_candles_false(self):
        self.expect(["lost", "unnamed", "misnamed", "false"], f"DELETE FROM trades WHERE instrument_id = 1 AND trade_order = {self.inside()}")
        self.expect(["unnamed", "misnamed", "false"], f"DELETE FROM trades WHERE instrument_id = 1 AND trade_order = {self.inside()}", reached=None)

    def test_a_doubled_trade(self):
        columns = ",".join(r[1] for r in sqlite3.connect(f"file:{self.store}?mode=ro", uri=True).execute("PRAGMA table_info(trades)"))
        copied = columns.replace("era", "1")
        self.expect(["doubled"], f"INSERT INTO trades({columns}) SELECT {copied} FROM trades WHERE instrument_id = 1 AND trade_order = {self.inside()}")
        self.expect(["invented"], f"INSERT INTO trades_without_id({columns}) SELECT {columns} FROM trades WHERE instrument_id = 1 AND trade_order = {self.inside()}")

    def test_a_trade_that_never_happened(self):
        self.expect(["invented", "misnamed", "lost", "unnamed", "false"],
                    f"UPDATE trades SET trade_order = trade_order + 1000000000 WHERE instrument_id = 1 AND trade_order = {self.inside()}")

    def test_an_instrument_that_the_venue_does_not_have(self):
        trade = "UPDATE trades SET instrument_id = 99 WHERE instrument_id = 1 AND trade_order = (SELECT max(trade_order) FROM trades WHERE instrument_id = 1)"
        for name, kinds in (("binance:NOSUCH", ["invented", "lost"]), ("binance:BTCUS#T", ["lost"]), ("binance:BTCU##T", ["invented", "lost"])):
            found, findings = self.judged(("INSERT INTO instruments(id, instrument) VALUES(99, ?)", name), trade)
            self.assertEqual(found & {"invented", "lost"}, set(kinds), "\n".join(map(str, findings)))

    def test_a_changed_digit(self):
        for change in ("price = price + 1", "quantity = quantity + 1", "event_time = event_time + 1000000", "taker_side = 3 - taker_side", "kind = 'RPI'",
                       "price_scale = price_scale + 1"):
            self.expect(["changed"], f"UPDATE trades SET {change} WHERE instrument_id = 1 AND trade_order = {self.inside()}")

    def test_each_value_of_a_candle_counts(self):
        for column in ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume", "vwap",
                       "first_id", "last_id", "first_time", "last_time"):
            start = self.row(f"SELECT start {self.MINUTES} LIMIT 1")[0]
            self.expect(["values"], f"UPDATE candles SET {column} = {column} + 1 WHERE interval = 60 AND instrument_id = 1 AND start = {start}")
            self.expect(["values"], f"UPDATE candles SET {column} = NULL WHERE interval = 60 AND instrument_id = 1 AND start = {start}")

    def test_the_values_of_gap_partial_and_quiet_windows_count(self):
        for completeness in (2, 3, 4):
            key = self.row(f"SELECT interval, instrument_id, start FROM candles WHERE completeness = {completeness} AND close IS NOT NULL AND status <> 0 LIMIT 1")
            self.expect(["values"], ("UPDATE candles SET close = close + 1 WHERE interval = ? AND instrument_id = ? AND start = ?", *key))

    def test_a_false_complete(self):
        missing = self.row("SELECT first_id FROM gaps WHERE instrument_id = 1 AND missing = 6")[0]
        start = self.truth.happened["binance:BTCUSDT"][missing].ms // 60000 * 60 * 10**9
        for proof in (1, 2, 3, 4):
            self.expect(["false"], f"UPDATE candles SET completeness = 1, proof = {proof} WHERE interval = 60 AND instrument_id = 1 AND start = {start}")

    def test_a_complete_without_proof(self):
        start = self.row(f"SELECT start {self.MINUTES} LIMIT 1")[0]
        self.expect(["false"], f"UPDATE candles SET proof = 0 WHERE interval = 60 AND instrument_id = 1 AND start = {start}")

    def test_a_false_quiet_and_a_false_traded(self):
        start = self.row(f"SELECT start {self.MINUTES} LIMIT 1")[0]
        self.expect(["false"], f"UPDATE candles SET completeness = 2 WHERE interval = 60 AND instrument_id = 1 AND start = {start}")
        key = self.row("SELECT interval, instrument_id, start FROM candles WHERE completeness = 2 LIMIT 1")
        self.expect(["false"], ("UPDATE candles SET completeness = 1 WHERE interval = ? AND instrument_id = ? AND start = ?", *key))

    def test_what_a_session_proved_is_forgiven_as_long_as_no_later_id_shows_the_loss(self):
        """The last trades of the tape, lost: nobody could know."""
        last, start = self.row("SELECT last_id, start FROM candles WHERE interval = 1 AND instrument_id = 1 ORDER BY start DESC LIMIT 1")
        before = self.row(f"SELECT first_id FROM candles WHERE interval = 1 AND instrument_id = 1 AND start = {start}")[0]
        reached = {**self.reached, "binance:BTCUSDT": {i for i in self.reached["binance:BTCUSDT"] if i < before}}
        quiet = (f"DELETE FROM trades WHERE instrument_id = 1 AND trade_order BETWEEN {before} AND {last}",
                 f"UPDATE candles SET status = 1, settled = 1, completeness = 2, trades = 0, volume = 0, quote_volume = 0, taker_buy_volume = 0, taker_buy_quote_volume = 0, "
                 f"vwap = NULL, first_id = NULL, last_id = NULL, first_time = NULL, last_time = NULL, (open, open_scale, high, high_scale, low, low_scale, close, close_scale) = "
                 f"(SELECT close, close_scale, close, close_scale, close, close_scale, close, close_scale FROM candles WHERE interval = 1 AND instrument_id = 1 "
                 f"AND start < {start} ORDER BY start DESC LIMIT 1) WHERE interval = 1 AND instrument_id = 1 AND start = {start}")
        for proof, kinds in ((3, []), (1, ["false"])):
            self.expect(kinds, *quiet, f"UPDATE candles SET proof = {proof} WHERE interval = 1 AND instrument_id = 1 AND start = {start}", reached=reached)

    def test_a_missing_gap(self):
        first = self.row("SELECT first_id FROM gaps WHERE instrument_id = 1 AND missing = 6")[0]
        self.expect(["unnamed", "misnamed"], f"DELETE FROM gaps WHERE instrument_id = 1 AND first_id = {first}")

    def test_a_gap_that_names_too_little_too_much_or_ended_too_soon(self):
        first, last = self.row("SELECT first_id, last_id FROM gaps WHERE instrument_id = 1 AND missing = 6")
        gap = f"WHERE instrument_id = 1 AND first_id = {first}"
        self.expect(["misnamed"], f"UPDATE gaps SET missing = 5 {gap}")
        self.expect(["misnamed"], f"UPDATE gaps SET missing = 7 {gap}")
        self.expect(["unnamed", "misnamed"], f"UPDATE gaps SET last_id = {last - 1} {gap}")
        self.expect(["unnamed", "misnamed"], f"UPDATE gaps SET state = 3 {gap}")  # repaired
        self.expect(["unnamed"], f"UPDATE gaps SET state = 4 {gap}")  # absent, though they happened
        for state in (2, 5):  # progress, lost: still named
            self.expect([], f"UPDATE gaps SET state = {state} {gap}")

    def test_a_tail_that_is_none(self):
        self.expect(["misnamed"], "INSERT INTO gaps SELECT instrument_id, tape, era, (SELECT max(trade_order) FROM trades WHERE instrument_id = 1), settled, epoch, revision, "
                    "NULL, 0, from_time, NULL, 1, 1 FROM gaps WHERE instrument_id = 1 AND missing = 6")
        self.expect([], "INSERT INTO gaps SELECT instrument_id, tape, era, (SELECT max(trade_order) + 1 FROM trades WHERE instrument_id = 1), settled, epoch, revision, "
                    "NULL, 0, from_time, NULL, 1, 1 FROM gaps WHERE instrument_id = 1 AND missing = 6")

    def test_a_window_without_its_candle(self):
        for interval, completeness in ((1, 1), (60, 1), (60, 3)):
            key = self.row(f"SELECT interval, instrument_id, start FROM candles WHERE interval = {interval} AND completeness = {completeness} LIMIT 1")
            self.expect(["unmade"], ("DELETE FROM candles WHERE interval = ? AND instrument_id = ? AND start = ?", *key))

    def test_what_was_sent_on_a_connection_that_ended_well_must_be_in_the_log(self):
        told = json.loads((self.folder / "truth.json").read_text())
        told["connections"][0]["end"] = "stopped"
        (self.folder / "ended.json").write_text(json.dumps(told))
        ended = truth.Truth(self.folder / "ended.json", self.folder / "trades.csv")
        self.expect(["unlogged"], drained=True, told=ended)
        self.expect([], drained=True)

    def test_a_trade_in_quarantine_is_not_lost_and_known_if_its_time_is(self):
        number = self.inside()
        delete = f"DELETE FROM trades WHERE instrument_id = 1 AND trade_order = {number}"
        insert = ("INSERT INTO quarantine(log, partition, raw_offset, ordinal, instrument_id, receive_time, id, reason, detail, rule, rule_version, raw, headers) "
                  f"VALUES(1, 0, 7, 0, 1, NULL, '{number}', 3, '', 'decode', 1, CAST(? AS BLOB), '')")
        for raw in ('{"e":"trade","s":"BTCUSDT","t":%d,"p":"x","T":1704067200000}', '{"stream":"s","data":{"t":%d,"T":1704067200000}}', '{"t":%d,"T":1704067200000,}'):
            self.expect(["false"], delete, (insert, raw % number))  # held; the candles were made with it
        for raw in ('{"t":%d,"T":"x"}', '{"t":%d,"#":1704067200000}', '{"t":%d,"T":17040#7200000}'):
            self.expect(["false", "unnamed", "misnamed"], delete, (insert, raw % number))  # a hole

    def test_frames_of_the_log_are_read_as_they_stand(self):
        def record(value, kind="frame", instruments="binance:BTCUSDT"):
            return json.dumps({"headers": {"kind": kind, "instruments": instruments}, "value": value})
        trade = '{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","t":%d,"p":"1"}}'
        lines = [record(trade % 7), record(trade % 7), record('{"e":"trade","s":"BTCUSDT","t":8}'), record(trade % 9, kind="session"),
                 record((trade % 10)[:-3]), record('{"e":"bookTicker","s":"BTCUSDT","t":11}'), record("<html>trade</html>"),
                 record(trade % 12, instruments="binance-usdm:BTCUSDT"), record((trade % 13).replace("stream", "stre#m"))]
        self.assertEqual(truth.logged(lines), {"binance:BTCUSDT": {7, 8}, "binance-usdm:BTCUSDT": {12}})

    def test_a_planted_lie_is_counted_among_the_proven(self):
        self.expect([])
        proven = self.counts[truth.PROVEN]
        self.assertGreater(proven, 300)
        self.assertEqual(proven, sum(n for k, n in self.counts.items() if k.startswith(truth.PROVEN + ": ")))
        self.by_interval(self.counts)
        self.assertEqual(self.counts[truth.FALSE], 0)
        whole = self.row(f"SELECT start {self.MINUTES} LIMIT 1")[0]
        missing = self.row("SELECT first_id FROM gaps WHERE instrument_id = 1 AND missing = 6")[0]
        holed = self.truth.happened["binance:BTCUSDT"][missing].ms // 60000 * 60 * 10**9
        where = "WHERE interval = 60 AND instrument_id = 1 AND start ="
        gap = self.row("SELECT start FROM candles WHERE interval = 60 AND instrument_id = 1 AND completeness = 3 AND close IS NOT NULL AND status <> 0 LIMIT 1")[0]
        for more, false, change in ((0, 1, f"UPDATE candles SET close = close + 1 {where} {whole}"), (0, 1, f"UPDATE candles SET completeness = 2 {where} {whole}"),
                                    (1, 1, f"UPDATE candles SET completeness = 1, proof = 1 {where} {holed}"), (0, 0, f"UPDATE candles SET close = close + 1 {where} {gap}")):
            found, _ = self.judged(change)
            self.assertTrue(found, change)
            self.assertEqual((self.counts[truth.PROVEN], self.counts[truth.FALSE]), (proven + more, false), change)

    def by_interval(self, counts):
        """There are proven ones of a second and a minute at least, and each is counted by its interval once."""
        by = {k.removeprefix(truth.PROVEN + " of "): n for k, n in counts.items() if k.startswith(truth.PROVEN + " of ")}
        self.assertEqual(sum(by.values()), counts[truth.PROVEN], by)
        self.assertGreater(by["1s"], by["1m"])
        self.assertGreater(by["1m"], 0)
        self.assertEqual([truth.of_interval(s).split()[-1] for s in (1, 15, 60, 90, 300, 3600, 14400, 86400)], ["1s", "15s", "1m", "90s", "5m", "1h", "4h", "1d"])

    def states(self):
        return subprocess.run([BINARY, "log", "cat", "candles", "--data", self.folder / "data"], check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()

    def test_each_state_that_was_ever_told_is_judged(self):
        lines = self.states()
        findings, counts = truth.judge_states([self.truth], lines)
        self.assertEqual(findings, [])
        self.assertEqual((counts["states"], counts[truth.FALSE]), (len(lines), 0))
        proven = counts[truth.PROVEN]
        self.assertGreater(proven, 300)
        self.by_interval(counts)
        for words in ("closed, complete by ids", "closed, quiet by ids"):
            self.assertGreater(counts[f"{truth.PROVEN}: {words}"], 0)

        def first(**wanted):
            return next(i for i, line in enumerate(lines) if (row := json.loads(line)["value"]) and all(row[k] == v for k, v in wanted.items()))

        def planted(place, **values):
            record = json.loads(lines[place])
            record["value"].update(values)
            return truth.judge_states([self.truth], [*lines[:place], json.dumps(record), *lines[place + 1:]])

        whole = first(completeness="complete", proof="ids", status="closed", interval="1m")
        quiet = first(completeness="quiet", proof="ids")
        missing = self.truth.happened["binance:BTCUSDT"][self.row("SELECT first_id FROM gaps WHERE instrument_id = 1 AND missing = 6")[0]].ms // 60000 * 60
        start = datetime.datetime.fromtimestamp(missing, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        holed = first(completeness="gap", proof="ids", status="closed", interval="1m", start=start, instrument="binance:BTCUSDT")
        row = json.loads(lines[whole])["value"]
        for lie in ({"close": "1"}, {"volume": row["volume"] + "1"}, {"trades": row["trades"] - 1}, {"vwap": None}, {"last_id": row["last_id"] + 1},
                    {"first_time": row["last_time"], "last_time": row["first_time"][:-4] + "999Z"}, {"completeness": "quiet"}, {"instrument": "binance:NOSUCH"}, {"tape": "agg"},
                    {"status": "corrected", "close": "1"}, {"proof": "declared", "close": "1"}, {"proof": "overlap", "close": "1"}):
            findings, counts = planted(whole, **lie)
            self.assertEqual((len(findings), counts[truth.FALSE], counts[truth.PROVEN]), (1, 1, proven), lie)
        for lie in ({"completeness": "complete"}, {"close": "1"}):
            findings, counts = planted(quiet, **lie)
            self.assertEqual((len(findings), counts[truth.FALSE]), (1, 1), lie)
        findings, counts = planted(holed, completeness="complete")
        self.assertEqual(([f.kind for f in findings], counts[truth.FALSE], counts[truth.PROVEN]), (["values"], 1, proven + 1))
        # What claims no proof is not judged here.
        for place, change in ((holed, {"close": "1"}), (whole, {"status": "open", "close": "1"}), (whole, {"proof": "session", "close": "1"}), (whole, {"proof": None, "close": "1"})):
            self.assertEqual(planted(place, **change)[1][truth.FALSE], 0, change)
        # A lie that was mended later is one all the same.
        early = json.loads(lines[whole])
        early["value"].update(revision=1, trades=1)
        self.assertEqual(truth.judge_states([self.truth], [json.dumps(early), *lines])[1][truth.FALSE], 1)

    def test_the_command_line(self):
        raw = self.folder / "raw.jsonl"
        with open(raw, "w") as out:
            for name, ids in self.reached.items():
                for i in ids:
                    value = json.dumps({"e": "trade", "s": name.split(":")[1], "t": i})
                    out.write(json.dumps({"headers": {"kind": "frame", "instruments": name}, "value": value}) + "\n")
        command = [sys.executable, truth.__file__, "--truth", self.folder / "truth.json", "--trades", self.folder / "trades.csv", "--raw", raw, "--store"]
        self.assertEqual(subprocess.run([*command, self.store], capture_output=True, text=True).returncode, 0)
        candles = self.folder / "candles.jsonl"
        for text, code in (("\n".join(self.states()), 0), (next(x for x in self.states() if '"proof":"ids"' in x and '"complete"' in x).replace('"trades":', '"trades":1'), 1)):
            candles.write_text(text + "\n")
            self.assertEqual(subprocess.run([*command, self.store, "--candles", candles], capture_output=True, text=True).returncode, code)
        self.judged(f"DELETE FROM trades WHERE instrument_id = 1 AND trade_order = {self.inside()}")
        done = subprocess.run([*command, self.folder / "doctored.db"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"lost: binance:BTCUSDT: id {self.inside()} is in the log and not in the store", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
