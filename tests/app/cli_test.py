#!/usr/bin/env python3
"""The command line as users and scripts meet it: help, exit codes, public headers, sentences for bad input."""
import fcntl
import json
import re
import shutil

import tt

HEADERS = {
    "candles": "instrument,tape,interval,start,open,high,low,close,volume,quote_volume,trades,taker_buy_volume,taker_buy_quote_volume,"
               "vwap,first_id,last_id,first_time,last_time,status,completeness,proof,repaired,missing,held,epoch,revision",
    "trades": "instrument,tape,era,id,first_id,last_id,event_time,receive_time,price,quantity,taker_side,kind,marks",
    "gaps": "instrument,tape,era,first_id,last_id,from,to,state,reason",
    "quarantine": "instrument,partition,offset,receive_time,id,reason,detail,rule,rule_version,raw",
    "progress": "instrument,tape,frontier,closed_until,proven_until,sealed_until",
}
ROWS = "time,price,quantity,buyer_is_maker,id\n1723161253000,61837.63,0.01,True,10\n1723161254000,61838,0.5,False,11\n1723161314000,61839,1,False,12\n"
COLUMNS = ["--columns", "time=time,price=price,quantity=quantity,buyer_is_maker=buyer_is_maker,id=id", "--instrument", "binance:BTCUSDT"]


class Help(tt.Case):
    COMMANDS = [[], ["import"], ["query"], ["digest"], ["log", "ls"], ["log", "cat"], ["log", "verify"], ["config", "check"], ["init"]]

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
                level = names[:2] if names[0] in ("query", "log", "config") and len(names) > 1 else names[:1]
                known = tt.run(*level, "--help")
                for option in (w for w in words if w.startswith("--")):
                    self.assertIn(option, known, line)

    def test_version(self):
        self.assertRegex(tt.run("--version"), r"^truetape \d+\.\d+\.\d+\n$")


class Usage(tt.Case):
    def test_what_is_wrong_with_the_command_line_is_exit_code_2(self):
        for arguments in ([], ["nothing"], ["import", "--data", self.data], ["query", "candles", "--data", self.data, "--interval", "7x"],
                          ["query", "candles", "--data", self.data, "--from", "yesterday"], ["query", "trades", "--data", self.data, "--tape", "x"],
                          ["query", "candles", "--data", self.data, "--format", "xml"], ["query", "candles"],
                          ["import", "--data", self.data, "--covers", "2019..2018", tt.LTC_CSV], ["digest", "--data", self.data, "--from", "here"],
                          ["query", "candles", "--data", self.data, "--limit", "-1"], ["query", "gaps", "--set", "x=1", "--data", self.data]):
            done = tt.run(*arguments, expect=2)
            self.assertTrue(done.stderr.strip(), arguments)
            self.assertFalse(self.data.exists(), arguments)

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
        content = bytearray(file.read_bytes())
        at = content.find(b"61837.63")  # the row as it came in
        self.assertGreater(at, 0)
        content[at] ^= 1
        file.write_bytes(content)
        self.assertIn("damaged: The block at offset 0 of raw/", tt.run("log", "verify", "--data", self.data, expect=3).stdout)

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

    def test_sentences_for_what_cannot_be_imported(self):
        missing = tt.run("import", "--data", self.data, "--venue", "binance", self.scratch / "no.frames", expect=1)
        self.assertIn("no.frames", missing.stderr)
        frames = tt.run("import", "--data", self.data, tt.BTC_FRAMES, expect=1)
        self.assertIn("--venue", frames.stderr)
        plain = self.scratch / "x.csv"
        plain.write_text(ROWS)
        self.assertIn("--instrument", tt.run("import", "--data", self.data, *COLUMNS[:2], plain, expect=1).stderr)
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
