"""truetape cross: two venues' closes beside each other, told by the real binary of what the real heart made."""
import contextlib
import csv
import io
import sqlite3

import tt

COLUMNS = ["--tape", "trade", "--columns", "time=time,price=price,quantity=qty,side=side,id=id"]
NOON = 1723118400000
A, B = "binance:XYZUSDT", "binance-usdm:XYZUSDT"


class Cross(tt.Case):
    def load(self, instrument, trades, *more):
        """(milliseconds after noon, price) of each trade; ids from 1 on."""
        path = self.scratch / (instrument.replace(":", "-") + ".csv")
        path.write_text("id,price,qty,side,time\n" +
                        "".join(f"{i},{price},1,buy,{NOON + at}\n" for i, (at, price) in enumerate(trades, 1)))
        tt.run("import", "--data", self.data, "--instrument", instrument, *COLUMNS, *more, path)

    def told(self, *more):
        done = tt.run("cross", "--data", self.data, A, B, "--format", "csv", *more, expect=None)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [(r["from"], r["to"], r["greatest_percent"], r["price_a"], r["price_b"])
                for r in csv.DictReader(io.StringIO(done.stdout))], done.stderr.strip().splitlines()

    def test_a_long_time_is_compared_whole(self):
        # A trade each second for longer than what `run` would let wait of one side; two minutes in they are apart.
        self.load(A, [(i * 1000 + 500, "100") for i in range(9000)])
        self.load(B, [(i * 1000 + 500, "102" if 120 <= i < 180 else "100.1") for i in range(9000)])
        found, words = self.told()
        self.assertEqual(found, [("2024-08-08T12:02:01Z", "2024-08-08T12:03:01Z", "2.0000", "100", "102")])
        closed = [int(r[0]) for r in tt.store_rows(self.data, "SELECT count(*) FROM candles WHERE interval = 1 AND status <> 0 GROUP BY instrument_id")]
        self.assertEqual(words, [f"truetape: apart 1 times; closes compared: {closed[0]} and {closed[1]}, of {closed[0]} and {closed[1]}"])
        self.assertGreater(min(closed), 8990)
        # Parts of it: what was before is not known, what comes after is not asked for.
        self.assertEqual(self.told("--from", "2024-08-08T12:02:30")[0],
                         [("2024-08-08T12:02:31Z", "2024-08-08T12:03:01Z", "2.0000", "100", "102")])
        self.assertEqual(self.told("--to", "2024-08-08T12:02:31")[0],
                         [("2024-08-08T12:02:01Z", "", "2.0000", "100", "102")])
        self.assertEqual(self.told("--set", "cross.hold=61s")[0], [])

    def test_nothing_is_said_beyond_what_is_known_of_both(self):
        self.load(A, [(i * 1000 + 500, "100") for i in range(60)])
        self.load(B, [(i * 1000 + 500, "102" if i >= 15 else "100") for i in range(20)])
        self.assertEqual(self.told("--set", "cross.hold=3s")[0], [("2024-08-08T12:00:16Z", "", "2.0000", "100", "102")])
        self.assertEqual(self.told()[0], [], "apart for the 4 s that both are known of")

    def test_a_store_that_is_behind_its_log_is_compared_to_its_last_candle(self):
        trades = [(i * 1000 + 500, "102" if i >= 30 else "100") for i in range(60)]
        self.load(A, trades)
        self.load(B, trades)
        self.assertEqual(self.told()[0], [])
        # As while it loads: progress has come, candles of A's later seconds have not.
        with contextlib.closing(sqlite3.connect(self.data / "store.db", isolation_level=None)) as store:
            gone = store.execute("DELETE FROM candles WHERE interval = 1 AND start >= ? AND instrument_id = (SELECT id FROM instruments WHERE instrument = ?)",
                                 ((NOON + 30_000) * 1_000_000, A)).rowcount
            store.execute("UPDATE positions SET next = next - 20 WHERE topic = 'candles'")
        self.assertGreater(gone, 25)
        found, words = self.told()
        self.assertEqual(found, [])
        self.assertEqual(words[:2], [f"truetape: the store has not all candles of {side} yet that the log has: compared to the last of them"
                                     for side in (A, B)])

    def test_minutes_in_which_nobody_traded_are_no_prices(self):
        minutes = ["--set", "intervals=1m,1h"]
        self.load(A, [(30_000, "100"), (630_000, "100")], *minutes)
        self.load(B, [(i * 60_000 + 30_000, "102" if i >= 2 else "100") for i in range(11)], *minutes)
        quiet = tt.store_rows(self.data, "SELECT count(*) FROM candles WHERE interval = 60 AND trades = 0 AND close IS NOT NULL")
        self.assertEqual(quiet, [(9,)])
        found, words = self.told()
        self.assertEqual(found, [], "two minutes after the candle of A's last trade nothing is compared with it")
        self.assertEqual(words, ["truetape: apart 0 times; closes compared: 1 and 3, of 1 and 10"])
        # Nothing shorter than a candle can be told; what was built counts, not what this configuration names.
        refused = tt.run("cross", "--data", self.data, A, B, "--set", "cross.hold=30s", expect=2)
        self.assertEqual(refused.stderr, "truetape: cross.hold = \"30s\" cannot be met: it is shorter than the smallest candles, 1m, "
                         "whose closes are compared; say 1m or longer, or leave it out\n")


if __name__ == "__main__":
    tt.main()
