"""A recording of Finnhub, played live by the simulator and imported: the same trades, each as often as the file has it; and
headlines that are polled, each once. The recording lies outside of the repository."""
import collections
import decimal
import json
import sys
import urllib.parse
import urllib.request

from running import FAST, Run, Venue, import_beside, tt, until

FILE = tt.ROOT.parent / "shared/data/finnhub-aapl-trade-ws-20230331t1815.jsonl"
TOKEN = "t0ken-of-a-test"


def entries():
    """Every entry of every trade frame, as it stands in the file."""
    for line in FILE.read_text().splitlines():
        frame = json.loads(line, parse_float=decimal.Decimal, parse_int=decimal.Decimal)
        yield from frame.get("data", [])


def contents(rows):
    return collections.Counter((r["instrument"], decimal.Decimal(r["price"]), decimal.Decimal(r["quantity"]), r["event_time"]) for r in rows)


class Recording(tt.Case):
    def nothing_tells_the_token(self, *texts):
        for text in texts:
            self.assertNotIn(TOKEN, text)
        for path in self.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(TOKEN.encode(), path.read_bytes(), path)

    def test_played_live_it_has_the_digests_of_its_import(self):
        self.assertEqual(len(list(entries())), 61)
        with Venue(FILE, "--venue", "finnhub") as venue:
            with Run(self.data, "finnhub:AAPL", venues=[venue], sets=[*FAST, f"feed.finnhub.token={TOKEN}", "feed.finnhub.news=off"]) as run:
                run.wait_end(venue)
                told = run.log()
        imported = import_beside(self.scratch, FILE, "--venue", "finnhub")
        self.assertEqual(contents(tt.rows(self.data, "trades")), contents(tt.rows(imported, "trades")))
        self.assertEqual(sum(contents(tt.rows(self.data, "trades")).values()), 61)
        self.assertEqual(tt.digest(self.data, "log"), tt.digest(imported, "log"))
        self.assertEqual(tt.digest(self.data, "store"), tt.digest(imported, "store"))
        self.assertIn("no ids", tt.run("audit", "--data", self.data))
        self.nothing_tells_the_token(told)

    def test_headlines_are_polled_and_stored_each_once(self):
        with Venue("--venue", "finnhub", "--symbols", "AAPL,BINANCE:BTCUSDT", "--news", "600") as venue:
            sets = [*FAST, f"feed.finnhub.token={TOKEN}"]
            with Run(self.data, "finnhub:AAPL", "finnhub:BINANCE:BTCUSDT", venues=[venue], sets=sets) as run:
                def news(**more):
                    query = "&".join(f"{k}={v}" for k, v in more.items())
                    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/api/v1/news{query and '?' + query}", timeout=30) as answer:
                        return json.load(answer)["rows"]
                until("headlines of AAPL", lambda: len(news(symbol="finnhub:AAPL")) >= 2, 240)
                rows = news(limit=10000)
                ids = [row["id"] for row in rows]
                self.assertEqual(len(ids), len(set(ids)))
                self.assertTrue(all("finnhub:AAPL" in row["related"].split(",") for row in news(symbol="finnhub:AAPL")))
                source = rows[0]["source"]
                self.assertEqual({row["source"] for row in news(source=urllib.parse.quote(source))}, {source})
        stored = tt.store_rows(self.data, "SELECT venue, id FROM news")
        self.assertEqual(len(stored), len(set(stored)))
        self.assertTrue(set(ids) <= {id for _, id in stored})
        self.nothing_tells_the_token()


if __name__ == "__main__":
    if not FILE.exists():
        print(f"SKIPPED: no {FILE.name} in {FILE.parent}: nothing was compared")
        sys.exit(77)
    tt.main()
