#!/usr/bin/env python3
"""What waits in quarantine is judged again once the rule is mended, or given up; also beside a process that runs."""
import json
import shutil
import time
import unittest
import urllib.error
import urllib.request

import tt
from beside_test import Case, PATIENCE
from cli_test import COLUMNS

BUGGY = ["--set", "rule.folded_kinds=RPI"]  # trades without a kind make no candles any more: all of them are held
MENDED = ["--set", "rule.folded_kinds=-,MARKET,RPI"]


class Quarantine(Case):
    def setUp(self):
        super().setUp()
        # A thousand trades and more over some minutes; of three at once the order of their ids counts.
        file = self.scratch / "trades.csv"
        file.write_text("time,price,quantity,buyer_is_maker,id\n" + "".join(
            f"{1723161253000 + i // 3 * 700},{61800 + i * 7 % 50}.{i % 100:02},0.{1 + i % 90:02},{i % 2 == 0},{1000 + i}\n" for i in range(1200)))
        self.trades = [*COLUMNS, file]

    def work(self, *arguments, expect=0):
        return tt.run("quarantine", *arguments, expect=expect)

    def waits(self):
        return self.work("ls", "--data", self.data).splitlines()

    def until(self, done):
        until = time.monotonic() + PATIENCE
        while not done():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def imported(self):
        """A thousand good trades and more, all held by a rule with a bug; how many."""
        tt.run("import", "--data", self.data, *BUGGY, *self.trades, expect=None)
        held = len(self.waits())
        self.assertGreaterEqual(held, 1000)
        self.assertEqual(tt.rows(self.data, "trades"), [])
        return held

    def test_a_thousand_good_trades_come_out_as_if_the_bug_had_never_been(self):
        held = self.imported()
        said = self.work("replay", "--data", self.data, "--rule", "kind")
        self.assertIn("nobody runs here now", said)
        self.assertEqual(len(self.waits()), held, "nobody has judged them yet")
        tt.run("import", "--data", self.data, "--finish", *MENDED)
        self.assertEqual(self.waits(), [])
        self.assertEqual(tt.digest(self.data, "log"), self.alone(self.trades))
        self.assertEqual(tt.digest(self.data, "store"), tt.digest(self.data, "log"))
        tt.run("audit", "--data", self.data)
        self.assertEqual(len(tt.rows(self.data, "trades")), held)

    def test_beside_a_process_that_runs(self):
        held = self.imported()
        holder = self.hold(*MENDED[1::2])
        self.assertIn("the process that runs judges them", self.work("replay", "--data", self.data, "--all"))
        self.until(lambda: not self.waits())
        holder.end()
        self.assertEqual(tt.digest(self.data, "log"), self.alone(self.trades))
        self.assertEqual(len(tt.rows(self.data, "trades")), held)
        tt.run("audit", "--data", self.data)

    def test_a_rule_is_mended_while_it_runs(self):
        held = self.imported()
        holder = self.hold(*BUGGY[1::2])
        said = tt.run("rules", "set", "--data", self.data, *BUGGY, MENDED[1])
        self.assertEqual(said, "rules of version 2 are in force for what comes from now on\n")
        refused = tt.run("quarantine", "replay", "--data", self.data, "--rule", "off_tick", expect=2)
        self.assertIn('"off_tick" puts nothing into quarantine', refused.stderr)
        self.work("replay", "--data", self.data, "--rule", "kind")
        self.until(lambda: not self.waits())
        self.assertRegex(tt.run("rules", "ls", "--data", self.data, *BUGGY), r"rule\.folded_kinds +-,MARKET,RPI  \(set in the log\)")
        holder.end()
        self.assertEqual(tt.digest(self.data, "log"), self.alone(self.trades))
        self.assertEqual(len(tt.rows(self.data, "trades")), held)
        # It outlives the process, and narrower rules go the same way.
        tt.run("rules", "set", "--data", self.data, *BUGGY, "rule.off_tick@binance:BTCUSDT=quarantine")
        again = tt.run("rules", "set", "--data", self.data, *BUGGY, "rule.off_tick@binance:BTCUSDT=quarantine")
        self.assertEqual(again, "rules of version 3 are in force for what comes from now on, as they were; nobody runs here now\n")
        listed = tt.run("rules", "ls", "--data", self.data, *BUGGY)
        self.assertRegex(listed, r"rule\.version +3  ")
        self.assertRegex(listed, r"rule\.off_tick@binance:BTCUSDT +quarantine  ")
        # What nobody said is of the configuration: the next process judges by what is listed for it.
        listed = tt.run("rules", "ls", "--data", self.data, "--set", "rule.crossed=quarantine")
        self.assertRegex(listed, r"rule\.crossed +quarantine\n")
        self.assertRegex(listed, r"rule\.folded_kinds +-,MARKET,RPI  \(set in the log\)")
        for wrong in ("rule.off_tick@binance:BTCUSDT=shout", "rule.no_such=1", "intervals=1m", "rule.off_tick",
                      "rule.off_tick@binanc=mark", "rule.off_tick@binance:btcusdt=mark", "rule.off_tick@binance:*=mark"):
            self.assertEqual(tt.run("rules", "set", "--data", self.data, wrong, expect=2).returncode, 2, wrong)
        # The greatest version that there is does not become 0.
        last = "rule.version=4294967295"
        tt.run("rules", "set", "--data", self.data, *BUGGY, last)
        refused = tt.run("rules", "set", "--data", self.data, *BUGGY, "rule.crossed=accept", expect=2)
        self.assertIn("rule.version is 4294967295 and cannot rise: say it too, rule.version=4294967295", refused.stderr)
        said = tt.run("rules", "set", "--data", self.data, *BUGGY, "rule.crossed=accept", last)
        self.assertIn("rules of version 4294967295 are in force", said)

    def test_rules_are_those_of_the_process_that_runs(self):
        file = self.scratch / "market.toml"
        file.write_text('rule.off_tick = "quarantine"\nrule.version = 7\n')

        def listed(*settings):
            return dict(line.split()[:2] for line in tt.run("rules", "ls", "--data", self.data, *settings).splitlines())
        holder = self.hold(arguments=["--config", str(file)])
        self.assertEqual([listed()[name] for name in ("rule.off_tick", "rule.version")], ["quarantine", "7"])
        self.assertEqual(tt.run("rules", "set", "--data", self.data, "rule.crossed=quarantine"), "rules of version 8 are in force for what comes from now on\n")
        refused = tt.run("rules", "set", "--data", self.data, "rule.version=6", expect=2)
        self.assertIn("rule.version is 8 and only rises", refused.stderr)
        holder.end()
        self.assertEqual([listed()[name] for name in ("rule.off_tick", "rule.crossed", "rule.version")], ["quarantine", "quarantine", "8"])
        self.hold().end()  # by the defaults, and what was set
        self.assertEqual([listed()[name] for name in ("rule.off_tick", "rule.crossed", "rule.version")], ["mark", "quarantine", "8"])

    def test_over_rest(self):
        self.imported()
        holder = self.hold(*MENDED[1::2], "serve.control_token=change-0123456789", "serve.read_token=look-0123456789ab")
        base = holder.address

        def call(path, body=None, token="change-0123456789"):
            request = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(),
                                             {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            call("/api/v1/quarantine/replay", {"all": True}, token="look-0123456789ab")
        self.assertEqual(refused.exception.code, 403)
        rows = call("/api/v1/quarantine?reason=unknown_kind&limit=3")[1]["rows"]
        self.assertEqual(len(rows), 3)
        places = [f"{row['partition']}/{row['offset']}/{row['ordinal']}" for row in rows]
        self.assertEqual(call("/api/v1/quarantine/drop", {"items": places[:1]}), (202, {"sent": 1, "unusable": 0, "more": False}))
        status, sent = call("/api/v1/quarantine/replay", {"rule": "kind"})
        self.assertEqual((status, sent["unusable"]), (202, 0))
        self.until(lambda: not call("/api/v1/quarantine")[1]["rows"])
        metrics = urllib.request.urlopen(urllib.request.Request(base + "/metrics", headers={"Authorization": "Bearer look-0123456789ab"})).read().decode()
        self.assertIn('truetape_quarantine_worked_total{venue="binance",outcome="dropped"} 1\n', metrics)
        self.assertIn('truetape_load_contradictions_total{store="sqlite"} 0\n', metrics)
        holder.end()
        tt.run("audit", "--data", self.data)

    def test_what_is_still_bad_stays_once(self):
        held = self.imported()
        self.work("replay", "--data", self.data, "--all")
        tt.run("import", "--data", self.data, "--finish", *BUGGY, expect=None)
        lines = self.waits()
        self.assertEqual(len(lines), held)
        self.assertTrue(all(", judged 2 times" in line for line in lines), lines[:3])
        self.assertEqual(len({line.split()[0] for line in lines}), held, "each at its own place")
        tt.run("audit", "--data", self.data)
        # Given up: nothing waits, and nothing was accepted.
        self.work("drop", "--data", self.data, "--reason", "unknown_kind")
        tt.run("import", "--data", self.data, "--finish", *BUGGY, expect=None)
        self.assertEqual(self.waits(), [])
        self.assertEqual(tt.rows(self.data, "trades"), [])
        tt.run("audit", "--data", self.data)

    def test_what_another_log_left_is_not_taken_for_this_ones(self):
        """A store that a new log has adopted: places of both logs begin at the same numbers."""
        self.imported()
        before = {line.split()[0] for line in self.waits()}
        shutil.rmtree(self.data / "log")
        file = self.scratch / "few.csv"
        file.write_text("time,price,quantity,buyer_is_maker,id\n" + "".join(f"{1723161253000 + i},61800,1,true,{5000 + i}\n" for i in range(3)))
        tt.run("import", "--data", self.data, "--adopt", *BUGGY, *COLUMNS, file, expect=None)
        self.assertGreaterEqual(len(tt.rows(self.data, "quarantine")), len(before) + 3)
        here = {line.split()[0] for line in self.waits()}
        self.assertEqual(len(here), 3, tt.rows(self.data, "quarantine")[:8])
        both = sorted(here & before)
        self.assertTrue(both, "else nothing can be confused")
        shown = self.work("show", "--data", self.data, "--id", both[0])
        self.assertEqual(shown.count("place "), 1)
        self.assertRegex(shown, r"id +500\d\n")
        gone = next(iter(before - here))
        self.assertEqual(self.work("show", "--data", self.data, "--id", gone, expect=1).returncode, 1)
        holder = self.hold(*BUGGY[1::2])
        with urllib.request.urlopen(holder.address + "/api/v1/quarantine?limit=1000", timeout=PATIENCE) as answer:
            rows = json.load(answer)["rows"]
        self.assertEqual({f"{row['partition']}/{row['offset']}/{row['ordinal']}" for row in rows}, here)
        holder.end()

    def test_bytes_of_strangers_do_nothing_to_a_terminal(self):
        file = self.scratch / "hostile.csv"
        hostile = b"1723161253000,61800\x1b[2J\0after,\x9b,true,7\xe2\x80\xae8\xc2\x9b\xff\n"
        file.write_bytes(b"time,price,quantity,buyer_is_maker,id\n" + hostile)
        tt.run("import", "--data", self.data, *COLUMNS, file, expect=None)
        listed, shown = self.work("ls", "--data", self.data), self.work("show", "--data", self.data)
        for text in (listed, shown):
            self.assertEqual([c for c in text if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 or c == "\u202e"], [], text)
        self.assertEqual(len(listed.splitlines()), 1)
        self.assertIn("bytes       1723161253000,61800\\x1b[2J\\x00after,\ufffd,true,7\\u202e8\\u009b\ufffd\n", shown)

    def test_one_item_is_shown_and_chosen(self):
        self.imported()
        place = self.waits()[7].split()[0]
        shown = self.work("show", "--data", self.data, "--id", place)
        self.assertIn(f"place       {place}\n", shown)
        self.assertIn("reason      unknown_kind\n", shown)
        self.assertIn("header      kind=history\n", shown)
        self.assertIn("1 item sent again", self.work("replay", "--data", self.data, "--id", place))
        self.assertEqual(self.work("show", "--data", self.data, "--id", "0/999999", expect=1).returncode, 1)
        for wrong in (["replay"], ["replay", "--all", "--reason", "rule"], ["drop", "--reason", "nonsense"], ["drop", "--id", "x"]):
            self.assertEqual(self.work(wrong[0], "--data", self.data, *wrong[1:], expect=2).returncode, 2, wrong)


if __name__ == "__main__":
    tt.main()
