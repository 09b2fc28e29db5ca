"""Finnhub's recorded frames and its page of news, imported: what is in the store is what this script, which reads the
files by itself, finds in them. They lie outside of the repository."""
import decimal
import json
import pathlib
import sys
import time

import tt

DATA = tt.ROOT.parent / "shared/data"
TRADES = DATA / "finnhub-aapl-trade-ws-20230331t1815.jsonl"
NEWS = DATA / "finnhub-company-news-aapl-20241014.json"


def frames():
    for line in TRADES.read_text().splitlines():
        yield json.loads(line, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def entries():
    """Every entry of every trade frame, in their order."""
    return [entry for frame in frames() if frame["type"] == "trade" for entry in frame["data"]]


def moment(ms):
    """As `query` writes a time: decimals of a second only where they are not zero."""
    seconds, rest = divmod(int(ms), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + (f".{rest:03}Z" if rest else "Z")


class Finnhub(tt.Case):
    def trades(self):
        return [(row["instrument"], decimal.Decimal(row["price"]), decimal.Decimal(row["quantity"]), row["event_time"])
                for row in tt.rows(self.data, "trades")]

    def check_trades(self):
        expected = [("finnhub:" + e["s"], e["p"], e["v"], moment(e["t"])) for e in entries()]
        self.assertEqual(len(expected), 61)
        self.assertLess(len(set(expected)), len(expected), "some trades of the file are equal in all that they tell")
        self.assertEqual(sorted(self.trades()), sorted(expected))
        # One second at a time, with open and close in the order of the frames where times are equal.
        seconds = {}
        for entry in sorted(entries(), key=lambda e: e["t"]):  # stable
            seconds.setdefault(int(entry["t"]) // 1000, []).append(entry)
        found = tt.rows(self.data, "candles", "--interval", "1s")
        self.assertEqual([row["start"] for row in found], [moment(1000 * s) for s in sorted(seconds)])
        for row, second in zip(found, sorted(seconds)):
            of = seconds[second]
            prices = [e["p"] for e in of]
            values = [decimal.Decimal(row[c]) for c in ("open", "high", "low", "close", "volume", "quote_volume", "trades")]
            self.assertEqual(values, [prices[0], max(prices), min(prices), prices[-1], sum(e["v"] for e in of),
                                      sum(e["p"] * e["v"] for e in of), len(of)], row)
            self.assertIn((row["status"], row["completeness"]), {("closed", "unverifiable"), ("open", "")})

    def test_lines_and_a_recording_of_the_same_frames(self):
        done = tt.run("import", "--data", self.data, "--venue", "finnhub", TRADES)
        self.assertIn("finnhub: 61 accepted, 1 not a trade", done)
        self.check_trades()
        digest = tt.digest(self.data, "store")
        # Again: the same trades, each once.
        tt.run("import", "--data", self.data, "--venue", "finnhub", TRADES)
        self.check_trades()
        self.assertEqual(tt.digest(self.data, "log"), digest)
        # With times of receipt, half a second after the newest trade of each frame.
        recording = self.scratch / "a.frames"
        received, lines = 0, []
        for line, frame in zip(TRADES.read_text().splitlines(), frames()):
            received = max([received, *(int(e["t"]) + 500 for e in frame.get("data", []))])
            lines.append(f"{received}000000 {line}\n")
        recording.write_text("".join(lines))
        self.data = self.scratch / "recorded"
        done = tt.run("import", "--data", self.data, "--venue", "finnhub", recording)
        self.assertIn("finnhub: 61 accepted, 1 not a trade", done)
        self.check_trades()
        self.assertEqual(tt.digest(self.data, "store"), digest)

    def test_a_page_of_news(self):
        done = tt.run("import", "--data", self.data, "--venue", "finnhub", NEWS)
        self.assertIn(f"imported    {len(json.loads(NEWS.read_text()))} rows", done)


if __name__ == "__main__":
    missing = [f.name for f in (TRADES, NEWS) if not f.exists()]
    if missing:
        print(f"SKIPPED: no {', '.join(missing)} in {DATA}: nothing was compared")
        sys.exit(77)
    tt.main()
