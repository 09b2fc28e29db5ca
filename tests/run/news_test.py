"""How many headlines came, by instrument, source and window: the rows of topic, store and API are those that this script counts
in the simulator's own list, over a restart and whatever was polled twice."""
import collections
import datetime
import json
import urllib.request

from running import FAST, Run, Venue, tt, until

LENGTHS = {"1m": 60, "1h": 3600}
SHAPE = ["instrument", "source", "interval", "start", "headlines"]


def get(address):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


def text(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class News(tt.Case):
    def listed(self, venue):
        """What the simulator's REST lists now is remembered: of the general list it tells the newest hundred only."""
        day = datetime.datetime.now(datetime.timezone.utc).date()
        span = f"from={day - datetime.timedelta(days=2)}&to={day + datetime.timedelta(days=2)}"
        for call in (f"company-news?symbol=AAPL&{span}", f"company-news?symbol=MSFT&{span}", "news?category=general&minId=0"):
            for item in get(f"{venue.rest}/api/v1/{call}&token=script-{self.calls // 30}"):
                self.list[str(item["id"])] = item
            self.calls += 1

    def counted(self, ids):
        counts = collections.Counter()
        for item in (self.list[id] for id in ids):
            for name, length in LENGTHS.items():
                related = f"finnhub:{item['related']}" if item["related"] else ""
                counts[related, item["source"], name, text(item["datetime"] // length * length)] += 1
        return counts

    def rows_of(self, run, interval, **more):
        query = "&".join(f"{k}={v}" for k, v in more.items())
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        return get(f"http://127.0.0.1:{run.port}/api/v1/news/counts?interval={interval}&to={now.strftime('%Y-%m-%dT%H:%M:%SZ')}&from="
                   f"{(now - datetime.timedelta(days=3)).strftime('%Y-%m-%dT%H:%M:%SZ')}{query and '&' + query}")["rows"]

    def test_the_counts_are_those_of_the_simulators_list(self):
        self.list, self.calls = {}, 0  # the venue counts the calls of each key
        stored = lambda: [id for (id,) in tt.store_rows(self.data, "SELECT id FROM news")]
        with Venue("--venue", "finnhub", "--symbols", "AAPL,MSFT,BINANCE:BTCUSDT", "--news", "60") as venue:
            wanted = ["finnhub:AAPL", "finnhub:MSFT", "finnhub:BINANCE:BTCUSDT"]
            for least in (5, 20):
                with Run(self.data, *wanted, venues=[venue], sets=[*FAST, "feed.finnhub.token=t"]) as run:
                    def enough():
                        self.listed(venue)
                        ids = (self.data / "store.db").exists() and stored()
                        return ids and len(ids) >= least and any(self.list[id]["related"] == "" for id in ids) and ids
                    until(f"{least} headlines, some of no instrument", enough, 240, every=1)

                    def served():
                        ids = stored()
                        self.listed(venue)
                        rows = {tuple(row[c] or "" for c in SHAPE[:4]): row["headlines"] for interval in LENGTHS for row in self.rows_of(run, interval)}
                        return ids == stored() and rows == dict(self.counted(ids))
                    until("the served counts are those of the list", served, 120, every=1)
                    one = self.rows_of(run, "1h", symbol="finnhub:AAPL")
                    self.assertTrue(one)
                    self.assertEqual({row["instrument"] for row in one}, {"finnhub:AAPL"})
                    self.assertEqual({row["source"] for row in self.rows_of(run, "1h", source=one[0]["source"])}, {one[0]["source"]})
            self.listed(venue)
        counts = self.counted(stored())
        rows = tt.rows(self.data, "news_counts")
        self.assertEqual({tuple(r[c] for c in SHAPE[:4]): int(r["headlines"]) for r in rows}, dict(counts))
        self.assertEqual(list(rows[0])[:5], SHAPE)
        # The topic's last row of each key is the store's, and each came with a greater revision than the one before.
        last = {}
        for line in tt.run("log", "cat", "news_counts", "--data", self.data).splitlines():
            row = json.loads(line)
            key, row = row["key"], row["value"]
            self.assertGreater(row["revision"], last.get(key, {"revision": 0})["revision"])
            last[key] = row
        self.assertEqual(sorted(int(row["headlines"]) for row in last.values()), sorted(counts.values()))
        before = {row["epoch"] for row in last.values()}
        self.assertEqual({r["id"] for r in tt.rows(self.data, "news")}, set(stored()))
        # All of it again from raw.
        tt.run("rebuild", "--data", self.data, "--set", FAST[0])
        again = tt.rows(self.data, "news_counts")
        self.assertEqual([{c: r[c] for c in SHAPE} for r in again], [{c: r[c] for c in SHAPE} for r in rows])
        epochs = [epoch for (epoch,) in tt.store_rows(self.data, "SELECT epoch FROM news_counts")]
        self.assertEqual(len(epochs), len(rows))
        self.assertGreater(min(epochs), max(before), "a row that was not counted again")


if __name__ == "__main__":
    tt.main()
