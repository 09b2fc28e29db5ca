#!/usr/bin/env python3
"""`truetape audit`: an undamaged store is proved, and each damage that is planted with SQLite is found and located."""
import csv
import io
import json
import shutil
import sqlite3
import subprocess
import tempfile
import pathlib
import unittest

import tt


def audit(data, *more, expect=3):
    done = tt.run("audit", "--data", data, "--format", "csv", *more, expect=None)
    if done.returncode != expect:
        raise AssertionError(f"audit: exit code {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return list(csv.DictReader(io.StringIO(done.stdout))), done.stderr


class Audit(tt.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="truetape-audit-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        tt.run("import", "--data", cls.shared / "d", "--venue", "binance", tt.BTC_FRAMES)
        tt.run("import", "--data", cls.shared / "d", *tt.LTC_OPTIONS, tt.LTC_CSV)

    def setUp(self):
        super().setUp()
        shutil.copytree(self.shared / "d", self.data)

    def plant(self, *statements):
        with sqlite3.connect(self.data / "store.db") as db:
            for statement in statements:
                self.assertGreater(db.execute(statement).rowcount, 0, statement)
        db.close()

    def found(self, instrument, day, *more):
        """The verdict of that day; all others are proved."""
        rows, said = audit(self.data, *more)
        verdicts = {(r["instrument"], r["day"]): r["verdict"] for r in rows}
        wrong = verdicts.pop((instrument, day))
        self.assertEqual(set(verdicts.values()), {"proved"})
        return wrong, said

    BTC = "(SELECT id FROM instruments WHERE instrument = 'binance:BTCUSDT')"
    ID = 3735690000

    def test_an_undamaged_store_is_proved(self):
        rows, said = audit(self.data, expect=0)
        self.assertEqual([(r["instrument"], r["tape"], r["day"], r["trades_log"], r["trades_store"], r["first_id"], r["last_id"], r["holes_open"],
                           r["holes_lost"], r["ids_missing"], r["verdict"]) for r in rows],
                         [("binance:BTCUSDT", "trade", "2024-08-08", "9738", "9738", "3735683259", "3735692996", "0", "0", "0", "proved"),
                          ("binance:BTCUSDT", "trade", "2024-08-09", "10166", "10166", "3735692997", "3735703162", "0", "0", "0", "proved"),
                          ("binance:LTCUSDT", "agg", "2025-06-21", "53325", "53325", "293517768", "293571260", "16", "0", "168", "proved")])
        for r in rows:
            for what in ("volume", "candles", "trades_digest", "candles_digest"):
                self.assertEqual(r[what + "_log"], r[what + "_store"])
                self.assertNotEqual(r[what + "_log"], "")
        self.assertEqual(said, "log and store hold the same 73,229 trades and 22,122 candles of 2 instruments on 3 days; 16 holes are open (168 ids lack)\n")
        # The volume is that of the rows.
        volume = sum(int(q * 10 ** 8 + 0.5) for (q,) in tt.store_rows(self.data, "SELECT CAST(quantity AS REAL) FROM trades_view WHERE instrument = 'binance:LTCUSDT'"))
        self.assertEqual(round(float(rows[2]["volume_log"]) * 10 ** 8), volume)

    def test_part_of_it_and_other_formats(self):
        rows, _ = audit(self.data, "--instrument", "binance:BTCUSDT", "--from", "2024-08-09", expect=0)
        self.assertEqual([(r["instrument"], r["day"], r["trades_log"], r["verdict"]) for r in rows], [("binance:BTCUSDT", "2024-08-09", "10166", "proved")])
        rows, _ = audit(self.data, "--instrument", "binance:BTCUSDT", "--from", "2024-08-08T23:55", "--to", "2024-08-08T23:56", expect=0)
        [count] = tt.store_rows(self.data, "SELECT count(*) FROM trades_view WHERE event_time >= '2024-08-08T23:55' AND event_time < '2024-08-08T23:56'")
        self.assertEqual(int(rows[0]["trades_store"]), count[0])
        lines = [json.loads(line) for line in tt.run("audit", "--data", self.data, "--format", "json").splitlines()]
        self.assertEqual([(line["day"], line["trades_log"], line["verdict"]) for line in lines][0], ("2024-08-08", 9738, "proved"))
        table = tt.run("audit", "--data", self.data)
        self.assertEqual(table.splitlines()[0].split(), ["instrument", "tape", "day", "trades", "volume", "ids", "holes", "missing", "candles", "verdict"])
        rows, said = audit(self.data, "--instrument", "binance:BTCUSDT", "--from", "2030-01-01", expect=0)
        self.assertEqual((rows, said), ([], "there is nothing to compare\n"))
        rows, said = audit(self.data, "--instrument", "binance:NOTHING", expect=1)
        self.assertTrue(said.startswith("truetape: nothing is known of binance:NOTHING; there is binance:"), said)

    def test_a_deleted_trade(self):
        self.plant(f"DELETE FROM trades WHERE instrument_id = {self.BTC} AND trade_order = {self.ID}")
        verdict, said = self.found("binance:BTCUSDT", "2024-08-08")
        self.assertEqual(verdict, f"differs at trade {self.ID} 2024-08-08T23:58:35.302Z: not in the store")
        self.assertIn("log and store differ: 1 day of 3; the log is the truth", said)
        self.assertIn(f"truetape import --data {self.data} --finish", said)

    def test_a_trade_changed_in_its_last_digit(self):
        [(price,)] = tt.store_rows(self.data, f"SELECT price FROM trades_view WHERE id = {self.ID}")
        for column, word in (("price", "price"), ("quantity", "quantity"), ("receive_time", "receive_time"), ("event_time", "event_time"),
                             ("seq", "seq"), ("marks", "marks")):
            with self.subTest(column):
                self.plant(f"UPDATE trades SET {column} = {column} + 1 WHERE instrument_id = {self.BTC} AND trade_order = {self.ID}")
                verdict, _ = self.found("binance:BTCUSDT", "2024-08-08")
                self.assertRegex(verdict, rf"^differs at trade {self.ID} 2024-08-08T23:58:35\.302(000001)?Z {word}: log \S+, store \S+$")
                if column == "price":
                    self.assertIn(f"price: log {price}, store ", verdict)
                self.plant(f"UPDATE trades SET {column} = {column} - 1 WHERE instrument_id = {self.BTC} AND trade_order = {self.ID}")
        audit(self.data, expect=0)

    def test_a_doubled_trade(self):
        columns = ("instrument_id, tape, era, trade_order, event_time, price, price_scale, quantity, quantity_scale, taker_side, marks, source_id, seq, "
                   "ordinal, receive_time, first_id, last_id, id, kind")
        for era, order, name in ((0, 3735800000, "3735800000"), (1, self.ID, f"1:{self.ID}")):
            with self.subTest(name):
                self.plant(f"INSERT INTO trades({columns}) SELECT {columns.replace('era, trade_order', f'{era}, {order}')} FROM trades "
                           f"WHERE instrument_id = {self.BTC} AND era = 0 AND trade_order = {self.ID}")
                verdict, _ = self.found("binance:BTCUSDT", "2024-08-08")
                self.assertEqual(verdict, f"differs at trade {name} 2024-08-08T23:58:35.302Z: not in the log")
                self.plant(f"DELETE FROM trades WHERE instrument_id = {self.BTC} AND era = {era} AND trade_order = {order}")

    def test_a_candle_of_an_old_revision(self):
        [(start, revision)] = tt.store_rows(self.data, f"SELECT start, revision FROM candles WHERE instrument_id = {self.BTC} AND interval = 60 AND revision > 1 "
                                                       "AND start < 1723161600000000000 ORDER BY start DESC LIMIT 1")
        self.plant(f"UPDATE candles SET revision = {revision - 1}, close = close - 1 WHERE instrument_id = {self.BTC} AND interval = 60 AND start = {start}")
        verdict, _ = self.found("binance:BTCUSDT", "2024-08-08")
        self.assertEqual(verdict, f"differs at candle 1m 2024-08-08T23:59:00Z revision: log {revision}, store {revision - 1}")

    def test_candles_that_lack_or_are_invented(self):
        window = f"instrument_id = {self.BTC} AND interval = 300 AND start = 1723161600000000000"
        [(before,)] = tt.store_rows(self.data, f"SELECT count(*) FROM candles WHERE {window}")
        self.assertEqual(before, 1)
        self.plant(f"UPDATE candles SET start = start + 86400000000000 WHERE {window}")
        rows, _ = audit(self.data)
        self.assertEqual([(r["day"], r["candles_log"], r["candles_store"], r["verdict"]) for r in rows if r["instrument"] == "binance:BTCUSDT"][1:],
                         [("2024-08-09", "308", "307", "differs at candle 5m 2024-08-09T00:00:00Z: not in the store"),
                          ("2024-08-10", "0", "1", "differs at candle 5m 2024-08-10T00:00:00Z: not in the log")])

    def test_a_gap_progress_and_quarantine(self):
        self.plant("UPDATE gaps SET missing = missing + 1 WHERE first_id = (SELECT min(first_id) FROM gaps)")
        verdict, _ = self.found("binance:LTCUSDT", "2025-06-21")
        self.assertRegex(verdict, r"^differs at gap \d+ 2025-06-21T\S+Z missing: log (\d+), store \d+$")
        self.plant("UPDATE gaps SET missing = missing - 1 WHERE first_id = (SELECT min(first_id) FROM gaps)",
                   f"UPDATE progress SET closed_until = NULL WHERE instrument_id = {self.BTC}")
        rows, said = audit(self.data)
        self.assertEqual({r["verdict"] for r in rows}, {"proved"})
        self.assertRegex(said, r"(?m)^differs: progress of binance:BTCUSDT trade closed_until: log 2024-08-09T00:05\S+Z, store nothing$")
        self.assertIn("log and store differ: 0 days of 3, and 1 other place", said)

    def test_a_position_moved_back(self):
        for topic in ("trades", "candles", "quarantine", "late"):
            with self.subTest(topic):
                rows = tt.store_rows(self.data, f"SELECT partition, next FROM positions WHERE topic = '{topic}' AND next > 10")
                for partition, end in rows[:1]:
                    self.plant(f"UPDATE positions SET next = next - 5 WHERE topic = '{topic}' AND partition = {partition}")
                    found, said = audit(self.data)
                    self.assertIn(f"differs: position {topic}/{partition}: the store says {end - 5}, but its loader had told the log {end}\n", said)
                    if topic in ("trades", "candles"):
                        self.assertTrue(any(f"in the store, beyond its position {topic}/{partition} = {end - 5}" in r["verdict"] for r in found), found)
                    if topic == "trades":
                        self.assertIn(f"position trades/{partition}: the store says {end - 5}, but it holds the trade that stands there in the log", said)
                    # The load that goes on from there brings nothing that is not there already.
                    tt.run("import", "--data", self.data, "--finish")
                    audit(self.data, expect=0)

    def test_a_store_that_is_ahead_of_its_log_or_of_another_one(self):
        [(partition, end)] = tt.store_rows(self.data, "SELECT partition, next FROM positions WHERE topic = 'trades' ORDER BY next DESC LIMIT 1")
        self.plant(f"UPDATE positions SET next = next + 1 WHERE topic = 'trades' AND partition = {partition}")
        rows, said = audit(self.data)
        self.assertEqual(rows, [])
        self.assertRegex(said, rf"^truetape: the store is ahead of its log: it has trades/{partition} up to offset {end + 1}, but the log ends at {end}\. [^\n]*"
                               rf"run: truetape import --data {self.data} --finish --adopt\n$")
        self.assertEqual(len(said.splitlines()), 1)
        tt.run("import", "--data", self.data, "--finish", "--adopt")
        audit(self.data, expect=0)

        other = self.scratch / "other"
        tt.run("import", "--data", other, "--venue", "binance", tt.BTC_FRAMES)
        rows, said = audit(other, "--store", f"sqlite:{self.data}/store.db")
        self.assertEqual(rows, [])
        self.assertRegex(said, r"^truetape: the store holds the rows of log \S+, but this log is \S+\. [^\n]*--finish --adopt[^\n]*\n$")
        # Adopted: what both logs had is compared, what only the first one had is told.
        shutil.copy(self.data / "store.db", other / "store.db")
        tt.run("import", "--data", other, "--finish", "--adopt")
        rows, said = audit(other, expect=0)
        self.assertEqual([(r["instrument"], r["trades_log"], r["trades_store"], r["verdict"]) for r in rows],
                         [("binance:BTCUSDT", "9738", "9738", "proved"), ("binance:BTCUSDT", "10166", "10166", "proved"),
                          ("binance:LTCUSDT", "0", "53325", "holds another log's rows")])
        self.assertIn("note: the store was loaded from another log before this one", said)
        self.data = other
        self.plant(f"DELETE FROM trades WHERE instrument_id = {self.BTC} AND trade_order = {self.ID}")
        rows, _ = audit(self.data)
        self.assertEqual(rows[0]["verdict"], f"differs at trade {self.ID} 2024-08-08T23:58:35.302Z: not in the store")

    def test_beside_an_import_that_runs(self):
        again = self.scratch / "again"
        process = subprocess.Popen([tt.BINARY, "import", "--data", again, *tt.LTC_OPTIONS, tt.LTC_CSV], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        audits = proved = 0
        while process.poll() is None:
            done = tt.run("audit", "--data", again, "--format", "csv", expect=None)
            if done.returncode == 1:  # log or store is only being made
                self.assertEqual((audits, done.stdout), (0, ""), done.stderr)
                continue
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            audits += 1
            proved += sum(r["verdict"] == "proved" for r in csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(process.returncode, 0)
        rows, _ = audit(again, expect=0)
        self.assertEqual([(r["trades_log"], r["trades_store"], r["verdict"]) for r in rows], [("53325", "53325", "proved")])
        print(f"{audits} audits beside the import, {proved} with rows", flush=True)

    DAMAGE = [  # each on a candle, a gap or a trade that the log has not
        ("INSERT INTO trades({columns}) SELECT {with_id} FROM trades WHERE instrument_id = {btc} AND era = 0 AND trade_order = {id}",
         "trade 3735800000 2024-08-08T23:58:35.302Z: not in the log"),
        ("UPDATE candles SET start = start - 36000000000000 WHERE instrument_id = {btc} AND interval = 300 AND start = 1723161300000000000",
         "candle 5m 2024-08-08T13:55:00Z: not in the log"),
        ("UPDATE candles SET revision = revision + 1 WHERE instrument_id = {btc} AND interval = 60 AND start = 1723161300000000000",
         "candle 1m 2024-08-08T23:55:00Z revision: log "),
    ]

    def test_after_a_restore_nothing_more_is_excused(self):
        tt.run("backup", "--data", self.data, self.scratch / "backup")
        tt.run("restore", self.scratch / "backup", "--data", self.scratch / "restored")
        self.data = self.scratch / "restored"
        rows, said = audit(self.data, expect=0)
        self.assertEqual({r["verdict"] for r in rows}, {"proved"})
        self.assertNotIn("note:", said)
        columns = ("instrument_id, tape, era, trade_order, event_time, price, price_scale, quantity, quantity_scale, taker_side, marks, source_id, seq, "
                   "ordinal, receive_time, first_id, last_id, id, kind")
        for statement, found in self.DAMAGE:
            with self.subTest(found):
                shutil.copy(self.data / "store.db", self.scratch / "sound.db")
                self.plant(statement.format(columns=columns, with_id=columns.replace("trade_order", "3735800000"), btc=self.BTC, id=self.ID))
                verdict, _ = self.found("binance:BTCUSDT", "2024-08-08")
                self.assertIn(f"differs at {found}", verdict)
                for name in ("store.db-wal", "store.db-shm"):
                    (self.data / name).unlink(missing_ok=True)
                shutil.copy(self.scratch / "sound.db", self.data / "store.db")

    def test_after_a_rebuild_by_other_rules(self):
        """A kind that was held is stored from then on, and is held again: what the store keeps of either is no difference."""
        rows = self.scratch / "rows.csv"
        rows.write_text("time,price,quantity,id,kind\n1723161253000,10,1,10,\n1723161254000,11,1,11,XYZ\n1723161314000,12,1,12,\n")
        data = self.scratch / "kinds"
        tt.run("import", "--data", data, "--columns", "time=time,price=price,quantity=quantity,id=id,kind=kind", "--instrument", "binance:ETHUSDT", rows)
        self.assertEqual(audit(data, expect=0)[0][0]["verdict"], "proved")
        for kinds, counts, verdict in (('["ADL", "XYZ"]', ("3", "3"), "proved"), ('["ADL"]', ("2", "3"), "pruned from the log")):
            with self.subTest(kinds):
                tt.run("rebuild", "--data", data, "--set", f"rule.stored_kinds={kinds}")
                found, said = audit(data, expect=0)
                self.assertEqual([(r["trades_log"], r["trades_store"], r["verdict"]) for r in found], [(*counts, verdict)])
                self.assertIn("note: results were made anew (truetape rebuild)", said)
        # Without a word of rules it would be by the defaults, which these are not.
        refused = tt.run("rebuild", "--data", data, expect=1).stderr
        self.assertRegex(refused, r'was judged by other rules than the defaults \(rule\.stored_kinds=ADL\), and no configuration was given; '
                                  r"give the one of truetape run: --config FILE, or say a rule: --set rule\.KEY=VALUE\n$")
        # The store of exactly what the log says now.
        (data / "store.db").unlink()
        tt.run("import", "--data", data, "--finish")
        self.assertEqual([r["verdict"] for r in audit(data, expect=0)[0]], ["proved"])

    def test_a_newer_store_that_a_restored_log_adopts(self):
        """As docs/backup.md tells: what only the lost continuation of the log said is no difference, then and later."""
        rows = self.scratch / "rows.csv"
        options = ["--columns", "time=time,price=price,quantity=quantity,id=id,kind=kind", "--instrument", "binance:ETHUSDT"]

        def more(data, *lines):
            rows.write_text("time,price,quantity,id,kind\n" + "\n".join(lines) + "\n")
            tt.run("import", "--data", data, *options, rows)
        first, second = "1723161253000,10,1,10,", "1723161254000,11,1,11,XYZ"  # of a kind that is held
        data, restored = self.scratch / "broken", self.scratch / "again"
        more(data, first, second)
        tt.run("backup", "--data", data, self.scratch / "backup")
        more(data, "1723161314000,12,1,12,", "1723161315000,13,1,13,OLD")
        tt.run("restore", self.scratch / "backup", "--data", restored)
        for file in restored.glob("store.db*"):
            file.unlink()
        shutil.copy(data / "store.db", restored / "store.db")
        tt.run("import", "--data", restored, "--finish", "--adopt")

        def expect(trades):
            found, said = audit(restored, expect=0)
            self.assertEqual([(r["trades_log"], r["trades_store"], r["verdict"]) for r in found], [(*trades, "holds another log's rows")])
            self.assertIn("note: the store was loaded from another log before this one, or from another continuation of it", said)
        expect(("1", "2"))
        # The restored one goes on with the same ids, and another item at the same place of raw.
        more(restored, "1723161314000,12,1,12,", "1723161316000,14,1,14,NEW")
        expect(("2", "2"))
        self.assertEqual(sorted(r["id"] for r in tt.rows(restored, "quarantine")), ["11", "13", "14"])
        [(mine,)] = tt.store_rows(restored, "SELECT value FROM meta WHERE name = 'log_id'")
        self.assertEqual(tt.store_rows(restored, "SELECT log_id FROM logs ORDER BY id"), [(f"{mine}@1",), (mine,)])
        # A trade of both that is damaged is found all the same.
        self.data = restored
        self.plant("UPDATE trades SET price = price + 1 WHERE trade_order = 10")
        self.assertRegex(audit(restored)[0][0]["verdict"], r"^differs at trade 10 \S+ price: log 10, store 11$")

    def test_a_newer_store_beside_a_log_that_was_put_back_by_hand(self):
        """It is refused; adopted, what the log makes from then on wins over what the lost continuation had made of the same windows."""
        rows = self.scratch / "rows.csv"
        options = ["--columns", "time=time,price=price,quantity=quantity,id=id", "--instrument", "binance:ETHUSDT"]

        def more(data, *lines, expect=0):
            rows.write_text("time,price,quantity,id\n" + "\n".join(lines) + "\n")
            done = tt.run("import", "--data", data, *options, rows, expect=expect)
            return done.stderr if expect else done
        data, old = self.scratch / "put back", self.scratch / "old"
        news = ("1723161314000,12,1,12", "1723161315000,14,1,14")
        more(data, "1723161253000,10,1,10", "1723161254000,11,1,11")
        shutil.copytree(data / "log", old)
        more(data, "1723161314000,12,1,12", "1723161314500,13,1,13", "1723161315000,14,1,14")
        shutil.rmtree(data / "log")
        shutil.copytree(old, data / "log")
        self.assertIn("the log was put back to an older copy than the store", more(data, *news, expect=1))
        tt.run("import", "--data", data, "--finish", "--adopt")
        more(data, *news)
        rows_, said = audit(data, expect=0)
        self.assertEqual([(r["trades_log"], r["trades_store"], r["verdict"]) for r in rows_], [("4", "5", "holds another log's rows")], said)
        [gap] = tt.rows(data, "gaps")
        self.assertEqual((gap["first_id"], gap["last_id"], gap["state"]), ("13", "13", "open"))
        # Without a new epoch these would be the lost log's for ever.
        candles = [(c["trades"], c["completeness"]) for c in tt.rows(data, "candles", "--interval", "1s") if c["start"] == "2024-08-08T23:55:14Z"]
        self.assertEqual(candles, [("1", "gap")])

    def test_what_is_not_loaded_is_not_proved(self):
        """Nor does another name of the store, or a forgotten reader, hide it."""
        [(partition, end)] = tt.store_rows(self.data, "SELECT partition, next FROM positions WHERE topic = 'candles' ORDER BY next DESC LIMIT 1")
        self.plant("DELETE FROM candles", "DELETE FROM positions WHERE topic = 'candles'")
        for more in ((), ("--store", f"sqlite:{self.data}/store.db")):
            rows, said = audit(self.data, *more)
            self.assertEqual({r["verdict"] for r in rows}, {"not loaded yet"})
            self.assertIn(f"differs: position candles/{partition}: the store says 0, but its loader had told the log {end}\n", said)
            self.assertRegex(said, r"note: the store is behind its log: [0-9,]+ records are not loaded yet \([0-9,]+ of candles\)")
        tt.run("readers", "forget", "load:sqlite", "--data", self.data)
        rows, said = audit(self.data, expect=0)
        self.assertEqual({r["verdict"] for r in rows}, {"not loaded yet"})
        self.assertRegex(said, r"; of 3 days [0-9,]+ records of the log are not loaded yet; ")
        tt.run("import", "--data", self.data, "--finish")
        self.assertEqual({r["verdict"] for r in audit(self.data, expect=0)[0]}, {"proved"})

    def test_an_empty_place_and_bad_options(self):
        self.assertIn("truetape import --data", tt.run("audit", "--data", self.scratch / "none", expect=1).stderr)
        for arguments, words in ((["--instrument", "x"], '"x" is no instrument'), (["--from", "yesterday"], "--from"), (["--store", "postgres:x"], "write sqlite:FILE"),
                                 (["--from", "2025-01-02", "--to", "2025-01-01"], "2025-01-01 is not after --from 2025-01-02"), (["--format", "xml"], "--format")):
            self.assertIn(words, tt.run("audit", "--data", self.data, *arguments, expect=2).stderr)


if __name__ == "__main__":
    tt.main()
