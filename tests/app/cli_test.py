#!/usr/bin/env python3
"""The command line as users and scripts meet it: help, exit codes, public headers, sentences for bad input."""
import fcntl
import json
import os
import re
import shutil
import sqlite3
import subprocess
import unittest

import tt

HEADERS = {
    "candles": "instrument,tape,interval,start,open,high,low,close,volume,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume,"
               "vwap,first_id,last_id,first_time,last_time,status,completeness,proof,repaired,missing,held,epoch,revision",
    "trades": "instrument,tape,era,id,first_id,last_id,event_time,receive_time,price,quantity,taker_side,kind,marks",
    "gaps": "instrument,tape,era,first_id,last_id,from,to,state,reason,missing",
    "quarantine": "instrument,partition,offset,receive_time,id,reason,detail,rule,rule_version,raw,ordinal,attempts",
    "progress": "instrument,tape,frontier,closed_until,proven_until,sealed_until",
}
ROWS = "time,price,quantity,buyer_is_maker,id\n1723161253000,61837.63,0.01,True,10\n1723161254000,61838,0.5,False,11\n1723161314000,61839,1,False,12\n"
COLUMNS = ["--columns", "time=time,price=price,quantity=quantity,buyer_is_maker=buyer_is_maker,id=id", "--instrument", "binance:BTCUSDT"]


class Help(tt.Case):
    COMMANDS = [[], ["import"], ["query"], ["quarantine", "ls"], ["quarantine", "show"], ["quarantine", "replay"], ["quarantine", "drop"], ["rules", "ls"], ["rules", "set"], ["digest"], ["audit"], ["backup"], ["restore"], ["rebuild"], ["log", "ls"], ["log", "cat"], ["log", "verify"], ["config", "check"],
                ["config", "settings"], ["init"], ["schemas", "register"], ["schemas", "check"], ["schemas", "ls"],
                ["control", "start"], ["control", "stop"], ["control", "add"], ["control", "remove"], ["control", "ls"]]

    def test_every_command_explains_itself(self):
        for command in self.COMMANDS:
            text = tt.run(*command, "--help")
            self.assertIn("Exit status:", text, command)
            self.assertRegex(text, r"\n  0  ", command)
            self.assertLessEqual(max(len(line) for line in text.splitlines()), 132, command)

    def test_the_examples_of_help_name_options_that_exist(self):
        for command in self.COMMANDS:
            for line in re.findall(r"^  truetape (.*?)(?<!\\)$", tt.run(*command, "--help"), re.M | re.S):
                words = line.replace("\\\n", " ").split()
                names = [w for w in words if not w.startswith("-")]
                level = names[:2] if names[0] in ("query", "log", "config", "control", "schemas") and len(names) > 1 else names[:1]
                known = tt.run(*level, "--help")
                for option in (w for w in words if w.startswith("--")):
                    self.assertIn(option, known, line)

    def test_version(self):
        self.assertRegex(tt.run("--version"), r"^truetape \d+\.\d+\.\d+\n$")


class Usage(tt.Case):
    def test_what_is_wrong_with_the_command_line_is_exit_code_2(self):
        for arguments in (["nothing"], ["import", "--data", self.data], ["query", "candles", "--data", self.data, "--interval", "7x"],
                          ["query", "candles", "--data", self.data, "--from", "yesterday"], ["query", "trades", "--data", self.data, "--tape", "x"],
                          ["query", "candles", "--data", self.data, "--format", "xml"], ["query", "candles"],
                          ["import", "--data", self.data, "--covers", "2019..2018", tt.LTC_CSV], ["digest", "--data", self.data, "--from", "here"],
                          ["query", "candles", "--data", self.data, "--limit", "-1"], ["query", "gaps", "--set", "x=1", "--data", self.data]):
            done = tt.run(*arguments, expect=2)
            self.assertRegex(done.stderr, r"^truetape: \S", arguments)
            self.assertFalse(self.data.exists(), arguments)

    def test_without_a_command_it_lists_them(self):
        for arguments, words in (([], ["Usage: truetape", "  import ", "  run "]), (["query"], ["Usage: truetape query", "  candles ", "  gaps "]),
                                 (["control"], ["Usage: truetape control", "  add "])):
            done = tt.run(*arguments, expect=2)
            self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
            for word in words:
                self.assertIn(word, done.stderr, arguments)

    def test_a_slip_is_named_with_what_there_is(self):
        for arguments, words in ((["improt"], 'there is no command "improt"; there are import, query, '),
                                 (["query", "foo"], 'there is no command "foo" of `truetape query`; there are candles, trades, '),
                                 (["log", "cat", "raw", "--data", "x", "--limit", "y"], '"y" is no whole number from 1 on'),
                                 (["log", "cat", "raw", "--data", "x", "--from", "-1"], '"-1" is no whole number from 0 on'),
                                 (["query", "candles", "--data", "x", "--limit", "0"], '"0" is no whole number from 1 on'),
                                 (["query", "trades", "--data", "x", "--limit", "-1"], '"-1" is no whole number from 1 on'),
                                 (["query", "trades", "--data", "x", "--from", "2025-01-02", "--to", "2025-01-01"], "2025-01-01 is not after --from 2025-01-02"),
                                 (["query", "candles", "--data", "x", "--interval", ""], '"" is no interval'),
                                 (["query", "candles", "--data", "x", "--instrument", ""], '"" is no instrument'),
                                 (["query", "progress", "--data", "x", "--from", "2025-01-01"], "--from"),
                                 (["import", "--data", "x", "--venue", "kraken", tt.BTC_FRAMES], '"kraken" is no known venue; known venues: binance, binance-usdm, '),
                                 (["import", "--data", "x", "--finish", tt.BTC_FRAMES], "--finish takes no files")):
            done = tt.run(*arguments, expect=2, cwd=self.scratch)
            self.assertRegex(done.stderr, r"^truetape: ")
            self.assertIn(words, done.stderr)
            self.assertEqual(list(self.scratch.iterdir()), [])

    def test_commands_that_have_commands_show_examples_of_their_own(self):
        for command in ("log", "config", "query", "control"):
            lines = re.findall(r"^  truetape (\S+)", tt.run(command, "--help"), re.M)
            self.assertTrue(lines)
            self.assertEqual(set(lines), {command})

    def test_an_empty_place_is_told_with_what_to_do(self):
        for command in (["query", "candles"], ["digest"], ["digest", "--from", "store"], ["log", "ls"], ["log", "verify"]):
            done = tt.run(*command, "--data", self.data, expect=1)
            self.assertIn("truetape import --data", done.stderr)


class Config(tt.Case):
    def test_init_writes_what_check_accepts_and_leaves_an_old_file_alone(self):
        file = self.scratch / "t.toml"
        tt.run("init", file)
        before = file.read_text()
        printed = tt.run("config", "check", "--config", file)
        self.assertIn('data = "truetape-data"', printed)
        self.assertIn("exists", tt.run("init", file, expect=1).stderr)
        self.assertEqual(file.read_text(), before)
        again = self.scratch / "effective.toml"
        again.write_text(printed)
        strip = lambda text: [line.split("  # ")[0] for line in text.splitlines()]
        self.assertEqual(strip(tt.run("config", "check", "--config", again)), strip(printed))

    def test_a_wrong_file_is_refused_with_file_line_and_key(self):
        file = self.scratch / "t.toml"
        file.write_text("data = \"x\"\n\n[log]\npartitions = 1000\n")
        self.assertEqual(tt.run("config", "check", "--config", file, expect=2).stderr,
                         f'truetape: {file}:4: log.partitions = "1000" is refused; allowed: a whole number from 1 to 256\n')

    def test_lists_are_written_with_commas_or_as_in_a_file(self):
        for value in ("1m,5m", '["1m","5m"]', '[ "1m", "5m" ]'):
            self.assertIn('intervals = ["1m", "5m"]', tt.run("config", "check", "--set", "intervals=" + value))
        for value in ('["1m"', "[1, 2]"):
            self.assertIn("intervals", tt.run("config", "check", "--set", "intervals=" + value, expect=2).stderr)

    def test_settings_that_do_not_fit_each_other_are_named_with_their_places(self):
        file = self.scratch / "t.toml"
        file.write_text('[rule]\nhold = "60s"\n\nhorizon = "1s"\n')
        self.assertEqual(tt.run("config", "check", "--config", file, expect=2).stderr,
                         f"truetape: {file}:2: rule.hold, {file}:4: rule.horizon: rule.horizon is shorter than rule.hold: it must not be\n")
        self.assertIn("--set: rule.horizon", tt.run("config", "check", "--set", "rule.horizon=1s", expect=2).stderr)

    def test_what_is_no_file_is_refused(self):
        for place in (self.scratch, self.scratch / "nothing.toml"):
            self.assertEqual(tt.run("config", "check", "--config", place, expect=2).stderr,
                             f"truetape: {place}: cannot be read; check the path and its rights\n")

    def test_later_files_override_and_the_data_directory_may_come_from_them(self):
        (self.scratch / "a.toml").write_text(f'data = "{self.data}"\nlog_level = "debug"\n')
        (self.scratch / "b.toml").write_text('log_level = "warn"\n')
        files = ["--config", self.scratch / "a.toml", "--config", self.scratch / "b.toml"]
        self.assertRegex(tt.run("config", "check", *files), r'log_level = "warn" +# .*b\.toml:1')
        tt.run("import", *files, *tt.LTC_OPTIONS, tt.LTC_CSV)
        self.assertEqual(len(tt.run("query", "trades", *files, "--limit", "3", "--format", "json").splitlines()), 3)


class Query(tt.Case):
    def setUp(self):
        super().setUp()
        self.file = self.scratch / "rows.csv"
        self.file.write_text(ROWS)
        tt.run("import", "--data", self.data, *COLUMNS, self.file)

    def test_the_public_headers(self):
        for kind, header in HEADERS.items():
            self.assertEqual(tt.run("query", kind, "--data", self.data, "--format", "csv").splitlines()[0], header)
        self.assertEqual(tt.digest(self.data, "log").splitlines()[0], "instrument,tape,kind,interval,day,rows,sha256")

    def test_open_windows_of_all_intervals_are_shown(self):
        # 23:54:13, :14, 23:55:14: the first minute is partial, the second one open, as all that hold the last trade.
        candles = tt.rows(self.data, "candles")
        open_ones = {r["interval"]: r for r in candles if r["status"] == "open"}
        self.assertEqual(sorted(open_ones), sorted(["1s", "1m", "5m", "15m", "1h", "4h", "1d"]))
        day = open_ones["1d"]
        self.assertEqual([day[c] for c in ("start", "open", "high", "low", "close", "volume", "trades", "first_id", "last_id")],
                         ["2024-08-08T00:00:00Z", "61837.63", "61839", "61837.63", "61839", "1.51", "3", "10", "12"])
        minute = tt.rows(self.data, "candles", "--interval", "1m")
        self.assertEqual([(r["start"], r["status"], r["close"]) for r in minute],
                         [("2024-08-08T23:54:00Z", "closed", "61838"), ("2024-08-08T23:55:00Z", "open", "61839")])
        self.assertEqual(minute, [r for r in candles if r["interval"] == "1m"])
        order = ["1s", "1m", "5m", "15m", "1h", "4h", "1d"]
        keys = [(order.index(r["interval"]), r["start"]) for r in candles]
        self.assertEqual(keys, sorted(keys))

    def test_selections(self):
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades")], ["10", "11", "12"])
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades", "--limit", "2")], ["10", "11"])
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades", "--from", "2024-08-08T23:54:14", "--to", "2024-08-08T23:55:14Z")], ["11"])
        self.assertEqual(tt.rows(self.data, "trades", "--instrument", "binance:ETHUSDT"), [])
        self.assertEqual(tt.rows(self.data, "trades", "--tape", "agg"), [])
        self.assertEqual([r["start"] for r in tt.rows(self.data, "candles", "--interval", "1m", "--limit", "1")], ["2024-08-08T23:54:00Z"])
        self.assertEqual([r["start"] for r in tt.rows(self.data, "candles", "--interval", "1m", "--from", "2024-08-08T23:55")], ["2024-08-08T23:55:00Z"])
        lines = tt.run("query", "trades", "--data", self.data, "--format", "json").splitlines()
        self.assertEqual(json.loads(lines[1])["price"], "61838")

    def test_names_that_are_not_there_are_told_and_intervals_that_are_not_built_refused(self):
        done = tt.run("query", "candles", "--data", self.data, "--instrument", "binance:NOPE", expect=None)
        self.assertEqual((done.returncode, done.stderr), (0, f"truetape: nothing of binance:NOPE is in {self.data}; there is binance:BTCUSDT\n"))
        done = tt.run("query", "candles", "--data", self.data, "--interval", "2m", expect=2)
        self.assertEqual(done.stderr, "truetape: --interval: no candles of 2m are built here; there are 1s, 1m, 5m, 15m, 1h, 4h, 1d\n")
        self.assertEqual(tt.run("query", "candles", "--data", self.data, "--interval", "4h", expect=None).stderr, "")

    def test_open_windows_are_rolled_up_of_the_intervals_that_are_built(self):
        data = self.scratch / "other"
        tt.run("import", "--data", data, "--set", "intervals=1m,1h", *COLUMNS, self.file)
        self.assertEqual({r["interval"] for r in tt.rows(data, "candles")}, {"1m", "1h"})

    def test_a_store_that_was_lost_is_loaded_from_the_log(self):
        before = tt.digest(self.data, "store")
        for file in self.data.glob("store.db*"):
            file.unlink()
        for command in (["query", "trades"], ["digest", "--compare"], ["digest", "--from", "store"]):
            said = tt.run(*command, "--data", self.data, expect=1).stderr
            self.assertIn(f"but the log is there; load it from the log: truetape import --data {self.data} --finish", said)
        tt.run("import", "--data", self.data, "--finish")
        self.assertEqual(tt.digest(self.data, "store"), before)
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)
        self.assertIn("truetape import --data", tt.run("import", "--data", self.scratch / "new", "--finish", expect=1).stderr)
        self.assertFalse((self.scratch / "new").exists())

    def test_a_store_that_is_behind_is_not_compared(self):
        with sqlite3.connect(self.data / "store.db") as db:
            db.execute("UPDATE positions SET next = next - 1 WHERE topic = 'trades' AND next > 0")
        said = tt.run("digest", "--data", self.data, "--compare", expect=1).stderr
        self.assertIn("the store is behind the log: 1 records are not in it yet. If truetape run or an import writes here, compare when it has ended; else run", said)
        self.assertIn(f"truetape import --data {self.data} --finish", said)
        tt.run("import", "--data", self.data, "--finish")
        self.assertIn("same content", tt.run("digest", "--data", self.data, "--compare", expect=None).stderr)

    def test_a_file_in_place_of_the_data_directory_is_told(self):
        said = tt.run("query", "trades", "--data", self.data / "store.db", expect=2).stderr
        self.assertIn(f"--data names a directory, and {self.data}/store.db is a file; the directory that it lies in is {self.data}\n", said)

    def test_looking_into_the_log(self):
        records = [json.loads(line) for line in tt.run("log", "cat", "trades", "--data", self.data).splitlines()]
        self.assertEqual([r["value"]["id"] for r in records], ["10", "11", "12"])
        raw = [json.loads(line) for line in tt.run("log", "cat", "raw", "--data", self.data).splitlines()]
        self.assertIn("history", [r["headers"]["kind"] for r in raw])
        self.assertIn("61837.63", "".join(r["value"] for r in raw))
        self.assertIn("the log is sound", tt.run("log", "verify", "--data", self.data))
        self.assertRegex(tt.run("log", "ls", "--data", self.data), r"trades +\d+ +0 +3 ")

    def test_a_flipped_byte_in_the_log_is_found(self):
        (file,) = [f for f in (self.data / "log").iterdir() if f.name == "log.mdb"]
        content = file.read_bytes()
        self.assertIn(b"61837.63", content)  # the row as it came in; a free page may have an older copy of it
        file.write_bytes(content.replace(b"61837.63", b"71837.63"))
        self.assertRegex(tt.run("log", "verify", "--data", self.data, expect=3).stdout, r"damaged: The block at offset \d+ of raw/\d")

    def test_another_logs_store_is_refused(self):
        other = self.scratch / "other"
        tt.run("import", "--data", other, *COLUMNS, self.file)
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            if (other / name).exists():
                shutil.copy(other / name, self.data / name)
            else:
                (self.data / name).unlink(missing_ok=True)
        before = tt.store_rows(self.data, "SELECT count(*) FROM trades")
        refused = tt.run("import", "--data", self.data, *COLUMNS, self.file, expect=1).stderr
        self.assertRegex(refused, "holds the rows of log .*, but this log is .*--adopt")
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM trades"), before)
        tt.run("import", "--data", self.data, "--adopt", *COLUMNS, self.file)
        self.assertEqual(tt.digest(self.data, "log"), tt.digest(self.data, "store"))

    def test_open_windows_of_a_log_that_was_adopted_stay(self):
        before = [r for r in tt.rows(self.data, "candles") if r["interval"] in ("1h", "1d")]
        self.assertEqual([(r["interval"], r["status"]) for r in before], [("1h", "open"), ("1d", "open")])
        later, file = self.scratch / "later", self.scratch / "later.csv"
        days = "".join(f"{1733161253000 + day * 86400000},61839,1,False,{20 + day}\n" for day in range(4))
        file.write_text(ROWS.splitlines()[0] + "\n" + days)  # a quarter later, and days of it have closed
        later.mkdir()
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            if (self.data / name).exists():
                shutil.copy(self.data / name, later / name)
        tt.run("import", "--data", later, "--adopt", *COLUMNS, file)
        for interval in ("1h", "1d"):
            found = tt.rows(later, "candles", "--interval", interval)
            self.assertEqual(found[0], next(r for r in before if r["interval"] == interval))
            self.assertGreater(len({r["start"] for r in found}), 4, interval)

    def test_a_second_writer_is_refused_at_once_and_readers_are_not(self):
        with open(self.data / "log/writer.lock", "r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = tt.run("import", "--data", self.data, *COLUMNS, self.file, expect=1)
            self.assertRegex(done.stderr, "is being written by process")
            self.assertEqual(len(tt.rows(self.data, "trades")), 3)
            self.assertIn("sound", tt.run("log", "verify", "--data", self.data))


class Import(tt.Case):
    def test_twice_and_in_either_order_changes_nothing(self):
        ltc = [*tt.LTC_OPTIONS, tt.LTC_CSV]
        btc = ["--venue", "binance", tt.BTC_FRAMES]
        a, b = self.scratch / "a", self.scratch / "b"
        for data, order in ((a, (ltc, btc, ltc, btc)), (b, (btc, ltc))):
            for arguments in order:
                tt.run("import", "--data", data, *arguments)
        self.assertEqual(tt.digest(a, "log"), tt.digest(b, "log"))
        self.assertIn("same content", tt.run("digest", "--data", a, "--compare", expect=None).stderr)
        for kind in ("candles", "trades", "gaps"):
            drop = ("epoch", "revision", "repaired") if kind == "candles" else ()
            strip = lambda found: [{k: v for k, v in r.items() if k not in drop} for r in found]
            self.assertEqual(strip(tt.rows(a, kind)), strip(tt.rows(b, kind)), kind)

    def test_a_venue_that_numbers_its_trades_is_not_read_without_the_numbers(self):
        file = self.scratch / "x.csv"
        file.write_text("time,price,quantity\n1723161253000,1,1\n1723161254000,2,1\n1723161255000,3,1\n1723161256000,4,1\n")
        done = tt.run("import", "--data", self.data, "--columns", "time=time,price=price,quantity=quantity", "--instrument", "binance:BTCUSDT", file, expect=2)
        self.assertIn("--columns names no id, but binance numbers its trades", done.stderr)
        self.assertFalse(self.data.exists())

    def test_a_file_of_which_nothing_is_used_is_no_success(self):
        plain = [*tt.LTC_OPTIONS[:2], *tt.LTC_OPTIONS[4:]]
        tt.run("import", "--data", self.data, *plain, tt.LTC_CSV)
        done = tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, tt.LTC_CSV, expect=1)
        self.assertIn("binance:LTCUSDT follows the tape trade, which its first import fixed", done.stdout)
        self.assertIn("nothing of it was used: 53,325 trades are of another tape", done.stderr)
        self.assertIn("53,325 duplicate", tt.run("import", "--data", self.data, *plain, tt.LTC_CSV))
        strange = self.scratch / "kucoin.frames"
        strange.write_text('1619378326000000000 {"topic":"/market/match:BTC-USDT","type":"message"}\n' * 3)
        done = tt.run("import", "--data", self.data, "--venue", "binance", strange, expect=1)
        self.assertIn(f"nothing of it could be used; truetape query quarantine --data {self.data} shows", done.stderr)
        self.assertNotIn("query candles", done.stdout)
        mixed = self.scratch / "mixed.csv"
        mixed.write_text(ROWS + "nonsense\n")
        tt.run("import", "--data", self.data, *COLUMNS, mixed)

    def test_what_was_imported_before_is_not_counted_as_this_import(self):
        file, more = self.scratch / "rows.csv", self.scratch / "more.csv"
        file.write_text(ROWS)
        more.write_text(ROWS.splitlines()[0] + "\n1723161315000,61840,1,False,13\n")
        tt.run("import", "--data", self.data, *COLUMNS, file)
        summary = tt.run("import", "--data", self.data, *COLUMNS, more)
        self.assertIn("items       binance: 1 accepted\n", summary)
        self.assertNotIn("finished", summary)

    def test_metrics_balance_and_are_those_of_the_documentation(self):
        file, metrics = self.scratch / "rows.csv", self.scratch / "truetape.prom"
        file.write_text(ROWS + "nonsense\n" + ROWS.splitlines()[1] + "\n1723161315000,61840,1,False,900000000000\n")
        tt.run("import", "--data", self.data, "--metrics", metrics, *COLUMNS, file)
        found = dict(line.rsplit(" ", 1) for line in metrics.read_text().splitlines() if not line.startswith("#"))
        of = lambda name: sum(int(v) for k, v in found.items() if k == name or k.startswith(name + "{"))
        self.assertEqual(found['truetape_items_total{venue="binance",outcome="accepted"}'], "3")
        self.assertEqual((of("truetape_items_in_total"), of("truetape_items_set_aside"), of("truetape_import_rows_total")), (6, 1, 6))
        self.assertEqual(of("truetape_items_in_total"), of("truetape_items_total") + of("truetape_items_set_aside"))
        self.assertEqual(of("truetape_role_behind_records"), 0)
        self.assertGreater(of("truetape_load_rows_total"), 3)
        documented = set(re.findall(r"^\| `(truetape_\w+)` \|", (tt.ROOT / "docs/metrics.md").read_text(), re.M))
        in_code = {name for folder in ("roles", "serve", "batch", "app")  # no other knows metrics
                   for source in (tt.ROOT / "src" / folder).rglob("*.cc") if not source.name.endswith("_test.cc")
                   for name in re.findall(r'"(truetape_[a-z_]+)"', source.read_text())}
        self.assertEqual(documented, in_code)
        self.assertLessEqual({re.sub("_(bucket|sum|count)$", "", key.split("{")[0]) for key in found}, documented)
        said = tt.run("import", "--data", self.data, "--metrics", self.scratch / "none" / "x", *COLUMNS, file, expect=1).stderr
        self.assertIn("cannot be written; name a file in a directory that is there", said)

    def test_the_summary_names_what_is_set_aside_and_what_is_subset(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS + "1723161315000,61840,1,False,900000000000\n")
        said = tt.run("import", "--data", self.data, *COLUMNS, file)
        self.assertIn("3 accepted, 1 set aside\n", said)
        self.assertIn("set aside   binance:BTCUSDT id 900000000000 of 2024-08-08T23:55:15Z: far beyond the newest id; it becomes a trade once the ids "
                      "after it come, and goes to quarantine if others do\n", said)
        other = self.scratch / "other.csv"
        other.write_text(ROWS.splitlines()[0] + "\n1723161253000,61000,0.01,True,10\n1723161254000,61838,0.5,False,11\n")
        said = tt.run("import", "--data", self.data, *COLUMNS, other)
        self.assertIn("items       binance: 1 contradictory, 1 duplicate\n            1 contradict a trade of the same id that came before, which stays", said)
        self.assertIn("id 900000000000", said)  # it still waits

    def test_a_late_trade_is_told_with_what_to_do(self):
        file, late = self.scratch / "rows.csv", self.scratch / "late.csv"
        head = ROWS.splitlines()[0]
        row = lambda second, id: f"{1723161253000 + second * 1000},61837,1,True,{id}\n"
        # Ids without a hole seal the windows a minute behind and before their ends; then a lower id comes for one of these.
        file.write_text(head + "\n" + "".join(row(i, 100 + i) for i in range(400)))
        self.assertNotIn("late", tt.run("import", "--data", self.data, *COLUMNS, file))
        late.write_text(head + "\n" + row(200, 50))
        said = tt.run("import", "--data", self.data, *COLUMNS, late)
        self.assertIn("items       binance: 1 accepted\n            1 of the accepted came late: their windows were sealed", said)
        self.assertIn(f"truetape log cat late --data {self.data} names the windows", said)
        windows = [json.loads(line) for line in tt.run("log", "cat", "late", "--data", self.data).splitlines()]
        self.assertIn("1s", {w["key"].split(":")[3] for w in windows})

    def test_intervals_of_a_data_directory_stay(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, "--set", "intervals=1m,1h", *COLUMNS, file)
        before = tt.run("log", "ls", "--data", self.data)
        said = tt.run("import", "--data", self.data, *COLUMNS, file, expect=1).stderr
        self.assertIn("are of the intervals 1m,1h since its first import, and cannot become 1s,1m,5m,15m,1h,4h,1d; "
                      "go on with --set intervals=1m,1h, or import into a fresh data directory", said)
        self.assertEqual(tt.run("log", "ls", "--data", self.data), before)
        tt.run("import", "--data", self.data, "--set", "intervals=1m,1h", *COLUMNS, file)

    def test_nothing_is_made_for_a_command_that_cannot_work(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        for arguments, code in ((["--venue", "binance", self.scratch / "none.frames"], 1), ([tt.BTC_FRAMES], 2),
                                ([*COLUMNS[:2], "--instrument", "binance:BTC/USDT!!", file], 2),
                                (["--venue", "binance", "--instrument", "binance:BTCUSDT", tt.BTC_FRAMES], 2)):
            self.assertRegex(tt.run("import", "--data", self.data, *arguments, expect=code).stderr, "^truetape: ")
            self.assertFalse(self.data.exists(), arguments)

    def test_a_declaration_without_effect_is_told(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        wrong = tt.run("import", "--data", self.data, "--covers", "2030-01-01..2030-01-02", *COLUMNS, file)
        self.assertIn("WARNING     --covers 2030-01-01T00:00:00Z..2030-01-02T00:00:00Z holds no trade of binance:BTCUSDT", wrong)
        self.assertNotIn("WARNING", tt.run("import", "--data", self.data, "--covers", "2024-08-08..2024-08-09", *COLUMNS, file))

    def test_each_import_of_a_row_without_id_is_in_quarantine_and_nothing_else_changes(self):
        file = self.scratch / "bad.csv"
        # A row whose id can be read is held, and known the next time; one without is bad again.
        file.write_text(ROWS + "1723161315000,0,1,False,13\nnonsense\n1723161316000,61840,1,False,14\n")
        kinds = ("candles", "trades", "gaps")
        tt.run("import", "--data", self.data, *COLUMNS, file)
        before = [tt.rows(self.data, kind) for kind in kinds]
        tt.run("import", "--data", self.data, *COLUMNS, file)
        self.assertEqual([tt.rows(self.data, kind) for kind in kinds], before)
        found = tt.rows(self.data, "quarantine")
        self.assertEqual([r["raw"] for r in found], ["1723161315000,0,1,False,13", "nonsense", "nonsense"])
        self.assertEqual(len({(r["partition"], r["offset"]) for r in found}), 2)

    def test_a_packed_file_that_breaks_off_keeps_what_was_read_and_says_how_much(self):
        cut = self.scratch / "cut.csv.zst"
        cut.write_bytes(tt.LTC_CSV.read_bytes()[:200_000])
        said = tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, cut, expect=1).stderr
        rows = re.search(r"cut\.csv\.zst is damaged or no file that can be unpacked: .*; the ([0-9,]+) rows before that are read and stay$", said.strip())
        self.assertTrue(rows, said)
        self.assertEqual(len(tt.rows(self.data, "trades")), int(rows[1].replace(",", "")))

    def test_next_can_be_copied_into_a_shell(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        data = self.scratch / "it's mine"
        line = re.search(r"^next +(.*)$", tt.run("import", "--data", data, *COLUMNS, file), re.M)[1]
        shown = subprocess.run(line.replace("truetape", f"'{tt.BINARY}'", 1), shell=True, capture_output=True, text=True)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("binance:BTCUSDT", shown.stdout)

    def test_gaps_are_found_by_any_part_of_them(self):
        tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, tt.LTC_CSV)
        largest = max(tt.rows(self.data, "gaps"), key=lambda g: int(g["missing"]))
        self.assertEqual((largest["from"][:19], largest["to"][:19], largest["missing"]), ("2025-06-21T18:19:14", "2025-06-21T18:20:42", "117"))
        self.assertEqual(tt.rows(self.data, "gaps", "--from", "2025-06-21T18:20", "--to", "2025-06-21T18:20:30"), [largest])

    def test_the_open_day_is_partial_as_it_will_be_when_it_closes(self):
        tt.run("import", "--data", self.data, *tt.LTC_OPTIONS, tt.LTC_CSV)
        (day,) = tt.rows(self.data, "candles", "--interval", "1d")
        self.assertEqual((day["status"], day["completeness"], day["missing"]), ("open", "partial", ""))
        # With a declaration that begins inside of the day no second or minute is partial, and the day is all the same.
        data = self.scratch / "declared"
        tt.run("import", "--data", data, "--covers", "2025-06-21T12:00..2025-06-21T20:00", *tt.LTC_OPTIONS, tt.LTC_CSV)
        self.assertEqual([r["interval"] for r in tt.rows(data, "candles") if r["completeness"] == "partial"], ["1d"])
        (day,) = tt.rows(data, "candles", "--interval", "1d")
        self.assertEqual((day["status"], day["completeness"], day["missing"]), ("open", "partial", ""))

    def test_bad_rows_wait_in_quarantine_with_place_and_bytes_and_stop_nothing(self):
        bad = self.scratch / "bad.csv"
        bad.write_bytes(ROWS.encode() + b"1723161315000,0,1,False,13\n1723161316000,1e300,1,False,14\n17231613,61839,1,False,15\nnonsense\n"
                        b"1723161317000,61839,NaN,False,16\n1723161318000,\xff\xfe,1,False,17\n1723161319000,61840,1,False,18\n")
        summary = tt.run("import", "--data", self.data, *COLUMNS, bad)
        self.assertIn("4 accepted", summary)
        found = tt.rows(self.data, "quarantine")
        self.assertEqual(len(found), 6)
        self.assertTrue(all(r["reason"] and "row " in r["detail"] for r in found), found)
        self.assertEqual([r["raw"] for r in found][:2], ["1723161315000,0,1,False,13", "1723161316000,1e300,1,False,14"])
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades")], ["10", "11", "12", "18"])

    def test_the_same_again_leaves_every_row_as_it_was_to_the_byte(self):
        covers = ["--covers", "2025-06-21..2025-06-22"]
        for name, arguments, times in (("twice", [*tt.LTC_OPTIONS, tt.LTC_CSV], 2), ("declared", [*covers, *tt.LTC_OPTIONS, tt.LTC_CSV], 3)):
            data = self.scratch / name
            said = []
            for _ in range(times):
                tt.run("import", "--data", data, *arguments)
                said.append({kind: tt.run("query", kind, "--data", data, "--format", "csv") for kind in ("candles", "gaps", "trades")}
                            | {place: tt.digest(data, place) for place in ("log", "store")})
            for kind, text in said[0].items():
                self.assertGreater(len(text.splitlines()), 2, kind)
                self.assertTrue(all(again[kind] == text for again in said), f"{name}: {kind} changed")

    def quarantined(self, file, bad, *options):
        """Imports `file`, in which `bad` ([reason, words of the detail, bytes]) stand between good items; each of them must be told."""
        tt.run("import", "--data", self.data, *options, file)
        found = tt.rows(self.data, "quarantine")
        told = {r["raw"].rstrip("\n"): r for r in found}
        for reason, detail, raw in bad:
            row = told.get(raw.decode(errors="replace"))
            self.assertIsNotNone(row, f"{raw[:80]} is not in quarantine; {list(told)}")
            self.assertEqual(row["reason"], reason, raw)
            self.assertIn(detail, row["detail"], raw)
        self.assertEqual(len(found), len(bad), found)

    def test_each_kind_of_bad_row_has_its_reason_its_place_and_what_is_needed(self):
        t = 1723161255000
        bad = [
            ["price", 'row 4, column 2 (price): "0" is no price above 0', b"%d,0,1,False,12" % t],
            ["price", 'row 5, column 2 (price): "-1" is no price above 0', b"%d,-1,1,False,13" % t],
            ["decimal_range", "does not fit 63 bits", b"%d,1e300,1,False,14" % t],
            ["decimal_syntax", '"NaN" is no decimal number', b"%d,NaN,1,False,15" % t],
            ["quantity", '"-1" is no quantity above 0', b"%d,100,-1,False,16" % t],
            ["decimal_range", "does not fit 63 bits", b"%d,%s,1,False,17" % (t, b"1" * 40)],
            ["decimal_range", "has more than 18 decimals", b"%d,1.%s,1,False,18" % (t, b"1" * 40)],
            ["id_range", "is no id from 0 to 2^63 - 1", b"%d,100,1,False,%s" % (t, b"1" * 40)],
            ["id_range", '"-5" is no id from 0 to 2^63 - 1', b"%d,100,1,False,-5" % t],
            ["time_unit", '"1723161255" has the digits of a time in s, needed is ms or us', b"1723161255,100,1,False,19"],
            ["time_unit", "has the digits of a time in ns, needed is ms or us", b"1723161255000000000,100,1,False,20"],
            ["future", "event time 2100-08-28T18:34:15Z is beyond the receive time", b"4123161255000,100,1,False,21"],
            ["missing_field", "the row has 2 cells, 5 are needed", b"1723161255000,102"],
            ["missing_field", '(price): "" is no decimal number', b"%d,,1,False,22" % t],
            ["encoding", "row 18: the row is not UTF-8", b"%d,\xff\xfe,1,False,23" % t],
            ["side", '"maybe" is none of true, false, 1, 0', b"%d,100,1,maybe,24" % t],
            ["syntax", "cannot be split into cells", b'"%d,100,1,False,25' % t],
            ["id_jump", "is too far beyond the newest", b"%d,100,1,False,9000000000000000000" % t],
            ["era", "id 1 is old but its time is new", b"%d,100,1,False,1" % (t + 100_000)],
        ]
        file = self.scratch / "bad.csv"
        good = b"time,price,quantity,buyer_is_maker,id\n%d,100,1,False,10\n%d,100,1,False,11\n" % (t - 2000, t - 1000)
        file.write_bytes(good + b"\n".join(raw for _, _, raw in bad) + b"\n%d,100,1,False,26\n" % (t + 100_001))
        self.quarantined(file, bad, *COLUMNS)
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades")], ["10", "11", "26"])

    def test_each_kind_of_bad_frame_has_its_reason_its_place_and_what_is_needed(self):
        t = 1723161255000
        frame = lambda n, time=t, price='"100"', more="": (
            '{"e":"trade","E":%d,"s":"BTCUSDT","t":%s,"p":%s,"q":"1","T":%d,"m":true,"M":true%s}' % (time, n, price, time, more)).encode()
        bad = [
            ["syntax", "at byte 14 the JSON has no key where one is needed", b'{"e":"trade", nonsense}'],
            ["syntax", "the JSON ends inside a text", frame(12)[:60]],
            ["encoding", "the JSON is not UTF-8", frame(13).replace(b"100", b"\xff\xfe")],
            ["duplicate_key", 'the JSON has the key "p" twice', frame(14, more=',"p":"5"')],
            ["price", "$.p is 0, a price above 0 is needed", frame(15, price='"0"')],
            ["price", "$.p is -1, a price above 0 is needed", frame(16, price='"-1"')],
            ["decimal_range", '$.p is "1e300"', frame(17, price='"1e300"')],
            ["decimal_syntax", '$.p is "NaN", which is no decimal number', frame(18, price='"NaN"')],
            ["decimal_range", "does not fit 63 bits", frame(19, price='"%s"' % ("1" * 40))],
            ["wrong_type", "$.p is a number with a point or exponent, a text is needed", frame(20, price="100.5")],
            ["id_range", "an id from 0 to 2^63 - 1 is needed", frame("9" * 40)],
            ["wrong_type", "$.t is a text, an integer is needed", frame('"21"')],
            ["time_unit", "$.T is 1723161255, which has the digits of seconds; ms or us are needed", frame(22, t // 1000)],
            ["time_unit", "which has the digits of nanoseconds; ms or us are needed", frame(23, t * 1_000_000)],
            ["future", "is beyond the receive time", frame(24, t + 200_000_000_000)],
            ["missing_field", "$.m is missing", frame(25).replace(b',"m":true', b"")],
            ["syntax", "nested deeper than 64 levels", b"[" * 100_000],
            ["unroutable", '$.s is "", which is no symbol', frame(26).replace(b"BTCUSDT", b"")],
        ]
        file = self.scratch / "bad.frames"
        line = lambda raw: b"%d %s\n" % ((t + 1000) * 1_000_000, raw)
        file.write_bytes(line(frame(10)) + line(frame(11)) + b"".join(line(raw) for _, _, raw in bad) + line(frame(27)))
        self.quarantined(file, bad, "--venue", "binance")
        self.assertEqual([r["id"] for r in tt.rows(self.data, "trades")], ["10", "11", "27"])

    def test_an_oversized_frame_or_row_keeps_its_beginning(self):
        for name, options, big in (("x.csv", COLUMNS, b"1723161315000,61838,1,False," + b"9" * 2_000_000),
                                   ("x.frames", ["--venue", "binance"], b'1723161315000000000 {"e":"trade","x":"' + b"a" * 2_000_000 + b'"}')):
            data = self.scratch / ("data-" + name)
            file = self.scratch / name
            file.write_bytes((ROWS.encode() if name == "x.csv" else b"") + big + b"\n")
            # Of the frames there is no other, so nothing of the file is of use.
            summary = tt.run("import", "--data", data, *options, file, expect=None).stdout
            self.assertIn("1 of them too long and cut: they are in quarantine", summary)
            (row,) = [json.loads(line) for line in tt.run("query", "quarantine", "--data", data, "--format", "json").splitlines()]
            self.assertEqual(row["reason"], "too_large")
            self.assertRegex(row["detail"], "it had 20000[0-9]{2} bytes|more than 64 KB")
            self.assertGreater(len(row["raw"]), 60_000)
            self.assertIn(row["raw"].strip(), big.decode())

    def test_other_versions_of_the_store_are_told_and_an_older_one_is_migrated(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, *COLUMNS, file)
        with sqlite3.connect(self.data / "store.db") as db:
            db.execute("PRAGMA user_version = 99")
        for arguments in (["query", "trades", "--data", self.data], ["import", "--data", self.data, *COLUMNS, file]):
            self.assertRegex(tt.run(*arguments, expect=1).stderr, r"store\.db has schema version 99, newer than this program's \d+; use a newer truetape")
        with sqlite3.connect(self.data / "store.db") as db:
            for step in ("DROP VIEW quotes_view", "DROP TABLE quotes", "DROP VIEW news_counts_view", "DROP TABLE news_counts", "DROP VIEW news_view", "DROP TABLE news", "DROP TABLE news_related", "DROP VIEW quarantine_view",
                         "ALTER TABLE quarantine DROP COLUMN attempts", "ALTER TABLE quarantine DROP COLUMN resolution",
                         "DROP TABLE missing_records", "DROP INDEX quarantine_by_instrument", "PRAGMA user_version = 1"):
                db.execute(step)
        self.assertRegex(tt.run("query", "trades", "--data", self.data, expect=1).stderr, "version 1, older than .*; truetape import --data DIR --finish migrates it")
        tt.run("import", "--data", self.data, *COLUMNS, file)
        self.assertEqual(len(tt.rows(self.data, "trades")), 3)

    def test_a_damaged_store_or_log_is_one_sentence(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, *COLUMNS, file)
        for place, words in (("store.db", f"no truetape store; move it away, then truetape import --data {self.data.resolve()} --finish loads all anew"),
                             ("log/log.mdb", "restore it from a copy, or move it away to begin a new log")):
            before = (self.data / place).read_bytes()
            (self.data / place).write_bytes(b"garbage")
            logged = (self.data / "log/log.mdb").read_bytes()
            said = tt.run("import", "--data", self.data, *COLUMNS, file, expect=1).stderr
            self.assertIn(words, said)
            self.assertNotIn("goes on from there", said)  # it would not
            if place == "store.db":
                self.assertNotIn(ROWS.encode(), (self.data / "log/log.mdb").read_bytes()[len(logged):])
            (self.data / place).write_bytes(before)

    @unittest.skipIf(os.geteuid() == 0 and not shutil.which("setpriv"), "SKIPPED: root has all rights and setpriv is not there")
    def test_a_place_without_rights_is_one_sentence(self):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, *COLUMNS, file)
        self.scratch.chmod(0o555)
        self.addCleanup(self.scratch.chmod, 0o755)
        for path in [self.data, *self.data.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        for arguments, words in ((["import", "--data", self.scratch / "new", *COLUMNS, file], "cannot be made: Permission denied; check the path and its rights"),
                                 (["import", "--data", self.data, *COLUMNS, file], "run as its owner or change its rights")):
            done = subprocess.run([*nobody, tt.BINARY, *map(str, arguments)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)

    def test_sentences_for_what_cannot_be_imported(self):
        missing = tt.run("import", "--data", self.data, "--venue", "binance", self.scratch / "no.frames", expect=1)
        self.assertIn("no.frames", missing.stderr)
        frames = tt.run("import", "--data", self.data, tt.BTC_FRAMES, expect=2)
        self.assertIn("--venue", frames.stderr)
        plain = self.scratch / "x.csv"
        plain.write_text(ROWS)
        self.assertIn("--instrument", tt.run("import", "--data", self.data, *COLUMNS[:2], plain, expect=2).stderr)
        blocked = tt.run("import", "--data", plain / "below", *COLUMNS, plain, expect=1)
        self.assertIn("cannot be made", blocked.stderr)

    def test_partitions_are_fixed_when_the_log_is_made(self):
        file = self.scratch / "rows.csv"
        file.write_text(ROWS)
        tt.run("import", "--data", self.data, "--set", "log.partitions=3", *COLUMNS, file)
        self.assertIn(", 3 partitions", tt.run("log", "ls", "--data", self.data))
        tt.run("import", "--data", self.data, *COLUMNS, file)
        self.assertIn("3", tt.run("import", "--data", self.data, "--set", "log.partitions=4", *COLUMNS, file, expect=1).stderr)


if __name__ == "__main__":
    tt.main()
