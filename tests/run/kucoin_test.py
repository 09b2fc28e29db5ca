"""`truetape run` on a simulated KuCoin, over real sockets. What the venue made and sent is known from its own list; the judge here links
nothing of src/."""
import collections
import datetime
import decimal
import json

from running import Run, Venue, tt, until

# The tape is of now, so the venue's clock is ours.
TAPE = ["--venue", "kucoin", "--symbols", "3", "--shift", "now"]


def value(text):
    return decimal.Decimal(text).normalize()


def made(venue):
    """By instrument and sequence, as the venue's list of all trades has them."""
    out = collections.defaultdict(dict)
    for row in venue.trades:
        out["kucoin:" + row["symbol"]][int(row["id"])] = (
            row["trade_id"], int(row["time_ns"]), value(row["price"]), value(row["quantity"]), "sell" if row["buyer_is_maker"] in ("1", "true") else "buy")
    return out


def stored(data):
    rows = tt.store_rows(data, """SELECT i.instrument, t.trade_order, coalesce(t.id, t.trade_order), t.event_time, t.price, t.price_scale, t.quantity,
                                         t.quantity_scale, t.taker_side FROM trades t JOIN instruments i ON i.id = t.instrument_id""")
    out = collections.defaultdict(dict)
    for instrument, order, trade_id, time, price, price_scale, quantity, quantity_scale, side in rows:
        out[instrument][order] = (str(trade_id), time, value(decimal.Decimal(price).scaleb(-price_scale)),
                                  value(decimal.Decimal(quantity).scaleb(-quantity_scale)), {1: "buy", 2: "sell"}[side])
    return out


class Live(tt.Case):
    def judge(self, venue):
        """What is stored is what was made, to the last digit; and no candle that says it is whole and proven differs from the truth."""
        tt.run("digest", "--data", self.data, "--compare")
        self.assertNotIn("differs", tt.run("audit", "--data", self.data))
        truth, rows = made(venue), stored(self.data)
        for instrument, trades in rows.items():
            for order, trade in trades.items():
                self.assertEqual(trade, truth[instrument][order], f"{instrument} {order}")
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM quarantine"), [(0,)])
        judged = collections.Counter()
        for row in tt.rows(self.data, "candles"):
            if row["completeness"] not in ("complete", "quiet") or row["proof"] not in ("ids", "declared", "overlap"):
                continue
            begin = self.ns(row["start"])
            end = begin + {"s": 1, "m": 60, "h": 3600, "d": 86400}[row["interval"][-1]] * int(row["interval"][:-1]) * 10**9
            inside = [t for t in truth[row["instrument"]].values() if begin <= t[1] < end]
            self.assertEqual(int(row["trades"]), len(inside), row)
            self.assertEqual(value(row["volume"]), value(sum((t[3] for t in inside), decimal.Decimal(0))), row)
            judged[row["completeness"]] += 1
        print(f"  {sum(map(len, rows.values()))} of {sum(map(len, truth.values()))} trades stored; candles proven: {dict(judged)}", flush=True)
        return truth, rows

    @staticmethod
    def ns(text):
        return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * 10**9

    def wanted(self, venue):
        return [f"kucoin:{symbol}" for symbol in venue.symbols]

    def test_every_trade_is_stored_as_it_was_made(self):
        with Venue(*TAPE, "--rate", "60", "--length", "12s") as venue:
            with Run(self.data, *self.wanted(venue), venues=[venue]) as run:
                run.wait_end(venue)
            venue.end()
            truth, rows = self.judge(venue)
            self.assertEqual({i: set(t) for i, t in rows.items()}, {i: set(t) for i, t in truth.items()})
            rest = venue.truth["rest"]
            self.assertEqual(rest["/api/v1/bullet-public"], {"200": 1})
            self.assertGreaterEqual(rest["/api/v1/market/histories"]["200"], 3)
        quotes = collections.Counter()
        for line in tt.run("log", "cat", "raw", "--data", self.data).splitlines():
            record = json.loads(line)
            headers = {h["name"]: h["value"] for h in record["headers"]} if isinstance(record["headers"], list) else record["headers"]
            quotes[headers.get("kind")] += 1
        self.assertGreater(quotes["backfill"], 0)
        self.assertEqual(quotes["reference"], 3)

    def test_what_a_cut_lost_comes_with_the_last_trades(self):
        with Venue(*TAPE, "--rate", "15", "--length", "25s", "--fault", "cut,at=6s,how=reset", "--fault", "cut,at=12s,how=fin") as venue:
            with Run(self.data, *self.wanted(venue), venues=[venue]) as run:
                until("three connections", lambda: run.alive() and run.metric("truetape_ingest_connects_total") >= 3)
                run.wait_end(venue)
            venue.end()
            truth, rows = self.judge(venue)
            self.assertGreaterEqual(venue.truth["rest"]["/api/v1/bullet-public"]["200"], 3, "a token for each connection")
            # The last trades of all may have been made behind the last page; all before the second cut are there.
            for instrument, trades in truth.items():
                early = {o for o, t in trades.items() if t[1] < min(x[1] for x in trades.values()) + 18 * 10**9}
                self.assertEqual(early - set(rows[instrument]), set(), instrument)

    def test_each_connection_at_the_end_of_its_life_is_followed_by_one_with_a_token_of_its_own(self):
        with Venue(*TAPE, "--rate", "15", "--length", "15s", "--limit", "life=5s") as venue:
            with Run(self.data, *self.wanted(venue), venues=[venue]) as run:
                run.wait_end(venue)
            venue.end()
            self.judge(venue)
            self.assertGreaterEqual(venue.truth["rest"]["/api/v1/bullet-public"]["200"], 2)
            self.assertGreaterEqual(len(venue.truth["connections"]), 2)


if __name__ == "__main__":
    tt.main()
