"""The store's live rows: one per symbol, with the venue's last prices, over a kill and a restart, and the same from a second load."""
import datetime
import json
import time
import urllib.request

from running import FAST, Run, Venue, tt, until

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
BOOK = {"bid": "bidPrice", "bid_quantity": "bidQty", "ask": "askPrice", "ask_quantity": "askQty"}


def listed(venue):
    """The best prices as the venue's REST tells them."""
    with DIRECT.open(venue.rest + "/api/v3/ticker/bookTicker", timeout=30) as answer:
        return {f"binance:{row['symbol']}": {mine: float(row[theirs]) for mine, theirs in BOOK.items()} for row in json.load(answer)}


def best_of(rows):
    return {r["instrument"]: {c: float(r[c]) for c in BOOK} for r in rows if r["kind"] == "best"}


def nanoseconds(text):
    if not text:
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(seconds.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def newest_of_the_log(data):
    """Of each instrument and kind the record of the topic whose time no other's exceeds, of equal ones the last."""
    newest, count = {}, 0
    for line in tt.run("log", "cat", "quotes", "--data", data).splitlines():
        row = json.loads(line)["value"]
        count += 1
        when = nanoseconds(row["event_time"] or row["receive_time"])
        key = row["instrument"], row["kind"]
        if key not in newest or when >= newest[key][0]:
            newest[key] = when, row
    return {key: row for key, (_, row) in newest.items()}, count


def changes(venue, before):
    """Does the venue tell other prices within some seconds? The tape changes them many times in each."""
    time.sleep(3)
    return listed(venue) != before


class Quotes(tt.Case):
    def judge(self, data):
        newest, count = newest_of_the_log(data)
        rows = tt.rows(data, "quotes")
        self.assertEqual(sorted(newest), sorted((r["instrument"], r["kind"]) for r in rows))
        for r in rows:
            wanted = newest[r["instrument"], r["kind"]]
            self.assertEqual({c: v or None for c, v in r.items()}, {c: None if wanted[c] is None else str(wanted[c]) for c in r}, r["instrument"])
        return rows, count

    def test_one_live_row_per_symbol_that_is_the_venues_last(self):
        with Venue("--symbols", "3", "--rate", "60", "--shift", "now", "--length", "25s", "--linger", "forever") as venue:
            symbols = sorted(f"binance:{s}" for s in venue.symbols)
            with Run(self.data, "binance:*", venues=[venue], sets=FAST) as run:
                until("each symbol has both kinds", lambda: (self.data / "store.db").exists() and len(tt.rows(self.data, "quotes")) == 6)
                run.kill()
            with Run(self.data, "binance:*", venues=[venue], sets=FAST) as run:
                def the_venues_last():
                    wanted = listed(venue)
                    served = best_of(run.get("/api/v1/quotes")["rows"])
                    return served == wanted and best_of(tt.rows(self.data, "quotes")) == wanted and wanted
                last = until("page and store have the venue's last prices, and the tape has ended",
                             lambda: (found := the_venues_last()) and not changes(venue, found) and found, every=1)
        self.assertEqual(sorted(last), symbols)
        rows, count = self.judge(self.data)
        self.assertGreater(count, 100)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM quotes"), [(3,)])
        view = tt.store_rows(self.data, "SELECT instrument, bid, ask_quantity FROM quotes_view ORDER BY instrument")
        self.assertEqual(view, [(r["instrument"], r["bid"], r["ask_quantity"]) for r in rows if r["kind"] == "best"])
        # A store that was lost has the same rows again.
        for file in self.data.glob("store.db*"):
            file.unlink()
        tt.run("import", "--data", self.data, "--finish")
        self.assertEqual(self.judge(self.data)[0], rows)
        tt.run("audit", "--data", self.data)


if __name__ == "__main__":
    tt.main()
