"""A recording of Coinbase, imported: every trade of it is in the store as the file has it, counted by instrument, and no other; and each
candle holds the trades of its window. What the file has is read here by Python alone. It lies outside of the repository."""
import collections
import decimal
import json
import pathlib
import subprocess
import sys

from running import tt

FILE = tt.ROOT.parent / "shared/data/coinbase-10-symbols-ws-20210417t1643.frames.zst"
TAKER = {"buy": "sell", "sell": "buy"}  # the frames have the maker's side


def frames(file: pathlib.Path):
    """Receive time in ns and the frame, as a JSON object."""
    with subprocess.Popen(["zstd", "-dcq", file], stdout=subprocess.PIPE, text=True) as unpack:
        for line in unpack.stdout:
            received, frame = line.rstrip("\n").split(" ", 1)
            yield int(received), json.loads(frame)


def shortest(time: str) -> str:
    """As truetape writes times: 3 or 6 digits after the point, where they are not zero."""
    whole, digits = time.removesuffix("Z").split(".")
    while digits and digits.endswith("000"):
        digits = digits[:-3]
    return whole + (f".{digits}" if digits else "") + "Z"


def plain(text: str) -> str:
    """A decimal without zeros at its end."""
    return format(decimal.Decimal(text).normalize(), "f")


def trades_of(file: pathlib.Path):
    """By instrument, in the order of the file."""
    out = collections.defaultdict(list)
    for _, f in frames(file):
        if f["type"] in ("match", "last_match"):
            out["coinbase:" + f["product_id"]].append(
                {"id": str(f["trade_id"]), "first_id": str(f["trade_id"]), "last_id": str(f["trade_id"]), "event_time": shortest(f["time"]),
                 "price": plain(f["price"]), "quantity": plain(f["size"]), "taker_side": TAKER[f["side"]]})
    return out


class Recording(tt.Case):
    COUNTS = {"BAND-BTC": 9, "BAND-GBP": 5, "CRV-EUR": 1, "DASH-BTC": 16, "NMR-EUR": 9, "NU-GBP": 2, "SKL-BTC": 9, "SKL-GBP": 2, "SKL-USD": 53,
              "YFI-BTC": 1}

    def test_every_trade_is_stored_as_the_file_has_it(self):
        want = trades_of(FILE)
        self.assertEqual({i: len(t) for i, t in want.items()}, {"coinbase:" + product: n for product, n in self.COUNTS.items()})
        tt.run("import", "--data", self.data, "--venue", "coinbase", FILE)
        self.compare(want)
        tt.run("import", "--data", self.data, "--venue", "coinbase", FILE)  # again: nothing is double
        self.compare(want)
        tt.run("audit", "--data", self.data)
        tt.run("digest", "--data", self.data, "--compare")

    def compare(self, want):
        got = collections.defaultdict(list)
        for row in tt.rows(self.data, "trades"):
            got[row["instrument"]].append({k: row[k] for k in next(iter(want.values()))[0]})
        self.assertEqual(set(got), set(want))
        for instrument, trades in want.items():
            self.assertEqual(got[instrument], trades, instrument)
        self.assertEqual(tt.store_rows(self.data, "SELECT count(*) FROM quarantine"), [(0,)])

    def test_candles_hold_the_trades_of_their_window(self):
        tt.run("import", "--data", self.data, "--venue", "coinbase", FILE)
        windows = collections.defaultdict(list)
        for instrument, trades in trades_of(FILE).items():
            for trade in trades:
                windows[instrument, trade["event_time"][:16] + ":00Z"].append(trade)
        seen = set()
        for row in tt.rows(self.data, "candles", "--interval", "1m"):
            trades = windows.get((row["instrument"], row["start"]), [])
            if not trades:
                continue
            seen.add((row["instrument"], row["start"]))
            prices = [decimal.Decimal(t["price"]) for t in trades]
            want = (trades[0]["price"], plain(str(max(prices))), plain(str(min(prices))), trades[-1]["price"], trades[0]["id"], trades[-1]["id"],
                    str(len(trades)))
            self.assertEqual(tuple(row[c] for c in ("open", "high", "low", "close", "first_id", "last_id", "trades")), want, row)
            self.assertEqual(decimal.Decimal(row["volume"]), sum(decimal.Decimal(t["quantity"]) for t in trades), row)
            bought = sum(decimal.Decimal(t["quantity"]) for t in trades if t["taker_side"] == "buy")
            self.assertEqual(decimal.Decimal(row["taker_buy_volume"]), bought, row)
        self.assertEqual(seen, set(windows))

    def test_a_last_match_covers_what_was_quiet_behind_it(self):
        """Two products had no trade in the recording, others had none for some seconds at its beginning: no candle says gap."""
        tt.run("import", "--data", self.data, "--venue", "coinbase", FILE)
        quiet = [(r["start"], r["completeness"], r["proof"]) for r in tt.rows(self.data, "candles", "--interval", "1m")
                 if r["instrument"] == "coinbase:CRV-EUR"]
        self.assertEqual(quiet, [("2021-04-17T16:41:00Z", "partial", ""), ("2021-04-17T16:42:00Z", "quiet", "session"),
                                 ("2021-04-17T16:43:00Z", "quiet", "session")])
        self.assertEqual(tt.rows(self.data, "gaps"), [])


if __name__ == "__main__":
    if not FILE.exists():
        print(f"SKIPPED: no {FILE.name} in {FILE.parent}: nothing was compared")
        sys.exit(77)
    tt.main()
