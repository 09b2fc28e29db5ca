"""truetape explain: one candle's life, told by the real binary of what the real heart made."""
import json

import tt

COLUMNS = ["--instrument", "binance:XYZUSDT", "--tape", "trade", "--columns", "time=time,price=price,quantity=qty,side=side,id=id"]


class Explain(tt.Case):
    def file(self, name, rows):
        path = self.scratch / name
        path.write_text("id,price,qty,side,time\n" + "".join(f"{i},{p},1,buy,{t}\n" for i, t, p in rows))
        return path

    def load(self, name, rows, *more):
        tt.run("import", "--data", self.data, *COLUMNS, *more, self.file(name, rows))

    def told(self, start, interval="1m", instrument="binance:XYZUSDT"):
        return json.loads(tt.run("explain", "--data", self.data, instrument, interval, start, "--format", "json"))

    def test_a_gap_and_the_file_that_repairs_it(self):
        # A trade each ten seconds of ten minutes, from id 1; ids 19 to 30 (12:03 and 12:04) are missing at first.
        noon = 1723118400000
        trades = [(i, noon + (i - 1) * 10_000, 100 + i) for i in range(1, 61)]
        self.load("holed.csv", trades[:18] + trades[30:])
        self.load_check_gap()
        self.load("rest.csv", trades[18:30])
        whole = self.told("2024-08-08T12:03")
        self.assertEqual(whole["says"], "Complete: every trade of the window is in the row. A gap that touched it has ended since.")
        self.assertEqual((whole["row"]["completeness"], whole["row"]["repaired"], whole["row"]["trades"]), ("complete", True, 6))
        self.assertTrue(whole["rule"].startswith("rule 2: one run of ids"))
        self.assertEqual([(s["way"], s["file"].rsplit("/", 1)[-1], s["trades"], s["first_id"], s["last_id"]) for s in whole["trades"]["sources"]],
                         [("file", "rest.csv", 6, 19, 24)])
        self.assertEqual((whole["edges"]["before"]["id"], whole["edges"]["after"]["id"], whole["edges"]["between"], whole["edges"]["contiguous"]),
                         ("18", "25", 6, True))
        self.assertEqual(whole["holes"][0]["gap"]["state"], "repaired")
        self.assertEqual(whole["holes"][0]["came"], 6)
        last = whole["revisions"][-1]
        self.assertEqual(last["revision"], whole["row"]["revision"])
        self.assertEqual(last["row"], whole["row"])
        self.assertIn(last["cause"], ("repaired", "past_end"))
        self.assertEqual([(s["store"], s["verdict"]) for s in whole["stores"]], [("SQLite", "same")])
        self.assertEqual([u["interval"] for u in whole["upper"]], ["5m", "15m", "1h", "4h", "1d"])
        # The minute before the hole was whole but for its neighbour; it touched the hole and says so.
        beside = self.told("2024-08-08T12:02")
        self.assertEqual(beside["row"]["completeness"], "complete")
        # Everything that is said of each revision is in the log at that place.
        for start in ("2024-08-08T12:02", "2024-08-08T12:03", "2024-08-08T12:09"):
            of = self.told(start)
            for revision in of["revisions"]:
                cat = tt.run("log", "cat", "candles", "--data", self.data, "--partition", str(of["looked"]["partition"]),
                             "--from", str(revision["offset"]), "--limit", "1")
                self.assertEqual(json.loads(cat)["value"], revision["row"])

    def load_check_gap(self):
        inside = self.told("2024-08-08T12:03")
        self.assertIn(inside["standing"], ("row", "hole"))
        self.assertEqual([(g["gap"]["first_id"], g["gap"]["last_id"], g["gap"]["state"], g["gap"]["missing"]) for g in inside["holes"]],
                         [(19, 30, "open", 12)])
        if inside["row"]:
            self.assertEqual((inside["row"]["completeness"], inside["row"]["missing"]), ("gap", 12))
            self.assertTrue(inside["rule"].startswith("rule 3"))
            self.assertEqual([r["cause"] for r in inside["revisions"]], ["hole_opened"])
        before = self.told("2024-08-08T11:59")
        self.assertEqual(before["standing"], "before")
        after = self.told("2024-08-08T12:30")
        self.assertEqual(after["standing"], "after")
        self.assertIn("id 60 at 2024-08-08T12:09:50Z", after["says"])
        # The first window: our knowledge begins in it.
        self.assertEqual(self.told("2024-08-08T12:00")["row"]["completeness"], "partial")
        # A second without a trade between ids that follow each other.
        self.assertEqual(self.told("2024-08-08T12:01:05", "1s")["standing"], "quiet")

    def test_what_is_refused(self):
        tt.run("import", "--data", self.data, "--venue", "binance", tt.BTC_FRAMES)
        for arguments, code, words in ((("binance:BTCUSDT", "2m", "2024-08-08T23:58"), 2, "no candles of 2m are built here; there are 1s, 1m"),
                                       (("binance:BTCUSDT", "1m", "2024-08-08T23:59:12"), 2, "the nearest ones begin at 2024-08-08T23:59:00Z"),
                                       (("binance:BTCUSDT", "1m", "yesterday"), 2, "START"),
                                       (("BTCUSDT", "1m", "2024-08-08T23:59"), 2, "write VENUE:SYMBOL"),
                                       (("binance:BTCUSDT", "one", "2024-08-08T23:59"), 2, "is no interval"),
                                       (("binance:NOSUCH", "1m", "2024-08-08T23:59"), 1, "nothing is known of binance:NOSUCH; there is binance:BTCUSDT")):
            done = tt.run("explain", "--data", self.data, *arguments, expect=code)
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertIn("there is nothing in", tt.run("explain", "--data", self.scratch / "none", "binance:BTCUSDT", "1m", "2024-08-08T23:59", expect=1).stderr)
        text = tt.run("explain", "--data", self.data, "binance:BTCUSDT", "1m", "2024-08-08T23:59")
        for line in ("Complete: every trade of the window is in the row.", "trades     1312: first id 3735691685", "           1312 by the stream (session ",
                     "           all 1312 ids between them are trades here", "holes      none touches it", "store      SQLite: revision 1373, the log's last one"):
            self.assertIn(line, text)


if __name__ == "__main__":
    tt.main()
